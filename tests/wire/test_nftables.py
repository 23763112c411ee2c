"""The JSON of `nft -j list ruleset`: what is understood of a rule, and what is not."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.model.firewall import FirewallRule, FirewallTable, Match
from netloom.wire.nftables import flagged, tables

HEAD = [
    {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
    {"table": {"family": "inet", "name": "fw", "handle": 1}},
    {"table": {"family": "bridge", "name": "fw", "handle": 2}},
    {"set": {"family": "inet", "table": "fw", "name": "cards", "elem": ["eth0", "wg*"]}},
    {
        "chain": {
            "family": "inet",
            "table": "fw",
            "name": "forward",
            "handle": 1,
            "type": "filter",
            "hook": "forward",
            "prio": -5,
            "policy": "drop",
        }
    },
    {"chain": {"family": "inet", "table": "fw", "name": "rest", "handle": 2}},
]


def ruleset(*exprs: Any, comment: str = "") -> bytes:
    """Return a ruleset with one rule in its chain `forward`."""
    rule = {"family": "inet", "table": "fw", "chain": "forward", "handle": 9, "expr": exprs}
    more = {"comment": comment} if comment else {}
    return msgspec.json.encode({"nftables": [*HEAD, {"rule": {**rule, **more}}]})


def rules(*exprs: Any) -> tuple[FirewallRule, ...]:
    """Return what a rule comes to."""
    [table] = tables(ruleset(*exprs))
    return table.chains["forward"].rules


def match(left: Any, right: Any, op: str = "==") -> Any:
    """Return a comparison."""
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str) -> Any:
    """Return a left side that looks at a packet's circumstances."""
    return {"meta": {"key": key}}


def payload(protocol: str, field: str) -> Any:
    """Return a left side that looks into a packet."""
    return {"payload": {"protocol": protocol, "field": field}}


STATE = {"ct": {"key": "state"}}
FOUR = Match("family", ("4",))
ACCEPT: dict[str, None] = {"accept": None}


def test_tables_and_chains() -> None:
    """A table bears its family in its name; a chain its hook, priority and policy."""
    [table] = tables(ruleset(ACCEPT, comment="netloom:red"))

    assert (table.tool, table.family, table.name) == ("nft", 0, "inet fw")
    chain = table.chains["forward"]
    assert (chain.hook, chain.priority, chain.policy) == ("forward", -5, "drop")
    assert chain.rules == (FirewallRule("accept", comment="netloom:red", place="9"),)
    assert table.chains["rest"].hook == ""


EIGHT = {"prefix": {"addr": "10.0.0.0", "len": 8}}
RANGE = {"range": ["10.0.0.1", "10.0.0.7"]}
PORTS = {"set": [22, {"range": [80, 90]}]}
TCP, ICMPV6 = Match("proto", ("tcp",)), Match("proto", ("ipv6-icmp",))
REPLIES = Match("state", ("established", "related"))
TO_HOST = {"fib": {"result": "type", "flags": ["daddr"]}}
PLAIN: list[tuple[Any, tuple[Match, ...]]] = [
    (match(meta("iifname"), "lan"), (Match("iif", ("lan",)),)),
    (match(meta("oifname"), {"set": ["a*"]}, "!="), (Match("oif", ("a*",), negated=True),)),
    (match(meta("iifname"), "@cards"), (Match("iif", ("eth0", "wg*")),)),
    (match(STATE, ["established", "related"], "in"), (REPLIES,)),
    (match(STATE, {"|": ["established", "related"]}, "in"), (REPLIES,)),
    (match({"ct": {"key": "status"}}, "dnat", "in"), (Match("status", ("dnat",)),)),
    (match(payload("ip", "saddr"), "10.0.0.1"), (FOUR, Match("src", ("10.0.0.1/32",)))),
    (match(payload("ip", "daddr"), EIGHT), (FOUR, Match("dst", ("10.0.0.0/8",)))),
    (match(payload("ip", "daddr"), RANGE), (FOUR, Match("dst", ("10.0.0.1-10.0.0.7",)))),
    (match(payload("tcp", "dport"), PORTS), (TCP, Match("dport", ("22", "80-90")))),
    (match(meta("l4proto"), 58), (ICMPV6,)),
    (match(meta("nfproto"), "ipv6"), (Match("family", ("6",)),)),
    (match(payload("icmpv6", "type"), "echo-request"), (ICMPV6, Match("icmp", ("128",)))),
    (match(TO_HOST, "local"), (Match("dsttype", ("local",)),)),
    ({"counter": {"packets": 1, "bytes": 1}}, ()),
    ({"log": None}, ()),
]


@pytest.mark.parametrize(("expr", "matches"), PLAIN)
def test_plain_conditions_are_understood(expr: Any, matches: tuple[Match, ...]) -> None:
    """Interfaces, addresses, protocols, ports, states: the rule is clear."""
    [read] = rules(expr, {"reject": {"type": "icmpx", "expr": "admin-prohibited"}})

    assert (read.verdict, read.matches, read.clear) == ("drop", matches, True)


@pytest.mark.parametrize(
    "expr",
    [
        {"limit": {"rate": 5, "per": "second"}},
        {"xt": None},
        match(meta("mark"), 5),
        match(meta("iifname"), "@nowhere"),
        match(payload("tcp", "sport"), 80),
        match({"concat": [meta("iifname"), meta("oifname")]}, {"set": [{"concat": ["a", "b"]}]}),
        match({"&": [meta("mark"), 255]}, 1),
        match(STATE, "new", "<"),
        match(payload("ip", "saddr"), "host.example"),
    ],
)
def test_a_rule_with_anything_else_is_not_clear(expr: Any) -> None:
    """What is not understood is not guessed at."""
    [read] = rules(expr, {"drop": None})

    assert (read.verdict, read.clear) == ("drop", False)


def test_a_verdict_map_is_a_rule_for_each_element() -> None:
    """Each element of a map decides for itself, under the conditions before it."""
    jump = {"jump": {"target": "rest"}}
    pairs = [["established", ACCEPT], ["invalid", {"drop": None}], ["new", jump]]
    vmap = {"vmap": {"key": STATE, "data": {"set": pairs}}}

    read = rules(match(meta("iifname"), "lan"), vmap)

    lan = Match("iif", ("lan",))
    assert [(each.verdict, each.target, each.matches) for each in read] == [
        ("accept", "", (lan, Match("state", ("established",)))),
        ("drop", "", (lan, Match("state", ("invalid",)))),
        ("jump", "rest", (lan, Match("state", ("new",)))),
    ]


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ({"concat": [meta("iifname"), meta("oifname")]}, "@m"),
        (STATE, {"set": [["new", {}]]}),
        (STATE, {"set": [["new", {"log": None}]]}),
    ],
    ids=["concatenation", "no verdict", "no verdict known"],
)
def test_a_map_that_is_not_understood_leaves_the_rule_unclear(key: Any, data: Any) -> None:
    """It decides nothing that could be told."""
    [read] = rules({"vmap": {"key": key, "data": data}})

    assert (read.verdict, read.clear) == ("", False)


def test_tables_with_flags_are_told() -> None:
    """Which flags, libnftables 1.0.6 misprints."""
    table = {"family": "ip", "name": "a", "flags": "x"}
    text = msgspec.json.encode({"nftables": [{"table": table}]})

    assert flagged(text) == ("ip a",)
    assert tables(text) == (FirewallTable("nft", 4, "ip a"),)


WORDS = (
    *("match", "op", "left", "right", "meta", "key", "payload", "protocol", "field", "ct", "set"),
    *(
        "range",
        "prefix",
        "addr",
        "len",
        "vmap",
        "data",
        "jump",
        "target",
        "elem",
        "val",
        "|",
        "fib",
    ),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 70000) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4), JSON)
def test_any_json_is_read_or_refused(exprs: list[Any], other: Any) -> None:
    """Whatever a rule holds, reading it raises nothing; a text that is no ruleset, `ValueError`."""
    tables(ruleset(*exprs))
    try:
        tables(msgspec.json.encode(other))
        tables(msgspec.json.encode({"nftables": [{"table": other}, {"rule": other}, other]}))
    except ValueError:
        pass
