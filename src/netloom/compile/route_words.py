"""Routes and rules in iproute2's words (ip-route(8), ip-rule(8)), with names for addresses.

A text becomes one route for each family that it means: `default via web` is two where the wire to
`web` has both. Every word is known or refused; what iproute2 would fill in is filled in here, so
that what is desired can be compared with what the kernel reports.
"""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from netloom.compile.addressing import Naming
from netloom.language.suggest import did_you_mean
from netloom.model.objects import HOST, MAIN_TABLE, Nexthop, Route, Rule
from netloom.values import Family, family, ip

_TYPES = ("unicast", "blackhole", "unreachable", "prohibit", "throw")
_TABLES = {"default": 253, "main": MAIN_TABLE, "local": 255}
_SCOPES = {"global": 0, "universe": 0, "site": 200, "link": 253, "host": 254}
_METRIC6 = 1024
"""IP6_RT_PRIO_USER (net/ip6_route.h): the metric of an IPv6 route for which none is given."""

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "ipv6-icmp": 58, "sctp": 132}


Near = Callable[[str, str, str, int], str | None]
"""Tells the interface by which a namespace has a gateway near, given what the route says: the
namespace, the gateway, the interface (or none), the table."""

_Towards = Callable[[str, str], str | None]


class _Words:
    """The words of a text, taken one by one."""

    def __init__(self, text: str) -> None:
        self.left = text.split()
        self.left.reverse()

    def __bool__(self) -> bool:
        return bool(self.left)

    def next(self, after: str = "") -> str:
        if not self.left:
            msg = f"`{after}` wants a value" if after else "the text is empty"
            raise ValueError(msg)
        return self.left.pop()

    def peek(self) -> str | None:
        return self.left[-1] if self.left else None

    def number(self, after: str, top: int = 2**32 - 1, base: int = 0) -> int:
        word = self.next(after)
        try:
            number = int(word, base)
        except ValueError:
            number = -1
        if not 0 <= number <= top:
            msg = f"`{after} {word}`: a number from 0 to {top} is wanted"
            raise ValueError(msg)
        return number

    def table(self, after: str) -> int:
        if self.peek() in _TABLES:
            return _TABLES[self.next()]
        return self.number(after)


class _Hop:
    """What a text says of one next hop."""

    def __init__(self) -> None:
        self.via = self.dev = ""
        self.weight = 1
        self.onlink = False

    def take(self, word: str, words: _Words) -> bool:
        """Take a word of a next hop, or leave it."""
        if word == "via":
            word = words.next("via")
            self.via = words.next("via") if word in {"inet", "inet6"} else word
        elif word == "dev":
            self.dev = words.next("dev")
        elif word == "weight":
            self.weight = words.number("weight", 256)
        elif word == "onlink":
            self.onlink = True
        else:
            return False
        return True


class _ParsedRoute:
    """What a text says of a route, before names are looked up."""

    def __init__(self, words: _Words) -> None:
        self.type = words.next() if words.peek() in _TYPES else "unicast"
        self.dst = words.next()
        self.src = ""
        self.numbers: dict[str, int] = {}
        self.hops = [_Hop()]
        while words:
            self.take(words.next(), words)
        if len(self.hops) > 1 and (self.hops[0].via or self.hops[0].dev):
            msg = "either `via` and `dev`, or several `nexthop`, not both"
            raise ValueError(msg)

    def take(self, word: str, words: _Words) -> None:
        if word in _NUMBERS:
            key, top = _NUMBERS[word]
            base = 16 if key == "tos" else 0  # as in rtnl_dsfield_a2n (iproute2)
            self.numbers[key] = (
                words.table(word) if key == "table" else words.number(word, top, base)
            )
        elif word == "scope":
            name = words.next(word)
            self.numbers[word] = (
                _SCOPES[name] if name in _SCOPES else _refuse("scope", name, _SCOPES)
            )
        elif word == "src":
            self.src = ip(words.next(word))
        elif word == "nexthop":
            self.hops.append(_Hop())
        elif word == "vrf":
            msg = "`vrf` in a route is not built yet"
            raise ValueError(msg)
        elif not self.hops[-1].take(word, words):
            known = (*_NUMBERS, "via", "dev", "src", "scope", "onlink", "nexthop", "weight")
            _refuse("route", word, known)

    @property
    def ways(self) -> list[_Hop]:
        """The next hops: those of `nexthop`, or the only one."""
        return self.hops[1:] or self.hops


_NUMBERS = {
    "metric": ("metric", 2**32 - 1),
    "preference": ("metric", 2**32 - 1),
    "priority": ("metric", 2**32 - 1),
    "table": ("table", 2**32 - 1),
    "tos": ("tos", 255),
    "dsfield": ("tos", 255),
    "mtu": ("mtu", 65535),
    "advmss": ("advmss", 65535),
}


def _refuse(where: str, word: str, known: object) -> int:
    assert isinstance(known, dict | tuple)
    hint = did_you_mean(word, known)
    msg = f"`{word}` is no word of a {where}" + (f": {hint}" if hint else "")
    raise ValueError(msg)


def parse_routes(text: str, netns: str, naming: Naming, near: Near | None = None) -> list[Route]:
    """Return the routes that a text means in a namespace; raises `ValueError`.

    `near` tells by which interface a gateway is a neighbour; without it its subnet does.
    """
    parsed = _ParsedRoute(_Words(text))
    _check_source(parsed.src, netns, naming)
    versions = _families(parsed, netns, naming)
    routes = [
        _route(parsed, dst, version, netns, naming, near)
        for version in versions
        for dst in naming.destination(parsed.dst, version)
    ]
    if not routes:
        msg = f"`{parsed.dst}` and the gateway have no address family in common"
        raise ValueError(msg)
    return routes


def _check_source(src: str, netns: str, naming: Naming) -> None:
    """Refuse a source that the namespace does not have, or not on an interface that is up."""
    if not src or netns == HOST:  # the host has addresses of its own
        return
    own = naming.addresses(netns, family(src))
    if src.startswith("127."):  # `lo` has all of these (inet_addr_type)
        return
    if all(address != src or (port and not port.up) for port, address in own):
        msg = f"the source {src} is no address of `{netns}`, or of an interface that is down"
        raise ValueError(msg)


def _families(parsed: _ParsedRoute, netns: str, naming: Naming) -> list[Family]:
    """Return the families that a text means: that of its addresses, or all that its names have."""
    for literal in (parsed.dst, parsed.src, *(hop.via for hop in parsed.ways)):
        if (version := _literal_family(literal)) and literal != "default":
            return [version]
    named = next((hop for hop in parsed.ways if hop.via), None)
    if named is None:
        return [4] if parsed.dst == "default" else [4, 6]
    both: tuple[Family, Family] = (4, 6)
    found = [
        version
        for version in both
        if naming.neighbour(netns, named.via, version, onlink=named.onlink)
    ]
    if not found:
        msg = f"`{netns}` and `{named.via}` share no network or wire with addresses"
        raise ValueError(msg)
    return found


def _literal_family(text: str) -> Family | None:
    try:
        return family(ip(text.partition("/")[0]))
    except ValueError:
        return None


def _route(  # noqa: PLR0913, PLR0917 - what a route is made of
    parsed: _ParsedRoute,
    dst: str,
    version: Family,
    netns: str,
    naming: Naming,
    near: Near | None,
) -> Route:
    numbers = dict(parsed.numbers)
    if version == 6:
        numbers["metric"] = numbers.get("metric") or _METRIC6
        numbers.pop("scope", None)
        numbers.pop("tos", None)
    route = replace(Route(dst=dst, type=parsed.type, src=parsed.src), **numbers)
    if parsed.type != "unicast":
        return replace(route, scope=0)
    table = numbers.get("table", MAIN_TABLE)

    def towards(via: str, dev: str) -> str | None:
        if near:
            return near(netns, via, dev, table)
        found = naming.device_towards(netns, via)
        return found if dev in {"", found} else None

    hops = tuple(sorted(_nexthop(hop, version, netns, naming, towards) for hop in parsed.ways))
    if version == 6 and parsed.hops[1:] and not all(hop.via for hop in hops):
        msg = "each `nexthop` of an IPv6 route leads `via` a gateway (the kernel takes no other)"
        raise ValueError(msg)
    direct = version == 4 and len(hops) == 1 and not hops[0].via
    scope = numbers.get("scope", _SCOPES["link"] if direct else 0)
    return replace(route, nexthops=hops, scope=scope)


def _nexthop(hop: _Hop, version: Family, netns: str, naming: Naming, towards: _Towards) -> Nexthop:
    ports = {port.end.link: port for _, port in naming.ports.get(netns, ())}
    if hop.dev and hop.dev not in (*ports, "lo"):
        hint = did_you_mean(hop.dev, tuple(ports))
        msg = f"no interface `{hop.dev}` in `{netns}`" + (f": {hint}" if hint else "")
        raise ValueError(msg)
    if not hop.via and not hop.dev:
        msg = "a route leads `via` a gateway or out of a `dev`"
        raise ValueError(msg)
    via, dev = _gateway(hop, version, netns, naming, towards) if hop.via else ("", hop.dev)
    if dev in ports and not ports[dev].up:
        msg = f"`{netns}:{dev}` is down, and no route leads out of it"
        raise ValueError(msg)
    return Nexthop(dev=dev, via=via, weight=hop.weight, onlink=hop.onlink)


def _gateway(
    hop: _Hop, version: Family, netns: str, naming: Naming, towards: _Towards
) -> tuple[str, str]:
    """Return the address of a gateway, and the interface that leads to it."""
    literal = _literal_family(hop.via)
    named = None if literal else naming.neighbour(netns, hop.via, version, onlink=hop.onlink)
    if named is None and not literal:
        msg = f"`{netns}` and `{hop.via}` share no IPv{version} subnet"
        raise ValueError(msg)
    via, dev = named or (ip(hop.via), "")
    if any(via == own for _, own in naming.addresses(netns, family(via))):
        _check_own_gateway(hop, via, netns)
    if (hop.dev or dev) and (hop.onlink or via.startswith("fe80:")):
        return via, hop.dev or dev
    found = towards(via, hop.dev)
    if found is None and netns == HOST:
        msg = (
            f"the gateway {via} is on no segment of the lab: netloom makes no routes out of "
            f"the host's own interfaces"
        )
        raise ValueError(msg)
    if found is None:
        where = f"{netns}:{hop.dev}" if hop.dev else netns
        msg = (
            f"the gateway {via} is on no subnet of `{where}`, and no route leads straight to it: "
            f"write `{via} dev {hop.dev or 'IF'}` besides, or `dev {hop.dev or 'IF'} onlink`"
        )
        raise ValueError(msg)
    return via, found


def _check_own_gateway(hop: _Hop, via: str, netns: str) -> None:
    """Refuse an own address as a gateway, but IPv4's with its interface: ARP asks for all then."""
    if ":" in via or hop.onlink:
        msg = f"the gateway {via} is `{netns}` itself, and the kernel takes none that is"
        raise ValueError(msg)
    if not hop.dev:
        msg = (
            f"the gateway {via} is `{netns}` itself, which netloom refuses: write the router's, or "
            f"`via {via} dev IF`, to ask for all addresses by ARP there"
        )
        raise ValueError(msg)


# ── rules ─────────────────────────────────────────────────────────────────────────────────────────

_ACTIONS = ("blackhole", "unreachable", "prohibit")


def parse_rule(text: str, priority: int) -> Rule:
    """Return the rule that a text means, `priority` where it gives none; raises `ValueError`."""
    words = _Words(text)
    facts: dict[str, object] = {"priority": priority}
    versions: set[Family] = set()
    while words:
        word = words.next()
        if word in _ACTIONS:
            facts["action"] = word
        elif word == "not":
            facts["invert"] = True
        elif word in {"from", "to"}:
            _selector("src" if word == "from" else "dst", words.next(word), facts, versions)
        elif word in _RULE_WORDS:
            facts.update(_RULE_WORDS[word](words, word))
        else:
            _refuse("rule", word, (*_RULE_WORDS, *_ACTIONS, "not", "from", "to"))
    if len(versions) > 1:
        msg = "`from` and `to` are of different families"
        raise ValueError(msg)
    if "table" not in facts and "action" not in facts:
        msg = "a rule says `lookup TABLE`, `blackhole`, `unreachable` or `prohibit`"
        raise ValueError(msg)
    return Rule(family=versions.pop() if versions else 4, **facts)  # type: ignore[arg-type]


def _selector(key: str, text: str, facts: dict[str, object], versions: set[Family]) -> None:
    if text in {"all", "any", "default"}:
        return
    address, slash, length = text.partition("/")
    canonical = ip(address)
    versions.add(family(canonical))
    bits = 32 if family(canonical) == 4 else 128
    if slash and (not length.isdecimal() or int(length) > bits):
        msg = f"`/{length}` is no prefix length of an IPv{family(canonical)} address"
        raise ValueError(msg)
    if not slash or int(length):
        facts[key] = f"{canonical}/{length or bits}"


def _mark(words: _Words, word: str) -> Iterator[tuple[str, object]]:
    mark, slash, mask = words.next(word).partition("/")
    try:
        yield "fwmark", int(mark, 0)
        yield "fwmask", int(mask, 0) if slash else 2**32 - 1
    except ValueError:
        msg = f"`{word} {mark}{slash}{mask}` is no mark: write `1` or `0x1/0xff`"
        raise ValueError(msg) from None


def _range(key: str) -> Callable[[_Words, str], Iterator[tuple[str, object]]]:
    def read(words: _Words, word: str) -> Iterator[tuple[str, object]]:
        text = words.next(word)
        low, dash, high = text.partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()) or int(high or low) < int(low):
            msg = f"`{word} {text}` is no range: write a number, or `LOW-HIGH`"
            raise ValueError(msg)
        yield key, (int(low), int(high or low))

    return read


def _protocol(words: _Words, word: str) -> Iterator[tuple[str, object]]:
    if words.peek() in _PROTOCOLS:
        yield "ipproto", _PROTOCOLS[words.next()]
    else:
        yield "ipproto", words.number(word, 255)


_RULE_WORDS: dict[str, Callable[[_Words, str], Iterator[tuple[str, object]]]] = {
    **dict.fromkeys(("lookup", "table"), lambda words, word: iter([("table", words.table(word))])),
    **dict.fromkeys(
        ("priority", "preference", "pref", "prio", "order"),
        lambda words, word: iter([("priority", words.number(word))]),
    ),
    **dict.fromkeys(
        ("tos", "dsfield"), lambda words, word: iter([("tos", words.number(word, 255, 16))])
    ),
    "iif": lambda words, word: iter([("iif", words.next(word))]),
    "oif": lambda words, word: iter([("oif", words.next(word))]),
    "fwmark": _mark,
    "ipproto": _protocol,
    "sport": _range("sport"),
    "dport": _range("dport"),
    "uidrange": _range("uidrange"),
    "suppress_prefixlength": lambda words, word: iter(
        [("suppress_prefixlength", words.number(word, 128))]
    ),
}
