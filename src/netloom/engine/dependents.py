"""What others have in a lab, or on a network of it: no verb takes it along without a word."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from netloom.engine.state import known
from netloom.engine.untouched import untouched
from netloom.errors import Unavailable
from netloom.host.machine import Machine
from netloom.model.lab_state import LabState
from netloom.model.objects import Desired, End, Link, is_kept
from netloom.plan.steps import LinkDel, NetnsDel, Plan


def refuse_to_cut_off(
    lab: str, plan: Plan, snapshot: LabState, machine: Machine, remedy: str = ""
) -> None:
    """Raise `Unavailable` if a plan takes a bridge or a namespace that other labs have ports on."""
    doomed = _doomed(plan)
    gone = {
        step.end for step in plan if isinstance(step, LinkDel) and _is_bridge(step.end, snapshot)
    }
    if not any(snapshot.foreign.links.get(name) for name in doomed | {end.netns for end in gone}):
        return  # no other lab's memory need be read
    found = [
        other
        for other in machine.labs()
        if other != lab
        for name, link_name, link in _ports(_states_of(other, machine))
        if name in doomed or End(name, link.master) in gone
        if link_name in snapshot.foreign.links.get(name, ())
    ]
    if found:
        those = ", ".join(f"`{other}`" for other in dict.fromkeys(found))
        reason = f"members of {those} are on networks of the lab `{lab}`, and would be cut off"
        raise Unavailable(reason, " or ".join(filter(None, (f"netloom down {found[0]}", remedy))))


def refuse_foreign(lab: str, plan: Plan, snapshot: LabState) -> None:
    """Raise `Unavailable` if a plan takes along what somebody outside the lab would miss."""
    found = [str(end) for end in _foreign(plan, snapshot) if end in snapshot.foreign.outside]
    if found:
        what = _what_goes(lab, plan, snapshot)
        reason = f"not netloom's, and would be lost with {what}: {', '.join(found)}"
        raise Unavailable(reason, f"move it out, or netloom down --force {lab}")


def gone_along(lab: str, plan: Plan, snapshot: LabState) -> Iterator[str]:
    """Yield what to say of links that were made inside the lab, and go with it."""
    if found := [str(end) for end in _foreign(plan, snapshot)]:
        what = _what_goes(lab, plan, snapshot)
        yield f"gone with {what}, made by somebody in it: {', '.join(found)}"


def _foreign(plan: Plan, snapshot: LabState) -> list[End]:
    """Return the links of others in namespaces that a plan takes away."""
    doomed = _doomed(plan)
    links = ((name, snapshot.foreign.links.get(name, ())) for name in snapshot.netns)
    return [End(name, link) for name, found in links if name in doomed for link in found]


def _doomed(plan: Plan) -> set[str]:
    return {step.netns for step in plan if isinstance(step, NetnsDel)}


def _what_goes(lab: str, plan: Plan, snapshot: LabState) -> str:
    doomed = _doomed(plan)
    stays = any(n not in doomed and not is_kept(n, one) for n, one in snapshot.netns.items())
    return "its namespace" if stays else f"the lab `{lab}`"


def _is_bridge(end: End, snapshot: LabState) -> bool:
    link = snapshot.netns[end.netns].links.get(end.link)
    return link is not None and link.kind.takes_ports


@untouched()
def dependents_first(machine: Machine) -> list[str]:
    """Return all labs in an order in which they can be taken down: who has joined another first."""
    every = machine.labs()
    joined = {name for name in every if any(_borrows(state) for state in _states_of(name, machine))}
    return sorted(every, key=lambda name: name not in joined)


def _borrows(state: Desired) -> bool:
    return any(netns.borrowed for netns in state.netns.values())


def _states_of(lab: str, machine: Machine) -> list[Desired]:
    """Return what a lab may have, as far as its notes can be read."""
    with suppress(Unavailable):
        return known(machine.journal(lab)).states
    return []


def _ports(states_: Iterable[Desired]) -> Iterator[tuple[str, str, Link]]:
    for state in states_:
        for name, netns in state.netns.items():
            for link_name, link in netns.links.items():
                if link.master:
                    yield name, link_name, link
