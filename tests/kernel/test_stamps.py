"""Packets bear the time at which they came, from the first one on."""

import socket
import time

import pytest

from netloom.host.byhand.stamps import SO_TIMESTAMPNS, ask_for_good, asked, nanoseconds, stamping
from netloom.kernel import syscalls
from netloom.kernel.loopback import set_lo_up
from netloom.namespaces.enter import in_thread


def stamped_late() -> int:
    """Return by how much a packet seems to be from after it was sent, in a network of its own."""
    syscalls.unshare(syscalls.CLONE_NEWNET)
    set_lo_up()
    with asked() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"", sock.getsockname())
        sent = time.time_ns()
        _, ((level, kind, when),), *_ = sock.recvmsg(0, 64)
    assert (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)
    return max(0, nanoseconds(when) - sent)


@pytest.mark.needs("netns")
def test_a_packet_bears_the_time_of_its_coming_as_soon_as_that_is_asked_for() -> None:
    """And not that of its reading, which the kernel fills in before it gets round to stamps.

    It is quick about that on most machines: the tests of recordings show it on a busy one.
    """
    with in_thread(stamping):
        assert in_thread(stamped_late) == 0


def test_who_asks_for_good_holds_one_descriptor() -> None:
    """However often: it is the same."""
    assert ask_for_good() == ask_for_good() >= 0
