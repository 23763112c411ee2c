"""What must change: the difference between what is desired and what is there.

The kernel cascades: deleting one end of a wire deletes the other, and every address on both. So we
first remove what is in the way, look at what *would be left* (`effect.after`), and only then add
what is missing from that.

Rule 1: nothing here knows how a step is carried out.
Rule 2: desired things are known by `(namespace, link name)`; the two sides are joined here and
nowhere else.
Rule 3: what is equal costs one comparison, so a plan for a lab that is up is as cheap as looking.

The order of a plan: rules, routes, addresses, links, namespaces away, and rules that new routes
must not meet; namespaces, their sysctls, links born; then namespace by namespace what is set on its
links, so that the applier talks to each namespace once.
"""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from netloom.model.objects import (
    HOST,
    NOTHING,
    Addr,
    Borrowed,
    Bridge,
    Desired,
    End,
    Link,
    Loopback,
    Netns,
    Route,
    Rule,
    Veth,
    is_kept,
)
from netloom.model.snapshot import Snapshot
from netloom.plan import steps
from netloom.plan.effect import after, born, is_secondary, newborn_lo
from netloom.plan.guards import claim, guard, start, stop, unclaim, unguard
from netloom.plan.scratch import IPV6_MIN_MTU
from netloom.plan.steps import Plan, Step
from netloom.plan.sysctls import NO_IPV6, default_of, link_of, outcome, to_set
from netloom.values import family

_EMPTY = Netns()


def diff(desired: Desired, snapshot: Snapshot) -> Plan:
    """Return the steps that turn `snapshot` into `desired`, in an order that the kernel accepts."""
    clearing = tuple(_in_the_way(desired, snapshot))
    left = after(clearing, snapshot) if clearing else snapshot
    barring = tuple(_barring(desired, left))
    if barring:
        left = after(barring, left)
    return clearing + barring + tuple(_missing(desired, left))


def teardown(snapshot: Snapshot) -> Plan:
    """Return the steps that leave nothing of what a snapshot shows within its fence."""
    return diff(NOTHING, snapshot)


# ── removing ──────────────────────────────────────────────────────────────────────────────────────


def _in_the_way(desired: Desired, snapshot: Snapshot) -> Iterator[Step]:
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
                    want if is_kept(name, have) else _with_forgotten(want, have, snapshot.newborn)
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


def _doomed_links(desired: Desired, snapshot: Snapshot) -> Iterator[End]:
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
                if isinstance(link.kind, Veth):
                    yield link.kind.peer


def _can_stay(want: Link | None, have: Link) -> bool:
    """Whether a link can become what is wanted without being made again."""
    if want is None or type(want.kind) is not type(have.kind):
        return False
    return isinstance(want.kind, Bridge | Loopback) or want.kind == have.kind


def _deletions(doomed: frozenset[End], desired: Desired, snapshot: Snapshot) -> Iterator[Step]:
    """Delete each doomed link once, a veth from an end whose namespace stays."""
    gone: set[End] = set()
    for name, have in snapshot.netns.items():
        if name not in desired.netns and not is_kept(name, have):
            continue
        for link_name, link in have.links.items():
            end = End(name, link_name)
            if end in doomed and isinstance(link.kind, Borrowed):
                yield steps.PortDel(end, link.kind)
            elif end in doomed and end not in gone:
                yield steps.LinkDel(end)
                if isinstance(link.kind, Veth):
                    gone.add(link.kind.peer)


def _with_forgotten(want: Netns, have: Netns, newborn: Mapping[str, str]) -> Netns:
    """Return what is wanted, with sysctls that were asked for once, as a fresh `up` has them."""
    missing = have.sysctls.keys() - want.sysctls.keys()
    if not missing or not newborn:
        return want
    fresh = outcome(want.sysctls, newborn)
    forgotten = {key: fresh[default_of(key)] for key in missing if default_of(key) in fresh}
    return replace(want, sysctls={**want.sysctls, **forgotten}) if forgotten else want


def _clear_inside(name: str, want: Netns, have: Netns, doomed: frozenset[End]) -> Iterator[Step]:
    """Clear a namespace that stays of what is not wanted in it."""
    lost = {
        addr.ip
        for link_name, link in have.links.items()
        for addr in _lost_addrs(End(name, link_name), want, link, doomed)
    }
    shaken = {
        link_name
        for link_name, link in have.links.items()
        if _is_shaken(End(name, link_name), want, link, doomed)
    }
    if have.etc and not want.etc:
        yield steps.EtcDel(name)
    if name != HOST:
        yield from unguard(name, want, have)
    for rule in sorted(have.rules - want.rules, key=_rule_order):
        yield steps.RuleDel(name, rule)
    kept = {route.key: route for route in want.routes}
    for route in sorted(have.routes, key=_route_order, reverse=True):
        if _must_go(route, kept.get(route.key), lost, shaken):
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


def _silence(name: str, want: Netns, have: Netns, doomed: frozenset[End]) -> Iterator[Step]:
    """Let no link speak by itself when IPv6 is switched on: what it would do was hidden so far."""
    for link_name in have.links:
        end = End(name, link_name)
        if link_name != "lo" and end not in doomed and want.links[link_name].mtu >= IPV6_MIN_MTU:
            yield steps.LinkSet(end, ipv6_ll=False)


def _is_shaken(end: End, want: Netns, have: Link, doomed: frozenset[End]) -> bool:
    """Whether some route out of a link goes in the clearing, or would be left half dead."""
    wanted = want.links.get(end.link)
    if wanted is None or end in doomed or wanted.up < have.up:
        return True
    if wanted.mtu < IPV6_MIN_MTU <= have.mtu:
        return True
    lost = {addr for addr in _lost_addrs(end, want, have, doomed) if family(addr.ip) == 4}
    return bool(lost) and all(addr in lost for addr in have.addrs if family(addr.ip) == 4)


def _must_go(route: Route, wanted: Route | None, lost: set[str], shaken: set[str]) -> bool:
    """Whether a route must be deleted by itself: it cannot stay, nor be replaced."""
    if wanted != route and (wanted is None or not _replaceable(route, wanted)):
        return True
    if route.src in lost:
        return True
    return len(route.nexthops) > 1 and any(hop.dev in shaken for hop in route.nexthops)


def _replaceable(have: Route, want: Route) -> bool:
    """Whether NLM_F_REPLACE does what we mean; for IPv6 it is fickle about several hops."""
    if have.family == 4:
        return True
    return have.type == want.type == "unicast" and len(have.nexthops) == len(want.nexthops) == 1


def _lost_addrs(end: End, want: Netns, have: Link, doomed: frozenset[End]) -> tuple[Addr, ...]:
    """Return the addresses of a link that will not outlast the clearing, secondaries first."""
    wanted = want.links.get(end.link)
    if wanted is None or end in doomed:
        return have.addrs
    lost = {addr for addr in have.addrs if addr not in wanted.addrs}
    if not wanted.up and have.up:
        lost |= {addr for addr in have.addrs if ":" in addr.ip}
    primaries = [addr for addr in lost if not addr.secondary]
    lost |= {addr for addr in have.addrs if addr.secondary and is_secondary(addr, primaries)}
    return tuple(sorted(lost, key=lambda addr: (not addr.secondary, addr)))


def _clear_link(end: End, want: Netns, have: Link, doomed: frozenset[End]) -> Iterator[Step]:
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


def _barring(desired: Desired, left: Snapshot) -> Iterator[Step]:
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
        for rule in sorted(have.rules & want.rules, key=_rule_order):
            if rule.family in sought and _may_bar(rule):
                yield steps.RuleDel(name, rule)


def _may_bar(rule: Rule) -> bool:
    """Whether the kernel may meet a rule when it looks for a gateway, and find none for it.

    It looks as for a packet of root's own, without a source, a mark, a TOS or a protocol. Another
    table says no only in IPv6: IPv4 passes over all in it that does not lead straight out of a
    link, refusals too (fib_table_lookup, `flowi4_scope`).
    """
    marked = rule.fwmark & rule.fwmask
    aside = rule.src or marked or rule.tos or rule.ipproto or rule.iif not in {"", "lo"}
    return (rule.invert or not aside) and (rule.action != "lookup" or rule.family == 6)


# ── adding ────────────────────────────────────────────────────────────────────────────────────────


def _missing(desired: Desired, left: Snapshot) -> Iterator[Step]:
    changed = [
        (name, want, left.netns.get(name))
        for name, want in desired.netns.items()
        if want != left.netns.get(name)
    ]
    for name, want, have in changed:
        if have is None and not is_kept(name, want):
            yield from _new_netns(name, want, left)
    order = {name: number for number, name in enumerate(desired.netns)}
    host, was = desired.netns.get(HOST, _EMPTY), left.netns.get(HOST, _EMPTY)
    yield from guard(HOST, host, was, desired.texts)
    yield from _new_links(changed, desired, order)
    for name, want, have in changed:
        if name != HOST:
            yield from guard(name, want, have or _EMPTY, desired.texts)
        ipv6 = _ipv6_of(want, have, left)
        for link_name, link in want.links.items():
            end = End(name, link_name)
            before = have.links.get(link_name) if have else None
            if before is None and isinstance(link.kind, Borrowed):
                yield steps.PortAdd(end, link)
            elif before != link:
                if before is None:
                    near = _is_near(end, link, desired, order)
                    before = _as_made(link, near=near, ipv6=ipv6)
                yield from _settle_link(end, link, before)
        yield from _settle_netns(name, want, have)
    yield from claim(host, was, left.walls)
    yield from start(desired, left)


def _new_netns(name: str, want: Netns, left: Snapshot) -> Iterator[Step]:
    lo = want.links["lo"]
    yield steps.NetnsAdd(name, lo.alias)
    known = {key: value for key, value in want.sysctls.items() if not link_of(key)}
    for key, value in to_set(known, left.newborn):
        yield steps.SysctlSet(name, key, value)


def _new_links(
    changed: list[tuple[str, Netns, Netns | None]], desired: Desired, order: Mapping[str, int]
) -> Iterator[Step]:
    """Make the missing links: bridges first, then wires, those between two bridges among them."""
    wires: list[tuple[End, Link]] = []
    for name, want, have in changed:
        for link_name, link in want.links.items():
            if link_name == "lo" or (have is not None and link_name in have.links):
                continue
            if isinstance(link.kind, Veth):
                wires.append((End(name, link_name), link))
            elif isinstance(link.kind, Bridge):
                yield steps.LinkAdd(End(name, link_name), link)
    for end, link in wires:
        if isinstance(link.kind, Veth) and _is_near(end, link, desired, order):
            yield steps.LinkAdd(end, link, _peer(link.kind, desired))


def _peer(veth: Veth, desired: Desired) -> Link:
    return desired.netns[veth.peer.netns].links[veth.peer.link]


def _is_near(end: End, link: Link, desired: Desired, order: Mapping[str, int]) -> bool:
    """Whether a wire is made from this end: the port of a bridge, else the one named first.

    The message that makes a wire can enslave only the near end.
    """
    if not isinstance(link.kind, Veth):
        return True
    far = link.kind.peer
    if bool(link.master) != bool(_peer(link.kind, desired).master):
        return bool(link.master)
    return (order[end.netns], end.link) < (order[far.netns], far.link)


def _as_made(link: Link, *, near: bool, ipv6: bool) -> Link:
    """Return a link that `_new_netns` or `_new_links` has made, as it stands then."""
    if isinstance(link.kind, Loopback):
        return newborn_lo(link.alias)
    return born(link, near=near, ipv6=ipv6)


def _settle_netns(name: str, want: Netns, have: Netns | None) -> Iterator[Step]:
    """Set what is left to set in one namespace beside its links: routes, rules, sysctls, /etc."""
    found = have or _EMPTY
    keys = {route.key for route in found.routes}
    for route in sorted(want.routes - found.routes, key=_route_order):
        yield steps.RouteReplace(name, route) if route.key in keys else steps.RouteAdd(name, route)
    for rule in sorted(want.rules - found.rules, key=_rule_order):
        yield steps.RuleAdd(name, rule)
    late = {key: value for key, value in want.sysctls.items() if have is not None or link_of(key)}
    for key, value in to_set(late, found.sysctls):
        yield steps.SysctlSet(name, key, value)
    if want.etc != found.etc:
        yield steps.EtcSet(name, want.etc)


def _ipv6_of(want: Netns, have: Netns | None, left: Snapshot) -> bool:
    """Whether links made in a namespace begin with IPv6."""
    known = want.sysctls if have is None else have.sysctls
    return known.get(NO_IPV6, left.newborn.get(NO_IPV6, "0")) == "0"


def _settle_link(end: End, want: Link, have: Link) -> Iterator[Step]:
    """Set what differs on a link that is there."""
    changes = {
        fact: getattr(want, fact)
        for fact in ("mac", "master", "alias", "ipv6_ll", "mtu", "up")
        if getattr(want, fact) != getattr(have, fact)
    }
    if isinstance(want.kind, Bridge) and want.kind != have.kind:
        changes["stp"] = want.kind.stp
    if changes:
        yield steps.LinkSet(end, **changes)
    for altname in want.altnames:
        if altname not in have.altnames:
            yield steps.AltnameAdd(end, altname)
    for addr in sorted(set(want.addrs) - set(have.addrs), key=lambda addr: (addr.secondary, addr)):
        yield steps.AddrAdd(end, addr)


# ── order ─────────────────────────────────────────────────────────────────────────────────────────


def _route_order(route: Route) -> tuple[bool, bool, int, str, int, int]:
    """Routes straight out of a link first: gateways of others may lie behind them."""
    through = any(hop.via for hop in route.nexthops)
    return through, bool(route.src), route.family, route.dst, route.table, route.metric


def _rule_order(rule: Rule) -> tuple[int, int]:
    return rule.family, rule.priority
