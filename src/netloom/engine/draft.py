"""What `up` would do: a topology, lowered and held against what is there."""

import os
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from netloom.compile.host_part import published
from netloom.compile.lower import HostFacts, Lowered, lower
from netloom.engine.collisions import names_of_others, routes_of_others
from netloom.engine.origin import free_names, is_anothers, refused
from netloom.engine.report import found_notes, hidden_files
from netloom.engine.state import LabNotes, known
from netloom.engine.topology_file import absolute, origin_of, read_files
from netloom.engine.untouched import untouched
from netloom.errors import Problem, TopologyError, Unavailable
from netloom.host.local import LocalMachine
from netloom.host.machine import Machine
from netloom.host.observe.scope import scope_of
from netloom.language.parse import Source
from netloom.language.topology import Topology
from netloom.model.facts import Allocations, Joined, UplinkFacts
from netloom.model.lab_state import LabState
from netloom.model.objects import HOST, Desired, Link, NetnsState, is_kept
from netloom.model.reservation import HostPort
from netloom.plan.diff import diff
from netloom.plan.firewall_exceptions import with_exceptions
from netloom.plan.steps import Plan
from netloom.plan.sysctls import NEWBORN


class Draft(Struct, frozen=True):
    """What `up` would do: the desired state, what is there, and the plan between them.

    `notes` are what the user should know besides, where anything is to be done at all.
    """

    source: Source
    lowered: Lowered
    snapshot: LabState
    plan: Plan
    notes: tuple[str, ...] = ()


@untouched()
def plan(source: Source, machine: Machine | None = None, *, replacing: bool = False) -> Draft:
    """Return what `up` would change, and change nothing.

    `replacing`: also where the lab is another file's.
    """
    machine = machine or LocalMachine()
    machine.check_place()
    there = known(machine.journal(source.topology.name))
    there.row("up")  # raises where `up` would be refused
    try:
        if not replacing:
            check_whose(source, there, machine)
        return draft(source, there, machine)
    finally:
        machine.dismiss()


def check_whose(source: Source, there: LabNotes, machine: Machine) -> None:
    """Raise `Unavailable` where the lab is up, and another file's: with what would have both."""
    record = there.record
    if record is None or machine.is_own:
        return
    if not is_anothers(record, origin_of(source.file), machine, source):
        return
    labs = machine.labs()
    beside = next(name for name in free_names(there.lab) if name not in labs)
    try:
        draft(source.named(beside), LabNotes(beside), machine)
    except (TopologyError, Unavailable):
        raise refused(record, source, None) from None
    raise refused(record, source, beside)


def draft(source: Source, there: LabNotes, machine: Machine) -> Draft:
    """Find out what `up` would do; raises `TopologyError`, `Unavailable`, touches nothing.

    Should: be followed by `machine.dismiss`, where it does not come to a plan.
    """
    held = there.record.held if there.record else Allocations(secret=os.urandom(16).hex())
    lowered, snapshot = _look(source, held, machine, there)
    host = lowered.desired.netns.get(HOST)
    trusted = {p.flow.iif for p in host.exceptions if p.opens_all} if host else set[str]()
    if not trusted <= set(lowered.held.input_guarded):
        # firewalld's only zone that forwards opens all of the host, too: that we keep closed.
        held = replace(held, input_guarded=tuple(sorted({*held.input_guarded, *trusted})))
        lowered, snapshot = _look(source, held, machine, there)
    problems = [
        *names_of_others(there.lab, lowered, snapshot.foreign, machine),
        *_routes_of_others(lowered, snapshot, there, machine),
    ]
    if problems:
        raise source.error(problems)
    steps = diff(lowered.desired, snapshot)
    machine.check_plan(steps)
    notes = (*lowered.notes, *machine.notes(lowered.desired)) if steps else ()
    hidden = hidden_files(lowered.desired, snapshot)
    notes = (*notes, *hidden, *found_notes(there.lab, snapshot))
    return Draft(source, lowered, snapshot, steps, notes)


def _look(
    source: Source,
    held: Allocations,
    machine: Machine,
    there: LabNotes,
) -> tuple[Lowered, LabState]:
    """Return what is desired, and what is there."""
    facts = _facts(source, held, machine, there)
    try:
        lowered = lower(source.topology, facts)
    except TopologyError as error:
        raise source.error(error.problems) from None
    if lowered.desired.texts:
        from netloom.engine.dry_run import normalized

        lowered = normalized(source, lowered, machine)
    if any(member.sysctls for member in (source.topology.namespaces or {}).values()):
        from netloom.engine.dry_run import try_sysctls

        try_sysctls(source, machine)
    scope = scope_of(there.fence, lowered.desired)
    firewall = scope.firewall or bool(lowered.through)
    scope = replace(scope, fresh=(*scope.fresh, *NEWBORN), firewall=firewall)
    if machine.is_own and there.record and not there.pending:
        scope = replace(scope, trusted=dict(_unchanged(there.record.desired, lowered.desired)))
    snapshot = machine.observe(scope)
    desired = with_exceptions(lowered.desired, lowered.through, snapshot)
    machine.check(desired, snapshot.firewall)
    return replace(lowered, desired=desired), snapshot


def _unchanged(before: Desired, wanted: Desired) -> Iterator[tuple[str, NetnsState]]:
    """Yield what a change leaves alone, but for files in /etc: there nothing need be looked for.

    So a lab that is built word by word costs no more for its size, and what its program did by hand
    in a namespace that a word does not speak of stays.
    """
    for name, was in before.netns.items():
        now = wanted.netns.get(name)
        if now and not is_kept(name, was) and replace(now, etc="") == replace(was, etc=""):
            yield name, was


def _facts(source: Source, held: Allocations, machine: Machine, there: LabNotes) -> HostFacts:
    """Return what `lower` is told of the machine; no more is looked at than the file needs.

    Who listens behind a port that the lab publishes already is in nobody's way.
    """
    topology = source.topology
    record = there.record
    own = record.ports if record and record.boot == machine.boot else frozenset[HostPort]()
    ports = {(port.protocol, port.port) for port in published(topology) - own}
    host = (topology.namespaces or {}).get(HOST)
    forwards = bool(host and host.forwarding)
    forwards = forwards or any(network.uplink for network in topology.networks.values())
    return HostFacts(
        held=held,
        host=machine.occupied(there.fence),
        salt=machine.boot,
        ipv6=machine.ipv6,
        hostname=machine.hostname,
        outside=machine.uplink_facts(there.fence, ports) if forwards else UplinkFacts(),
        files=read_files(source),
        joined=_joined(source, machine),
        nics=machine.nics() if _lends(topology) else {},
        borrowed=_borrowed(there.states),
        folder=absolute(source.file).rpartition("/")[0] or "/",
    )


def _lends(topology: Topology) -> bool:
    """Whether an interface of the host becomes a port of some network."""
    host = (topology.namespaces or {}).get(HOST)
    return host is not None and any(said.network for said in host.interfaces.values())


def _borrowed(states: Iterable[Desired]) -> dict[str, Link]:
    """Return the interfaces of the host that some states of a lab borrow."""
    return {
        name: link
        for state in states
        if HOST in state.netns
        for name, link in state.netns[HOST].links.items()
        if link.borrowed
    }


def _joined(source: Source, machine: Machine) -> dict[str, Joined]:
    """Return what is known of the segments that networks join; raises `TopologyError`."""
    found: dict[str, Joined] = {}
    problems = []
    for name, network in source.topology.networks.items():
        if network.joins.startswith(f"{source.topology.name}/"):
            message = "a lab does not join its own network"
            path = ("networks", name, "joins")
            problems.append(Problem(message, path, "list its namespaces under that network"))
        elif network.joins:
            try:
                found[network.joins] = machine.joined(network.joins)
            except Unavailable as error:
                path = ("networks", name, "joins")
                problems.append(Problem(error.reason, path, error.remedy))
    if problems:
        raise source.error(problems)
    return found


def _routes_of_others(
    lowered: Lowered, snapshot: LabState, there: LabNotes, machine: Machine
) -> Iterator[Problem]:
    wanted = {route.key for route in lowered.desired.netns[HOST].routes}
    if wanted:
        noted = machine.occupied(there.fence).routes
        host = there.record.desired.netns.get(HOST, NetnsState()) if there.record else NetnsState()
        applied = {route.key for route in host.routes}
        yield from routes_of_others(lowered, snapshot, noted, applied)
