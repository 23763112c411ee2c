"""What a lab has of the host for itself, so that no other lab can have it, too.

All of it is there once in the namespace `host`: a name of an interface, a subnet, a route, a port.
"""

from collections.abc import Iterable
from functools import reduce
from typing import Protocol

from msgspec import Struct

from netloom.model.objects import HOST, Desired, NetnsState


class Published(Protocol):
    """What is known of a port of the host that shall lead to a lab."""

    @property
    def protocol(self) -> str:
        """`tcp` or `udp`."""

    @property
    def address(self) -> str:
        """The host's address, empty for any."""

    @property
    def port(self) -> int:
        """Its number."""


class HostPort(Struct, frozen=True, order=True):
    """A port of the host that leads to a lab; `address` empty: on any of the host's."""

    protocol: str
    address: str
    port: int


RouteKey = tuple[str, int, int, int]
"""What the kernel tells two routes apart by (`Route.key`)."""


class Reservation(Struct, frozen=True, omit_defaults=True):
    """What a lab has of the host; `subnets` are prefixes, each with the interface that it is on."""

    links: frozenset[str] = frozenset()
    subnets: frozenset[tuple[str, str]] = frozenset()
    routes: frozenset[RouteKey] = frozenset()
    ports: frozenset[HostPort] = frozenset()

    def __or__(self, other: "Reservation") -> "Reservation":
        """Return what either has."""
        return Reservation(
            self.links | other.links,
            self.subnets | other.subnets,
            self.routes | other.routes,
            self.ports | other.ports,
        )


def reserved_by(states: Iterable[Desired], ports: Iterable[HostPort] = ()) -> Reservation:
    """Return what a lab needs of the host that is in any of these states; names: altnames, too."""
    parts = (_reserved(state.netns.get(HOST, NetnsState())) for state in states)
    return reduce(Reservation.__or__, parts, Reservation(ports=frozenset(ports)))


def _reserved(host: NetnsState) -> Reservation:
    named = host.links.items()
    return Reservation(
        links=frozenset(name for link_name, link in named for name in (link_name, *link.altnames)),
        subnets=frozenset((addr.subnet, name) for name, link in named for addr in link.addrs),
        routes=frozenset(route.key for route in host.routes),
    )
