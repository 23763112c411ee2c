"""Changing a running lab: `up` and `undo`, with the journal around every plan.

After a refusal or Ctrl-C the machine is led back to where the change began: by the same algorithm,
from whatever is there then.
"""

import time
from collections.abc import Callable

from msgspec.structs import replace

from netloom.engine.dependents import refuse_to_cut_off
from netloom.engine.down import refuse_foreign
from netloom.engine.draft import Draft, draft, states, with_passages
from netloom.engine.files import absolute
from netloom.engine.report import Report
from netloom.errors import Interrupted, KernelError, Refused, Unavailable
from netloom.host import journal as memory
from netloom.host.brake import Brake, brake
from netloom.host.journal import Journal, Pending, Record
from netloom.host.machine import Machine, Orders
from netloom.host.scope import scope_of
from netloom.host.this import ThisMachine
from netloom.host.walls import flows
from netloom.model.objects import HOST, NOTHING, Borrowed, Desired, Link, Netns
from netloom.model.snapshot import Snapshot
from netloom.plan.diff import diff
from netloom.topology.lend import hindrances
from netloom.topology.parse import Source

TIMEOUT = 30.0
"""Seconds that commands may take to become ready."""

Progress = Callable[[int, int], None]
"""Is told how many steps of how many are done."""


def up(
    source: Source,
    machine: Machine | None = None,
    *,
    progress: Progress | None = None,
    command: str = "up",
    timeout: float = TIMEOUT,
) -> Report:
    """Make a lab as its topology says, and wait until it is ready; twice does nothing.

    Raises `TopologyError` or `Unavailable` before anything is touched, `Refused` or `Interrupted`
    after all that had been done was undone; and `NotReady` after `timeout` seconds, or
    `Interrupted` before that: then the lab stays as it is.
    """
    machine = machine or ThisMachine()
    machine.check_lasting()
    with brake() as stop:
        report = make(source, machine, stop, progress=progress, command=command)
    lab, desired = report.lab, report.desired
    begun = time.monotonic()
    try:
        machine.wait_ready(lab, desired, timeout)
    except KeyboardInterrupt:
        left = f"`{lab}` stays up, with commands that are not ready yet"
        where = next((name for name, one in desired.netns.items() if one.commands), "NS")
        raise Interrupted(f"interrupted; {left} (netloom logs {where})") from None
    return replace(report, seconds=report.seconds + time.monotonic() - begun)


def make(
    source: Source,
    machine: Machine,
    stop: Brake,
    *,
    progress: Progress | None = None,
    command: str = "up",
) -> Report:
    """Make a lab as its topology says, and wait for nothing; raises what `up` does before that."""
    begun = time.monotonic()
    lab = source.topology.name
    with machine.journal(lab) as journal:
        found = draft(source, journal, machine)
        record = Record(
            lab=lab,
            boot=machine.boot,
            desired=found.lowered.desired,
            held=found.lowered.held,
            source=absolute(source.file),
            text=source.text if journal.lasts else "",
            command=command,
            through=found.lowered.through,
        )
        if found.plan or found.pending:
            _change(found, record, journal, machine, stop=stop, progress=progress)
        elif found.record != record and (refused := _remember(journal, record)):
            raise refused[0]
        desired = found.lowered.desired
    seconds = time.monotonic() - begun
    return Report(lab=lab, plan=found.plan, desired=desired, seconds=seconds, notes=found.notes)


def _change(  # noqa: PLR0913 - what a plan is carried out with
    found: Draft,
    record: Record,
    journal: Journal,
    machine: Machine,
    *,
    stop: Brake,
    progress: Progress | None,
) -> None:
    """Carry out a plan with the journal around it; undo it if it is refused or interrupted."""
    refuse_to_cut_off(record.lab, found.plan, found.snapshot)
    past = found.pending.before if found.pending else found.record
    if found.pending:
        before = past.desired if past else NOTHING
    else:
        before = _as_seen(found.snapshot, past)
    pending = memory.change(found.plan, past, record, found.pending)
    journal.begin(pending, record.desired.folders)
    orders = _orders(found.snapshot, record.lab, stop, progress, len(found.plan))
    orders = replace(orders, inside=flows.left(states(past, found.pending), record.desired))
    refused = machine.apply(found.plan, orders)
    if not refused and not stop.pulled:
        if past and not found.pending:
            past = replace(past, desired=before)
        refused = _remember(journal, record, past, keep=bool(found.plan))
        if not refused:
            return
    left = _go_back(before, pending, machine)
    if not left:
        journal.abort(past)
    _raise(refused, left, pending)


def undo(lab: str, machine: Machine | None = None) -> Report | None:
    """Lead a lab back to before netloom's last change to it; None if there is none."""
    machine = machine or ThisMachine()
    begun = time.monotonic()
    with brake() as stop, Journal(lab) as journal:
        record, unfinished = journal.record(), journal.pending()
        number, past = next(journal.pasts(), (0, None))
        if unfinished:
            number, past = 0, record or Record(lab=lab, boot="", command="")
        if past is None:
            return None
        wholes = [*states(record, unfinished), past.desired]
        names = unfinished.names if unfinished else frozenset[str]()
        scope = scope_of(lab, wholes, making=past.desired, unpublished=names)
        scope = replace(scope, walls=scope.walls or bool(past.through))
        snapshot = machine.observe(scope)
        wanted = _borrowed_anew(past.desired, snapshot, machine)
        past = replace(past, desired=with_passages(wanted, past.through, snapshot))
        steps = diff(past.desired, snapshot)
        if memory.empty(past.desired):
            refuse_foreign(lab, snapshot)
        refuse_to_cut_off(lab, steps, snapshot)
        found = memory.change(steps, record, replace(past, boot=machine.boot), unfinished)
        journal.begin(found, past.desired.folders)
        orders = replace(_orders(snapshot, lab, stop), inside=flows.left(wholes, past.desired))
        refused = machine.apply(steps, orders)
        too_late = not refused and not stop.pulled
        if too_late and not memory.empty(past.desired):
            refused = _remember(journal, past)
        if refused or not too_late:
            left = _go_back(record.desired if record else NOTHING, found, machine)
            if not left:
                journal.abort(record)
            _raise(refused, left, found)
        if memory.empty(past.desired):
            journal.forget()
        elif number:
            journal.pop(number)
        seconds = time.monotonic() - begun
        return Report(lab=lab, plan=steps, desired=past.desired, seconds=seconds)


def _borrowed_anew(desired: Desired, snapshot: Snapshot, machine: Machine) -> Desired:
    """Return a state with interfaces that would be borrowed again as they are found now.

    Raises `Unavailable` for one that cannot be: meanwhile somebody may have come to need it.
    """
    host = desired.netns.get(HOST, Netns())
    there = snapshot.netns[HOST].links if HOST in snapshot.netns else {}
    lent = [name for name, link in host.links.items() if link.borrowed]
    found = dict(host.links)
    wanted = [name for name in lent if name not in there]
    nics = machine.nics() if wanted else {}
    for name in wanted:
        nic = nics.get(name)
        if nic is None:
            raise Unavailable(f"the host has no interface `{name}` any more")
        for message, hint in hindrances(name, nic):
            raise Unavailable(message, hint)
        found[name] = replace(found[name], kind=Borrowed(up=nic.up, alias=nic.alias))
    return replace(desired, netns={**desired.netns, HOST: replace(host, links=found)})


def _as_seen(snapshot: Snapshot, past: Record | None) -> Desired:
    """Return what there was, to go back to; it need not be what was applied.

    A wire whose far end is lost cannot be made again, and is left out; so is what was borrowed and
    has been taken from its bridge.
    """
    seen = snapshot.asked_by(past.desired) if past else snapshot.asked
    return replace(
        seen,
        netns={
            name: replace(
                netns,
                links={n: link for n, link in netns.links.items() if _is_whole(link, snapshot)},
            )
            for name, netns in seen.netns.items()
        },
    )


def _is_whole(link: Link, snapshot: Snapshot) -> bool:
    if link.borrowed:
        return bool(link.master)
    peer = link.peer
    if peer is None:
        return True
    return peer.netns in snapshot.netns and peer.link in snapshot.netns[peer.netns].links


def _remember(
    journal: Journal, record: Record, past: Record | None = None, *, keep: bool = False
) -> list[Refused]:
    """Put on disk what is there now, and what was before; return what was refused."""
    number = 0
    try:
        if keep:
            number = journal.push(past)
        journal.commit(record)
    except OSError as error:
        if number:
            journal.pop(number)
        cause = KernelError(error.errno or 0, f"write {journal.dir}")
        return [Refused("remember what was done", cause, remedy=f"make room for {journal.dir}")]
    return []


def _orders(
    snapshot: Snapshot, lab: str, stop: Brake, progress: Progress | None = None, total: int = 0
) -> Orders:
    """Return orders to stop at the first refusal, or when somebody asks to."""
    orders = Orders(lab=lab, snapshot=snapshot, stopped=lambda: stop.pulled)
    if progress is None:
        return orders
    told = progress
    return replace(orders, progress=lambda done: told(done, total))


def _go_back(before: Desired, pending: Pending, machine: Machine) -> list[Refused]:
    """Lead the machine back to where a change began; return what is refused."""
    wholes = [*pending.earlier, pending.desired, before]
    scope = scope_of(pending.lab, wholes, making=before, unpublished=pending.names)
    snapshot = machine.observe(scope)
    inside = flows.left(wholes, before)
    orders = Orders(lab=pending.lab, snapshot=snapshot, go_on=True, inside=inside)
    return machine.apply(diff(before, snapshot), orders)


def _raise(refused: list[Refused], left: list[Refused], pending: Pending) -> None:
    remains = tuple(error.step for error in left)
    if not refused:
        what = "interrupted; all that was done has been undone"
        if remains:
            what = f"interrupted; left behind: {', '.join(remains)} (netloom down {pending.lab})"
        raise Interrupted(what)
    first = refused[0]
    remedy = first.remedy or (f"netloom down {pending.lab}" if remains else "")
    raise Refused(
        first.step, first.cause, asked=first.asked, remedy=remedy, undone=not remains, left=remains
    ) from first.cause
