"""From what people write to what is desired of the kernel: `lower(topology, …) -> Lowered`.

The arrow has four stretches, a module each: `expand` (every single namespace, segment and port),
`allocate` (subnets and addresses), `naming` with `routes`, `static` and `hosts` (names become
addresses), and here the last: ports become links, of the kinds that the kernel has.

Rule 1: pure. The addresses in use, the host's subnets and the salt of the MAC addresses are given.
Rule 2: every mistake is found, and says its place; only when there is none does anything come out.
Rule 3: everything is concrete afterwards (`model/objects.py`, rule 2).

Where things live: the bridges of a lab stand in its *switch namespace* `LAB.switch`, in which IPv6
is off, so that no port of a bridge ever speaks by itself. A bridge takes 1,023 ports: the first
thousand members of a network are on its root bridge, each further thousand on a bridge of its own
that hangs on the root, so a network that grows moves nobody.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.errors import Path, Problem, TopologyError
from netloom.model.marks import link_mark, lo_mark
from netloom.model.objects import (
    HOST,
    Addr,
    Bridge,
    Desired,
    End,
    Link,
    Loopback,
    Netns,
    Route,
    Rule,
    Veth,
)
from netloom.topology.allocate import Held, HostSubnet, allocate
from netloom.topology.expand import DEFAULT_MTU, Fabric, Port, Segment, expand, short_name
from netloom.topology.expects import check_expects
from netloom.topology.hosts import HostsFiles
from netloom.topology.naming import Naming
from netloom.topology.routes import parse_routes, parse_rule
from netloom.topology.static import static_routes
from netloom.topology.topology import Topology
from netloom.values import IFNAMSIZ, family, ip_and_length, network_of

SHARD = 1000
"""Members on one bridge; the rest of its 1,023 ports is for the bridges that hang on it."""

MAX_MEMBERS = SHARD * 24
_IPV6_MIN_MTU = 1280
_FIRST_RULE = 32765
"""The priority that the kernel gives to the first rule added without one; the next get one less."""

HOST_PROTOCOL = 110
"""Protocol number of routes and rules of ours in a namespace that is not ours: their mark there."""

FORWARDING = {"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.forwarding": "0"}
"""Set in every namespace, and looked after."""

BASELINE = FORWARDING | {
    f"net.ipv4.conf.{which}.{setting}": "0"
    for setting in ("rp_filter", "arp_ignore", "arp_announce", "arp_filter")
    for which in ("all", "default")
}
"""Settings that a new namespace inherits from the initial one, with the kernel's own defaults, so
that a lab behaves alike on every host. Those that a new namespace has anyway are left alone."""

SWITCH_SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}


class Around(Struct, frozen=True):
    """What `lower` is told of the machine and of the lab's earlier life."""

    held: Held = Held()
    host: tuple[HostSubnet, ...] = ()
    salt: str = ""


class Lowered(Struct, frozen=True):
    """What is desired, and what to remember: derived addresses, and where things were said."""

    desired: Desired
    held: Held
    places: Mapping[str, Path] = field(default_factory=dict)


def switch_of(lab: str) -> str:
    """Return the name of the namespace that a lab's bridges stand in."""
    return f"{lab}.switch"


def lower(topology: Topology, around: Around | None = None) -> Lowered:
    """Return what a topology desires of the kernel; raises `TopologyError` with every mistake."""
    around = around or Around()
    fabric = expand(topology)
    held = allocate(fabric, topology.pool, around.held, around.host)
    naming = Naming(fabric)
    _check_names(fabric, topology)
    loom = _Loom(topology, fabric, naming, around)
    desired = loom.desired()
    check_expects(topology, fabric, naming)
    if fabric.problems:
        raise TopologyError(_unique(fabric.problems))
    places = {name: member.path for name, member in fabric.members.items()}
    return Lowered(desired=desired, held=held, places=places | loom.places)


def _unique(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems without those that a `count` repeats."""
    return list({(p.path, p.message): p for p in problems}.values())


def _check_names(fabric: Fabric, topology: Topology) -> None:
    switch = switch_of(topology.name)
    if switch in fabric.members:
        fabric.say(
            ("namespaces", switch), f"`{switch}` is the name of the lab's own switch namespace"
        )
    for name in topology.networks:
        if name in fabric.members:
            message = f"`{name}` is a namespace and a network: one name, one thing"
            fabric.say(("networks", name), message, at_key=True)


class _Loom:
    """Weaves links out of ports."""

    def __init__(self, topology: Topology, fabric: Fabric, naming: Naming, around: Around) -> None:
        self.topology = topology
        self.lab = topology.name
        self.fabric = fabric
        self.naming = naming
        self.salt = around.salt
        self.baseline = around.held.baseline
        self.switch = switch_of(topology.name)
        self.links: dict[str, dict[str, Link]] = {name: {} for name in fabric.members}
        self.links.setdefault(HOST, {})
        self.places: dict[str, Path] = {}

    def desired(self) -> Desired:
        """Return everything that is desired."""
        for segment in self.fabric.segments:
            if segment.network is None:
                self.wire(segment)
            else:
                self.network(segment)
        forwarding, routes = self.all_routes()
        texts: dict[str, str] = {}
        hosts = HostsFiles(self.topology, self.naming)
        netns = {HOST: Netns(links=self.links.pop(HOST), routes=routes.get(HOST, frozenset()))}
        if self.switch in self.links:
            links = {"lo": self.lo(self.switch), **self.links.pop(self.switch)}
            netns[self.switch] = Netns(links=links, sysctls=SWITCH_SYSCTLS)
        for name, member in self.fabric.members.items():
            if name == HOST:
                continue
            text = hosts.text(name, member.said.hosts)
            digest = _digest(text)
            texts[digest] = text
            netns[name] = Netns(
                links={"lo": self.lo(name), **self.links[name]},
                routes=routes.get(name, frozenset()),
                rules=self.rules(name),
                sysctls=self.sysctls(member.said.sysctls, forward=forwarding.get(name, False)),
                hosts=digest,
            )
        return Desired(netns=netns, texts=texts)

    def sysctls(self, said: Mapping[str, str], *, forward: bool) -> dict[str, str]:
        """Return the sysctls of a namespace: the baseline, forwarding, and what the file says."""
        values = FORWARDING | {key: BASELINE[key] for key in self.baseline}
        if forward:
            values = values | dict.fromkeys(FORWARDING, "1")
        return values | {key: " ".join(value.split()) for key, value in said.items()}

    # ── links ─────────────────────────────────────────────────────────────────────────────────

    def lo(self, name: str) -> Link:
        """Return `lo` of a namespace of the lab."""
        addrs = _addrs(self.fabric.loopbacks.get(name, ()))
        return Link(kind=Loopback(), mac="", mtu=65536, alias=lo_mark(self.lab, name), addrs=addrs)

    def mac(self, end: End) -> str:
        """Return the MAC address of an interface: its own on this machine, the same at every run.

        It is part of the message that makes the link, and so marks it as ours from birth.
        """
        raw = blake2b(f"{self.salt}/{self.lab}/{end}".encode(), digest_size=5).digest()
        return "02:" + raw.hex(":")

    def port_link(self, port: Port, far: End, mtu: int, *, ipv6: bool) -> Link:
        """Return the link that a port of a segment becomes."""
        mtu = port.mtu or mtu
        if mtu < _IPV6_MIN_MTU and any(family(text) == 6 for text in port.addresses):
            message = (
                f"`{port.end}` has an IPv6 address, which needs an MTU of {_IPV6_MIN_MTU} bytes"
            )
            self.fabric.say(port.path, message)
        self.places[str(port.end)] = port.path
        return Link(
            kind=Veth(far),
            mac=port.mac or self.mac(port.end),
            mtu=mtu,
            up=port.up,
            alias=link_mark(self.lab, far),
            ipv6_ll=ipv6 and mtu >= _IPV6_MIN_MTU and port.up,
            altnames=(port.altname,) if port.altname else (),
            addrs=_addrs(port.addresses),
        )

    def add(self, end: End, link: Link) -> None:
        """Put a link into its namespace."""
        self.links.setdefault(end.netns, {})[end.link] = link

    def wire(self, segment: Segment) -> None:
        """Make a wire's two ends; where their MTUs differ each keeps its own."""
        one, two = segment.ports
        ipv6 = _has_ipv6(segment)
        self.add(one.end, self.port_link(one, two.end, segment.mtu, ipv6=ipv6))
        self.add(two.end, self.port_link(two, one.end, segment.mtu, ipv6=ipv6))

    def network(self, segment: Segment) -> None:
        """Make a network: its bridges, and for each member a wire to one of them."""
        network = segment.network
        assert network is not None
        if len(segment.ports) > MAX_MEMBERS:
            self.fabric.say(
                segment.path, f"{len(segment.ports)} members: {MAX_MEMBERS} is the limit"
            )
            return
        where = HOST if network.bridge else self.switch
        names = _bridge_names(network.bridge or short_name(segment.key), len(segment.ports))
        ipv6 = _has_ipv6(segment)
        for number, name in enumerate(names):
            self.add(End(where, name), self.bridge(End(where, name), segment))
            self.places.setdefault(f"{where}:{name}", segment.path)
            if number:
                self.trunk(where, names[0], name, segment.mtu)
        for number, port in enumerate(segment.ports):
            if network.bridge and port.end.netns == HOST:
                self.on_bridge(End(where, names[0]), port, ipv6=ipv6)
            else:
                self.member(where, names[number // SHARD], segment, port, ipv6=ipv6)

    def bridge(self, end: End, segment: Segment) -> Link:
        """Return a bridge of a network."""
        stp = bool(segment.network and segment.network.stp)
        mac, alias = self.mac(end), link_mark(self.lab)
        return Link(kind=Bridge(stp=stp), mac=mac, mtu=segment.mtu, alias=alias)

    def on_bridge(self, end: End, port: Port, *, ipv6: bool) -> None:
        """Give the host its address on a bridge that stands on the host."""
        bridge = self.links[HOST][end.link]
        self.links[HOST][end.link] = replace(bridge, ipv6_ll=ipv6, addrs=_addrs(port.addresses))
        if port.end.link not in {end.link, short_name(port.path[-1])}:  # type: ignore[arg-type]
            message = (
                f"the host is on this network by its bridge, `{end.link}`, not by another interface"
            )
            self.fabric.say(port.path, message)

    def member(self, where: str, bridge: str, segment: Segment, port: Port, *, ipv6: bool) -> None:
        """Make the wire from a member to its bridge."""
        near = End(where, self.port_name(where, port.end.netns, segment.key))
        self.add(port.end, self.port_link(port, near, segment.mtu, ipv6=ipv6))
        self.add(near, self.bridge_port(near, port.end, bridge, port.mtu or segment.mtu))

    def bridge_port(self, end: End, far: End, bridge: str, mtu: int) -> Link:
        """Return the bridge's end of a wire."""
        alias = link_mark(self.lab, far)
        return Link(kind=Veth(far), mac=self.mac(end), mtu=mtu, master=bridge, alias=alias)

    def trunk(self, where: str, root: str, branch: str, mtu: int) -> None:
        """Hang a further bridge of a network on its root."""
        down, up = End(where, short_name(f"{branch}.down")), End(where, short_name(f"{branch}.up"))
        self.add(down, self.bridge_port(down, up, root, mtu))
        self.add(up, self.bridge_port(up, down, branch, mtu))

    def port_name(self, where: str, netns: str, network: str) -> str:
        """Return a free name for a bridge's end of a wire: `web.lan`, or a digest of that."""
        taken = self.links.setdefault(where, {})
        name = f"{netns}.{network}"
        tries = 0
        while len(name.encode()) >= IFNAMSIZ or name in taken:
            name = short_name(f"{netns}.{network} as port {tries}")
            tries += 1
        return name

    # ── routes, rules ─────────────────────────────────────────────────────────────────────────

    def all_routes(self) -> tuple[dict[str, bool], dict[str, frozenset[Route]]]:
        """Return who forwards, and the routes of every namespace."""
        said = {name: member.said.forwarding for name, member in self.fabric.members.items()}
        forwards = {name: value for name, value in said.items() if value is not None}
        routes: dict[str, dict[tuple[str, int, int, int], Route]] = {}
        derived = static_routes(self.naming, said) if self.topology.routing == "static" else {}
        for name, text, path, own in self.route_texts(derived):
            try:
                found = parse_routes(text, name, self.naming)
            except ValueError as error:
                self.fabric.say(path, str(error))
                continue
            mine = routes.setdefault(name, {})
            for route in found:
                if name == HOST:
                    route = replace(route, protocol=HOST_PROTOCOL)  # noqa: PLW2901
                if own or route.key not in mine:
                    if own and route.key in mine and mine[route.key] != route:
                        self.fabric.say(
                            path, f"a second route to {route.dst}, with the same metric"
                        )
                    mine[route.key] = route
                self.note_forwarding(name, route, forwards)
        return forwards, {name: frozenset(found.values()) for name, found in routes.items()}

    def route_texts(
        self, derived: Mapping[str, list[str]]
    ) -> Iterator[tuple[str, str, Path, bool]]:
        """Yield namespace, text, place, and whether it was written: `routes:` first."""
        for name, member in self.fabric.members.items():
            for number, text in enumerate(member.said.routes):
                yield name, text, (*member.path, "routes", number), True
        for segment in self.fabric.segments:
            if segment.network and segment.network.gateway:
                yield from self.gateway_texts(segment, segment.network.gateway)
        for name, texts in derived.items():
            for text in texts:
                yield name, text, ("routing",), False

    def gateway_texts(
        self, segment: Segment, gateway: str
    ) -> Iterator[tuple[str, str, Path, bool]]:
        """Yield the default routes that a network's gateway means: one for each other member."""
        path: Path = (*segment.path, "gateway")
        name = gateway.partition(":")[0]
        if self.naming.known(name) and not any(p.end.netns == name for p in segment.ports):
            self.fabric.say(path, f"`{gateway}` is not on network `{segment.key}`")
            return
        owners = {p.end.netns for p in segment.ports if gateway in _plain(p.addresses)} | {name}
        ends = {p.end.netns: p.end for p in segment.ports}
        via = str(ends[name]) if name in ends else gateway
        for port in segment.ports:
            if port.end.netns not in owners and port.end.netns != HOST and port.addresses:
                yield port.end.netns, f"default via {via}", path, False

    def note_forwarding(self, name: str, route: Route, forwards: dict[str, bool]) -> None:
        """Let a namespace that a route leads through forward, unless the file says otherwise."""
        for hop in route.nexthops:
            owner = self.naming.owner(name, hop.via) if hop.via else ""
            if owner and owner != HOST:
                forwards.setdefault(owner, True)

    def rules(self, name: str) -> frozenset[Rule]:
        """Return the rules of a namespace; those without a priority get the kernel's choice."""
        member = self.fabric.members[name]
        rules = set()
        for number, text in enumerate(member.said.rules):
            try:
                rules.add(parse_rule(text, _FIRST_RULE - number))
            except ValueError as error:
                self.fabric.say((*member.path, "rules", number), str(error))
        return frozenset(rules)


def _bridge_names(root: str, members: int) -> list[str]:
    extra = max(0, members - 1) // SHARD
    return [root, *(short_name(f"{root}.{number}") for number in range(1, extra + 1))]


def _has_ipv6(segment: Segment) -> bool:
    texts = (*segment.subnets, *(text for port in segment.ports for text in port.addresses))
    return any(family(text) == 6 for text in texts)


def _plain(addresses: Iterable[str]) -> set[str]:
    return {text.partition("/")[0] for text in addresses}


def _addrs(texts: Iterable[str]) -> tuple[Addr, ...]:
    """Return addresses as the kernel has them: the second in an IPv4 subnet is secondary."""
    found: list[Addr] = []
    seen: set[str] = set()
    for text in texts:
        address, length = ip_and_length(text)
        net = network_of(address, length)
        found.append(Addr(address, length, secondary=family(address) == 4 and net in seen))
        seen.add(net)
    return tuple(sorted(found))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=12).hexdigest()


__all__ = ["DEFAULT_MTU", "Around", "Lowered", "lower", "switch_of"]
