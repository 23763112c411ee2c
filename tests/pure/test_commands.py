"""What a command of a lab is to the model: what runs, what has done its work, what is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.errors import TopologyError
from netloom.language.parse import parse
from netloom.language.unparse import unparse
from netloom.model.start_order import Circle, start_order
from netloom.render.text import plan_text
from netloom.testing import FakeMachine

LAB = """
namespaces:
  a:
    run:
      - {name: setup, command: make-it-so, ready: exit}
      - {name: once, command: do-it}
      - {name: server, command: serve, ready: tcp/80}
"""


def a_lab(text: str = LAB) -> FakeMachine:
    """Return a machine with a lab that is up."""
    machine = FakeMachine()
    machine.up(text)
    machine.forget_events()
    return machine


def changes(machine: FakeMachine, text: str = LAB) -> str:
    """Return what another `up` does."""
    return plan_text(machine.up(text).plan)


@pytest.mark.parametrize("name", ["setup", "once"])
def test_what_has_done_its_work_is_no_difference(name: str) -> None:
    """It ended with 0, and nobody said that it is to listen."""
    machine = a_lab()
    machine.end("a", name)

    assert machine.verify() == ()
    assert machine.up(LAB).plan == ()
    assert machine.events == []


@pytest.mark.parametrize(("name", "status"), [("setup", 1), ("once", -9), ("server", 0)])
def test_what_failed_or_was_to_go_on_is_one(name: str, status: int) -> None:
    """A server that ends well has ended all the same."""
    machine = a_lab()
    machine.end("a", name, status)

    assert changes(machine).splitlines()[0] == f"- run a {name}"
    assert machine.verify() == ()


def test_it_runs_again_when_its_text_changes() -> None:
    """And only it."""
    machine = a_lab()

    changed = changes(machine, LAB.replace("make-it-so", "make-it-otherwise"))

    assert changed == "- run a setup\n+ run a setup: make-it-otherwise\n2 changes"


def test_it_runs_again_when_its_namespace_is_made_anew() -> None:
    """What it set up went with the old one."""
    machine = a_lab()
    machine.down()

    assert "+ run a setup: make-it-so\n" in changes(machine)


def test_what_a_command_is_ready_by_starts_nothing_anew() -> None:
    """Not even where the same text is ready by something else in another namespace."""
    two = "namespaces: {a: {run: {command: x, ready: exit}}, b: {run: {command: x, ready: tcp/1}}}"
    machine = a_lab(two)

    assert machine.up(two.replace("tcp/1", "tcp/2")).plan == ()
    machine.end("b", "x")
    assert changes(machine, two) == "- run b x\n+ run b x: x\n2 changes"


def test_down_and_undo_know_of_it() -> None:
    """It is forgotten with its lab, and undo does not run it again."""
    machine = a_lab()
    machine.up(f"{LAB}  b:\n")
    machine.undo()
    assert machine.verify() == ()
    assert not [event for event in machine.events if "run" in event]

    machine.down()
    assert machine.netns() == {}


# ── order ─────────────────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3)))
def test_an_order_has_each_behind_those_before_it_or_there_is_a_circle(
    after: dict[str, list[str]],
) -> None:
    """All are in it, once; and a circle is one: each comes after the next."""
    try:
        order = start_order(after)
    except Circle as circle:
        keys = circle.keys
        assert all(b in after[a] for a, b in zip(keys, (*keys[1:], keys[0]), strict=True))
        return
    assert len(order) == len(set(order)) >= len(after)
    assert all(order.index(b) < order.index(a) for a in after for b in after[a])


@given(st.lists(NAMES, unique=True, min_size=1))
def test_what_has_an_order_has_one(names: list[str]) -> None:
    """However long the way is on which one comes after the other."""
    after = {name: names[: names.index(name)] for name in reversed(names)}

    assert start_order(after) == names


def test_a_very_long_order_is_one_too() -> None:
    """No recursion of Python's ends it."""
    number = 5000
    after = {str(n): [str(n + 1)] for n in range(number)}

    assert start_order(after) == [str(n) for n in range(number, -1, -1)]


ORDERED = """
namespaces:
  n:
    count: 2
    run: [{name: serve, command: s, after: set}, {name: set, command: x, ready: exit}]
  set: {run: {name: all, command: a, after: [n/serve, n]}}
"""


def test_a_name_is_a_command_first_then_a_namespace_then_a_count() -> None:
    """Each of a `count` comes after its own, and others after all of them."""
    machine = FakeMachine()
    commands = machine.up(ORDERED).desired.commands

    assert commands["n1/serve"].after == ("n1/set",)
    assert commands["n2/serve"].after == ("n2/set",)
    assert commands["set/all"].after == ("n1/serve", "n2/serve", "n1/set", "n2/set")
    assert machine.verify() == ()


def test_it_is_written_as_it_was_read() -> None:
    """One name alone, or a list of them."""
    topology = parse(ORDERED).topology

    assert parse(unparse(topology)).topology == topology


def test_a_change_of_the_order_starts_nothing_anew() -> None:
    """Nor does what a command is ready by."""
    machine = a_lab()

    assert machine.up(LAB.replace("command: serve", "command: serve, after: setup")).plan == ()
    assert machine.verify() == ()


# ── what others would write ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("run", "place", "hint"),
    [
        (
            "[python3, -m, http.server, 80]",
            (1, 35),
            "write `run: {command: [python3, -m, http.server, 80]}`",
        ),
        ('[curl, -H, "a: b"]', (1, 32), 'write `run: {command: [curl, -H, "a: b"]}`'),
        ("-x", (1, 25), "the program comes first"),
        ("{command: [-x, y]}", (1, 25), "the program comes first"),
    ],
)
def test_an_option_is_no_command(run: str, place: tuple[int, int], hint: str) -> None:
    """Docker's list is one command; here each of its words would be one."""
    with pytest.raises(TopologyError) as caught:
        FakeMachine().up(f"namespaces: {{web: {{run: {run}}}}}")

    (problem,) = caught.value.problems
    assert problem.mark is not None
    assert (problem.mark.line, problem.mark.column) == place
    assert (problem.hint, "is no command" in problem.message) == (hint, True)


@pytest.mark.parametrize(("text", "times"), [("no", 0), ("on-failure", -1), ("on-failure:3", 3)])
def test_what_starts_again_is_said_as_compose_says_it(text: str, times: int) -> None:
    """Another word is another command, which is started anew."""
    file = f"namespaces: {{a: {{run: {{name: x, command: y, restart: {text}}}}}}}"
    topology = parse(file).topology

    assert parse(unparse(topology)).topology == topology
    machine = a_lab(file)
    assert machine.up(file).desired.commands["a/x"].restart == times
    assert len(machine.up(file.replace(text, "on-failure:7")).plan) == 2


@pytest.mark.parametrize(
    "text", ["always", "unless-stopped", "on-failure:0", "on-failure:x", "yes"]
)
def test_what_starts_nothing_again_is_a_mistake(text: str) -> None:
    """With the word that does."""
    with pytest.raises(TopologyError) as caught:
        parse(f"namespaces: {{a: {{run: {{command: y, restart: {text}}}}}}}")

    (problem,) = caught.value.problems
    assert problem.hint.startswith("write `on-failure")
