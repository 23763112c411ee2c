"""`down`: leave nothing of a lab, and take nothing else along."""

import time
from collections.abc import Iterable
from contextlib import suppress

from msgspec.structs import replace

from netloom.engine.dependents import refuse_to_cut_off
from netloom.engine.draft import states
from netloom.engine.report import Report
from netloom.errors import Refused, Unavailable
from netloom.host import journal as memory
from netloom.host.brake import brake
from netloom.host.journal import Journal, Pending, Record
from netloom.host.machine import Holders, Machine, Orders
from netloom.host.scope import scope_of
from netloom.host.this import ThisMachine
from netloom.host.walls import flows
from netloom.model.objects import HOST, NOTHING, Desired, End, Netns, is_kept
from netloom.model.snapshot import Snapshot
from netloom.plan.diff import teardown
from netloom.plan.steps import LinkDel, NetnsDel, Plan, RunStop


def down(lab: str, machine: Machine | None = None, *, force: bool = False) -> Report | None:
    """Take a lab down and leave nothing of it; None if it is not up.

    Raises `Unavailable` if things of others would go with it (unless `force`), `Refused` with
    all that could not be removed.
    """
    machine = machine or ThisMachine()
    begun = time.monotonic()
    with brake(), Journal(lab) as journal:
        record, pending = journal.record(), journal.pending()
        if record is None and pending is None:
            wholes = [Desired(netns={name: Netns() for name in machine.marked(lab)})]
        else:
            wholes = states(record, pending)
        unpublished = _unpublished(record, pending, machine)
        scope = scope_of(lab, wholes, unpublished=unpublished)
        # ufw keeps exceptions over a reboot, when nothing else is remembered of the lab.
        scope = replace(scope, walls=scope.walls or (record is None and pending is None))
        snapshot = machine.observe(scope)
        if record is None and pending is None and not (scope.names or _has_passages(snapshot)):
            journal.forget()
            return None
        plan_ = teardown(snapshot)
        if not force:
            refuse_to_cut_off(lab, plan_, snapshot, f"netloom down --force {lab}")
            refuse_foreign(lab, snapshot)
        orders = Orders(lab=lab, snapshot=snapshot, go_on=True, inside=flows.left(wholes, NOTHING))
        ending = Record(lab=lab, boot=machine.boot)
        with suppress(Unavailable):  # without room on disk, too, what is there must go
            journal.begin(memory.change(plan_, None, ending, pending), {})
        stops = tuple(step for step in plan_ if isinstance(step, RunStop))
        early = replace(orders, inside=frozenset())  # flows are forgotten once, at the end
        refused = machine.apply(stops, early) if stops else []
        held = machine.holders(_members(snapshot))
        rest = tuple(step for step in plan_ if not isinstance(step, RunStop))
        refused += machine.apply(_cut_wires(held, snapshot, rest), orders)
        if refused:
            left = tuple(error.step for error in refused)
            raise Refused(
                refused[0].step, refused[0].cause, asked=refused[0].asked, undone=False, left=left
            )
        journal.forget()
        seconds = time.monotonic() - begun
        return Report(
            lab=lab,
            plan=plan_,
            desired=snapshot.asked,
            seconds=seconds,
            notes=tuple(_held_notes(held)),
        )


def _members(snapshot: Snapshot) -> list[str]:
    """Return the namespaces that are the lab's."""
    return [name for name, one in snapshot.netns.items() if not is_kept(name, one)]


def _has_passages(snapshot: Snapshot) -> bool:
    return bool(snapshot.netns[HOST].passages)


def _unpublished(
    record: Record | None, pending: Pending | None, machine: Machine
) -> frozenset[str]:
    """Return the names that a killed `up` may have left as files; after a reboot, all."""
    names = pending.names if pending else frozenset[str]()
    for state in (record, pending):
        if state is not None and state.boot != machine.boot:
            netns = state.desired.netns
            names |= {name for name, one in netns.items() if not is_kept(name, one)}
    return names


def refuse_foreign(lab: str, snapshot: Snapshot) -> None:
    """Raise `Unavailable` if the lab would take along what others put into a namespace of it."""
    found = [
        f"{name}:{link}"
        for name in _members(snapshot)
        for link in snapshot.foreign.links.get(name, ())
    ]
    if found:
        reason = f"not netloom's, and would be lost with the lab `{lab}`: {', '.join(found)}"
        raise Unavailable(reason, f"move it out, or netloom down --force {lab}")


def _cut_wires(held: Holders, snapshot: Snapshot, steps: Plan) -> Plan:
    """Delete the wires of a namespace that a process keeps alive: they would live on with it."""
    cut: list[LinkDel] = []
    gone: set[End] = {step.end for step in steps if isinstance(step, LinkDel)}
    for name in held:
        for link, facts in snapshot.netns[name].links.items():
            end = End(name, link)
            if facts.peer and not {end, facts.peer} & gone:
                cut.append(LinkDel(end))
                gone |= {end, facts.peer}
    if not cut:
        return steps
    at = next((i for i, step in enumerate(steps) if isinstance(step, NetnsDel)), len(steps))
    return (*steps[:at], *cut, *steps[at:])


def _held_notes(held: Holders) -> Iterable[str]:
    for name, processes in held.items():
        for pid, command in processes:
            yield f"`{command}` (pid {pid}) still runs in what was `{name}`, nameless from now on"
