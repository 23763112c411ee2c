"""What a lab asks for and others have: each is a mistake of the file, told in its place."""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from netloom.errors import Problem, quoted
from netloom.model.lab_state import Foreign, LabState
from netloom.model.objects import HOST, NetnsState, Route, RouteKey
from netloom.plan.order import route_order
from netloom.plan.steps import RouteDel
from netloom.render.script import command
from netloom.render.text import protocol_word, route_words

if TYPE_CHECKING:
    from netloom.compile.lower import Lowered
    from netloom.host.machine import Machine


def names_of_others(
    lab: str, lowered: "Lowered", foreign: Foreign, machine: "Machine"
) -> Iterator[Problem]:
    """Yield the names that are wanted of namespaces and interfaces, and that others have."""
    for name, netns in lowered.desired.netns.items():
        path = lowered.places.get(name, ("namespaces", name))
        owner = machine.lab_with(name, but=lab) if name in foreign.names else None
        if owner:
            message = f"a namespace `{name}` exists, and is the lab `{owner}`'s"
            hint = f"choose another name, or netloom down {quoted(owner)}"
            yield Problem(message, path, hint, at_key=True)
        elif name in foreign.stale:
            message = (
                f"`{name}` is a file in /run/netns without a namespace, left behind by somebody"
            )
            yield Problem(message, path, f"netloom del {quoted(name)}", at_key=True)
        elif name in foreign.names:
            message = f"a namespace `{name}` exists, and is not this lab's"
            yield Problem(message, path, "choose another name", at_key=True)
        for link, facts in netns.links.items():
            if facts.borrowed:
                continue
            if link in foreign.links.get(name, ()):
                place = lowered.places.get(f"{name}:{link}", path)
                message = f"an interface `{name}:{link}` exists, and is not this lab's"
                yield Problem(message, place, "choose another name")


def routes_of_others(
    lowered: "Lowered",
    snapshot: LabState,
    noted: Mapping[RouteKey, str],
    applied: Collection[RouteKey] = (),
) -> Iterator[Problem]:
    """Yield the routes that are wanted of `host`, and in whose place others have one.

    The kernel tells routes apart by destination, table, metric and TOS, and has one of each.
    `noted` are those that other labs have there, or are about to; `applied` those that were this
    lab's own when it was applied last.
    """
    seen = {route.key: route for route in snapshot.foreign.routes}
    ours = snapshot.netns.get(HOST, NetnsState()).routes
    for wanted in sorted(lowered.desired.netns[HOST].routes - ours, key=route_order):
        there, owner = seen.get(wanted.key), noted.get(wanted.key, "")
        place = lowered.routes[wanted.key]
        hint = "with another `metric` or `table` it is a route of its own"
        if place == ("routing",):
            hint = "the host is to lead there by a router of the lab: choose another subnet"
        if owner:
            message = f"the host has a route to {wanted.dst}, which is the lab `{owner}`'s"
            yield Problem(message, place, hint)
        elif there and wanted.key in applied:
            message = f"the host's route to {wanted.dst} was replaced by somebody: {_words(there)}"
            hint = f"{command(RouteDel(HOST, there))}, and netloom up gives it back"
            yield Problem(message, place, hint)
        elif there:
            message = f"the host has a route to {wanted.dst}, which is not this lab's"
            yield Problem(f"{message}: {_words(there)}", place, hint)


def _words(route: Route) -> str:
    return f"{route_words(route)} proto {protocol_word(route.protocol)}"


def lost_routes(snapshot: LabState, noted: Collection[RouteKey]) -> Iterator[str]:
    """Yield what to say of routes that some lab has made, and no lab remembers."""
    for route in sorted(snapshot.foreign.routes, key=route_order):
        if route.key not in noted:
            gone = command(RouteDel(HOST, route))
            yield f"the host has a route of a lab that nobody remembers, and keeps it: {gone}"
