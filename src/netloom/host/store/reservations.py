"""What each lab has of the host, noted for all others: /run/netloom/host/LAB.

Two labs that come up at once must not choose the same subnet, port or name of an interface. So what
a lab asks of the host is looked for, chosen and noted under one lock of the machine, the folder's
(flock(2)), and made after that, when the lock is free again.

Rule 1: a note is on disk before anything of it is made, and says less only when that is gone. So
what an `up` that was killed has noted counts until it is led back, or until the next boot.
Rule 2: who has the lock has a note in the folder, be it an empty one: else the folder could be
removed, and made anew by others, who would lock another.
Rule 3: whoever knows a lab's name may read its note, since `ip address` shows all that anyway; the
folder is opened, and so locked, by its owner alone.
"""

import fcntl
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

from msgspec import Struct

from netloom.errors import Interrupted, Unavailable
from netloom.host.notes import decode, encode
from netloom.host.store.rundir import (
    LABS_DIR,
    NO_NOTE,
    RUN_DIR,
    lab_dir,
    remove,
    remove_empty,
)
from netloom.kernel import modes
from netloom.kernel.files import is_no_file, read
from netloom.kernel.procfs import boot_id, file_of, locks
from netloom.model.reservation import Reservation

HOST_DIR = f"{RUN_DIR}/host"
_FOLDER_MODE = 0o711

_PATIENCE = 1.0
"""Seconds before it is told whom we wait for."""

_PAUSE = 0.01
"""Seconds between two tries: flock(2) knows no deadline, and no handler that only takes note ends
it, while Ctrl-C must."""

Waiting = Callable[[str], None]
"""Is told, in a sentence, whom is waited for."""


class _Note(Struct, frozen=True):
    """A file: `host` is the cookie of the namespace that was the lab's `host`."""

    boot: str
    host: int
    reserved: Reservation
    lab: str = ""


# ── notes ─────────────────────────────────────────────────────────────────────────────────


def others(lab: str, host: int | None, run: str = "/run") -> Iterator[tuple[str, Reservation]]:
    """Yield what the other labs have of a host, None for any, by their notes below a /run.

    Raises `OSError` where they cannot be read.
    """
    try:
        labs = sorted(os.listdir(f"{run}/netloom/labs"))
    except FileNotFoundError:
        return
    for other in labs:
        note = _read(f"{run}/netloom/host/{other}", other) if other != lab else None
        if note and host in {None, note.host}:
            yield other, note.reserved


def _read(path: str, lab: str) -> _Note | None:
    """Return a lab's note of this boot; what is none says nothing, and what is there is seen."""
    try:
        note = decode(read(path), _Note)
    except (FileNotFoundError, PermissionError, *NO_NOTE):
        return None
    ours = note.lab in {"", lab}  # an older netloom's says not whose it is
    return note if ours and note.boot == boot_id() else None


class OwnNote:
    """The note of one lab. Who has the lock of the machine may reserve more than it says."""

    def __init__(self, lab: str, beside: str) -> None:
        """Be about this lab; a new note is written `beside`, a path on the same file system."""
        self.lab = lab
        self._path = f"{HOST_DIR}/{lab}"
        self._beside = beside
        self._folder = -1
        self._empty = False

    @property
    def trouble(self) -> str | None:
        """Why nothing could be noted, in words: something else stands in the note's place."""
        return f"{self._path} is no file" if is_no_file(self._path) else None

    def reserved(self) -> Reservation:
        """Return what the lab has reserved; raises `OSError` where that cannot be read."""
        note = _read(self._path, self.lab)
        return note.reserved if note else Reservation()

    def reserve(self, wanted: Reservation) -> None:
        """Note what the lab has of the host, in place of what was noted; raises `OSError`."""
        if wanted == Reservation():
            self._remove()
        elif wanted != self.reserved():
            from netloom.namespaces.enter import cookie_here

            note = encode(_Note(boot_id(), cookie_here(), wanted, self.lab))
            try:
                modes.write(self._beside, note, modes.PUBLIC)
                modes.make_dirs(HOST_DIR, _FOLDER_MODE)
                os.rename(self._beside, self._path)
            except OSError:
                with suppress(OSError):
                    os.unlink(self._beside)
                raise
            self._empty = False

    def _remove(self) -> None:
        """Remove the note, and the folder after the last; under the lock an empty note stays."""
        if self._folder >= 0:
            os.truncate(self._path, 0)
            self._empty = True
            return
        remove(self._path)
        remove_empty(HOST_DIR)

    def lock(self, stopped: Callable[[], bool], waiting: Waiting | None = None) -> None:
        """Have other labs wait that look for what is free on the host, until `unlock`.

        Whom it waits for itself longer than a second is told to `waiting`. Raises `Interrupted`
        when `stopped` says so, and `Unavailable` where nothing can be noted.

        Should: be called with the lab's own lock, by which those who wait know the lab.
        """
        while self._folder < 0:
            with suppress(FileNotFoundError):  # the last lab has just removed it
                self._folder, self._empty = _locked(self.lab, stopped, waiting)

    def unlock(self) -> None:
        """Let others look; twice is no harm. Raises `OSError` if an empty note stays."""
        folder, self._folder = self._folder, -1
        if folder >= 0:
            with suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_UN)  # a fork may have it as well
            with suppress(OSError):
                os.close(folder)
            if self._empty:
                self._remove()


# ── the lock ──────────────────────────────────────────────────────────────────────────────


def _locked(lab: str, stopped: Callable[[], bool], waiting: Waiting | None) -> tuple[int, bool]:
    """Return the folder, locked until it is closed, and whether the lab's note in it is empty.

    Raises FileNotFoundError where the folder was removed before it was locked.
    """
    with ExitStack() as stack:
        try:
            modes.make_dirs(HOST_DIR, _FOLDER_MODE)
            folder = os.open(HOST_DIR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, folder)
            _wait(folder, stopped, waiting)
            note = os.open(lab, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, modes.PUBLIC, dir_fd=folder)
            with open(note, "rb") as file:
                is_empty = not file.read(1)
        except FileNotFoundError:
            raise
        except OSError as error:
            _remove_if_empty(f"{HOST_DIR}/{lab}")
            raise Unavailable(f"cannot write in {HOST_DIR}: {error.strerror}") from error
        stack.pop_all()
        return folder, is_empty


def _remove_if_empty(note: str) -> None:
    with suppress(OSError):
        if os.stat(note).st_size == 0:
            os.unlink(note)
    remove_empty(HOST_DIR)


def _wait(folder: int, stopped: Callable[[], bool], waiting: Waiting | None) -> None:
    begun = time.monotonic()
    while not _is_locked(folder):
        if stopped():
            msg = "interrupted; nothing was touched"
            raise Interrupted(msg)
        if waiting and time.monotonic() - begun > _PATIENCE:
            with suppress(OSError):  # who cannot be told waits all the same
                waiting(f"waiting for {_holder(folder)}, which looks for what is free on the host")
            waiting = None
        select.select((), (), (), _PAUSE)


def _is_locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(folder: int) -> str:
    """Return who has the lock, as the kernel knows: the process, and the lab that it has locked."""
    pids = {file: pid for pid, file in locks()}
    pid = pids.get(file_of(os.fstat(folder)), 0)
    for lab in os.listdir(LABS_DIR):
        with suppress(FileNotFoundError):
            if pid and pids.get(file_of(os.stat(lab_dir(lab)))) == pid:
                return f"the lab `{lab}` (process {pid})"
    return f"process {pid}" if pid else "another netloom"
