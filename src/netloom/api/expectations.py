"""What a lab's `expect:` says, held against real packets."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from netloom.api.probes import Journey
from netloom.errors import Unavailable
from netloom.language.topology import INTERNET, Flow
from netloom.model.objects import HOST
from netloom.values import family, is_ip

if TYPE_CHECKING:
    from netloom.api.lab import Lab
    from netloom.api.namespace import Netns

_PAUSE = 0.05
"""Seconds between two attempts."""


class Outcome(NamedTuple):
    """What became of an expectation, as it is written; true if it holds. `probes` are why."""

    text: str
    probes: tuple[Journey, ...]
    holds: bool

    def __bool__(self) -> bool:
        """Whether it holds."""
        return self.holds


def check(lab: "Lab", within: float, wait: float) -> list[Outcome]:
    """Probe every expectation; one that does not hold is tried again for seconds of `wait`."""
    found = []
    for flow in lab.topology.expect:
        deadline = time.monotonic() + wait
        outcome = _outcome(lab, flow, within)
        while not outcome and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            outcome = _outcome(lab, flow, within)
        found.append(outcome)
    return found


def _outcome(lab: "Lab", flow: Flow, within: float) -> Outcome:
    probes = tuple(_probes(lab, flow, within))
    barred = flow.arrow == "-/>"
    return Outcome(flow.text, probes, all(bool(probe) != barred for probe in probes))


def _probes(lab: "Lab", flow: Flow, within: float) -> Iterator[Journey]:
    pairs = [(flow.sources, flow.destinations)]
    if flow.arrow == "<->":
        pairs.append((flow.destinations, flow.sources))
    for sources, destinations in pairs:
        for source in _members(lab, sources):
            for target in _targets(lab, destinations, source, flow.family):
                yield source.reaches(target, flow.port or None, within=within)


def _members(lab: "Lab", names: tuple[str, ...]) -> list["Netns"]:
    """Return the namespaces that names stand for: single ones, groups, networks, `all`."""
    found: dict[str, Netns] = {}
    for name in names:
        if name == HOST:
            msg = "the host of a lab has no members that a program could ask"
            raise Unavailable(msg, "make it a namespace, or use `netloom up`")
        plain = name.partition(":")[0]
        some = lab.all() if name == "all" else [lab[plain]] if plain in lab else lab.members(plain)
        found |= {one.name: one for one in some}
    return list(found.values())


def _targets(
    lab: "Lab", names: tuple[str, ...], viewer: "Netns", version: int
) -> Iterator["Netns | str"]:
    outside = {"internet": INTERNET, **lab.topology.hosts}
    for name in names:
        if name in outside:
            wanted = [one for one in outside[name] if version in {0, family(one)}]
            yield from wanted[:1]
        elif ":" in name or is_ip(name):
            yield name
        else:
            yield from (one for one in _members(lab, (name,)) if one.name != viewer.name)
