"""Waiting until a user-mode program leads out: until the namespace it serves has a default route.

Such a program says that it has begun before it has made its tap, so what counts is the kernel's own
word: a route, as an event (rtnetlink(7)).
"""

import select
import socket
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from netloom.errors import Interrupted, NotReady
from netloom.kernel import route_events
from netloom.kernel.netlink import Rtnetlink
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from netloom.wire.rtnetlink import dump_links, dump_routes, read_links, read_routes

if TYPE_CHECKING:
    from netloom.host.cancel import Cancel

_DEFAULTS = ("0.0.0.0/0", "::/0")


def wait_way_out(netns: str, timeout: float, stop: "Cancel | None" = None) -> None:
    """Return when a namespace has a default route.

    Raises `NotReady` after `timeout` seconds, `Interrupted` when asked to `stop`.
    """
    with open_name(netns) as handle:
        events, rt = enter(handle, conversation)
    with events, rt:
        if not leads_out(events, rt, timeout=timeout, end=stop):
            if stop and stop.cancelled:
                raise Interrupted
            msg = f"`{netns}` has no default route: its program has not made one"
            raise NotReady(msg, timeout)


def leads_out(
    events: socket.socket,
    rt: Rtnetlink,
    *,
    timeout: float,
    wanted: Collection[str] = (),
    end: "socket.socket | Cancel | None" = None,
) -> bool:
    """Whether a default route is there within `timeout` seconds, and before `end` is readable.

    `wanted` are those that must all be there, if it is not enough that there is one.
    """
    deadline = time.monotonic() + timeout
    heard = [events, end] if end is not None else [events]
    while not (found := defaults(rt)) or not found >= set(wanted):
        left = deadline - time.monotonic()
        if left <= 0 or events not in select.select(heard, [], [], left)[0]:
            return False
        events.recv(1 << 16)
    return True


def conversation() -> tuple[socket.socket, Rtnetlink]:
    """Open what tells of routes in the namespace of the calling thread, and what answers there."""
    return route_events.conversation(route_events.IPV4_ROUTE | route_events.IPV6_ROUTE)


def defaults(rt: Rtnetlink) -> set[str]:
    """Return the default routes that a namespace has, `0.0.0.0/0` and `::/0`."""
    names = {link.index: link.name for link in read_links(rt.dump(dump_links()))}
    routes = read_routes(rt.dump(dump_routes()), names, protocols=None)
    return {route.dst for route in routes if route.dst in _DEFAULTS and route.nexthops}
