"""What a command of a lab is to the model: what runs, what has done its work, what is missing."""

import pytest

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
