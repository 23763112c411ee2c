"""What lowering makes of a file, and what it refuses: mistakes that the kernel would notice."""

import pytest
from msgspec.structs import replace

from netloom.compile.etc_files import folder_digest
from netloom.compile.link_builder import SHARD
from netloom.compile.lower import HostFacts, Lowered, lower
from netloom.datapath.fib import BASE_RULES
from netloom.errors import TopologyError
from netloom.language.parse import parse
from netloom.model.facts import HostSubnet, Joined, Nic, Occupied, UplinkFacts
from netloom.model.names import short_name
from netloom.model.objects import HOST, Addr, Bridge, Desired, File, Nexthop, Route
from tests.pure.outside import default


def lowered(text: str, around: HostFacts | None = None) -> Lowered:
    """Return what a file lowers to."""
    return lower(parse(text, name="lab").topology, around)


def desired(text: str) -> Desired:
    """Return what a file desires."""
    return lowered(text).desired


def mistakes(text: str, around: HostFacts | None = None) -> list[str]:
    """Return what a file is refused for."""
    with pytest.raises(TopologyError) as refusal:
        lowered(text, around)
    return [problem.message for problem in refusal.value.problems]


def addresses(state: Desired, netns: str, link: str) -> list[str]:
    """Return the addresses of an interface."""
    return [str(addr) for addr in state.netns[netns].links[link].addrs]


def default_of(state: Desired, netns: str) -> set[tuple[str, str]]:
    """Return the gateways and devices of the default routes."""
    return {
        (hop.via, hop.dev)
        for route in state.netns[netns].routes
        if route.dst in {"0.0.0.0/0", "::/0"}
        for hop in route.nexthops
    }


# ── what is made ──────────────────────────────────────────────────────────────────────────────────


def test_the_least_there_can_be() -> None:
    """A wire between two names: interfaces called by the far end, a /30 and a ULA /126."""
    state = desired("links: [[red, blue]]")

    assert addresses(state, "red", "blue") == ["10.64.0.1/30", "fd6e:6574:6c6f::1/126"]
    assert addresses(state, "blue", "red") == ["10.64.0.2/30", "fd6e:6574:6c6f::2/126"]
    assert state.netns[HOST].links == {}


def test_given_addresses_of_a_count_count_up() -> None:
    """And so do MAC addresses."""
    state = desired("""
networks: {mesh: {subnet: 10.20.0.0/24}}
namespaces: {n: {count: 3, networks: {mesh: {addresses: 10.20.0.11, mac: 02:00:00:00:00:fe}}}}
""")

    assert [addresses(state, f"n{i}", "mesh") for i in (1, 2, 3)] == [
        ["10.20.0.11/24"],
        ["10.20.0.12/24"],
        ["10.20.0.13/24"],
    ]
    assert state.netns["n3"].links["mesh"].mac == "02:00:00:00:01:00"


def test_the_second_address_of_a_subnet_is_secondary() -> None:
    """As inet_insert_ifa has it; an address of another length has a subnet of its own."""
    state = desired("""
links: [[a:x 10.0.0.9/24 10.0.0.1/24 10.0.0.2/25 fd00::1/64 fd00::2/64, b:y]]
""")

    assert {addr for addr in state.netns["a"].links["x"].addrs if addr.secondary} == {
        Addr("10.0.0.1", 24, secondary=True)
    }


def test_derived_subnets_avoid_given_ones_and_the_hosts() -> None:
    """What the host sees is left to it."""
    around = HostFacts(host=Occupied((HostSubnet("10.64.0.0/24", "eth0"),)))

    held = lowered(
        """
networks: {one: {subnet: 10.64.1.0/24}, two: }
namespaces: {a: {networks: [one]}, b: {networks: [two]}}
""",
        around,
    ).held

    assert held.subnets["two"][0] == "10.64.2.0/24"


POOLS = """
pool: [10.80.0.0/20, "fd80::/60"]
networks:
  small: {}
  large: {}
  given: {subnet: 10.80.0.64/26}
  tight: {subnet: 10.80.15.0/29, gateway: 10.80.15.2}
  part:
    subnets: [10.81.0.0/24, "fd81::/64"]
    range: [10.81.0.16/30, 10.81.0.128/25, "fd81::9:0/112"]
  six: {subnet: "fd82::/127"}
  bare: {subnet: none}
namespaces:
  n: {count: 204, networks: {large: }}
  a: {networks: {small: , given: , tight: , part: , six: , bare: 10.90.0.1/30}}
  b: {networks: {small: , given: 10.80.0.65, tight: , part: , six: , bare: "fd90::2/64"}}
  c: {networks: {part: 10.81.0.17, tight: 10.80.15.1}}
  d: {networks: {part: }}
  e: {networks: {part: "fd81::ffff:ffff:ffff:ffff"}}
  f: {networks: {part: }}
links:
  - [a, b]
  - [a:x, b:x]
  - {ends: [a:y, c:y], subnets: [10.83.0.0/31, "fd83::/126"]}
  - [a:z 10.84.0.1/24, "c:z 10.84.0.2/24 fd84::2/64"]
"""
ADDRESSES = """\
n1:large 10.80.2.1/23 fd80:0:0:1::1/64
n204:large 10.80.2.204/23 fd80:0:0:1::cc/64
a:small 10.80.1.1/24 fd80::1/64
a:given 10.80.0.66/26
a:tight 10.80.15.3/29
a:part 10.81.0.16/24 fd81::9:0/64
a:six fd82::/127
a:bare 10.90.0.1/30
a:b 10.80.4.1/30 fd80:0:0:2::1/126
a:x 10.80.4.5/30 fd80:0:0:2::5/126
a:y 10.83.0.0/31 fd83::1/126
a:z 10.84.0.1/24
b:small 10.80.1.2/24 fd80::2/64
b:given 10.80.0.65/26
b:tight 10.80.15.4/29
b:part 10.81.0.18/24 fd81::9:1/64
b:six fd82::1/127
b:bare fd90::2/64
b:a 10.80.4.2/30 fd80:0:0:2::2/126
b:x 10.80.4.6/30 fd80:0:0:2::6/126
c:tight 10.80.15.1/29
c:part 10.81.0.17/24
c:y 10.83.0.1/31 fd83::2/126
c:z 10.84.0.2/24 fd84::2/64
d:part 10.81.0.19/24 fd81::9:2/64
e:part fd81::ffff:ffff:ffff:ffff/64
f:part 10.81.0.128/24 fd81::9:3/64
"""


def test_what_is_derived_keeps_clear_of_what_is_given() -> None:
    """Subnets that their members and some more fit in; in each the first address that is free."""
    state = desired(POOLS)
    lines = [
        " ".join((f"{name}:{link}", *found))
        for name, netns in state.netns.items()
        if name not in {f"n{number}" for number in range(2, 204)}
        for link in netns.links
        if (found := [text for text in addresses(state, name, link) if not text.startswith("fe80")])
    ]
    assert lines == ADDRESSES.splitlines()


def test_a_gateway_is_the_default_route_of_the_others() -> None:
    """In each family that they share, and the gateway forwards."""
    state = desired("""
networks: {lan: {gateway: r}}
namespaces: {r: {networks: [lan]}, a: {networks: [lan]}, l2: {networks: {lan: none}}}
""")

    assert default_of(state, "a") == {("10.64.0.1", "lan"), ("fd6e:6574:6c6f::1", "lan")}
    assert default_of(state, "r") == default_of(state, "l2") == set()
    assert state.netns["r"].sysctls["net.ipv4.ip_forward"] == "1"
    assert "net.ipv4.ip_forward" not in state.netns["a"].sysctls


def test_a_gateway_leads_nobody_out_of_an_interface_that_is_down() -> None:
    """The kernel would refuse the route."""
    state = desired("""
networks: {lan: {gateway: r}}
namespaces: {r: {networks: [lan]}, a: {networks: [lan], interfaces: {lan: {up: false}}}}
""")

    assert default_of(state, "a") == set()


def test_static_routes_lead_over_routers() -> None:
    """A leaf gets a default route, a router each subnet that it is not on."""
    state = desired("""
routing: static
links:
  - [h1 10.1.0.2/24, r1 10.1.0.1/24]
  - [r1 10.9.0.1/30, r2 10.9.0.2/30]
  - [r2 10.3.0.1/24, h3 10.3.0.2/24]
""")

    assert default_of(state, "h1") == {("10.1.0.1", "r1")}
    assert state.netns["r1"].routes == {Route("10.3.0.0/24", (Nexthop("r2", "10.9.0.2"),))}


def test_static_routing_leads_to_no_subnet_that_a_namespace_is_in_itself() -> None:
    """Equal ones on two wires, as a group has: the kernel has a route to it, and takes no other."""
    state = desired("""
routing: static
networks: {lan: {subnet: 10.1.0.0/24}}
namespaces: {far: , b: {count: 2, networks: [lan]}}
links: [[b 10.110.0.1/29, far]]
""")

    assert state.netns["b1"].routes == state.netns["b2"].routes == frozenset()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "networks: {l: {subnet: 10.0.0.0/24, range: [10.0.0.8/29, 10.1.0.0/28]}}",
            "10.1.0.0/28 is outside 10.0.0.0/24 of network `l`",
        ),
        (
            "networks: {l: {subnet: 10.0.0.0/24, gateway: host}}\nnamespaces: {a: {networks: [l]}}",
            "`host` is not on network `l`",
        ),
        (
            "pool: 10.0.0.0/30\nnetworks: [l]",
            "no room is left in the pool for the subnet of network `l`",
        ),
    ],
)
def test_what_a_network_cannot_have_is_told_by_its_name(text: str, message: str) -> None:
    """And nothing that was written is passed over."""
    assert mistakes(text) == [message]


OUTSIDE = UplinkFacts(
    {"eth0": ""}, routes=(default("eth0"),), rules=BASE_RULES, program="/usr/bin/pasta"
)


def test_a_network_without_addresses_has_no_way_out() -> None:
    """The host is its gateway, and would have no address there."""
    around = HostFacts(outside=replace(OUTSIDE, program=None))
    text = "networks: {{l: {{subnet: none, uplink: nat}}}}\nnamespaces: {{host: {}, a: {}}}\n"
    member = "{{networks: {{l: 10.0.0.{}/24}}}}"

    told = "the host has no address on network `l`, so no way out"
    assert mistakes(text.format("{}", "{networks: l}"), around) == [told]
    state = lowered(text.format(member.format(1), member.format(2)), around).desired
    assert addresses(state, HOST, "l") == ["10.0.0.1/24"]


def test_static_routing_leads_back_from_where_the_lab_is_left() -> None:
    """The host, or what plays it, knows all that is behind a router."""
    text = """
routing: static
networks:
  lan: {{subnet: 10.0.0.0/24, uplink: {mode}}}
  inner: {{subnet: 10.0.1.0/24}}
namespaces: {{r: {{networks: [lan, inner]}}, web: {{networks: [inner]}}}}
"""
    for mode, netns in (("user", "lab.out"), ("nat", HOST)):
        state = lowered(text.format(mode=mode), HostFacts(outside=OUTSIDE))
        found = state.desired.netns[netns].routes
        assert [route.dst for route in found] == ["10.0.1.0/24"]


def test_static_routing_knows_the_host_as_a_router() -> None:
    """Who is beside it has two; a chain of routers is led out to its end, the host is not."""
    state = lowered(
        """
routing: static
networks:
  front: {subnet: 10.1.0.0/24, uplink: nat}
  mid: {subnet: 10.2.0.0/24}
  deep: {subnet: 10.3.0.0/24}
namespaces:
  fw: {networks: [front, mid]}
  web: {networks: [front]}
  app: {networks: [mid]}
  r: {networks: [mid, deep]}
  db: {networks: [deep]}
""",
        HostFacts(outside=OUTSIDE),
    ).desired

    def ways(name: str) -> set[tuple[str, str]]:
        routes = state.netns[name].routes
        return {(r.dst, hop.via) for r in routes for hop in r.nexthops}

    fw = "10.1.0.2"
    assert ways("web") == {("0.0.0.0/0", "10.1.0.1"), ("10.2.0.0/24", fw), ("10.3.0.0/24", fw)}
    assert ways(HOST) == {("10.2.0.0/24", fw), ("10.3.0.0/24", fw)}
    assert ways("fw") == {("0.0.0.0/0", "10.1.0.1"), ("10.3.0.0/24", "10.2.0.3")}
    assert ways("r") == {("0.0.0.0/0", "10.2.0.1"), ("10.1.0.0/24", "10.2.0.1")}
    assert ways("db") == {("0.0.0.0/0", "10.3.0.1")}


def test_static_routing_passes_over_what_has_no_addresses() -> None:
    """Neither an L2 network, nor a family that two neighbours do not share, is a mistake."""
    state = desired("""
routing: static
networks: {l2: {subnet: none}, lan: {subnet: 10.1.0.0/24}}
namespaces: {a: {networks: [l2]}, r: {networks: [l2, lan]}, six: }
links: [[six fd00::1/64, r 10.2.0.1/24 fd00::2/64]]
""")

    assert default_of(state, "a") == set()
    assert default_of(state, "six") == {("fd00::2", "r")}


@pytest.mark.parametrize("down", ["r", "a"])
def test_static_routing_passes_over_what_is_down(down: str) -> None:
    """Either end of the way: a router's interface, or one's own."""
    up = {"a": "true", "r": "true", down: "false"}
    state = desired(f"""
routing: static
networks: {{lan: {{subnet: 10.1.0.0/24}}, wan: {{subnet: 10.2.0.0/24}}}}
namespaces:
  a: {{networks: [lan], interfaces: {{lan: {{up: {up["a"]}}}}}}}
  r: {{networks: [lan, wan], interfaces: {{lan: {{up: {up["r"]}}}}}}}
  b: {{networks: [wan]}}
""")

    assert default_of(state, "a") == set()
    assert default_of(state, "b") == {("10.2.0.1", "wan")}


def test_a_network_with_a_bridge_of_its_own_is_on_the_host() -> None:
    """And the host takes part by that bridge: routes and interfaces speak of it by its name."""
    state = desired("""
networks: {lan: {bridge: br0, subnet: 10.1.0.0/24}}
namespaces:
  a: {networks: [lan]}
  host: {networks: [lan], routes: [10.9.0.0/16 via a, 10.8.0.0/16 dev br0]}
""")

    assert isinstance(state.netns[HOST].links["br0"].kind, Bridge)
    assert addresses(state, HOST, "br0") == ["10.1.0.2/24"]
    assert {hop.dev for route in state.netns[HOST].routes for hop in route.nexthops} == {"br0"}
    assert "lab.switch" not in state.netns


def test_a_thousand_members_share_a_bridge_and_the_next_get_another() -> None:
    """Growing beyond the ports of a bridge leaves every link that there is as it is."""
    text = (
        "networks: {big: {subnet: 10.1.0.0/16}}\nnamespaces: {n: {count: COUNT, networks: [big]}}"
    )
    small = lowered(text.replace("COUNT", str(SHARD)))

    grown = lowered(text.replace("COUNT", str(SHARD + 100)), HostFacts(held=small.held))

    large = grown.desired.netns["lab.switch"]
    before = small.desired.netns["lab.switch"].links
    assert {name: large.links[name] for name in before} == before
    ports = [link.master for link in large.links.values() if link.master]
    assert ports.count("big") == SHARD + 1
    assert ports.count("big.1") == 100 + 1


def test_a_setting_takes_along_what_the_kernel_sets_with_it() -> None:
    """`conf.all.forwarding` and `ip_forward` are one variable, and what is derived gives way."""
    sysctls = (
        desired("""
namespaces: {a: {sysctls: {net/ipv4/conf/all/forwarding: 1, net.ipv6.conf.all.disable_ipv6: 1}}}
""")
        .netns["a"]
        .sysctls
    )

    assert sysctls["net.ipv4.ip_forward"] == "1"
    assert sysctls["net.ipv4.conf.all.forwarding"] == "1"
    assert sysctls["net.ipv6.conf.default.disable_ipv6"] == "1"


def test_a_named_gateway_with_several_addresses_is_the_one_that_can_be_reached() -> None:
    """By the subnet of the interface that leads there."""
    state = desired("""
namespaces: {a: {routes: default via b}, b: }
links: [[a:x 10.2.0.1/24, b:y 10.1.0.2/24 10.2.0.2/24]]
""")

    assert default_of(state, "a") == {("10.2.0.2", "x")}


# ── what is refused ───────────────────────────────────────────────────────────────────────────────

OFF = "net.ipv6.conf.x.disable_ipv6"
WIRE = "links: [[a:x 10.0.0.1/24, b:y 10.0.0.2/24]]"

REFUSED = {
    "a route out of an interface that is down": (
        "namespaces: {a: {interfaces: {x: {up: false}}, routes: default via b}, b: }\n" + WIRE,
        "`a:x` is down, and no route leads out of it",
    ),
    "a gateway that is oneself": (
        "namespaces: {a: {routes: default via 10.0.0.1}, b: }\n" + WIRE,
        "the gateway 10.0.0.1 is `a` itself, which netloom refuses",
    ),
    "a route of the host out of what is its own": (
        "namespaces: {a: , host: {routes: 10.9.0.0/16 via 192.0.2.1}}\nlinks: [[a, host]]\n",
        (
            "the gateway 192.0.2.1 is on no segment of the lab: netloom makes no routes out of the "
            "host's own interfaces"
        ),
    ),
    "a source that one does not have": (
        "namespaces: {a: {routes: default via b src 10.0.0.3}, b: }\n" + WIRE,
        "the source 10.0.0.3 is no address of `a`, or of an interface that is down",
    ),
    "an IPv6 route with a device alone among its next hops": (
        """
namespaces: {a: {routes: fd09::/64 nexthop dev x nexthop via fd00::2}, b: }
links: [[a:x fd00::1/64, b:y fd00::2/64]]
""",
        "each `nexthop` of an IPv6 route leads `via` a gateway (the kernel takes no other)",
    ),
    "IPv6 on a short frame": (
        "links: [[a:x fd00::1/64, b:y, {mtu: 1000}]]",
        "`a:x` has an IPv6 address, which needs an MTU of 1280 bytes",
    ),
    "IPv6 where it is switched off": (
        "namespaces: {a: {sysctls: {net.ipv6.conf.all.disable_ipv6: 1}}, b: }\nlinks: [[a, b]]",
        "`a:b` has an IPv6 address, which the setting `net.ipv6.conf.all.disable_ipv6` forbids",
    ),
    "an IPv6 route where it is switched off": (
        """
namespaces: {a: {routes: fd00::/64 dev x, sysctls: {net.ipv6.conf.x.disable_ipv6: 1}}, b: }
links: [[a:x, b:y, {subnet: none}]]
""",
        f"an IPv6 route leads out of `a:x`, which the setting `{OFF}` forbids",
    ),
    "two values for one setting": (
        "namespaces: {a: {sysctls: {net.ipv4.ip_forward: 0, net.ipv4.conf.all.forwarding: 1}}}",
        "`net.ipv4.conf.all.forwarding` and `net.ipv4.ip_forward` are one setting, with two values",
    ),
    "a setting of an interface that is not there": (
        "namespaces: {a: {sysctls: {net.ipv4.conf.eth9.rp_filter: 1}}}",
        "no link or network makes an interface `eth9`",
    ),
    "a loopback that is not plain": (
        "namespaces: {a: {interfaces: {lo: {mtu: 9000}}}}",
        "`a:lo` can be given addresses, and is otherwise as it is",
    ),
    "a loopback with an address twice": (
        "namespaces: {a: {interfaces: {lo: {addresses: [fd00::1/128, fd00::1/64]}}}}",
        "`a:lo` is given an address twice",
    ),
    "a wire in the place of the loopback": ("links: [[a:lo, b:x]]", "`a:lo` is made twice"),
    "two networks on one bridge": (
        "networks: {lan: {bridge: br0}, dmz: {bridge: br0}}",
        "`host:br0` is made twice",
    ),
    "a wire with the name of a bridge": (
        "networks: {lan: {bridge: br0}}\nnamespaces: [a]\nlinks: [[host:br0, a]]",
        "`host:br0` is made twice",
    ),
    "a route out of an interface that is a mistake": (
        """
networks: {lan: {bridge: br0}}
namespaces: {host: {networks: {lan: {interface: eth2}}, routes: fd09::/64 dev eth2}}
""",
        "the host is on this network by its bridge `br0`, as it is",
    ),
    "a bridge port that the host should be": (
        "networks: {lan: {bridge: br0}}\nnamespaces: {host: {networks: {lan: {mtu: 1400}}}}",
        "the host is on this network by its bridge `br0`, as it is",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_mistake_is_found_before_the_kernel_does(what: str) -> None:
    """Each of these was once applied half-way, or came out otherwise than it was said."""
    text, message = REFUSED[what]

    assert message in mistakes(text)


def test_a_derived_subnet_that_came_to_be_in_the_way_is_derived_anew() -> None:
    """Where the host takes part: it could not tell which way to go; elsewhere it is kept."""
    text = """
networks: {one: , two: }
namespaces: {a: {networks: [one, two]}, host: {networks: [two]}}
"""
    first = lowered(text).held
    held = HostFacts(held=first, host=Occupied((HostSubnet("10.64.0.0/15", "tun0"),)))

    second = lowered(text, held).held.subnets

    assert (first.subnets["one"][0], first.subnets["two"][0]) == ("10.64.0.0/24", "10.64.1.0/24")
    assert (second["one"][0], second["two"][0]) == ("10.64.0.0/24", "10.66.0.0/24")


def test_a_name_that_is_taken_on_the_host_is_followed_by_the_lab_s() -> None:
    """It stays as long as the lab has it; one that the file speaks of is as it says."""
    text = "name: lab\nlinks: [[host, a], [host, a-name-of-a-namespace], [b, a]]\n"
    taken = dict.fromkeys(("a", "a.lab", "a-name-of-a-namespace", "b"), "")
    around = HostFacts(host=Occupied(links=taken))

    first = lowered(text, around)
    host = first.desired.netns["host"].links
    spaces = "namespaces: {a: , b: , a-name-of-a-namespace: , host: {SAID}}"
    said = ("interfaces: {a: {mtu: 1400}}", "routes: 10.9.0.0/16 dev a")
    spoken = [lowered(text + spaces.replace("SAID", each), around) for each in said]

    assert host.keys() == {"a.lab.2", short_name("a-name-of-a-namespace.lab")}
    assert [link.altnames for link in host.values()] == [(), ("a-name-of-a-namespace.lab",)]
    assert "b" in first.desired.netns["a"].links
    assert lowered(text, HostFacts(held=first.held)).desired == first.desired
    assert all("a" in each.desired.netns["host"].links for each in spoken)


def test_an_interface_of_another_lab_s_is_not_made_again() -> None:
    """Seen or only noted; nor is a card lent twice."""
    around = HostFacts(
        host=Occupied(links={"eth7": "shop", "eth8": "shop"}), nics={"eth8": Nic(mac="02::1")}
    )
    lent = "networks: {lan: }\nnamespaces: {host: {interfaces: {eth8: {network: lan}}}}"

    assert mistakes("links: [[host:eth7, a]]", around) == [
        "an interface `host:eth7` exists, and is the lab `shop`'s"
    ]
    assert mistakes(lent, around) == ["`eth8` is the lab `shop`'s"]


def test_a_mistake_of_a_group_is_told_once() -> None:
    """Not once for each of its members."""
    text = "namespaces: {n: {count: 9, routes: default via nobody}}"

    assert mistakes(text) == ["`nobody` is neither an address nor a name here"]


def test_subnets_of_the_host_are_not_taken() -> None:
    """Where the host takes part it could not tell which way to go; elsewhere nobody minds."""
    around = HostFacts(host=Occupied((HostSubnet("10.0.0.0/24", "eth0"),)))
    on_host = "links: [[host 10.0.0.1/24, a 10.0.0.2/24]]"

    assert mistakes(on_host, around) == [
        "10.0.0.0/24 of link `host:a=a:host` overlaps 10.0.0.0/24 on host:eth0"
    ]
    assert lowered(WIRE, around).desired == desired(WIRE)


def test_a_folder_is_known_by_texts_modes_and_owners() -> None:
    """Each is a difference; what all may read is called alike everywhere."""
    folder = {"a": File("text"), "b/": File(mode=0o755)}
    others = (
        {**folder, "a": File("other")},
        {**folder, "a": File("text", 0o664)},
        {**folder, "a": File("text", owner=(1, 0))},
        {**folder, "b/": File(mode=0o775)},
        {"a": File("text")},
    )

    assert len({folder_digest(each, "00") for each in (folder, *others)}) == 6
    assert folder_digest(folder, "00") == folder_digest(folder, "01")
    private = {"a": File("text", 0o640)}
    assert folder_digest(private, "00") != folder_digest(private, "01")


def test_who_may_get_an_address_from_a_program_has_a_resolv_conf_of_its_own() -> None:
    """Where an interface has none, or the segment is not the lab's; nobody shares it."""
    text = """
networks: {lan: , theirs: {from: br0, range: 192.0.2.64/28}}
namespaces:
  a: {networks: {lan: none}}
  b: {networks: {lan: none}, dns: 192.0.2.9}
  c: {networks: [theirs]}
  d: {networks: [lan]}
  e: {networks: [lan]}
  f:
  g:
links: [{ends: [f:x, g:x], subnet: none}]
"""
    facts = HostFacts(joined={"br0": Joined("br0", ("192.0.2.0/24",))})
    desired = lower(parse(text, name="lab").topology, facts).desired
    folders = {name: desired.folders[one.etc] for name, one in desired.netns.items() if one.etc}
    own = {name: files["resolv.conf"] for name, files in folders.items() if "resolv.conf" in files}
    assert {name: (bool(file.own), file.text) for name, file in own.items()} == {
        **dict.fromkeys("acfg", (True, "")),
        "b": (True, "nameserver 192.0.2.9\n"),
    }
    assert len({desired.netns[name].etc for name in "abcfg"}) == 5
    assert desired.netns["d"].etc == desired.netns["e"].etc
