"""Routes: RTM_NEWROUTE and its kin (`ip route`).

Most routes of a namespace are the kernel's own (connected prefixes, local and broadcast addresses);
a reader tells them by one byte of the fixed header, before any attribute is looked at.
"""

from collections.abc import Iterable, Mapping
from struct import Struct

from netloom.model.objects import Nexthop, Route
from netloom.values import inet_ntop, inet_pton
from netloom.wire.attributes import (
    Malformed,
    address,
    content,
    end_of,
    nested,
    number,
    offsets,
    raw,
    u32,
    within,
)
from netloom.wire.constants import (
    AF_INET,
    AF_INET6,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RT_TABLE_LOCAL,
    RTA_DST,
    RTA_GATEWAY,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_NH_ID,
    RTA_OIF,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_TABLE,
    RTA_VIA,
    RTAX_ADVMSS,
    RTAX_MTU,
    RTM_DELROUTE,
    RTM_F_CLONED,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    RTN_UNICAST,
    RTNH_F_ONLINK,
    RTPROT_KERNEL,
    RTPROT_RA,
    RTPROT_REDIRECT,
)
from netloom.wire.message import Message

_RTMSG = Struct("=BBBBBBBBI")
_RTNEXTHOP = Struct("=HBBi")
_FAMILY = Struct("=H")

ASKED_FOR = frozenset(range(256)) - {RTPROT_REDIRECT, RTPROT_KERNEL, RTPROT_RA}
"""The protocols of routes that somebody asked for; all others are the kernel's own."""

_TYPES = {
    "unicast": RTN_UNICAST,
    "local": 2,
    "broadcast": 3,
    "anycast": 4,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
    "throw": 9,
    "nat": 10,
}
_TYPE_NAMES = {number: name for name, number in _TYPES.items()}
_DEAD_ENDS = frozenset({6, 7, 8, 9})
_DEFAULT = {AF_INET: inet_ntop(AF_INET, bytes(4)), AF_INET6: "::"}


def route_add(route: Route, indexes: Mapping[str, int]) -> Message:
    """Add a route; `indexes` tells the index of a link."""
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, _body(route, indexes))


def route_replace(route: Route, indexes: Mapping[str, int]) -> Message:
    """Put a route in the place of the one with the same key, or add it."""
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _body(route, indexes))


def route_del(route: Route, indexes: Mapping[str, int]) -> Message:
    """Delete a route; the kernel compares all that is said here."""
    return Message(RTM_DELROUTE, 0, _body(route, indexes))


def dump_routes() -> Message:
    """Ask for all routes of both families."""
    return Message(RTM_GETROUTE, NLM_F_DUMP, bytes(_RTMSG.size))


def _body(route: Route, indexes: Mapping[str, int]) -> bytes:
    family = AF_INET6 if ":" in route.dst else AF_INET
    address, _, length = route.dst.partition("/")
    table = route.table if route.table < 256 else 0
    flags, hops = _ways(route, family, indexes)
    kind = _TYPES[route.type]
    head = (family, int(length), 0, route.tos, table, route.protocol, route.scope, kind, flags)
    parts = [_RTMSG.pack(*head)]
    if length != "0":
        parts.append(raw(RTA_DST, inet_pton(family, address)))
    if not table:
        parts.append(u32(RTA_TABLE, route.table))
    if route.metric:
        parts.append(u32(RTA_PRIORITY, route.metric))
    if route.src:
        parts.append(raw(RTA_PREFSRC, inet_pton(family, route.src)))
    if route.mtu or route.advmss:
        parts.append(_metrics(route))
    parts.append(hops)
    return b"".join(parts)


def _metrics(route: Route) -> bytes:
    mtu = u32(RTAX_MTU, route.mtu) if route.mtu else b""
    advmss = u32(RTAX_ADVMSS, route.advmss) if route.advmss else b""
    return nested(RTA_METRICS, mtu, advmss)


def _ways(route: Route, family: int, indexes: Mapping[str, int]) -> tuple[int, bytes]:
    if route.nexthop_id:
        return 0, u32(RTA_NH_ID, route.nexthop_id)
    return _nexthops(route.nexthops, family, indexes)


def _nexthops(
    hops: tuple[Nexthop, ...], family: int, indexes: Mapping[str, int]
) -> tuple[int, bytes]:
    if not hops:
        return 0, b""
    if len(hops) == 1 and hops[0].weight == 1:
        hop = hops[0]
        flags = RTNH_F_ONLINK if hop.onlink else 0
        return flags, u32(RTA_OIF, indexes[hop.dev]) + _via(hop.via, family)
    return 0, nested(RTA_MULTIPATH, *(_nexthop(hop, family, indexes) for hop in hops))


def _nexthop(hop: Nexthop, family: int, indexes: Mapping[str, int]) -> bytes:
    via = _via(hop.via, family)
    flags = RTNH_F_ONLINK if hop.onlink else 0
    return _RTNEXTHOP.pack(8 + len(via), flags, hop.weight - 1, indexes[hop.dev]) + via


def _via(via: str, family: int) -> bytes:
    if not via:
        return b""
    if ":" not in via:
        return raw(RTA_GATEWAY, inet_pton(AF_INET, via))
    packed = inet_pton(AF_INET6, via)
    if family == AF_INET6:
        return raw(RTA_GATEWAY, packed)
    # An IPv4 route through an IPv6 neighbour (RFC 5549); struct rtvia is a family and an address.
    return raw(RTA_VIA, _FAMILY.pack(AF_INET6) + packed)


def read_routes(
    payloads: Iterable[bytes],
    names: Mapping[int, str],
    protocols: frozenset[int] | None = ASKED_FOR,
    *,
    local: bool = False,
) -> list[Route]:
    """Return the routes that somebody asked for, from answers; raises `Malformed`.

    `names` tells the name of a link by its index. The kernel's own routes, cached ones, and the
    table `local` are left out; `protocols` None means all but those of `local`, and `local` these.
    """
    found: list[Route] = []
    for data in payloads:
        if len(data) < 12:
            msg = "a route of less than 12 bytes"
            raise Malformed(msg)
        if (protocols is None or data[5] in protocols) and data[0] in _DEFAULT:
            route = _read(data, names)
            if route is not None and (local or route.table != RT_TABLE_LOCAL):
                found.append(route)
    return found


def _read(data: bytes, names: Mapping[int, str]) -> Route | None:
    family, dst_len, _, tos, table, protocol, scope, kind, flags = _RTMSG.unpack_from(data)
    at = offsets(data, 12, len(data))
    table = number(data, at, RTA_TABLE, table)
    if flags & RTM_F_CLONED:
        return None
    dst = address(data, at, RTA_DST, family) or _DEFAULT[family]
    metrics = within(data, at, RTA_METRICS)
    return Route(
        dst=f"{dst}/{dst_len}",
        # The kernel puts `lo` as the device of an IPv6 route that leads nowhere (fib6_nh_init).
        nexthops=() if kind in _DEAD_ENDS else _read_nexthops(data, at, (family, flags), names),
        type=_TYPE_NAMES.get(kind) or str(kind),
        table=table,
        metric=number(data, at, RTA_PRIORITY),
        tos=tos,
        src=address(data, at, RTA_PREFSRC, family),
        scope=scope,
        mtu=number(data, metrics, RTAX_MTU),
        advmss=number(data, metrics, RTAX_ADVMSS),
        protocol=protocol,
        nexthop_id=number(data, at, RTA_NH_ID),
    )


def _read_nexthops(
    data: bytes, at: dict[int, int], head: tuple[int, int], names: Mapping[int, str]
) -> tuple[Nexthop, ...]:
    family, flags = head
    if RTA_MULTIPATH in at:
        return _read_multipath(data, at[RTA_MULTIPATH], family, names)
    if RTA_OIF not in at:
        return ()
    return (_hop(number(data, at, RTA_OIF), _read_via(data, at, family), 0, flags, names),)


def _hop(index: int, via: str, others: int, flags: int, names: Mapping[int, str]) -> Nexthop:
    # A link that is not among the names went away between the two dumps; `ip` prints it so as well.
    return Nexthop(names.get(index) or f"if{index}", via, others + 1, flags & RTNH_F_ONLINK != 0)


def _read_multipath(
    data: bytes, place: int, family: int, names: Mapping[int, str]
) -> tuple[Nexthop, ...]:
    start, end = place + 4, end_of(data, place)
    hops: list[Nexthop] = []
    while end - start >= 8:
        length, flags, others, index = _RTNEXTHOP.unpack_from(data, start)
        if not 8 <= length <= end - start:
            msg = "a nexthop runs over the end of its route"
            raise Malformed(msg)
        via = _read_via(data, offsets(data, start + 8, start + length), family)
        hops.append(_hop(index, via, others, flags, names))
        start += (length + 3) & -4
    return tuple(hops)


def _read_via(data: bytes, at: dict[int, int], family: int) -> str:
    if RTA_VIA not in at:
        return address(data, at, RTA_GATEWAY, family)
    via = content(data, at, RTA_VIA)
    if len(via) != 18 or _FAMILY.unpack_from(via)[0] != AF_INET6:
        msg = "a route by a gateway of an unknown family"
        raise Malformed(msg)
    return inet_ntop(AF_INET6, via[2:])
