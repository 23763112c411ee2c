"""Waiting until programs have given interfaces their addresses (`addresses: dynamic`).

An address is an event of the kernel's (rtnetlink(7)); one that is still looked for in the segment
(RFC 4862, 5.4: tentative) cannot be used yet.
"""

import select
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from netloom.errors import Interrupted, NotReady
from netloom.kernel.netlink import NETLINK_ROUTE, SOL_NETLINK, Rtnetlink
from netloom.model.objects import HOST, End
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from netloom.wire.constants import RT_SCOPE_UNIVERSE
from netloom.wire.rtnetlink import dump_addrs, dump_links, read_addrs, read_links

if TYPE_CHECKING:
    from netloom.host.cancel import Cancel

_NETLINK_NO_ENOBUFS = 5  # linux/netlink.h
_RTMGRP_IPV4_IFADDR = 0x10  # linux/rtnetlink.h
_RTMGRP_IPV6_IFADDR = 0x100
_TENTATIVE = 0x40  # IFA_F_TENTATIVE (linux/if_addr.h)


def wait_addresses(ends: Iterable[End], timeout: float, stop: "Cancel | None" = None) -> None:
    """Return when each interface has an address that can be used.

    Raises `NotReady` after `timeout` seconds, `Interrupted` when asked to `stop`.
    """
    deadline = time.monotonic() + timeout
    for netns, links in _by_netns(ends).items():
        with ExitStack() as stack:
            events, rt = _conversation(netns, stack)
            heard: list[socket.socket | Cancel] = [events, stop] if stop else [events]
            while missing := links - _addressed(rt):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise NotReady("\n".join(_sentences(netns, missing)), timeout)
                select.select(heard, [], [], left)
                if stop and stop.cancelled:
                    raise Interrupted
                _drain(events)


def unaddressed(ends: Iterable[End]) -> list[str]:
    """Return a sentence for each of these interfaces that has no address that can be used."""
    found: list[str] = []
    for netns, links in _by_netns(ends).items():
        with ExitStack() as stack:
            _, rt = _conversation(netns, stack)
            found += _sentences(netns, links - _addressed(rt))
    return found


def _sentences(netns: str, links: Iterable[str]) -> list[str]:
    where = f"nothing in `{netns}` has given it one (netloom logs {netns})"
    return [f"`{netns}:{link}` has no address: {where}" for link in sorted(links)]


def _by_netns(ends: Iterable[End]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for end in ends:
        found.setdefault(end.netns, set()).add(end.link)
    return found


def _conversation(netns: str, stack: ExitStack) -> tuple[socket.socket, Rtnetlink]:
    if netns == HOST:
        events, rt = _opened()
    else:
        with open_name(netns) as handle:
            events, rt = enter(handle, _opened)
    return stack.enter_context(events), stack.enter_context(rt)


def _opened() -> tuple[socket.socket, Rtnetlink]:
    """Open what tells of addresses in the namespace of the thread, and what answers there."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_ROUTE)
    events.setsockopt(SOL_NETLINK, _NETLINK_NO_ENOBUFS, 1)  # one that is kept is enough: we look
    events.bind((0, _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))
    return events, Rtnetlink()


def _drain(events: socket.socket) -> None:
    try:
        while events.recv(1 << 16):
            pass
    except BlockingIOError:
        return


def _addressed(rt: Rtnetlink) -> set[str]:
    """Return the links of a namespace that have an address for other segments, too."""
    names = {link.index: link.name for link in read_links(rt.dump(dump_links()))}
    return {
        names[seen.index]
        for seen in read_addrs(rt.dump(dump_addrs()))
        if seen.scope == RT_SCOPE_UNIVERSE and not seen.flags & _TENTATIVE and seen.index in names
    }
