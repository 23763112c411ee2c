"""What was done by hand and can be taken back, on disk before it is done: /run/netloom/byhand.

    NUMBER.begun    is being done; or it was, and whoever did it was killed
    NUMBER          is done, and can be undone

Rule 1: a note is whole before the first change, and holds all that it takes to go back.
Rule 2: what becomes of it is told by a rename or a removal: neither needs room on the disk.
Rule 3: the folder is the lock. So whoever has it and finds something begun knows that nobody is at
it any more. It goes when nothing is in it.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple, Self

import msgspec
from msgspec import Struct

from netloom.errors import Unavailable
from netloom.host.byhand.saved_link import SavedLink
from netloom.host.store.rundir import NO_NOTE, RUN_DIR, cannot_write, check_own, remove
from netloom.kernel import modes
from netloom.kernel.files import read
from netloom.kernel.procfs import boot_id
from netloom.namespaces.private_run import make_run_writable

LOG_DIR = f"{RUN_DIR}/byhand"
VERSION = 1
_BEGUN = ".begun"
_KEPT = 10
"""How many moves can be undone, one after the other."""


class EndpointId(Struct, frozen=True):
    """An interface in a namespace: what people call both, and how the kernel tells them apart.

    `cookie` is never used again within a boot, nor is `index` in its namespace while it may be had.
    """

    netns: str
    cookie: int
    link: str
    index: int = 0

    def __str__(self) -> str:
        """Return it as people write it: `red:eth0`."""
        return f"{self.netns}:{self.link}"


class MoveNote(Struct, frozen=True, tag="move"):
    """An interface that moves, and all that it had where it came from."""

    origin: EndpointId
    goal: EndpointId
    had: SavedLink

    def __str__(self) -> str:
        """Return it as the command that did it, without the program's name."""
        return f"move {self.origin} {self.goal}"


class WireNote(Struct, frozen=True, tag="wire"):
    """A wire that is being made; `mac` is that of its near end."""

    near: EndpointId
    far: str
    mac: str

    def __str__(self) -> str:
        """Return it as the command that did it, without the program's name."""
        return f"wire {self.near} {self.far}"


class _Note(Struct, frozen=True):
    """What a file holds."""

    what: MoveNote | WireNote
    boot: str
    version: int = VERSION


class UndoEntry(NamedTuple):
    """One change: its number, whether it is done, and what it was."""

    number: int
    done: bool
    what: MoveNote | WireNote


class UndoLog:
    """The changes that can be undone; as a context manager it holds their lock, and tidies up."""

    def __init__(self) -> None:
        """Nothing is read or made yet."""
        self._lock = -1

    def __enter__(self) -> Self:
        """Take the lock, after whoever has it; raises `Unavailable` where there is no place."""
        make_run_writable()
        while True:
            with ExitStack() as stack:
                lock = _opened()
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX)
                with suppress(FileNotFoundError):
                    # Whoever had it may have removed the folder: then this lock locks nothing.
                    if os.stat(LOG_DIR).st_ino == os.fstat(lock).st_ino:
                        _sweep()
                        stack.pop_all()
                        self._lock = lock
                        return self

    def __exit__(self, *_: object) -> None:
        """Remove the folder if it is empty, and let go of the lock."""
        tidy()
        os.close(self._lock)

    def begin(self, what: MoveNote | WireNote) -> int:
        """Note what is about to be done, and return its number; raises `Unavailable`."""
        number = max((number for number, _ in _files()), default=0) + 1
        note = json.dumps(msgspec.to_builtins(_Note(what, boot_id())))  # as names have any bytes
        try:
            modes.replace(_path(number, _BEGUN), note.encode(), modes.PRIVATE)
        except OSError as error:
            raise cannot_write(LOG_DIR, "a change", error) from error
        return number

    def done(self, number: int) -> None:
        """Note that it is done, and forget what is too long ago; raises `OSError`."""
        os.rename(_path(number, _BEGUN), _path(number))
        for old, _ in sorted(_files())[:-_KEPT]:
            self.forget(old)

    def reopen(self, number: int) -> None:
        """Note that what was done is being undone; raises `OSError`."""
        os.rename(_path(number), _path(number, _BEGUN))

    def forget(self, number: int) -> None:
        """Forget a change: there is nothing to undo; raises `OSError`."""
        for suffix in ("", _BEGUN):
            with suppress(FileNotFoundError):
                os.unlink(_path(number, suffix))


def is_kept() -> bool:
    """Whether anything may be noted; root's notes are nothing to a plain user."""
    return os.access(LOG_DIR, os.W_OK)


def tidy() -> None:
    """Remove the folders where they are empty."""
    with suppress(OSError):
        for folder in (LOG_DIR, RUN_DIR):
            with suppress(FileNotFoundError):
                os.rmdir(folder)


def latest() -> UndoEntry | None:
    """Return what can be undone first; raises `Unavailable` where its note cannot be read."""
    return next(_noted(), None)


def entries() -> list[UndoEntry]:
    """Return what can be undone, the latest first, as far as it can be read."""
    return list(_noted(lenient=True))


def _noted(*, lenient: bool = False) -> Iterator[UndoEntry]:
    """Yield what is noted, the latest first; what an earlier boot has left concerns nobody."""
    files = sorted(_files(), reverse=True)
    if files and (why := modes.why_untrusted(RUN_DIR) or modes.why_untrusted(LOG_DIR)):
        raise Unavailable(f"cannot trust what is remembered of moves: {why}", "see what is in it")
    for number, done in files:
        try:
            note = _read(_path(number, "" if done else _BEGUN))
        except Unavailable:
            if not lenient:
                raise
            continue
        if note.boot == boot_id():
            yield UndoEntry(number, done, note.what)


def _files() -> list[tuple[int, bool]]:
    """Return the numbers of all notes, and whether what they say is done."""
    try:
        names = os.listdir(LOG_DIR)
    except (FileNotFoundError, PermissionError):  # none, or root's
        return []
    found = [(name.removesuffix(_BEGUN), not name.endswith(_BEGUN)) for name in names]
    return [(int(number), done) for number, done in found if number.isdecimal()]


def _read(path: str) -> _Note:
    try:
        said = json.loads(read(path))
        if isinstance(said, dict) and said.get("version", 0) > VERSION:
            reason = f"{path} was written by a newer netloom"
            raise Unavailable(reason, f"undo it with that one, or rm {path}")
        return msgspec.convert(said, _Note)
    except PermissionError as error:
        raise Unavailable(f"may not read {path}", "run it as root") from error
    except (ValueError, TypeError, *NO_NOTE) as error:
        why = getattr(error, "strerror", None) or error
        raise Unavailable(f"{path} cannot be read: {why}", f"rm {path}") from error


def _sweep() -> None:
    """Remove what was half written when somebody was killed, and what an earlier boot has left."""
    for name in os.listdir(LOG_DIR):
        path = f"{LOG_DIR}/{name}"
        with suppress(Unavailable, OSError):
            if not name.removesuffix(_BEGUN).isdecimal() or _read(path).boot != boot_id():
                remove(path)


def _path(number: int, suffix: str = "") -> str:
    return f"{LOG_DIR}/{number:06}{suffix}"


def _opened() -> int:
    while True:
        try:
            modes.make_dirs(RUN_DIR, modes.PUBLIC_DIR)
            modes.make_dirs(LOG_DIR, modes.PRIVATE_DIR)
            check_own(RUN_DIR, LOG_DIR)
            return os.open(LOG_DIR, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:  # another netloom removed it in between
            continue
        except OSError as error:
            tidy()
            reason = f"cannot make {LOG_DIR}: {error.strerror}"
            raise Unavailable(reason, f"what netloom remembers stands in {RUN_DIR}") from error
