"""Which sockets listen in a namespace: the conversation that `wire/sockdiag.py` has the words for.

Should: be opened in the namespace that is asked about; it may be asked from anywhere then.
Mustn't: be asked in a tight loop. The kernel has no event for a new listener.
"""

import os

from netloom.kernel.netlink import Rtnetlink, netlink_socket
from netloom.wire.sockdiag import (
    Listener,
    UnixListener,
    dump_listeners,
    dump_unix_listeners,
    read_listeners,
    read_unix_listeners,
)

_NETLINK_SOCK_DIAG = 4
_MINOR_BITS = 20  # of a device's number inside the kernel (linux/kdev_t.h)


def diag_socket() -> Rtnetlink:
    """Open a conversation about the sockets of the calling thread's namespace (sock_diag(7))."""
    return Rtnetlink(netlink_socket(_NETLINK_SOCK_DIAG))


def listeners(diag: Rtnetlink, kind: str) -> list[Listener]:
    """Return what listens by `tcp` or `udp`; ENOENT where the kernel has no `tcp_diag`."""
    payloads = [payload for ask in dump_listeners(kind) for payload in diag.dump(ask)]
    return read_listeners(kind, payloads)


def unix_listeners(diag: Rtnetlink) -> list[UnixListener]:
    """Return the Unix sockets that listen; ENOENT where the kernel lacks `unix_diag`."""
    return read_unix_listeners(diag.dump(dump_unix_listeners()))


def file_at(path: str) -> tuple[int, int] | None:
    """Return the inode and device of a file as `UnixListener.file` has them, None for no file."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    device = os.major(seen.st_dev) << _MINOR_BITS | os.minor(seen.st_dev)
    return seen.st_ino & 0xFFFF_FFFF, device


def sockets_of(pid: int) -> set[int]:
    """Return the inodes of the sockets that a process has open, none if it may not be looked at."""
    found = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:  # it has ended, or closed one while we looked
        pass
    return found
