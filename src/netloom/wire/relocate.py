"""A link that moves to another namespace, and what the kernel takes from it on the way.

The kernel sets the link down and flushes it (dev_change_net_namespace): addresses, routes,
neighbours go. What it told of them in a dump is, but for a few bits, what it takes to have them
again: a lifetime, a label, a metric that nobody here knows of comes back with the rest. So these
are made from dumps: *again* is the same thing for another index, None where it cannot be.
"""

from collections.abc import Collection
from struct import Struct

from netloom.values import inet_ntop
from netloom.wire.attributes import (
    Malformed,
    address,
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
    IFA_ADDRESS,
    IFA_F_NODAD,
    IFA_F_SECONDARY,
    IFA_FLAGS,
    IFA_LOCAL,
    IFA_PROTO,
    IFLA_ALT_IFNAME,
    IFLA_EXT_MASK,
    IFLA_IFNAME,
    IFLA_NET_NS_FD,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    RTA_GATEWAY,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_PREFSRC,
    RTA_VIA,
    RTEXT_FILTER_SKIP_STATS,
    RTM_F_CLONED,
    RTM_GETLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    RTNH_F_ONLINK,
)
from netloom.wire.message import Message
from netloom.wire.routes import ASKED_FOR

IFF_LOOPBACK = 0x8
_RTM_NEWNEIGH = 28
_RTM_GETNEIGH = 30
_IFLA_QDISC = 6
_IFLA_NEW_IFINDEX = 49  # Linux 5.13
_IFLA_NETNS_IMMUTABLE = 67  # Linux 6.14; before, the kernel tells when it is asked to move
_IFA_LABEL = 3
_IFAPROT_KERNEL_LL = 3
_IFA_F_NOPREFIXROUTE = 0x200
_RTA_CACHEINFO = 12
_RTA_NH_ID = 30
_NDA_DST = 1
_NDA_LLADDR = 2
_NUD_PERMANENT = 0x80

_FAMILIES = frozenset({AF_INET, AF_INET6})
_IFINFOMSG = Struct("=BxHiII")
_IFADDRMSG = Struct("=BBBBI")
_RTMSG = Struct("=BBBBBBBBI")
_RTNEXTHOP = Struct("=HBBi")
_NDMSG = Struct("=BxxxiHBB")


def link_move(index: int, netns_fd: int, name: str, new_index: int = 0) -> Message:
    """Move a link into the namespace behind a descriptor, under a name that is free there.

    So is `new_index`; 0 lets the kernel keep the index, or choose. A link that is in that
    namespace already is renamed.
    """
    head = _IFINFOMSG.pack(0, 0, index, 0, 0)
    body = head + u32(IFLA_NET_NS_FD, netns_fd) + text(IFLA_IFNAME, name)
    return Message(RTM_NEWLINK, 0, body + u32(_IFLA_NEW_IFINDEX, new_index) if new_index else body)


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


def qdisc_of(link: bytes) -> str:
    """Return the queueing discipline of a link, as `get_link` answers."""
    _check(link, _IFINFOMSG, "link")
    return string(link, offsets(link, _IFINFOMSG.size, len(link)), _IFLA_QDISC)


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


def addr_words(addr: bytes) -> str:
    """Return an address as what follows `ip address add` (ip-address(8)), up to the link."""
    _check(addr, _IFADDRMSG, "address")
    family, prefixlen, *_ = _IFADDRMSG.unpack_from(addr)
    at = offsets(addr, _IFADDRMSG.size, len(addr))
    far = address(addr, at, IFA_ADDRESS, family)
    own = address(addr, at, IFA_LOCAL, family) or far
    return f"{own}/{prefixlen}" if own == far else f"{own} peer {far}/{prefixlen}"


_KEPT = {
    AF_INET: _IFA_F_NOPREFIXROUTE | 0x400,  # MCAUTOJOIN
    AF_INET6: _IFA_F_NOPREFIXROUTE | 0x100 | 0x400,  # MANAGETEMPADDR, MCAUTOJOIN
}
"""Flags of an address that somebody may set (linux/if_addr.h); the others are the kernel's."""


# ── routes ────────────────────────────────────────────────────────────────────────────────


def leads_through(route: bytes, index: int) -> bool:
    """Whether a route that somebody asked for goes out of a link, be it by one of several hops."""
    if not _is_asked_for(route):
        return False
    at = offsets(route, _RTMSG.size, len(route))
    if RTA_MULTIPATH in at:
        return index in {hop for _, _, hop in _hops(content(route, at, RTA_MULTIPATH))}
    return number(route, at, RTA_OIF) == index


def _is_asked_for(route: bytes) -> bool:
    _check(route, _RTMSG, "route")
    family, *_, protocol, _, _, flags = _RTMSG.unpack_from(route)
    return family in _FAMILIES and protocol in ASKED_FOR and not flags & RTM_F_CLONED


def is_near(route: bytes) -> bool:
    """Whether a route leads to neighbours, without a gateway: such routes come first."""
    _check(route, _RTMSG, "route")
    at = offsets(route, _RTMSG.size, len(route))
    return not at.keys() & {RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH}


def has_source(route: bytes, addresses: Collection[str]) -> bool:
    """Whether an IPv4 route that somebody asked for bears one of these as its source.

    It goes when the address does (fib_sync_down_addr), whatever link it leads through.
    """
    if not _is_asked_for(route) or route[0] != AF_INET:
        return False
    at = offsets(route, _RTMSG.size, len(route))
    return address(route, at, RTA_PREFSRC, AF_INET) in addresses


def route_again(route: bytes, old: int, index: int, *, home: bool = False) -> Message | None:
    """Return what adds a route again, through the link `index` where it went through `old`.

    `home`: it is the namespace that the route was in, so the other links that it goes through are
    there; else None for such a route. None, too, for one by a nexthop object (ip-nexthop(8)).
    """
    _check(route, _RTMSG, "route")
    *head, flags = _RTMSG.unpack_from(route)
    at = offsets(route, _RTMSG.size, len(route))
    if _RTA_NH_ID in at:
        return None
    hops = {hop for _, _, hop in _hops(content(route, at, RTA_MULTIPATH))}
    if hops - {old} and not home:
        return None
    # Of several hops, IPv6 has a route for each: those through other links are still there.
    joins = head[0] == AF_INET6 and bool(hops - {old})
    parts = [_RTMSG.pack(*head, flags & RTNH_F_ONLINK)]
    for kind, place in each(route, _RTMSG.size, len(route)):
        value = route[place + 4 : end_of(route, place)]
        if kind == RTA_OIF:
            kept = number(route, at, RTA_OIF)
            parts.append(u32(RTA_OIF, index if kept == old else kept))
        elif kind == RTA_MULTIPATH:
            parts.append(raw(kind, _through(value, old, index, others=not joins)))
        elif kind != _RTA_CACHEINFO:
            parts.append(raw(kind, value))
    how = NLM_F_APPEND if joins else NLM_F_EXCL
    return Message(RTM_NEWROUTE, NLM_F_CREATE | how, b"".join(parts))


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


def _through(value: bytes, old: int, index: int, *, others: bool) -> bytes:
    """Return hops with those of a link led through another; `others` are kept, or left out."""
    parts = []
    for start, end, hop in _hops(value):
        if hop != old and not others:
            continue
        length, flags, weight, _ = _RTNEXTHOP.unpack_from(value, start)
        link = index if hop == old else hop
        parts.append(_RTNEXTHOP.pack(length, flags & RTNH_F_ONLINK, weight, link))
        parts.append(value[start + _RTNEXTHOP.size : end] + bytes(-length & 3))
    return b"".join(parts)


# ── neighbours ────────────────────────────────────────────────────────────────────────────


def dump_neighbours() -> Message:
    """Ask for all neighbours of both families."""
    return Message(_RTM_GETNEIGH, NLM_F_DUMP, bytes(_NDMSG.size))


def neighbour_again(neighbour: bytes, old: int, index: int) -> tuple[str, Message] | None:
    """Return for a neighbour that somebody set on the link `old` what adds it to another.

    The first is what follows `ip neighbour add`, up to the link. Raises `Malformed`.
    """
    _check(neighbour, _NDMSG, "neighbour")
    family, where, state, flags, kind = _NDMSG.unpack_from(neighbour)
    if family not in _FAMILIES or where != old or not state & _NUD_PERMANENT:
        return None
    at = offsets(neighbour, _NDMSG.size, len(neighbour))
    packed = content(neighbour, at, _NDA_DST)
    if len(packed) != (4 if family == AF_INET else 16):
        msg = "a neighbour of another length than its family has"
        raise Malformed(msg)
    body = _NDMSG.pack(family, index, state, flags, kind) + raw(_NDA_DST, packed)
    words = inet_ntop(family, packed)
    if lladdr := content(neighbour, at, _NDA_LLADDR):
        body += raw(_NDA_LLADDR, lladdr)
        words += f" lladdr {lladdr.hex(':')}"
    return words, Message(_RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, body)


def _check(data: bytes, head: Struct, thing: str) -> None:
    if len(data) < head.size:
        msg = f"a {thing} of less than {head.size} bytes"
        raise Malformed(msg)
