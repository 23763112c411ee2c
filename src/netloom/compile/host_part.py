"""The part of the namespace `host` that a lab has or wants, and what others have of it by now."""

from collections.abc import Iterator

from netloom.language.topology import Topology
from netloom.model.facts import Occupied
from netloom.model.objects import HOST, NetnsState
from netloom.model.reservation import HostPort


def takes_part(topology: Topology) -> bool:
    """Whether what is made of a topology may have a part of the host that no other lab can have."""
    members = topology.namespaces or {}
    return (
        HOST in members
        or any(end.netns == HOST for wire in topology.links for end in wire.ends)
        or any(member.publish for member in members.values())
        or any(
            network.bridge or network.joins or (network.uplink and network.uplink.mode != "user")
            for network in topology.networks.values()
        )
    )


def published(topology: Topology) -> frozenset[HostPort]:
    """Return the ports of the host that a topology publishes."""
    members = (topology.namespaces or {}).values()
    return frozenset(
        HostPort(port.protocol, port.address, port.port)
        for spec in members
        for said in spec.publish
        for port in said.each()
    )


def others_links(host: NetnsState, occupied: Occupied) -> Iterator[tuple[str, str, str]]:
    """Yield interfaces that another lab has, each with what is to say, and what would help."""
    for name, link in host.links.items():
        owner = occupied.links.get(name)
        if owner and link.borrowed:
            yield name, f"`{name}` is the lab `{owner}`'s", f"netloom down {owner}"
        elif owner:
            message = f"an interface `{HOST}:{name}` exists, and is the lab `{owner}`'s"
            yield name, message, "choose another name"
