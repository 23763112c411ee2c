"""Times of packets: the kernel stamps them only as long as somebody asks it to (SO_TIMESTAMPNS).

It begins when its workqueue gets round to that (net_enable_timestamp), 20 ms later on a busy
machine. What comes before bears the time at which it is read: the order of a file is lost, and
whoever reads up to a moment finds one packet of the future each time. So whoever captures asks
first, and begins when it is so.
"""

import socket
import time
from functools import cache
from struct import Struct

from netloom.kernel import syscalls
from netloom.kernel.loopback import set_lo_up

SO_TIMESTAMPNS = 35
_TIMESPEC = Struct("=qq")
_SECOND = 1_000_000_000
_PATIENCE = 1.0


def nanoseconds(timespec: bytes) -> int:
    """Return the time that the kernel told with a packet, in nanoseconds."""
    seconds, rest = _TIMESPEC.unpack_from(timespec)
    return int(seconds * _SECOND + rest)


def asked() -> socket.socket:
    """Return a socket that has packets stamped as long as it is open; raises `OSError`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        sock.close()
        raise
    return sock


@cache
def ask_for_good() -> int:
    """Have packets stamped as long as this process lives; raises `OSError`."""
    return asked().detach()


def stamping() -> socket.socket:
    """Return a socket that has packets stamped as long as it is open, when they are.

    It is tried in a network of its own, where nobody captures what is sent. Raises `OSError`.

    Mustn't: be called on a thread that is not thrown away.
    """
    syscalls.unshare(syscalls.CLONE_NEWNET)
    set_lo_up()
    sock = asked()
    try:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(_PATIENCE)
        deadline = time.monotonic() + _PATIENCE
        while not _is_stamped(sock) and time.monotonic() < deadline:
            pass
    except OSError:
        sock.close()
        raise
    return sock


def _is_stamped(sock: socket.socket) -> bool:
    """Whether a packet bears a time from before it was read."""
    sock.sendto(b"", sock.getsockname())
    sent = time.time_ns()
    _, ((_, _, when),), *_ = sock.recvmsg(0, socket.CMSG_SPACE(_TIMESPEC.size))
    return nanoseconds(when) <= sent
