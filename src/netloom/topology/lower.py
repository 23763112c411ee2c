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

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.errors import Path, Problem, TopologyError
from netloom.model.marks import link_mark, lo_mark, ruleset_of
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
    Veth,
)
from netloom.topology.allocate import Held, HostSubnet, allocate
from netloom.topology.etc import EtcFolders, Files, contents, digest_of
from netloom.topology.expand import DEFAULT_MTU, Fabric, Port, Segment, expand, short_name
from netloom.topology.expects import check_expects
from netloom.topology.naming import Naming
from netloom.topology.policy import HOST_PROTOCOL, Policy
from netloom.topology.settings import contradictions, ipv6_off, settings
from netloom.topology.topology import Namespace, Topology
from netloom.topology.uplink import Outside, Uplinks, host_names
from netloom.values import IFNAMSIZ, family, ip_and_length, network_of

SHARD = 1000
"""Members on one bridge; the rest of its 1,023 ports is for the bridges that hang on it."""

MAX_MEMBERS = SHARD * 24
_IPV6_MIN_MTU = 1280
_LO_MTU = 65536
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
    """What `lower` is told of the machine and of the lab's earlier life.

    `ipv6`: whether the kernel has it; where not, nothing of it is derived or set.
    """

    held: Held = Held()
    host: tuple[HostSubnet, ...] = ()
    salt: str = ""
    ipv6: bool = True
    outside: Outside = Outside()
    files: Files = field(default_factory=dict)


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
    ways = host_names(topology, around.held.ways, around.outside)
    fabric = expand(topology, ways)
    pool = tuple(block for block in topology.pool if around.ipv6 or family(block) == 4)
    held = allocate(fabric, pool, around.held, around.host)
    naming = Naming(fabric)
    _check_names(fabric, topology, naming)
    uplinks = Uplinks(topology, fabric, around.outside, around.held.closed)
    uplinks.check_published()
    loom = _Loom(topology, fabric, naming, around, uplinks)
    desired = loom.desired()
    held = replace(held, ways=ways, closed=uplinks.closed)
    check_expects(topology, fabric, naming)
    if fabric.problems:
        raise TopologyError(_unique(fabric.problems))
    places = {name: member.path for name, member in fabric.members.items()}
    return Lowered(desired=desired, held=held, places=places | loom.places)


def _unique(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems without those that a `count` repeats."""
    found: dict[tuple[Path, str], Problem] = {}
    for problem in problems:
        found.setdefault((problem.path, problem.message), problem)
    return list(found.values())


def _check_names(fabric: Fabric, topology: Topology, naming: Naming) -> None:
    switch = switch_of(topology.name)
    if switch in fabric.members:
        fabric.say(
            ("namespaces", switch), f"`{switch}` is the name of the lab's own switch namespace"
        )
    for name, member in fabric.members.items():
        links = {port.end.link for _, port in naming.ports.get(name, ())}
        for key, why in contradictions(member.said.sysctls, links):
            fabric.say((*member.path, "sysctls", key), why, at_key=True)
    for name in topology.networks:
        if name in fabric.members:
            message = f"`{name}` is a namespace and a network: one name, one thing"
            fabric.say(("networks", name), message, at_key=True)


class _Loom:
    """Weaves links out of ports."""

    def __init__(
        self,
        topology: Topology,
        fabric: Fabric,
        naming: Naming,
        around: Around,
        uplinks: Uplinks,
    ) -> None:
        self.uplinks = uplinks
        self.files = around.files
        self.topology = topology
        self.lab = topology.name
        self.fabric = fabric
        self.naming = naming
        self.salt = around.salt
        self.baseline = around.held.baseline
        self.ipv6 = around.ipv6
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
        policy = Policy(self.topology, self.naming, self.why_no_ipv6, self.uplinks.ways)
        forwarding, routes = policy.routes()
        texts: dict[str, str] = {}
        folders: dict[str, Mapping[str, str]] = {}
        etc = EtcFolders(self.topology, self.naming, self.uplinks, self.files)
        netns = {HOST: self.host(routes.get(HOST, frozenset()), texts)}
        if self.switch in self.links:
            links = {"lo": self.lo(self.switch), **self.links.pop(self.switch)}
            netns[self.switch] = Netns(links=links, sysctls=self.possible(SWITCH_SYSCTLS))
        for name, member in self.fabric.members.items():
            if name == HOST:
                continue
            folder = etc.folder(name, member)
            digest = digest_of(folder)
            folders[digest] = folder
            netns[name] = Netns(
                links={"lo": self.lo(name), **self.links[name]},
                routes=routes.get(name, frozenset()),
                rules=policy.rules(name),
                sysctls=self.sysctls(member.said.sysctls, forward=forwarding.get(name, False)),
                etc=digest,
                rulesets=self.rulesets(member.said, texts),
            )
        return Desired(netns=netns, folders=folders, texts=texts)

    def rulesets(self, said: Namespace, texts: dict[str, str]) -> dict[str, str]:
        """Return the firewall rules of a namespace by their digests; the texts are collected."""
        found = {}
        table = ruleset_of(self.lab)
        kinds = ((table, said.firewall), ("iptables", said.iptables), ("ip6tables", said.ip6tables))
        for kind, text in kinds:
            if text is not None:
                whole = "".join(part for _, part in contents(text, self.files))
                digest = found[kind] = _digest(whole)
                texts[digest] = whole
        return found

    def host(self, routes: frozenset[Route], texts: dict[str, str]) -> Netns:
        """Return the lab's part of the namespace `host`."""
        rulesets: dict[str, str] = {}
        if rules := self.uplinks.rules():
            name = ruleset_of(self.lab)
            texts[rulesets.setdefault(name, _digest(rules))] = rules
        return Netns(
            links=self.links.pop(HOST),
            routes=routes,
            sysctls=self.uplinks.sysctls(),
            rulesets=rulesets,
            claims=self.uplinks.claims(),
        )

    def sysctls(self, said: Mapping[str, str], *, forward: bool) -> dict[str, str]:
        """Return the sysctls of a namespace: the baseline, forwarding, and what the file says."""
        values = FORWARDING | {key: BASELINE[key] for key in self.baseline}
        if forward:
            values = values | dict.fromkeys(FORWARDING, "1")
        return self.possible(values) | settings(said)

    def possible(self, sysctls: Mapping[str, str]) -> dict[str, str]:
        """Return those sysctls that the kernel has."""
        return {k: v for k, v in sysctls.items() if self.ipv6 or not k.startswith("net.ipv6.")}

    # ── links ─────────────────────────────────────────────────────────────────────────────────

    def lo(self, name: str) -> Link:
        """Return `lo` of a namespace of the lab."""
        addrs = _addrs(self.fabric.loopbacks.get(name, ()))
        off = self.why_no_ipv6(End(name, "lo"), _LO_MTU)
        if off and any(family(addr.ip) == 6 for addr in addrs):
            path = (*self.fabric.members[name].path, "interfaces", "lo")
            self.fabric.say(path, f"`{name}:lo` has an IPv6 address, {off}")
        alias = lo_mark(self.lab, name)
        return Link(kind=Loopback(), mac="", mtu=_LO_MTU, alias=alias, addrs=addrs)

    def mac(self, end: End) -> str:
        """Return the MAC address of an interface: its own on this machine, the same at every run.

        It is part of the message that makes the link, and so marks it as ours from birth.
        """
        raw = blake2b(f"{self.salt}/{self.lab}/{end}".encode(), digest_size=5).digest()
        return "02:" + raw.hex(":")

    def port_link(self, port: Port, far: End, mtu: int, *, ipv6: bool) -> Link:
        """Return the link that a port of a segment becomes."""
        mtu = port.mtu or mtu
        off = self.why_no_ipv6(port.end, mtu)
        if off and any(family(text) == 6 for text in port.addresses):
            self.fabric.say(port.path, f"`{port.end}` has an IPv6 address, {off}")
        self.places[str(port.end)] = port.path
        return Link(
            kind=Veth(far),
            mac=port.mac or self.mac(port.end),
            mtu=mtu,
            up=port.up,
            alias=link_mark(self.lab, far),
            ipv6_ll=ipv6 and not off and port.up,
            altnames=(port.altname,) if port.altname else (),
            addrs=_addrs(port.addresses),
        )

    def why_no_ipv6(self, end: End, mtu: int = 0) -> str:
        """Return why a link, made or of this MTU, can have no IPv6; empty if it can."""
        made = self.links.get(end.netns, {}).get(end.link)  # none, if a mistake was found in it
        mtu = mtu or (made.mtu if made else _LO_MTU)
        if mtu < _IPV6_MIN_MTU:
            return f"which needs an MTU of {_IPV6_MIN_MTU} bytes"
        member = self.fabric.members.get(end.netns)
        key = ipv6_off(member.said.sysctls, end.link) if member else ""
        return f"which the setting `{key}` forbids" if key else ""

    def add(self, end: End, link: Link) -> None:
        """Put a link into its namespace, where no other of its name is."""
        links = self.links.setdefault(end.netns, {})
        if end.link in links or end.link == "lo":
            path = self.places.get(str(end), ("networks",))
            self.fabric.say(path, f"`{end}` is made twice", "give one of them another name")
        links[end.link] = link

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
            self.places[f"{where}:{name}"] = segment.path
            self.add(End(where, name), self.bridge(End(where, name), segment))
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
        ipv6 = ipv6 and bridge.mtu >= _IPV6_MIN_MTU
        addrs = _addrs(port.addresses)
        self.links[HOST][end.link] = replace(bridge, ipv6_ll=ipv6, addrs=addrs)
        if port.end.link != end.link or port.mac or port.mtu or not port.up:
            message = f"the host is on this network by its bridge `{end.link}`, as it is"
            self.fabric.say(port.path, message, "set `mtu` and `bridge` in the network itself")

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


def _bridge_names(root: str, members: int) -> list[str]:
    extra = max(0, members - 1) // SHARD
    return [root, *(short_name(f"{root}.{number}") for number in range(1, extra + 1))]


def _has_ipv6(segment: Segment) -> bool:
    texts = (*segment.subnets, *(text for port in segment.ports for text in port.addresses))
    return any(family(text) == 6 for text in texts)


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


__all__ = ["DEFAULT_MTU", "HOST_PROTOCOL", "Around", "Lowered", "lower", "switch_of"]
