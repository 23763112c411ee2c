"""Hypothesis strategies of worlds: topologies that can be made, pairs of them, and states between.

A world is drawn in two strokes. The first draws namespaces, networks and wires, each with a part of
the address space to itself, so that parts of two worlds can be put together. The second looks at
what that lowers to, and draws what speaks of its links: routes, rules, gateways, sysctls.
What `lower` complains of is then left out (`mended`): sloppy drawing costs no examples.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from netloom.compile.lower import HostFacts, Lowered, lower
from netloom.errors import Path, Problem, TopologyError
from netloom.language.topology import (
    Addresses,
    InterfaceSpec,
    Membership,
    NamespaceSpec,
    NetworkSpec,
    Topology,
    WireEndSpec,
    WireSpec,
)
from netloom.language.unparse import unparse
from netloom.model.facts import Allocations
from netloom.model.lab_state import LabState
from netloom.model.objects import HOST, Addr, Desired, Link, Loopback, NetnsState
from netloom.plan.diff import diff
from netloom.plan.simulate import after
from netloom.plan.sysctls import NO_IPV6, link_of
from netloom.values import bounds, family, from_int, network_of, to_int

_T = TypeVar("_T")

NONE_HELD = Allocations()
LAB = "loom"
LONG = "the-namespace-with-a-long-name"
NETNS = ("a", "b", LONG, HOST)
NETWORKS = ("lan", "a-network-with-a-long-name")
RULES = (
    "fwmark 1 lookup 100",
    "fwmark 0x10/0xff lookup 100",
    "from 10.1.0.0/24 lookup 101",
    "from 10.1.0.0/24 to 10.2.0.0/24 lookup 1000",
    "to fd00:1::/64 blackhole priority 7",
    "iif lan lookup 100",
    "oif lan fwmark 7 unreachable",  # without a mark the kernel looks for gateways by it, too
    "not from 10.0.0.1 lookup main priority 1000",
    "tos 0x10 lookup 5",
    "ipproto tcp dport 80-90 lookup 100",
    "ipproto udp sport 53 dport 53 prohibit",
    "uidrange 0-10 lookup 100",
    "lookup main suppress_prefixlength 0",
    "from fd00::/16 prohibit priority 32000",
)
SYSCTLS = (
    ("net.ipv4.tcp_ecn", "1"),
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.conf.all.forwarding", "1"),
    ("net.ipv4.conf.default.forwarding", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
    ("net.ipv6.conf.default.forwarding", "1"),
    ("net.ipv4.conf.default.rp_filter", "2"),
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
)
LINK_SYSCTLS = ("rp_filter", "forwarding", "arp_ignore")


def some(items: tuple[_T, ...], most: int = 2) -> st.SearchStrategy[tuple[_T, ...]]:
    """Draw a few of the items, often none."""
    return st.lists(st.sampled_from(items), max_size=most, unique=True).map(tuple)


# ── the first stroke ──────────────────────────────────────────────────────────────────────────────


@st.composite
def networks(draw: st.DrawFn, number: int) -> NetworkSpec:
    """Draw the network with a number, which its subnets bear."""
    four, six = f"10.{number}.0.0/24", f"fd00:{number}::/64"
    subnets = draw(st.sampled_from((None, None, (), (four,), (six,), (four, six))))
    thin = () if subnets is None or six in subnets else (1000,)
    return NetworkSpec(
        subnets=subnets,
        bridge=draw(st.sampled_from(("", "", f"br{number}"))),
        mtu=draw(st.sampled_from((0, 0, 1400, 9000, *thin))),
        stp=draw(st.booleans()),
    )


@st.composite
def memberships(draw: st.DrawFn, number: int, network: NetworkSpec, who: int) -> Membership:
    """Draw how the namespace with the number `who` takes part in a network."""
    addresses = draw(_own_addresses(number, network.subnets, who))
    thin = (
        () if network.subnets is None or any(":" in text for text in network.subnets) else (1000,)
    )
    return Membership(
        addresses=addresses,
        interface=draw(st.sampled_from(("", "", f"eth{number}"))),
        mac=draw(st.sampled_from(("", "", f"02:aa:00:{number:02x}:{who:02x}:00"))),
        mtu=draw(st.sampled_from((0, 0, 1400, *thin))),
    )


def _own_addresses(number: int, subnets: Addresses, who: int) -> st.SearchStrategy[Addresses]:
    derived: st.SearchStrategy[Addresses] = st.sampled_from((None, None, ()))
    if subnets is None:
        return derived
    first = 16 * (who + 1)
    four = tuple(f"10.{number}.0.{first + i}{length}" for i, length in _LENGTHS)
    six = (f"fd00:{number}::{who + 1}00", f"fd00:{number}::{who + 1}10/128")
    if subnets:
        inside = tuple(four if "." in prefix else six for prefix in subnets)
        mine = tuple(text for texts in inside for text in texts)
    else:
        mine = tuple(text if "/" in text else f"{text}/24" for text in four)
    return derived | some(mine, 3)


_LENGTHS = ((0, ""), (4, "/24"), (8, "/25"), (12, "/32"))


@st.composite
def namespaces(
    draw: st.DrawFn, nets: Mapping[str, NetworkSpec], name: str, who: int
) -> NamespaceSpec:
    """Draw what is said of a namespace, before anything is known of its links."""
    loopback = (f"10.255.{who}.1/32", f"10.255.{who}.64/26", f"fd00:ff:{who + 1}::1/128")
    joined = draw(some(tuple(nets))) if nets else ()
    lo = draw(some(loopback)) if name != HOST else ()
    return NamespaceSpec(
        count=draw(st.sampled_from((None, 2))) if name == "b" else None,
        networks={
            net: draw(memberships(NETWORKS.index(net) + 1, nets[net], who)) for net in joined
        },
        interfaces={"lo": InterfaceSpec(addresses=lo)} if lo else {},
        forwarding=draw(st.sampled_from((None, None, True, False))) if name != HOST else None,
        hosts=draw(st.sampled_from(({}, {"example.org": ("192.0.2.1",)}))) if name != HOST else {},
    )


@st.composite
def wires(draw: st.DrawFn, number: int, names: tuple[str, ...]) -> WireSpec:
    """Draw the wire with a number, which its subnets and the names of its ends bear."""
    ends = draw(st.tuples(st.sampled_from(names), st.sampled_from(names)))
    given = draw(st.sampled_from(((), (0,), (0, 1))))
    subnets: Addresses = None
    if ends[0] == ends[1]:
        subnets, given = (), ()
    elif not given:
        spans = (f"10.{100 + number}.0.0/29", f"fd01:{number + 1}::/64")
        subnets = draw(st.sampled_from((None, None, (), spans[:1], spans)))
    thin = (1000,) if given or subnets == () else ()
    return WireSpec(
        ends=(
            draw(_wire_ends(number, 0, ends, given=0 in given)),
            draw(_wire_ends(number, 1, ends, given=1 in given)),
        ),
        subnets=subnets,
        mtu=draw(st.sampled_from((0, 0, 1400, *thin))),
    )


@st.composite
def _wire_ends(
    draw: st.DrawFn, number: int, side: int, ends: tuple[str, str], *, given: bool
) -> WireEndSpec:
    plain = number == 0 and ends[0] != ends[1]
    named = f"w{number}{'xy'[side]}"
    addresses = (
        f"10.{110 + number}.0.{1 + side}/29",
        f"10.{110 + number}.0.{3 + side}/29",
        f"10.{120 + number}.0.{1 + side}/31",
        f"fd02:{number + 1}::{1 + side}/64",
    )
    return WireEndSpec(
        netns=ends[side],
        interface="" if plain and draw(st.booleans()) else named,
        addresses=draw(some(addresses, 3)) if given else (),
    )


@st.composite
def bases(draw: st.DrawFn) -> Topology:
    """Draw namespaces, networks and wires."""
    nets = {
        name: draw(networks(number))
        for number, name in enumerate(NETWORKS, 1)
        if draw(st.sampled_from((True, True, False)))
    }
    named = draw(st.lists(st.sampled_from(NETNS), min_size=2, max_size=3, unique=True))
    spaces = {name: draw(namespaces(nets, name, NETNS.index(name))) for name in named}
    return mended(
        Topology(
            name=LAB,
            networks=nets,
            namespaces=spaces,
            links=tuple(draw(wires(number, tuple(named))) for number in draw(_few)),
            hosts=draw(st.sampled_from(({}, {"vm": ("192.0.2.7", "2001:db8::7")}))),
            routing=draw(st.sampled_from(("", "", "static"))),
        )
    )


_few = st.sampled_from(((), (0,), (1,), (0, 1)))


# ── the second stroke ─────────────────────────────────────────────────────────────────────────────


@st.composite
def worlds(
    draw: st.DrawFn, base: Topology | None = None, held: Allocations = NONE_HELD
) -> Topology:
    """Draw a topology that can be made; `base` is what there is already."""
    base = draw(bases()) if base is None else base
    desired = lower(base, HostFacts(held=held)).desired
    spaces = {
        name: draw(_with_policy(said, _links_of(desired, name, said)))
        if name != HOST
        else replace(said, routes=draw(_routes(_links_of(desired, name, said), sourced=False)))
        for name, said in (base.namespaces or {}).items()
    }
    names = ("", "", *(name for name in spaces if name != "b"), "10.1.0.99")
    nets = {
        name: replace(network, gateway=network.gateway or draw(st.sampled_from(names)))
        for name, network in base.networks.items()
    }
    return mended(replace(base, namespaces=spaces, networks=nets), held)


def _links_of(desired: Desired, name: str, said: NamespaceSpec) -> list[Mapping[str, Link]]:
    """Return the links of each namespace that a name stands for."""
    names = [name] if said.count is None else [f"{name}{i + 1}" for i in range(said.count)]
    return [desired.netns[single].links for single in names]


@st.composite
def _with_policy(
    draw: st.DrawFn, said: NamespaceSpec, links: list[Mapping[str, Link]]
) -> NamespaceSpec:
    """Draw all that speaks of the links of a namespace."""
    devs = tuple(dev for dev, link in links[0].items() if not isinstance(link.kind, Loopback))
    settings = tuple((f"net.ipv4.conf.{dev}.{what}", "1") for dev in devs for what in LINK_SYSCTLS)
    down = draw(some(devs, 1)) if devs else ()
    silent = InterfaceSpec(up=False)
    return replace(
        said,
        interfaces={**said.interfaces, **dict.fromkeys(down, silent)},
        routes=(*said.routes, *draw(_routes(links))),
        rules=(*said.rules, *draw(some(RULES, 3))),
        sysctls={**said.sysctls, **dict(draw(some((*SYSCTLS, *settings))))},
    )


@st.composite
def _routes(
    draw: st.DrawFn, links: list[Mapping[str, Link]], *, sourced: bool = True
) -> tuple[str, ...]:
    """Draw routes, of every shape, that lead where the links lead."""
    ways = tuple(_ways(links))
    own = tuple(text for link in links[0].values() for text in _plain(link))
    own = own if sourced and len(links) == 1 else ()
    texts = []
    for number in range(draw(st.integers(0, 3))):
        version = draw(st.sampled_from((4, 6)))
        hops = tuple(way for way, one in ways if one == version)
        dst = draw(st.sampled_from(_DESTINATIONS[version])).format(number)
        sources = tuple(text for text in own if family(text) == version)
        texts.append(draw(_route(dst, hops, sources)))
    return tuple(texts)


_DESTINATIONS = {
    4: ("default", "198.51.{}.0/24", "198.51.0.0/24"),
    6: ("::/0", "2001:db8:{}::/48", "2001:db8::/48"),
}


@st.composite
def _route(draw: st.DrawFn, dst: str, hops: tuple[str, ...], sources: tuple[str, ...]) -> str:
    extras = ("metric 5", "metric 50", "table 100", "table 1000", "mtu 1300", "advmss 1000")
    words = " ".join(draw(some((*extras, *(f"src {text}" for text in sources)), 2)))
    shape = draw(st.sampled_from(("through", "through", "several", "dead end")))
    if shape == "dead end" or not hops:
        kind = draw(st.sampled_from(("blackhole", "unreachable", "prohibit", "throw")))
        return f"{kind} {dst} {draw(st.sampled_from(('', 'metric 7', 'table 100')))}"
    if shape == "through" or len(hops) == 1:
        return f"{dst} {draw(st.sampled_from(hops))} {words}"
    several = draw(st.lists(st.sampled_from(hops), min_size=2, max_size=3, unique=True))
    return f"{dst} {words} " + " ".join(f"nexthop {hop} weight 2" for hop in several)


def _ways(links: list[Mapping[str, Link]]) -> list[tuple[str, int]]:
    """Return what a route may say after its destination, with the IP version of it."""
    taken = {text for each in links for link in each.values() for text in _plain(link)}
    found = []
    for dev, link in links[0].items():
        versions = {family(addr.ip) for addr in link.addrs}
        for addr in link.addrs:
            gateway = "" if dev == "lo" else _gateway(addr, taken)
            found += [(f"via {gateway} dev {dev}", family(addr.ip))] if gateway else []
        found += [(f"dev {dev}", version) for version in versions]
        if dev != "lo" and link.up:
            found.append((f"via 203.0.113.1 dev {dev} onlink", 4))
    return list(dict.fromkeys(found))


def _gateway(addr: Addr, taken: set[str]) -> str:
    """Return a neighbour's address for somebody with this one, empty if there is none."""
    prefix = network_of(addr.ip, addr.prefixlen)
    first, last = bounds(prefix)
    if first == last:
        return ""
    some_of_them = (from_int(first + i, prefix) for i in range(1, min(last - first + 1, 8)))
    return next((text for text in some_of_them if text not in taken and to_int(text) != last), "")


def _plain(link: Link) -> list[str]:
    return [addr.ip for addr in link.addrs]


# ── mending ───────────────────────────────────────────────────────────────────────────────────────


def mended(topology: Topology, held: Allocations = NONE_HELD) -> Topology:
    """Return a topology without what `lower` complains of."""
    while True:
        try:
            lower(topology, HostFacts(held=held))
        except TopologyError as error:
            topology = _without(topology, error.problems)
        else:
            return topology


def _without(topology: Topology, problems: tuple[Problem, ...]) -> Topology:
    """Leave out what the first problem speaks of, and of the same list all that others speak of."""
    paths = {problem.path for problem in problems}
    first = problems[0].path
    match first:
        case ("namespaces", name, ("routes" | "rules") as key, int()):
            said = topology.namespaces[name]  # type: ignore[index]
            kept = (t for i, t in enumerate(getattr(said, key)) if (*first[:3], i) not in paths)
            return _with_namespace(topology, str(name), replace(said, **{key: tuple(kept)}))
        case ("namespaces", name, ("interfaces" | "networks" | "sysctls") as key, inner, *_):
            said = topology.namespaces[name]  # type: ignore[index]
            left = {k: v for k, v in getattr(said, key).items() if k != inner}
            return _with_namespace(topology, str(name), replace(said, **{key: left}))
        case ("networks", name, *rest):
            return _with_network(topology, str(name), tuple(rest))
        case ("links", int(number), *_):
            links = (wire for i, wire in enumerate(topology.links) if i != number)
            return replace(topology, links=tuple(links))
    raise AssertionError(problems)


def _with_namespace(topology: Topology, name: str, said: NamespaceSpec) -> Topology:
    return replace(topology, namespaces={**(topology.namespaces or {}), name: said})


def _with_network(topology: Topology, name: str, rest: Path) -> Topology:
    if rest == ("gateway",):
        network = replace(topology.networks[name], gateway="")
        return replace(topology, networks={**topology.networks, name: network})
    return replace(topology, networks={k: v for k, v in topology.networks.items() if k != name})


# ── two worlds, and states ────────────────────────────────────────────────────────────────────────


class Change(NamedTuple):
    """Two lowered topologies, the second being the first edited."""

    topologies: tuple[Topology, Topology]
    first: Lowered
    second: Lowered

    def __repr__(self) -> str:
        """Return both as files: what lowers from them is long."""
        return "\n---\n".join(["", *map(unparse, self.topologies)])


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Draw a topology, and one that it is edited into, with the addresses that it holds by then."""
    one = draw(worlds())
    first = lower(one)
    two = draw(edits(one, first.held))
    return Change((one, two), first, lower(two, HostFacts(held=first.held)))


@st.composite
def edits(draw: st.DrawFn, topology: Topology, held: Allocations) -> Topology:
    """Draw an edit of a topology: parts of another one put in the place of its own, or left out."""
    other = draw(worlds())
    spaces = draw(_mixed(topology.namespaces or {}, other.namespaces or {}))
    nets = draw(_mixed(topology.networks, other.networks))
    links = draw(_mixed(_by_place(topology), _by_place(other)))
    base = Topology(
        name=LAB,
        networks=nets,
        namespaces=spaces,
        links=tuple(links.values()),
        hosts=draw(st.sampled_from((topology.hosts, other.hosts))),
        routing=draw(st.sampled_from((topology.routing, other.routing))),
    )
    return draw(worlds(mended(base, held), held))


def _by_place(topology: Topology) -> dict[str, WireSpec]:
    return {str(number): wire for number, wire in enumerate(topology.links)}


@st.composite
def _mixed(draw: st.DrawFn, one: Mapping[str, _T], two: Mapping[str, _T]) -> dict[str, _T]:
    """Draw from two maps, key by key; most stay as they are in the first."""
    mixed = {}
    for key in dict.fromkeys((*one, *two)):
        source = draw(st.sampled_from((one, one, one, two, {})))
        if key in source:
            mixed[key] = source[key]
    return mixed


def bare(*desired: Desired, value: str = "0") -> LabState:
    """Return a machine without a lab, where a new namespace inherits `value` for its settings."""
    keys = {key for each in desired for netns in each.netns.values() for key in netns.sysctls}
    newborn = {
        key: value if "ipv4.conf" in key or "ip_forward" in key else "0"
        for key in keys
        if not link_of(key)
    }
    return LabState(netns={HOST: NetnsState(sysctls={NO_IPV6: "0"})}, defaults=newborn)


def made(desired: Desired, snapshot: LabState) -> LabState:
    """Return what there is once a state is made."""
    return after(diff(desired, snapshot), snapshot)
