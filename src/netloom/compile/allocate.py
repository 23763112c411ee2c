"""Which subnets and addresses: those given are checked, the others derived.

Derived ones go in file order, so a reader can predict them; and what is applied keeps its address
(`Allocations`), so that adding a line does not renumber a running lab. A network gets an IPv4
prefix that its members fit in, at least a /24, and an IPv6 /64; a wire a /30 and a /126. They keep
clear of what the file gives, of what the host is in, and of what it has routes to.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from operator import itemgetter

from msgspec import Struct

from netloom.compile.expand import Expanded, GivenAddr, Port, Segment
from netloom.model.facts import Allocations, HostSubnet
from netloom.model.objects import HOST, Addr
from netloom.values import (
    Family,
    bounds,
    contains,
    family,
    from_int,
    ip,
    length_of,
    overlap,
    to_int,
    width,
)

_ROOM = 1.25
"""A derived prefix is made for this many times the members there are, so that some can be added."""

_OURS = "netloom refuses that, the kernel would not"
_NOT_OF_LINKS = ("::1/128", "ff00::/8")
"""Addresses that the kernel gives to no link but `lo`, or to none (ipv6_add_addr)."""


class HostPrefixes(Struct, frozen=True):
    """What the host sees of prefixes: its own subnets, and what it has routes to elsewhere.

    `ipv6`: whether an interface that is made on the host can have an address of IPv6.
    """

    subnets: tuple[HostSubnet, ...] = ()
    routed: frozenset[str] = frozenset()
    ipv6: bool = True


def allocate(
    expanded: Expanded, pool: tuple[str, ...], held: Allocations, host: HostPrefixes
) -> Allocations:
    """Fill in the subnets and addresses of a topology; return what of them is derived."""
    _give_subnets(expanded, pool, held, host)
    addresses: dict[str, tuple[str, ...]] = {}
    for segment in expanded.segments:
        _take_given(expanded, segment)
        if _bare(segment):
            continue
        for prefix in segment.subnets:
            _fill(expanded, segment, prefix, held)
        derived = (port for port in segment.ports if port.asked is None)
        addresses |= {str(port.end): tuple(map(str, port.addresses)) for port in derived}
    derived_subnets = {
        segment.key: tuple(segment.subnets)
        for segment in expanded.segments
        if segment.asked is None
    }
    _check_ranges(expanded)
    _check_host(expanded, host.subnets)
    _check_overlaps(expanded)
    return Allocations(subnets=derived_subnets, addresses=addresses, secret=held.secret)


def _bare(segment: Segment) -> bool:
    """Whether no address is derived on a segment: L2 only, or a wire with given ones."""
    if segment.asked == ():
        return True
    return segment.network is None and segment.asked is None and any(p.asked for p in segment.ports)


# ── subnets ───────────────────────────────────────────────────────────────────────────────────────


def _give_subnets(
    expanded: Expanded, pool: tuple[str, ...], held: Allocations, host: HostPrefixes
) -> None:
    given = [prefix for segment in expanded.segments for prefix in segment.asked or ()]
    kept = [prefix for prefixes in held.subnets.values() for prefix in prefixes]
    taken = (*given, *kept, *(subnet.prefix for subnet in host.subnets))
    room = _Room(pool, taken, host.routed)
    for segment in expanded.segments:
        if segment.asked is not None:
            segment.subnets = list(segment.asked)
        elif not _bare(segment):
            of_host = any(port.end.netns == HOST for port in segment.ports)
            versions: tuple[Family, ...] = (4, 6) if host.ipv6 or not of_host else (4,)
            old = held.subnets.get(segment.key, ())
            beside = _Blocked(other.prefix for other in _beside(segment, host.subnets))
            if old and all(
                family(prefix) in versions and _fits(segment, prefix) and beside.is_free(prefix)
                for prefix in old
            ):
                segment.subnets = list(old)
                continue
            found = (room.cut(segment, version) for version in versions)
            segment.subnets = [prefix for prefix in found if prefix]
            if not segment.subnets:
                hint = "give a `subnet:`, or a larger `pool:`"
                what = "network" if segment.network else "link"
                message = f"no room is left in the pool for the subnet of {what} `{segment.key}`"
                expanded.error(segment.path, message, hint)


def _length(segment: Segment, block: str) -> int:
    """Return the prefix length for a derived subnet."""
    if segment.network is None:
        return width(block) - 2
    if family(block) == 6:
        return 64
    need = int(len(segment.ports) * _ROOM) + 3
    return min(24, 32 - (need - 1).bit_length())


def _fits(segment: Segment, prefix: str) -> bool:
    first, last = bounds(prefix)
    return last - first - 2 >= len(segment.ports) or segment.network is None


class _Room:
    """Where derived prefixes are cut from: clear of what is taken, and of what is routed.

    Where nothing else is left, what is only routed is taken, too: it is no neighbour of the lab's.
    """

    def __init__(self, pool: tuple[str, ...], taken: Iterable[str], routed: Iterable[str]) -> None:
        self.pool = pool
        self.cursors = {prefix: bounds(prefix)[0] for prefix in pool}
        self.blocked = (_Blocked((*taken, *routed)), _Blocked(taken))

    def cut(self, segment: Segment, version: Family) -> str | None:
        """Return the next free prefix of a family, None if there is none."""
        for blocked in self.blocked:
            for block in self.pool:
                if family(block) == version and (found := self._cut(segment, block, blocked)):
                    return found
        return None

    def _cut(self, segment: Segment, block: str, blocked: "_Blocked") -> str | None:
        first, last = bounds(block)
        length = _length(segment, block)
        size = 1 << (width(block) - length)
        start = max(self.cursors[block], first)
        while True:
            start = -(-start // size) * size
            if start + size - 1 > last:
                return None
            jump = blocked.end_of(family(block), start, start + size - 1)
            if jump is None:
                self.cursors[block] = start + size
                return f"{from_int(start, block)}/{length}"
            start = jump + 1


class _Blocked:
    """Prefixes that derived ones must not overlap, merged and sorted so that asking is quick."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self.ranges: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for prefix in sorted(set(prefixes), key=bounds):
            ranges = self.ranges[family(prefix)]
            first, last = bounds(prefix)
            if ranges and first <= ranges[-1][1]:
                ranges[-1] = ranges[-1][0], max(last, ranges[-1][1])
            else:
                ranges.append((first, last))

    def end_of(self, version: int, first: int, last: int) -> int | None:
        """Return the end of a blocked range that `first … last` meets, None if it meets none."""
        ranges = self.ranges[version]
        place = bisect_right(ranges, last, key=itemgetter(0)) - 1
        return ranges[place][1] if place >= 0 and ranges[place][1] >= first else None

    def is_free(self, prefix: str) -> bool:
        """Whether a prefix meets none of them."""
        return self.end_of(family(prefix), *bounds(prefix)) is None


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────


def _take_given(expanded: Expanded, segment: Segment) -> None:
    """Check the addresses that are given on a segment, and complete them with its prefix length."""
    owners: dict[str, Port] = {}
    for port in segment.ports:
        for given in port.asked or ():
            addr = _with_length(expanded, segment, port, given)
            if addr is None:
                continue
            if addr.ip in owners:
                other = owners[addr.ip].end
                message = f"{addr.ip} of `{port.end}` is also `{other}`'s, on the same segment"
                expanded.error(port.path, message, _OURS)
            owners[addr.ip] = port
            port.addresses.append(addr)


def _with_length(expanded: Expanded, segment: Segment, port: Port, given: GivenAddr) -> Addr | None:
    """Return an address with its length, None if it is a mistake, which is noted."""
    ip, length = given
    number = to_int(ip)
    same = (prefix for prefix in segment.subnets if family(prefix) == family(ip))
    inside = [prefix for prefix in same if bounds(prefix)[0] <= number <= bounds(prefix)[1]]
    if segment.subnets and not inside:
        where = " · ".join(segment.subnets)
        kind = f"network `{segment.key}`" if segment.network else "the link"
        expanded.error(port.path, f"{ip} is outside {where} of {kind}")
        return None
    if length is None and not inside:
        expanded.error(port.path, f"`{ip}` has no prefix length", f"write `{ip}/24`")
        return None
    addr = Addr(ip, length_of(inside[0]) if length is None else length)
    if not _is_host(addr, number):
        message = f"{ip} is the address of {addr} itself, not of a host"
        expanded.error(port.path, message, _OURS)
        return None
    if ":" in ip and any(contains(prefix, ip) for prefix in _NOT_OF_LINKS):
        expanded.error(port.path, f"{ip} is no address that the kernel gives to a wire's end")
        return None
    return addr


def _is_host(addr: Addr, number: int) -> bool:
    """Whether an address may be a host's: not the network's, nor IPv4's broadcast."""
    size = 1 << (width(addr.ip) - addr.prefixlen)
    inside = number % size
    return size <= 2 or (inside > 0 and not (addr.family == 4 and inside == size - 1))


def _fill(expanded: Expanded, segment: Segment, prefix: str, held: Allocations) -> None:
    """Give each port that asks an address in a subnet: the one it holds, or the next free."""
    asking = [port for port in segment.ports if port.asked is None]
    if asking and segment.joined and segment.network:
        ranges = segment.network.range
        if not ranges:
            message = "an address is never guessed on a segment that is not the lab's"
            expanded.error(asking[0].path, message, "give an address, or the network a `range:`")
        if not any(overlap(part, prefix) for part in ranges):
            return
    kept = {id(port): _held_in(prefix, held.addresses.get(str(port.end), ())) for port in asking}
    used = {to_int(addr.ip) for port in segment.ports for addr in port.addresses}
    if (gateway := _gateway_address(segment)) and contains(prefix, gateway):
        used.add(to_int(gateway))
    mine: set[int] = set()
    for port in asking:
        if (number := kept[id(port)]) and number not in used and number not in mine:
            mine.add(number)
        else:
            kept[id(port)] = 0
    free = (n for n in _candidates(segment, prefix) if n not in used and n not in mine)
    length = length_of(prefix)
    for port in asking:
        number = kept[id(port)] or next(free, 0)
        if not number:
            too_small = "range" if segment.network and segment.network.range else "subnet"
            message = f"no address is left in {prefix} for `{port.end}`"
            expanded.error(port.path, message, f"take a larger `{too_small}`")
            return
        port.addresses.append(Addr(from_int(number, prefix), length))


def _gateway_address(segment: Segment) -> str | None:
    """Return the gateway of a network where it is given as an address, else None."""
    try:
        return ip(segment.network.gateway) if segment.network else None
    except ValueError:
        return None


def _held_in(prefix: str, held: tuple[str, ...]) -> int:
    """Return the held address that lies in a prefix as a number, 0 if there is none."""
    ips = (text.partition("/")[0] for text in held)
    return next((to_int(ip) for ip in ips if contains(prefix, ip)), 0)


def _candidates(segment: Segment, prefix: str) -> Iterator[int]:
    """Yield the addresses of a subnet that may be derived, in order."""
    ranges = segment.network.range if segment.network else ()
    spans = [bounds(part) for part in ranges if overlap(part, prefix)]
    first, last = bounds(prefix)
    if last - first > 1:
        first, last = first + 1, last - (family(prefix) == 4)
    for start, end in spans or [(first, last)]:
        yield from range(max(start, first), min(end, last) + 1)


def _check_ranges(expanded: Expanded) -> None:
    """Find ranges that no subnet of their network has a part of: they would be passed over."""
    for segment in expanded.segments:
        for number, part in enumerate(segment.network.range if segment.network else ()):
            if segment.subnets and not any(overlap(part, one) for one in segment.subnets):
                where = " · ".join(segment.subnets)
                message = f"{part} is outside {where} of network `{segment.key}`"
                expanded.error((*segment.path, "range", number), message)


# ── what one namespace must not see twice ─────────────────────────────────────────────────────────


def _check_overlaps(expanded: Expanded) -> None:
    """Find namespaces that see overlapping subnets on two interfaces, or one address twice."""
    seen: dict[str, list[tuple[int, int, int, Port, str]]] = {}
    for segment in expanded.segments:
        for port in segment.ports:
            for addr in port.addresses:
                entry = (addr.family, *bounds(addr.subnet), port, addr.ip)
                seen.setdefault(port.end.netns, []).append(entry)
    for name, entries in seen.items():
        entries.sort(key=lambda entry: entry[:3])
        for one, two in pairwise(entries):
            if one[0] == two[0] and two[1] <= one[2] and one[3] is not two[3]:
                _say_overlap(expanded, name, one, two)


def _say_overlap(
    expanded: Expanded,
    name: str,
    one: tuple[int, int, int, Port, str],
    two: tuple[int, int, int, Port, str],
) -> None:
    if one[4] == two[4]:
        message = f"{two[4]} is on `{one[3].end}` and on `{two[3].end}`: one namespace, one address"
    else:
        message = (
            f"{one[4]} of `{one[3].end}` and {two[4]} of `{two[3].end}` have overlapping subnets"
        )
    hint = f"`{name}` could not tell which of the two ways to take: {_OURS}"
    expanded.error(two[3].path, message, hint)


def _check_host(expanded: Expanded, host: tuple[HostSubnet, ...]) -> None:
    """Find subnets that overlap with what the host sees already, where the host takes part."""
    for segment in expanded.segments:
        shown = _beside(segment, host)
        for prefix in segment.subnets or _subnets_of(segment) if shown else ():
            for other in shown:
                if overlap(prefix, other.prefix):
                    what = (
                        f"network `{segment.key}`" if segment.network else f"link `{segment.key}`"
                    )
                    owner = f" (the lab `{other.owner}`)" if other.owner else ""
                    expanded.error(
                        (*segment.path, "subnet"),
                        f"{prefix} of {what} overlaps {other.prefix} on host:{other.link}{owner}",
                        f"choose another, or let it be derived: {_OURS}",
                    )


def _beside(segment: Segment, host: tuple[HostSubnet, ...]) -> tuple[HostSubnet, ...]:
    """Return which subnets of the host are seen where a segment is, beside its own.

    A program for `uplink: user` shows what plays the host the subnets beside the way out.
    """
    if any(port.end.netns == HOST for port in segment.ports):
        return host
    has_uplink = segment.network is not None and segment.network.uplink is not None
    return tuple(other for other in host if has_uplink and other.leads_out)


def _subnets_of(segment: Segment) -> list[str]:
    return sorted({addr.subnet for port in segment.ports for addr in port.addresses})
