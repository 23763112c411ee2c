"""`undo`: lead a lab back to before netloom's last change to it."""

import time

from msgspec.structs import replace

from netloom.compile.host_ports import hindrances
from netloom.engine.dependents import gone_along, refuse_foreign, refuse_to_cut_off
from netloom.engine.report import Report, found_notes, hidden_files
from netloom.engine.state import Goal, LabNotes, known
from netloom.engine.taken import refuse_taken
from netloom.engine.transaction import Transition, carry_out
from netloom.engine.until_ready import TIMEOUT, until_ready
from netloom.engine.untouched import untouched
from netloom.errors import Unavailable
from netloom.host.cancel import Cancel, cancellable
from netloom.host.local import LocalMachine
from netloom.host.machine import Machine
from netloom.host.observe.scope import scope_of
from netloom.host.store.journal import Journal, Record
from netloom.host.store.reservations import Waiting
from netloom.model.lab_state import LabState
from netloom.model.objects import HOST, Borrowed, Desired, NetnsState
from netloom.model.reservation import Reservation, reserved_by
from netloom.plan.diff import diff
from netloom.plan.firewall_exceptions import with_exceptions


@untouched()
def undo(
    lab: str,
    machine: Machine | None = None,
    *,
    timeout: float = TIMEOUT,
    waiting: Waiting | None = None,
) -> Report | None:
    """Lead a lab back to before netloom's last change to it; None if there is none.

    `waiting` is told if another lab is waited for that looks for what is free on the host. Raises
    `Unavailable` before anything is touched, `Refused` or `Interrupted` after all that had
    been done was undone; and as `up` does what its commands meet.
    """
    machine = machine or LocalMachine()
    machine.check_place()
    with cancellable() as stop:
        report = _led_back(lab, machine, stop, waiting)
        return report and until_ready(report, machine, timeout, stop)


def _led_back(lab: str, machine: Machine, stop: Cancel, waiting: Waiting | None) -> Report | None:
    """Lead a lab back, and wait for no command."""
    begun = time.monotonic()
    with machine.journal(lab) as journal:
        there = known(journal)
        row = there.row("undo")
        number, goal = _goal(row.goal, there, journal) if row else (0, None)
        if row is None or goal is None:
            return None
        if reserved_by([goal.desired], goal.ports) != Reservation():
            journal.lock_host(lambda: stop.cancelled, waiting)
            refuse_taken(goal, there, machine)
        scope = scope_of(there.fence, goal.desired)
        scope = replace(scope, firewall=scope.firewall or bool(goal.through))
        snapshot = machine.observe(scope)
        wanted = _borrowed_anew(goal.desired, snapshot, machine)
        desired = with_exceptions(wanted, goal.through, snapshot)
        goal = replace(goal, desired=desired, boot=machine.boot)
        steps = diff(desired, snapshot)
        refuse_to_cut_off(lab, steps, snapshot, machine)
        refuse_foreign(lab, steps, snapshot)
        change = Transition(there, row, snapshot, steps, goal=goal, undone=number)
        notes = carry_out(change, journal, machine, stop)
        notes = (*notes, *gone_along(lab, steps, snapshot), *hidden_files(desired, snapshot))
        notes = (*notes, *found_notes(lab, snapshot))
        return Report(lab, steps, desired, time.monotonic() - begun, notes)


def _goal(goal: Goal, there: LabNotes, journal: Journal) -> tuple[int, Record | None]:
    """Return the state to lead back to, and its number in the list of earlier ones."""
    match goal:
        case Goal.PAST:
            return next(journal.pasts(), (0, None))
        case Goal.RECORD:
            return 0, there.record
        case _:
            return 0, Record(lab=there.lab, boot="", command="")


def _borrowed_anew(desired: Desired, snapshot: LabState, machine: Machine) -> Desired:
    """Return a state with interfaces that would be borrowed again as they are found now.

    Raises `Unavailable` for one that cannot be: meanwhile somebody may have come to need it.
    """
    host = desired.netns.get(HOST, NetnsState())
    there = snapshot.netns[HOST].links if HOST in snapshot.netns else {}
    borrowed = [name for name, link in host.links.items() if link.borrowed]
    found = dict(host.links)
    wanted = [name for name in borrowed if name not in there]
    nics = machine.nics() if wanted else {}
    for name in wanted:
        nic = nics.get(name)
        if nic is None:
            raise Unavailable(f"the host has no interface `{name}` any more")
        for message, hint in hindrances(name, nic):
            raise Unavailable(message, hint)
        found[name] = replace(found[name], kind=Borrowed(up=nic.up, alias=nic.alias))
    return replace(desired, netns={**desired.netns, HOST: replace(host, links=found)})
