"""By which interface a gateway is a neighbour, as the kernel finds it when a route is added.

Mostly it lies in the subnet of an interface. But a route that leads straight out of one may have it
reached as well (`169.254.1.1 dev eth0`, as containers and rented machines have it), and only a
lookup tells. So that is made where the file gives such routes, or the gateway is in no subnet.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from netloom.compile.addressing import Naming
from netloom.compile.route_words import parse_routes
from netloom.datapath.connected import connected
from netloom.datapath.fib import BASE_RULES, Fib, gateway_dev
from netloom.model.objects import HOST, Link, Route


class Gateways:
    """Finds the way to gateways; `links_of` are a namespace's links with their addresses."""

    def __init__(self, naming: Naming, links_of: Callable[[str], Mapping[str, Link]]) -> None:
        """Keep what the routes are looked up in."""
        self._naming = naming
        self._links_of = links_of
        self._direct = {name: list(self._read(name)) for name in naming.expanded.members}
        self._fibs: dict[str, Fib] = {}

    def dev(self, netns: str, via: str, dev: str, table: int) -> str | None:
        """Return the interface by which a gateway is a neighbour, None where the kernel has none.

        `dev` is the one that the route says, `table` where it shall stand.
        """
        if netns == HOST or not self._direct.get(netns):
            towards = self._naming.device_towards(netns, via)
            if netns == HOST or (towards and dev in {"", towards}):
                return towards if dev in {"", towards} else None
        return gateway_dev(self._fib(netns), via, dev, table)

    def _fib(self, netns: str) -> Fib:
        if netns not in self._fibs:
            direct = self._direct.get(netns, ())
            routes = [*connected(self._links_of(netns)), *direct]
            self._fibs[netns] = Fib(routes, BASE_RULES)
        return self._fibs[netns]

    def _read(self, name: str) -> Iterator[Route]:
        """Yield the routes of the file that need no gateway; mistakes are told elsewhere."""
        for text in self._naming.expanded.members[name].spec.routes:
            if not {"via", "nexthop"}.intersection(text.split()):
                with suppress(ValueError):
                    yield from parse_routes(text, name, self._naming)
