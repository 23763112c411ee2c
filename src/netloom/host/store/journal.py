"""What netloom remembers of a lab, on disk before it acts: /run/netloom/labs/LAB.

    record    what was applied last: the desired state, derived addresses, the file's text
    pending   what is being changed right now: what will be made, and the state before
    files/    folders with what namespaces of the lab see in /etc (hosts, resolv.conf), by digest
    undo/     states before earlier changes, newest last

What of it is the host's others must know, too: `reservations.py`.

Rule 1: `pending` is complete before the first step, and goes only after `record` is in place.
Whoever finds a `pending` knows that somebody was killed, and by which names and MAC addresses to
tell what had been made already and not been marked yet.
Rule 2: a file is written beside its place and renamed, so it is either whole or not there.
Rule 3: the folder of a lab is its lock. It goes when nothing is in it, and the folders above it
too: no trace.

/run is no tmpfs everywhere, so everything carries the boot id.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from netloom.errors import Unavailable
from netloom.host.notes import decode, encode
from netloom.host.store import etc_folders
from netloom.host.store.lablock import LabLock
from netloom.host.store.reservations import OwnNote, Waiting
from netloom.host.store.rundir import (
    LABS_DIR,
    NO_NOTE,
    RUN_DIR,
    cannot_write,
    check_own,
    lab_dir,
    make_lab_dir,
    remove,
)
from netloom.kernel import modes
from netloom.kernel.files import exists, is_dir, read
from netloom.kernel.procfs import boot_id
from netloom.model.facts import Allocations
from netloom.model.firewall import BridgeNeed, ForwardNeed
from netloom.model.identity import Identities
from netloom.model.objects import NOTHING, Desired, File
from netloom.model.reservation import HostPort, Reservation, reserved_by

if TYPE_CHECKING:
    from netloom.plan.steps import Plan

VERSION = 3
_BROKEN = {errno.EIO, errno.EINVAL}  # a bad disk, or no file: not the next time, either
_FOLDERS = ("files", "own", "undo", "logs", "run")
_KEPT = 10
"""How many earlier states `undo` can go back to."""


class Record(Struct, frozen=True):
    """What was applied last. `source` is the file it came from, `text` what stood there.

    A text without a file came from what Python calls so (`<stdin>`). `since` is when the lab was
    made (time.time()), `renamed` whether its name is neither the text's nor the file's.
    `through` is what the firewalls of others must let pass, `ports` those of the host that lead in,
    `identities` what it is all known by.
    """

    lab: str
    boot: str
    desired: Desired = NOTHING
    held: Allocations = Allocations()
    source: str = ""
    text: str = ""
    command: str = "up"
    version: int = VERSION
    through: tuple[BridgeNeed | ForwardNeed, ...] = ()
    ports: frozenset[HostPort] = frozenset()
    identities: Identities = {}
    since: float = 0.0
    renamed: bool = False


class Unreadable(Unavailable):
    """A note of a lab is there and cannot be read: cut, of another version, another lab's."""


class Pending(Struct, frozen=True):
    """A change that has begun, towards `desired`: names and MAC addresses of all that it will make.

    `names` are the namespaces that will be made or will go: a file of such a name on which nothing
    is mounted is one that we had not mounted on yet, or no longer. `earlier` are the states that
    changes before this one led to, if they were not finished either; `ports` are those of all.
    `identities` are what the lab's things were known by when it began.
    """

    lab: str
    boot: str
    names: frozenset[str] = frozenset()
    desired: Desired = NOTHING
    earlier: tuple[Desired, ...] = ()
    version: int = VERSION
    ports: frozenset[HostPort] = frozenset()
    identities: Identities = {}


_Note = TypeVar("_Note", Record, Pending)


def pending_change(
    steps: "Plan", wanted: Record, unfinished: Pending | None, identities: Identities
) -> Pending:
    """Return what to remember while `steps` lead to what is wanted, after a change not finished."""
    from netloom.plan.steps import NameDel, NetnsAdd, NetnsDel

    names = {step.netns for step in steps if isinstance(step, NetnsAdd | NetnsDel | NameDel)}
    earlier: tuple[Desired, ...] = ()
    if unfinished:
        names |= unfinished.names
        earlier = (*unfinished.earlier, unfinished.desired)
    return Pending(
        lab=wanted.lab,
        boot=wanted.boot,
        names=frozenset(names),
        desired=wanted.desired,
        earlier=tuple(state for state in earlier if state not in (NOTHING, wanted.desired)),
        ports=wanted.ports | (unfinished.ports if unfinished else frozenset()),
        identities=identities,
    )


class _Versioned(Struct):
    version: int = 0


def labs() -> list[str]:
    """Return the names of the labs that something is remembered of; what is no text is no name."""
    with suppress(FileNotFoundError):
        return sorted(name for name in os.listdir(LABS_DIR) if name.isprintable())
    return []


def files_dir(lab: str) -> str:
    """Return the folder of the files that namespaces of a lab see."""
    return f"{lab_dir(lab)}/files"


def has_runs(lab: str) -> bool:
    """Whether anything is remembered of a lab's commands."""
    return is_dir(f"{lab_dir(lab)}/run")


class Journal:
    """The memory of one lab. As a context manager it holds the lab's lock, and tidies up."""

    lasts = True
    """Whether anybody can come back to it when the process has ended."""

    def __init__(self, lab: str) -> None:
        """Remember which lab; nothing is read or made yet."""
        self.lab = lab
        self.dir = lab_dir(lab)
        self._lock = LabLock(lab)
        self.host = OwnNote(lab, f"{self.dir}/host.new")

    def __enter__(self) -> Self:
        """Take the lock, without waiting for another netloom that has it."""
        from netloom.namespaces.private_run import make_run_writable

        make_run_writable()
        check_own(RUN_DIR, LABS_DIR, self.dir)
        self._lock.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the folders that are empty, and let go of the locks.

        What an `up` that was killed had noted of the host, before it noted a change, is of nothing.
        """
        with suppress(OSError):  # what was done is done
            self.host.unlock()
            if not any(exists(f"{self.dir}/{name}") for name in ("record", "pending")):
                self.host.reserve(Reservation())
        self._lock.let_go()

    def lock_host(self, stopped: Callable[[], bool], waiting: Waiting | None = None) -> None:
        """Have other labs wait that look for what is free on the host, until `begin` or the end.

        Raises `Interrupted` and `Unavailable` (`reservations.py`).
        """
        self.host.lock(stopped, waiting)

    # ── record and pending ────────────────────────────────────────────────────────────────────

    def record(self) -> Record | None:
        """Return what was applied last, None if nothing is."""
        return self._read("record", Record)

    def pending(self) -> Pending | None:
        """Return the change that was begun and not finished, None if there is none."""
        return self._read("pending", Pending)

    def _read(self, name: str, kind: type[_Note]) -> _Note | None:
        """Return a note, None if there is none.

        Raises `Unreadable`, `Unavailable` where somebody else might read it, and `OSError`.
        """
        self._check()
        path = f"{self.dir}/{name}"
        try:
            data = read(path)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise Unavailable(f"may not read {path}", "run it as root") from error
        except OSError as error:
            if error.errno not in _BROKEN:
                raise  # out of memory, or of open files: with the next try it can be read
            raise self._unreadable(name, str(error.strerror)) from error
        note = self.decoded(name, data, kind)
        return note if note.boot == boot_id() else replace(note, identities={})

    def _check(self) -> None:
        """Raise `Unreadable`, or `Unavailable`, where others might have written, or may not read.

        What is removed with the lab must be its own: a link leads to somebody else's.
        """
        check_own(RUN_DIR, LABS_DIR)
        check_own(self.dir, kind=Unreadable)
        for folder in _FOLDERS:
            if why := modes.why_untrusted(f"{self.dir}/{folder}"):
                raise Unreadable(f"cannot trust what netloom remembers: {why}")
        if trouble := self.host.trouble:
            raise Unreadable(trouble)

    def decoded(self, name: str, data: bytes, kind: type[_Note]) -> _Note:
        """Return the note that some bytes are; raises `Unreadable` where they are none of ours."""
        try:
            note = decode(data, kind)
        except NO_NOTE as error:
            raise self._unreadable(name, _written_by(data) or str(error)) from error
        if note.version != VERSION:
            raise self._unreadable(name, _another(note.version))
        if note.lab != self.lab:
            raise self._unreadable(name, f"it is of the lab `{note.lab}`")
        return note

    def _unreadable(self, name: str, why: str) -> Unreadable:
        path = f"{self.dir}/{name}"
        remedy = f"rm {path}: undo goes to the state before that one" if "/" in name else ""
        return Unreadable(f"{path} cannot be read: {why}", remedy)

    def _note(self, pending: Pending) -> None:
        self._write("pending", encode(pending))

    def begin(self, pending: Pending, folders: Mapping[str, Mapping[str, File]]) -> None:
        """Put on disk what folders will be needed, and last what is made; raises `Unavailable`.

        What others must not take stands there before that; from now on they may look for theirs.
        """
        files = f"{self.dir}/files"
        new = [digest for digest in folders if not exists(f"{files}/{digest}")]
        held: Reservation | None = None
        try:
            held = self.host.reserved()
            if new:
                make_lab_dir(self.lab, "files")
            for digest in new:
                etc_folders.write(self.dir, digest, folders[digest])
            states = [*pending.earlier, pending.desired]
            self.host.reserve(held | reserved_by(states, pending.ports))
            self._note(pending)
            self.host.unlock()
        except OSError as error:
            if held is not None:
                with suppress(OSError):
                    self.host.reserve(held)
            for digest in new:
                with suppress(OSError):  # it goes with the lab
                    remove(f"{files}/{digest}")
                    remove(f"{files}/{digest}.new")
            with suppress(OSError):
                etc_folders.drop_own(self.dir)
            raise cannot_write(self.dir, "a change", error) from error

    def commit(self, record: Record) -> None:
        """Put on disk what is applied now; raises `OSError` where that cannot be.

        With that the change is over: what is of no use any more, and stays, harms nobody.
        """
        self._write("record", encode(record))
        with suppress(OSError):
            remove(f"{self.dir}/pending")
        with suppress(OSError):
            etc_folders.drop_unused(self.dir, record.desired)
        with suppress(OSError):
            self.host.reserve(reserved_by([record.desired], record.ports))

    def abort(self, record: Record | None) -> None:
        """Note that the change has been undone: what was applied before it holds again.

        Raises `OSError` where that cannot be noted.
        """
        if record is None:
            self.forget()
        else:
            with suppress(OSError):  # what the change had brought along makes room
                etc_folders.drop_unused(self.dir, record.desired)
            self.commit(record)
            # If that could not be: with it, this record is not the last.
            remove(f"{self.dir}/pending")

    def forget(self) -> None:
        """Forget the lab: nothing of it is left on the machine; nor of a file half written.

        The record goes first: who is killed in between leaves a change that was begun.

        What stands below `run` by now was never begun: a start is noted before anything is forked.
        """
        self.host.reserve(Reservation())
        for name in ("record", "pending", "pending.new", "record.new", "host.new", *_FOLDERS):
            remove(f"{self.dir}/{name}")

    def _write(self, name: str, data: bytes) -> None:
        modes.replace(f"{self.dir}/{name}", data, modes.PRIVATE)

    # ── undo ──────────────────────────────────────────────────────────────────────────────────

    def push(self, past: Record | None) -> int:
        """Keep the state before a change; return its number."""
        make_lab_dir(self.lab, "undo")
        numbers = self._numbers()
        number = (numbers[-1] if numbers else 0) + 1
        nothing = Record(lab=self.lab, boot="", command="")
        kept = replace(past or nothing, identities={})  # when it is led back to, it is made anew
        self._write(f"undo/{number:06}", encode(kept))
        for old in numbers[: -_KEPT + 1]:
            with suppress(OSError):  # it goes with the next
                remove(f"{self.dir}/undo/{old:06}")
        return number

    def pasts(self) -> Iterator[tuple[int, Record]]:
        """Yield the earlier states with their numbers, newest first."""
        for number in reversed(self._numbers()):
            past = self._read(f"undo/{number:06}", Record)
            if past is not None:
                yield number, past

    def pop(self, number: int) -> None:
        """Forget an earlier state and those after it."""
        for later in self._numbers():
            if later >= number:
                remove(f"{self.dir}/undo/{later:06}")

    def _numbers(self) -> list[int]:
        try:
            return sorted(int(name) for name in os.listdir(f"{self.dir}/undo") if name.isdecimal())
        except FileNotFoundError:
            return []


def _written_by(data: bytes) -> str | None:
    """Return whose a note is that this netloom has no words for, None if nothing tells."""
    with suppress(*NO_NOTE):
        version = decode(data, _Versioned).version
        return None if version in {0, VERSION} else _another(version)
    return None


def _another(version: int) -> str:
    age = "a newer" if version > VERSION else "an older"
    return f"{age} netloom wrote it (version {version})"
