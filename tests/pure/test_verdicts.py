"""What becomes of packets in chains, held against one packet after the other.

The witness knows no third answer: it tries a rule on every packet of a small world, and lets a
packet through chains as nft(8) has it. A rule counts where it is about all packets of a flow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.model.firewall import (
    FirewallChain,
    FirewallRule,
    FirewallTable,
    Match,
    Traffic,
    Verdict,
)
from netloom.plan.verdicts import (
    DOCKER_USER,
    POLICY,
    Drop,
    Probe,
    covers,
    dropped,
    place_for,
    probes,
)


@dataclass(frozen=True)
class Packet:
    """What a rule may look at."""

    iif: str
    oif: str
    src: str
    dst: str
    proto: str
    dport: int
    probe: Probe


LINKS = ("lan", "eth0", "docker0")
ADDRESSES = {
    4: ("10.100.0.0", "10.100.0.2", "10.100.0.9", "10.100.0.10", "10.100.0.255", "192.0.2.1"),
    6: ("fd00::", "fd00::2", "fd00::9", "fd00::ffff:ffff:ffff:ffff", "2001:db8::1"),
}
PROTOCOLS = ("tcp", "udp", "icmp", "ipv6-icmp")
PORTS = (22, 49, 50, 80, 90, 91)
FLOWS = (
    Traffic(4, iif="lan", oif="eth0", src="10.100.0.0/24"),
    Traffic(4, iif="eth0", oif="lan", dst="10.100.0.0/24", established=True),
    Traffic(4, iif="eth0", oif="lan", dst="10.100.0.2/32", proto="tcp", port=80),
    Traffic(4, iif="lan", src="10.100.0.0/24", proto="icmp"),
    Traffic(4, iif="lan", proto="udp", port=50),
    Traffic(4, oif="lan", dst="10.100.0.0/24"),
    Traffic(6, iif="lan", oif="eth0", src="fd00::/64"),
    Traffic(6, iif="eth0", oif="lan", dst="fd00::2/128", proto="tcp", port=90),
    Traffic(6, iif="lan", proto="ipv6-icmp"),
    Traffic(6, iif="lan", proto="tcp"),
)
ALL_PROBES = [probe for flow in FLOWS for probe in probes(flow)]
TYPES = {"ipv6-icmp": "128", "icmp": "8"}


@cache
def packets(probe: Probe) -> tuple[Packet, ...]:
    """Return all packets that are of a flow."""
    flow = probe.flow
    known = ADDRESSES[flow.family or 4]
    sources = [one for one in known if not flow.src or ip_address(one) in ip_network(flow.src)]
    targets = [one for one in known if not flow.dst or ip_address(one) in ip_network(flow.dst)]
    facts = product(
        [flow.iif] if flow.iif else LINKS,
        [flow.oif] if flow.oif else LINKS,
        sources,
        targets,
        [flow.proto] if flow.proto else PROTOCOLS,
        [flow.port] if flow.port else PORTS,
    )
    return tuple(Packet(*each, probe) for each in facts)


# ── one rule ──────────────────────────────────────────────────────────────────────────────────────


def matches(match: Match, packet: Packet) -> bool:
    """Whether one of the values of a condition is the packet's."""
    return any(_has(match.key, value, packet) for value in match.values) is not match.negated


def _has(key: str, value: str, packet: Packet) -> bool:  # noqa: PLR0911 - a table
    match key:
        case "iif" | "oif":
            name = getattr(packet, key)
            return name.startswith(value[:-1]) if value[-1] == "*" else bool(name == value)
        case "src" | "dst":
            return _lies(getattr(packet, key), value)
        case "proto":
            return value in {packet.proto, "all"}
        case "dport":
            first, _, last = value.partition("-")
            return int(first) <= packet.dport <= int(last or first)
        case "state":
            return value == packet.probe.state or (value == "dnat" and packet.probe.dnat)
        case "status":
            return packet.probe.dnat
        case "icmp":
            return value == packet.probe.icmp and packet.proto == packet.probe.flow.proto
        case "family":
            return value == str(ip_address(packet.dst).version)
        case "dsttype":
            return value.lower() == ("local" if packet.probe.flow.hook == "input" else "unicast")
    raise AssertionError(key)


def _lies(address: str, value: str) -> bool:
    if "-" in value:
        first, last = map(ip_address, value.split("-"))
        one = ip_address(address)
        return one.version == first.version and int(first) <= int(one) <= int(last)
    return ip_address(address) in ip_network(value)


@cache
def about(rule: FirewallRule, probe: Probe) -> bool | None:
    """Return whether a rule is about all packets of a flow, none of them, or some."""
    if any(not any(matches(match, each) for each in packets(probe)) for match in rule.matches):
        return False
    whole = all(matches(match, each) for match in rule.matches for each in packets(probe))
    return True if whole and rule.clear else None


MATCHES = (
    Match("iif", ("lan",)),
    Match("iif", ("docker0", "eth*")),
    Match("oif", ("eth0",)),
    Match("oif", ("l*",)),
    Match("src", ("10.100.0.0/24",)),
    Match("src", ("10.0.0.0/8",)),
    Match("src", ("10.100.0.2/32", "192.0.2.0/24")),
    Match("src", ("0.0.0.0/0",)),
    Match("src", ("fd00::/64",)),
    Match("dst", ("10.100.0.2/32",)),
    Match("dst", ("10.100.0.2-10.100.0.9",)),
    Match("dst", ("10.100.0.0-10.100.0.255",)),
    Match("dst", ("10.100.0.10-192.0.2.1", "10.100.0.2/32")),
    Match("dst", ("fd00::2-fd00::9",)),
    Match("dst", ("fd00::/128", "10.100.0.0/24")),
    Match("proto", ("tcp",)),
    Match("proto", ("udp", "icmp")),
    Match("proto", ("all",)),
    Match("proto", ("ipv6-icmp",)),
    Match("dport", ("80",)),
    Match("dport", ("50-90",)),
    Match("dport", ("22", "91")),
    Match("state", ("new",)),
    Match("state", ("established", "related")),
    Match("state", ("dnat",)),
    Match("state", ("untracked",)),
    Match("status", ("dnat",)),
    Match("family", ("4",)),
    Match("family", ("6",)),
    Match("dsttype", ("LOCAL",)),
    Match("dsttype", ("unicast", "multicast")),
)


@pytest.mark.parametrize(
    "match", MATCHES, ids=lambda match: f"{match.key}={','.join(match.values)}"
)
@pytest.mark.parametrize("negated", [False, True], ids=["is", "not"])
def test_a_condition_is_about_all_packets_of_a_flow_or_none_or_some(
    match: Match, *, negated: bool
) -> None:
    """Each kind of condition, on each flow, with what any packet says."""
    rule = FirewallRule("drop", matches=(Match(match.key, match.values, negated),))

    assert {each: covers(rule, each) for each in ALL_PROBES} == {
        each: about(rule, each) for each in ALL_PROBES
    }


def test_a_rule_is_about_what_all_its_conditions_are_about() -> None:
    """One that is about nothing decides; one that is not understood leaves it open."""
    (probe,) = [*probes(FLOWS[1])]
    whole, none = Match("iif", ("eth0",)), Match("iif", ("lan",))
    some, unheard = Match("proto", ("tcp",)), Match("unheard", ("of",))

    def told(*matches: Match, clear: bool = True) -> bool | None:
        return covers(FirewallRule("drop", matches=matches, clear=clear), probe)

    assert [told(), told(whole), told(some), told(none)] == [True, True, None, False]
    assert [told(whole, some), told(some, none), told(whole, unheard)] == [None, False, None]
    assert [told(clear=False), told(none, clear=False), told(unheard, none)] == [None, False, False]


def test_some_conditions_say_nothing_that_is_understood() -> None:
    """A service by its name, an unknown status, a type of ICMP where the protocol is open."""
    out, _, published, ping, *_ = (next(probes(flow)) for flow in FLOWS)

    def told(probe: Probe, key: str, *values: str) -> bool | None:
        return covers(FirewallRule("drop", matches=(Match(key, values),)), probe)

    assert told(published, "dport", "http") is None
    assert told(published, "dport", "80", "http") is True
    assert [told(published, "status", "dnat", "snat"), told(out, "status", "snat")] == [True, None]
    assert [told(each, "icmp", "8") for each in (out, published, ping)] == [None, False, True]


def test_what_must_pass_for_a_flow_to_pass() -> None:
    """New connections and known ones; by DNAT to a published port; neighbours are not tracked."""
    told = {
        flow: [(each.state, each.icmp, each.dnat) for each in probes(flow)] for flow in FLOWS[1:]
    }

    assert told[FLOWS[1]] == [("established", "", False)]
    assert told[FLOWS[2]] == [("new", "", True), ("established", "", True)]
    assert told[FLOWS[3]] == [("new", "8", False), ("established", "8", False)]
    assert told[FLOWS[4]] == [("new", "", False), ("established", "", False)]
    assert told[FLOWS[8]] == [
        ("new", "128", False),
        ("established", "128", False),
        ("untracked", "135", False),
        ("untracked", "136", False),
    ]


# ── chains ────────────────────────────────────────────────────────────────────────────────────────

CHAINS = ("A", DOCKER_USER, "B", "C")


def ours(chain: str, rule: FirewallRule) -> bool:
    """Whether a rule is an exception, which is looked through."""
    return rule.comment == "ours" and bool(chain)


def rules(targets: Sequence[str]) -> st.SearchStrategy[FirewallRule]:
    """Draw a rule that may call one of the targets."""
    plain: list[Verdict] = ["accept", "drop", "return", ""]
    matched = st.lists(st.sampled_from(MATCHES), max_size=1).map(tuple)
    comment = st.sampled_from(("", "", "ours"))
    one = st.builds(
        FirewallRule,
        st.sampled_from(plain),
        matches=matched,
        clear=st.sampled_from((True, True, False)),
        comment=comment,
    )
    calls: list[Verdict] = ["jump", "jump", "goto"]
    other = st.builds(
        FirewallRule,
        st.sampled_from(calls),
        st.sampled_from(targets or ("nowhere",)),
        matched,
        comment=comment,
    )
    return one | other | other


@st.composite
def tables(draw: st.DrawFn) -> FirewallTable:
    """Draw a table of a base chain, and of chains that call those after them."""
    chains = {
        name: FirewallChain(tuple(draw(st.lists(rules(CHAINS[at + 1 :]), max_size=3))))
        for at, name in enumerate(CHAINS)
    }
    policy: Verdict = draw(st.sampled_from(("accept", "drop")))
    base = tuple(draw(st.lists(rules(CHAINS), max_size=4)))
    return FirewallTable(
        "nft", 4, "filter", {"base": FirewallChain(base, "forward", 0, policy), **chains}
    )


class Way:
    """One packet's way through a table, as nft(8) has it."""

    def __init__(self, table: FirewallTable, probe: Probe) -> None:
        """Begin at the start."""
        self.table = table
        self.probe = probe
        self.by_docker_user = False

    def through(self, name: str) -> tuple[Verdict, Drop]:
        """Return what ends in a chain, and where: `return` if the packet goes on after it."""
        end: tuple[Verdict, Drop] = ("return", Drop(name, POLICY))
        for number, rule in enumerate(self.rules(name)):
            if about(rule, self.probe) is not True or ours(name, rule):
                continue
            if rule.verdict in ("accept", "drop", "return"):
                end = (rule.verdict, Drop(name, number, self.by_docker_user))
                break
            if rule.target:
                inner = self.through(rule.target)
                if rule.verdict == "goto" or inner[0] != "return":
                    end = inner
                    break
        self.by_docker_user |= name == DOCKER_USER
        return end

    def rules(self, name: str) -> tuple[FirewallRule, ...]:
        """Return the rules of a chain, none where it is not there."""
        return self.table.chains[name].rules if name in self.table.chains else ()


@given(tables(), st.sampled_from(ALL_PROBES))
def test_packets_end_where_one_packet_ends(table: FirewallTable, probe: Probe) -> None:
    """By jumps, gotos and returns, in a rule or by the policy, with or without DOCKER-USER."""
    way = Way(table, probe)
    verdict, end = way.through("base")
    if verdict == "return":
        verdict, end = table.chains["base"].policy, Drop("base", POLICY, way.by_docker_user)

    assert dropped(table, "base", probe, ours) == (end if verdict == "drop" else None)


@given(tables(), st.sampled_from(FLOWS), st.sampled_from(("base", *CHAINS)))
def test_an_exception_stands_before_the_first_rule_that_would_end_the_flow(
    table: FirewallTable, flow: Traffic, name: str
) -> None:
    """Or lead it out of the chain; at the end where nothing does, or all is accepted."""
    places = []
    for probe in probes(flow):
        for number, rule in enumerate(table.chains[name].rules):
            if about(rule, probe) is not True or ours(name, rule):
                continue
            inner = Way(table, probe).through(rule.target)[0] if rule.target else "return"
            if "accept" in (rule.verdict, inner):
                break
            if rule.verdict in ("drop", "return", "goto") or inner == "drop":
                places.append(number)
                break

    assert place_for(table, name, flow, ours) == min(places, default=POLICY)


def test_where_an_exception_stands_beside_chains_that_are_called() -> None:
    """Not before a call that accepts; before one that drops, and before a goto that does not."""
    accept, drop = FirewallRule("accept"), FirewallRule("drop")

    def number(verdict: Verdict, *inner: FirewallRule) -> int:
        base = FirewallChain((FirewallRule(""), FirewallRule(verdict, "A"), drop), "forward")
        chains = {"base": base, "A": FirewallChain(inner)}
        return place_for(FirewallTable("nft", 4, "t", chains), "base", FLOWS[1], ours)

    assert [number("jump"), number("jump", accept), number("jump", drop)] == [2, POLICY, 1]
    assert [number("goto"), number("goto", accept), number("goto", drop)] == [1, POLICY, 1]
    assert [number("jump", FirewallRule("return"), drop), number("drop")] == [2, 1]


def test_docker_s_chain_for_others_counts_once_it_was_gone_through() -> None:
    """A drop in it was not reached by it; one after it was."""
    (probe,) = [*probes(FLOWS[1])]
    drop, user = FirewallRule("drop"), FirewallRule("jump", DOCKER_USER)

    def end(
        inner: tuple[FirewallRule, ...], *rules: FirewallRule, policy: Verdict = "accept"
    ) -> Drop | None:
        chains = {
            "base": FirewallChain(rules, "forward", 0, policy),
            DOCKER_USER: FirewallChain(inner),
        }
        return dropped(FirewallTable("nft", 4, "t", chains), "base", probe, ours)

    assert end((), user, drop) == Drop("base", 1, through_user=True)
    assert end((), user, policy="drop") == Drop("base", POLICY, through_user=True)
    assert end((drop,), user, drop) == Drop(DOCKER_USER, 0)
    assert end((), drop, user) == Drop("base", 0)


def test_a_circle_of_chains_ends() -> None:
    """No kernel has one; a text may."""
    (probe,) = [*probes(FLOWS[1])]
    chains = {
        "base": FirewallChain((FirewallRule("jump", "A"), FirewallRule("drop")), "forward"),
        "A": FirewallChain((FirewallRule("jump", "B"),)),
        "B": FirewallChain((FirewallRule("jump", "A"),)),
    }

    assert dropped(FirewallTable("nft", 4, "t", chains), "base", probe, ours) == Drop("base", 1)
