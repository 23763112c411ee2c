"""What all values of the pure floors have in common, and what marks and places say."""

import errno
import inspect
from importlib import import_module
from pathlib import Path

import pytest
from msgspec import Struct

import netloom
from netloom.errors import (
    FAILURES,
    KernelError,
    Mark,
    Problem,
    TopologyError,
    errno_of,
    failure,
    prevented,
)
from netloom.language import topology
from netloom.model.marks import (
    ALIAS_MAX,
    far_of,
    is_port,
    kind_of,
    link_mark,
    lo_mark,
    nft_text,
    port_mark,
    ruleset_of,
    run_mark,
    runner_of,
)
from netloom.model.objects import End
from netloom.model.owner import lab_of
from netloom.wire import addrs, link_decode, links, routes, rules
from tests.house.test_floors import FLOOR_OF

ROOT = Path(netloom.__path__[0])
PURE = {room for room, floor in FLOOR_OF.items() if floor < FLOOR_OF["kernel"]}
FILLED = {"Expanded", "Member", "Port", "Segment", "_Line"}
"""What is filled bit by bit while it is made."""


def structs(*modules: object) -> set[type[Struct]]:
    """Return the classes of values that modules define."""
    return {
        each
        for module in modules
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, Struct)
    }


def test_values_do_not_change() -> None:
    """A plan that was shown is the plan that is carried out: nobody changes a fact in between."""
    files = (path for room in PURE for path in (*ROOT.glob(f"{room}/*.py"), ROOT / f"{room}.py"))
    names = (
        ".".join(f.relative_to(ROOT.parent).with_suffix("").parts) for f in files if f.exists()
    )
    values = structs(*map(import_module, names)) - {Struct}
    changing = {each.__name__ for each in values if not each.__struct_config__.frozen}

    assert changing <= FILLED


def test_what_a_topology_says_is_said_by_name() -> None:
    """A field may be added anywhere without changing what a program means."""
    told = {each: inspect.signature(each) for each in structs(topology)}
    kinds = {p.kind for one in told.values() for p in one.parameters.values()}

    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


def test_what_comes_in_thousands_is_no_work_for_the_collector() -> None:
    """Values of numbers and texts hold nothing that could hold them."""
    every = structs(addrs, links, routes, rules, link_decode)
    seen_often = {each for each in every if each.__name__.startswith("Seen")}

    assert seen_often
    assert not any(each.__struct_config__.gc for each in seen_often)


# ── marks ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("alias", "lab", "far", "port"),
    [
        (lo_mark("shop", "web"), "shop", None, False),
        (link_mark("shop"), "shop", None, False),
        (link_mark("shop", End("web", "lan")), "shop", End("web", "lan"), False),
        (link_mark("shop", End("a.b", "a:b to c")), "shop", End("a.b:a", "b to c"), False),
        (port_mark("shop", "lan"), "shop", None, True),
        ("netloom:shop/a b", "shop", None, False),
        ("netloom:", "", None, False),
        ("netloom: port of x", "", None, False),
        ("netloom to web:lan", "", None, False),
        ("mine to web:lan", "", None, False),
        ("my port of call", "", None, False),
        ("", "", None, False),
    ],
)
def test_a_mark_says_whose_a_link_is(alias: str, lab: str, far: End | None, *, port: bool) -> None:
    """The lab, the interface that it leads to, and whether it is borrowed."""
    assert (lab_of(alias) or "", far_of(alias), is_port(alias)) == (lab, far, port)


def test_a_mark_has_room_in_an_alias() -> None:
    """The kernel takes 255 bytes."""
    long = "x" * 255

    marks = (lo_mark(long, "a"), link_mark(long, End("a", "b")), port_mark(long, "lan"))
    assert {len(mark) for mark in marks} == {ALIAS_MAX} == {255}


@pytest.mark.parametrize(
    ("alias", "runner"),
    [
        (run_mark(7, 99), (7, 99)),
        ("netloom-run:7:99", (7, 99)),
        ("netloom-run:7", None),
        ("netloom-run::99", None),
        ("netloom-run:7:x", None),
        ("7:99", None),
    ],
)
def test_a_port_of_one_command_says_whose_it_is(alias: str, runner: tuple[int, int] | None) -> None:
    """The process, and when it began."""
    assert runner_of(alias) == runner


def test_a_table_of_rules_is_named_after_its_lab() -> None:
    """As a word of nft's, or by a number; its comment is the mark."""
    assert ruleset_of("shop") == "inet netloom-shop"
    assert ruleset_of("läden") == "inet netloom-5f16c29a"
    assert ruleset_of("x" * 100) == "inet netloom-" + "x" * 100
    assert len(ruleset_of("x" * 101)) == len("inet netloom-") + 8
    assert [kind_of(name) for name in ("iptables", "ip6tables", "inet netloom-iptables")] == [
        *("iptables", "ip6tables", "nft"),
    ]
    assert nft_text("inet netloom-shop", "chain a {}").splitlines() == [
        "table inet netloom-shop {}",
        "delete table inet netloom-shop",
        "table inet netloom-shop {",
        'comment "netloom:shop"',
        "chain a {}",
        "}",
    ]


# ── mistakes ──────────────────────────────────────────────────────────────────────────────────────

PLACE = Mark("lab.yaml", 12, 5, 3, "a: [b, c]")


def test_a_place_is_a_value() -> None:
    """The same file, line, column, length and text; nothing else equals it."""
    others = {
        Mark("x.yaml", 12, 5, 3, "a: [b, c]"),
        Mark("lab.yaml", 11, 5, 3, "a: [b, c]"),
        Mark("lab.yaml", 12, 4, 3, "a: [b, c]"),
        Mark("lab.yaml", 12, 5, 2, "a: [b, c]"),
        Mark("lab.yaml", 12, 5, 3, "a: [b, d]"),
    }

    same = Mark("lab.yaml", 12, 5, 3, "a: [b, c]")
    assert same == PLACE
    assert hash(same) == hash(PLACE)
    assert PLACE not in others
    assert PLACE != "lab.yaml:12:5"
    assert repr(PLACE) == "Mark(lab.yaml:12:5+3)"


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (Problem("no"), ["no"]),
        (Problem("no", ("a", 0), "yes"), ["a.0: no", "  hint: yes"]),
        (
            Problem("no", hint="yes", mark=PLACE),
            ["lab.yaml:12:5: no", "  12 | a: [b, c]", "     |     ^^^ yes"],
        ),
        (
            Problem("no", mark=Mark("f", 1, 1, 0, "")),
            ["f:1:1: no", "  1 | ", "    | ^"],
        ),
        (
            Problem("no", mark=Mark("f", 1, 100, 1, "x" * 100)),
            ["f:1:100: no", "  1 | " + "x" * 100, "    | " + " " * 99 + "^"],
        ),
        (
            Problem("no", mark=Mark("f", 1, 1, 200, "x" * 101)),
            ["f:1:1: no", "  1 | " + "x" * 100 + "…", "    | " + "^" * 100],
        ),
        (
            Problem("no", mark=Mark("f", 1, 51, 2, "y" * 101)),
            ["f:1:51: no", "  1 | …" + "y" * 84, "    | " + " " * 34 + "^^"],
        ),
        (
            Problem("no", mark=Mark("f", 1, 40, 2, "z" * 150)),
            ["f:1:40: no", "  1 | …" + "z" * 100 + "…", "    | " + " " * 34 + "^^"],
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(problem: Problem, said: list[str]) -> None:
    """The line and a caret below what is meant; of a long line a hundred characters around it."""
    assert str(problem).splitlines() == said
    assert str(TopologyError([problem, problem])) == "\n".join([str(problem)] * 2)


def test_a_mistake_keeps_all_but_its_place() -> None:
    """When it is told where it stands."""
    problem = Problem("no", ("a",), "yes", at_key=True).at(PLACE)

    facts = (problem.message, problem.path, problem.hint, problem.mark, problem.at_key)
    assert facts == ("no", ("a",), "yes", PLACE, True)
    assert not Problem("no").at(PLACE).at_key


@pytest.mark.parametrize(
    ("error", "said", "number"),
    [
        (OSError(28, "No space left on device", "/run/x"), "/run/x (No space left on device)", 28),
        (OSError(24, "Too many open files"), "Too many open files", 24),
        (OSError(9, "Bad file descriptor", 7), "Bad file descriptor", 9),
        (OSError("odd"), "odd", 0),
        (MemoryError(), "Cannot allocate memory", 12),
        (ImportError("no module"), "netloom is not whole: no module", 0),
        (ImportError("no room", path="x.so"), "no room", 0),
        (KernelError(1, "link add", "no"), "link add: no (Operation not permitted)", 1),
    ],
)
def test_what_any_call_may_raise_is_an_answer(error: BaseException, said: str, number: int) -> None:
    """With the file that it is about, in the kernel's words."""
    found = failure(error)

    assert (str(found), found.errno) == (said, number)
    assert isinstance(error, FAILURES)


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (
            OSError(24, "Too many open files"),
            "the machine refused: Too many open files",
            "is the machine out of memory, of open files, or of room below /run?",
        ),
        (OSError(5, "Input/output error"), "the machine refused: Input/output error", ""),
        (
            ImportError("no module"),
            "netloom is not whole: no module",
            "install netloom anew; if that does not help, please report it",
        ),
    ],
)
def test_what_keeps_a_change_from_beginning_is_told_with_its_own_remedy(
    error: BaseException, reason: str, remedy: str
) -> None:
    """Memory and files are asked about only where the errno speaks of them."""
    found = prevented(error)

    assert (found.reason, found.remedy) == (reason, remedy)


def test_words_of_an_answer_tell_its_number() -> None:
    """Where a program of others has printed them."""
    assert errno_of("RTNETLINK answers: File exists") == errno.EEXIST
    assert errno_of("No such file or directory") == errno.ENOENT
    assert errno_of("File exists, or so") is None
