"""`down`: leave nothing of a lab, and take nothing else along."""

import time
from collections.abc import Iterator

from msgspec.structs import replace

from netloom.engine.collisions import lost_routes
from netloom.engine.dependents import gone_along, refuse_foreign, refuse_to_cut_off
from netloom.engine.report import Report, found_notes, staying_files
from netloom.engine.state import LabNotes, State, known
from netloom.engine.transaction import Transition, carry_out
from netloom.engine.untouched import untouched
from netloom.host.cancel import cancellable
from netloom.host.local import LocalMachine
from netloom.host.machine import Machine
from netloom.host.observe.scope import Scope, scope_of
from netloom.host.store.journal import Record
from netloom.model.lab_state import LabState
from netloom.model.marks import ruleset_of
from netloom.model.objects import HOST, Desired, NetnsState
from netloom.plan.diff import teardown
from netloom.plan.others import without_others


@untouched()
def down(lab: str, machine: Machine | None = None, *, force: bool = False) -> Report | None:
    """Take a lab down and leave nothing of it; None if it is not up.

    Raises `Unavailable` if things of others would go with it (unless `force`), `Refused` with
    all that could not be removed.
    """
    machine = machine or LocalMachine()
    machine.check_place()
    begun = time.monotonic()
    with cancellable() as stop, machine.journal(lab) as journal:
        there = known(journal)
        row = there.row("down")
        assert row is not None
        scope = _scope(there, machine)
        snapshot = machine.observe(scope)
        if there.state is State.ABSENT and not (scope.names or _is_on_host(snapshot)):
            journal.forget()
            return None
        plan = teardown(snapshot)
        if not force:
            refuse_to_cut_off(lab, plan, snapshot, machine, f"netloom down --force {lab}")
            refuse_foreign(lab, plan, snapshot)
        change = Transition(there, row, snapshot, plan, goal=Record(lab=lab, boot=machine.boot))
        routes = tuple(_lost_routes(there, snapshot, machine))
        files = tuple(staying_files(snapshot))
        left = bool(routes or files or snapshot.foreign.lost)
        along = gone_along(lab, plan, snapshot)
        notes = (*along, *found_notes(lab, snapshot), *routes, *files)
        notes = (*carry_out(change, journal, machine, stop), *notes)
        return Report(
            lab, plan, without_others(snapshot).asked, time.monotonic() - begun, notes, left
        )


def _is_on_host(snapshot: LabState) -> bool:
    host = snapshot.netns[HOST]
    return bool(host.exceptions or host.rulesets or host.links)


def _scope(there: LabNotes, machine: Machine) -> Scope:
    """Return where to look; where a note is lost, or cannot be read, the marks tell."""
    if there.state not in {State.ABSENT, State.UNREADABLE}:
        return scope_of(there.fence)
    marked = Desired(netns={name: NetnsState() for name in machine.marked(there.lab)})
    fence = replace(there.fence, states=(*there.states, marked), by_mark=True)
    scope = scope_of(fence)
    rulesets = {**scope.rulesets, HOST: frozenset({ruleset_of(there.lab)})}
    # ufw keeps exceptions over a reboot, when nothing else is remembered of the lab.
    return replace(scope, firewall=True, rulesets=rulesets)


def _lost_routes(there: LabNotes, snapshot: LabState, machine: Machine) -> Iterator[str]:
    if snapshot.foreign.routes:
        yield from lost_routes(snapshot, machine.occupied(there.fence).routes)
