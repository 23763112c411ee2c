"""What there is: `verify`, `labs`, and the states that `undo` can go back to."""

from msgspec.structs import replace

from netloom.engine.draft import with_passages
from netloom.engine.report import Past, Running
from netloom.errors import Unavailable
from netloom.host import journal as memory
from netloom.host.journal import Journal
from netloom.host.machine import Machine
from netloom.host.scope import scope_of
from netloom.host.this import ThisMachine
from netloom.model.objects import Netns
from netloom.plan.diff import diff
from netloom.plan.steps import Plan
from netloom.topology.parse import parse
from netloom.topology.uplink import moved as way_moved


def verify(lab: str, machine: Machine | None = None) -> Plan | None:
    """Return what `up` would have to do so that all is as it was applied; None if it is not up.

    Raises `Unavailable` if the first `up` was interrupted.
    """
    machine = machine or ThisMachine()
    journal = Journal(lab)
    record = journal.record()
    if record is None and journal.pending() is not None:
        reason = f"the first `up` of `{lab}` was interrupted"
        raise Unavailable(reason, f"netloom up finishes it, netloom down {lab} removes it")
    if record is None:
        return None
    scope = scope_of(lab, [record.desired], making=record.desired)
    scope = replace(scope, walls=scope.walls or bool(record.through))
    snapshot = machine.observe(scope)
    return diff(with_passages(record.desired, record.through, snapshot), snapshot)


def uncovered(lab: str) -> list[str]:
    """Return why commands that run shall be started anew: files in /etc that were replaced."""
    from netloom.host.commands import processes

    return [
        f"`{name}` in `{netns}` sees the host's {', '.join(paths)}, which was replaced: what lay "
        "over it is gone"
        for (netns, name), run in processes.running(lab).items()
        if (paths := processes.uncovered(netns, run))
    ]


def moved(lab: str, machine: Machine | None = None) -> str:
    """Return what is to say if the way out of a lab is another by now, else nothing."""
    record = Journal(lab).record()
    if record is None or not record.held.closed:
        return ""
    topology = parse(record.text, file=record.source, name=lab).topology
    return way_moved(topology, record.held.closed, (machine or ThisMachine()).outside(lab))


def pasts(lab: str) -> list[Past]:
    """Return the states that `undo` can go back to, newest first."""
    return [
        Past(number, past.command or "nothing", max(0, len(past.desired.netns) - 1))
        for number, past in Journal(lab).pasts()
    ]


def labs(machine: Machine | None = None) -> list[Running]:
    """Return all labs that something is remembered of."""
    boot = (machine or ThisMachine()).boot
    found = []
    for name in memory.labs():
        journal = Journal(name)
        record, pending = journal.record(), journal.pending()
        known = record or pending
        if known is None:
            continue
        state = "interrupted" if pending else "up"
        if known.boot != boot:
            state = "gone"
        source = record.source if record else ""
        inside = sum(_is_member(netns) for netns in known.desired.netns.values())
        found.append(Running(lab=name, state=state, source=source, namespaces=inside))
    return found


def _is_member(netns: Netns) -> bool:
    """Whether the user named a namespace: then it has files in /etc, the lab's own has none."""
    return bool(netns.etc)
