"""`host: {forwarding: true}`: the host as a router between the lab's own wires and networks.

It forwards by its interfaces in the lab and from one of them to another: what leaves the lab is an
`uplink`'s, and nothing comes in from elsewhere. IPv4 forwards by interface, so no setting of the
host's own is touched; for IPv6 the one switch is thrown, and the lab's table keeps closed what that
would open (`nat.py`).
"""

from collections.abc import Iterator, Sequence
from itertools import permutations

from netloom.compile.expand import Expanded, Port
from netloom.model.firewall import ForwardNeed
from netloom.model.objects import HOST


def inner_ports(expanded: Expanded) -> tuple[Port, ...]:
    """Return the host's ports in the lab between which it forwards, none if it is no router."""
    member = expanded.members.get(HOST)
    if member is None or not member.spec.forwarding:
        return ()
    ports = (port for segment in expanded.segments for port in segment.ports)
    return tuple(port for port in ports if port.end.netns == HOST and port.addresses)


def inner_needs(lab: str, ports: Sequence[Port]) -> Iterator[ForwardNeed]:
    """Yield what the firewalls of others must let pass: from each port to each other."""
    for one, other in permutations(ports, 2):
        subnets = tuple(sorted({addr.subnet for addr in one.addresses}))
        yield ForwardNeed(lab, one.end.link, other.end.link, subnets, services=())
