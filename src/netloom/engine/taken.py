"""What others have on the host by now that a lab would have again."""

from collections.abc import Collection, Iterator

from msgspec.structs import replace

from netloom.engine.state import LabNotes
from netloom.errors import Unavailable
from netloom.host.machine import Machine
from netloom.host.store.journal import Record
from netloom.model.facts import Occupied
from netloom.model.objects import HOST
from netloom.model.reservation import HostPort, Reservation, reserved_by
from netloom.plan.fence import Fence
from netloom.values import overlap


def refuse_taken(past: Record, now: LabNotes, machine: Machine) -> None:
    """Raise `Unavailable` where others have what an earlier state of a lab has on the host.

    Who listens behind a port that the lab publishes `now` is in nobody's way.
    """
    wanted = reserved_by([past.desired], past.ports)
    borrowed = [name for name, link in past.desired.netns[HOST].links.items() if link.borrowed]
    found = list(_overlaps(wanted, machine.occupied(now.fence), borrowed))
    ports = replace(past, ports=past.ports - now.record.ports) if now.record else past
    shared = shared_ports(ports, now.fence, machine)
    found += [f"port {port.port} of the host is taken: {owner}" for port, owner in shared]
    if found:
        reason = f"the state of `{past.lab}` to go back to is in the way of others: "
        raise Unavailable(reason + "; ".join(found), "netloom up FILE makes it anew")


def _overlaps(wanted: Reservation, occupied: Occupied, borrowed: Collection[str]) -> Iterator[str]:
    """Yield what is in the way; that a card which is `borrowed` is there is as it should be."""
    for prefix, _ in sorted(wanted.subnets):
        for other in occupied.subnets:
            if overlap(prefix, other.prefix):
                yield f"{prefix} overlaps {other.prefix} on {HOST}:{other.link}{_of(other.owner)}"
    for name in sorted(wanted.links & occupied.links.keys()):
        owner = occupied.links[name]
        if owner or name not in borrowed:
            yield f"an interface `{HOST}:{name}` exists{_of(owner)}"
    for key in sorted(wanted.routes & occupied.routes.keys()):
        yield f"a route to {key[0]} exists{_of(occupied.routes[key])}"


def _of(lab: str | None) -> str:
    return f" (the lab `{lab}`)" if lab else ""


def shared_ports(record: Record, fence: Fence, machine: Machine) -> list[tuple[HostPort, str]]:
    """Return the ports that a lab publishes and somebody else has as well, each with who it is."""
    if not record.ports:
        return []
    ports = {(port.protocol, port.port) for port in record.ports}
    taken = machine.uplink_facts(fence, ports).taken
    every = ((port, other) for port in sorted(record.ports) for other in taken)
    return [(port, other.owner) for port, other in every if other.clashes(port)]
