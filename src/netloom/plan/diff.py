"""What must change: the difference between what is desired and what is there.

The kernel cascades: deleting one end of a wire deletes the other, and every address on both. So we
first remove what is in the way, look at what *would be left* (`effect.after`), and only then add
what is missing from that.

Rule 1: nothing here knows how a step is carried out.
Rule 2: desired things are known by `(namespace, link name)`; the two sides are joined here and in
`removals.py`, and nowhere else.
Rule 3: what is equal costs one comparison, so a plan for a lab that is up is as cheap as looking.

The order of a plan: rules, routes, addresses, links, namespaces away, and rules that new routes
must not meet; namespaces, their sysctls, links born; then namespace by namespace what is set on its
links, so that the applier talks to each namespace once.
"""

from collections.abc import Iterator, Mapping

from netloom.model.lab_state import LabState
from netloom.model.objects import (
    HOST,
    NOTHING,
    Desired,
    End,
    Link,
    NetnsState,
    is_kept,
)
from netloom.plan import steps
from netloom.plan.host_steps import claim, guard, start
from netloom.plan.new_link import new_link
from netloom.plan.order import route_order, rule_order
from netloom.plan.others import with_others
from netloom.plan.removals import removals, rules_before_routes
from netloom.plan.simulate import after
from netloom.plan.steps import Plan, Step
from netloom.plan.sysctls import NO_IPV6, born, link_of, to_set
from netloom.values import link_local

_EMPTY = NetnsState()


def diff(desired: Desired, snapshot: LabState) -> Plan:
    """Return the steps that turn `snapshot` into `desired`, in an order that the kernel accepts."""
    wanted, seen = with_others(desired, snapshot)
    removed = tuple(removals(wanted, seen))
    left = after(removed, seen) if removed else seen
    bars = tuple(rules_before_routes(desired, left))
    if bars:
        left = after(bars, left)
    return removed + bars + tuple(_missing(wanted, left))


def teardown(snapshot: LabState) -> Plan:
    """Return the steps that leave nothing of what a snapshot shows within its fence."""
    return diff(NOTHING, snapshot)


def _missing(desired: Desired, left: LabState) -> Iterator[Step]:
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
            if before is None and link.borrowed:
                yield steps.PortAdd(end, link)
            elif before != link:
                if new := before is None:
                    near = _is_near(end, link, desired, order)
                    before = new_link(link, near=near, ipv6=ipv6)
                yield from _settle_link(end, link, before, new=new and ipv6)
        yield from _settle_netns(name, want, have)
    yield from claim(host, was, left.firewall)
    yield from start(desired, left)


def _new_netns(name: str, want: NetnsState, left: LabState) -> Iterator[Step]:
    lo = want.links["lo"]
    yield steps.NetnsAdd(name, lo.alias)
    said = {key: value for key, value in want.sysctls.items() if not link_of(key)}
    known = {**born(left.defaults), **said}
    for key, value in to_set(known, left.defaults):
        yield steps.SysctlSet(name, key, value)


def _new_links(
    changed: list[tuple[str, NetnsState, NetnsState | None]],
    desired: Desired,
    order: Mapping[str, int],
) -> Iterator[Step]:
    """Make the missing links: bridges first, then wires, those between two bridges among them."""
    wires: list[tuple[End, Link]] = []
    for name, want, have in changed:
        for link_name, link in want.links.items():
            if link_name == "lo" or (have is not None and link_name in have.links):
                continue
            if link.peer:
                wires.append((End(name, link_name), link))
            elif link.kind.word:
                yield steps.LinkAdd(End(name, link_name), link)
    for end, link in wires:
        if link.peer and _is_near(end, link, desired, order):
            yield steps.LinkAdd(end, link, _at(link.peer, desired))


def _at(end: End, desired: Desired) -> Link:
    return desired.netns[end.netns].links[end.link]


def _is_near(end: End, link: Link, desired: Desired, order: Mapping[str, int]) -> bool:
    """Whether a wire is made from this end: the port of a bridge, else the one named first.

    The message that makes a wire can enslave only the near end.
    """
    far = link.peer
    if far is None:
        return True
    if bool(link.master) != bool(_at(far, desired).master):
        return bool(link.master)
    return (order[end.netns], end.link) < (order[far.netns], far.link)


def _settle_netns(name: str, want: NetnsState, have: NetnsState | None) -> Iterator[Step]:
    """Set what is left to set in one namespace beside its links: routes, rules, sysctls, /etc."""
    found = have or _EMPTY
    there = {route.key: route for route in found.routes}
    for route in sorted(want.routes - found.routes, key=route_order):
        was = there.get(route.key)
        yield steps.RouteReplace(name, route, was) if was else steps.RouteAdd(name, route)
    for rule in sorted(want.rules - found.rules, key=rule_order):
        yield steps.RuleAdd(name, rule)
    late = {key: value for key, value in want.sysctls.items() if have is not None or link_of(key)}
    for key, value in to_set(late, found.sysctls):
        yield steps.SysctlSet(name, key, value)
    if want.etc != found.etc:
        yield steps.EtcSet(name, want.etc)


def _ipv6_of(want: NetnsState, have: NetnsState | None, left: LabState) -> bool:
    """Whether links made in a namespace begin with IPv6."""
    known = want.sysctls if have is None else have.sysctls
    return known.get(NO_IPV6, left.defaults.get(NO_IPV6, "0")) == "0"


def _settle_link(end: End, want: Link, have: Link, *, new: bool) -> Iterator[Step]:
    """Set what differs on a link that is there, or is `new` and may have IPv6."""
    changes = {
        fact: getattr(want, fact)
        for fact in ("mac", "master", "alias", "ipv6_ll", "mtu", "up")
        if getattr(want, fact) != getattr(have, fact)
    }
    if want.kind != have.kind:
        changes["kind"] = want.kind
    if new and want.up and want.ipv6_ll:
        given = link_local(want.mac)
        if all(addr.ip != given for addr in want.addrs):
            changes["link_local"] = given
    if changes:
        yield steps.LinkSet(end, **changes)
    for altname in want.altnames:
        if altname not in have.altnames:
            yield steps.AltnameAdd(end, altname)
    for addr in sorted(set(want.addrs) - set(have.addrs), key=lambda addr: (addr.secondary, addr)):
        yield steps.AddrAdd(end, addr)
