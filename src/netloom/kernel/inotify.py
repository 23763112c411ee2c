"""What happens to files, as events (inotify(7)): a line in a log, a note in a folder.

Python has no inotify, so the C library is asked. Only whose watch it was is told: the watcher looks
at the file itself, since events are merged and may overflow.
"""

import ctypes
import os
from struct import Struct

from netloom.errors import KernelError
from netloom.kernel.closing import Closing

MODIFIED = 0x2  # IN_MODIFY
MOVED_IN = 0x80  # IN_MOVED_TO

_NONBLOCK = os.O_NONBLOCK
_CLOEXEC = os.O_CLOEXEC
_EVENT = Struct("=iIII")
_ROOM = 64 * 1024
_OVERFLOWED = -1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class Inotify(Closing):
    """One queue of events; its file is readable while there are any."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        """Open the queue; EMFILE where fs.inotify.max_user_instances (128) is reached."""
        self._fd: int = _libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self._fd < 0:
            raise KernelError(ctypes.get_errno(), "inotify_init1")

    def close(self) -> None:
        """Close the queue."""
        os.close(self._fd)

    def fileno(self) -> int:
        """Return the file of the queue."""
        return self._fd

    def watch(self, path: str, mask: int) -> int:
        """Be told of what `mask` names at a path, by a number; raises `KernelError`."""
        number: int = _libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        if number < 0:
            raise KernelError(ctypes.get_errno(), f"inotifywait {path}")
        return number

    def happened(self) -> set[int] | None:
        """Return the watches of which something was told, without waiting.

        None is all of them: the queue overflowed (fs.inotify.max_queued_events).
        """
        found: set[int] = set()
        try:
            data = os.read(self._fd, _ROOM)
        except BlockingIOError:
            return found
        at = 0
        while at < len(data):
            number, _, _, length = _EVENT.unpack_from(data, at)
            if number == _OVERFLOWED:
                return None
            found.add(number)
            at += _EVENT.size + length
        return found
