"""What the kernel tells by itself of a namespace's routes and addresses (rtnetlink(7))."""

import socket

from netloom.kernel.netlink import NETLINK_ROUTE, SOL_NETLINK, Rtnetlink

IPV4_IFADDR = 0x10
IPV4_ROUTE = 0x40
IPV6_IFADDR = 0x100
IPV6_ROUTE = 0x400
"""Groups of events (RTMGRP_*, linux/rtnetlink.h)."""

_NETLINK_NO_ENOBUFS = 5  # linux/netlink.h


def conversation(groups: int) -> tuple[socket.socket, Rtnetlink]:
    """Open what tells events in the namespace of the calling thread, and what answers there."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
    events.setsockopt(SOL_NETLINK, _NETLINK_NO_ENOBUFS, 1)  # one that is kept is enough: we look
    events.bind((0, groups))
    return events, Rtnetlink()
