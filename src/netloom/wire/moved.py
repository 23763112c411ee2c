"""A link that moves to another namespace, and what the kernel takes from it on the way.

The kernel sets the link down and flushes it (dev_change_net_namespace): addresses, routes,
neighbours go. What it told of them in a dump is, but for a few bits, what it takes to have them
again: a lifetime, a label, a metric that nobody here knows of comes back with the rest. So these
are made from dumps: *again* is the same thing for another index, None where it cannot be.
"""

import socket
from struct import Struct

from netloom.wire.attributes import (
    Malformed,
    byte,
    content,
    each,
    end_of,
    number,
    offsets,
    raw,
    string,
    text,
    u32,
)
from netloom.wire.constants import (
    AF_INET,
    AF_INET6,
    IFA_F_NODAD,
    IFA_F_SECONDARY,
    IFA_FLAGS,
    IFA_PROTO,
    IFLA_ALT_IFNAME,
    IFLA_EXT_MASK,
    IFLA_IFNAME,
    IFLA_NET_NS_FD,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    RTA_GATEWAY,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_VIA,
    RTEXT_FILTER_SKIP_STATS,
    RTM_F_CLONED,
    RTM_GETLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    RTNH_F_ONLINK,
    RTPROT_KERNEL,
)
from netloom.wire.message import Message

IFF_LOOPBACK = 0x8
_RTM_NEWNEIGH = 28
_RTM_GETNEIGH = 30
_IFLA_NETNS_IMMUTABLE = 67  # Linux 6.14; before, the kernel tells when it is asked to move
_IFA_LABEL = 3
_IFAPROT_KERNEL_LL = 3
_IFA_F_NOPREFIXROUTE = 0x200
_RTA_CACHEINFO = 12
_RTA_NH_ID = 30
_NDA_DST = 1
_NDA_LLADDR = 2
_NUD_PERMANENT = 0x80
_RTPROT_REDIRECT = 1
_RTPROT_RA = 9

_FAMILIES = frozenset({AF_INET, AF_INET6})
_NOT_ASKED_FOR = frozenset({RTPROT_KERNEL, _RTPROT_REDIRECT, _RTPROT_RA})
_IFINFOMSG = Struct("=BxHiII")
_IFADDRMSG = Struct("=BBBBI")
_RTMSG = Struct("=BBBBBBBBI")
_RTNEXTHOP = Struct("=HBBi")
_NDMSG = Struct("=BxxxiHBB")


def link_move(index: int, netns_fd: int, name: str) -> Message:
    """Move a link into the namespace behind a descriptor, under a name that is free there."""
    head = _IFINFOMSG.pack(0, 0, index, 0, 0)
    return Message(RTM_NEWLINK, 0, head + u32(IFLA_NET_NS_FD, netns_fd) + text(IFLA_IFNAME, name))


def get_altname(altname: str) -> Message:
    """Ask for a link by another name of its, which may be longer than 15 bytes."""
    head = _IFINFOMSG.pack(0, 0, 0, 0, 0)
    mask = u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    return Message(RTM_GETLINK, 0, head + text(IFLA_ALT_IFNAME, altname) + mask)


def may_move(link: bytes) -> bool:
    """Whether a link, as `get_link` answers, may leave its namespace as far as the kernel says."""
    _check(link, _IFINFOMSG, "link")
    at = offsets(link, _IFINFOMSG.size, len(link))
    return not _IFINFOMSG.unpack_from(link)[3] & IFF_LOOPBACK and not byte(
        link, at, _IFLA_NETNS_IMMUTABLE
    )


# ── addresses ─────────────────────────────────────────────────────────────────────────────


def addr_again(addr: bytes, index: int, old: str, new: str) -> Message | None:
    """Return what gives the link `index` an address that a link had; `old` became `new`.

    None for those that the kernel makes by itself: link-local ones, and temporary ones (RFC 8981);
    and for those of other families than IPv4 and IPv6.
    An IPv6 address was found to be free before, so it is not detected again (RFC 4862, 5.4).
    """
    _check(addr, _IFADDRMSG, "address")
    family, prefixlen, flags, scope, _ = _IFADDRMSG.unpack_from(addr)
    if family not in _FAMILIES:
        return None
    at = offsets(addr, _IFADDRMSG.size, len(addr))
    flags = number(addr, at, IFA_FLAGS, flags)
    temporary = family == AF_INET6 and flags & IFA_F_SECONDARY
    if temporary or byte(addr, at, IFA_PROTO) == _IFAPROT_KERNEL_LL:
        return None
    kept = flags & _KEPT[family] | (IFA_F_NODAD if family == AF_INET6 else 0)
    parts = [_IFADDRMSG.pack(family, prefixlen, 0, scope, index)]
    for kind, place in each(addr, _IFADDRMSG.size, len(addr)):
        if kind not in {IFA_FLAGS, _IFA_LABEL}:
            parts.append(raw(kind, addr[place + 4 : end_of(addr, place)]))
    parts.append(u32(IFA_FLAGS, kept))
    label = string(addr, at, _IFA_LABEL)
    if label.startswith(f"{old}:"):
        parts.append(text(_IFA_LABEL, (new + label.removeprefix(old))[:15]))
    return Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, b"".join(parts))


_KEPT = {
    AF_INET: _IFA_F_NOPREFIXROUTE | 0x400,  # MCAUTOJOIN
    AF_INET6: _IFA_F_NOPREFIXROUTE | 0x100 | 0x400,  # MANAGETEMPADDR, MCAUTOJOIN
}
"""Flags of an address that somebody may set (linux/if_addr.h); the others are the kernel's."""


# ── routes ────────────────────────────────────────────────────────────────────────────────


def leads_through(route: bytes, index: int) -> bool:
    """Whether a route that somebody asked for goes out of a link, be it by one of several hops."""
    _check(route, _RTMSG, "route")
    head = _RTMSG.unpack_from(route)
    if head[0] not in _FAMILIES or head[5] in _NOT_ASKED_FOR or head[8] & RTM_F_CLONED:
        return False
    at = offsets(route, _RTMSG.size, len(route))
    if RTA_MULTIPATH in at:
        return index in {hop for _, _, hop in _hops(content(route, at, RTA_MULTIPATH))}
    return number(route, at, RTA_OIF) == index


def is_near(route: bytes) -> bool:
    """Whether a route leads to neighbours, without a gateway: such routes come first."""
    _check(route, _RTMSG, "route")
    at = offsets(route, _RTMSG.size, len(route))
    return not at.keys() & {RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH}


def route_again(route: bytes, old: int, index: int) -> Message | None:
    """Return what adds a route through the link `index` that went through `old`.

    None where it also goes through other links, or by a nexthop object (ip-nexthop(8)): these stay.
    """
    _check(route, _RTMSG, "route")
    *head, flags = _RTMSG.unpack_from(route)
    at = offsets(route, _RTMSG.size, len(route))
    if _RTA_NH_ID in at:
        return None
    parts = [_RTMSG.pack(*head, flags & RTNH_F_ONLINK)]
    for kind, place in each(route, _RTMSG.size, len(route)):
        value = route[place + 4 : end_of(route, place)]
        if kind == RTA_OIF:
            parts.append(u32(RTA_OIF, index))
        elif kind == RTA_MULTIPATH:
            if {hop for _, _, hop in _hops(value)} != {old}:
                return None
            parts.append(raw(kind, _through(value, index)))
        elif kind != _RTA_CACHEINFO:
            parts.append(raw(kind, value))
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, b"".join(parts))


def _hops(value: bytes) -> list[tuple[int, int, int]]:
    """Return where each nexthop begins and ends, and its link."""
    found = []
    start = 0
    while len(value) - start >= _RTNEXTHOP.size:
        length, _, _, index = _RTNEXTHOP.unpack_from(value, start)
        if not _RTNEXTHOP.size <= length <= len(value) - start:
            msg = "a nexthop runs over the end of its route"
            raise Malformed(msg)
        found.append((start, start + length, index))
        start += (length + 3) & -4
    return found


def _through(value: bytes, index: int) -> bytes:
    parts = []
    for start, end, _ in _hops(value):
        length, flags, others, _ = _RTNEXTHOP.unpack_from(value, start)
        parts.append(_RTNEXTHOP.pack(length, flags & RTNH_F_ONLINK, others, index))
        parts.append(value[start + _RTNEXTHOP.size : end] + bytes(-length & 3))
    return b"".join(parts)


# ── neighbours ────────────────────────────────────────────────────────────────────────────


def dump_neighbours() -> Message:
    """Ask for all neighbours of both families."""
    return Message(_RTM_GETNEIGH, NLM_F_DUMP, bytes(_NDMSG.size))


def neighbour_again(neighbour: bytes, old: int, index: int) -> tuple[str, Message] | None:
    """Return address and message for a neighbour that was set on `old`; raises `Malformed`."""
    _check(neighbour, _NDMSG, "neighbour")
    family, where, state, flags, kind = _NDMSG.unpack_from(neighbour)
    if family not in _FAMILIES or where != old or not state & _NUD_PERMANENT:
        return None
    at = offsets(neighbour, _NDMSG.size, len(neighbour))
    address = content(neighbour, at, _NDA_DST)
    if len(address) != (4 if family == AF_INET else 16):
        msg = "a neighbour of another length than its family has"
        raise Malformed(msg)
    body = _NDMSG.pack(family, index, state, flags, kind) + raw(_NDA_DST, address)
    if _NDA_LLADDR in at:
        body += raw(_NDA_LLADDR, content(neighbour, at, _NDA_LLADDR))
    message = Message(_RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, body)
    return socket.inet_ntop(family, address), message


def _check(data: bytes, head: Struct, thing: str) -> None:
    if len(data) < head.size:
        msg = f"a {thing} of less than {head.size} bytes"
        raise Malformed(msg)
