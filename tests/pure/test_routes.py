"""iproute2's words for routes and rules, read as iproute2 reads them, and printed again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.compile.addressing import Naming
from netloom.compile.allocate import HostPrefixes, allocate
from netloom.compile.expand import expand
from netloom.compile.lower import lower
from netloom.compile.route_words import parse_routes, parse_rule
from netloom.language.parse import parse
from netloom.language.topology import POOL, Topology
from netloom.model.facts import Allocations
from netloom.model.objects import Nexthop, Route, Rule
from netloom.render.text import route_words, rule_words
from tests.pure.worlds import RULES, worlds

LAB = """
networks: {lan: {subnets: [10.1.0.0/24, "fd00:1::/64"]}, dmz: {subnet: 10.2.0.0/24}}
namespaces:
  a: {networks: [lan], interfaces: {lo: {addresses: 10.255.0.1/32}}}
  b: {networks: [lan, dmz]}
  c: {networks: [lan, dmz]}
links: [[a 10.9.0.1/24, b 10.9.0.2/24]]
"""


def naming_of(topology: Topology) -> Naming:
    """Return a lab with its addresses."""
    expanded = expand(topology)
    allocate(expanded, POOL, Allocations(), HostPrefixes())
    return Naming(expanded)


NAMING = naming_of(parse(LAB, name="lab").topology)
B, B6 = Nexthop("lan", "10.1.0.2"), Nexthop("lan", "fd00:1::2")
C = Nexthop("lan", "10.1.0.3")

ROUTES = {
    "default via c": [
        Route("0.0.0.0/0", (C,)),
        Route("::/0", (Nexthop("lan", "fd00:1::3"),), metric=1024),
    ],
    "default via b:lan": [Route("0.0.0.0/0", (B,)), Route("::/0", (B6,), metric=1024)],
    "10.0.0.0/8 via b:a": [Route("10.0.0.0/8", (Nexthop("b", "10.9.0.2"),))],
    "dmz via c": [Route("10.2.0.0/24", (C,))],
    "10.7.7.7 via 10.1.0.2": [Route("10.7.7.7/32", (B,))],
    "10.7.0.0/16 dev lan": [Route("10.7.0.0/16", (Nexthop("lan"),), scope=253)],
    "10.7.0.0/16 dev lan scope global": [Route("10.7.0.0/16", (Nexthop("lan"),))],
    "fd07::/64 dev lan": [Route("fd07::/64", (Nexthop("lan"),), metric=1024)],
    "fd07::/64 via inet6 fd00:1::2 metric 5": [Route("fd07::/64", (B6,), metric=5)],
    "10.7.0.0/16 via inet6 fd00:1::2": [Route("10.7.0.0/16", (B6,))],
    "default via fe80::1 dev lan": [Route("::/0", (Nexthop("lan", "fe80::1"),), metric=1024)],
    "blackhole 192.0.2.0/24": [Route("192.0.2.0/24", type="blackhole")],
    "unreachable default": [Route("0.0.0.0/0", type="unreachable")],
    "prohibit ::/0 metric 7": [Route("::/0", type="prohibit", metric=7)],
    "10.0.0.0/8 nexthop via c weight 2 nexthop via b:lan": [
        Route("10.0.0.0/8", (B, Nexthop("lan", "10.1.0.3", weight=2)))
    ],
    "10.0.0.0/8 via 203.0.113.1 dev lan onlink": [
        Route("10.0.0.0/8", (Nexthop("lan", "203.0.113.1", onlink=True),))
    ],
    "10.0.0.0/8 via c src 10.255.0.1 table 100 mtu 1300 advmss 1200 tos 10 preference 9": [
        Route(
            "10.0.0.0/8",
            (C,),
            table=100,
            metric=9,
            tos=16,
            src="10.255.0.1",
            mtu=1300,
            advmss=1200,
        )
    ],
    "default via c src 10.255.0.1": [Route("0.0.0.0/0", (C,), src="10.255.0.1")],
    "10.0.0.0/8 via c table default": [Route("10.0.0.0/8", (C,), table=253)],
}


@pytest.mark.parametrize("text", ROUTES)
def test_a_route_means_what_iproute2_means(text: str) -> None:
    """With a name in the place of an address, and what iproute2 fills in filled in."""
    assert parse_routes(text, "a", NAMING) == ROUTES[text]


NO_ROUTES = {
    "": "the text is empty",
    "default": "a route leads `via` a gateway or out of a `dev`",
    "default via": "`via` wants a value",
    "default vai b": "`vai` is no word of a route: did you mean `via`?",
    "default via nobody": "`nobody` is neither an address nor a name here",
    "nowhere via c": "`nowhere` is neither an address nor a name here",
    "defualt via c": "`defualt` is neither an address nor a name here: did you mean `default`?",
    "default via b": "`a` and `b` share several segments: say which",
    "default via 172.16.0.1": "the gateway 172.16.0.1 is on no subnet of `a`",
    "default via 10.1.0.2 dev b": "the gateway 10.1.0.2 is on no subnet of `a:b`",
    "default dev eth0": "no interface `eth0` in `a`",
    "10.0.0.1/8 via c": "`10.0.0.1/8` has bits set beyond its length: write `10.0.0.0/8`",
    "10.0.0.0/33 via c": "`/33` is no prefix length of an IPv4 address",
    "10.0.0.0/8 via c metric x": "`metric x`: a number from 0 to 4294967295 is wanted",
    "10.0.0.0/8 via c nexthop via c": "either `via` and `dev`, or several `nexthop`, not both",
    "10.0.0.0/8 dev lan vrf red": "`vrf` in a route is not built yet",
    "dmz via 10.1.0.2 scope odd": "`odd` is no word of a scope",
}


@pytest.mark.parametrize("text", NO_ROUTES)
def test_what_is_no_route_is_refused_with_the_reason(text: str) -> None:
    """And with what was meant, where that can be guessed."""
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the text is compared below
        parse_routes(text, "a", NAMING)

    assert str(refusal.value).startswith(NO_ROUTES[text])


@given(worlds())
def test_a_route_that_is_printed_can_be_read_again(topology: Topology) -> None:
    """`parse(print(route)) == route`, except for the protocol, which marks ours on the host."""
    naming = naming_of(topology)
    for name, netns in lower(topology).desired.netns.items():
        for route in netns.routes:
            words = route_words(route)
            scope = " scope global" if not route.scope and "via" not in words else ""
            plain = scope if route.type == "unicast" and route.family == 4 else ""
            read = parse_routes(words + plain, name, naming)
            assert [(r.key, r.nexthops, r.type, r.src, r.mtu) for r in read] == [
                (route.key, route.nexthops, route.type, route.src, route.mtu)
            ]


MEANT = {
    "fwmark 1 lookup 100": Rule(4, 7, table=100, fwmark=1, fwmask=2**32 - 1),
    "fwmark 0x10/0xff table main": Rule(4, 7, table=254, fwmark=16, fwmask=255),
    "from 10.0.0.1 lookup 5 priority 9": Rule(4, 9, table=5, src="10.0.0.1/32"),
    "from all to fd00::/16 prohibit": Rule(6, 7, "prohibit", dst="fd00::/16"),
    "not iif lo oif lan tos 0x10 lookup 5": Rule(
        4, 7, table=5, iif="lo", oif="lan", tos=16, invert=True
    ),
    "ipproto tcp sport 1-2 dport 80 uidrange 0-9 lookup 5": Rule(
        4, 7, table=5, ipproto=6, sport=(1, 2), dport=(80, 80), uidrange=(0, 9)
    ),
    "lookup main suppress_prefixlength 0": Rule(4, 7, table=254, suppress_prefixlength=0),
}


@pytest.mark.parametrize("text", MEANT)
def test_a_rule_means_what_iproute2_means(text: str) -> None:
    """With the priority that the kernel would choose where none is given."""
    assert parse_rule(text, 7) == MEANT[text]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("from 10.0.0.1", "a rule says `lookup TABLE`, `blackhole`, `unreachable` or `prohibit`"),
        ("from 10.0.0.0/8 to fd00::/8 lookup 1", "`from` and `to` are of different families"),
        ("lokup 1", "`lokup` is no word of a rule: did you mean `lookup`?"),
        ("dport 90-80 lookup 1", "`dport 90-80` is no range: write a number, or `LOW-HIGH`"),
        ("fwmark red lookup 1", "`fwmark red` is no mark: write `1` or `0x1/0xff`"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(text: str, reason: str) -> None:
    """As for routes."""
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the text is compared below
        parse_rule(text, 7)

    assert str(refusal.value) == reason


@given(st.sampled_from(RULES), st.integers(1, 32765))
def test_a_rule_that_is_printed_can_be_read_again(text: str, priority: int) -> None:
    """`parse(print(rule)) == rule`."""
    rule = parse_rule(text, priority)

    assert parse_rule(rule_words(rule), 0) == rule
