"""Addresses, routes and rules on a real kernel: read as they were asked, and as `ip` shows."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netloom.model.objects import Addr, End, Link, Nexthop, Route, Rule, Veth
from netloom.values import Family
from netloom.wire.rtnetlink import (
    VethPeer,
    addr_add,
    addr_del,
    dump_addrs,
    dump_routes,
    dump_rules,
    link_add,
    link_set,
    read_addrs,
    read_routes,
    read_rules,
    route_add,
    route_del,
    route_replace,
    rule_add,
    rule_del,
)
from tests.hosts.netns import Netns
from tests.wire.nouns import families, prefixes

INDEXES = {"lo": 1, "a": 5, "b": 6}
NAMES = {index: name for name, index in INDEXES.items()}
on_kernel = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def wired(netns: Netns) -> Netns:
    """Make a namespace with a wire in it, up, and addresses to send from."""
    ends = [Link(kind=Veth(End("", "")), mac=f"02:00:00:00:00:0{n}", mtu=9000) for n in (1, 2)]
    netns.rt.batch(
        [
            *link_set(1, up=True),
            link_add("a", ends[0], index=5, peer=VethPeer("b", ends[1], 6)),
            *link_set(5, up=True, ipv6_ll=False),
            *link_set(6, up=True, ipv6_ll=False),
            addr_add(1, Addr("192.0.2.1", 32)),
            addr_add(1, Addr("2001:db8::1", 128)),
        ]
    )
    return netns


def routes(netns: Netns) -> list[Route]:
    """Return the routes that somebody asked for."""
    return read_routes(netns.rt.dump(dump_routes()), NAMES)


@st.composite
def hosts(draw: st.DrawFn) -> Addr:
    """Draw an address that a link may have, in a prefix of any length."""
    family = draw(families)
    number = draw(st.integers(1, 0xFFFF))
    if family == 4:
        return Addr(f"10.9.{number >> 8}.{number & 255}", draw(st.integers(8, 32)))
    return Addr(f"fd00::9:{number:x}", draw(st.integers(8, 128)))


@on_kernel
@given(st.sets(hosts(), min_size=1, max_size=5))
def test_addresses_are_read_as_they_were_asked(wired: Netns, asked: set[Addr]) -> None:
    """At once and for good, without waiting for duplicate address detection."""
    unique = {addr.ip: addr for addr in asked}
    wired.rt.batch([addr_add(5, addr) for addr in unique.values()])

    seen = [each for each in read_addrs(wired.rt.dump(dump_addrs())) if each.index == 5]

    plain = {each.addr.ip: Addr(each.addr.ip, each.addr.prefixlen) for each in seen}
    assert plain == unique
    assert all(each.flags & 0xC0 == 0x80 for each in seen)  # permanent, and not tentative
    # Deleting the first address of a subnet deletes the later ones too (promote_secondaries=0).
    wired.rt.batch([addr_del(5, each.addr) for each in reversed(seen)])
    assert [e for e in read_addrs(wired.rt.dump(dump_addrs())) if e.index == 5] == []


def test_addresses_are_seen_as_ip_shows_them(wired: Netns) -> None:
    """A second IPv4 address in a subnet is secondary, the loopback's are of scope host."""
    asked = ("10.0.0.1/24", "10.0.0.2/24", "10.1.0.1/24", "fd00::1/64", "fd00::2/64")
    addrs = [Addr(ip, int(length)) for ip, _, length in (text.partition("/") for text in asked)]
    wired.rt.batch([addr_add(5, addr) for addr in addrs])

    seen = read_addrs(wired.rt.dump(dump_addrs()))

    scopes = {0: "global", 253: "link", 254: "host"}
    ours = {(each.index, str(each.addr), each.addr.secondary, scopes[each.scope]) for each in seen}
    assert ours == {
        (
            link["ifindex"],
            f"{addr['local']}/{addr['prefixlen']}",
            addr.get("secondary", False),
            addr["scope"],
        )
        for link in wired.ip("addr")
        for addr in link["addr_info"]
    }
    assert (5, "10.0.0.2/24", True, "global") in ours
    assert (1, "127.0.0.1/8", False, "host") in ours
    assert {each.proto for each in seen if each.addr.ip == "::1"} <= {0, 1}


@st.composite
def ways(draw: st.DrawFn, family: Family) -> tuple[Nexthop, ...]:
    """Draw the ways of a route that the kernel takes."""
    number = st.integers(1, 200)
    count = draw(st.integers(1, 3))
    hops: list[Nexthop] = []
    for _ in range(count):
        via = f"10.7.0.{draw(number)}" if family == 4 else f"fd07::{draw(number):x}"
        if family == 4 and draw(st.booleans()):
            via = f"fe80::{draw(number):x}"
        weight = draw(st.integers(1, 256)) if count > 1 else 1
        hops.append(Nexthop(draw(st.sampled_from(("a", "b"))), via, weight, onlink=True))
    if count == 1 and draw(st.booleans()):
        return (Nexthop(hops[0].dev),)
    # IPv6 takes each way once (ip6_route_multipath_add).
    return tuple({(hop.dev, hop.via): hop for hop in hops}.values())


@st.composite
def asked_routes(draw: st.DrawFn) -> Route:
    """Draw a route that the kernel takes."""
    family = draw(families)
    kind = draw(st.sampled_from(("unicast", "unicast", "blackhole", "unreachable", "prohibit")))
    hops = draw(ways(family)) if kind == "unicast" else ()
    if len(hops) == 1:
        hops = (Nexthop(hops[0].dev, hops[0].via, 1, hops[0].onlink),)
    direct = kind == "unicast" and not hops[0].via
    src = "192.0.2.1" if family == 4 else "2001:db8::1"
    return Route(
        dst=draw(prefixes(family).filter(lambda dst: not dst.endswith("/0"))),
        nexthops=hops,
        type=kind,
        table=draw(st.sampled_from((254, 100, 1000, 0xFFFF_FFF0))),
        metric=draw(st.integers(0 if family == 4 else 1, 0xFFFF_FFFE)),
        tos=draw(st.sampled_from((0, 8, 0x1C << 3 & 0xFC))) if family == 4 else 0,
        src=draw(st.sampled_from(("", src))) if kind == "unicast" else "",
        scope=253 if direct and family == 4 else 0,
        mtu=draw(st.sampled_from((0, 1300, 9000))),
        advmss=draw(st.sampled_from((0, 1200))),
        protocol=draw(st.sampled_from((3, 4, 110))),
    )


@on_kernel
@given(asked_routes())
def test_a_route_is_read_as_it_was_asked(wired: Netns, route: Route) -> None:
    """Tables, metrics, weights, gateways of both families, dead ends; and it can be deleted."""
    wired.rt.batch([route_add(route, INDEXES)])
    try:
        assert routes(wired) == [route]
    finally:
        wired.rt.batch([route_del(route, INDEXES)])
    assert routes(wired) == []


def test_a_route_is_deleted_and_not_its_neighbour(wired: Netns) -> None:
    """Routes to one prefix that differ in one fact are told apart."""
    way = (Nexthop("a", "10.7.0.1", onlink=True),)
    plain = Route("10.9.0.0/16", way)
    others = [
        Route("10.9.0.0/16", way, metric=5),
        Route("10.9.0.0/16", way, table=100),
        Route("10.9.0.0/17", way),
        Route("10.9.0.0/16", way, tos=16),
    ]
    wired.rt.batch([route_add(route, INDEXES) for route in (*others, plain)])

    wired.rt.batch([route_del(plain, INDEXES)])

    assert set(routes(wired)) == set(others)


@pytest.mark.parametrize("dst", ["10.9.0.0/16", "fd09::/64", "0.0.0.0/0", "::/0"])
def test_a_route_is_replaced_in_one_step(wired: Netns, dst: str) -> None:
    """The one with the same key goes, and no other."""
    via = "fd07::" if ":" in dst else "10.7.0."
    metric = 1024 if ":" in dst else 0
    one, two, many = (
        Route(dst, tuple(Nexthop("a", f"{via}{n}", onlink=True) for n in numbers), metric=metric)
        for numbers in ((1,), (2,), (3, 4, 5))
    )
    other = Route(dst, one.nexthops, metric=metric + 7)
    wired.rt.batch([route_add(route, INDEXES) for route in (one, other)])

    for route in (two, many, one):
        wired.rt.batch([route_replace(route, INDEXES)])
        assert set(routes(wired)) == {route, other}


def test_routes_are_seen_as_ip_shows_them(wired: Netns) -> None:
    """Every route in `ip route show table all` that is of protocol boot or static is seen."""
    hop, far = Nexthop("a", "10.7.0.1", onlink=True), Nexthop("b", "10.7.0.2", 3, onlink=True)
    asked = [
        Route("0.0.0.0/0", (hop,)),
        Route("10.9.0.0/16", (Nexthop("a"),), scope=253, metric=7, mtu=1300),
        Route("10.9.1.0/24", (hop, far), table=1000),
        Route("10.9.2.0/24", type="blackhole", protocol=3),
        Route("::/0", (Nexthop("a", "fe80::1"),), metric=1024),
        Route("fd09::/64", type="unreachable", metric=1024),
    ]
    wired.rt.batch([route_add(route, INDEXES) for route in asked])

    shown = [
        route
        for family in ("-4", "-6")
        for route in wired.ip(family, "route", "show", "table", "all")
        if route.get("protocol", "boot") in {"boot", "static"}
    ]

    assert set(routes(wired)) == set(asked)
    assert sorted(map(in_words, asked)) == sorted(map(shown_in_words, shown))


def in_words(route: Route) -> tuple[str, ...]:
    """Return a few facts of a route as `ip -j -d` words them."""
    dst = "default" if route.dst in {"0.0.0.0/0", "::/0"} else route.dst
    table = {254: "main"}.get(route.table, str(route.table))
    return dst, route.type, table, str(route.metric), *(h.dev + h.via for h in route.nexthops)


def shown_in_words(route: dict[str, Any]) -> tuple[str, ...]:
    """Return the same of what `ip` showed."""
    hops = [] if route["type"] != "unicast" else route.get("nexthops") or [route]
    return (
        route["dst"],
        route["type"],
        str(route.get("table", "main")),
        str(route.get("metric", 0)),
        *(hop["dev"] + hop.get("gateway", "") for hop in hops),
    )


def rules(netns: Netns) -> list[Rule]:
    """Return the rules, except a newborn namespace's."""
    return read_rules(netns.rt.dump(dump_rules()))


@st.composite
def asked_rules(draw: st.DrawFn) -> Rule:
    """Draw a rule that the kernel takes."""
    family = draw(families)
    action = draw(st.sampled_from(("lookup", "blackhole", "unreachable", "prohibit")))
    low, high = sorted((draw(st.integers(1, 65534)), draw(st.integers(1, 65534))))
    mark = draw(st.integers(0, 0xFFFF_FFFF))
    protocol = draw(st.sampled_from((0, 6, 17)))
    port = draw(st.sampled_from(((0, 0), (low, high)))) if protocol else (0, 0)
    network = prefixes(family).filter(lambda text: not text.endswith("/0"))
    return Rule(
        family=family,
        priority=draw(st.integers(1, 32765)),
        action=action,
        table=draw(st.sampled_from((254, 100, 1000))) if action == "lookup" else 0,
        src=draw(st.just("") | network),
        dst=draw(st.just("") | network),
        iif=draw(st.sampled_from(("", "a", "later"))),
        oif=draw(st.sampled_from(("", "b"))),
        fwmark=mark,
        fwmask=draw(st.integers(1, 0xFFFF_FFFF)) if mark else 0,
        tos=draw(st.sampled_from((0, 8, 16))),
        ipproto=protocol,
        dport=port,
        sport=port,
        # Only who is in the user namespace of the network namespace may say (fib_nl2rule); where
        # we are not root, we are outside.
        uidrange=draw(st.sampled_from((None, None if os.geteuid() else (low, high)))),
        invert=draw(st.booleans()),
        suppress_prefixlength=draw(st.sampled_from((-1, 0, 8))) if action == "lookup" else -1,
        protocol=draw(st.sampled_from((3, 4, 110))),
    )


@on_kernel
@given(asked_rules())
def test_a_rule_is_read_as_it_was_asked(wired: Netns, rule: Rule) -> None:
    """All its selectors, also of links that are not there yet; and it can be deleted."""
    wired.rt.batch([rule_add(rule)])
    try:
        assert rules(wired) == [rule]
    finally:
        wired.rt.batch([rule_del(rule)])
    assert rules(wired) == []


def test_a_newborn_namespace_has_no_rules_and_no_routes(netns: Netns) -> None:
    """Whatever the kernel brought along is not asked for."""
    netns.rt.batch(link_set(1, up=True))

    assert (rules(netns), routes(netns)) == ([], [])
    assert len(netns.ip("rule")) == 3


def test_rules_are_seen_as_ip_shows_them(wired: Netns) -> None:
    """With their priorities, selectors and tables."""
    asked = [
        Rule(4, 10, table=1000, src="10.0.0.0/8", fwmark=1, fwmask=0xFF),
        Rule(6, 11, action="prohibit", dst="fd00::/8", iif="a"),
    ]
    wired.rt.batch([rule_add(rule) for rule in asked])

    four = next(rule for rule in wired.ip("-4", "rule") if rule["priority"] == 10)
    six = next(rule for rule in wired.ip("-6", "rule") if rule["priority"] == 11)

    assert rules(wired) == asked
    assert (four["src"], four["srclen"], four["table"]) == ("10.0.0.0", 8, "1000")
    assert (four["fwmark"], four["fwmask"]) == ("0x1", "0xff")
    assert (six["dst"], six["dstlen"], six["iif"], six["action"]) == (
        "fd00::",
        8,
        "a",
        "prohibit",
    )
