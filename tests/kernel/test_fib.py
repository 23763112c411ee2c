"""The lookup of routes against the kernel's: `ip route get`, in namespaces of random rules."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from netloom.datapath.connected import connected
from netloom.datapath.fib import LOCAL_TABLE, Fib, FibResult, FlowKey, gateway_dev
from netloom.host.observe.survey import observe_here
from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import Route
from netloom.values import Family
from netloom.wire.rtnetlink import (
    dump_links,
    dump_routes,
    dump_rules,
    read_links,
    read_routes,
    read_rules,
)
from tests.hosts.machine import a_machine, wait_for, within
from tests.hosts.programs import ran
from tests.kernel.worlds_made import MADE

pytestmark = pytest.mark.needs("netns", "veth", "ip")

LINKS = ("one", "two", "off")
BORN = """
link set lo up
link add one type veth peer name one.far
link add two type veth peer name two.far
link add off type veth peer name off.far
link set one group 7
{each}
address add 10.0.1.1/24 dev one
address add 10.0.2.1/25 dev two
address add 10.0.1.9/24 dev one
address add 10.0.3.1/32 dev two
address add 10.0.4.1/31 dev two
address add fd00:0:0:1::1/64 dev one nodad
address add fd00:0:0:2::1/64 dev two nodad
address add fd00:0:0:3::1/128 dev two nodad
address add 10.0.5.1/32 dev lo
address add fd00:0:0:5::1/128 dev lo
""".format(
    each="\n".join(
        f"link set {end} addrgenmode none up" for link in LINKS for end in (link, f"{link}.far")
    )
)
SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    **{f"net.ipv4.conf.{each}.accept_local": "1" for each in ("all", *LINKS)},
    **{f"net.ipv4.conf.{each}.rp_filter": "0" for each in ("all", *LINKS)},
}

PREFIXES: dict[Family, tuple[str, ...]] = {
    4: (
        *("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "10.0.1.0/24", "10.0.1.128/25"),
        *("10.0.1.7/32", "10.9.0.0/16", "10.9.9.0/24", "10.9.9.9/32", "203.0.113.0/24"),
    ),
    6: (
        *("::/0", "::/1", "8000::/1", "fd00::/16", "fd00:0:0:1::/64", "fd00:0:0:1::7/128"),
        *("fd00:9::/32", "fd00:9:9::/48", "fd00:9:9::9/128", "2001:db8::/32"),
    ),
}
ADDRESSES: dict[Family, tuple[str, ...]] = {
    4: (
        *("10.0.1.1", "10.0.1.7", "10.0.1.200", "10.0.2.5", "10.0.2.200", "10.0.3.1", "10.0.4.0"),
        *("10.0.1.255", "10.9.9.9", "10.9.9.1", "10.9.1.1", "10.200.0.1", "203.0.113.9"),
        *("9.9.9.9", "200.1.1.1", "10.0.3.2", "127.0.0.1", "127.3.2.1"),
    ),
    6: (
        *("fd00:0:0:1::1", "fd00:0:0:1::7", "fd00:0:0:1::8", "fd00:0:0:2::5", "fd00:0:0:3::1"),
        *("fd00:9:9::9", "fd00:9:9::1", "fd00:9:1::1", "fd01::1", "2001:db8::9", "2001:db9::1"),
        *("4000::1", "9000::1", "::1"),
    ),
}
TABLES = (253, 254, LOCAL_TABLE, 7, 51820)
ERRORS = ("blackhole", "unreachable", "prohibit", "throw")
WORDS = {
    "blackhole": "Invalid argument",
    "prohibit": "Permission denied",
    "unreachable": "Network is unreachable",
}
families: st.SearchStrategy[Family] = st.sampled_from((4, 6))


@st.composite
def route_words(draw: st.DrawFn) -> str:
    """Draw what follows `ip route add`, of which the kernel may refuse some."""
    family = draw(families)
    words = [draw(st.sampled_from(PREFIXES[family]))]
    kind = draw(st.sampled_from(("unicast", "unicast", "unicast", "local", *ERRORS)))
    if kind == "unicast":
        words += _ways(draw, family)
    elif kind == "local":
        words += ["dev", draw(st.sampled_from(LINKS))]
    words += ["table", str(draw(st.sampled_from(TABLES)))]
    if draw(st.booleans()):
        words += ["metric", str(draw(st.sampled_from((1, 5, 256, 2000))))]
    if family == 4 and draw(st.integers(0, 4)) == 0:
        words += ["tos", draw(st.sampled_from(("0x10", "0x08")))]
    return " ".join([kind, *words])


def _ways(draw: st.DrawFn, family: Family) -> list[str]:
    gateway = ["via", draw(st.sampled_from(ADDRESSES[family]))]
    dev = ["dev", draw(st.sampled_from(LINKS))]
    shape = draw(st.sampled_from(("dev", "via", "both", "onlink", "several")))
    if shape == "several":
        near = ("10.0.1.7", "10.0.2.5") if family == 4 else ("fd00:0:0:1::7", "fd00:0:0:2::5")
        return [word for via in near for word in ("nexthop", "via", via)]
    return {"dev": dev, "via": gateway, "both": gateway + dev}.get(
        shape, [*gateway, *dev, "onlink"]
    )


@st.composite
def rule_words(draw: st.DrawFn) -> str:
    """Draw what follows `ip -4 rule` or `ip -6 rule`: one to add, or one of birth that goes."""
    family = draw(families)
    if draw(st.integers(0, 9)) == 0:
        return f"-{family} rule del priority {draw(st.sampled_from((0, 32766)))}"
    prefix = st.sampled_from([p for p in PREFIXES[family] if not p.endswith("/0")])
    chosen = {
        "from": prefix,
        "to": prefix,
        "iif": st.sampled_from((*LINKS, "lo", "none")),
        "oif": st.sampled_from((*LINKS, "lo")),
        "fwmark": st.sampled_from(("1", "0x1/0xff", "0/0x1", "51820")),
        "tos": st.sampled_from(("0x10", "0x08", "0x20")),
        "ipproto": st.sampled_from(("tcp", "udp")),
    }
    words = [f"-{family}", "rule", "add"]
    words += ["priority", str(draw(st.integers(1, 12) | st.integers(32760, 32770)))]
    if draw(st.integers(0, 2)) == 0:
        words.append("not")
    for key in draw(st.lists(st.sampled_from(sorted(chosen)), max_size=2, unique=True)):
        words += [key, draw(chosen[key])]
        if key == "ipproto":
            words += ["dport", draw(st.sampled_from(("53", "50-60")))]
    action = draw(st.sampled_from(("lookup",) * 5 + ("goto", "nop", *ERRORS[:3])))
    if action == "lookup":
        words += ["lookup", str(draw(st.sampled_from(TABLES)))]
        if draw(st.integers(0, 2)) == 0:
            words += ["suppress_prefixlength", str(draw(st.sampled_from((0, 1, 8, 24))))]
        elif draw(st.integers(0, 3)) == 0:
            words += ["suppress_ifgroup", "7"]
    else:
        words += [action, *([str(draw(st.integers(5, 15)))] if action == "goto" else [])]
    return " ".join(words)


@st.composite
def packets(draw: st.DrawFn) -> FlowKey:
    """Draw what is looked up, from inside or from a neighbour."""
    family = draw(families)
    dst = draw(st.sampled_from(ADDRESSES[family]))
    mark = draw(st.sampled_from((0, 0, 1, 0x101, 51820)))
    tos = draw(st.sampled_from((0, 0, 0x10, 0x08, 0x30)))
    proto, port = draw(st.sampled_from(((0, 0), (6, 80), (17, 53))))
    packet = FlowKey(dst, mark=mark, tos=tos, ipproto=proto, dport=port)
    if draw(st.booleans()):
        near = ("10.0.1.77", "198.51.100.7") if family == 4 else ("fd00:0:0:1::77", "2001:db8:7::7")
        packet = _with(packet, src=draw(st.sampled_from(near)), iif=draw(st.sampled_from(LINKS)))
        assume(not packet.dst.startswith("127."))  # a martian, whatever the routes say
    elif draw(st.booleans()):
        packet = _with(packet, oif=draw(st.sampled_from(LINKS)))
    return packet


def _with(packet: FlowKey, **facts: str) -> FlowKey:
    return FlowKey(**{name: getattr(packet, name) for name in packet.__struct_fields__} | facts)


def in_namespace(call: Callable[[], None]) -> None:
    """Run a call in a namespace with three links and their addresses."""

    def with_links() -> None:
        batch(BORN.splitlines())
        wait_for(ipv6_is_settled)
        for key, value in SYSCTLS.items():
            with open(f"/proc/sys/{key.replace('.', '/')}", "w", encoding="ascii") as file:
                file.write(value)
        call()

    within(a_machine, with_links)


def ipv6_is_settled() -> bool:
    """Whether the addresses are there for the kernel's routing, too: it gets to that later."""
    local = ran("ip", "-6", "route", "show", "table", "local").stdout
    return all(f"local fd00:0:0:{number}::1 " in local for number in (1, 2, 3, 5))


def batch(lines: list[str], *options: str) -> list[str]:
    """Run lines of `ip`, and return what each was refused for, empty where it was not."""
    done = ran("ip", "-batch", "-", "-force", *options, stdin="\n".join(lines), check=False)
    refused = [""] * len(lines)
    words = ""
    for line in done.stderr.splitlines():
        if line.startswith("Command failed -:"):
            refused[int(line.rpartition(":")[2]) - 1] = words or "?"
            words = ""
        else:
            words += line
    return refused


def fib() -> Fib:
    """Return what netlink says of the namespace."""
    with Rtnetlink() as rt:
        links = read_links(rt.dump(dump_links()))
        names = {link.index: link.name for link in links}
        routes = read_routes(rt.dump(dump_routes()), names, None, local=True)
        rules = read_rules(rt.dump(dump_rules()), base=True)
    return Fib(routes, rules, {link.name: link.group for link in links})


def asked(packet: FlowKey) -> tuple[dict[str, Any], str]:
    """Return which route the kernel takes, or for what it refuses the packet."""
    words = ["ip", "-d", "-j", "route", "get", "fibmatch", packet.dst]
    words += ["from", packet.src] if packet.src else []
    words += ["iif", packet.iif] if packet.iif != "lo" else []
    words += ["oif", packet.oif] if packet.oif else []
    words += ["mark", str(packet.mark)] if packet.mark else []
    words += ["tos", hex(packet.tos)] if packet.tos else []
    if packet.ipproto:
        words += ["ipproto", str(packet.ipproto), "dport", str(packet.dport)]
    done = ran(*words, check=False)
    return (json.loads(done.stdout)[0] if done.returncode == 0 else {}), done.stderr


def told_otherwise(packet: FlowKey, answer: FibResult, route: dict[str, Any], refused: str) -> str:
    """Return in words where an answer is not the kernel's, empty where it is."""
    if refused:
        words = WORDS.get(answer.type, "?")
        # A sender that is bound to an interface takes whatever has no route for a neighbour (IPv4).
        by_route = answer.type == "unreachable" and answer.route
        words = "No route to host" if by_route or (packet.oif and "." in packet.dst) else words
        return "" if answer.is_error and words in refused else refused
    told = answer.route
    found = (plain(route, packet), route["type"], table(route), route.get("metric", 0))
    if told is None or found not in {
        (told.dst, told.type, told.table, told.metric),
        (told.dst, told.type, answer.rule and answer.rule.table, told.metric),  # a trie of both
    }:
        return str(found)
    devs = {hop["dev"] for hop in route.get("nexthops", [route])}
    ways = {hop.dev for hop in answer.nexthops}
    return "" if packet.oif or ways == devs else str(devs)


def plain(route: dict[str, Any], packet: FlowKey) -> str:
    """Return the prefix of a route as `ip` does not abbreviate it."""
    ipv6 = ":" in packet.dst
    dst: str = route["dst"]
    if dst == "default":
        return "::/0" if ipv6 else "0.0.0.0/0"
    return dst if "/" in dst else f"{dst}/{128 if ipv6 else 32}"


def table(route: dict[str, Any]) -> int:
    """Return the number of the table that a route is in."""
    names = {"main": 254, "local": LOCAL_TABLE, "default": 253}
    name = route.get("table", "main")
    return names.get(name) or int(name)


@MADE
@given(
    st.lists(route_words(), max_size=12),
    st.lists(rule_words(), max_size=5),
    st.lists(packets(), min_size=4, max_size=12),
)
def test_a_packet_goes_where_the_kernel_sends_it(
    routes: list[str], rules: list[str], asks: list[FlowKey]
) -> None:
    """For random routes, rules and packets: by the same route, or refused for the same."""

    def check() -> None:
        batch([f"route add {words}" for words in routes])
        batch(rules)
        told = fib()
        for packet in asks:
            answer = told.lookup(packet)
            assert not (wrong := told_otherwise(packet, answer, *asked(packet))), (
                f"{wrong}, not {answer} of {packet}; {rules} {routes}"
            )

    in_namespace(check)


@st.composite
def gateways(draw: st.DrawFn) -> tuple[str, str, int]:
    """Draw a gateway, the interface that leads to it (empty where none is said), and a table."""
    via = draw(st.sampled_from((*ADDRESSES[4], *ADDRESSES[6], "fe80::9")))
    return via, draw(st.sampled_from(("", *LINKS))), draw(st.sampled_from(TABLES))


@MADE
@given(
    st.lists(route_words(), max_size=12),
    st.lists(rule_words(), max_size=3),
    st.lists(gateways(), min_size=8, max_size=16),
)
def test_a_gateway_is_one_where_the_kernel_takes_it(
    routes: list[str], rules: list[str], asks: list[tuple[str, str, int]]
) -> None:
    """By the route's own table, by the rules, by addresses: `gateway_dev` is the kernel's check."""

    def check() -> None:
        batch([f"route add {words}" for words in routes])
        batch(rules)
        told = fib()
        adds = [
            f"route append {'2001:db8:f::' if ':' in via else '192.0.2.'}{number} via {via} "
            f"{dev and f'dev {dev} '}table {table}"
            for number, (via, dev, table) in enumerate(asks, 1)
        ]
        for ask, refused in zip(asks, batch(adds), strict=True):
            found = gateway_dev(told, *ask)
            assert (found is None) == bool(refused), (ask, found, refused, routes, rules)

    in_namespace(check)


def test_what_the_kernel_makes_of_addresses() -> None:
    """The routes of addresses that are foretold are those that are there."""

    def check() -> None:
        with Rtnetlink() as rt:
            names = {link.index: link.name for link in read_links(rt.dump(dump_links()))}
            made = read_routes(rt.dump(dump_routes()), names, None, local=True)
        foretold = connected(observe_here().links)
        assert {short(each) for each in foretold} == {
            short(each) for each in made if each.type not in {"anycast", "multicast"}
        }

    in_namespace(check)


def short(route: Route) -> tuple[object, ...]:
    """Return what a lookup goes by."""
    devs = tuple(hop.dev for hop in route.nexthops)
    return (*route.key, route.type, route.scope, devs)
