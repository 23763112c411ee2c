"""The first half of a difference: what is in the way goes, with what it would take along."""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from netloom.model.lab_state import LabState
from netloom.model.objects import (
    HOST,
    Addr,
    Desired,
    End,
    Link,
    NetnsState,
    Route,
    Rule,
    can_become,
    is_kept,
)
from netloom.plan import steps
from netloom.plan.host_steps import stop, unclaim, unguard
from netloom.plan.mutable import IPV6_MIN_MTU
from netloom.plan.order import route_order, rule_order
from netloom.plan.simulate import is_secondary
from netloom.plan.steps import Step
from netloom.plan.sysctls import NO_IPV6, born, default_of, outcome, to_set
from netloom.values import family

_EMPTY = NetnsState()


def removals(desired: Desired, snapshot: LabState) -> Iterator[Step]:
    """Yield the steps that remove what cannot stay, or not as it is."""
    doomed = frozenset(_doomed_links(desired, snapshot))
    touched = {end.netns for end in doomed}
    host, was = desired.netns.get(HOST, _EMPTY), snapshot.netns.get(HOST, _EMPTY)
    yield from stop(desired, snapshot)
    yield from unclaim(host, was)
    for name, have in snapshot.netns.items():
        want = desired.netns.get(name, _EMPTY)
        if name in desired.netns or is_kept(name, have):
            if want != have or name in touched:
                whole = (
                    want if is_kept(name, have) else _with_forgotten(want, have, snapshot.defaults)
                )
                yield from _clear_inside(name, whole, have, doomed)
        elif have.etc:
            yield steps.EtcDel(name)
    yield from _deletions(doomed, desired, snapshot)
    yield from unguard(HOST, host, was)
    for name in snapshot.netns:
        if name not in desired.netns and not is_kept(name, snapshot.netns[name]):
            yield steps.NetnsDel(name)
    yield from (steps.NameDel(name) for name in sorted(snapshot.unnamed))
    yield from (steps.EtcDel(name) for name in sorted(snapshot.stray_etc))


def _doomed_links(desired: Desired, snapshot: LabState) -> Iterator[End]:
    """Yield the links that cannot stay, in namespaces that do: unwanted, changed, rewired."""
    for name, have in snapshot.netns.items():
        if name not in desired.netns and not is_kept(name, have):
            continue
        want = desired.netns.get(name, _EMPTY)
        if want.links is have.links or want.links == have.links:
            continue
        for link_name, link in have.links.items():
            if not _can_stay(want.links.get(link_name), link):
                yield End(name, link_name)
                if link.peer:
                    yield link.peer


def _can_stay(want: Link | None, have: Link) -> bool:
    """Whether a link can become what is wanted without being made again."""
    return want is not None and can_become(have.kind, want.kind)


def _deletions(doomed: frozenset[End], desired: Desired, snapshot: LabState) -> Iterator[Step]:
    """Delete each doomed link once, a veth from an end whose namespace stays."""
    gone: set[End] = set()
    for name, have in snapshot.netns.items():
        if name not in desired.netns and not is_kept(name, have):
            continue
        for link_name, link in have.links.items():
            end = End(name, link_name)
            if end in doomed and link.borrowed:
                yield steps.PortDel(end, link.borrowed)
            elif end in doomed and end not in gone:
                yield steps.LinkDel(end)
                if link.peer:
                    gone.add(link.peer)


def _with_forgotten(want: NetnsState, have: NetnsState, defaults: Mapping[str, str]) -> NetnsState:
    """Return what is wanted, with sysctls that were asked for once, as a fresh `up` has them."""
    missing = have.sysctls.keys() - want.sysctls.keys()
    if not missing or not defaults:
        return want
    fresh = outcome({**born(defaults), **want.sysctls}, defaults)
    forgotten = {key: fresh[default_of(key)] for key in missing if default_of(key) in fresh}
    return replace(want, sysctls={**want.sysctls, **forgotten}) if forgotten else want


def _clear_inside(
    name: str, want: NetnsState, have: NetnsState, doomed: frozenset[End]
) -> Iterator[Step]:
    """Clear a namespace that stays of what is not wanted in it."""
    lost = {
        addr.ip
        for link_name, link in have.links.items()
        for addr in _lost_addrs(End(name, link_name), want, link, doomed)
    }
    losing = {
        link_name
        for link_name, link in have.links.items()
        if _loses_routes(End(name, link_name), want, link, doomed)
    }
    if have.etc and not want.etc:
        yield steps.EtcDel(name)
    if name != HOST:
        yield from unguard(name, want, have)
    for rule in sorted(have.rules - want.rules, key=rule_order):
        yield steps.RuleDel(name, rule)
    kept = {route.key: route for route in want.routes}
    for route in sorted(have.routes, key=route_order, reverse=True):
        if _must_go(route, kept.get(route.key), lost, losing):
            yield steps.RouteDel(name, route)
    known = {key: want.sysctls[key] for key in have.sysctls if key in want.sysctls}
    for link_name, link in have.links.items():
        end = End(name, link_name)
        if end not in doomed:
            yield from _clear_link(end, want, link, doomed)
    if have.sysctls.get(NO_IPV6, "0") != "0" == known.get(NO_IPV6):
        yield from _silence(name, want, have, doomed)
    for key, value in to_set(known, have.sysctls):
        yield steps.SysctlSet(name, key, value)


def _silence(
    name: str, want: NetnsState, have: NetnsState, doomed: frozenset[End]
) -> Iterator[Step]:
    """Let no link speak by itself when IPv6 is switched on: what it would do was hidden so far."""
    for link_name, link in have.links.items():
        end = End(name, link_name)
        then = link if end in doomed else want.links[link_name]
        if link_name != "lo" and then.mtu >= IPV6_MIN_MTU:
            yield steps.LinkSet(end, ipv6_ll=False)


def _loses_routes(end: End, want: NetnsState, have: Link, doomed: frozenset[End]) -> bool:
    """Whether some route out of a link is removed, or would be left half dead."""
    wanted = want.links.get(end.link)
    if wanted is None or end in doomed or wanted.up < have.up:
        return True
    if wanted.mtu < IPV6_MIN_MTU <= have.mtu:
        return True
    lost = {addr for addr in _lost_addrs(end, want, have, doomed) if family(addr.ip) == 4}
    return bool(lost) and all(addr in lost for addr in have.addrs if family(addr.ip) == 4)


def _must_go(route: Route, wanted: Route | None, lost: set[str], losing: set[str]) -> bool:
    """Whether a route must be deleted by itself: it cannot stay, nor be replaced."""
    if wanted != route and (wanted is None or not _replaceable(route, wanted)):
        return True
    if route.src in lost:
        return True
    return len(route.nexthops) > 1 and any(hop.dev in losing for hop in route.nexthops)


def _replaceable(have: Route, want: Route) -> bool:
    """Whether NLM_F_REPLACE does what we mean; for IPv6 it is fickle about several hops."""
    if have.family == 4:
        return True
    return have.type == want.type == "unicast" and len(have.nexthops) == len(want.nexthops) == 1


def _lost_addrs(end: End, want: NetnsState, have: Link, doomed: frozenset[End]) -> tuple[Addr, ...]:
    """Return the addresses of a link that will not outlast the removals, secondaries first."""
    wanted = want.links.get(end.link)
    if wanted is None or end in doomed:
        return have.addrs
    lost = {addr for addr in have.addrs if addr not in wanted.addrs}
    if not wanted.up and have.up:
        lost |= {addr for addr in have.addrs if ":" in addr.ip}
    primaries = [addr for addr in lost if not addr.secondary]
    lost |= {addr for addr in have.addrs if addr.secondary and is_secondary(addr, primaries)}
    return tuple(sorted(lost, key=lambda addr: (not addr.secondary, addr)))


def _clear_link(end: End, want: NetnsState, have: Link, doomed: frozenset[End]) -> Iterator[Step]:
    wanted = want.links[end.link]
    for addr in _lost_addrs(end, want, have, doomed):
        yield steps.AddrDel(end, addr)
    for altname in have.altnames:
        if altname not in wanted.altnames:
            yield steps.AltnameDel(end, altname)
    down = False if have.up and not wanted.up else None
    mtu = wanted.mtu if wanted.mtu != have.mtu else None
    if down is not None or mtu is not None:
        yield steps.LinkSet(end, up=down, mtu=mtu)


def rules_before_routes(desired: Desired, left: LabState) -> Iterator[Step]:
    """Take away rules that stay, where routes are added: a fresh `up` adds the routes first.

    The kernel looks for the gateway of a new route as for any destination, rules included: in IPv4
    always (fib_check_nh_v4_gw), in IPv6 where the table of the route does not know the gateway
    (ip6_route_check_nh). So `unreachable` for all would refuse every route with a gateway.
    """
    for name, want in desired.netns.items():
        have = left.netns.get(name)
        if have is None or not have.rules or want.routes == have.routes:
            continue
        sought = {
            family(hop.via)
            for route in want.routes - have.routes
            for hop in route.nexthops
            if hop.via and not hop.onlink
        }
        for rule in sorted(have.rules & want.rules, key=rule_order):
            if rule.family in sought and _may_obstruct(rule):
                yield steps.RuleDel(name, rule)


def _may_obstruct(rule: Rule) -> bool:
    """Whether the kernel may meet a rule when it looks for a gateway, and find none for it.

    It looks as for a packet of root's own, without a source, a mark, a TOS or a protocol. Another
    table says no only in IPv6: IPv4 passes over all in it that does not lead straight out of a
    link, refusals too (fib_table_lookup, `flowi4_scope`).
    """
    marked = rule.fwmark & rule.fwmask
    aside = rule.src or marked or rule.tos or rule.ipproto or rule.iif not in {"", "lo"}
    return (rule.invert or not aside) and (rule.action != "lookup" or rule.family == 6)
