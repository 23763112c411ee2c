"""Waiting until programs have given interfaces their addresses (`addresses: dynamic`).

An address is an event of the kernel's (rtnetlink(7)); one that is still looked for in the segment
(RFC 4862, 5.4: tentative) cannot be used yet.
"""

import select
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from netloom.errors import Interrupted, NotReady
from netloom.kernel import route_events
from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import HOST, End
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import NoSuchNetns, open_name
from netloom.wire.constants import RT_SCOPE_UNIVERSE
from netloom.wire.rtnetlink import dump_addrs, dump_links, read_addrs, read_links

if TYPE_CHECKING:
    from netloom.host.cancel import Cancel

_TENTATIVE = 0x40  # IFA_F_TENTATIVE (linux/if_addr.h)


def wait_addresses(ends: Iterable[End], timeout: float, stop: "Cancel | None" = None) -> None:
    """Return when each interface has an address that can be used.

    Raises `NotReady` after `timeout` seconds, `Interrupted` when asked to `stop`.
    """
    deadline = time.monotonic() + timeout
    for netns, links in _by_netns(ends).items():
        events, rt = _conversation(netns)
        with events, rt:
            heard: list[socket.socket | Cancel] = [events, stop] if stop else [events]
            while missing := links - _addressed(rt):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise NotReady("\n".join(_sentences(netns, missing)), round(timeout, 2))
                told = select.select(heard, [], [], left)[0]
                if stop and stop.cancelled:
                    raise Interrupted
                if events in told:
                    events.recv(1 << 16)


def unaddressed(ends: Iterable[End]) -> list[str]:
    """Return a sentence for each of these interfaces that has no address that can be used.

    A namespace that is gone itself is for others to tell.
    """
    found: list[str] = []
    for netns, links in _by_netns(ends).items():
        with suppress(NoSuchNetns):
            events, rt = _conversation(netns)
            with events, rt:
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


def _conversation(netns: str) -> tuple[socket.socket, Rtnetlink]:
    groups = route_events.IPV4_IFADDR | route_events.IPV6_IFADDR
    if netns == HOST:
        return route_events.conversation(groups)
    with open_name(netns) as handle:
        return enter(handle, route_events.conversation, groups)


def _addressed(rt: Rtnetlink) -> set[str]:
    """Return the links of a namespace that have an address for other segments, too."""
    names = {link.index: link.name for link in read_links(rt.dump(dump_links()))}
    return {
        names[seen.index]
        for seen in read_addrs(rt.dump(dump_addrs()))
        if seen.scope == RT_SCOPE_UNIVERSE and not seen.flags & _TENTATIVE and seen.index in names
    }
