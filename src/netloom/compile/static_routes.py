"""`routing: static`: routes between all subnets of a lab of routers, by the fewest hops.

A namespace on two segments or more is a router. From each segment we walk outwards, router by
router (breadth first, in file order, so the choice among equal ways is stable); whoever is reached
learns the segment's subnets through the neighbour it was reached from. A namespace with a single
segment and a single router on it gets a default route in place of them all; but not the one that
leads out of the lab, whose default route leads there.
"""

from collections import deque
from collections.abc import Collection, Mapping

from netloom.compile.addressing import Naming, is_near
from netloom.compile.expand import Port, Segment
from netloom.model.objects import HOST
from netloom.values import Family, family


def static_routes(
    naming: Naming, forwarding: Mapping[str, bool | None], exits: Collection[str] = ()
) -> dict[str, list[str]]:
    """Return for each namespace the routes to add, in iproute2's words.

    `forwarding` is what the file says of each; who shall not forward is no router. `exits` are the
    namespaces that lead out of the lab. The host is told of only if it is one of them.
    """
    ports = {name: held for name, held in naming.ports.items() if name != HOST}
    routers = {
        name for name, held in ports.items() if len(held) > 1 and forwarding.get(name) is not False
    }
    routes: dict[str, list[str]] = {name: [] for name in (*ports, *exits)}
    leaves = _default_routes(naming, routers, routes, exits)
    for segment in naming.expanded.segments:
        if segment.subnets or any(port.addresses for port in segment.ports):
            _walk(segment, naming, routers, leaves, routes)
    return routes


def _default_routes(
    naming: Naming, routers: set[str], routes: dict[str, list[str]], exits: Collection[str]
) -> set[str]:
    """Give the namespaces at the edge their default route; return who they are."""
    leaves = set()
    for name, held in naming.ports.items():
        if name == HOST or name in exits or len(held) != 1:
            continue
        segment = held[0][0]
        near = [port for port in segment.ports if port.end.netns in routers]
        if len(near) == 1 and _shared(held[0][1], near[0]):
            routes[name].append(f"default via {near[0].end}")
            leaves.add(name)
    return leaves


def _walk(
    target: Segment,
    naming: Naming,
    routers: set[str],
    leaves: set[str],
    routes: dict[str, list[str]],
) -> None:
    """Spread the way to one segment over the lab."""
    prefixes = _prefixes(target)
    reached = {port.end.netns for port in target.ports}
    queue = deque(port.end.netns for port in target.ports if port.end.netns in routers)
    while queue:
        router = queue.popleft()
        for segment, own in naming.ports[router]:
            for port in segment.ports:
                name = port.end.netns
                if name in reached or name not in routes:
                    continue
                reached.add(name)
                if name not in leaves:
                    routes[name] += _through(own, port, prefixes)
                if name in routers:
                    queue.append(name)


def _through(router: Port, port: Port, prefixes: list[str]) -> list[str]:
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
