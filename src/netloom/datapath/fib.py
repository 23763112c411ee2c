"""Where the kernel sends a packet: by policy rules to tables, in each by the longest prefix.

ip-rule(8), ip-route(8); net/core/fib_rules.c, net/ipv4/fib_trie.c, net/ipv6/ip6_fib.c. Every
gateway is taken for reachable and every way of a multipath route for usable: which one of them a
packet takes is decided by its hash, so all are told.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from netloom.model.objects import MAIN_TABLE, Nexthop, Route, Rule
from netloom.values import Family, bounds, contains, family, length_of, to_int, width

LOCAL_TABLE = 255
"""RT_TABLE_LOCAL (linux/rtnetlink.h)."""

RTPROT_KERNEL = 2
"""The protocol of routes that the kernel made by itself."""

SCOPE_LINK = 253
"""RT_SCOPE_LINK: routes that lead to neighbours, and to oneself."""

BASE: Mapping[Family, tuple[Rule, ...]] = {
    4: (Rule(4, 0, table=LOCAL_TABLE), Rule(4, 32766, table=MAIN_TABLE), Rule(4, 32767, table=253)),
    6: (Rule(6, 0, table=LOCAL_TABLE), Rule(6, 32766, table=MAIN_TABLE)),
}
"""The rules that a namespace is born with."""

BASE_RULES = (*BASE[4], *BASE[6])
"""Those of both families."""

_ERRORS = frozenset({"blackhole", "unreachable", "prohibit", "throw"})
_LEGACY_TOS = 0x1C  # INET_DSCP_LEGACY_TOS_MASK: the bits that IPv4 compares
_NOT_GLOBAL = ("fe80::/10", "ff00::/8", "::1/128")  # rt6_need_strict


class FlowKey(Struct, frozen=True):
    """What the kernel reads of a packet to route it (struct flowi).

    What a namespace sends itself comes in by `lo`. `src` is empty where none is chosen yet, `oif`
    where the sender is bound to no interface; `scope` is the nearest that a route may have (IPv4).
    """

    dst: str
    src: str = ""
    iif: str = "lo"
    oif: str = ""
    mark: int = 0
    tos: int = 0
    ipproto: int = 0
    sport: int = 0
    dport: int = 0
    uid: int = 0
    scope: int = 0


class FibResult(Struct, frozen=True):
    """What becomes of a packet, by which route and rule; both are None where no route is found.

    `type` is the route's, or what the rule does; `nexthops` are the ways that it may take.
    """

    type: str = "unreachable"
    nexthops: tuple[Nexthop, ...] = ()
    route: Route | None = None
    rule: Rule | None = None

    @property
    def is_error(self) -> bool:
        """Whether the packet goes nowhere, and not to the namespace itself either."""
        return self.type in _ERRORS


class Fib:
    """The routes and rules of a namespace, to look up in.

    All of them: those that the kernel made, and those of the table `local`. `groups` are the groups
    of interfaces (IFLA_GROUP), where they are in one.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        rules: Iterable[Rule],
        groups: Mapping[str, int] | None = None,
    ) -> None:
        """Sort the rules as the kernel does, and the routes by their tables."""
        self._groups = groups or {}
        in_order = sorted(rules, key=lambda rule: rule.priority)
        self._rules = {each: [rule for rule in in_order if rule.family == each] for each in BASE}
        self._routes: dict[Family, list[Route]] = {4: [], 6: []}
        by_table: dict[tuple[Family, int], list[Route]] = {}
        for route in routes:
            self._routes[route.family].append(route)
            by_table.setdefault((route.family, route.table), []).append(route)
        if _shape(self._rules[4]) == _shape(BASE[4]):
            # Until somebody adds a rule, `local` and `main` are one trie (fib_trie_unmerge).
            by_table.setdefault((4, MAIN_TABLE), []).extend(by_table.pop((4, LOCAL_TABLE), ()))
        self._tables = {key: _Table(found) for key, found in by_table.items()}

    def routes(self, version: Family) -> list[Route]:
        """Return all routes of a family."""
        return self._routes[version]

    def rules(self, version: Family) -> list[Rule]:
        """Return all rules of a family, in order."""
        return self._rules[version]

    def lookup(self, packet: FlowKey) -> FibResult:
        """Return what becomes of a packet (fib_rules_lookup)."""
        for rule in self._applying(packet):
            if rule.action != "lookup":
                return FibResult(rule.action if rule.action in _ERRORS else "blackhole", rule=rule)
            found = self.in_table(rule.table, packet)
            if found and found.type != "throw" and not self._suppresses(rule, found):
                return replace(found, rule=rule)
        return FibResult()

    def lookup_gateway(self, packet: FlowKey) -> FibResult:
        """Return what `lookup` does, as the kernel looks for the gateway of a new route.

        For IPv6 it knows no suppression there, and a `throw` ends it (fib6_rule_action_alt).
        """
        if family(packet.dst) == 4:
            return self.lookup(packet)
        for rule in self._applying(packet):
            found = self.in_table(rule.table, packet) if rule.action == "lookup" else FibResult()
            if found:
                return found
        return FibResult()

    def _applying(self, packet: FlowKey) -> Iterator[Rule]:
        """Yield the rules that do something with a packet, in turn."""
        rules = self._rules[family(packet.dst)]
        at = 0
        while at < len(rules):
            rule = rules[at]
            at += 1
            if not matches(rule, packet) or rule.action == "nop":
                continue
            if rule.action == "goto":  # to nowhere: it is passed over
                at = next((n for n in range(at, len(rules)) if rules[n].priority == rule.goto), at)
            else:
                yield rule

    def in_table(self, table: int, packet: FlowKey) -> FibResult | None:
        """Return what a single table says of a packet, None where it has no route for it."""
        held = self._tables.get((family(packet.dst), table))
        return held.lookup(packet) if held else None

    def _suppresses(self, rule: Rule, found: FibResult) -> bool:
        """Whether a rule does not let an answer count; that a route is an error always does."""
        if found.is_error or found.route is None:
            return False
        if length_of(found.route.dst) <= rule.suppress_prefixlength:
            return True
        dev = next((hop.dev for hop in found.route.nexthops), "")
        return 0 <= rule.suppress_ifgroup == self._groups.get(dev, 0) and bool(dev)


def _shape(rules: Iterable[Rule]) -> set[Rule]:
    return {replace(rule, protocol=0) for rule in rules}


def matches(rule: Rule, packet: FlowKey) -> bool:
    """Whether a rule is about a packet (fib_rule_match); one that is about a VRF never is."""
    return _selects(rule, packet) is not rule.invert


def _selects(rule: Rule, packet: FlowKey) -> bool:
    if rule.further or rule.l3mdev:
        return False
    if rule.iif not in {"", packet.iif} or rule.oif not in {"", packet.oif}:
        return False
    if (rule.fwmark ^ packet.mark) & rule.fwmask:
        return False
    if rule.uidrange and not rule.uidrange[0] <= packet.uid <= rule.uidrange[1]:
        return False
    if rule.tos and rule.tos != packet.tos & (_LEGACY_TOS if rule.family == 4 else 0xFC):
        return False
    return _selects_flow(rule, packet)


def _selects_flow(rule: Rule, packet: FlowKey) -> bool:
    if rule.ipproto and rule.ipproto != packet.ipproto:
        return False
    if rule.dst and not contains(rule.dst, packet.dst):
        return False
    src = packet.src or ("0.0.0.0" if rule.family == 4 else "")  # noqa: S104 - as in struct flowi4
    if rule.src and not (src and contains(rule.src, src)):
        return False
    ports = ((rule.sport, packet.sport), (rule.dport, packet.dport))
    return all(asked == (0, 0) or asked[0] <= port <= asked[1] for asked, port in ports)


class _Table:
    """The routes of one table and family, the longest prefixes first."""

    def __init__(self, routes: list[Route]) -> None:
        lengths: dict[int, dict[int, list[Route]]] = {}
        for route in sorted(routes, key=lambda each: (-each.table, -each.tos, each.metric)):
            at = lengths.setdefault(length_of(route.dst), {})
            at.setdefault(bounds(route.dst)[0], []).append(route)
        self._lengths = sorted(lengths.items(), reverse=True)

    def lookup(self, packet: FlowKey) -> FibResult | None:
        """Return the best route of those that fit, with the ways of all that are as good."""
        bits, number = width(packet.dst), to_int(packet.dst)
        for length, routes in self._lengths:
            beyond = bits - length
            here = routes.get(number >> beyond << beyond, ())
            found = [answer for route in here if (answer := _fitting(route, packet))]
            if found:
                return _together(found)
        return None


def _together(found: list[FibResult]) -> FibResult:
    """Return the first of some answers; equal IPv6 routes, taken in turn, as one."""
    best = found[0]
    assert best.route
    if best.route.family == 4:
        return best
    equal = (each for each in found if each.route and each.route.metric == best.route.metric)
    hops = dict.fromkeys(hop for each in equal for hop in each.nexthops)
    return replace(best, nexthops=tuple(hops))


def _fitting(route: Route, packet: FlowKey) -> FibResult | None:
    """Return what a route does with a packet, None where the packet does not fit it."""
    if route.family == 4:
        if route.tos not in {0, packet.tos & _LEGACY_TOS} or route.scope < packet.scope:
            return None
        bound = packet.oif
    else:
        bound = _bound(packet)
        if bound and not route.nexthops:  # an error leads to `lo`
            return None
    hops = tuple(hop for hop in route.nexthops if bound in {"", hop.dev})
    if not hops and route.nexthops:
        return None
    return FibResult(route.type, hops, route)


def _bound(packet: FlowKey) -> str:
    """Return where an IPv6 packet must leave, empty for anywhere (RT6_LOOKUP_F_IFACE)."""
    if any(contains(prefix, packet.dst) for prefix in _NOT_GLOBAL):
        return packet.oif or (packet.iif if packet.iif != "lo" else "")
    return "" if packet.src else packet.oif


# ── what the kernel adds by itself, and what it takes as a gateway ─────────────────────────


def gateway_dev(fib: Fib, via: str, dev: str = "", table: int = MAIN_TABLE) -> str | None:
    """Return the interface by which a gateway is a neighbour, None where the kernel refuses it.

    `dev` is the one that the route says, `table` where it shall stand. fib_check_nh,
    ip6_route_check_nh
    """
    ipv6 = family(via) == 6
    if ipv6 and _is_own(fib, via):
        return None
    if ipv6 and contains("fe80::/10", via):
        return dev or None
    packet = FlowKey(via, iif="" if ipv6 else "lo", oif=dev, scope=SCOPE_LINK)
    special = ipv6 or table != MAIN_TABLE
    for answer in _gateway_answers(fib, packet, table if special else None):
        if answer.type in {"unicast", "local"} and answer.nexthops:
            hop = answer.nexthops[0]
            if not (ipv6 and hop.via) and dev in {"", hop.dev}:
                return hop.dev
        if not ipv6:
            break
    return None


def _gateway_answers(fib: Fib, packet: FlowKey, table: int | None) -> Iterator[FibResult]:
    """Yield what the route's own table says of its gateway, and what all of them say."""
    own = fib.in_table(table, packet) if table is not None else None
    if own and not own.is_error:
        yield own
    yield fib.lookup_gateway(packet)


def _is_own(fib: Fib, address: str) -> bool:
    """Whether the namespace has an address: the kernel then made a route for it alone."""
    found = fib.in_table(LOCAL_TABLE, FlowKey(address))
    route = found.route if found else None
    return bool(route and (route.dst, route.protocol) == (f"{address}/128", RTPROT_KERNEL))
