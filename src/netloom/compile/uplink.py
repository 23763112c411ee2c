"""Ways out: what a network with an `uplink:` asks of the host.

The host stands on such a network with one interface, which has the first address and is the gateway
of all members. Beyond that it is asked for forwarding on that interface and on those that lead out
(shared with others: a claim), and for one table of nftables (`nat.py`).

IPv6 has one switch for all interfaces, and a host that forwards ignores router advertisements. So
it is thrown only where a default route of IPv6 leads out, and whoever learns from advertisements is
told before to go on listening (`accept_ra` 2).

Everything else that a host may have in the way is not known here, but where the machine is.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from msgspec.structs import replace

from netloom.compile.exits import Exits, listed
from netloom.compile.expand import Expanded, Port, Segment
from netloom.compile.host_router import inner_needs, inner_ports
from netloom.compile.nat import ALL_IPV6, NO_HOST, Egress, OnHost, PortForward, table
from netloom.compile.user_uplink import hindrances, user_program
from netloom.errors import Path, printable
from netloom.language.suggest import did_you_mean
from netloom.language.topology import Topology, Uplink
from netloom.model.facts import Allocations, TakenPort, UplinkFacts
from netloom.model.firewall import DnatTarget, ForwardNeed
from netloom.model.names import TAP, branch_of, out_of
from netloom.model.objects import HOST, Command
from netloom.values import Family, family

_ALL_FORWARD = "net.ipv6.conf.all.forwarding"

Ways = Mapping[Family, Mapping[str, bool]]
"""By family the interfaces that lead out, and of each whether a default route does."""


_UNSAID = frozenset('"*')
"""What ends a name of an interface in a text of nft, or stands there for any."""


class Uplinks:
    """The ways out of a lab; mistakes are noted.

    `followed` are those that the host's routes say, by the interface of the host that packets of
    a network come in by.
    """

    def __init__(
        self,
        topology: Topology,
        expanded: Expanded,
        outside: UplinkFacts,
        held: Allocations,
    ) -> None:
        """Find the ways; `held` says what was closed when the lab came up, and is guarded since."""
        self.topology = topology
        self.expanded = expanded
        self.outside = outside
        self.exits = Exits(outside)
        self.followed: dict[str, tuple[str, ...]] = {}
        self.egresses = [
            egress for segment in expanded.segments if (egress := self._egress(segment))
        ]
        self.of_host = [egress for egress in self.egresses if egress.netns == HOST]
        self.inner = inner_ports(expanded)
        self.kept_closed = dict(self._closed(held.kept_closed))
        names = {name for others in self.kept_closed.values() for name in others}
        if names and not self._can_speak_of(names, self._path):
            self.kept_closed = {}
        links = {egress.link for egress in self.of_host}
        self.input_guarded = tuple(link for link in held.input_guarded if link in links)
        self.forwards = list(self._forwards())

    @property
    def _path(self) -> Path:
        """Where the file has the host forward."""
        if self.of_host:
            return (*self.of_host[0].segment.path, "uplink")
        return ("namespaces", HOST, "forwarding")

    def _closed(self, held: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield where packets could not go before any lab came, so that they still cannot."""
        around = () if self.outside.is_apart else self.outside.links.keys()
        others = tuple(sorted({*around} - self.outside.of_labs - {"lo"}))
        for link in sorted({link for egress in self.of_host for link in egress.out}):
            open_ = link in self.outside.forwards
            yield link, () if open_ else held.get(link) or others
        if self._forwards_ipv6:
            open_ = self.outside.forwards_ipv6
            yield ALL_IPV6, () if open_ else held.get(ALL_IPV6) or others

    def _can_speak_of(self, names: Iterable[str], path: Path) -> bool:
        """Whether rules can speak of interfaces of the host; a mistake is noted where not.

        To leave one out would open what they keep closed.
        """
        for name in sorted(names):
            if not name.isprintable() or not _UNSAID.isdisjoint(name):
                message = f"rules of nft cannot speak of the host's interface `{printable(name)}`"
                self.expanded.error(path, message, "give that another name (ip link set)")
                return False
        return True

    def _egress(self, segment: Segment) -> Egress | None:
        uplink = segment.network.uplink if segment.network else None
        if uplink is None:
            return None
        path: Path = (*segment.path, "uplink")
        netns = out_of(self.topology.name) if uplink.mode == "user" else HOST
        port = next((port for port in segment.ports if port.end.netns == netns), None)
        ways = self._ways(port) if port else {}
        out = uplink.via or self.exits.usable(ways.values())
        if port is None or not (out or any(any(w.values()) for w in self._of_host.values())):
            if port:
                hint = "`uplink: {mode: nat, via: eth0}` says the way"
                self.expanded.error(path, "the host has no default route, so no way out", hint)
            return None
        if not port.addresses and not self.expanded.problems:
            message = f"the host has no address on network `{segment.key}`, so no way out"
            self.expanded.error(path, message, "give it a `subnet`")
        if netns == HOST and not self._can_speak_of(out, path):
            return None
        families = self._families(segment, ways, path)
        for number, link in enumerate(out):
            self._check(link, (*path, "via", number) if uplink.via else path)
        if netns != HOST:
            return self._by_program(Egress(segment, port.end.link, (TAP,), families, netns=netns))
        if not uplink.via:
            self.followed[port.end.link] = out
        return self._by_host(Egress(segment, port.end.link, out, families), uplink)

    def _by_host(self, egress: Egress, uplink: Uplink) -> Egress | None:
        if uplink.mode != "routed":
            return replace(egress, branch=self._branch(egress.segment))
        if self.outside.is_apart:
            path = (*egress.segment.path, "uplink")
            message = "nothing is routed over the machine from here: the host is not the machine's"
            self.expanded.error(path, message, "`uplink: user`, or `nat`, which is the same here")
            return None
        return replace(egress, routed=True, branch=self._branch(egress.segment))

    def _by_program(self, egress: Egress) -> Egress:
        for message, hint in hindrances(self.outside.program, self.outside.no_tun):
            self.expanded.error((*egress.segment.path, "uplink"), message, hint)
        return egress

    @cached_property
    def _of_host(self) -> Ways:
        return self.exits.of_host()

    def _ways(self, port: Port) -> Ways:
        """Return where packets of a network leave, by family; those of a program are the host's."""
        if port.end.netns == HOST:
            return self.exits.of_network(port.end.link, port.addresses)
        wanted = {addr.family for addr in port.addresses}
        return {v: ways for v, ways in self._of_host.items() if v in wanted and any(ways.values())}

    def _families(self, segment: Segment, ways: Ways, path: Path) -> frozenset[Family]:
        """Return the families that lead out; where the file says the way, IPv4 needs no route."""
        via = _via(segment)
        wanted = _wanted(segment)
        families = {v for v, found in ways.items() if not via or not found.keys().isdisjoint(via)}
        if via and 4 in wanted:
            families.add(4)
        if wanted and not families:
            named = " and ".join(f"IPv{version}" for version in sorted(wanted))
            where = f" out of {listed(via)}" if via else ""
            hint = "`uplink: {mode: nat, via: eth0}` says the way" if 4 in wanted else ""
            message = f"the host has no {named} default route{where}, so no way out"
            self.expanded.error(path, message, hint)
        return frozenset(families)

    def _branch(self, segment: Segment) -> str | None:
        """Return the bridge on the host that a network hangs its borrowed ports on, if any."""
        own = segment.network and segment.network.bridge
        return (
            branch_of(self.topology.name, segment.key) if segment.host_ports and not own else None
        )

    def _check(self, link: str, path: Path) -> None:
        if link not in self.outside.links:
            hint = did_you_mean(link, self.outside.links)
            self.expanded.error(path, f"the host has no interface `{link}`", hint)
        elif trouble := self.outside.links[link]:
            hint = f"ip link set {link} up" if "down" in trouble else "is the cable plugged in?"
            self.expanded.error(path, f"`{link}` of the host {trouble}", hint)

    @property
    def notes(self) -> Iterator[str]:
        """Yield what is as the file says, and may surprise."""
        led = {link for ways in self._of_host.values() for link, default in ways.items() if default}
        for egress in self.egresses:
            if led and egress.netns == HOST and not led & set(egress.out):
                name = egress.segment.key
                yield (
                    f"the host's default route leads out of {listed(led)}, and `{name}` may leave "
                    f"by {listed(egress.out)} alone: it reaches what the host reaches there"
                )
            for version in sorted(_wanted(egress.segment) - egress.families):
                yield (
                    f"the host has no IPv{version} default route, so nobody leaves "
                    f"`{egress.segment.key}` by IPv{version}"
                )
        if unanswered := sorted(set(self._unanswered())):
            yield (
                f"the host has no resolver that {listed(unanswered[:3])} could ask; "
                f"`dns: 9.9.9.9` in the network names one"
            )

    def _unanswered(self) -> Iterator[str]:
        """Yield the members that see the host's resolv.conf, where that is of no use to them."""
        for egress in self.egresses if not self.outside.resolvers else ():
            if egress.segment.network and egress.segment.network.dns is None:
                for port in egress.segment.ports:
                    member = self.expanded.members.get(port.end.netns)
                    if member is None or port.end.netns == HOST:
                        continue
                    if member.spec.dns is None and "resolv.conf" not in member.spec.etc:
                        yield port.end.netns

    # ── what it asks of the host ──────────────────────────────────────────────────────────────

    @property
    def _forwards_ipv6(self) -> bool:
        inner = {addr.family for port in self.inner for addr in port.addresses}
        return 6 in inner or any(6 in egress.families for egress in self.of_host)

    def sysctls(self) -> dict[str, str]:
        """Return the settings of the host's interfaces that are ours.

        A member that plays a router must not give the host a default route: hence `accept_ra`.
        """
        values = {}
        gateways = [egress.link for egress in self.of_host]
        for link in (*gateways, *(port.end.link for port in self.inner)):
            ipv4, ipv6 = (f"net.ipv{v}.conf.{link.replace('.', '/')}" for v in (4, 6))
            values[f"{ipv4}.forwarding"] = "1"
            values[f"{ipv6}.accept_ra"] = "0"
            if self.forwards and link in gateways:
                values[f"{ipv4}.route_localnet"] = "1"
        return values

    def claims(self) -> dict[str, str]:
        """Return the settings of the host that others share."""
        values = {}
        for egress in self.of_host:
            for link in egress.out if 4 in egress.families else ():
                values[f"net.ipv4.conf.{link.replace('.', '/')}.forwarding"] = "1"
        if self._forwards_ipv6:
            values[_ALL_FORWARD] = "1"
            for link in () if self.outside.is_apart else self.outside.learners:
                values[f"net.ipv6.conf.{link.replace('.', '/')}.accept_ra"] = "2"
        return values

    def through(self) -> Iterator[ForwardNeed]:
        """Yield what the firewalls of others must let pass: each network, each way out of it."""
        for egress in self.of_host:
            published = tuple(
                DnatTarget(target, forwards.port.protocol, forwards.port.to)
                for forwards in self.forwards
                if forwards.egress is egress
                for target in forwards.targets()
            )
            for link in egress.out:
                subnets = tuple(p for p in egress.segment.subnets if family(p) in egress.families)
                yield ForwardNeed(self.topology.name, egress.link, link, subnets, published)
        yield from inner_needs(self.topology.name, self.inner)

    def rules(self) -> str:
        """Return the chains of the lab's table on the host, empty if it needs none."""
        forwards = [one for one in self.forwards if one.egress.netns == HOST]
        inner = tuple(port.end.link for port in self.inner)
        host = OnHost(self.kept_closed, self.input_guarded, self.outside.bridges, inner)
        return table(self.of_host, forwards, host)

    # ── what plays the host, where nothing is changed there ───────────────────────────────────

    @property
    def by_user(self) -> list[Egress]:
        """The ways out that a program makes."""
        return [egress for egress in self.egresses if egress.netns != HOST]

    def user_rules(self) -> str:
        """Return the chains of the lab's table in the namespace that plays the host."""
        forwards = [one for one in self.forwards if one.egress.netns != HOST]
        return table(self.by_user, forwards, NO_HOST)

    def user_sysctls(self) -> dict[str, str]:
        """Return the settings of interfaces in the namespace that plays the host.

        Before its address is tried, the program's tap asks for no neighbour: an answer by IPv6
        would come a second late, and twice, which has pasta 2023-03 send the same again for ever.
        """
        links = [egress.link for egress in self.by_user] if self.forwards else []
        values = {f"net.ipv4.conf.{n.replace('.', '/')}.route_localnet": "1" for n in links}
        if any(6 in egress.families for egress in self.by_user):
            values["net.ipv6.conf.default.accept_dad"] = "0"
        return values

    def user_command(self) -> Command | None:
        """Return the program that leads out of it, if there is such a way."""
        program = self.outside.program
        if not program or not self.by_user:
            return None
        via = [link for egress in self.by_user if (u := _uplink(egress)) for link in u.via]
        ports = [one.port for one in self.forwards if one.egress.netns != HOST]
        return user_program(program, out_of(self.topology.name), ports, via)

    # ── ports that lead inwards ───────────────────────────────────────────────────────────────

    def _forwards(self) -> Iterator[PortForward]:
        for name, member in self.expanded.members.items():
            for egress in self.egresses if member.spec.publish else ():
                place = next((p for p in egress.segment.ports if p.end.netns == name), None)
                if place is not None:
                    for number, said in enumerate(member.spec.publish):
                        path = (*member.path, "publish", number)
                        yield from (PortForward(one, egress, place, path) for one in said.each())
                    break

    def check_published(self) -> None:
        """Find ports that are taken, published twice, or from where nothing leads in."""
        taken: dict[int, list[TakenPort]] = {}
        for other in self.outside.taken:
            taken.setdefault(other.port, []).append(other)
        for one in self.forwards:
            port = one.port
            for other in taken.get(port.port, ()):
                if other.clashes(port):
                    message = f"port {port.port} of the host is taken: {other.owner}"
                    self.expanded.error(one.path, message, "publish another port")
                    break
            if one.egress.netns != HOST:
                self._check_program(one)
            if port.address == "::1":
                message = "nothing leads from ::1 into another namespace: IPv6 has no such route"
                self.expanded.error(one.path, message, f"`127.0.0.1:{port.port}:{port.to}`")
            elif not list(one.targets()):
                which = f"IPv{family(port.address)} address" if port.address else "address"
                self.expanded.error(one.path, f"`{one.netns}` has no {which} there to lead to")
            owner = f"`{one.netns}` publishes it"
            known = TakenPort(port.protocol, port.address, port.port, owner)
            taken.setdefault(port.port, []).insert(0, known)
        self._check_told_apart()
        reached = {one.netns for one in self.forwards}
        for name, member in self.expanded.members.items():
            if member.spec.publish and name not in reached and self._complete:
                message = f"`{name}` is on no network with an uplink, so no port leads there"
                hint = "give one of its networks `uplink: nat`"
                self.expanded.error((*member.path, "publish"), message, hint)

    def _check_program(self, one: PortForward) -> None:
        """Note where the program that leads out cannot open a port of the host."""
        port = one.port.port
        if (self.outside.program or "").endswith("slirp4netns"):
            message = "slirp4netns leads out, and opens no ports of the host"
            self.expanded.error(one.path, message, "apt-get install passt")
        elif port < self.outside.first_port:
            message = f"port {port} of the host is not for plain users to open"
            hint = f"have root run `sysctl net.ipv4.ip_unprivileged_port_start={port}`"
            self.expanded.error(one.path, message, f"{hint}, or publish another port")

    def _check_told_apart(self) -> None:
        """Find a port that is published at two addresses of the host, by a program: it has one."""
        found: dict[tuple[str, int, Family], str] = {}
        for one in self.forwards:
            if one.port.address and not one.address:
                key = (one.port.protocol, one.port.port, family(one.port.address))
                if found.setdefault(key, one.netns) != one.netns:
                    message = (
                        f"port {one.port.port} leads to `{found[key]}` already, and a program does "
                        f"not tell addresses of the host apart"
                    )
                    self.expanded.error(one.path, message, "publish another port")

    @property
    def _complete(self) -> bool:
        """Whether every network with an uplink has found its way: else that is the mistake."""
        wanted = sum(bool(network.uplink) for network in self.topology.networks.values())
        return len(self.egresses) == wanted


def _wanted(segment: Segment) -> frozenset[Family]:
    """Return the families of a network's subnets."""
    return frozenset(family(subnet) for subnet in segment.subnets)


def _via(segment: Segment) -> tuple[str, ...]:
    uplink = segment.network.uplink if segment.network else None
    return uplink.via if uplink else ()


def _uplink(egress: Egress) -> Uplink | None:
    return egress.segment.network.uplink if egress.segment.network else None
