"""Waiting until namespaces are really gone, by the kernel's own word.

Theory of operation. The name of a namespace goes at once, the namespace when nobody holds it, and
its devices later still, on the kernel's work queue `netns`. The kernel tells of the second to every
namespace that has an id for the one that died (RTM_DELNSID). So that no id is left anywhere, a
throw-away namespace gives the ids and listens. Of the third the kernel tells nobody; but the queue
has one worker, so a namespace that is let go after that word is told of only when the devices of
those before it are gone. Such a *fence* is made, let go, and waited for in the same way.
"""

import select
import socket
import time
from collections.abc import Sequence
from errno import ENOBUFS
from struct import Struct

from netloom.kernel import syscalls
from netloom.kernel.closing import Closing
from netloom.kernel.netlink import SOL_NETLINK, NetlinkSocket, Rtnetlink, netlink_socket
from netloom.namespaces.enter import in_thread
from netloom.namespaces.handle import Handle, open_self
from netloom.namespaces.ids import assign, known
from netloom.wire.attributes import number, offsets
from netloom.wire.constants import NETNSA_NSID

_RTM_DELNSID = 89  # linux/rtnetlink.h
_RTNLGRP_NSID = 28
_ADD_MEMBERSHIP = 1
_HEADER = Struct("=IHHII")
_ROOM = 64 * 1024


class DeletionWatch(Closing):
    """A watch over namespaces, begun while they are there; it does not keep them alive.

    >>> with DeletionWatch([netns]) as gone:                          # doctest: +SKIP
    ...     netns.close()
    ...     registry.remove("web")
    ...     left = gone.wait(10)
    """

    def __init__(self, wanted: Sequence[Handle]) -> None:
        """Give each an id in a throw-away namespace; raises `KernelError` where none can be made.

        Should: be closed; the throw-away namespace dies with it.
        Mustn't: be given a namespace twice (EEXIST): it has one id.
        """
        self._orders, self._events = in_thread(_listeners)
        self._left = set(range(len(wanted)))
        self._fence = len(wanted)
        try:
            for nsid, netns in enumerate(wanted):
                assign(self._orders, netns.fd, nsid)
            # Only now: that each got its id would be told as well.
            self._events.setsockopt(SOL_NETLINK, _ADD_MEMBERSHIP, _RTNLGRP_NSID)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening; twice is no harm."""
        self._orders.close()
        self._events.close()

    def wait(self, timeout: float) -> set[int]:
        """Return the places of those that still live after so many seconds, else none.

        Those that went are gone with all their devices.
        """
        deadline = time.monotonic() + timeout
        alive = len(self._left)
        self._wait_for(self._left, deadline)
        if len(self._left) == alive:
            return set(self._left)
        fence = {self._fence}
        self._fence += 1
        in_thread(self._put_fence, *fence)
        self._wait_for(fence, deadline)
        return set(self._left)

    def _put_fence(self, nsid: int) -> None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        with open_self() as netns:
            assign(self._orders, netns.fd, nsid)

    def _wait_for(self, ids: set[int], deadline: float) -> None:
        poll = select.poll()
        poll.register(self._events, select.POLLIN)
        while ids:
            left = deadline - time.monotonic()
            if not poll.poll(max(0, left * 1000)):
                return
            try:
                ids -= _dead(self._events.recv(_ROOM))
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise
                ids &= self._look()

    def _look(self) -> set[int]:
        """Return who is there still, where more went at once than the kernel kept for us.

        What it kept is thrown away before: as long as there is any, it drops more without a word
        (NETLINK_S_CONGESTED), and who goes after this look would be missed.
        """
        while True:
            try:
                self._events.recv(_ROOM, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return {one.nsid for one in known(self._orders)}
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise


def _listeners() -> tuple[Rtnetlink, NetlinkSocket]:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    return Rtnetlink(), netlink_socket()


def _dead(data: bytes) -> set[int]:
    """Return the ids that an arrival says are gone."""
    found: set[int] = set()
    at = 0
    while len(data) - at >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if kind == _RTM_DELNSID:
            inner = offsets(data, at + _HEADER.size + 4, at + length)
            found.add(number(data, inner, NETNSA_NSID))
        at += max((length + 3) & -4, _HEADER.size)
    return found
