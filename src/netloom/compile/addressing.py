"""A name stands for an address, by one rule.

The address on a network or wire that both sides share; else the only address it has in that family;
else a refusal that lists the `NS:IF` to choose from.
"""

from collections.abc import Iterator

from netloom.compile.expand import Expanded, Port, Segment
from netloom.language.suggest import did_you_mean
from netloom.language.topology import Topology
from netloom.model.objects import HOST
from netloom.values import Family, contains, family, ip, network_of

_ALWAYS = ("host", "internet", "all")


class Naming:
    """Looks up names of an expanded topology with its addresses; its refusals are `ValueError`s."""

    def __init__(self, expanded: Expanded) -> None:
        """Index the ports by namespace."""
        self.expanded = expanded
        self.ports: dict[str, list[tuple[Segment, Port]]] = {}
        for segment in expanded.segments:
            for port in segment.ports:
                self.ports.setdefault(port.end.netns, []).append((segment, port))
        self.networks = {s.key: s for s in expanded.segments if s.network is not None}
        self._by_address: dict[int, dict[str, str]] = {}

    def known(self, name: str) -> bool:
        """Whether a name is that of a namespace or a network."""
        return name in self.expanded.members or name in self.ports or name in self.networks

    def addresses(self, netns: str, version: Family) -> list[tuple[Port | None, str]]:
        """Return the addresses of a namespace in one family, without their lengths."""
        found: list[tuple[Port | None, str]] = [
            (port, addr.ip)
            for _, port in self.ports.get(netns, ())
            for addr in port.addresses
            if addr.family == version
        ]
        loopback = self.expanded.loopbacks.get(netns, ())
        return found + [(None, addr.ip) for addr in loopback if addr.family == version]

    def shared(self, viewer: str, name: str, version: Family) -> list[tuple[Port, Port, str]]:
        """Return own port, the port of `name`, its address, for each segment that both are on."""
        own = {id(segment): port for segment, port in self.ports.get(viewer, ())}
        return [
            (own[id(segment)], port, addr.ip)
            for segment, port in self.ports.get(name, ())
            if id(segment) in own
            for addr in port.addresses
            if addr.family == version
        ]

    def neighbour(
        self, viewer: str, text: str, version: Family, *, onlink: bool
    ) -> tuple[str, str] | None:
        """Return the address and own interface by which `viewer` reaches a neighbour directly.

        `text` is `NAME` or `NS:IF`. None where the two share no subnet in that family, or, if
        `onlink`, no segment. Raises `ValueError` for a name that means none, or several.
        """
        name, _, link = text.partition(":")
        if name not in self.expanded.members and name not in self.ports:
            raise ValueError(_unknown(name, self.expanded.members))
        found = self.shared(viewer, name, version)
        if link:
            found = [entry for entry in found if entry[1].end.link == link]
        found = [entry for entry in found if onlink or is_near(entry[0], entry[2])]
        if len({port.end for _, port, _ in found}) > 1:
            choice = " · ".join(self._places(name, version))
            msg = f"`{viewer}` and `{name}` share several segments: say which, {choice}"
            raise ValueError(msg)
        return (found[0][2], found[0][0].end.link) if found else None

    def _places(self, name: str, version: Family) -> Iterator[str]:
        for port, address in self.addresses(name, version):
            if port is not None:
                yield f"`{port.end}` ({address})"

    def device_towards(self, viewer: str, address: str) -> str | None:
        """Return the interface of `viewer` whose subnet an address is in, None if none is."""
        for _, port in self.ports.get(viewer, ()):
            if is_near(port, address):
                return port.end.link
        return None

    def owner(self, viewer: str, address: str) -> str | None:
        """Return the namespace that bears an address on a segment of `viewer`'s, or None."""
        for segment, _ in self.ports.get(viewer, ()):
            if netns := self._owners(segment).get(address):
                return netns
        return None

    def _owners(self, segment: Segment) -> dict[str, str]:
        owners = self._by_address.get(id(segment))
        if owners is None:
            owners = self._by_address[id(segment)] = {
                addr.ip: port.end.netns for port in segment.ports for addr in port.addresses
            }
        return owners

    def destination(self, text: str, version: Family) -> list[str]:
        """Return what prefixes of a family a destination means; raises `ValueError`."""
        if text == "default":
            return ["0.0.0.0/0" if version == 4 else "::/0"]
        if text in self.networks:
            return [p for p in self.networks[text].subnets if family(p) == version]
        if text in self.expanded.members and text != HOST:
            bits = 32 if version == 4 else 128
            return [f"{address}/{bits}" for _, address in self.addresses(text, version)]
        address, slash, length = text.partition("/")
        try:
            canonical = ip(address)
        except ValueError:
            known = ("default", *self.networks, *self.expanded.members)
            raise ValueError(_unknown(text, known)) from None
        if family(canonical) != version:
            return []
        bits = 32 if version == 4 else 128
        if not slash:
            return [f"{canonical}/{bits}"]
        if not length.isdecimal() or int(length) > bits:
            msg = f"`/{length}` is no prefix length of an IPv{version} address"
            raise ValueError(msg)
        net = network_of(canonical, int(length))
        if not net.startswith(f"{canonical}/"):
            msg = f"`{text}` has bits set beyond its length: write `{net}`"
            raise ValueError(msg)
        return [net]


def useless_addresses(expanded: Expanded) -> Iterator[str]:
    """Yield what to say of addresses that the kernel takes on a wire, and nothing can use there."""
    for segment in expanded.segments:
        for port in segment.ports:
            for addr in port.addresses:
                if why := _why_useless(addr.ip):
                    yield f"{addr} of `{port.end}` is {why}"


def _why_useless(address: str) -> str | None:
    first = address.partition(".")[0]
    if first == "127":
        return "of the loopback: packets to it and from it cross no wire"
    if address == "255.255.255.255":
        return "the broadcast address, which is nobody's to send from"
    if "224" <= first <= "239" and len(first) == 3:
        return "a multicast address, which is nobody's to send from"
    return None


def is_near(own: Port, address: str) -> bool:
    """Whether an address lies in a subnet of a port, so that it is a neighbour's."""
    return any(contains(addr.subnet, address) for addr in own.addresses)


def check_expects(topology: Topology, expanded: Expanded, naming: Naming) -> None:
    """Note every name in an `expect` that nobody bears."""
    known = (*expanded.members, *expanded.groups, *topology.networks, *topology.hosts, *_ALWAYS)
    names = set(known)
    for number, flow in enumerate(topology.expect):
        for name in (*flow.sources, *flow.destinations):
            plain = name.partition(":")[0]
            if plain not in names and not naming.known(plain):
                hint = did_you_mean(plain, known)
                expanded.error(("expect", number), f"nobody here is called `{plain}`", hint)


def _unknown(text: str, names: object) -> str:
    assert isinstance(names, dict | tuple)
    hint = did_you_mean(text, names)
    return f"`{text}` is neither an address nor a name here" + (f": {hint}" if hint else "")
