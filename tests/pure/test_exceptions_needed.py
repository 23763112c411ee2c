"""Which exceptions are needed, by laws over random firewalls and by those that people have."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from netloom.model.firewall import (
    BridgeNeed,
    DnatTarget,
    FirewallChain,
    FirewallException,
    FirewallRule,
    FirewallState,
    FirewallTable,
    ForwardNeed,
    Match,
    Traffic,
    UfwRule,
    Verdict,
    comment_of,
)
from netloom.plan.exception_commands import closing, opening, program
from netloom.plan.firewall_exceptions import exceptions, flows, missing, place, standing, there
from netloom.plan.verdicts import DOCKER_USER, dropped, probes

LAB = ForwardNeed("red", "lan", "eth0", ("10.100.0.0/24",), (DnatTarget("10.100.0.2", "tcp", 80),))
BOTH = msgspec.structs.replace(LAB, subnets=("10.100.0.0/24", "fd00::/64"))
MARK = "netloom:red"

DROP = FirewallRule("drop")
OUT = Traffic(4, iif="lan", oif="eth0", src="10.100.0.0/24")
BACK = Traffic(4, iif="eth0", oif="lan", dst="10.100.0.0/24", established=True)
IN = Traffic(4, iif="eth0", oif="lan", dst="10.100.0.2/32", proto="tcp", port=80)
ROUND = msgspec.structs.replace(IN, iif="lan")
ROUND_BACK = msgspec.structs.replace(BACK, iif="lan")
ALL = [OUT, BACK, IN, ROUND, ROUND_BACK]


def rule(verdict: Verdict, target: str = "", *, clear: bool = True, **said: str) -> FirewallRule:
    """Return a rule with conditions by their names; several values stand between commas."""
    matches = tuple(Match(key, tuple(text.split(","))) for key, text in said.items())
    return FirewallRule(verdict, target, matches, clear)


def forward(
    *rules: FirewallRule, policy: Verdict = "accept", **chains: FirewallChain
) -> FirewallState:
    """Return a firewall that is one chain FORWARD of iptables, and the chains that it calls."""
    base = FirewallChain(rules, "forward", 0, policy)
    named = {name.replace("_", "-"): chain for name, chain in chains.items()}
    return FirewallState((FirewallTable("iptables-nft", 4, "filter", {"FORWARD": base, **named}),))


def opened(firewall: FirewallState) -> list[Traffic]:
    """Return the flows that are to be opened."""
    return [exception.flow for exception in exceptions(firewall, LAB)]


# ── laws ──────────────────────────────────────────────────────────────────────────────────

CONDITIONS = {
    "iif": ("lan", "eth0", "docker0", "l*"),
    "oif": ("lan", "eth0", "virbr0"),
    "src": ("10.100.0.0/24", "10.0.0.0/8", "10.100.0.7/32", "192.0.2.0/24", "0.0.0.0/0"),
    "dst": ("10.100.0.0/24", "10.100.0.2/32", "10.100.0.1-10.100.0.9", "0.0.0.0/0"),
    "proto": ("tcp", "udp", "icmp"),
    "dport": ("80", "50-90", "443"),
    "state": ("new", "established", "related", "invalid"),
    "status": ("dnat",),
    "icmp": ("8", "0"),
    "unheard": ("of",),
}
CHAINS = ("A", "B", DOCKER_USER)


@st.composite
def _matches(draw: st.DrawFn) -> Match:
    key = draw(st.sampled_from(sorted(CONDITIONS)))
    values = draw(st.lists(st.sampled_from(CONDITIONS[key]), min_size=1, max_size=2))
    return Match(key, tuple(values), draw(st.booleans()))


def _rules(targets: tuple[str, ...]) -> st.SearchStrategy[FirewallRule]:
    plain: list[Verdict] = ["accept", "drop", "return", ""]
    jumps: list[Verdict] = ["jump", "goto"]
    matches = st.lists(_matches(), max_size=2).map(tuple)
    one = st.builds(FirewallRule, st.sampled_from(plain), matches=matches, clear=st.booleans())
    if not targets:
        return one
    other = st.builds(FirewallRule, st.sampled_from(jumps), st.sampled_from(targets), matches)
    return one | other


@st.composite
def worlds(draw: st.DrawFn) -> FirewallState:
    """Draw a firewall of a few tables, whose chains call those that come after them."""
    tables = []
    for name in draw(st.sampled_from((("filter",), ("filter", "mangle")))):
        chains = {
            each: FirewallChain(tuple(draw(st.lists(_rules(CHAINS[at + 1 :]), max_size=4))))
            for at, each in enumerate(CHAINS)
        }
        for hook in ("forward", "input", "output"):
            rules = tuple(draw(st.lists(_rules(CHAINS), max_size=4)))
            policy: Verdict = draw(st.sampled_from(("accept", "drop")))
            chains[hook.upper()] = FirewallChain(rules, hook, 0, policy)
        tables.append(FirewallTable("iptables-nft", 4, name, chains))
    return FirewallState(tuple(tables))


def put(firewall: FirewallState, exception: FirewallException) -> FirewallState:
    """Return the firewall with an exception in its place, as its tool would put it."""
    at = place(firewall, exception)
    assert at is not None
    conditions = {
        "iif": exception.flow.iif,
        "oif": exception.flow.oif,
        "src": exception.flow.src,
        "dst": exception.flow.dst,
        "proto": exception.flow.proto,
        "dport": str(exception.flow.port or ""),
        "state": "related,established" if exception.flow.established else "",
    }
    said = ((key, tuple(text.split(","))) for key, text in conditions.items() if text)
    matches = tuple(Match(key, values) for key, values in said)
    new = FirewallRule("accept", matches=matches, comment=exception.comment)
    tables = []
    for table in firewall.tables:
        chains = dict(table.chains)
        if table.name == exception.table:
            old = chains[exception.chain]
            number = at[0] - 1 if at[0] else len(old.rules)
            rules = (*old.rules[:number], new, *old.rules[number:])
            chains[exception.chain] = msgspec.structs.replace(old, rules=rules)
        tables.append(msgspec.structs.replace(table, chains=chains))
    return msgspec.structs.replace(firewall, tables=tuple(tables))


@given(worlds())
def test_what_is_opened_lets_all_pass_that_was_dropped(firewall: FirewallState) -> None:
    """With all exceptions in place nothing that must pass certainly ends in any chain."""
    for exception in exceptions(firewall, LAB):
        firewall = put(firewall, exception)

    ends = [
        dropped(table, name, probe, lambda *_: False)
        for table in firewall.tables
        for name, chain in table.chains.items()
        for flow in flows(LAB)
        if chain.hook == flow.hook
        for probe in probes(flow)
    ]
    assert set(ends) <= {None}


@given(worlds())
def test_what_is_needed_does_not_depend_on_what_is_open(firewall: FirewallState) -> None:
    """Exceptions are looked through: a converged firewall asks for the same, nothing is missing.

    Each is told as open, and found by what removes it.
    """
    needed = exceptions(firewall, LAB)
    for number, exception in enumerate(needed):
        assert missing(needed, there(firewall, "red")) == needed[number:]
        firewall = put(firewall, exception)

    assert exceptions(firewall, LAB) == needed
    assert set(there(firewall, "red")) == set(needed)
    assert there(firewall, "blue") == ()
    assert all(len(standing(firewall, exception)) == 1 for exception in needed)


@given(worlds())
def test_an_exception_is_its_own_json(firewall: FirewallState) -> None:
    """Exceptions are values: hashable, ordered, and as JSON what they were."""
    needed = exceptions(firewall, LAB)

    text = msgspec.json.encode(needed)

    assert msgspec.json.decode(text, type=tuple[FirewallException, ...]) == needed
    assert len({*needed}) == len(sorted(needed)) == len(needed)


# ── what people have ─────────────────────────────────────────────────────────────────────


def test_nothing_is_opened_where_nothing_drops() -> None:
    """A chain that accepts, or drops what is not ours, needs no exception."""
    assert exceptions(FirewallState(), LAB) == ()
    assert opened(forward()) == []
    assert opened(forward(rule("drop", oif="virbr0"), rule("drop", state="invalid"))) == []
    assert opened(forward(rule("accept"), policy="drop")) == []


def test_a_drop_of_some_packets_is_somebodys_intent() -> None:
    """What is dropped only in part, or by conditions that nobody understands, stays dropped."""
    assert opened(forward(rule("drop", proto="udp"), rule("drop", clear=False))) == []
    assert opened(forward(rule("drop", dst="192.0.2.0/24"))) == []


def test_an_accept_that_is_not_understood_hides_no_drop() -> None:
    """A policy counts, and a final drop, whatever stands before them in part."""
    doubtful = rule("accept", clear=False)

    assert opened(forward(doubtful, policy="drop")) == ALL
    assert opened(forward(doubtful, rule("accept", proto="tcp", dport="443"), DROP)) == ALL


def test_only_what_is_dropped_is_opened() -> None:
    """Where replies pass already, or DNATed packets, no exception is made for them."""
    replies = rule("accept", state="established,related")

    assert opened(forward(replies, policy="drop")) == [OUT, IN, ROUND]
    assert opened(forward(replies, rule("accept", status="dnat"), policy="drop")) == [OUT]


def test_an_exception_stands_behind_what_is_dropped_on_purpose() -> None:
    """It goes in right before the drop that ends all, after the drops of some packets."""
    firewall = forward(rule("drop", proto="tcp", dport="25"), rule("accept", iif="wg0"), DROP)
    [exception, *_] = exceptions(firewall, LAB)

    at = place(firewall, exception)

    assert at == (3, DROP)
    assert opening(exception, at)[:6] == ("iptables-nft", "-w", "-t", "filter", "-I", "FORWARD")


def test_a_drop_in_a_called_chain_is_opened_there() -> None:
    """Jumps are followed; the exception stands in the chain that drops."""
    firewall = forward(rule("jump", "REST"), REST=FirewallChain((rule("return", iif="wg0"), DROP)))

    assert {exception.chain for exception in exceptions(firewall, LAB)} == {"REST"}


def test_docker_has_a_chain_for_exceptions() -> None:
    """Where packets came by DOCKER-USER it is used, before the return at its end."""
    firewall = forward(
        rule("jump", DOCKER_USER),
        rule("jump", "DOCKER-FORWARD"),
        policy="drop",
        DOCKER_USER=FirewallChain((rule("drop", src="192.0.2.66/32"), rule("return"))),
        DOCKER_FORWARD=FirewallChain((rule("accept", iif="docker0"),)),
    )
    needed = exceptions(firewall, LAB)

    assert {(exception.chain, exception.owner) for exception in needed} == {(DOCKER_USER, "docker")}
    assert place(firewall, needed[0]) == (2, rule("return"))


def test_each_base_chain_that_drops_gets_its_own() -> None:
    """Base chains of one hook are all traversed, whatever their priorities and their tools."""
    chain = FirewallChain((), "forward", 0, "drop")
    firewall = FirewallState(
        (
            FirewallTable("iptables-legacy", 4, "filter", {"FORWARD": chain}),
            FirewallTable("nft", 0, "inet filter", {"forward": chain}),
            FirewallTable("nft", 6, "ip6 filter", {"forward": chain}),
            FirewallTable("nft", 0, "inet netloom-red", {"guard": chain}),
        )
    )

    found = {(p.tool, p.table, p.flow.family) for p in exceptions(firewall, BOTH)}

    assert found == {
        ("iptables-legacy", "filter", 4),
        ("nft", "inet filter", 4),
        ("nft", "inet filter", 6),
        ("nft", "ip6 filter", 6),
    }


def test_members_may_ask_the_host_for_names_and_neighbours() -> None:
    """The host's own chains get replies, ICMP and its services, and let the host answer."""
    chain = FirewallChain((), "input", 0, "drop")
    firewall = FirewallState((FirewallTable("nft", 0, "inet filter", {"input": chain}),))

    found = [p.flow for p in exceptions(firewall, BOTH) if p.flow.family == 6]

    assert found == [
        Traffic(6, iif="lan", src="fd00::/64", established=True),
        Traffic(6, iif="lan", proto="ipv6-icmp"),
        Traffic(6, iif="lan", src="fd00::/64", proto="udp", port=53),
        Traffic(6, iif="lan", src="fd00::/64", proto="tcp", port=53),
    ]


def test_two_networks_of_a_lab_share_what_they_both_need() -> None:
    """One interface and two ways out: what the host itself lets in is one set of exceptions."""
    chain = FirewallChain((), "input", 0, "drop")
    firewall = FirewallState((FirewallTable("nft", 4, "ip filter", {"input": chain}),))

    other = msgspec.structs.replace(LAB, uplink="eth1")

    assert exceptions(firewall, LAB) == exceptions(firewall, other)


def test_an_exception_that_a_drop_was_put_before_is_none() -> None:
    """It is told apart from those that have an effect: so it is missing, and goes at the end."""
    firewall = forward(policy="drop")
    for exception in exceptions(firewall, LAB):
        firewall = put(firewall, exception)
    [table] = firewall.tables
    base = table.chains["FORWARD"]
    late = forward(DROP, *base.rules, policy="drop")

    assert {exception.behind for exception in there(firewall, "red")} == {False}
    assert {exception.behind for exception in there(late, "red")} == {True}
    assert missing(exceptions(late, LAB), there(late, "red")) == exceptions(late, LAB)


def test_why_an_exception_is_there_is_told_in_a_few_words() -> None:
    """What its owner drops otherwise, by the interfaces that people know."""
    told = {
        OUT: "lan to eth0",
        BACK: "replies, eth0 to lan",
        IN: "tcp 80, eth0 to lan",
        Traffic(4, iif="lan", proto="udp", port=53): "udp 53, lan to the host",
        Traffic(6, oif="lan", proto="ipv6-icmp"): "ipv6-icmp, the host to lan",
    }

    assert {flow: FirewallException("ufw", "", "", flow, MARK).dropped for flow in told} == told
    zone = FirewallException("firewall-cmd", "", "trusted", Traffic(0, iif="lan"), MARK)
    assert zone.dropped == "what comes from lan"


def test_commands_are_what_a_person_would_type() -> None:
    """Each tool's own words, with the comment; to close it, the same without."""
    said = {
        tool: (opening(exception), closing(exception))
        for tool, exception in {
            "iptables": FirewallException("iptables-legacy", "filter", "FORWARD", BACK, MARK),
            "nft": FirewallException("nft", "inet filter", "forward", IN, MARK),
            "ufw": FirewallException("ufw", "", "", IN, MARK),
            "host": FirewallException(
                "ufw", "", "", Traffic(4, iif="lan", proto="udp", port=53), MARK
            ),
            "firewalld": FirewallException(
                "firewall-cmd", "", "trusted", Traffic(0, iif="lan"), MARK
            ),
        }.items()
    }

    assert {tool: " ".join(put) for tool, (put, _) in said.items()} == {
        "iptables": "iptables-legacy -w -t filter -A FORWARD -i eth0 -o lan -d 10.100.0.0/24 "
        "-m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment netloom:red -j ACCEPT",
        "nft": 'nft add rule inet filter forward iifname "eth0" oifname "lan" '
        'ip daddr 10.100.0.2/32 tcp dport 80 accept comment "netloom:red"',
        "ufw": "ufw route allow in on eth0 out on lan from any to 10.100.0.2/32 "
        "port 80 proto tcp comment netloom:red",
        "host": "ufw allow in on lan from any to any port 53 proto udp comment netloom:red",
        "firewalld": "firewall-cmd --zone=trusted --add-interface=lan",
    }
    assert " ".join(said["iptables"][1]).startswith("iptables-legacy -w -t filter -D FORWARD -i ")
    assert " ".join(said["ufw"][1]).startswith("ufw route delete allow in on eth0 out on lan")
    assert program(FirewallException("nft", "ip a", "b", OUT, MARK)) == "nft"


def test_comments_of_long_names_are_short_and_differ() -> None:
    """Rules of nft take 127 bytes; labs whose names begin alike have comments of their own."""
    one, other = (comment_of("x" * 200 + end) for end in "ab")

    assert one != other
    assert len(one.encode()) <= 127 >= len(other.encode())
    assert comment_of("red") == MARK


# ── what crosses a bridge ─────────────────────────────────────────────────────────────────


def test_what_crosses_a_bridge_is_opened_where_a_firewall_sees_it() -> None:
    """All of it on the lab's own, the lab's addresses on somebody's, nothing where none sees it."""
    own, guest = BridgeNeed("red", "br7"), BridgeNeed("red", "br0", ("10.1.0.7", "fd00::7"))
    firewall = forward(policy="drop")
    seen = msgspec.structs.replace(firewall, bridged=frozenset({4}))
    assert exceptions(firewall, own) == ()
    assert [each.flow for each in exceptions(seen, own)] == [Traffic(4, iif="br7", oif="br7")]
    assert [each.flow for each in exceptions(seen, guest)] == [
        Traffic(4, iif="br0", oif="br0", src="10.1.0.7/32"),
        Traffic(4, iif="br0", oif="br0", dst="10.1.0.7/32"),
    ]


def test_ufw_opens_both_families_where_no_address_tells_one() -> None:
    """Asked for once, and known again by either of the two rules that ufw makes of it."""
    chains = {
        "ufw-before-forward": FirewallChain(),
        "FORWARD": FirewallChain((), "forward", 0, "drop"),
    }
    table = FirewallTable("iptables-nft", 4, "filter", chains)
    shut = FirewallState((table,), bridged=frozenset({4}))
    (wanted,) = exceptions(shut, BridgeNeed("red", "br7"))
    assert wanted.flow == Traffic(0, iif="br7", oif="br7")
    noted = tuple(UfwRule(MARK, Traffic(n, iif="br7", oif="br7")) for n in (4, 6))
    found = there(msgspec.structs.replace(shut, ufw=noted), "red")
    assert found == (wanted,)
