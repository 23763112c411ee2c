"""`routing: static`: routes between all subnets of a lab of routers, by the fewest hops.

A namespace on two segments or more is a router, and so is the host if it is asked to forward. From
each segment we walk outwards, router by router (breadth first, in file order, so the choice among
equal ways is stable); whoever is reached learns the segment's subnets through the neighbour it was
reached from, but for those that it is in itself (equal ones on two wires), which the kernel has a
route to. A namespace with a single segment and a single router on it gets a default route in place
of them all.

Where a way leads out of the lab, what leads there (the host, or what plays it) is one more router
next to its members, learns what is behind them, and all the others learn a default route to it.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence

from netloom.compile.addressing import Naming, is_near
from netloom.compile.expand import Port, Segment
from netloom.compile.nat import Egress
from netloom.model.objects import HOST
from netloom.values import Family, family

_DEFAULT: dict[Family, str] = {4: "0.0.0.0/0", 6: "::/0"}


def static_routes(
    naming: Naming, forwarding: Mapping[str, bool | None], egresses: Sequence[Egress] = ()
) -> dict[str, list[str]]:
    """Return for each namespace the routes to add, in iproute2's words.

    `forwarding` is what the file says of each; who shall not forward is no router. `egresses` are
    the ways out of the lab. The host is told of only if one leads by it, or if it forwards.
    """
    return _Walks(naming, forwarding, egresses).routes()


class _Walks:
    """The routes that are found, walk by walk."""

    def __init__(
        self, naming: Naming, forwarding: Mapping[str, bool | None], egresses: Sequence[Egress]
    ) -> None:
        self.naming = naming
        self.egresses = egresses
        self.exits = {egress.netns for egress in egresses}
        left_out = set() if forwarding.get(HOST) else {HOST}
        told = naming.ports.keys() - left_out | self.exits
        self.found: dict[str, list[str]] = {name: [] for name in naming.ports if name in told}
        self.routers = {
            name
            for name, held in naming.ports.items()
            if len(held) > 1 and name not in left_out and forwarding.get(name) is not False
        }
        self.leaves = set(self._leaves())
        self.own = {
            name: {addr.subnet for _, port in held for addr in port.addresses}
            for name, held in naming.ports.items()
        }

    def routes(self) -> dict[str, list[str]]:
        """Make all walks; the ways out come last, so all else is more specific."""
        for segment in self.naming.expanded.segments:
            if prefixes := _prefixes(segment):
                self.walk(segment, prefixes)
        for egress in self.egresses:
            if egress.by_host:
                defaults = [_DEFAULT[each] for each in sorted(egress.families)]
                self.walk(egress.segment, defaults, but={HOST})  # that has its own
        return self.found

    def _leaves(self) -> Iterator[str]:
        """Give the namespaces at the edge their default route; yield who they are."""
        for name, held in self.naming.ports.items():
            if name == HOST or name in self.exits or len(held) != 1:
                continue
            near = list(self._gateways(held[0][0]))
            if len(near) == 1 and _shared(held[0][1], near[0]):
                self.found[name].append(f"default via {near[0].end}")
                yield name

    def _gateways(self, segment: Segment) -> Iterator[Port]:
        """Yield the routers on a segment, and who leads its members out of the lab."""
        out = {one.netns for one in self.egresses if one.segment is segment and one.by_host}
        return (port for port in segment.ports if port.end.netns in self.routers | out)

    def walk(self, target: Segment, prefixes: Collection[str], but: Collection[str] = ()) -> None:
        """Spread the way to one segment over the lab."""
        reached = {*but, *(port.end.netns for port in target.ports)}
        queue = deque(port.end.netns for port in target.ports if port.end.netns in self.routers)
        while queue:
            router = queue.popleft()
            for segment, own in self.naming.ports[router]:
                for port in segment.ports:
                    name = port.end.netns
                    if name in reached or name not in self.found:
                        continue
                    reached.add(name)
                    if name not in self.leaves:
                        far = [prefix for prefix in prefixes if prefix not in self.own[name]]
                        self.found[name] += _through(own, port, far)
                    if name in self.routers:
                        queue.append(name)


def _through(router: Port, port: Port, prefixes: Collection[str]) -> list[str]:
    """Return a neighbour's routes to `prefixes` through a router's port, as far as they share."""
    versions = _shared(port, router)
    return [f"{prefix} via {router.end}" for prefix in prefixes if family(prefix) in versions]


def _shared(port: Port, router: Port) -> set[Family]:
    """Return the families in which a router is a neighbour of a port; none where one is down."""
    addrs = router.addresses if router.up and port.up else ()
    return {addr.family for addr in addrs if is_near(port, addr.ip)}


def _prefixes(segment: Segment) -> list[str]:
    """Return the subnets of a segment, given or those of its addresses."""
    own = (addr.subnet for port in segment.ports for addr in port.addresses)
    return list(dict.fromkeys((*segment.subnets, *own)))
