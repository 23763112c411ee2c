"""What is found out before a topology is lowered: what a lab holds already, what the host has."""

from collections.abc import Mapping

from msgspec import Struct, field

from netloom.model.objects import HOST, Route, Rule
from netloom.model.reservation import Published, RouteKey
from netloom.values import family

ANY = frozenset({"", "::"})
"""Addresses that stand for all of a host's."""


class Allocations(Struct, frozen=True):
    """What a running lab holds: derived subnets by segment, derived addresses by interface.

    `names` are the texts from which interfaces of the host have derived names, by the network or
    namespace that each leads to; `exits` are the ways out that the host's routes said, by the
    interface of the host that packets come in by; `kept_closed` is what an exit must not newly
    forward to, by the exit. `input_guarded` are interfaces of the host that its own firewall would
    let in anything by. `secret` is drawn at the beginning, in hexadecimal digits: what only the lab
    knows.
    """

    subnets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    exits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept_closed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    input_guarded: tuple[str, ...] = ()
    secret: str = ""


class HostSubnet(Struct, frozen=True):
    """A prefix that is connected to an interface of the host; `owner` is the lab that it is of.

    `leads_out`: whether a default route leads out of it.
    """

    prefix: str
    link: str
    owner: str | None = None
    leads_out: bool = False


class Joined(Struct, frozen=True):
    """A segment that is not the lab's: its bridge, its prefixes, its MTU in bytes.

    The bridge is on the host, or in the switch namespace `netns` of another lab. `way_out`: a
    default route of the host leads out of it.
    """

    bridge: str
    subnets: tuple[str, ...] = ()
    mtu: int = 1500
    netns: str = HOST
    way_out: bool = False


class Nic(Struct, frozen=True):
    """An interface of the host, as it is found; `master` is the bridge that it is a port of.

    `way_out`: a default route of the host leads out of it. `addresses` do not count those that the
    kernel gave it (IPv6 link-local), nor `routes` those that come with its addresses.
    """

    mac: str = ""
    kind: str = ""
    up: bool = True
    alias: str = ""
    master: str = ""
    addresses: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    way_out: bool = False


class Occupied(Struct, frozen=True):
    """What others have in the namespace `host`: what is seen there, and what labs have reserved.

    `links` are names of interfaces, each with the lab that has it, None for none that is known;
    `routes` what tells routes apart, with the labs that have these. `routed` are prefixes that the
    host has routes to; `ipv6`: whether an interface that is made there has IPv6.
    """

    subnets: tuple[HostSubnet, ...] = ()
    links: Mapping[str, str | None] = field(default_factory=dict)
    routes: Mapping[RouteKey, str] = field(default_factory=dict)
    routed: tuple[str, ...] = ()
    ipv6: bool = True


class TakenPort(Struct, frozen=True):
    """A port of the host that is taken; `owner` says by whom, empty if that is not known."""

    protocol: str
    address: str
    port: int
    owner: str = ""

    def clashes(self, port: Published) -> bool:
        """Whether a port cannot be published beside it."""
        if (self.protocol, self.port) != (port.protocol, port.port):
            return False
        if self.address in ANY or not port.address:
            return True
        return port.address == self.address or (
            self.address == "0.0.0.0" and family(port.address) == 4  # noqa: S104 - not bound
        )


class UplinkFacts(Struct, frozen=True):
    """What lies around the namespace `host`.

    `links` are its interfaces, each with what keeps packets from it (`is down`), if anything;
    `of_labs` those of other labs, `bridges` those that are bridges, `tunnels` those that have one
    far end, `groups` what group each is in (IFLA_GROUP). `routes` and `rules` are all that the host
    has, those of its birth and of the table `local` included. `forwards` are interfaces that
    forward IPv4 without any lab, `forwards_ipv6` whether all do IPv6, `learners` those that have
    learned from router advertisements. `resolvers` is a resolv.conf with the resolvers behind the
    machine's own, `taken` ports that are in use, `program` the path of one for user-mode
    networking, `no_tun` why that could make no tap, `subnets` those beside the ways out.
    `first_port` is the lowest that a program like us may open, `is_apart`: the namespace `host` is
    none of all that, and nobody may change anything of it.
    """

    links: Mapping[str, str | None] = field(default_factory=dict)
    of_labs: frozenset[str] = frozenset()
    bridges: frozenset[str] = frozenset()
    resolvers: str | None = None
    tunnels: frozenset[str] = frozenset()
    groups: Mapping[str, int] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    forwards: frozenset[str] = frozenset()
    forwards_ipv6: bool = False
    learners: frozenset[str] = frozenset()
    taken: tuple[TakenPort, ...] = ()
    program: str | None = None
    no_tun: str | None = None
    subnets: tuple[HostSubnet, ...] = ()
    first_port: int = 0
    is_apart: bool = False
