"""What is known of a lab when a verb comes to it, and what follows.

Two notes say what is known (`host/store/journal.py`): the record, which is what was applied last,
and a pending change, which was begun and did not come to its end. Together they are the lab's
state, and what a verb does follows from that and from nothing else. Per cell: where to, and where
back to if that is refused or interrupted.

    state         record  pending   up               undo             down
    ABSENT        -       -         FILE, SEEN       (none to undo)   NOTHING, by the marks
    UP            yes     -         FILE, SEEN       PAST, SEEN       NOTHING
    BEGUN         -       yes       FILE, NOTHING    NOTHING          NOTHING
    CHANGING      yes     yes       FILE, RECORD     RECORD           NOTHING
    UNREADABLE    one cannot be     (refused)        (refused)        NOTHING, by the marks

A crash leaves BEGUN or CHANGING: any verb that comes next is the way on. `down` never leads back:
it goes on over what is refused, tells all of it, and leaves the state for the next `down`.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from netloom.errors import Unavailable
from netloom.host.store.journal import Journal, Pending, Record, Unreadable
from netloom.model.identity import Identities
from netloom.model.objects import Desired

if TYPE_CHECKING:
    from netloom.plan.fence import Fence

# ── the table ─────────────────────────────────────────────────────────────────────────────


class State(Enum):
    """What is known of a lab when a verb comes to it."""

    ABSENT = auto()
    UP = auto()
    BEGUN = auto()
    CHANGING = auto()
    UNREADABLE = auto()


class Goal(Enum):
    """Where a change leads: to what a file says, to an earlier state, or to what is recorded."""

    FILE = auto()
    PAST = auto()
    RECORD = auto()
    NOTHING = auto()


class Back(Enum):
    """Where a refusal leads: to what was seen before, to what is recorded, to nothing.

    Or nowhere (`ON`): the change goes on, and what was refused is told at its end.
    """

    SEEN = auto()
    RECORD = auto()
    NOTHING = auto()
    ON = auto()


Verb = Literal["up", "undo", "down"]


class Cell(Struct, frozen=True):
    """What follows when a verb comes to a state."""

    goal: Goal
    back: Back


TABLE: Mapping[tuple[State, Verb], Cell | None] = {
    (State.ABSENT, "up"): Cell(Goal.FILE, Back.SEEN),
    (State.UP, "up"): Cell(Goal.FILE, Back.SEEN),
    (State.BEGUN, "up"): Cell(Goal.FILE, Back.NOTHING),
    (State.CHANGING, "up"): Cell(Goal.FILE, Back.RECORD),
    (State.UNREADABLE, "up"): None,
    (State.ABSENT, "undo"): None,
    (State.UP, "undo"): Cell(Goal.PAST, Back.SEEN),
    (State.BEGUN, "undo"): Cell(Goal.NOTHING, Back.NOTHING),
    (State.CHANGING, "undo"): Cell(Goal.RECORD, Back.RECORD),
    (State.UNREADABLE, "undo"): None,
    (State.ABSENT, "down"): Cell(Goal.NOTHING, Back.ON),
    (State.UP, "down"): Cell(Goal.NOTHING, Back.ON),
    (State.BEGUN, "down"): Cell(Goal.NOTHING, Back.ON),
    (State.CHANGING, "down"): Cell(Goal.NOTHING, Back.ON),
    (State.UNREADABLE, "down"): Cell(Goal.NOTHING, Back.ON),
}
"""What follows; None: there is nothing to do, or (UNREADABLE) nothing that may be done."""


# ── what is known ─────────────────────────────────────────────────────────────────────────


class LabNotes(Struct, frozen=True):
    """The two notes of a lab, as far as they can be read; `trouble` says why one cannot."""

    lab: str
    record: Record | None = None
    pending: Pending | None = None
    trouble: Unreadable | None = None

    @property
    def state(self) -> State:
        """The state that the two notes are.

        A change whose record is in place has come to its end, whether its note is gone or not.
        """
        if self.trouble:
            return State.UNREADABLE
        if self.pending is None:
            return State.UP if self.record else State.ABSENT
        if self.record is None:
            return State.BEGUN
        return State.UP if self.record.desired == self.pending.desired else State.CHANGING

    @property
    def states(self) -> list[Desired]:
        """All that may be there: what was applied, and what changes not finished led to."""
        found = [self.record.desired] if self.record else []
        if self.pending:
            found += [*self.pending.earlier, self.pending.desired]
        return found

    @property
    def unpublished(self) -> frozenset[str]:
        """Names that a killed change may have left as files with nothing mounted on them."""
        return self.pending.names if self.pending else frozenset()

    @property
    def identities(self) -> Identities:
        """What the lab's things are known by; a change that has not ended knows it best."""
        record = self.record.identities if self.record else {}
        pending = self.pending.identities if self.pending else {}
        return record if self.state is State.UP else pending or record

    @property
    def fence(self) -> "Fence":
        """What tells the lab's things from those of others: their marks, where no note does."""
        from netloom.plan.fence import Fence

        by_mark = not self.identities and (self.record is not None or self.pending is None)
        states = tuple(self.states)
        return Fence(self.lab, states, self.identities, self.unpublished, by_mark=by_mark)

    def row(self, verb: Verb) -> Cell | None:
        """Return what follows when a verb comes; raises `Unavailable` where nothing may."""
        if self.trouble and TABLE[self.state, verb] is None:
            reason = self.trouble.reason
            marks = f"netloom down {self.lab} removes what bears its marks, then netloom up"
            remedy = self.trouble.remedy or marks
            raise Unavailable(reason, remedy) from self.trouble
        return TABLE[self.state, verb]


def known(journal: Journal) -> LabNotes:
    """Return what is known of a lab; raises `Unavailable` where it may not be read."""
    notes: dict[str, Record | Pending | None] = {}
    trouble = None
    for name, read in (("record", journal.record), ("pending", journal.pending)):
        try:
            notes[name] = read()
        except Unreadable as error:
            trouble = trouble or error
    return LabNotes(journal.lab, trouble=trouble, **notes)  # type: ignore[arg-type] # by their names
