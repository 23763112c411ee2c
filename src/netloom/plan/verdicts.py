"""What becomes of a kind of packets in the chains of a hook, three-valued: yes, no, perhaps.

A rule counts only where it certainly decides about all the packets asked about. One that decides
about some of them, or that is not understood, is passed over: an accept of that sort does not hide
a drop that follows, and a drop of that sort is somebody's own intent, which no exception of ours
overrides.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from netloom.model.firewall import FirewallRule, FirewallTable, Match, Traffic
from netloom.values import bounds, to_int, width

DOCKER_USER = "DOCKER-USER"
"""Docker's chain for rules of others, which it calls first and never empties."""

POLICY = -1
"""In place of a rule's number: the policy of the chain."""

Values = tuple[str, ...]

Ours = Callable[[str, FirewallRule], bool]
"""Whether a rule of a chain is one of the exceptions themselves, which are not there yet."""


class Probe(NamedTuple):
    """A flow at one state of connection tracking; `icmp` is a type, empty for other protocols."""

    flow: Traffic
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


def probes(flow: Traffic) -> Iterator[Probe]:
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


def dropped(table: FirewallTable, base: str, probe: Probe, ours: Ours) -> Drop | None:
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

    def __init__(self, table: FirewallTable, probe: Probe, ours: Ours) -> None:
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


def place_for(table: FirewallTable, name: str, flow: Traffic, ours: Ours) -> int:
    """Return the number of the rule that an exception for a flow must stand before in a chain.

    That is the first that certainly drops it or leaves the chain with it, so that all that is
    decided earlier stays decided; `POLICY` where it may stand at the end.
    """
    numbers = [_end_of(_Walk(table, probe, ours), name) for probe in probes(flow)]
    return min((number for number in numbers if number != POLICY), default=POLICY)


def _end_of(walk: _Walk, name: str) -> int:
    for number, rule in enumerate(walk.table.chains[name].rules):
        if walk.ours(name, rule) or covers(rule, walk.probe) is not True:
            continue
        end = walk.through(rule.target, 1) if rule.verdict in {"jump", "goto"} else None
        if end is True or rule.verdict == "accept":
            return POLICY
        if rule.verdict in {"drop", "return", "goto"} or end is not None:
            return number
    return POLICY


def covers(rule: FirewallRule, probe: Probe) -> bool | None:
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
    answer = _ANSWERS.get(match.key)
    return answer(match.values, probe) if answer else None


def _protocol(values: Values, probe: Probe) -> bool | None:
    if "all" in values:
        return True
    return probe.flow.proto in values if probe.flow.proto else None


def _state(values: Values, probe: Probe) -> bool:
    return probe.state in values or (probe.dnat and "dnat" in values)


def _status(values: Values, probe: Probe) -> bool | None:
    if probe.dnat and "dnat" in values:
        return True
    return False if values == ("dnat",) else None


def _kind_of_address(values: Values, probe: Probe) -> bool:
    kind = "local" if probe.flow.hook == "input" else "unicast"
    return kind in {value.lower() for value in values}


def _interface(values: Values, name: str) -> bool | None:
    if not name:
        return None
    return any(
        name.startswith(value[:-1]) if value.endswith("*") else name == value for value in values
    )


def _within(values: Values, port: int) -> bool | None:
    if not port:
        return None
    ranges = (value.partition("-") for value in values)
    try:
        return any(int(first) <= port <= int(last or first) for first, _, last in ranges)
    except ValueError:  # the name of a service
        return None


def _address(values: Values, prefix: str, family: int) -> bool | None:
    """Compare address ranges: within one of them, apart from all of them, or neither."""
    like = "::" if family == 6 else "0.0.0.0"  # noqa: S104 - an address to count from
    asked = bounds(prefix) if prefix else (0, (1 << width(like)) - 1)
    perhaps = False
    for value in values:
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


_ANSWERS: dict[str, Callable[[Values, Probe], bool | None]] = {
    "iif": lambda values, probe: _interface(values, probe.flow.iif),
    "oif": lambda values, probe: _interface(values, probe.flow.oif),
    "src": lambda values, probe: _address(values, probe.flow.src, probe.flow.family),
    "dst": lambda values, probe: _address(values, probe.flow.dst, probe.flow.family),
    "proto": _protocol,
    "dport": lambda values, probe: _within(values, probe.flow.port),
    "icmp": lambda values, probe: probe.icmp in values if probe.flow.proto else None,
    "state": _state,
    "status": _status,
    "family": lambda values, probe: str(probe.flow.family) in values,
    "dsttype": _kind_of_address,
}
