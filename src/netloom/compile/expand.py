"""From the file's nouns to single things: every namespace of a `count`, every segment, every port.

What comes out, `Expanded`, still has holes where addresses are derived (`allocate.py`), but each
interface that there will be has its name, its namespace and its place in the file.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from netloom.compile.ifnames import HostNames
from netloom.errors import Path, Problem
from netloom.language.suggest import did_you_mean
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
from netloom.model.facts import Joined
from netloom.model.names import DEFAULT_MTU, altname, out_of, short_name
from netloom.model.objects import HOST, End
from netloom.values import from_int, to_int


class Port(Struct):
    """An interface on a segment. `asked` None: derive addresses; `addresses` fills up later."""

    end: End
    path: Path
    asked: Addresses
    mac: str = ""
    mtu: int = 0
    up: bool = True
    altname: str = ""
    addresses: list[str] = field(default_factory=list)


class Segment(Struct):
    """A network or a wire: its ports hear each other. `key` is its name, kept across runs.

    `lent` are interfaces of the host that are ports of it besides, each with its place.
    """

    key: str
    path: Path
    asked: Addresses
    mtu: int
    ports: list[Port]
    network: NetworkSpec | None = None
    joined: Joined | None = None
    subnets: list[str] = field(default_factory=list)
    lent: list[tuple[str, Path]] = field(default_factory=list)


class Member(Struct):
    """One namespace: what the file says of it, and which of its `count` it is (from 0)."""

    said: NamespaceSpec
    path: Path
    number: int = 0


class Expanded(Struct):
    """The whole lab, taken apart."""

    names: HostNames
    members: dict[str, Member] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    loopbacks: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def link_text(self, netns: str, far: str) -> str:
        """Return the text from which an interface has its name that leads to `far`."""
        return self.names(far) if netns == HOST else far

    def say(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Note a mistake."""
        self.problems.append(Problem(message, path, hint, at_key=at_key))


def expand(
    topology: Topology,
    names: HostNames | None = None,
    joined: Mapping[str, Joined] | None = None,
) -> Expanded:
    """Take a topology apart; mistakes are noted in the result, not raised.

    `names` are for interfaces of the host, `joined` what is known of the segments that networks
    join.
    """
    fabric = Expanded(names=names or HostNames(topology))
    if topology.namespaces is not None:
        for name, said in topology.namespaces.items():
            _add_members(fabric, name, said, ("namespaces", name))
    else:
        for name, path in _named_by_links(topology).items():
            _add_members(fabric, name, NamespaceSpec(), path)
    _add_networks(fabric, topology, joined or {})
    _add_gateways(fabric, out_of(topology.name))
    for number, wire in enumerate(topology.links):
        _add_wires(fabric, wire, ("links", number), topology)
    _check_interfaces(fabric)
    return fabric


def _named_by_links(topology: Topology) -> dict[str, Path]:
    """Return the namespaces that links declare, where nothing else does, with their places."""
    places: dict[str, Path] = {}
    for number, wire in enumerate(topology.links):
        for which, end in enumerate(wire.ends):
            if end.netns != HOST:
                places.setdefault(end.netns, ("links", number, "ends", which, "netns"))
    return places


def _add_members(fabric: Expanded, name: str, said: NamespaceSpec, path: Path) -> None:
    if name == HOST:
        fabric.members[HOST] = Member(said, path)
        return
    names = [name] if said.count is None else [f"{name}{i + 1}" for i in range(said.count)]
    if said.count is not None:
        fabric.groups[name] = tuple(names)
    for number, single in enumerate(names):
        if single in fabric.members:
            fabric.say(path, f"namespace `{single}` is made twice", at_key=True)
        else:
            fabric.members[single] = Member(said, path, number)


# ── networks ──────────────────────────────────────────────────────────────────────────────────────


def _add_networks(fabric: Expanded, topology: Topology, joined: Mapping[str, Joined]) -> None:
    segments: dict[str, Segment] = {}
    for name, network in topology.networks.items():
        segments[name] = Segment(
            key=name,
            path=("networks", name),
            asked=network.subnets,
            mtu=network.mtu or DEFAULT_MTU,
            ports=[],
            network=network,
        )
        if network.joins:
            _join(fabric, segments[name], joined.get(network.joins))
    fabric.segments += segments.values()
    for name, member in fabric.members.items():
        for network_name, membership in member.said.networks.items():
            segment = segments.get(network_name)
            path: Path = (*member.path, "networks", network_name)
            if segment is not None:
                port = _membership_port(fabric, name, member, segment, membership, path)
                segment.ports.append(port)
            elif member.number == 0:
                hint = did_you_mean(network_name, topology.networks)
                fabric.say(path, f"no network `{network_name}`", hint, at_key=True)


def _join(fabric: Expanded, segment: Segment, found: Joined | None) -> None:
    """Take what is known of a segment that is not ours."""
    network = segment.network
    assert network is not None
    for key in ("bridge", "uplink", "stp"):
        if getattr(network, key):
            message = f"the segment is not the lab's, so `{key}` is not its to say"
            fabric.say((*segment.path, key), message)
    if found:
        segment.joined = found
        segment.mtu = network.mtu or found.mtu
        segment.asked = found.subnets if network.subnets is None else network.subnets


def _add_gateways(fabric: Expanded, out: str) -> None:
    """Put the host first on every network with an uplink: the first address is the gateway's.

    With `uplink: user` it is the namespace that plays the host, and the host is not touched.
    """
    for segment in fabric.segments:
        if segment.network is None or segment.network.uplink is None:
            continue
        gate = out if segment.network.uplink.mode == "user" else HOST
        of_host = [port for port in segment.ports if port.end.netns == gate]
        others = [port for port in segment.ports if port.end.netns != gate]
        if not of_host:
            text = segment.network.bridge or fabric.link_text(gate, segment.key)
            path: Path = (*segment.path, "uplink")
            end = End(gate, short_name(text))
            of_host = [Port(end=end, path=path, asked=None, altname=altname(text))]
        segment.ports = [*of_host, *others]


def _membership_port(  # noqa: PLR0913, PLR0917 - what a port is made of
    fabric: Expanded,
    name: str,
    member: Member,
    segment: Segment,
    membership: Membership,
    path: Path,
) -> Port:
    bridge = segment.network.bridge if segment.network and name == HOST else ""
    text = membership.interface or bridge or fabric.link_text(name, segment.key)
    link = short_name(text)
    said = member.said.interfaces.get(link, InterfaceSpec())
    asked = membership.addresses if said.addresses is None else said.addresses
    return Port(
        end=End(name, link),
        path=path,
        asked=None if asked is None else tuple(_counted(text, member.number) for text in asked),
        mac=_counted_mac(membership.mac or said.mac, member.number),
        mtu=membership.mtu or said.mtu,
        up=said.up,
        altname=altname(text),
    )


def _counted(address: str, number: int) -> str:
    """Return the address `number` further: those given for a `count` count up."""
    if not number:
        return address
    ip, slash, length = address.partition("/")
    return from_int(to_int(ip) + number, ip) + slash + length


def _counted_mac(mac: str, number: int) -> str:
    if not mac or not number:
        return mac
    raw = (int(mac.replace(":", ""), 16) + number) % (1 << 48)
    return ":".join(f"{byte:02x}" for byte in raw.to_bytes(6, "big"))


# ── wires ─────────────────────────────────────────────────────────────────────────────────────────


def _add_wires(fabric: Expanded, wire: WireSpec, path: Path, topology: Topology) -> None:
    sides = [
        _side(fabric, end, (*path, "ends", number), topology)
        for number, end in enumerate(wire.ends)
    ]
    if not all(sides):
        return
    if len(sides[0]) > 1 and len(sides[1]) > 1:
        both = f"`{wire.ends[0].netns}` and `{wire.ends[1].netns}`"
        fabric.say(path, f"{both} are groups: a link has two ends", "write one link for each pair")
        return
    for number in range(max(map(len, sides))):
        names = [side[number % len(side)] for side in sides]
        ports = [
            _wire_port(fabric, wire, which, names, number if len(sides[which]) > 1 else 0, path)
            for which in (0, 1)
        ]
        if ports[0].end == ports[1].end:
            fabric.say(path, f"both ends are `{ports[0].end}`")
            continue
        key = f"{ports[0].end}={ports[1].end}"
        mtu = wire.mtu or DEFAULT_MTU
        fabric.segments.append(
            Segment(key=key, path=path, asked=wire.subnets, mtu=mtu, ports=ports)
        )


def _side(fabric: Expanded, end: WireEndSpec, path: Path, topology: Topology) -> tuple[str, ...]:
    """Return the namespaces that an end of a link stands for; a mistake is noted."""
    if end.netns == HOST or end.netns in fabric.members:
        return (end.netns,)
    if end.netns in fabric.groups:
        return fabric.groups[end.netns]
    if end.netns in topology.networks:
        hint = f"list it under `networks:` of the namespace: `networks: [{end.netns}]`"
        fabric.say(path, f"`{end.netns}` is a network, and a link joins two namespaces", hint)
    else:
        hint = did_you_mean(end.netns, (*fabric.members, *fabric.groups))
        fabric.say(path, f"no namespace `{end.netns}`: a wire to nowhere", hint)
    return ()


def _wire_port(  # noqa: PLR0913, PLR0917 - one port of a wire of a group
    fabric: Expanded, wire: WireSpec, which: int, names: list[str], number: int, path: Path
) -> Port:
    end, far = wire.ends[which], names[1 - which]
    text = end.interface or fabric.link_text(names[which], far)
    link = short_name(text)
    member = fabric.members.get(names[which])
    said = member.said.interfaces.get(link, InterfaceSpec()) if member else InterfaceSpec()
    place: Path = (*path, "ends", which)
    if end.addresses and said.addresses is not None:
        fabric.say(place, f"the addresses of `{names[which]}:{link}` are said twice")
    asked = tuple(_counted(text, number) for text in end.addresses) or said.addresses
    return Port(
        end=End(names[which], link),
        path=place,
        asked=asked,
        mac=_counted_mac(said.mac, number),
        mtu=said.mtu,
        up=said.up,
        altname=altname(text),
    )


# ── interfaces ────────────────────────────────────────────────────────────────────────────────────


def _check_interfaces(fabric: Expanded) -> None:
    """Find interfaces made twice, or spoken of and not made; take those of the loopbacks."""
    made: dict[End, Port] = {}
    for port in _ports(fabric):
        if port.end in made:
            hint = f"name one of them: `{port.end.netns}:NAME`"
            fabric.say(port.path, f"`{port.end}` is made twice", hint)
        made[port.end] = port
    by_netns: dict[str, list[str]] = {}
    for end in made:
        by_netns.setdefault(end.netns, []).append(end.link)
    for name, member in fabric.members.items():
        for link, said in member.said.interfaces.items():
            path: Path = (*member.path, "interfaces", link)
            if said.network:
                _lend(fabric, End(name, link), said, path)
            elif link == "lo" and name != HOST:
                _add_loopback(fabric, name, member.number, said, path)
            elif End(name, link) not in made and member.number == 0:
                hint = did_you_mean(link, by_netns.get(name, ()))
                fabric.say(path, f"no link or network makes `{name}:{link}`", hint, at_key=True)


def _lend(fabric: Expanded, end: End, said: InterfaceSpec, path: Path) -> None:
    """Take an interface of the host as a port of a network, and nothing else: it is not ours."""
    networks = {one.key: one for one in fabric.segments if one.network is not None}
    if end.netns != HOST:
        hint = f"`networks: [{said.network}]` joins it"
        fabric.say((*path, "network"), "only an interface of `host` is a port of a network", hint)
    elif said.network not in networks:
        hint = did_you_mean(said.network, networks)
        fabric.say((*path, "network"), f"no network `{said.network}`", hint)
    else:
        networks[said.network].lent.append((end.link, path))
    for key in ("addresses", "mac", "mtu", "up"):
        if getattr(said, key) != getattr(InterfaceSpec(), key):
            fabric.say((*path, key), f"`{end.link}` is not the lab's, so `{key}` is not its to say")


def _add_loopback(
    fabric: Expanded, name: str, number: int, said: InterfaceSpec, path: Path
) -> None:
    """Take the addresses of `lo`, and nothing else: the kernel makes it."""
    addresses = [_counted(text, number) for text in said.addresses or ()]
    plain = [text.partition("/")[0] for text in addresses]
    if said.mac or said.mtu or not said.up:
        fabric.say(path, f"`{name}:lo` can be given addresses, and is otherwise as it is")
    if len(set(plain)) < len(plain):
        fabric.say(path, f"`{name}:lo` is given an address twice")
    fabric.loopbacks[name] = addresses


def _ports(fabric: Expanded) -> Iterator[Port]:
    for segment in fabric.segments:
        yield from segment.ports
