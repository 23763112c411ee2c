"""The front door: the verbs that users call.

    up      apply(diff(desired, now))           plan, verify   diff(desired, now), shown
    down    apply(diff(nothing, owned now))     undo           apply(diff(before, now))

One algorithm; what differs is what is desired, and what follows a refusal. `up` stops at the first,
undoes, and says so; `down` goes on and tells all that it could not remove.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from netloom.errors import Interrupted, KernelError, Problem, Refused, TopologyError, Unavailable
from netloom.host import journal as memory
from netloom.host import walls
from netloom.host.brake import Brake, brake
from netloom.host.journal import Journal, Pending, Record
from netloom.host.machine import Machine, Orders, scope_of
from netloom.host.this import ThisMachine
from netloom.model.objects import HOST, NOTHING, Desired, End, Link, Netns, Veth
from netloom.model.snapshot import Snapshot
from netloom.plan.diff import diff, teardown
from netloom.plan.steps import LinkDel, NetnsDel, Plan
from netloom.topology.allocate import Held
from netloom.topology.lower import BASELINE, FORWARDING, Around, Lowered, lower
from netloom.topology.parse import Source, parse

DEFAULT_FILE = "netloom.yaml"

Progress = Callable[[int, int], None]
"""Is told how many steps of how many are done."""


class Draft(Struct, frozen=True):
    """What `up` would do: the desired state, what is there, and the plan between them."""

    source: Source
    lowered: Lowered
    snapshot: Snapshot
    plan: Plan
    record: Record | None
    pending: Pending | None


class Report(Struct, frozen=True):
    """What a verb did. `seconds` is how long it took, `notes` what the user should know besides."""

    lab: str
    plan: Plan
    desired: Desired
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


class Past(NamedTuple):
    """A state that `undo` can go back to."""

    number: int
    command: str
    namespaces: int


class Running(Struct, frozen=True):
    """A lab that is remembered. `state`: `up`, `interrupted`, or `gone` with a reboot."""

    lab: str
    state: str
    source: str
    namespaces: int


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def load(path: str | Path) -> Source:
    """Read a topology file; raises `TopologyError` with every mistake, `Unavailable` if unreadable.

    A lab without `name:` bears the file's stem, and that of `netloom.yaml` its folder's name.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise Unavailable(f"no file `{path}`", "`netloom up FILE` names another") from None
    except IsADirectoryError:
        raise Unavailable(f"`{path}` is a folder", f"netloom up {path}/{DEFAULT_FILE}") from None
    except OSError as error:
        raise Unavailable(f"cannot read `{path}`: {error.strerror}") from error
    return parse(data, file=str(path), name=default_name(file))


def default_name(file: Path) -> str:
    """Return the name of the lab of a file that does not say it."""
    absolute = file.absolute()
    return absolute.parent.name if file.name == DEFAULT_FILE else absolute.stem


# ── plan and up ───────────────────────────────────────────────────────────────────────────────────


def draft(source: Source, memory_of: Journal, machine: Machine) -> Draft:
    """Find out what `up` would do; raises `TopologyError`, `Unavailable`, touches nothing."""
    record, pending = memory_of.record(), memory_of.pending()
    held = record.held if record else Held()
    lowered, snapshot = _look(source, held, machine, record, pending)
    surprises = {
        key for key, value in BASELINE.items() if snapshot.newborn.get(key, value) != value
    }
    if not surprises <= {*lowered.held.baseline, *FORWARDING}:
        # A new namespace would begin otherwise than the kernel's defaults: they are asked for, too.
        held = replace(held, baseline=tuple(sorted({*held.baseline, *surprises})))
        lowered, snapshot = _look(source, held, machine, record, pending)
    problems = list(_collisions(lowered, snapshot))
    if problems:
        raise source.error(problems)
    return Draft(
        source=source,
        lowered=lowered,
        snapshot=snapshot,
        plan=diff(lowered.desired, snapshot),
        record=record,
        pending=pending,
    )


def _look(
    source: Source,
    held: Held,
    machine: Machine,
    record: Record | None,
    pending: Pending | None,
) -> tuple[Lowered, Snapshot]:
    """Return what is desired, and what is there."""
    lab = source.topology.name
    subnets = machine.host_subnets(lab)
    around = Around(held=held, host=subnets, salt=machine.boot, ipv6=machine.ipv6)
    try:
        lowered = lower(source.topology, around)
    except TopologyError as error:
        raise source.error(error.problems) from None
    unpublished = pending.names if pending else frozenset[str]()
    scope = scope_of(lab, _states(record, pending), making=lowered.desired, unpublished=unpublished)
    scope = replace(scope, fresh=(*scope.fresh, *BASELINE))
    return lowered, machine.observe(scope)


def _states(record: Record | None, pending: Pending | None) -> list[Desired]:
    """Return all that may be there: what was applied, and what changes not finished led to."""
    found = [record.desired] if record else []
    return [*found, *pending.earlier, pending.desired] if pending else found


def _collisions(lowered: Lowered, snapshot: Snapshot) -> Iterable[Problem]:
    """Find the names we want that others have."""
    foreign = snapshot.foreign
    for name, netns in lowered.desired.netns.items():
        path = lowered.places.get(name, ("namespaces", name))
        if name in foreign.stale:
            message = (
                f"`{name}` is a file in /run/netns without a namespace, left behind by somebody"
            )
            yield Problem(message, path, f"netloom del {name}", at_key=True)
        elif name in foreign.names:
            message = f"a namespace `{name}` exists, and is not this lab's"
            yield Problem(message, path, "choose another name", at_key=True)
        for link in netns.links:
            if link in foreign.links.get(name, ()):
                place = lowered.places.get(f"{name}:{link}", path)
                message = f"an interface `{name}:{link}` exists, and is not this lab's"
                yield Problem(message, place, "choose another name")


def plan(source: Source, machine: Machine | None = None) -> Draft:
    """Return what `up` would change, and change nothing."""
    return draft(source, Journal(source.topology.name), machine or ThisMachine())


def up(
    source: Source,
    machine: Machine | None = None,
    *,
    progress: Progress | None = None,
    command: str = "up",
) -> Report:
    """Make a lab as its topology says; twice does nothing.

    Raises `TopologyError` or `Unavailable` before anything is touched, `Refused` or `Interrupted`
    after all that had been done was undone.
    """
    machine = machine or ThisMachine()
    begun = time.monotonic()
    lab = source.topology.name
    with brake() as stop, Journal(lab) as journal:
        found = draft(source, journal, machine)
        record = Record(
            lab=lab,
            boot=machine.boot,
            desired=found.lowered.desired,
            held=found.lowered.held,
            source=str(Path(source.file).absolute()),
            text=source.text,
            command=command,
        )
        if found.plan or found.pending:
            _change(found, record, journal, machine, stop=stop, progress=progress)
        elif found.record != record and (refused := _remember(journal, record)):
            raise refused[0]
        desired = found.lowered.desired
        seconds = time.monotonic() - begun
        notes = tuple(walls.notes(desired)) if found.plan else ()
        return Report(lab=lab, plan=found.plan, desired=desired, seconds=seconds, notes=notes)


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
    past = found.pending.before if found.pending else found.record
    before = past.desired if found.pending and past else found.snapshot.asked
    if found.pending and past is None:
        before = NOTHING
    pending = memory.change(found.plan, past, record, found.pending)
    journal.begin(pending, record.desired.texts)
    orders = _orders(found.snapshot, record.lab, stop, progress, len(found.plan))
    refused = machine.apply(found.plan, orders)
    if not refused and not stop.pulled:
        refused = _remember(journal, record, past, keep=bool(found.plan))
        if not refused:
            return
    left = _go_back(before, pending, machine)
    if not left:
        journal.abort(past)
    _raise(refused, left, pending)


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
    states = [*pending.earlier, pending.desired, before]
    scope = scope_of(pending.lab, states, making=before, unpublished=pending.names)
    snapshot = machine.observe(scope)
    orders = Orders(lab=pending.lab, snapshot=snapshot, go_on=True)
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


# ── down ──────────────────────────────────────────────────────────────────────────────────────────


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
            names = machine.marked(lab)
            if not names:
                journal.forget()
                return None
            states = [Desired(netns={name: Netns() for name in names})]
        else:
            states = _states(record, pending)
        unpublished = _unpublished(record, pending, machine)
        snapshot = machine.observe(scope_of(lab, states, unpublished=unpublished))
        if not force:
            _refuse_foreign(lab, snapshot)
        plan_ = teardown(snapshot)
        held = _holders(snapshot)
        plan_ = _cut_wires(held, snapshot, plan_)
        orders = Orders(lab=lab, snapshot=snapshot, go_on=True)
        ending = Record(lab=lab, boot=machine.boot)
        with suppress(Unavailable):  # without room on disk, too, what is there must go
            journal.begin(memory.change(plan_, None, ending, pending), {})
        refused = machine.apply(plan_, orders)
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


def _unpublished(
    record: Record | None, pending: Pending | None, machine: Machine
) -> frozenset[str]:
    """Return the names that a killed `up` may have left as files; after a reboot, all."""
    names = pending.names if pending else frozenset[str]()
    for state in (record, pending):
        if state is not None and state.boot != machine.boot:
            names |= frozenset(state.desired.netns) - {HOST}
    return names


def _refuse_foreign(lab: str, snapshot: Snapshot) -> None:
    """Refuse to take along what others put into a namespace of the lab."""
    found = [
        f"{name}:{link}"
        for name in snapshot.netns
        if name != HOST
        for link in snapshot.foreign.links.get(name, ())
    ]
    if found:
        reason = f"not netloom's, and would be lost with the lab `{lab}`: {', '.join(found)}"
        raise Unavailable(reason, f"move it out, or netloom down --force {lab}")


def _holders(snapshot: Snapshot) -> dict[str, list[tuple[int, str]]]:
    from netloom.host.observe import holders  # noqa: PLC0415

    return holders(name for name in snapshot.netns if name != HOST)


def _cut_wires(held: dict[str, list[tuple[int, str]]], snapshot: Snapshot, steps: Plan) -> Plan:
    """Delete the wires of a namespace that a process keeps alive: they would live on with it."""
    cut: list[LinkDel] = []
    gone: set[End] = {step.end for step in steps if isinstance(step, LinkDel)}
    for name in held:
        for link, facts in snapshot.netns[name].links.items():
            end = End(name, link)
            if isinstance(facts.kind, Veth) and not {end, facts.kind.peer} & gone:
                cut.append(LinkDel(end))
                gone |= {end, facts.kind.peer}
    if not cut:
        return steps
    at = next((i for i, step in enumerate(steps) if isinstance(step, NetnsDel)), len(steps))
    return (*steps[:at], *cut, *steps[at:])


def _held_notes(held: dict[str, list[tuple[int, str]]]) -> Iterable[str]:
    for name, processes in held.items():
        for pid, command in processes:
            yield f"`{command}` (pid {pid}) still runs in what was `{name}`, nameless from now on"


# ── verify, undo, labs ────────────────────────────────────────────────────────────────────────────


def verify(lab: str, machine: Machine | None = None) -> Plan | None:
    """Return what `up` would have to do so that all is as it was applied; None if it is not up."""
    machine = machine or ThisMachine()
    record = Journal(lab).record()
    if record is None:
        return None
    scope = scope_of(lab, [record.desired], making=record.desired)
    return diff(record.desired, machine.observe(scope))


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
        states = [*_states(record, unfinished), past.desired]
        names = unfinished.names if unfinished else frozenset[str]()
        scope = scope_of(lab, states, making=past.desired, unpublished=names)
        snapshot = machine.observe(scope)
        steps = diff(past.desired, snapshot)
        if memory.empty(past.desired):
            _refuse_foreign(lab, snapshot)
        found = memory.change(steps, record, replace(past, boot=machine.boot), unfinished)
        journal.begin(found, past.desired.texts)
        refused = machine.apply(steps, _orders(snapshot, lab, stop))
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
    """Whether the user named a namespace: then it has a hosts file, the lab's own has none."""
    return bool(netns.hosts)


def lab_name(text: str) -> str:
    """Return the lab that LAB means: a name, or a FILE (with `/`, `.yaml`, `.yml`, `.json`).

    A file means the lab that was made from it, even if it says another name by now, or has
    mistakes.
    """
    if "/" not in text and not text.endswith((".yaml", ".yml", ".json")):
        return text
    path = Path(text).absolute()
    for name in memory.labs():
        record = Journal(name).record()
        if record is not None and record.source == str(path):
            return name
    try:
        return load(text).topology.name
    except (TopologyError, Unavailable):
        return default_name(path)


__all__ = [
    "Draft",
    "Link",
    "Past",
    "Report",
    "Running",
    "down",
    "draft",
    "lab_name",
    "labs",
    "load",
    "pasts",
    "plan",
    "undo",
    "up",
    "verify",
]
