"""`up`: make a lab as its topology says."""

import time
from contextlib import ExitStack

from netloom.compile.host_part import published, takes_part
from netloom.engine.dependents import gone_along, refuse_foreign, refuse_to_cut_off
from netloom.engine.draft import check_whose, draft
from netloom.engine.report import Report
from netloom.engine.state import known
from netloom.engine.topology_file import origin_of
from netloom.engine.transaction import Progress, Transition, carry_out
from netloom.engine.until_ready import TIMEOUT, until_ready
from netloom.engine.untouched import untouched
from netloom.host.cancel import Cancel, cancellable
from netloom.host.local import LocalMachine
from netloom.host.machine import Machine
from netloom.host.store.journal import Record
from netloom.host.store.reservations import Waiting
from netloom.language.parse import Source


@untouched()
def up(  # noqa: PLR0913 - what a caller may say and be told
    source: Source,
    machine: Machine | None = None,
    *,
    progress: Progress | None = None,
    command: str = "up",
    timeout: float = TIMEOUT,
    waiting: Waiting | None = None,
    replacing: bool = False,
) -> Report:
    """Make a lab as its topology says, and wait until it is ready; twice does nothing.

    `waiting` is told if another lab is waited for that looks for what is free on the host;
    `replacing`: also in the place of a lab of that name that is another file's.
    Raises `TopologyError` or `Unavailable` before anything is touched, `Refused` or `Interrupted`
    after all that had been done was undone; and `NotReady` after `timeout` seconds, or
    `Interrupted` before that: then the lab stays as it is.
    """
    machine = machine or LocalMachine()
    machine.check_place()
    machine.check_lasting()
    with cancellable() as stop:
        report = make(
            source, machine, stop, progress, command=command, waiting=waiting, replacing=replacing
        )
        return until_ready(report, machine, timeout, stop)


@untouched()
def make(  # noqa: PLR0913 - the same
    source: Source,
    machine: Machine,
    stop: Cancel,
    progress: Progress | None = None,
    *,
    command: str = "up",
    waiting: Waiting | None = None,
    replacing: bool = False,
) -> Report:
    """Make a lab as its topology says, and wait for no command; `up` tells what is raised."""
    begun = time.monotonic()
    lab = source.topology.name
    with machine.journal(lab) as journal, ExitStack() as stack:
        stack.callback(machine.dismiss)
        there = known(journal)
        row = there.row("up")
        assert row is not None
        if not replacing:
            check_whose(source, there, machine)
        if takes_part(source.topology):
            journal.lock_host(lambda: stop.cancelled, waiting)
        found = draft(source, there, machine)
        record = Record(
            lab=lab,
            boot=machine.boot,
            desired=found.lowered.desired,
            held=found.lowered.held,
            source=origin_of(source.file),
            since=there.record.since if there.record else time.time(),
            renamed=source.is_renamed,
            text=source.text if journal.lasts else "",
            command=command,
            through=found.lowered.through,
            ports=published(source.topology),
            identities=found.snapshot.identified(found.lowered.desired, {}),
        )
        notes: tuple[str, ...] = ()
        if found.plan or there.pending or there.record != record:
            refuse_to_cut_off(lab, found.plan, found.snapshot, machine)
            refuse_foreign(lab, found.plan, found.snapshot)
            keep = bool(found.plan)
            change = Transition(there, row, found.snapshot, found.plan, goal=record, keep=keep)
            notes = carry_out(change, journal, machine, stop, progress)
            notes = (*notes, *gone_along(lab, found.plan, found.snapshot))
    seconds = time.monotonic() - begun
    notes = (*found.notes, *notes)
    return Report(
        lab, found.plan, record.desired, seconds, notes, published=found.lowered.published
    )
