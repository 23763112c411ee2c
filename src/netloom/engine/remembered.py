"""What is remembered of labs: which there are, and the states that `undo` can go back to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from netloom.engine.state import LabNotes, State, known
from netloom.engine.untouched import untouched
from netloom.host.local import LocalMachine
from netloom.host.store.rundir import Anothers
from netloom.model.objects import NetnsState

if TYPE_CHECKING:
    from netloom.host.machine import Machine


class Past(NamedTuple):
    """A state that `undo` can go back to."""

    number: int
    command: str
    namespaces: int


ANOTHERS = "another user's"
"""The state of a lab of which the name is told, and no more."""


class Running(NamedTuple):
    """A lab that is remembered.

    `state`: `up`, `interrupted`, `gone` with a reboot, `unreadable`, or `ANOTHERS`.
    """

    lab: str
    state: str
    source: str
    namespaces: int


@untouched()
def pasts(lab: str, machine: "Machine | None" = None) -> list[Past]:
    """Return the states that `undo` can go back to, newest first."""
    return [
        Past(number, past.command or "nothing", max(0, len(past.desired.netns) - 1))
        for number, past in (machine or LocalMachine()).journal(lab).pasts()
    ]


@untouched()
def labs(machine: "Machine | None" = None) -> list[Running]:
    """Return all labs that something is remembered of, also where that cannot be read."""
    machine = machine or LocalMachine()
    return [row for name in machine.labs() for row in _rows(name, machine)]


def _rows(name: str, machine: "Machine") -> Iterator[Running]:
    try:
        there = known(machine.journal(name))
    except Anothers:
        yield Running(name, ANOTHERS, "", 0)
        return
    notes = there.record or there.pending
    if notes is None and there.trouble is None:
        return  # another netloom is about to make it, or to forget it
    source = there.record.source if there.record else ""
    inside = sum(_is_member(netns) for netns in notes.desired.netns.values()) if notes else 0
    yield Running(name, _state(there, machine.boot), source, inside)


def _state(there: LabNotes, boot: str) -> str:
    if there.trouble:
        return "unreadable"
    if any(note and note.boot != boot for note in (there.record, there.pending)):
        return "gone"
    return "up" if there.state is State.UP else "interrupted"


def _is_member(netns: NetnsState) -> bool:
    """Whether the user named a namespace: then it has files in /etc, the lab's own has none."""
    return bool(netns.etc)
