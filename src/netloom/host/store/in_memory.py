"""The memory of a lab that ends with its program: held by the program, not by the disk."""

from collections.abc import Callable
from typing import Self

from netloom.host.store import etc_folders
from netloom.host.store.journal import Journal, Pending, Record
from netloom.host.store.reservations import Waiting
from netloom.host.store.rundir import remove


class MemoryJournal(Journal):
    """The memory of a lab that nobody but its program knows, and that ends with it.

    On disk are the files that namespaces see in /etc, no more.

    Mustn't: be used where changes are made in children (`in_child.py`): theirs is lost with them.
    """

    lasts = False

    def __init__(self, lab: str) -> None:
        """Remember nothing yet."""
        super().__init__(lab)
        self._applied: Record | None = None
        self._begun: Pending | None = None

    def __enter__(self) -> Self:
        """Lock nothing: the lab's own lock is for all of its threads."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave all as it is."""

    def lock_host(self, stopped: Callable[[], bool], waiting: Waiting | None = None) -> None:
        """Lock nothing: no other lab is there."""

    def record(self) -> Record | None:
        """Return what was applied last, None if nothing is."""
        return self._applied

    def pending(self) -> Pending | None:
        """Return the change that was begun and could not be undone, None if there is none."""
        return self._begun

    def _note(self, pending: Pending) -> None:
        self._begun = pending

    def commit(self, record: Record) -> None:
        """Remember what is applied now; the change is over."""
        self._applied, self._begun = record, None
        etc_folders.drop_unused(self.dir, record.desired)

    def abort(self, record: Record | None) -> None:
        """Note that the change has been undone."""
        self.commit(record) if record else self.forget()

    def forget(self) -> None:
        """Remember nothing any more."""
        self._applied = self._begun = None
        for folder in ("files", "own", "logs", "run"):
            remove(f"{self.dir}/{folder}")

    def push(self, past: Record | None) -> int:  # noqa: ARG002 - the shape of a journal
        """Keep nothing: a program that wants to go back says so."""
        return 0
