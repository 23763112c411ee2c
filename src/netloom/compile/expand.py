"""From the file's nouns to single things: every namespace of a `count`, every segment, every port.

What comes out, `Expanded`, still has holes where addresses are derived (`allocate.py`), but each
interface that there will be has its name, its namespace and its place in the file.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from netloom.compile.ifnames import HostNames
from netloom.errors import Path, Problem
from netloom.language.messages import parted
from netloom.language.scalars import DYNAMIC
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
from netloom.model.objects import HOST, Addr, End
from netloom.values import from_int, to_int, width


class GivenAddr(NamedTuple):
    """An address as the file gives it; without a length it has that of the subnet it lies in."""

    ip: str
    prefixlen: int | None


class Port(Struct):
    """An interface on a segment. `asked` None: derive addresses; `addresses` fills up later.

    `dynamic`: a program in the namespace gives it addresses.
    """

    end: End
    path: Path
    asked: tuple[GivenAddr, ...] | None
    mac: str = ""
    mtu: int = 0
    up: bool = True
    altname: str = ""
    dynamic: bool = False
    addresses: list[Addr] = field(default_factory=list)


class Segment(Struct):
    """A network or a wire: its ports hear each other. `key` is its name, kept across runs.

    `host_ports` are interfaces of the host that are ports of it besides, each with its place.
    """

    key: str
    path: Path
    asked: Addresses
    mtu: int
    ports: list[Port]
    network: NetworkSpec | None = None
    joined: Joined | None = None
    subnets: list[str] = field(default_factory=list)
    host_ports: list[tuple[str, Path]] = field(default_factory=list)


class Member(Struct):
    """One namespace: what the file says of it, and which of its `count` it is (from 0)."""

    spec: NamespaceSpec
    path: Path
    number: int = 0


class Expanded(Struct):
    """The whole lab, taken apart."""

    names: HostNames
    members: dict[str, Member] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    loopbacks: dict[str, list[Addr]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def link_text(self, netns: str, far: str) -> str:
        """Return the text from which an interface has its name that leads to `far`."""
        return self.names(far) if netns == HOST else far

    def error(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Note a mistake; `: write …` at its end becomes the hint."""
        if not hint:
            message, hint = parted(message)
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
    expanded = Expanded(names=names or HostNames(topology))
    if topology.namespaces is not None:
        for name, spec in topology.namespaces.items():
            _add_members(expanded, name, spec, ("namespaces", name))
    else:
        for name, path in _named_by_links(topology).items():
            _add_members(expanded, name, NamespaceSpec(), path)
    _add_networks(expanded, topology, joined or {})
    _add_gateways(expanded, out_of(topology.name))
    for number, wire in enumerate(topology.links):
        _add_wires(expanded, wire, ("links", number), topology)
    _check_interfaces(expanded)
    return expanded


def _named_by_links(topology: Topology) -> dict[str, Path]:
    """Return the namespaces that links declare, where nothing else does, with their places."""
    places: dict[str, Path] = {}
    for number, wire in enumerate(topology.links):
        for which, end in enumerate(wire.ends):
            if end.netns != HOST:
                places.setdefault(end.netns, ("links", number, "ends", which, "netns"))
    return places


def _add_members(expanded: Expanded, name: str, spec: NamespaceSpec, path: Path) -> None:
    if name == HOST:
        expanded.members[HOST] = Member(spec, path)
        return
    names = [name] if spec.count is None else [f"{name}{i + 1}" for i in range(spec.count)]
    if spec.count is not None:
        expanded.groups[name] = tuple(names)
    for number, single in enumerate(names):
        if single in expanded.members:
            expanded.error(path, f"namespace `{single}` is made twice", at_key=True)
        else:
            expanded.members[single] = Member(spec, path, number)


# ── networks ──────────────────────────────────────────────────────────────────────────────────────


def _add_networks(expanded: Expanded, topology: Topology, joined: Mapping[str, Joined]) -> None:
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
            _join(expanded, segments[name], joined.get(network.joins))
    expanded.segments += segments.values()
    for name, member in expanded.members.items():
        for network_name, membership in member.spec.networks.items():
            segment = segments.get(network_name)
            path: Path = (*member.path, "networks", network_name)
            if segment is not None:
                port = _membership_port(expanded, name, member, segment, membership, path)
                segment.ports.append(port)
            elif member.number == 0:
                hint = did_you_mean(network_name, topology.networks)
                expanded.error(path, f"no network `{network_name}`", hint, at_key=True)


def _join(expanded: Expanded, segment: Segment, found: Joined | None) -> None:
    """Take what is known of a segment that is not ours."""
    network = segment.network
    assert network is not None
    for key in ("bridge", "uplink", "stp"):
        if getattr(network, key):
            message = f"the segment is not the lab's, so `{key}` is not its to say"
            expanded.error((*segment.path, key), message)
    if found:
        segment.joined = found
        segment.mtu = network.mtu or found.mtu
        segment.asked = found.subnets if network.subnets is None else network.subnets


def _add_gateways(expanded: Expanded, out: str) -> None:
    """Put the host first on every network with an uplink: the first address is the gateway's.

    With `uplink: user` it is the namespace that plays the host, and the host is not touched.
    """
    for segment in expanded.segments:
        if segment.network is None or segment.network.uplink is None:
            continue
        netns = out if segment.network.uplink.mode == "user" else HOST
        of_host = [port for port in segment.ports if port.end.netns == netns]
        others = [port for port in segment.ports if port.end.netns != netns]
        if not of_host:
            text = segment.network.bridge or expanded.link_text(netns, segment.key)
            path: Path = (*segment.path, "uplink")
            end = End(netns, short_name(text))
            of_host = [Port(end=end, path=path, asked=None, altname=altname(text))]
        segment.ports = [*of_host, *others]


def _membership_port(  # noqa: PLR0913, PLR0917 - what a port is made of
    expanded: Expanded,
    name: str,
    member: Member,
    segment: Segment,
    membership: Membership,
    path: Path,
) -> Port:
    bridge = segment.network.bridge if segment.network and name == HOST else ""
    text = membership.interface or bridge or expanded.link_text(name, segment.key)
    link = short_name(text)
    spec = member.spec.interfaces.get(link, InterfaceSpec())
    texts = membership.addresses if spec.addresses is None else spec.addresses
    return Port(
        end=End(name, link),
        path=path,
        asked=_asked(expanded, texts, member.number, path),
        dynamic=DYNAMIC in (texts or ()),
        mac=_counted_mac(membership.mac or spec.mac, member.number),
        mtu=membership.mtu or spec.mtu,
        up=spec.up,
        altname=altname(text),
    )


def _asked(
    expanded: Expanded, texts: Addresses, number: int, path: Path
) -> tuple[GivenAddr, ...] | None:
    """Return the addresses that are given, none where a program gives them; None: to be derived."""
    if texts is None:
        return None
    if DYNAMIC in texts and len(texts) > 1:
        message = "`dynamic` stands alone: a program gives the interface its addresses"
        expanded.error(path, message)
    return tuple(_given(text, number) for text in texts if text != DYNAMIC)


def _given(text: str, number: int) -> GivenAddr:
    """Return the address `number` further: those given for a `count` count up."""
    ip, _, length = text.partition("/")
    return GivenAddr(
        from_int(to_int(ip) + number, ip) if number else ip, int(length) if length else None
    )


def _counted_mac(mac: str, number: int) -> str:
    if not mac or not number:
        return mac
    raw = (int(mac.replace(":", ""), 16) + number) % (1 << 48)
    return ":".join(f"{byte:02x}" for byte in raw.to_bytes(6, "big"))


# ── wires ─────────────────────────────────────────────────────────────────────────────────────────


def _add_wires(expanded: Expanded, wire: WireSpec, path: Path, topology: Topology) -> None:
    sides = [
        _side(expanded, end, (*path, "ends", number), topology)
        for number, end in enumerate(wire.ends)
    ]
    if not all(sides):
        return
    if len(sides[0]) > 1 and len(sides[1]) > 1:
        both = f"`{wire.ends[0].netns}` and `{wire.ends[1].netns}`"
        expanded.error(
            path, f"{both} are groups: a link has two ends", "write one link for each pair"
        )
        return
    for number in range(max(map(len, sides))):
        names = [side[number % len(side)] for side in sides]
        ports = [
            _wire_port(expanded, wire, which, names, number if len(sides[which]) > 1 else 0, path)
            for which in (0, 1)
        ]
        if ports[0].end == ports[1].end:
            expanded.error(path, f"both ends are `{ports[0].end}`")
            continue
        key = f"{ports[0].end}={ports[1].end}"
        mtu = wire.mtu or DEFAULT_MTU
        expanded.segments.append(
            Segment(key=key, path=path, asked=wire.subnets, mtu=mtu, ports=ports)
        )


def _side(expanded: Expanded, end: WireEndSpec, path: Path, topology: Topology) -> tuple[str, ...]:
    """Return the namespaces that an end of a link stands for; a mistake is noted."""
    if end.netns == HOST or end.netns in expanded.members:
        return (end.netns,)
    if end.netns in expanded.groups:
        return expanded.groups[end.netns]
    if end.netns in topology.networks:
        hint = f"list it under `networks:` of the namespace: `networks: [{end.netns}]`"
        expanded.error(path, f"`{end.netns}` is a network, and a link joins two namespaces", hint)
    else:
        hint = did_you_mean(end.netns, (*expanded.members, *expanded.groups))
        expanded.error(path, f"no namespace `{end.netns}`: a wire to nowhere", hint)
    return ()


def _wire_port(  # noqa: PLR0913, PLR0917 - one port of a wire of a group
    expanded: Expanded, wire: WireSpec, which: int, names: list[str], number: int, path: Path
) -> Port:
    end, far = wire.ends[which], names[1 - which]
    text = end.interface or expanded.link_text(names[which], far)
    link = short_name(text)
    member = expanded.members.get(names[which])
    spec = member.spec.interfaces.get(link, InterfaceSpec()) if member else InterfaceSpec()
    place: Path = (*path, "ends", which)
    if end.addresses and spec.addresses is not None:
        expanded.error(place, f"the addresses of `{names[which]}:{link}` are said twice")
    texts = end.addresses or spec.addresses
    further = number if end.addresses else 0
    return Port(
        end=End(names[which], link),
        path=place,
        asked=_asked(expanded, texts, further, place),
        dynamic=DYNAMIC in (texts or ()),
        mac=_counted_mac(spec.mac, number),
        mtu=spec.mtu,
        up=spec.up,
        altname=altname(text),
    )


# ── interfaces ────────────────────────────────────────────────────────────────────────────────────


def _check_interfaces(expanded: Expanded) -> None:
    """Find interfaces made twice, or spoken of and not made; take those of the loopbacks."""
    made: dict[End, Port] = {}
    for port in _ports(expanded):
        if port.end in made:
            hint = f"name one of them: `{port.end.netns}:NAME`"
            expanded.error(port.path, f"`{port.end}` is made twice", hint)
        made[port.end] = port
    by_netns: dict[str, list[str]] = {}
    for end in made:
        by_netns.setdefault(end.netns, []).append(end.link)
    for name, member in expanded.members.items():
        for link, spec in member.spec.interfaces.items():
            path: Path = (*member.path, "interfaces", link)
            if spec.network:
                _add_host_port(expanded, End(name, link), spec, path)
            elif link == "lo" and name != HOST:
                _add_loopback(expanded, name, member.number, spec, path)
            elif End(name, link) not in made and member.number == 0:
                hint = did_you_mean(link, by_netns.get(name, ()))
                expanded.error(path, f"no link or network makes `{name}:{link}`", hint, at_key=True)


def _add_host_port(expanded: Expanded, end: End, spec: InterfaceSpec, path: Path) -> None:
    """Take an interface of the host as a port of a network, and nothing else: it is not ours."""
    networks = {one.key: one for one in expanded.segments if one.network is not None}
    if end.netns != HOST:
        hint = f"`networks: [{spec.network}]` joins it"
        expanded.error(
            (*path, "network"), "only an interface of `host` is a port of a network", hint
        )
    elif spec.network not in networks:
        hint = did_you_mean(spec.network, networks)
        expanded.error((*path, "network"), f"no network `{spec.network}`", hint)
    else:
        networks[spec.network].host_ports.append((end.link, path))
    for key in ("addresses", "mac", "mtu", "up"):
        if getattr(spec, key) != getattr(InterfaceSpec(), key):
            expanded.error(
                (*path, key), f"`{end.link}` is not the lab's, so `{key}` is not its to say"
            )


def _add_loopback(
    expanded: Expanded, name: str, number: int, spec: InterfaceSpec, path: Path
) -> None:
    """Take the addresses of `lo`, and nothing else: the kernel makes it."""
    given = _asked(expanded, spec.addresses, number, path) or ()
    addresses = [Addr(ip, width(ip) if length is None else length) for ip, length in given]
    if spec.mac or spec.mtu or not spec.up:
        expanded.error(path, f"`{name}:lo` can be given addresses, and is otherwise as it is")
    if len({addr.ip for addr in addresses}) < len(addresses):
        expanded.error(path, f"`{name}:lo` is given an address twice")
    expanded.loopbacks[name] = addresses


def _ports(expanded: Expanded) -> Iterator[Port]:
    for segment in expanded.segments:
        yield from segment.ports
