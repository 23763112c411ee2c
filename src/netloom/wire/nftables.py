"""The JSON of `nft -j list ruleset` (libnftables-json(5)) to tables, chains and rules.

An expression that is understood becomes a condition or a verdict; one that is not leaves its rule
unclear. A verdict map becomes a rule for each of its elements, which exclude each other.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from netloom.model.firewall import FirewallChain, FirewallRule, FirewallTable, Match, Verdict
from netloom.wire.iptsave import PROTOCOLS, prefix_of

_FAMILIES: dict[str, Literal[0, 4, 6]] = {"ip": 4, "ip6": 6, "inet": 0}
_VERDICTS: dict[str, Verdict] = {
    "accept": "accept",
    "drop": "drop",
    "reject": "drop",
    "return": "return",
    "jump": "jump",
    "goto": "goto",
    "continue": "",
    "queue": "accept",  # a program decides, and of that nothing is known
}
_SILENT = {"counter", "log", "mangle", "last", "notrack"}
"""Statements that neither narrow a rule nor decide (nft(8), STATEMENTS)."""

_META = {
    "iifname": "iif",
    "oifname": "oif",
    "iif": "iif",
    "oif": "oif",
    "l4proto": "proto",
    "nfproto": "family",
    "protocol": "family",
}
_PAYLOAD = {
    "saddr": "src",
    "daddr": "dst",
    "dport": "dport",
    "protocol": "proto",
    "nexthdr": "proto",
    "type": "icmp",
}
_LAYERS = {"ip", "ip6", "tcp", "udp", "th", "icmp", "icmpv6"}
_FAMILY_OF = {"ipv4": "4", "ip": "4", "ipv6": "6", "ip6": "6"}
_ICMP = {
    ("icmp", "echo-request"): "8",
    ("icmp", "echo-reply"): "0",
    ("icmpv6", "echo-request"): "128",
    ("icmpv6", "echo-reply"): "129",
    ("icmpv6", "nd-neighbor-solicit"): "135",
    ("icmpv6", "nd-neighbor-advert"): "136",
}

_FIB_DADDR = [("type", "daddr"), ("type", ["daddr"])]
"""`fib daddr type`; a single flag is no list."""

Json = Any
"""What a JSON decoder returns."""

Sets = Mapping[str, Json]
"""The elements of the named sets and maps of a table."""


class _Opaque(Exception):
    """An expression that is not understood."""


def tables(text: str | bytes) -> tuple[FirewallTable, ...]:
    """Return the tables of the families ip, ip6 and inet, each under its name with the family.

    Raises `ValueError` where the text is no ruleset.
    """
    heads: dict[str, Literal[0, 4, 6]] = {}
    sets: dict[str, dict[str, Json]] = {}
    chains: dict[str, dict[str, Json]] = {}
    rules: dict[tuple[str, str], list[Json]] = {}
    for kind, body in _objects(text):
        family = str(body.get("family"))
        if family not in _FAMILIES:
            continue
        table = f"{family} {body.get('name' if kind == 'table' else 'table')}"
        name = str(body.get("name"))
        match kind:
            case "table":
                heads[table] = _FAMILIES[family]
            case "set" | "map":
                sets.setdefault(table, {})[name] = body.get("elem", [])
            case "chain":
                chains.setdefault(table, {})[name] = body
            case "rule":
                rules.setdefault((table, str(body.get("chain"))), []).append(body)
    return tuple(
        FirewallTable(
            "nft",
            family,
            table,
            {
                name: _chain(body, rules.get((table, name), ()), sets.get(table, {}))
                for name, body in chains.get(table, {}).items()
            },
        )
        for table, family in heads.items()
    )


def flagged(text: str | bytes) -> tuple[str, ...]:
    """Return the tables that have flags, such as `dormant`: libnftables 1.0.6 misprints which."""
    return tuple(
        f"{body.get('family')} {body.get('name')}"
        for kind, body in _objects(text)
        if kind == "table" and body.get("flags")
    )


def _objects(text: str | bytes) -> Iterator[tuple[str, dict[str, Json]]]:
    try:
        said = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    listed = said.get("nftables") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        msg = "no ruleset"
        raise ValueError(msg)  # noqa: TRY004 - a text, however it is wrong
    for each in listed:
        if isinstance(each, dict):
            yield from ((kind, body) for kind, body in each.items() if isinstance(body, dict))


def _chain(body: dict[str, Json], rules: Iterable[Json], sets: Sets) -> FirewallChain:
    priority = body.get("prio", 0)
    return FirewallChain(
        rules=tuple(part for rule in rules for part in _rule(rule, sets)),
        hook="" if body.get("type") == "nat" else str(body.get("hook", "")),
        priority=priority if isinstance(priority, int) else 0,
        policy="drop" if body.get("policy") == "drop" else "accept",
    )


def _rule(body: dict[str, Json], sets: Sets) -> Iterator[FirewallRule]:
    """Yield a rule, as several where it has a verdict map."""
    matches: list[Match] = []
    clear = True
    verdicts: list[tuple[list[Match], Verdict, str]] = [([], "", "")]
    exprs = body.get("expr")
    for each in exprs if isinstance(exprs, list) else []:
        kind, value = next(iter(each.items())) if isinstance(each, dict) and each else ("", None)
        try:
            if kind == "match":
                matches += _match(value, sets)
            elif kind == "vmap":
                verdicts = list(_vmap(value, sets))
            elif kind in _VERDICTS:
                verdicts = [([], *_verdict(each))]
            elif kind not in _SILENT:
                clear = False
        except _Opaque:
            clear = False
    comment, place = str(body.get("comment", "")), str(body.get("handle", ""))
    for more, verdict, target in verdicts:
        whole = (*matches, *more)
        yield FirewallRule(verdict, target, tuple(dict.fromkeys(whole)), clear, comment, place)


def _verdict(statement: dict[str, Json]) -> tuple[Verdict, str]:
    kind, value = next(iter(statement.items()), ("", None))
    if kind not in _VERDICTS:
        raise _Opaque
    return _VERDICTS[kind], str(value.get("target", "")) if isinstance(value, dict) else ""


def _vmap(value: Json, sets: Sets) -> Iterator[tuple[list[Match], Verdict, str]]:
    elements = _elements(_of(value, "data"), sets)
    for element in elements:
        if not isinstance(element, list) or len(element) != 2 or not isinstance(element[1], dict):
            raise _Opaque
        yield _conditions(_of(value, "key"), [element[0]]), *_verdict(element[1])


def _of(value: Json, key: str) -> Json:
    if not isinstance(value, dict) or key not in value:
        raise _Opaque
    return value[key]


def _match(value: Json, sets: Sets) -> list[Match]:
    operator = str(_of(value, "op"))
    if operator not in {"==", "!=", "in"}:
        raise _Opaque
    right = _elements(_of(value, "right"), sets)
    return _conditions(_of(value, "left"), right, negated=operator == "!=")


def _elements(right: Json, sets: Sets) -> list[Json]:
    """Return the values that the right side of a comparison stands for."""
    if isinstance(right, dict) and isinstance(right.get("|"), list):
        return list(right["|"])
    if isinstance(right, dict) and isinstance(right.get("set"), list):
        right = right["set"]
    if isinstance(right, str) and right.startswith("@"):
        right = sets.get(right[1:])
        if right is None:
            raise _Opaque
    found = right if isinstance(right, list) else [right]
    return [_of(each["elem"], "val") if _wraps(each) else each for each in found]


def _wraps(element: Json) -> bool:
    return isinstance(element, dict) and isinstance(element.get("elem"), dict)


def _conditions(left: Json, right: list[Json], *, negated: bool = False) -> list[Match]:
    """Return what a comparison asks, together with what its left side implies."""
    key, layer = _key(left)
    values = tuple(_value(key, layer, each) for each in right)
    found = [Match(key, values, negated)]
    if layer in {"tcp", "udp", "icmp"}:
        found.insert(0, Match("proto", (layer,)))
    if layer == "icmpv6":
        found.insert(0, Match("proto", ("ipv6-icmp",)))
    if layer in {"ip", "ip6"}:
        found.insert(0, Match("family", (_FAMILY_OF[layer],)))
    return found


def _key(left: Json) -> tuple[str, str]:
    """Return the name of a condition, and the header it looks at, if it is a header."""
    if not isinstance(left, dict) or len(left) != 1:
        raise _Opaque
    kind, body = next(iter(left.items()))
    if not isinstance(body, dict):
        raise _Opaque
    name = str(body.get("key"))
    if kind == "meta" and name in _META:
        return _META[name], ""
    if kind == "fib" and (body.get("result"), body.get("flags")) in _FIB_DADDR:
        return "dsttype", ""
    if kind == "ct" and name in {"state", "status"} and "dir" not in body:
        return name, ""
    layer, name = str(body.get("protocol")), str(body.get("field"))
    if kind == "payload" and layer in _LAYERS and name in _PAYLOAD:
        return _PAYLOAD[name], layer
    raise _Opaque


def _value(key: str, layer: str, right: Json) -> str:
    if key in {"src", "dst"}:
        return _addresses(right)
    match right:
        case {"range": [int(first), int(last)]} if key == "dport":
            return f"{first}-{last}"
        case str() | int() if key == "icmp":
            return _ICMP.get((layer, str(right)), str(right))
        case str() if key == "family":
            return _FAMILY_OF.get(right, right)
        case str() | int() if key == "proto":
            return PROTOCOLS.get(str(right), str(right))
        case str() | int():
            return str(right)
    raise _Opaque


def _addresses(right: Json) -> str:
    match right:
        case {"prefix": {"addr": str(address), "len": int(length)}}:
            return _prefix(f"{address}/{length}")
        case {"range": [str(first), str(last)]}:
            return f"{_prefix(first).partition('/')[0]}-{_prefix(last).partition('/')[0]}"
        case str(address):
            return _prefix(address)
    raise _Opaque


def _prefix(text: str) -> str:
    try:
        return prefix_of(text)
    except ValueError:
        raise _Opaque from None
