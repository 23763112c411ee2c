"""What became of a lab: `verify`, `labs`, and the states that `undo` can go back to."""

from msgspec.structs import replace

from netloom.engine.report import Verified, found_notes, hidden_files
from netloom.engine.state import State, known
from netloom.engine.taken import shared_ports
from netloom.engine.untouched import untouched
from netloom.errors import Unavailable
from netloom.host.local import LocalMachine
from netloom.host.machine import Machine
from netloom.host.observe.scope import scope_of
from netloom.model.lab_state import LabState
from netloom.model.objects import HOST, NOTHING
from netloom.plan.diff import diff
from netloom.plan.firewall_exceptions import with_exceptions


@untouched()
def verify(lab: str, machine: Machine | None = None, *, others: bool = False) -> Verified | None:
    """Return what `up` would have to do so that all is as it was applied; None if it is not up.

    `others`: tell what others set, too. Raises `Unavailable` where nothing can be told: the first
    `up` was interrupted, or what is remembered cannot be read.
    """
    machine = machine or LocalMachine()
    machine.check_place()
    there = known(machine.journal(lab))
    there.row("up")  # raises where nothing can be told
    if there.state is State.BEGUN:
        reason = f"the first `up` of `{lab}` was interrupted"
        raise Unavailable(reason, f"netloom up finishes it, netloom down {lab} removes it")
    record = there.record
    if record is None:
        return None
    scope = scope_of(there.fence, record.desired)
    scope = replace(scope, firewall=scope.firewall or bool(record.through))
    snapshot = machine.observe(scope)
    plan = diff(with_exceptions(record.desired, record.through, snapshot), snapshot)
    told: tuple[str, ...] = ()
    if others:
        from netloom.render.set_by_others import others_lines

        told = tuple(others_lines(snapshot))
    hidden = (*hidden_files(record.desired, snapshot), *machine.unaddressed(record.desired))
    return Verified(plan, tuple(found_notes(lab, snapshot)), hidden, told)


def observed(lab: str, machine: Machine) -> LabState:
    """Return what there is of a lab, within its fence."""
    there = known(machine.journal(lab))
    making = there.record.desired if there.record else NOTHING
    return machine.observe(scope_of(there.fence, making))


@untouched()
def moved(lab: str, machine: Machine | None = None) -> str | None:
    """Return what is to say if the way out of a lab is another by now, else None."""
    machine = machine or LocalMachine()
    there = known(machine.journal(lab))
    record = there.record
    if record is None or not record.held.exits:
        return None
    from netloom.compile.exits import uplink_moved

    links = record.desired.netns[HOST].links
    return uplink_moved(record.held.exits, links, machine.uplink_facts(there.fence))


@untouched()
def shared(lab: str, machine: Machine | None = None) -> list[str]:
    """Return who has a port as well that a lab publishes, in a sentence for each."""
    machine = machine or LocalMachine()
    there = known(machine.journal(lab))
    found = shared_ports(there.record, there.fence, machine) if there.record else []
    return [f"port {port.port} of the host is not the lab's alone: {who}" for port, who in found]
