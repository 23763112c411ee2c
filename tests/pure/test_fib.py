"""Where packets go, on hosts as people have them; the law on the kernel is in `tests/kernel`."""

import pytest

from netloom.datapath.fib import BASE, Fib, FlowKey
from netloom.model.objects import Nexthop, Route, Rule

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
