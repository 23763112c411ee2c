"""Ways out: what a network with an `uplink:` asks of the host.

The host stands on such a network with one interface, which has the first address and is the gateway
of all members. Beyond that it is asked for: forwarding on that interface and on those that lead out
(shared with others: a claim), and one table of nftables, which

* guards: nothing new comes in, nothing goes from one network to another, and what our forwarding
  would newly permit between other interfaces stays forbidden;
* hides: the lab's addresses leave as the host's own (`nat`);
* clamps: TCP's segment size, both ways, to the path's MTU (RFC 4459, 3.2);
* publishes: exactly the ports that the file says.

Everything else that a host may have in the way is not known here, but where the machine is.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from netloom.errors import Path
from netloom.model.objects import HOST
from netloom.topology.expand import Fabric, Port, Segment, short_name
from netloom.topology.suggest import did_you_mean
from netloom.topology.topology import Publish, Topology
from netloom.values import Family, family


class Exit(Struct, frozen=True):
    """An interface of the host that a default route leads out of, in one family.

    `forwarding`: whether it forwards without us; `ra`: whether the route was learned from router
    advertisements, which the kernel ignores where it forwards, unless `accept_ra` is 2.
    """

    link: str
    family: Family
    forwarding: bool = False
    ra: bool = False


class Outside(Struct, frozen=True):
    """What lies around the namespace `host`: its interfaces, whether each is up, its ways out.

    `of_labs` are those interfaces that other labs made; `resolvers` the text of a resolv.conf
    with the resolvers that are behind the machine's own.
    """

    links: Mapping[str, bool] = field(default_factory=dict)
    of_labs: frozenset[str] = frozenset()
    resolvers: str = ""
    exits: tuple[Exit, ...] = ()


class Way(Struct, frozen=True):
    """A network's way out: by which interface of the host in, by which out, in which families."""

    segment: Segment
    link: str
    out: tuple[str, ...]
    families: frozenset[Family]
    routed: bool = False

    def gateways(self) -> Iterator[str]:
        """Yield the host's addresses on the network that members can leave by, one a family."""
        port = next(port for port in self.segment.ports if port.end.netns == HOST)
        for version in sorted(self.families):
            plain = (text.partition("/")[0] for text in port.addresses)
            yield from [address for address in plain if family(address) == version][:1]

    def subnets(self) -> Iterator[str]:
        """Yield the subnets that can leave."""
        return (prefix for prefix in self.segment.subnets if family(prefix) in self.families)


def host_names(topology: Topology, held: Mapping[str, str], outside: Outside) -> dict[str, str]:
    """Return the name of the host's interface on each network with an uplink.

    It is the network's, or, where the host has another of that name, that and the lab's.
    """
    names = {}
    for name, network in topology.networks.items():
        if network.uplink and not network.bridge:
            plain = short_name(name)
            taken = short_name(f"{name}.{topology.name}") if plain in outside.links else plain
            names[name] = held.get(name, taken)
    return names


class Uplinks:
    """The ways out of a lab; mistakes are noted in the fabric."""

    def __init__(
        self,
        topology: Topology,
        fabric: Fabric,
        outside: Outside,
        closed: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Find the ways; `closed` is what was closed when the lab came up."""
        self.topology = topology
        self.fabric = fabric
        self.outside = outside
        self.ways = [way for segment in fabric.segments if (way := self._way(segment))]
        out = {link for way in self.ways for link in way.out}
        self.closed = {link: closed.get(link, self._newly_open(link)) for link in sorted(out)}

    def _newly_open(self, link: str) -> tuple[str, ...]:
        """Return where packets from an exit could not go so far."""
        exits = [exit_ for exit_ in self.outside.exits if exit_.link == link]
        if exits and all(exit_.forwarding for exit_ in exits):
            return ()
        return tuple(sorted(self.outside.links.keys() - self.outside.of_labs - {"lo"}))

    def _way(self, segment: Segment) -> Way | None:
        uplink = segment.network.uplink if segment.network else None
        if uplink is None:
            return None
        path: Path = (*segment.path, "uplink")
        port = next((port for port in segment.ports if port.end.netns == HOST), None)
        exits = self.outside.exits
        out = uplink.via or tuple(dict.fromkeys(exit_.link for exit_ in exits))
        if port is None or not out:
            if not out:
                hint = "`uplink: {mode: nat, via: eth0}` says the way"
                self.fabric.say(path, "the host has no default route, so no way out", hint)
            return None
        families = {exit_.family for exit_ in exits if exit_.link in out} or {4}
        for link in out:
            self._check(link, (*path, "via"))
        routed = uplink.mode == "routed"
        return Way(segment, port.end.link, out, frozenset(families), routed=routed)

    def _check(self, link: str, path: Path) -> None:
        up = self.outside.links.get(link)
        if up is None:
            hint = did_you_mean(link, self.outside.links)
            self.fabric.say(path, f"the host has no interface `{link}`", hint)
        elif not up:
            self.fabric.say(path, f"`{link}` of the host is down", f"ip link set {link} up")

    # ── what it asks of the host ──────────────────────────────────────────────────────────────

    def sysctls(self) -> dict[str, str]:
        """Return the settings of the host's interfaces that are ours."""
        values = {}
        for way in self.ways:
            ipv4, ipv6 = (f"net.ipv{v}.conf.{way.link.replace('.', '/')}" for v in (4, 6))
            values[f"{ipv4}.forwarding"] = "1"
            if any(family(prefix) == 6 for prefix in way.segment.subnets):
                values[f"{ipv6}.accept_ra"] = "0"
            if self.published:
                values[f"{ipv4}.route_localnet"] = "1"
        return values

    def claims(self) -> dict[str, str]:
        """Return the settings of the host that others share."""
        values = {}
        out = {link: way for way in self.ways for link in way.out}
        for link, way in out.items():
            if 4 in way.families:
                values[f"net.ipv4.conf.{link.replace('.', '/')}.forwarding"] = "1"
            if 6 in way.families:
                values["net.ipv6.conf.all.forwarding"] = "1"
        for exit_ in self.outside.exits:
            if exit_.ra and "net.ipv6.conf.all.forwarding" in values:
                values[f"net.ipv6.conf.{exit_.link.replace('.', '/')}.accept_ra"] = "2"
        return values

    @property
    def published(self) -> list[tuple[Publish, Way, Port, Path]]:
        """The ports that lead inwards; mistakes in them are noted by `check_published`."""
        found = []
        for name, member in self.fabric.members.items():
            for number, port in enumerate(member.said.publish):
                for way in self.ways:
                    place = next((p for p in way.segment.ports if p.end.netns == name), None)
                    if place is not None:
                        path = (*member.path, "publish", number)
                        found.append((port, way, place, path))
                        break
        return found

    def check_published(self) -> None:
        """Find ports that are published twice, or from where nothing leads in."""
        taken: dict[tuple[int, str], tuple[str, str]] = {}
        for port, _, place, path in self.published:
            key = (port.port, port.protocol)
            address, owner = taken.setdefault(key, (port.address, str(place.end.netns)))
            clash = not address or not port.address or address == port.address
            if clash and owner != place.end.netns:
                message = f"port {port.port} of the host is published by `{owner}`, too"
                self.fabric.say(path, message)
        reached = {place.end.netns for _, _, place, _ in self.published}
        for name, member in self.fabric.members.items():
            if member.said.publish and name not in reached:
                message = f"`{name}` is on no network with an uplink, so no port leads there"
                self.fabric.say((*member.path, "publish"), message)

    # ── rules ─────────────────────────────────────────────────────────────────────────────────

    def rules(self) -> str:
        """Return the chains of the lab's table on the host, empty if it needs none."""
        if not self.ways:
            return ""
        chains = [
            _chain("guard", "filter hook forward priority filter - 5", self._guard()),
            _chain("clamp", "filter hook forward priority mangle", self._clamp()),
        ]
        if hidden := list(self._hide()):
            chains.append(_chain("hide", "nat hook postrouting priority srcnat", hidden))
        if inward := list(self._publish()):
            no_localnet = f"iifname {self._links} ip daddr 127.0.0.0/8 drop"
            chains += [
                _chain("localnet", "filter hook prerouting priority raw", [no_localnet]),
                _chain("publish", "nat hook prerouting priority dstnat", inward),
                _chain("publish-here", "nat hook output priority -100", inward),
            ]
        return "\n".join(chains)

    @property
    def _links(self) -> str:
        return _set(way.link for way in self.ways)

    def _guard(self) -> Iterator[str]:
        for word in ("iifname", "oifname"):
            yield f"{word} {self._links} ct state established,related accept"
        for way in self.ways:
            yield f"iifname {_set([way.link])} oifname {_set(way.out)} accept"
            if way.routed:
                yield f"iifname {_set(way.out)} oifname {_set([way.link])} accept"
        if self.published:
            yield f"oifname {self._links} ct status dnat accept"
        yield f"iifname {self._links} drop"
        yield f"oifname {self._links} drop"
        for link, closed in self.closed.items():
            if closed:
                yield f"iifname {_set([link])} oifname {_set(closed)} drop"

    def _clamp(self) -> Iterator[str]:
        for word in ("iifname", "oifname"):
            clamp = "tcp option maxseg size set rt mtu"
            yield f"{word} {self._links} tcp flags & (syn | rst) == syn {clamp}"

    def _hide(self) -> Iterator[str]:
        for way in self.ways:
            for prefix in way.subnets():
                match = f"{_ip(prefix)} saddr {prefix} oifname"
                if not way.routed:
                    yield f"{match} {_set(way.out)} masquerade"
                if self.published:
                    yield f"{match} {_set([way.link])} ct status dnat masquerade"
            if self.published:
                yield f"ip saddr 127.0.0.0/8 oifname {_set([way.link])} masquerade"

    def _publish(self) -> Iterator[str]:
        for port, _, place, _ in self.published:
            for text in place.addresses:
                inner = text.partition("/")[0]
                if port.address and family(port.address) != family(inner):
                    continue
                here = f"{_ip(inner)} daddr {port.address}" if port.address else _local(inner)
                to = f"[{inner}]:{port.to}" if ":" in inner else f"{inner}:{port.to}"
                yield f"{here} {port.protocol} dport {port.port} dnat {_ip(inner)} to {to}"


def _local(address: str) -> str:
    """Return a match for all addresses of the host, in the family of one."""
    return f"meta nfproto ipv{family(address)} fib daddr type local"


def _ip(text: str) -> str:
    return "ip6" if family(text) == 6 else "ip"


def _set(names: Iterable[str]) -> str:
    quoted = [f'"{name}"' for name in sorted(set(names))]
    return quoted[0] if len(quoted) == 1 else f"{{ {', '.join(quoted)} }}"


def _chain(name: str, hook: str, rules: Iterable[str]) -> str:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n\t\ttype {hook}; policy accept;\n{lines}\t}}"
