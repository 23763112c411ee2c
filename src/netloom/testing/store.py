"""The memory of labs on a fake machine: what stands on disk on a real one, as bytes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Self

import msgspec

from netloom.host.store.journal import Journal, Pending, Record, Unreadable
from netloom.host.store.reservations import Waiting
from netloom.model.objects import File
from netloom.model.reservation import Reservation, reserved_by

Event = Callable[[str], object]
"""Is told of each write before it is made; a process may die there."""


class FakeDisk:
    """The notes of all labs, by lab and name, each as it would be written."""

    def __init__(self, event: Event) -> None:
        """Begin with nothing."""
        self.notes: dict[str, dict[str, bytes]] = {}
        self._event = event

    def labs(self) -> list[str]:
        """Return the labs that something is remembered of."""
        return sorted(self.notes)

    def read(self, lab: str, name: str) -> bytes | None:
        """Return a note, None if there is none."""
        return self.notes.get(lab, {}).get(name)

    def write(self, lab: str, name: str, data: bytes) -> None:
        """Write a note: afterwards it is whole, or as it was."""
        self._event(f"write {lab}/{name}")
        self.notes.setdefault(lab, {})[name] = data

    def remove(self, lab: str, name: str) -> None:
        """Remove a note, if it is there."""
        if name in self.notes.get(lab, {}):
            self._event(f"remove {lab}/{name}")
            del self.notes[lab][name]
        if not self.notes.get(lab, True):
            del self.notes[lab]


class FakeJournal(Journal):
    """The memory of one lab on a fake disk; its writes come in the order of the real one's."""

    def __init__(self, lab: str, disk: FakeDisk) -> None:
        """Remember which lab."""
        super().__init__(lab)
        self._disk = disk

    def __enter__(self) -> Self:
        """Lock nothing: nobody else is there."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave all as it is."""

    def lock_host(self, stopped: Callable[[], bool], waiting: Waiting | None = None) -> None:
        """Lock nothing: nobody else is there."""

    def reserved(self) -> Reservation:
        """Return what the lab has of the host by its notes; what cannot be read says nothing."""
        found = Reservation()
        with suppress(Unreadable):
            for note in (self.record(), self.pending()):
                earlier = note.earlier if isinstance(note, Pending) else ()
                found |= reserved_by([*earlier, note.desired], note.ports) if note else found
        return found

    def record(self) -> Record | None:
        """Return what was applied last; raises `Unreadable`."""
        data = self._disk.read(self.lab, "record")
        return None if data is None else self.decoded("record", data, Record)

    def pending(self) -> Pending | None:
        """Return the change that was begun and not finished; raises `Unreadable`."""
        data = self._disk.read(self.lab, "pending")
        return None if data is None else self.decoded("pending", data, Pending)

    def begin(self, pending: Pending, folders: Mapping[str, Mapping[str, File]]) -> None:  # noqa: ARG002 - nobody reads them here
        """Note a change before its first step."""
        self._disk.write(self.lab, "pending", msgspec.json.encode(pending))

    def commit(self, record: Record) -> None:
        """Note what is applied now; the change is over."""
        self._disk.write(self.lab, "record", msgspec.json.encode(record))
        self._disk.remove(self.lab, "pending")

    def forget(self) -> None:
        """Forget the lab."""
        for name in ("record", "pending", *self._undo()):
            self._disk.remove(self.lab, name)

    def push(self, past: Record | None) -> int:
        """Keep the state before a change; return its number."""
        number = max((int(name[5:]) for name in self._undo()), default=0) + 1
        nothing = Record(lab=self.lab, boot="", command="")
        self._disk.write(self.lab, f"undo/{number:06}", msgspec.json.encode(past or nothing))
        return number

    def pasts(self) -> Iterator[tuple[int, Record]]:
        """Yield the earlier states with their numbers, newest first; raises `Unreadable`."""
        for name in sorted(self._undo(), reverse=True):
            data = self._disk.read(self.lab, name)
            assert data is not None
            yield int(name[5:]), self.decoded(name, data, Record)

    def pop(self, number: int) -> None:
        """Forget an earlier state and those after it."""
        for name in self._undo():
            if int(name[5:]) >= number:
                self._disk.remove(self.lab, name)

    def _undo(self) -> list[str]:
        return [name for name in self._disk.notes.get(self.lab, {}) if name.startswith("undo/")]
