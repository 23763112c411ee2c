"""A step or a kind of link that is added and forgotten somewhere is a mistake that mypy shows.

So each is told apart by a `match` whose last case is `assert_never`, or by a fact that every kind
has. What asks for one of them alone is listed here, with the reason why no new one can be meant.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from netloom.model.objects import WORDS, Kind, Link, NetnsState
from netloom.plan.mutable import MutableNetns
from netloom.plan.steps import InNetns, LinkSet, LinkStep, NetnsStep, OnLink, Step
from tests.house.trees import nodes, parsed

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "netloom"
STEPS = {step.__name__ for step in get_args(Step)}
KINDS = {kind.__name__ for kind in get_args(Kind)}

ALONE = {
    "Loopback": "a namespace has one `lo`, and no other link is like it",
    "Borrowed": "what is not the lab's is one kind, whatever it is to its owner",
    "NetnsAdd": "who makes namespaces: names are claimed, sockets prepared",
    "NetnsDel": "who deletes namespaces: what is in them goes along",
    "NameDel": "whose name is remembered until it is done",
    "LinkAdd": "a link that was just made is told in one line",
    "LinkDel": "links are deleted together, and what of others hangs on them is asked before",
    "RunStop": "commands end before anything else does",
    "EtcSet": "its files stand beside the plan",
}
"""Steps and kinds that may be asked for by isinstance."""

OPEN = {
    "shown_steps": "a step that it does not name is told",
    "check_plan": "a step that it does not name writes nothing below /proc/sys",
    "_AT_ONCE": "a step that is not in it is carried out by itself",
    "uplink_facts_here": "bridges of the host, whoever has made them",
    "_on_host": "bridges of the host, whoever has made them",
    "_remedy": "a step that it does not name has none that is known",
    "hindrances": "a bridge of the host cannot be the port of another",
}
"""Functions and tables that need not name all, each with its reason."""


def names(node: ast.AST) -> set[str]:
    """Return the names of steps and kinds that an expression or a pattern has, and their words."""
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    found |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return found & (STEPS | KINDS)


def words(nodes: list[ast.expr]) -> set[str]:
    """Return the kernel's words for kinds that are written out."""
    return {str(node.value) for node in nodes if isinstance(node, ast.Constant)} & set(WORDS)


def is_whole(match: ast.Match) -> bool:
    """Whether mypy sees to it that a match names all."""
    match match.cases[-1]:
        case ast.match_case(
            pattern=ast.MatchAs(pattern=None),
            body=[ast.Expr(value=ast.Call(func=ast.Name(id="assert_never")))],
        ):
            return True
    return False


def subjects(match: ast.Match) -> set[str]:
    """Return the steps and kinds that the cases of a match are for, by their names and words."""
    patterns = [case.pattern for case in match.cases]
    flat = [
        p for one in patterns for p in (one.patterns if isinstance(one, ast.MatchOr) else [one])
    ]
    classes = [p.cls for p in flat if isinstance(p, ast.MatchClass)]
    values = [p.value for p in flat if isinstance(p, ast.MatchValue)]
    return {name for one in classes for name in names(one)} | words(values)


def asked(node: ast.AST) -> set[str]:
    """Return which steps and kinds are asked for here in a way that a new one falls through."""
    match node:
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, classes]):
            return names(classes) - ALONE.keys()
        case ast.Compare(left=ast.Attribute(attr="kind" | "word")):
            return words(node.comparators)
        case ast.Compare(left=ast.Call(func=ast.Name(id="type"))):
            return {name for one in node.comparators for name in names(one)} - ALONE.keys()
        case ast.Match() if not is_whole(node):
            return subjects(node)
        case ast.Dict():
            return {name for key in node.keys if key for name in names(key)}
    return set()


def wrongs(node: ast.AST, where: str = "") -> Iterator[str]:
    """Yield where one is asked for so, but in what is listed above."""
    match node:
        case ast.FunctionDef(name=name):
            where = name
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            where = where or name
    if where in OPEN:
        return
    if isinstance(node, ast.expr | ast.stmt) and (found := asked(node)):
        yield f"{node.lineno} in {where}: {', '.join(sorted(found))}"
    for child in ast.iter_child_nodes(node):
        yield from wrongs(child, where)


def test_a_step_or_a_kind_is_asked_for_where_none_can_be_forgotten() -> None:
    """By a `match` that ends in `assert_never`, or by a fact of the kind; all else is listed."""
    found = [
        f"{path.relative_to(ROOT)}:{wrong}"
        for path in sorted(SRC.rglob("*.py"))
        for wrong in wrongs(parsed(path))
    ]
    remedy = "match all of them, `case _: assert_never(…)`; or list it above, with the reason"

    assert found == [], remedy


def test_what_is_listed_is_there() -> None:
    """An exception whose reason has gone goes, too."""
    every = [node for path in SRC.rglob("*.py") for node in nodes(path)]
    alone = {name for node in every if isinstance(node, ast.Call) for name in names(node)}
    there = {node.name for node in every if isinstance(node, ast.FunctionDef)}
    there |= {node.id for node in every if isinstance(node, ast.Name)}

    assert alone >= ALONE.keys()
    assert there >= OPEN.keys()


@pytest.mark.parametrize(
    "text",
    [
        "isinstance(link.kind, Bridge)",
        "isinstance(step, steps.AddrAdd | steps.AddrDel)",
        "link.kind.word == 'veth'",
        "type(step) is steps.RouteAdd",
        "TABLE = {steps.AddrAdd: add}",
        "match kind:\n  case Veth():\n    pass",
        "match kind:\n  case Veth() | Bridge():\n    pass\n  case _:\n    pass",
        "match word:\n  case 'veth':\n    pass\n  case _:\n    raise ValueError",
    ],
)
def test_a_planted_wrong_is_found(text: str) -> None:
    """A rule that finds nothing proves nothing: each of these must be caught."""
    assert list(wrongs(ast.parse(text)))


def test_steps_are_in_the_half_that_they_derive_from() -> None:
    """`OnLink` and `InNetns` part the union, and each table of steps in two."""
    assert all(issubclass(step, OnLink) for step in get_args(LinkStep))
    assert all(issubclass(step, InNetns) for step in get_args(NetnsStep))


def test_each_word_of_the_kernel_is_a_kind_and_each_kind_tells_its_word() -> None:
    """`WORDS` are the kinds that a lab makes, no more and no fewer."""
    told = [kind.word for kind in get_args(Kind) if kind.word]

    assert Counter(told) == Counter(WORDS)


def test_each_step_is_in_some_plan() -> None:
    """What `diff` never yields would never be carried out."""
    calls = (
        node.func
        for path in (SRC / "plan").glob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Call)
    )

    assert {name for call in calls for name in names(call)} >= STEPS


def test_a_namespace_that_is_changed_keeps_all_that_it_has() -> None:
    """`MutableNetns` has every field of `NetnsState`: else it is lost with the first step."""
    assert set(MutableNetns.__slots__) == set(NetnsState.__struct_fields__)
    assert MutableNetns(netns := NetnsState(etc="digest", borrowed=True)).frozen() == netns


def test_each_fact_of_a_link_can_be_set() -> None:
    """`LinkSet` has all that `Link` has, but for what has steps of its own."""
    own = {"altnames", "addrs"}

    assert set(Link.__struct_fields__) - own <= set(LinkSet.__struct_fields__)


# ── added to a copy, and forgotten everywhere ─────────────────────────────────────────────────────

STEP = """class {name}({base}, frozen=True, tag="{name}"):
    \"\"\"A step that nobody knows.\"\"\"


"""
KIND = """class Vlan(Struct, frozen=True, tag="vlan"):
    \"\"\"A kind that says nothing of itself.\"\"\"

    id: int = 1


"""
TABLES = {
    *(
        "host/apply/execute.py",
        "host/apply/executor.py",
        "plan/simulate.py",
        "render/script.py",
        "render/text.py",
    ),
}
"""Where each step has its line."""
COMPLAINT = re.compile(r"^src/netloom/(\S+?):(\d+): error: (.*)", re.MULTILINE)


def change(path: Path, *pairs: tuple[str, str]) -> None:
    """Put a text in the place of another, which is there once."""
    text = path.read_text()
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)


def places(src: Path, asked: set[str]) -> set[tuple[str, int]]:
    """Return file and line of each `assert_never` behind the cases for some steps or kinds."""
    return {
        (str(path.relative_to(src)), node.cases[-1].body[0].lineno)
        for path in src.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Match) and is_whole(node) and subjects(node) & asked
    }


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source with a kind and two steps that nothing knows."""
    root = tmp_path_factory.mktemp("copy")
    src = root / "src" / "netloom"
    shutil.copytree(SRC, src, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    one = STEP.format(name="NeighAdd", base="OnLink")
    two = STEP.format(name="NexthopAdd", base="InNetns")
    change(
        src / "plan" / "steps.py",
        ("LinkStep = (", f"{one}{two}LinkStep = (NeighAdd | "),
        ("NetnsStep = (", "NetnsStep = (NexthopAdd | "),
    )
    change(
        src / "model" / "objects.py",
        ("Kind = Loopback", f"{KIND}Kind = Vlan | Loopback"),
        ("Word = Literal[", 'Word = Literal["vlan", '),
    )
    return src


@pytest.fixture(scope="module")
def said(copy: Path) -> list[tuple[str, int, str]]:
    """Return file, line and words of each complaint of mypy about the copy."""
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, "src"],
        cwd=copy.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return [(file, int(line), words) for file, line, words in COMPLAINT.findall(ran.stdout)]


@pytest.mark.long
def test_each_table_of_steps_misses_the_new_one(said: list[tuple[str, int, str]]) -> None:
    """A step that is forgotten in a table is told by mypy: one complaint for each table."""
    for new in ("NeighAdd", "NexthopAdd"):
        assert Counter(file for file, _, words in said if new in words) == Counter(TABLES)


@pytest.mark.long
def test_each_place_that_asks_for_a_kind_misses_the_new_one(
    copy: Path, said: list[tuple[str, int, str]]
) -> None:
    """A kind that is forgotten is told by mypy, at every `match` and for every fact it owes."""
    found = Counter((file, line) for file, line, words in said if "assert_never" in words)
    of_kinds = {file for file, _ in places(copy, KINDS | set(WORDS))}
    facts = {word for _, _, text in said for word in re.findall(r'has no attribute "(\w+)"', text)}

    assert found == Counter(places(copy, STEPS | KINDS | set(WORDS)))
    assert of_kinds == {"render/script.py", "wire/kinds.py"}
    assert facts == {"word", "peer", "takes_ports", "in_place", "why_kept"}
