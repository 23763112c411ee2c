"""Waiting until a user-mode program leads out: until the namespace it serves has a default route.

Such a program says that it has begun before it has made its tap, so what counts is the kernel's own
word: a route, as an event (rtnetlink(7)).
"""

import select
import socket
import time

from netloom.errors import NotReady
from netloom.kernel.netlink import NETLINK_ROUTE, Rtnetlink
from netloom.netns.enter import enter
from netloom.netns.handle import open_name
from netloom.wire.rtnetlink import dump_links, dump_routes, read_links, read_routes

_RTMGRP_IPV4_ROUTE = 0x40  # linux/rtnetlink.h
_RTMGRP_IPV6_ROUTE = 0x400
_DEFAULTS = ("0.0.0.0/0", "::/0")


def wait_way_out(netns: str, timeout: float) -> None:
    """Return when a namespace has a default route; raises `NotReady` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    with open_name(netns) as handle:
        events, rt = enter(handle, _conversation)
    with events, rt:
        while not _leads_out(rt):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([events], [], [], left)[0]:
                msg = f"`{netns}` has no default route: its program has not made one"
                raise NotReady(msg, timeout)
            events.recv(1 << 16)


def _conversation() -> tuple[socket.socket, Rtnetlink]:
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
    events.bind((0, _RTMGRP_IPV4_ROUTE | _RTMGRP_IPV6_ROUTE))
    return events, Rtnetlink()


def _leads_out(rt: Rtnetlink) -> bool:
    names = {link.index: link.name for link in read_links(rt.dump(dump_links()))}
    routes = read_routes(rt.dump(dump_routes()), names, protocols=None)
    return any(route.dst in _DEFAULTS and route.nexthops for route in routes)
