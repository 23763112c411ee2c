"""What a way out asks of the host, without a host."""

import pytest
from msgspec.structs import replace

from netloom.compile.exits import uplink_moved
from netloom.compile.lower import HostFacts, lower
from netloom.datapath.fib import BASE_RULES
from netloom.errors import TopologyError
from netloom.language.parse import parse
from netloom.model.facts import Allocations, Nic, UplinkFacts
from netloom.model.objects import HOST, NetnsState, Nexthop, Route, Rule
from tests.pure.outside import default

SHOP = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces: {web: {networks: [lan], publish: "8080:80"}}
"""
EXITS = (default("eth0"), default("eth0", 6))
LINKS = dict.fromkeys(("lo", "eth0", "docker0", "floor"))
HOME = UplinkFacts(LINKS, of_labs=frozenset({"floor"}), routes=EXITS, rules=BASE_RULES)
"""A host with a card, Docker's bridge, and another lab's network."""


def asked(
    outside: UplinkFacts, text: str = SHOP, held: Allocations | None = None
) -> tuple[NetnsState, str]:
    """Return what is desired of the host, and its rules."""
    facts = HostFacts(outside=outside, held=held or Allocations())
    desired = lower(parse(text).topology, facts).desired
    return desired.netns[HOST], "".join(desired.texts.values())


def closed(rules: str) -> list[str]:
    """Return the rules that keep closed what was closed."""
    return [
        line.strip() for line in rules.splitlines() if "meta nfproto" in line and "drop" in line
    ]


def test_what_did_not_forward_stays_closed() -> None:
    """IPv4 from the card to all others; IPv6, which has one switch, between any two."""
    _, rules = asked(HOME)
    both = '{ "docker0", "eth0" }'
    assert closed(rules) == [
        f'meta nfproto ipv4 iifname "eth0" oifname {both} drop',
        f"meta nfproto ipv6 iifname {both} oifname {both} drop",
    ]


def test_what_forwards_for_docker_is_not_closed() -> None:
    """A host with Docker forwards IPv4 and no IPv6: only that stays closed."""
    _, rules = asked(replace(HOME, forwards=frozenset({"eth0", "docker0"})))
    assert [line.split()[2] for line in closed(rules)] == ["ipv6"]


def test_what_is_closed_is_remembered() -> None:
    """Interfaces that come later are somebody's wish: the rules do not change under a lab."""
    topology = parse(SHOP).topology
    first = lower(topology, HostFacts(outside=HOME))
    later = replace(HOME, links={**LINKS, "docker1": None})
    again = lower(topology, HostFacts(outside=later, held=first.held))
    assert again.desired == first.desired


def test_ipv6_is_left_alone_where_no_default_route_leads_out() -> None:
    """No claim, no default route, no rule for packets from elsewhere."""
    host, rules = asked(replace(HOME, routes=EXITS[:1], learners=frozenset({"eth0"})))
    assert host.claims == {"net.ipv4.conf.eth0.forwarding": "1"}
    assert "ip6 to [fd00:100::2]:80" not in rules.partition("chain publish-here")[0]


def test_who_learns_from_advertisements_goes_on_learning() -> None:
    """A host that forwards ignores them, unless it is told otherwise before."""
    host, _ = asked(replace(HOME, learners=frozenset({"eth0", "wlan0.7"})))
    assert host.claims == {
        "net.ipv4.conf.eth0.forwarding": "1",
        "net.ipv6.conf.all.forwarding": "1",
        "net.ipv6.conf.eth0.accept_ra": "2",
        "net.ipv6.conf.wlan0/7.accept_ra": "2",
    }


def test_a_member_cannot_give_the_host_a_route() -> None:
    """Its advertisements are ignored on the host's interface in the lab."""
    host, _ = asked(HOME)
    assert host.sysctls["net.ipv6.conf.lan.accept_ra"] == "0"


def test_a_lab_without_a_way_out_asks_nothing_of_the_host() -> None:
    """Neither rules nor settings."""
    text = SHOP.replace(", uplink: nat", "").replace(', publish: "8080:80"', "")
    assert asked(HOME, text) == (NetnsState(), "")


def test_without_a_default_route_that_alone_is_the_mistake() -> None:
    """What is published leads nowhere for the same reason."""
    with pytest.raises(TopologyError) as caught:
        asked(UplinkFacts({"lo": None, "eth0": None}))
    assert [problem.message for problem in caught.value.problems] == [
        "the host has no default route, so no way out"
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\udcff", r"a\xff"), ('a"b', 'a"b'), ("br*", "br*"), ("\x1b[2J", r"\x1b[2J")],
)
def test_an_interface_that_rules_cannot_speak_of_is_a_mistake(name: str, shown: str) -> None:
    """The kernel takes any bytes; left out, or taken for a pattern, it would be open."""
    with pytest.raises(TopologyError) as caught:
        asked(replace(HOME, links={**LINKS, name: None}))
    assert [problem.message for problem in caught.value.problems] == [
        f"rules of nft cannot speak of the host's interface `{shown}`"
    ]


def test_a_default_route_of_the_other_family_is_no_way_out() -> None:
    """Of IPv4 alone: where the file says the way, it needs none."""
    text = SHOP.replace(', "fd00:100::/64"', "")
    there = replace(HOME, routes=EXITS[1:])
    with pytest.raises(TopologyError, match="the host has no IPv4 default route, so no way out"):
        asked(there, text)
    asked(there, text.replace("uplink: nat", "uplink: {mode: nat, via: eth0}"))


def test_what_crosses_the_bridge_of_a_borrowed_port_is_not_tracked() -> None:
    """It is the lab's own bridge on the host; with `bridge: NAME` that is all there is."""
    port = "\n  host: {interfaces: {eth2: {network: lan}}}"
    text = SHOP.replace("namespaces: {web", "namespaces:\n  web").replace("}}\n", "}" + port + "\n")
    facts = HostFacts(outside=HOME, nics={"eth2": Nic("02:00:00:00:00:01")})
    rules = [
        "".join(lower(parse(each).topology, facts).desired.texts.values())
        for each in (text, text.replace("uplink: nat", "uplink: nat, bridge: br0"))
    ]

    assert ['iifname "shop.lan" notrack' in each for each in rules] == [True, False]


@pytest.mark.parametrize(
    ("routes", "uplink", "said"),
    [
        (EXITS, "nat", None),
        ((default("docker0"),), "nat", "lead out of `docker0` by now, not `eth0`"),
        ((*EXITS, Route("0.0.0.0/1", (Nexthop("tun0"),))), "nat", "`eth0` and `tun0` by now"),
        ((), "nat", "no default route any more; it led out of `eth0`"),
        ((default("docker0"),), "{mode: nat, via: eth0}", None),
    ],
)
def test_a_default_route_that_moved_is_told(
    routes: tuple[Route, ...], uplink: str, said: str | None
) -> None:
    """Unless the file says the way itself."""
    topology = parse(SHOP.replace("nat", uplink)).topology
    before = lower(topology, HostFacts(outside=HOME))
    links = before.desired.netns[HOST].links
    now = replace(HOME, links={**LINKS, "tun0": None}, routes=routes)
    told = uplink_moved(before.held.exits, links, now)
    assert told == said or (told and said and said in told)


HUB = """\
name: hub
namespaces: {host: {forwarding: true}, a: , b: }
links: [[host 10.1.0.1/24 SIX, a 10.1.0.2/24], [host 10.2.0.1/24, b 10.2.0.2/24]]
"""


def test_a_host_that_is_a_router_forwards_by_its_own_interfaces_alone() -> None:
    """IPv4 takes no setting of the host's; IPv6 its one switch, and others stay parted."""
    host, rules = asked(HOME, HUB.replace(" SIX", ""))
    assert (dict(host.claims), closed(rules)) == ({}, [])
    assert [key for key, value in host.sysctls.items() if value == "1"] == [
        "net.ipv4.conf.a.forwarding",
        "net.ipv4.conf.b.forwarding",
    ]
    inner = '{ "a", "b" }'
    told = [line.strip() for line in rules.splitlines() if "fname" in line and "tcp" not in line]
    assert told[0] == f"iifname {inner} oifname {inner} accept"
    assert told[-2:] == [f"iifname {inner} drop", f"oifname {inner} drop"]

    host, rules = asked(HOME, HUB.replace("SIX", "fd00:1::1/64"))
    assert dict(host.claims) == {"net.ipv6.conf.all.forwarding": "1"}
    both = '{ "docker0", "eth0" }'
    assert closed(rules) == [f"meta nfproto ipv6 iifname {both} oifname {both} drop"]


def test_a_host_of_the_lab_alone_keeps_nothing_of_the_machine_closed() -> None:
    """A plain user's: what lies around it is the machine's, and not in there."""
    host, rules = asked(replace(HOME, is_apart=True), HUB.replace("SIX", "fd00:1::1/64"))
    assert dict(host.claims) == {"net.ipv6.conf.all.forwarding": "1"}
    assert closed(rules) == []


def test_who_has_no_resolver_is_named_once() -> None:
    """Also a member of two networks that lead out."""
    text = "networks: {a: {uplink: nat}, b: {uplink: nat}}\nnamespaces: {gw: {networks: [a, b]}}\n"
    notes = lower(parse(text).topology, HostFacts(outside=HOME)).notes
    told = [note for note in notes if "resolver" in note]
    assert [note.count("`gw`") for note in told] == [1]


def test_each_subnet_of_a_network_is_asked_for() -> None:
    """A rule about one of them leads its packets elsewhere, and there they are translated, too."""
    around = replace(
        HOME,
        links={**LINKS, "eth1": None},
        routes=(*EXITS, replace(default("eth1"), table=7)),
        rules=(*BASE_RULES, Rule(4, 7, table=7, src="10.101.0.0/24")),
    )
    text = SHOP.replace('[10.100.0.0/24, "fd00:100::/64"]', "[10.100.0.0/24, 10.101.0.0/24]")
    host, rules = asked(around, text)

    assert "net.ipv4.conf.eth1.forwarding" in host.claims
    assert 'iifname "lan" oifname { "eth0", "eth1" } masquerade' in rules
