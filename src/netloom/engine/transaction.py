"""One change of a lab: look → plan → refuse → journal → apply → cut → commit, or lead back.

`state.py` has the table of what follows when a verb comes to a lab. A verb looks, plans and
refuses; from the journal on all of them are the same code, which stands here.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from netloom.engine.state import Back, Cell, LabNotes
from netloom.errors import (
    FAILURES,
    Interrupted,
    KernelError,
    NetloomError,
    Refused,
    Unavailable,
    failure,
)
from netloom.host.apply.options import ApplyOptions
from netloom.host.cancel import Cancel
from netloom.host.firewall import connections
from netloom.host.machine import Machine
from netloom.host.observe.scope import scope_of
from netloom.host.store.journal import Journal, Pending, Record, pending_change
from netloom.model.identity import Identities
from netloom.model.lab_state import LabState
from netloom.model.objects import NOTHING, Desired, End, Link, NetnsState
from netloom.plan.diff import diff
from netloom.plan.fence import Fence
from netloom.plan.others import without_others
from netloom.plan.steps import LinkDel, NetnsDel, Plan, RunStop
from netloom.plan.sysctls import link_of

if TYPE_CHECKING:
    from netloom.host.observe.holders import Holders

Progress = Callable[[int, int], None]
"""Is told how many steps of how many are done."""

# ── the change ────────────────────────────────────────────────────────────────────────────


class Transition(Struct, frozen=True):
    """What a verb wants of a lab, after it has looked, planned, and refused what may not be.

    `goal` is what will be on record (nothing desired: the lab is forgotten); `keep`: what was there
    before is a state that `undo` can lead back to; `undone` is the number of the state that this
    change is the undoing of, which is forgotten with it.
    """

    known: LabNotes
    row: Cell
    snapshot: LabState
    plan: Plan
    goal: Record
    keep: bool = False
    undone: int = 0


def carry_out(
    change: Transition,
    journal: Journal,
    machine: Machine,
    stop: Cancel,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Carry out a change with the journal around it; return what the user should know besides.

    Raises `Unavailable` before anything is touched; after that `Refused` or `Interrupted`, when all
    that was done has been undone, or says what is left.
    """
    pending = pending_change(
        change.plan, change.goal, change.known.pending, change.snapshot.identities
    )
    if change.row.back is Back.ON:
        with suppress(Unavailable):  # without room on disk, too, what is there must go
            journal.begin(pending, {})
        return _go_on(change, journal, machine)
    journal.begin(pending, change.goal.desired.folders)
    options = _options(change, stop, progress)
    applied = _apply(change.plan, options, machine)
    refused = applied.refused
    if not refused and not stop.cancelled:
        refused = _commit(change, journal, applied.made)
        if not refused:
            return applied.notes
    left, notes = _lead_back(change, pending, journal, machine)
    told = _refusal(refused, left, change.known.lab)
    for note in notes:
        told.add_note(note)
    raise told


def _options(change: Transition, stop: Cancel, progress: Progress | None) -> ApplyOptions:
    """Return the options to stop at the first refusal, or when somebody asks to."""
    options = ApplyOptions(
        lab=change.known.lab,
        snapshot=change.snapshot,
        stopped=lambda: stop.cancelled,
        ordered=True,
        inside=connections.left(change.known.states, change.goal.desired),
    )
    if progress is None:
        return options
    told, total = progress, len(change.plan)
    return replace(options, progress=lambda done: told(done, total))


def _go_on(change: Transition, journal: Journal, machine: Machine) -> tuple[str, ...]:
    """Carry out a change over all refusals, and tell them."""
    lab = change.known.lab
    inside = connections.left(change.known.states, change.goal.desired)
    options = ApplyOptions(lab=lab, snapshot=change.snapshot, go_on=True, inside=inside)
    applied = _apply(change.plan, options, machine)
    refused = applied.refused or _commit(change, journal, applied.made)
    if not refused:
        return applied.notes
    remedy = refused[0].remedy or f"netloom down {lab}"
    raise _with(refused[0], remedy, tuple(error.step for error in refused))


def _commit(change: Transition, journal: Journal, made: Identities) -> list[Refused]:
    """Put on disk what is there now, and what was before; return what was refused."""
    number = 0
    try:
        if is_empty(change.goal.desired):
            journal.forget()
            return []
        if change.keep:
            record = change.known.record
            past = replace(change, snapshot=without_others(change.snapshot))
            number = journal.push(record and replace(record, desired=_before(past)))
        known_by = change.snapshot.identified(change.goal.desired, made)
        journal.commit(replace(change.goal, identities=known_by))
    except FAILURES as error:
        if number:
            with suppress(OSError):
                journal.pop(number)
        cause = failure(error)
        remedy = f"make room for {journal.dir}" if cause.errno == errno.ENOSPC else ""
        return [Refused("remember what was done", cause, remedy=remedy)]
    if change.undone:
        with suppress(OSError):  # it stays in the list: to go there again is no change
            journal.pop(change.undone)
    return []


def is_empty(desired: Desired) -> bool:
    """Whether nothing at all is desired."""
    return all(netns == NetnsState(borrowed=netns.borrowed) for netns in desired.netns.values())


# ── leading back ──────────────────────────────────────────────────────────────────────────


def _lead_back(
    change: Transition, pending: Pending, journal: Journal, machine: Machine
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lead the machine back to where a change began, from whatever is there.

    Return what is left, and what the user should know besides.

    The note of the change goes when nothing is left; until then the next verb finds it.
    """
    before = _before(change)
    wholes = (*change.known.states, pending.desired)
    known_by = pending.identities
    fence = Fence(pending.lab, (*wholes, before), known_by, pending.names, by_mark=False)
    try:
        snapshot = machine.observe(scope_of(fence, before))
        inside = connections.left(wholes, before)
        options = ApplyOptions(lab=pending.lab, snapshot=snapshot, go_on=True, inside=inside)
        applied = _apply(diff(before, snapshot), options, machine)
        notes = applied.notes
        if not applied.refused:
            known_by = snapshot.identified(before, applied.made)
            notes = (*notes, *_noted(change.known.record, known_by, journal))
        return tuple(error.step for error in applied.refused), notes
    except (NetloomError, *FAILURES) as error:
        return (f"what was done before it, since leading back met: {error}",), ()


def _noted(record: Record | None, known_by: Identities, journal: Journal) -> Iterator[str]:
    """Note that a change has been undone; yield what to say where there is no room for that."""
    try:
        journal.abort(record and replace(record, identities=known_by))
    except FAILURES as error:
        yield (
            f"that it is undone could not be noted ({failure(error)}): `{journal.lab}` is told as "
            "interrupted until the next `up`, `undo` or `down`"
        )


def _before(change: Transition) -> Desired:
    """Return what a change is led back to."""
    record = change.known.record
    match change.row.back:
        case Back.SEEN:
            return as_seen(change.snapshot, record)
        case Back.RECORD if record:
            return record.desired
        case _:
            return NOTHING


def as_seen(snapshot: LabState, record: Record | None) -> Desired:
    """Return what there is, to go back to; it need not be what was applied.

    A wire whose far end is lost cannot be made again, and is left out; so is what was borrowed and
    has been taken from its bridge. With a link go its routes and its settings.
    """
    seen = snapshot.asked_by(record.desired) if record else snapshot.asked
    whole = {name: _whole(netns, snapshot) for name, netns in seen.netns.items()}
    return replace(seen, netns=whole)


def _whole(netns: NetnsState, snapshot: LabState) -> NetnsState:
    lost = {name for name, link in netns.links.items() if not _is_whole(link, snapshot)}
    if not lost:
        return netns
    return replace(
        netns,
        links={name: link for name, link in netns.links.items() if name not in lost},
        routes=frozenset(r for r in netns.routes if lost.isdisjoint(h.dev for h in r.nexthops)),
        sysctls={key: value for key, value in netns.sysctls.items() if link_of(key) not in lost},
    )


def _is_whole(link: Link, snapshot: LabState) -> bool:
    if link.borrowed:
        return bool(link.master)
    peer = link.peer
    if peer is None:
        return True
    return peer.netns in snapshot.netns and peer.link in snapshot.netns[peer.netns].links


def _refusal(refused: list[Refused], left: tuple[str, ...], lab: str) -> Refused | Interrupted:
    """Return what to tell of a change that was refused, or interrupted, and led back."""
    if not refused:
        what = "interrupted; all that was done has been undone"
        if left:
            what = f"interrupted; left behind: {', '.join(left)} (netloom down {lab})"
        return Interrupted(what)
    first = refused[0]
    remedy = first.remedy or (f"netloom down {lab}" if left else "")
    return _with(first, remedy, left)


def _with(first: Refused, remedy: str, left: tuple[str, ...]) -> Refused:
    """Return a refusal with what became of the rest."""
    told = Refused(
        first.step, first.cause, asked=first.asked, remedy=remedy, undone=not left, left=left
    )
    told.__cause__ = first.cause
    return told


# ── applying, and what processes keep ─────────────────────────────────────────────────────


class _Applied(Struct, frozen=True):
    """What became of a plan; `kept` tells who keeps namespaces that lost their names."""

    refused: list[Refused]
    kept: "Holders"
    made: Identities = {}

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(sentence for found in self.kept.values() for sentence in found)


def _apply(plan: Plan, options: ApplyOptions, machine: Machine) -> _Applied:
    """Carry out a plan; a namespace that somebody keeps alive loses its wires with its name.

    The kernel takes a namespace apart when nobody holds it any more: until then its wires would go
    on carrying packets. The lab's own commands are ended before anybody is looked for.
    """
    doomed = [step.netns for step in plan if isinstance(step, NetnsDel)]
    kept: Holders = {}
    refused: list[Refused] = []
    try:
        if not doomed:
            done = machine.apply(plan, options)
            return _Applied(done.refused, kept, done.made)
        stops = tuple(step for step in plan if isinstance(step, RunStop))
        if stops:  # flows are forgotten once, at the end
            refused += machine.apply(stops, replace(options, inside=frozenset())).refused
        if refused and not options.go_on:
            return _Applied(refused, kept)
        kept = machine.holders(doomed)
        rest = tuple(step for step in plan if not isinstance(step, RunStop))
        done = machine.apply(_cutting(kept, options.snapshot, rest), options)
        return _Applied(refused + done.refused, kept, done.made)
    except (Unavailable, *FAILURES) as error:
        cause = KernelError(0, "", str(error)) if isinstance(error, Unavailable) else failure(error)
        refused.append(Refused("carry it out", cause))
    return _Applied(refused, kept)


def _cutting(kept: Iterable[str], snapshot: LabState, plan: Plan) -> Plan:
    """Return a plan that deletes the wires of kept namespaces before the first name goes."""
    cut = tuple(_cuts(kept, snapshot, plan))
    at = next((i for i, step in enumerate(plan) if isinstance(step, NetnsDel)), len(plan))
    return (*plan[:at], *cut, *plan[at:])


def _cuts(kept: Iterable[str], snapshot: LabState, plan: Plan) -> Iterator[LinkDel]:
    gone: set[End] = set()
    for end in (step.end for step in plan if isinstance(step, LinkDel)):
        gone |= {end, *_peer(end, snapshot)}
    for name in kept:
        for link in snapshot.netns[name].links:
            end = End(name, link)
            if end not in gone and (far := _peer(end, snapshot)):
                yield LinkDel(end)
                gone |= {end, *far}


def _peer(end: End, snapshot: LabState) -> tuple[End, ...]:
    link = snapshot.netns.get(end.netns, NetnsState()).links.get(end.link)
    return (link.peer,) if link and link.peer else ()
