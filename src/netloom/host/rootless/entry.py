"""The namespaces of a plain user, held by two processes, and found again by whoever that user is.

Without root there is a user namespace in which the user is. It needs somebody to live in it as long
as it has labs (`daemon.py`). Every command of the user moves into it first, while it has one
thread itself (setns(2)), and finds there what root finds on the machine: a network with `lo`, a
/run of its own. When the last lab is gone, so are the two, and with them everything.

    DIR/entry-lock held by one at a time, who enters or tidies
    DIR/lock       held, shared, by every command inside; who wants to end the two needs it alone
    DIR/holder     their numbers and starts

DIR is $XDG_RUNTIME_DIR/netloom, /run/user/UID/netloom or /tmp/netloom-UID: the first in which they
live, since a shell of cron or su is told less than others; else the first. It must be the user's
own.
"""

import fcntl
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from netloom.errors import Unavailable
from netloom.kernel import modes, process, syscalls
from netloom.kernel.files import is_dir
from netloom.namespaces.enter import same_folder
from netloom.namespaces.userns_session import is_used

_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_ORDER = (
    ("user", syscalls.CLONE_NEWUSER),
    ("mnt", syscalls.CLONE_NEWNS),
    ("net", syscalls.CLONE_NEWNET),
)
_PATIENCE = 30.0
"""Seconds that one of the two, left alone, may take to end what runs in the labs."""

_Noted = tuple[int, int]
"""A process: its number and its start."""


class Session:
    """The holder of the user's namespaces, whether it lives or not."""

    def __init__(self) -> None:
        """Find the user's folder."""
        folders = list(_folders())
        self.folder = next(filter(_is_inhabited, folders), folders[0])
        self._lock = -1

    def enter(self, *, start: bool) -> bool:
        """Move the process into the namespaces, made if told; whether it moved.

        Should: run while the process has one thread, and before it looks at anything.
        Mustn't: be undone; it cannot.
        """
        pid = self.find(start=start)
        if pid:
            self._join(pid)
        return bool(pid)

    def find(self, *, start: bool) -> int:
        """Return the number of the holder, started if told, which now stays until `tidy`; or 0.

        Raises `Unavailable` where the folder is somebody else's, or the machine refuses.
        """
        if not start and not is_dir(self.folder):
            return 0
        entry_lock = self._lock_entry()
        pid = 0
        try:
            pid = self._pid() or (self._start(entry_lock) if start else 0)
        finally:
            os.close(entry_lock)
            if not pid:
                self.tidy(used=False)
        return pid

    def _lock_entry(self) -> int:
        """Return the entry lock, alone held, with the lock held as well, shared.

        Who tidies removes both files: what was opened before that is nobody's any more.
        """
        while True:
            self._make_folder()
            try:
                entry_lock, self._lock = self._open("entry-lock"), self._open("lock")
            except FileNotFoundError:
                continue
            fcntl.flock(entry_lock, fcntl.LOCK_EX)
            if self._is_standing(entry_lock):
                fcntl.flock(self._lock, fcntl.LOCK_SH)
                return entry_lock
            os.close(entry_lock)
            os.close(self._lock)

    def _is_standing(self, entry_lock: int) -> bool:
        """Whether an open lock is the one that is there now."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(entry_lock), os.stat(f"{self.folder}/entry-lock"))
        return False

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return os.open(f"{self.folder}/{name}", flags, modes.PRIVATE)

    def _make_folder(self) -> None:
        with suppress(FileExistsError):
            modes.make_dir(self.folder, modes.PRIVATE_DIR)
        if why := modes.why_untrusted(self.folder):
            raise Unavailable(why, "set XDG_RUNTIME_DIR to a folder of your own")

    def _pid(self) -> int:
        """Return the number of the holder if both live, else 0, with all ended that they had.

        One of the two that is left alone does that by itself, and then goes.
        """
        noted = _noted(self.folder)
        alive = [each for each in noted if _lives(each)]
        if noted and alive == noted:
            return noted[0][0]
        _wait(alive, time.monotonic() + _PATIENCE)
        if noted:
            from netloom.host.rootless import daemon

            daemon.sweep()
        return 0

    def _start(self, entry_lock: int) -> int:
        """Start both; raises `Unavailable` with what the machine refuses to a plain user."""
        from netloom.host.rootless import daemon

        daemon.start(self.folder, entry_lock)
        return _noted(self.folder)[0][0]

    def _join(self, pid: int) -> None:
        try:
            fds = [os.open(f"/proc/{pid}/ns/{name}", _FLAGS) for name, _ in _ORDER]
            with same_folder():
                for fd, (_, kind) in zip(fds, _ORDER, strict=True):
                    syscalls.setns(fd, kind)
                    os.close(fd)
        except OSError as error:
            reason = f"cannot enter your namespaces (process {pid}): {error.strerror}"
            raise Unavailable(reason, f"kill {pid} ends them, and the labs in them") from error

    def tidy(self, *, used: bool | None = None) -> None:
        """End both if nothing is left in it and no other command is at work there.

        `used` is whether something is left; who is inside looks.
        """
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        with ExitStack() as stack:  # this lock goes last: nobody comes in meanwhile
            try:
                entry_lock = self._open("entry-lock")
            except OSError:
                os.close(lock)
                return
            for fd in (entry_lock, lock):
                stack.callback(os.close, fd)
                stack.callback(fcntl.flock, fd, fcntl.LOCK_UN)  # a fork may have it as well
            fcntl.flock(entry_lock, fcntl.LOCK_EX)
            if not self._is_standing(entry_lock):
                return
            if is_used() if used is None else used:
                if used is None:
                    self._end_what_nobody_holds()
                return
            with suppress(OSError):  # else somebody else is inside, and tidies later
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._end()

    def _end(self) -> None:
        """End both, and forget them."""
        noted = _noted(self.folder)
        for name in ("holder", "lock", "entry-lock"):
            with suppress(OSError):
                os.unlink(f"{self.folder}/{name}")
        with suppress(OSError):
            os.rmdir(self.folder)
        for pid, start in noted:
            process.send(pid, start, signal.SIGKILL)

    def _end_what_nobody_holds(self) -> None:
        """End what we have started here while both were killed: they could not see it."""
        if not all(map(_lives, _noted(self.folder))):
            from netloom.host.rootless import daemon

            daemon.end_commands()


def _folders() -> Iterator[str]:
    """Yield where the holder may be noted, the best first."""
    uid = os.geteuid()
    for runtime in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"):
        if runtime and is_dir(runtime) and os.stat(runtime).st_uid == uid:
            yield f"{runtime}/netloom"
    yield f"/tmp/netloom-{uid}"  # noqa: S108 - looked at before it is trusted


def _is_inhabited(folder: str) -> bool:
    """Whether one of the two lives, as a folder has it that nobody else can write into."""
    return modes.why_untrusted(folder) is None and any(map(_lives, _noted(folder)))


def _noted(folder: str) -> list[_Noted]:
    """Return the two that are noted in a folder, nothing if none are."""
    try:
        with open(f"{folder}/holder", encoding="utf-8") as file:
            pid, start, other, later = map(int, file.read().split())
    except (OSError, ValueError):
        return []
    return [(pid, start), (other, later)]


def _lives(noted: _Noted) -> bool:
    return process.same(*noted) is not None


def _wait(those: list[_Noted], deadline: float) -> None:
    """Return when all of these have ended, or at the deadline."""
    for pid, start in those:
        fd = process.open_pidfd(pid, start)
        if fd is not None:
            select.select([fd], [], [], max(0, deadline - time.monotonic()))
            os.close(fd)
