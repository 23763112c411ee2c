"""By which interfaces a host leads packets on to others, as its routes and rules have it.

A default route is a way out, and so are the two halves of the internet that a VPN lays before it, a
table of its own that a rule leads to, and whatever is more specific, through a gateway or into a
tunnel. A subnet that an interface has an address in is none: whoever is there is a neighbour.
The default route of the table `main` counts even where all of it is hidden: a VPN's own packets
take it, and neighbours there, the resolver say, are reached as ever.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

from netloom.datapath.fib import RTPROT_KERNEL, Fib, FlowKey
from netloom.model.objects import MAIN_TABLE, Nexthop, Route
from netloom.values import Family, bounds, from_int, length_of

_DEFAULTS: dict[Family, int] = {4: 1, 6: 3}
"""The longest prefix of a route to all others: half of IPv4; what is in use of IPv6, 2000::/3."""


class Candidates(Struct, frozen=True):
    """The interfaces that may be ways out.

    `tunnels` need no gateway, since there is nobody to tell apart at their other end. Into
    `bridges` lead default routes alone: who else is there is a machine or container of the host.
    """

    links: Collection[str]
    tunnels: Collection[str] = ()
    bridges: Collection[str] = ()

    def has(self, route: Route, hop: Nexthop) -> bool:
        """Whether a way of a route leads on to others."""
        if route.protocol == RTPROT_KERNEL or hop.dev not in self.links:
            return False
        if is_default(route):
            return True
        return hop.dev not in self.bridges and bool(hop.via or hop.dev in self.tunnels)


def ways_out(
    fib: Fib, version: Family, candidates: Candidates, src: str = "", iif: str = "lo"
) -> dict[str, bool]:
    """Return the interfaces that packets leave by, and of each whether by a default route.

    That of packets from `src` that come in by `iif`; without these, of the host's own. They bear no
    mark, and are of all protocols and ports that a rule speaks of.
    """
    found = dict.fromkeys(_of_main(fib, version, candidates), True)
    edges = _Edges(fib, version)
    kinds = _kinds(fib, version, FlowKey("", src, iif))
    for route in sorted(fib.routes(version), key=lambda each: length_of(each.dst)):
        default = is_default(route)
        missing = {hop.dev for hop in route.nexthops if candidates.has(route, hop)}
        for point, kind in product(edges.within(route.dst), kinds):
            missing = {dev for dev in missing if dev not in found or found[dev] < default}
            if not missing:
                break
            answer = fib.lookup(replace(kind, dst=from_int(point, route.dst)))
            for hop in answer.nexthops if answer.route else ():
                if answer.route and candidates.has(answer.route, hop):
                    found[hop.dev] = found.get(hop.dev, False) or is_default(answer.route)
    return dict(sorted(found.items(), key=lambda each: not each[1]))


def _kinds(fib: Fib, version: Family, packet: FlowKey) -> list[FlowKey]:
    """Return the kinds of packets that rules and routes tell apart, beside their addresses."""
    ports = {(rule.ipproto, rule.sport[0], rule.dport[0]) for rule in fib.rules(version)}
    tos = {rule.tos for rule in fib.rules(version)} | {route.tos for route in fib.routes(version)}
    return [
        replace(packet, ipproto=proto, sport=sport, dport=dport, tos=one)
        for (proto, sport, dport), one in product(sorted(ports | {(0, 0, 0)}), sorted(tos | {0}))
    ]


def routed_prefixes(routes: Iterable[Route], links: Collection[str]) -> Iterator[str]:
    """Yield what routes lead elsewhere, or nowhere, but for default routes.

    `links` are the interfaces whose routes count; of a route that leads nowhere that is no matter.
    """
    for route in routes:
        if route.protocol == RTPROT_KERNEL or is_default(route):
            continue
        if all(hop.dev in links for hop in route.nexthops):
            yield route.dst


def _of_main(fib: Fib, version: Family, candidates: Candidates) -> Iterator[str]:
    """Yield the interfaces of the best default route of `main`."""
    defaults = [r for r in fib.routes(version) if r.table == MAIN_TABLE and not length_of(r.dst)]
    least = min((route.metric for route in defaults), default=0)
    for route in defaults:
        if route.metric == least:
            yield from (hop.dev for hop in route.nexthops if candidates.has(route, hop))


def is_default(route: Route) -> bool:
    """Whether a route leads to all others, or to half of them, as a VPN's do."""
    return length_of(route.dst) <= _DEFAULTS[route.family]


class _Edges:
    """Where the answer to a lookup may change: the edges of all prefixes of routes and rules."""

    def __init__(self, fib: Fib, version: Family) -> None:
        prefixes = {route.dst for route in fib.routes(version)}
        prefixes |= {rule.dst for rule in fib.rules(version) if rule.dst}
        sides = {side for first, last in map(bounds, prefixes) for side in (first, last + 1)}
        self.sides = sorted(sides)

    def within(self, prefix: str) -> Iterator[int]:
        """Yield the first address of each stretch of a prefix in which all are answered alike."""
        first, last = bounds(prefix)
        yield from self.sides[bisect_left(self.sides, first) : bisect_right(self.sides, last)]
