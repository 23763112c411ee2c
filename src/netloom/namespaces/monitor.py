"""Names that come and go, as they do: inotify on /run/netns (inotify(7)).

It tells of files, so a name is told before a namespace is mounted on it, and what happens to the
namespace itself is not told at all.
"""

import ctypes
import os
from struct import Struct

from netloom.errors import KernelError
from netloom.namespaces.handle import NETNS_DIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_CREATE = 0x100
_IN_DELETE = 0x200
_EVENT = Struct("=iIII")  # struct inotify_event
_ROOM = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


def watch() -> int:
    """Return a descriptor from which `changes` reads what happens to names from now on."""
    fd = _checked(_libc.inotify_init1(os.O_CLOEXEC), "inotify_init")
    mask = _IN_CREATE | _IN_DELETE
    try:
        _checked(_libc.inotify_add_watch(fd, NETNS_DIR.encode(), mask), "inotify_add_watch")
    except KernelError:
        os.close(fd)
        raise
    return fd


def changes(fd: int) -> "Iterator[tuple[str, str]]":
    """Yield `("add", NAME)` and `("delete", NAME)` for ever."""
    while True:
        data = os.read(fd, _ROOM)
        at = 0
        while at < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            name = os.fsdecode(data[at - length : at].rstrip(b"\0"))
            if mask & _IN_CREATE:
                yield "add", name
            if mask & _IN_DELETE:
                yield "delete", name


def _checked(answer: int, asked: str) -> int:
    if answer < 0:
        raise KernelError(ctypes.get_errno(), asked)
    return answer
