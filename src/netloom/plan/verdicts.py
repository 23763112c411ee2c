"""What becomes of a kind of packets in the chains of a hook, three-valued: yes, no, perhaps.

A rule counts only where it certainly decides about all the packets asked about. One that decides
about some of them, or that is not understood, is passed over: an accept of that sort does not hide
a drop that follows, and a drop of that sort is somebody's own intent, which no exception of ours
overrides.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from netloom.model.walls import Flow, Match, WallRule, WallTable
from netloom.values import bounds, to_int, width

DOCKER_USER = "DOCKER-USER"
"""Docker's chain for rules of others, which it calls first and never empties."""

POLICY = -1
"""In place of a rule's number: the policy of the chain."""

Ours = Callable[[str, WallRule], bool]
"""Whether a rule of a chain is one of the exceptions themselves, which are not there yet."""


class Probe(NamedTuple):
    """A flow at one state of connection tracking; `icmp` is a type, empty for other protocols."""

    flow: Flow
    state: str
    icmp: str = ""
    dnat: bool = False


class Drop(NamedTuple):
    """Where packets end: in the rule of this number in a chain, or by its policy.

    `through_user`: whether they came by DOCKER-USER before.
    """

    chain: str
    rule: int
    through_user: bool = False


def probes(flow: Flow) -> Iterator[Probe]:
    """Yield what must pass for a flow to pass.

    Neighbour discovery is not tracked (nf_conntrack_icmpv6), so it has no other state.
    """
    dnat = flow.hook == "forward" and bool(flow.port)
    states = ("established",) if flow.established else ("new", "established")
    for state in states:
        if flow.proto == "icmp":
            yield Probe(flow, state, "8")
        elif flow.proto == "ipv6-icmp":
            yield Probe(flow, state, "128")
        else:
            yield Probe(flow, state, dnat=dnat)
    if flow.proto == "ipv6-icmp":
        yield from (Probe(flow, "untracked", kind) for kind in ("135", "136"))


def dropped(table: WallTable, base: str, probe: Probe, ours: Ours) -> Drop | None:
    """Return where a base chain of a table certainly drops a flow, None where it does not."""
    chain = table.chains[base]
    walk = _Walk(table, probe, ours)
    end = walk.through(base, 0)
    if end is None and chain.policy == "drop":
        return Drop(base, POLICY, walk.through_user)
    return end if isinstance(end, Drop) else None


_DEPTH = 128
"""More jumps than the kernel allows (NFT_JUMP_STACK_SIZE is 16), should a text have a circle."""


class _Walk:
    """One flow's way through a table; each chain is gone through once, and its end kept."""

    def __init__(self, table: WallTable, probe: Probe, ours: Ours) -> None:
        self.table = table
        self.probe = probe
        self.ours = ours
        self.through_user = False
        self._ends: dict[str, Drop | bool | None] = {}

    def through(self, name: str, depth: int) -> Drop | bool | None:
        """Return the end in a chain: a drop, True if accepted, None if it goes on after it."""
        if name not in self._ends:
            self._ends[name] = None
            self._ends[name] = self._end(name, depth)
            self.through_user = self.through_user or name == DOCKER_USER
        return self._ends[name]

    def _end(self, name: str, depth: int) -> Drop | bool | None:
        chain = self.table.chains.get(name)
        for number, rule in enumerate(chain.rules if chain and depth < _DEPTH else ()):
            if self.ours(name, rule) or covers(rule, self.probe) is not True:
                continue
            match rule.verdict:
                case "accept":
                    return True
                case "drop":
                    return Drop(name, number, self.through_user)
                case "return":
                    return None
                case "goto":
                    return self.through(rule.target, depth + 1)
                case "jump":
                    end = self.through(rule.target, depth + 1)
                    if end is not None:
                        return end
        return None


def ends_at(table: WallTable, name: str, flow: Flow, ours: Ours) -> int:
    """Return the number of the first rule of a chain after which nothing of it is gone through.

    There an exception must stand before it; `POLICY` where it may stand at the end.
    """
    walks = [_Walk(table, probe, ours) for probe in probes(flow)]
    for number, rule in enumerate(table.chains[name].rules):
        if ours(name, rule) or not rule.verdict:
            continue
        for walk in walks:
            if covers(rule, walk.probe) is True and (
                rule.verdict != "jump" or walk.through(rule.target, 1) is not None
            ):
                return number
    return POLICY


def covers(rule: WallRule, probe: Probe) -> bool | None:
    """Whether a rule is about all packets of a flow (True), none (False), or perhaps some."""
    known = True
    for match in rule.matches:
        answer = _answer(match, probe)
        if answer is not None and answer is match.negated:
            return False
        known = known and answer is not None
    return True if known and rule.clear else None


def _answer(match: Match, probe: Probe) -> bool | None:
    """Return whether one of the values is what the flow has, negation left aside."""
    flow = probe.flow
    match match.key:
        case "iif":
            return _interface(match, flow.iif)
        case "oif":
            return _interface(match, flow.oif)
        case "src":
            return _address(match, flow.src, flow.family)
        case "dst":
            return _address(match, flow.dst, flow.family)
        case "proto":
            return flow.proto in match.values if flow.proto else _any_protocol(match)
        case "dport":
            return _within(match, flow.port)
        case "icmp":
            return probe.icmp in match.values if flow.proto else None
        case _:
            return _other(match, probe)


def _other(match: Match, probe: Probe) -> bool | None:
    values = match.values
    match match.key:
        case "state":
            return probe.state in values or (probe.dnat and "dnat" in values)
        case "status":
            return ("dnat" in values and probe.dnat) or (False if values == ("dnat",) else None)
        case "family":
            return str(probe.flow.family) in values
        case "dsttype":
            return ("local" if probe.flow.hook == "input" else "unicast") in _lower(values)
        case _:
            return None


def _lower(values: tuple[str, ...]) -> set[str]:
    return {value.lower() for value in values}


def _any_protocol(match: Match) -> bool | None:
    return True if "all" in match.values else None


def _interface(match: Match, name: str) -> bool | None:
    if not name:
        return None
    return any(
        name.startswith(value[:-1]) if value.endswith("*") else name == value
        for value in match.values
    )


def _within(match: Match, port: int) -> bool | None:
    if not port:
        return None
    ranges = (value.partition("-") for value in match.values)
    try:
        return any(int(first) <= port <= int(last or first) for first, _, last in ranges)
    except ValueError:  # the name of a service
        return None


def _address(match: Match, prefix: str, family: int) -> bool | None:
    """Compare address ranges: within one of them, apart from all of them, or neither."""
    like = "::" if family == 6 else "0.0.0.0"  # noqa: S104 - an address to count from
    asked = bounds(prefix) if prefix else (0, (1 << width(like)) - 1)
    perhaps = False
    for value in match.values:
        if (":" in value) != (family == 6):
            continue
        first, last = _range(value)
        if first <= asked[0] and asked[1] <= last:
            return True
        perhaps = perhaps or (first <= asked[1] and asked[0] <= last)
    return None if perhaps else False


def _range(value: str) -> tuple[int, int]:
    first, dash, last = value.partition("-")
    return (to_int(first), to_int(last)) if dash else bounds(value)
