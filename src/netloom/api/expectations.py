"""What a lab's `expect:` says, held against real packets."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from netloom.api.probes import Journey
from netloom.errors import Unavailable
from netloom.language.topology import INTERNET, Flow, Topology
from netloom.model.objects import HOST
from netloom.values import family, is_ip

if TYPE_CHECKING:
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


class ProbedLab(Protocol):
    """What is asked of a lab to probe between its namespaces."""

    topology: Topology

    def __getitem__(self, name: str) -> "Netns":
        """Return the namespace of a name."""

    def __contains__(self, name: object) -> bool:
        """Whether there is a namespace of this name."""

    def all(self) -> "tuple[Netns, ...]":
        """Return all namespaces."""

    def members(self, name: str) -> "tuple[Netns, ...]":
        """Return the namespaces of a network or a group; raises `KeyError`."""


def check(lab: ProbedLab, within: float, wait: float) -> list[Outcome]:
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


def _outcome(lab: ProbedLab, flow: Flow, within: float) -> Outcome:
    probes = tuple(_probes(lab, flow, within))
    barred = flow.arrow == "-/>"
    return Outcome(flow.text, probes, all(bool(probe) != barred for probe in probes))


def _probes(lab: ProbedLab, flow: Flow, within: float) -> Iterator[Journey]:
    pairs = [(flow.sources, flow.destinations)]
    if flow.arrow == "<->":
        pairs.append((flow.destinations, flow.sources))
    for sources, destinations in pairs:
        for source in _members(lab, sources):
            for target in _targets(lab, destinations, source, flow.family):
                yield source.reaches(target, flow.port or None, within=within)


def _members(lab: ProbedLab, names: tuple[str, ...]) -> list["Netns"]:
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
    lab: ProbedLab, names: tuple[str, ...], viewer: "Netns", version: int
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
