"""Where packets go, on hosts as people have them; the law on the kernel is in `tests/kernel`."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.datapath.fib import BASE, Fib, FlowKey
from netloom.datapath.ways_out import Candidates, ways_out
from netloom.model.objects import Nexthop, Route, Rule
from netloom.values import bounds, from_int

LAB = FlowKey("203.0.113.80", src="10.64.0.2", iif="lan")
HOST = FlowKey("203.0.113.80")
ETH0 = Nexthop("eth0", "192.0.2.1")
VPN = Nexthop("tun0")
DEFAULT = Route("0.0.0.0/0", (ETH0,))
NEAR = Route("192.0.2.0/24", (Nexthop("eth0"),), scope=253)


def ways(fib: Fib, packet: FlowKey = LAB) -> list[str]:
    """Return the interfaces that a packet may leave by."""
    return [hop.dev for hop in fib.lookup(packet).nexthops]


def test_two_halves_of_the_internet_are_more_specific_than_a_default_route() -> None:
    """OpenVPN's `redirect-gateway def1`."""
    halves = [Route(dst, (VPN,)) for dst in ("0.0.0.0/1", "128.0.0.0/1")]

    fib = Fib([DEFAULT, NEAR, *halves], BASE[4])

    assert ways(fib) == ["tun0"]
    assert ways(fib, FlowKey("192.0.2.53", src="10.64.0.2", iif="lan")) == ["eth0"]


def test_what_bears_no_mark_goes_by_the_table_of_wg_quick() -> None:
    """But for what `main` has more than a default route for; the tunnel's own go as ever."""
    rules = [
        Rule(4, 32764, table=254, suppress_prefixlength=0),
        Rule(4, 32765, table=51820, fwmark=51820, fwmask=0xFFFF_FFFF, invert=True),
    ]
    fib = Fib([DEFAULT, NEAR, Route("0.0.0.0/0", (VPN,), table=51820)], [*BASE[4], *rules])

    assert ways(fib) == ["tun0"]
    assert ways(fib, FlowKey("192.0.2.53", src="10.64.0.2", iif="lan")) == ["eth0"]
    assert ways(fib, FlowKey("203.0.113.80", mark=51820)) == ["eth0"]


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_a_refusal_is_an_answer(kind: str) -> None:
    """By a rule and by a route; the one who refused is told."""
    rule = Rule(4, 7, kind, iif="lan")
    assert Fib([DEFAULT], [*BASE[4], rule]).lookup(LAB).rule == rule
    assert ways(Fib([DEFAULT], [*BASE[4], rule]), HOST) == ["eth0"]

    route = Route("203.0.113.0/24", type=kind)
    found = Fib([DEFAULT, route], BASE[4]).lookup(LAB)
    assert (found.type, found.route, found.is_error) == (kind, route, True)


def test_where_nothing_leads_there_is_no_route() -> None:
    """Neither a route nor a rule is told."""
    found = Fib([NEAR], BASE[4]).lookup(LAB)

    assert (found.type, found.route, found.rule) == ("unreachable", None, None)


def test_all_ways_of_a_multipath_route_are_told() -> None:
    """A hash chooses among them, packet by packet."""
    assert ways(Fib([Route("0.0.0.0/0", (ETH0, VPN))], BASE[4])) == ["eth0", "tun0"]


def test_equal_ipv6_routes_are_taken_in_turn() -> None:
    """Two routers that advertise themselves: the kernel takes either (find_rr_leaf)."""
    routes = [Route("::/0", (Nexthop(dev, "fe80::1"),), metric=1024) for dev in ("eth0", "eth1")]

    assert ways(Fib(routes, BASE[6]), FlowKey("2001:db8:80::80", iif="lan")) == ["eth0", "eth1"]


def test_a_rule_of_a_vrf_or_of_what_is_not_known_is_about_no_packet_here() -> None:
    """Nothing of a lab is in a VRF of the host's, bears a tunnel's id or a DSCP."""
    rules = [Rule(4, 1000, l3mdev=True), Rule(4, 1001, "blackhole", further=True)]

    assert ways(Fib([DEFAULT], [*BASE[4], *rules])) == ["eth0"]


def test_a_rule_may_go_on_at_another() -> None:
    """Forwards alone, so it ends; to nowhere it does nothing (fib_rules_lookup)."""
    rules = [Rule(4, 5, "goto", goto=9), Rule(4, 7, "blackhole"), Rule(4, 9, "nop")]

    assert ways(Fib([DEFAULT], [*BASE[4], *rules])) == ["eth0"]
    assert ways(Fib([DEFAULT], [*BASE[4], *rules[:2]])) == []


# ── ways out ──────────────────────────────────────────────────────────────────────────────

CARDS = Candidates(("eth0", "eth1", "tun0", "virbr0"), tunnels=("tun0",), bridges=("virbr0",))


def out(*routes: Route, rules: tuple[Rule, ...] = (), src: str = "") -> dict[str, bool]:
    """Return the ways out of a host with these routes."""
    return ways_out(Fib([NEAR, *routes], [*BASE[4], *rules]), 4, CARDS, src, "lan")


def test_every_way_that_a_packet_may_take_is_one() -> None:
    """Where a route is hidden by others in part, what is left of it counts; and all hops do."""
    half = Route("128.0.0.0/1", (VPN,))
    assert out(DEFAULT) == {"eth0": True}
    assert out(DEFAULT, half) == {"eth0": True, "tun0": True}
    assert out(Route("0.0.0.0/0", (ETH0, Nexthop("eth1", "198.51.100.1")))) == {
        "eth0": True,
        "eth1": True,
    }
    for more in ("10.0.0.0/8", "100.100.1.2/32"):  # as Tailscale has it, for each peer
        assert out(DEFAULT, Route(more, (VPN,)), Route("10.0.0.0/9", (ETH0,))) == {
            "eth0": True,
            "tun0": False,
        }


def test_what_no_packet_takes_is_no_way_out() -> None:
    """A worse metric, a table that no rule leads to, or only for others; what is hidden wholly."""
    second = Nexthop("eth1", "198.51.100.1")
    assert out(DEFAULT, Route("0.0.0.0/0", (second,), metric=9)) == {"eth0": True}
    mine = Route("0.0.0.0/0", (second,), table=7)
    assert out(DEFAULT, mine) == {"eth0": True}
    by_source = (Rule(4, 7, table=7, src="10.64.0.0/24"),)
    assert out(DEFAULT, mine, rules=by_source, src="10.65.0.1") == {"eth0": True}
    assert out(DEFAULT, mine, rules=by_source, src="10.64.0.1") == {"eth0": True, "eth1": True}
    hidden = [Route(dst, (ETH0,)) for dst in ("10.0.0.0/9", "10.128.0.0/9")]
    assert out(DEFAULT, Route("10.0.0.0/8", (VPN,)), *hidden) == {"eth0": True}


def test_a_rule_about_a_destination_is_followed() -> None:
    """From where it begins to where it ends."""
    rule = Rule(4, 7, table=7, dst="203.0.113.0/24")
    assert out(DEFAULT, Route("0.0.0.0/0", (VPN,), table=7), rules=(rule,)) == {
        "eth0": True,
        "tun0": True,
    }


@pytest.mark.parametrize(
    "route",
    [
        Route("198.51.100.0/24", (Nexthop("eth1"),), protocol=2),
        Route("198.51.100.0/24", (Nexthop("eth1"),)),
        Route("10.8.0.9/32", (VPN,), protocol=2),
        Route("172.30.0.0/16", (Nexthop("virbr0", "192.168.122.9"),)),
        Route("10.1.0.0/16", (Nexthop("lan", "10.64.0.9"),)),
        Route("10.0.0.0/8", type="blackhole"),
    ],
)
def test_neighbours_and_guests_are_no_way_out(route: Route) -> None:
    """A subnet of an interface, a tunnel's end, who is behind a bridge's guest, a lab's router."""
    assert out(DEFAULT, route) == {"eth0": True}


PREFIXES = ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "10.128.0.0/9", "10.9.0.0/16")
HOPS = (ETH0, VPN, Nexthop("eth1", "198.51.100.1"), Nexthop("virbr0", "192.168.122.9"))
KINDS = ("unicast", "unicast", "unicast", "blackhole", "throw")


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Draw a route in one of two tables."""
    kind = draw(st.sampled_from(KINDS))
    hops = draw(st.lists(st.sampled_from(HOPS), min_size=1, max_size=2, unique=True))
    return Route(
        draw(st.sampled_from(PREFIXES)),
        tuple(hops) if kind == "unicast" else (),
        kind,
        table=draw(st.sampled_from((254, 7))),
        metric=draw(st.integers(0, 2)),
    )


@st.composite
def some_rules(draw: st.DrawFn) -> Rule:
    """Draw a rule about a destination, a source, a port, or all but these."""
    port = draw(st.sampled_from((0, 0, 443)))
    return Rule(
        4,
        draw(st.integers(1, 9)),
        table=draw(st.sampled_from((254, 7))),
        dst=draw(st.sampled_from(("", *PREFIXES[1:]))),
        src=draw(st.sampled_from(("", "10.64.0.0/24", "10.65.0.0/24"))),
        invert=draw(st.booleans()),
        suppress_prefixlength=draw(st.sampled_from((-1, 0, 8))),
        ipproto=6 if port else 0,
        dport=(port, port),
    )


@given(
    st.lists(routes(), max_size=8, unique_by=lambda route: route.key),
    st.lists(some_rules(), max_size=4),
    st.lists(st.integers(0, 2**32 - 1) | st.integers(10 << 24, 11 << 24), min_size=5, max_size=20),
)
def test_all_that_leads_on_is_a_way_out_and_nothing_else_but_main(
    some: list[Route], rules: list[Rule], destinations: list[int]
) -> None:
    """Whatever a packet's destination; and each way is one that some packet takes."""
    fib = Fib([NEAR, *some], [*BASE[4], *rules])
    found = ways_out(fib, 4, CARDS, "10.64.0.1", "lan")
    sides = {side for first, last in map(bounds, PREFIXES) for side in (first, last, last + 1)}
    taken = set()
    for number, port in product({*destinations, *sides} - {2**32}, (0, 443)):
        dst = from_int(number, "0.0.0.0")  # noqa: S104 - an address to count from
        proto = 6 if port else 0
        answer = fib.lookup(FlowKey(dst, "10.64.0.1", "lan", ipproto=proto, dport=port))
        if answer.route:
            taken |= {hop.dev for hop in answer.nexthops if CARDS.has(answer.route, hop)}
    assert taken <= found.keys()
    hidden = {hop.dev for r in some if (r.dst, r.table) == ("0.0.0.0/0", 254) for hop in r.nexthops}
    assert found.keys() - hidden <= taken
