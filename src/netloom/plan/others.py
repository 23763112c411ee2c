"""What others set in a namespace of the lab: told from what is the lab's, and kept by a change.

The lab's is what the file says, and what is remembered of it, compared exactly but for the
protocol: who wrote a route last decides nothing. All else was set by somebody who lives in there, a
DHCP client, a VPN, a routing daemon, a person: it stays, is no drift, and goes with the namespace.

Rule: one key has one owner. What stands in the place of something that the file says (an address by
its IP, of IPv4 with its subnet; a route by destination, table, metric, TOS) is the lab's, and was
changed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

from msgspec.structs import replace

from netloom.model.lab_state import LabState, Others
from netloom.model.marks import BY_HAND
from netloom.model.objects import Addr, Desired, Link, NetnsState, Route, Rule, can_become
from netloom.plan.mutable import IPV6_MIN_MTU, MutableNetns
from netloom.plan.simulate import is_same, is_secondary
from netloom.plan.sysctls import is_ipv6_off

NOBODY = Others()

T = TypeVar("T")
RouteOrRule = TypeVar("RouteOrRule", Route, Rule)

# ── telling apart ─────────────────────────────────────────────────────────────────────────


def told_apart(
    seen: NetnsState, known: Iterable[NetnsState], wanted: NetnsState
) -> tuple[NetnsState, Others]:
    """Return what was seen in a namespace of the lab, and what of it others set.

    `known` are the states that it was or may be in, `wanted` is the one that it shall be in. What
    is the lab's bears the protocol that it was asked for with.
    """
    seen = _with_any_lo(seen, wanted)
    if (seen.links, seen.routes, seen.rules) == (wanted.links, wanted.routes, wanted.rules):
        return seen, NOBODY
    every = (*known, wanted)
    asked_routes = {_bare(route): route for state in every for route in state.routes}
    asked_rules = {_bare(rule): rule for state in every for rule in state.rules}
    routes = frozenset(asked_routes.get(_bare(route), route) for route in seen.routes)
    rules = frozenset(asked_rules.get(_bare(rule), rule) for rule in seen.rules)
    in_place = {route.key for route in wanted.routes - routes}
    free = {r for r in routes.difference(asked_routes.values()) if r.key not in in_place}
    of_daemons = {r for r in free if r.protocol not in BY_HAND or r.nexthop_id}
    others = replace(
        on_links(seen.links, every, wanted),
        routes=frozenset(free - of_daemons),
        rules=rules.difference(asked_rules.values()),
    )
    return replace(seen, routes=routes - of_daemons, rules=rules), others


def _with_any_lo(seen: NetnsState, wanted: NetnsState) -> NetnsState:
    """Return a namespace with the MTU of `lo` that is wanted: no file says it, so it is theirs."""
    lo, own = seen.links.get("lo"), wanted.links.get("lo")
    if lo is None or own is None or lo.mtu == own.mtu:
        return seen
    return replace(seen, links={**seen.links, "lo": replace(lo, mtu=own.mtu)})


def on_links(
    links: Mapping[str, Link], states: Collection[NetnsState], wanted: NetnsState
) -> Others:
    """Return what others set on the lab's links; `states` tells what the lab asked of them."""
    addrs, altnames, masters = {}, {}, {}
    for name, link in links.items():
        asked = [state.links[name] for state in states if name in state.links]
        now = wanted.links.get(name)
        if link in asked or link.borrowed:
            continue
        ours = {str(addr) for one in asked for addr in one.addrs}
        said = now.addrs if now else ()
        addrs[name] = tuple(
            addr
            for addr in link.addrs
            if str(addr) not in ours and not any(is_same(addr, one) for one in said)
        )
        known = {altname for one in asked for altname in one.altnames}
        altnames[name] = tuple(altname for altname in link.altnames if altname not in known)
        free = link.master and all(one.master != link.master for one in asked)
        masters[name] = link.master if free and not (now and now.master) else ""
    return Others(_told(addrs), _told(altnames), _told(masters))


def _told(found: Mapping[str, T]) -> dict[str, T]:
    return {name: what for name, what in found.items() if what}


def _bare(one: RouteOrRule) -> RouteOrRule:
    """Return a route or a rule as whoever compares them sees it."""
    return replace(one, protocol=0)


def without_others(snapshot: LabState) -> LabState:
    """Return a snapshot of the lab's own things alone."""
    own = {
        name: _without(snapshot.netns[name], others)
        for name, others in snapshot.others.items()
        if name in snapshot.netns
    }
    return replace(snapshot, netns={**snapshot.netns, **own}, others={})


def _without(netns: NetnsState, others: Others) -> NetnsState:
    links = dict(netns.links)
    for name in {*others.addrs, *others.altnames, *others.masters} & links.keys():
        link, addrs = links[name], others.addrs.get(name, ())
        altnames = others.altnames.get(name, ())
        links[name] = replace(
            link,
            addrs=_joined(link, (), [addr for addr in link.addrs if addr not in addrs]),
            altnames=tuple(one for one in link.altnames if one not in altnames),
            master="" if name in others.masters else link.master,
        )
    routes, rules = netns.routes - others.routes, netns.rules - others.rules
    return replace(netns, links=links, routes=routes, rules=rules)


# ── keeping ───────────────────────────────────────────────────────────────────────────────


def with_others(desired: Desired, snapshot: LabState) -> tuple[Desired, LabState]:
    """Return what is desired with what others set, and a snapshot without what cannot stay.

    That goes with what it hangs on, by itself; but for a route from an address that goes: it goes
    first, and is told.
    """
    if not snapshot.others:
        return desired, snapshot
    wanted, seen = dict(desired.netns), dict(snapshot.netns)
    for name, others in snapshot.others.items():
        if name in wanted and name in seen:
            whole = _with_links(wanted[name], seen[name], others)
            foreign = snapshot.foreign.links.get(name, ())
            stay = frozenset(_that_stay(others.routes, whole, foreign))
            wanted[name] = replace(
                whole, routes=whole.routes | stay, rules=whole.rules | others.rules
            )
            if gone := {route for route in others.routes - stay if not route.src}:
                seen[name] = replace(seen[name], routes=seen[name].routes - gone)
    return replace(desired, netns=wanted), replace(snapshot, netns=seen)


def _with_links(want: NetnsState, have: NetnsState, others: Others) -> NetnsState:
    links = dict(want.links)
    for name in {*others.addrs, *others.altnames, *others.masters} & links.keys():
        link, there = links[name], have.links.get(name)
        if there is None or not can_become(there.kind, link.kind):
            continue  # it is made anew, and another one
        ipv6 = link.mtu >= IPV6_MIN_MTU and not is_ipv6_off(want.sysctls, name)
        theirs = [a for a in others.addrs.get(name, ()) if ipv6 or a.family == 4]
        links[name] = replace(
            link,
            addrs=_joined(link, link.addrs, theirs),
            altnames=tuple(sorted({*link.altnames, *others.altnames.get(name, ())})),
            master=link.master or others.masters.get(name, ""),
        )
    return replace(want, links=links)


def _joined(link: Link, own: Collection[Addr], theirs: Collection[Addr]) -> tuple[Addr, ...]:
    """Return the addresses of a link, each primary or not as the kernel has them in the end."""
    primaries = [addr for addr in theirs if not addr.secondary]
    found = [a if a.secondary or not is_secondary(a, primaries) else _second(a) for a in own]
    found += primaries
    for addr in (addr for addr in theirs if addr.secondary):
        first = (*link.born_with, *(one for one in found if not one.secondary))
        found.append(replace(addr, secondary=is_secondary(addr, first)))
    return tuple(sorted(found))


def _second(addr: Addr) -> Addr:
    return replace(addr, secondary=True)


def _that_stay(
    routes: frozenset[Route], whole: NetnsState, foreign: Collection[str]
) -> Iterator[Route]:
    """Yield the routes of others that the kernel keeps, or takes again, in a namespace."""
    keys = {route.key for route in whole.routes}
    there = MutableNetns(replace(whole, routes=whole.routes | routes))
    for route in routes:
        elsewhere = bool(route.nexthops) and all(hop.dev in foreign for hop in route.nexthops)
        if route.key not in keys and (elsewhere or not there.why_unreachable(route, ours=True)):
            yield route
