"""The ports of segments become links, of the kinds that the kernel has.

The bridges of a lab stand in its *switch namespace* `LAB.switch`, in which IPv6 is off, so that no
port of a bridge ever speaks by itself. A bridge takes 1,023 ports: the first thousand members of a
network are on its root bridge, each further thousand on a bridge of its own that hangs on the root,
so a network that grows moves nobody.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from netloom.compile.expand import Expanded, Port, Segment
from netloom.compile.settings import ipv6_off, settings
from netloom.errors import Path  # noqa: TC001 - one name for all that tells a place
from netloom.model.facts import Joined
from netloom.model.firewall import BridgeNeed
from netloom.model.marks import link_mark, lo_mark, port_mark
from netloom.model.names import branch_of, short_name, switch_of
from netloom.model.objects import (
    HOST,
    LOOPBACK,
    Addr,
    Borrowed,
    Bridge,
    End,
    Link,
    Loopback,
    Veth,
)
from netloom.values import blake2b, family

SHARD = 1000
"""Members on one bridge; the rest of its 1,023 ports is for the bridges that hang on it."""

MAX_MEMBERS = SHARD * 24
_IPV6_MIN_MTU = 1280
_LO_MTU = 65536
_ADDR_GEN_NONE = "1"
"""IN6_ADDR_GEN_MODE_NONE (linux/if_link.h), of `addr_gen_mode`."""

_NO_IPV6 = "net.ipv6.conf.default.disable_ipv6"


class LinkBuilder:
    """Makes links of ports; mistakes are noted in what was expanded.

    `links` are the links by namespace and name, `places` where in the file each was said, `no_l3`
    the bridges on the host that the host itself does not speak on.
    """

    def __init__(
        self,
        lab: str,
        expanded: Expanded,
        salt: str,
        borrowed: Mapping[str, Borrowed],
        *,
        host_ipv6: bool = True,
    ) -> None:
        """Begin with no links; `salt` goes into the MAC addresses.

        `borrowed` are the interfaces of the host that become ports, as they were found;
        `host_ipv6` tells whether one that is made there has IPv6.
        """
        self.borrowed = borrowed
        self.host_ipv6 = host_ipv6
        self.lab = lab
        self.expanded = expanded
        self.salt = salt
        self.switch = switch_of(lab)
        self.links: dict[str, dict[str, Link]] = {name: {} for name in expanded.members}
        self.links.setdefault(HOST, {})
        self.places: dict[str, Path] = {}
        self.no_l3: list[str] = []

    def build(self) -> None:
        """Make all links."""
        for segment in self.expanded.segments:
            if segment.network is None:
                self.wire(segment)
            else:
                self.network(segment)
                self.borrow(segment)

    def lo(self, name: str) -> Link:
        """Return `lo` of a namespace of the lab."""
        addrs = _addrs(self.expanded.loopbacks.get(name, ()), (LOOPBACK,))
        off = self.why_no_ipv6(End(name, "lo"), _LO_MTU)
        if off and any(family(addr.ip) == 6 for addr in addrs):
            path = (*self.expanded.members[name].path, "interfaces", "lo")
            self.expanded.error(path, f"`{name}:lo` has an IPv6 address, {off}")
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
        if off and any(addr.family == 6 for addr in port.addresses):
            message = f"`{port.end}` has an IPv6 address, {off}"
            self.expanded.error(port.path, message, "an IPv4 `subnet:` alone asks for none")
        self.places[str(port.end)] = port.path
        return Link(
            kind=Veth(far),
            mac=port.mac or self.mac(port.end),
            mtu=mtu,
            up=port.up,
            alias=link_mark(self.lab, far),
            ipv6_ll=port.up and not off and self.speaks(port.end, ipv6=ipv6),
            altnames=(port.altname,) if port.altname else (),
            addrs=_addrs(port.addresses),
        )

    def speaks(self, end: End, *, ipv6: bool) -> bool:
        """Whether a link has an IPv6 link-local address: as the file says, else where `ipv6` is."""
        member = self.expanded.members.get(end.netns)
        key = f"net.ipv6.conf.{end.link.replace('.', '/')}.addr_gen_mode"
        said = settings(member.spec.sysctls).get(key) if member else None
        return said != _ADDR_GEN_NONE if said else ipv6

    def why_no_ipv6(self, end: End, mtu: int = 0) -> str | None:
        """Return why a link, made or of this MTU, can have no IPv6; None if it can."""
        made = self.links.get(end.netns, {}).get(end.link)  # none, if a mistake was found in it
        mtu = mtu or (made.mtu if made else _LO_MTU)
        if mtu < _IPV6_MIN_MTU:
            return f"which needs an MTU of {_IPV6_MIN_MTU} bytes"
        if end.netns == HOST and not self.host_ipv6:
            return f"which the host's own `{_NO_IPV6}` forbids"
        member = self.expanded.members.get(end.netns)
        key = ipv6_off(member.spec.sysctls, end.link) if member else None
        return f"which the setting `{key}` forbids" if key else None

    def across(self) -> Iterator[BridgeNeed]:
        """Yield what of the lab crosses bridges of the host."""
        for name, link in self.links[HOST].items():
            if link.kind.takes_ports:
                yield BridgeNeed(self.lab, name)
        for segment in self.expanded.segments:
            if segment.joined and segment.joined.netns == HOST:
                ips = tuple(addr.ip for port in segment.ports for addr in port.addresses)
                if ips:
                    yield BridgeNeed(self.lab, segment.joined.bridge, ips)

    def sysctls(self) -> dict[str, str]:
        """Return the settings of the lab's bridges on the host: it learns nothing from a lab.

        Those that nothing but borrowed interfaces are on answer for no address of the host's, and
        forward nothing: the host is on such a network by another interface, or not at all.
        """
        values = {}
        for name, link in self.links[HOST].items():
            path = name.replace(".", "/")
            if name in self.no_l3:
                values[f"net.ipv4.conf.{path}.arp_ignore"] = "8"
                values[f"net.ipv4.conf.{path}.forwarding"] = "0"
            if link.mtu < _IPV6_MIN_MTU:
                continue
            if name in self.no_l3:
                values[f"net.ipv6.conf.{path}.disable_ipv6"] = "1"
            elif link.kind.takes_ports:
                values[f"net.ipv6.conf.{path}.accept_ra"] = "0"
        return values

    def add(self, end: End, link: Link) -> None:
        """Put a link into its namespace, where no other of its name is."""
        links = self.links.setdefault(end.netns, {})
        if end.link in links or end.link == "lo":
            path = self.places.get(str(end), ("networks",))
            self.expanded.error(path, f"`{end}` is made twice", "give one of them another name")
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
            self.expanded.error(
                segment.path, f"{len(segment.ports)} members: {MAX_MEMBERS} is the limit"
            )
            return
        if segment.joined:
            self.join(segment, segment.joined)
            return
        where = HOST if network.bridge else self.switch
        names = _bridge_names(network.bridge or short_name(segment.key), len(segment.ports))
        ipv6 = _has_ipv6(segment)
        for number, name in enumerate(names):
            self.places[f"{where}:{name}"] = segment.path
            self.add(End(where, name), self.bridge(End(where, name), segment))
            if number:
                self.trunk(End(where, names[0]), End(where, name), segment.mtu)
        for number, port in enumerate(segment.ports):
            if network.bridge and port.end.netns == HOST:
                self.on_bridge(End(where, names[0]), port, ipv6=ipv6)
            else:
                self.member(where, names[number // SHARD], segment, port, ipv6=ipv6)

    def join(self, segment: Segment, joined: Joined) -> None:
        """Make the wires from the members to a bridge that is not ours, and touch nothing else."""
        ipv6 = _has_ipv6(segment)
        for port in segment.ports:
            if port.end.netns == joined.netns:
                message = f"the host is on this segment by its bridge `{joined.bridge}` already"
                self.expanded.error(port.path, message)
            else:
                self.member(joined.netns, joined.bridge, segment, port, ipv6=ipv6)

    def bridge(self, end: End, segment: Segment) -> Link:
        """Return a bridge of a network."""
        stp = bool(segment.network and segment.network.stp)
        mac, alias = self.mac(end), link_mark(self.lab)
        return Link(kind=Bridge(stp=stp), mac=mac, mtu=segment.mtu, alias=alias)

    def on_bridge(self, end: End, port: Port, *, ipv6: bool) -> None:
        """Give the host its address on a bridge that stands on the host."""
        bridge = self.links[HOST][end.link]
        off = self.why_no_ipv6(end, bridge.mtu)
        if off and any(addr.family == 6 for addr in port.addresses):
            self.expanded.error(port.path, f"`{end}` has an IPv6 address, {off}")
        ipv6 = ipv6 and not off
        addrs = _addrs(port.addresses)
        self.links[HOST][end.link] = replace(bridge, ipv6_ll=ipv6, addrs=addrs)
        if port.end.link != end.link or port.mac or port.mtu or not port.up:
            message = f"the host is on this network by its bridge `{end.link}`, as it is"
            self.expanded.error(port.path, message, "set `mtu` and `bridge` in the network itself")

    def member(self, where: str, bridge: str, segment: Segment, port: Port, *, ipv6: bool) -> None:
        """Make the wire from a member to its bridge."""
        near = End(where, self.port_name(where, port.end.netns, segment.key))
        self.add(port.end, self.port_link(port, near, segment.mtu, ipv6=ipv6))
        self.add(near, self.bridge_port(near, port.end, bridge, port.mtu or segment.mtu))

    def bridge_port(self, end: End, far: End, bridge: str, mtu: int) -> Link:
        """Return the bridge's end of a wire.

        Its MAC address is a high one where the bridge may be somebody's: a bridge whose address was
        not set takes the lowest of its ports' (br_stp_recalculate_bridge_id).
        """
        alias = link_mark(self.lab, far)
        mac = self.mac(end)
        if end.netns == HOST:
            mac = f"fe{mac[2:]}"
        return Link(kind=Veth(far), mac=mac, mtu=mtu, master=bridge, alias=alias)

    def trunk(self, root: End, branch: End, mtu: int) -> None:
        """Hang a further bridge of a network on its root."""
        down = End(root.netns, short_name(f"{branch.link}.down"))
        up = End(branch.netns, short_name(f"{branch.link}.up"))
        self.add(down, self.bridge_port(down, up, root.link, mtu))
        self.add(up, self.bridge_port(up, down, branch.link, mtu))

    def borrow(self, segment: Segment) -> None:
        """Make interfaces of the host ports of a network.

        They stay where they are, so it is a bridge on the host that they become ports of: the
        network's own where it stands there, else a further one that hangs on it: on somebody's,
        too, for a bridge may take the MAC address of such a port.
        """
        network, joined = segment.network, segment.joined
        if not segment.host_ports or network is None:
            return
        if network.bridge:
            bridge = network.bridge
        else:
            bridge = branch_of(self.lab, segment.key)
            self.no_l3.append(bridge)
            root = joined.bridge if joined else short_name(segment.key)
            where = joined.netns if joined else self.switch
            self.places[f"{HOST}:{bridge}"] = segment.path
            self.add(End(HOST, bridge), self.bridge(End(HOST, bridge), segment))
            self.trunk(End(where, root), End(HOST, bridge), segment.mtu)
        for name, path in segment.host_ports:
            self.places[f"{HOST}:{name}"] = path
            kind = self.borrowed.get(name, Borrowed())
            alias = port_mark(self.lab, segment.key)
            self.add(End(HOST, name), Link(kind, mac="", mtu=0, master=bridge, alias=alias))

    def port_name(self, where: str, netns: str, network: str) -> str:
        """Return a free name for a bridge's end of a wire: `web.lan`, or a digest of that."""
        taken = self.links.setdefault(where, {})
        name = f"{netns}.{network}"
        tries = 0
        while short_name(name) != name or name in taken:
            name = short_name(f"{netns}.{network} as port {tries}")
            tries += 1
        return name


def _bridge_names(root: str, members: int) -> list[str]:
    extra = max(0, members - 1) // SHARD
    return [root, *(short_name(f"{root}.{number}") for number in range(1, extra + 1))]


def _has_ipv6(segment: Segment) -> bool:
    ips = (addr.ip for port in segment.ports for addr in port.addresses)
    return any(family(text) == 6 for text in (*segment.subnets, *ips))


def _addrs(addrs: Iterable[Addr], born_with: Iterable[Addr] = ()) -> tuple[Addr, ...]:
    """Return addresses as the kernel has them: the second in an IPv4 subnet is secondary."""
    found: list[Addr] = []
    seen = {addr.subnet for addr in born_with}
    for addr in addrs:
        is_second = addr.family == 4 and addr.subnet in seen
        found.append(replace(addr, secondary=True) if is_second else addr)
        seen.add(addr.subnet)
    return tuple(sorted(found))
