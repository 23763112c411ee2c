"""The command that `up` tells to try: a ping from one namespace to another that it has a way to."""

from itertools import islice

from netloom.cli.contents import unwritten
from netloom.errors import quoted
from netloom.model.objects import HOST, Desired, NetnsState
from netloom.values import contains, network_of

_LOOKED_AT = 30
"""The first namespaces will do; of thousands each with each would be too many."""


def to_try(lab: str, desired: Desired) -> str | None:
    """Return a command to try; None for a lab without namespaces."""
    own = unwritten(lab, desired)
    inside = list(islice((name for name in desired.netns if name not in own), _LOOKED_AT))
    if not inside:
        return None
    ips = {name: _ips(desired.netns[name]) for name in (*inside, HOST)}
    pairs = [(one, other) for one in inside for other in ips if other != one and ips[other]]
    if not pairs:
        return f"netloom shell {quoted(inside[0])}"
    ways = (pair for pair in pairs if _has_way(desired.netns[pair[0]], ips[pair[1]]))
    one, other = next(ways, pairs[0])
    return f"netloom exec {quoted(one)} ping -c1 {ips[HOST][0] if other == HOST else other}"


def _ips(netns: NetnsState) -> list[str]:
    return [addr.ip for link in netns.links.values() for addr in link.addrs]


def _has_way(netns: NetnsState, ips: list[str]) -> bool:
    """Whether a namespace has a route to one of these addresses, straight or given."""
    near = [network_of(a.ip, a.prefixlen) for link in netns.links.values() for a in link.addrs]
    routed = [route.dst for route in netns.routes if route.type == "unicast"]
    return any(contains(prefix, ip) for prefix in (*near, *routed) for ip in ips)
