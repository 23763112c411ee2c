"""Labs on a machine of their own, and the witness: what `ip -j` says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import Phase, settings

from netloom.host.local import LocalMachine
from netloom.host.observe.scope import Scope, scope_of
from netloom.kernel.loopback import set_lo_up
from netloom.language.parse import Source, parse
from netloom.language.topology import Topology
from netloom.language.unparse import unparse
from netloom.model.lab_state import LabState
from netloom.model.objects import Desired, NetnsState
from netloom.plan.fence import Fence
from tests.hosts.machine import a_machine, within
from tests.hosts.programs import says
from tests.pure.worlds import LAB

_T = TypeVar("_T")

MACHINE = LocalMachine()
MADE = settings(phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""For laws that make worlds: the smallest failure would take minutes, so the first is told."""

LOOKS = ("link", "addr", "-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule")
FOLDERS = ("/run", "/run/netns", "/run/netloom", "/etc", "/etc/netns")


def alone(call: Callable[[], _T]) -> _T:
    """Return what `call` returns on a machine of its own, whose `lo` is up as everywhere."""

    def with_lo() -> _T:
        set_lo_up()
        return call()

    return within(a_machine, with_lo)


def source(topology: Topology) -> Source:
    """Return a topology as a file would say it."""
    return parse(unparse(topology))


def seen(*states: Desired) -> LabState:
    """Return what is there of states of a lab, the last being wanted now."""
    return MACHINE.observe(scope(*states))


def scope(*states: Desired) -> Scope:
    """Return where to look for states of a lab."""
    return scope_of(Fence(LAB, states), states[-1])


def differing(predicted: LabState, found: LabState, where: Scope) -> list[str]:
    """Return in words where a predicted snapshot and one that was seen are at odds."""
    names = {*predicted.netns, *found.netns}
    words = [
        f"{name} is in one only"
        for name in names
        if (name in predicted.netns) ^ (name in found.netns)
    ]
    for name in predicted.netns.keys() & found.netns.keys():
        pair = predicted.netns[name], found.netns[name]
        words += _differing(name, *pair, where.sysctls.get(name, ()))
    if (predicted.unnamed, predicted.stray_etc) != (found.unnamed, found.stray_etc):
        words.append(f"left: {found.unnamed} {found.stray_etc}")
    return words


def _differing(name: str, told: NetnsState, found: NetnsState, keys: tuple[str, ...]) -> list[str]:
    """Compare one namespace; of a setting of a link just made nothing is predicted."""
    links = {*told.links, *found.links}
    words = [
        f"{name}:{link}: {told.links.get(link)} became {found.links.get(link)}"
        for link in links
        if told.links.get(link) != found.links.get(link)
    ]
    words += [f"{name}: {thing}" for thing in told.routes ^ found.routes]
    words += [f"{name}: {thing}" for thing in told.rules ^ found.rules]
    words += [
        f"{name}: {key}={found.sysctls.get(key)} and not {value}"
        for key, value in told.sysctls.items()
        if key in keys and found.sysctls.get(key) != value
    ]
    return words + ([] if told.etc == found.etc else [f"{name}: etc"])


def ip(words: str, netns: str = "") -> list[dict[str, Any]]:
    """Return what `ip -j -d` says, in a namespace or on the host."""
    into = ("-n", netns) if netns else ()
    said: list[dict[str, Any]] = json.loads(says("ip", "-j", "-d", *into, *words.split()) or "[]")
    return [each for each in said if each]


def host() -> dict[str, object]:
    """Return all that the witness says of the host: links, addresses, routes, rules, folders."""
    looks: dict[str, object] = {words: ip(words) for words in LOOKS}
    folders = {place: _names_in(Path(place)) for place in FOLDERS if Path(place).is_dir()}
    if folders.get("/run/netns") == []:  # made once and kept, as `ip netns` does
        del folders["/run/netns"]
        folders["/run"].remove("netns")
    return looks | {"folders": folders}


def _names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())
