"""What the kernel does along with a step, and what it refuses: a table, which is read twice.

`tests/pure/test_simulate.py` holds `after` against it, `tests/kernel/test_simulate_kernel.py` the
kernel. Both are led through the same steps, and tell what there is in the same words:

    a               a namespace
    a: w            a link, and what is true of it: `up`, `on lan`, `mtu 1500`, `ipv6`
    a: w 10.9.0.1   an address of it, `secondary` where it is one
    a: to DST       a route that was asked for
    a: rule 1000    a rule, by its priority
    a: KEY=VALUE    a sysctl
"""

from typing import NamedTuple

from netloom.model.objects import Addr, Bridge, End, Link, Nexthop, Route, Rule, Veth
from netloom.plan import steps
from netloom.plan.steps import Plan, Step

LAN, W, FAR, LO = End("a", "lan"), End("a", "w"), End("b", "w"), End("a", "lo")
MAC = "02:00:00:00:00:0{}"


def veth(peer: End, number: int = 8, **facts: str) -> Link:
    """Return one end of a wire."""
    return Link(Veth(peer), mac=MAC.format(number), mtu=1500, **facts)  # type: ignore[arg-type]


WORLD: Plan = (
    steps.NetnsAdd("a", "netloom:x/a"),
    steps.NetnsAdd("b", "netloom:x/b"),
    steps.LinkAdd(LAN, Link(Bridge(), mac=MAC.format(1), mtu=1500)),
    steps.LinkAdd(W, veth(FAR, 2, master="lan"), veth(W, 3)),
    *(steps.LinkSet(end, up=True) for end in (LAN, W, FAR)),
    steps.AddrAdd(LAN, Addr("10.1.0.1", 24)),
    steps.AddrAdd(LAN, Addr("fd00::1", 64)),
    steps.AddrAdd(W, Addr("10.9.0.1", 24)),
    steps.AddrAdd(LO, Addr("10.255.0.1", 32)),
)
"""Two namespaces: `a` with a bridge `lan` and its port `w`, wired to `b`."""

OTHERS = {"docker": (), "a": ("eth0",)}
"""What others have: namespaces, and links in them."""


def _routes(*routes: Route) -> Plan:
    return tuple(steps.RouteAdd("a", route) for route in routes)


def _sysctls(*settings: str) -> Plan:
    pairs = (setting.split("=") for setting in settings)
    return tuple(steps.SysctlSet("a", key, value) for key, value in pairs)


VIA = Route("10.7.0.0/16", (Nexthop("lan", "10.1.0.9"),))
OUT = Route("10.8.0.0/16", (Nexthop("lan"),), scope=253)
SOURCED = Route("10.6.0.0/16", (Nexthop("w"),), src="10.1.0.1", scope=253)
SIX = Route("fd07::/64", (Nexthop("lan", "fd00::9"),), metric=1024)
OUT6 = Route("fd06::/64", (Nexthop("lan"),), metric=1024)
BOTH = Route("10.5.0.0/16", (Nexthop("lan", "10.1.0.9"), Nexthop("w", "10.9.0.9")))
LOCAL = Route("10.4.0.0/16", (Nexthop("lo"),), scope=253)
HOLE = Route("10.3.0.0/16", type="blackhole")
HOLE6 = Route("fd08::/64", type="blackhole", metric=1024)
RULE = Rule(4, 1000, table=100)
FORWARDING = "net.ipv4.conf.{}.forwarding={}"
NO_IPV6 = "net.ipv6.conf.{}.disable_ipv6={}"


class Does(NamedTuple):
    """Steps, what there was before them that is gone then, and what is new; the rest stays."""

    steps: Plan
    gone: set[str]
    new: set[str] = set()  # noqa: RUF012 - nobody changes it
    before: Plan = ()


DOES: dict[str, Does] = {
    # links
    "a deleted end takes the other along, with the addresses and routes of both": Does(
        (steps.LinkDel(FAR),),
        {
            *("a: w", "a: w up", "a: w mtu 1500", "a: w on lan", "a: w ipv6", "a: w 10.9.0.1/24"),
            *("b: w", "b: w up", "b: w mtu 1500", "b: w ipv6", "a: to 10.6.0.0/16"),
        },
        before=_routes(OUT, SOURCED),
    ),
    "a deleted namespace takes the far ends of its wires along": Does(
        (steps.NetnsDel("b"),),
        {
            *("b", "b: lo", "b: lo up", "b: lo mtu 65536"),
            *("a: w", "a: w up", "a: w mtu 1500", "a: w on lan", "a: w ipv6", "a: w 10.9.0.1/24"),
            *("b: w", "b: w up", "b: w mtu 1500", "b: w ipv6"),
        },
    ),
    "a link that goes takes IPv4 routes along that have its address as their source": Does(
        (steps.LinkDel(W),),
        {
            *("a: w", "a: w up", "a: w mtu 1500", "a: w on lan", "a: w ipv6", "a: w 10.9.0.1/24"),
            *("b: w", "b: w up", "b: w mtu 1500", "b: w ipv6", "a: to 10.2.0.0/16"),
        },
        before=_routes(OUT, Route("10.2.0.0/16", (Nexthop("lan"),), src="10.9.0.1", scope=253)),
    ),
    "a deleted bridge frees its ports, which stay up": Does(
        (steps.LinkDel(LAN),),
        {
            *("a: lan", "a: lan up", "a: lan mtu 1500", "a: lan ipv6"),
            *("a: lan 10.1.0.1/24", "a: lan fd00::1/64"),
            *("a: w on lan", "a: to 10.8.0.0/16"),
        },
        before=_routes(OUT),
    ),
    "a port may be freed, and taken again": Does(
        (steps.LinkSet(W, master=""), steps.LinkSet(W, master="lan")), set()
    ),
    "settings of a link go with it": Does(
        (steps.LinkDel(W),),
        {
            *("a: w", "a: w up", "a: w mtu 1500", "a: w on lan", "a: w ipv6", "a: w 10.9.0.1/24"),
            *("b: w", "b: w up", "b: w mtu 1500", "b: w ipv6"),
            "a: net.ipv4.conf.w.rp_filter=1",
        },
        before=_sysctls("net.ipv4.conf.w.rp_filter=1", "net.ipv4.conf.all.rp_filter=1"),
    ),
    "a new wire is down, and has IPv6": Does(
        (steps.LinkAdd(End("b", "n"), veth(End("a", "n")), veth(End("b", "n"), 9)),),
        set(),
        {"a: n", "a: n mtu 1500", "a: n ipv6", "b: n", "b: n mtu 1500", "b: n ipv6"},
    ),
    "the far end of a new wire is a port of nothing yet": Does(
        (steps.LinkAdd(End("b", "n"), veth(End("a", "n")), veth(End("b", "n"), 9, master="lan")),),
        set(),
        {"a: n", "a: n mtu 1500", "a: n ipv6", "b: n", "b: n mtu 1500", "b: n ipv6"},
    ),
    "a link has other names besides": Does(
        (steps.AltnameAdd(LAN, "long-one"), steps.AltnameAdd(LAN, "x"), steps.AltnameDel(LAN, "x")),
        set(),
        {"a: lan altname long-one"},
    ),
    "rules come and go by themselves": Does(
        (steps.RuleAdd("a", RULE), steps.RuleDel("a", Rule(4, 2000, table=100))),
        {"a: rule 2000"},
        {"a: rule 1000"},
        before=(steps.RuleAdd("a", Rule(4, 2000, table=100)),),
    ),
    "a route takes the place of one with its key": Does(
        (steps.RouteReplace("a", Route("10.8.0.0/16", type="blackhole")),),
        set(),
        before=_routes(OUT),
    ),
    "a new namespace has `lo`, and that is up": Does(
        (steps.NetnsAdd("c", "netloom:x/c"),),
        set(),
        {"c", "c: lo", "c: lo up", "c: lo mtu 65536"},
    ),
    # addresses
    "the first of two IPv4 addresses takes no route along": Does(
        (steps.AddrDel(LAN, Addr("10.1.0.1", 24)),),
        {"a: lan 10.1.0.1/24"},
        before=(
            steps.AddrAdd(LAN, Addr("10.2.0.1", 24)),
            *_routes(VIA, OUT, SIX),
        ),
    ),
    "the last IPv4 address takes the IPv4 routes of its link along": Does(
        (steps.AddrDel(LAN, Addr("10.1.0.1", 24)),),
        {"a: lan 10.1.0.1/24", "a: to 10.7.0.0/16", "a: to 10.8.0.0/16"},
        before=_routes(VIA, OUT, SIX, HOLE, LOCAL),
    ),
    "the last IPv6 address takes no route along": Does(
        (steps.AddrDel(LAN, Addr("fd00::1", 64)),),
        {"a: lan fd00::1/64"},
        before=_routes(VIA, OUT, SIX, OUT6),
    ),
    "the loopback keeps its routes: it has 127.0.0.1 besides": Does(
        (steps.AddrDel(LO, Addr("10.255.0.1", 32)),),
        {"a: lo 10.255.0.1/32"},
        before=_routes(LOCAL),
    ),
    "the second address of a subnet is secondary": Does(
        (
            steps.AddrAdd(LAN, Addr("10.1.0.2", 24, secondary=True)),
            steps.AddrAdd(LAN, Addr("10.1.0.3", 25)),
            steps.AddrAdd(W, Addr("10.1.0.4", 24)),
            steps.AddrAdd(LAN, Addr("fd00::2", 64)),
        ),
        set(),
        {
            *("a: lan 10.1.0.2/24 secondary", "a: lan 10.1.0.3/25", "a: w 10.1.0.4/24"),
            "a: lan fd00::2/64",
        },
    ),
    # up, down, MTU
    "a link set down loses routes and IPv6 addresses": Does(
        (steps.LinkSet(LAN, up=False),),
        {
            *("a: lan up", "a: lan fd00::1/64"),
            *("a: to 10.7.0.0/16", "a: to 10.8.0.0/16", "a: to fd07::/64", "a: to fd06::/64"),
        },
        before=_routes(VIA, OUT, SIX, OUT6, HOLE, HOLE6, LOCAL),
    ),
    "below 1280 bytes a link has no IPv6": Does(
        (steps.LinkSet(LAN, mtu=1279),),
        {"a: lan mtu 1500", "a: lan ipv6", "a: lan fd00::1/64", "a: to fd07::/64"},
        {"a: lan mtu 1279"},
        before=_routes(VIA, SIX, HOLE6),
    ),
    "with 1280 bytes it has": Does(
        (steps.LinkSet(LAN, mtu=1280),),
        {"a: lan mtu 1500"},
        {"a: lan mtu 1280"},
        before=_routes(VIA, SIX),
    ),
    "IPv6 comes back with the MTU, without addresses and routes": Does(
        (steps.LinkSet(LAN, mtu=1279), steps.LinkSet(LAN, mtu=1280)),
        {"a: lan mtu 1500", "a: lan fd00::1/64", "a: to fd07::/64"},
        {"a: lan mtu 1280"},
        before=_routes(VIA, SIX),
    ),
    # sysctls
    "forwarding of all is forwarding of each, and `ip_forward` another name for it": Does(
        _sysctls("net.ipv4.ip_forward=1"),
        {f"a: {FORWARDING.format(dev, 0)}" for dev in ("all", "default", "lan", "w")}
        | {"a: net.ipv4.ip_forward=0"},
        {f"a: {FORWARDING.format(dev, 1)}" for dev in ("all", "default", "lan", "w")}
        | {"a: net.ipv4.ip_forward=1"},
        before=_sysctls(
            "net.ipv4.ip_forward=0",
            *(FORWARDING.format(dev, 0) for dev in ("all", "default", "lan", "w")),
            *("net.ipv6.conf.w.forwarding=0", "net.ipv4.conf.w.rp_filter=0"),
        ),
    ),
    "that of all IPv4 is `ip_forward`": Does(
        _sysctls(FORWARDING.format("all", 0)),
        {f"a: {FORWARDING.format(dev, 1)}" for dev in ("all", "w")} | {"a: net.ipv4.ip_forward=1"},
        {f"a: {FORWARDING.format(dev, 0)}" for dev in ("all", "w")} | {"a: net.ipv4.ip_forward=0"},
        before=_sysctls(
            "net.ipv4.ip_forward=1", FORWARDING.format("w", 1), FORWARDING.format("all", 1)
        ),
    ),
    "that of all IPv6 is that of each": Does(
        _sysctls("net.ipv6.conf.all.forwarding=1"),
        {f"a: net.ipv6.conf.{dev}.forwarding=0" for dev in ("all", "default", "w")},
        {f"a: net.ipv6.conf.{dev}.forwarding=1" for dev in ("all", "default", "w")},
        before=_sysctls(
            *(f"net.ipv6.conf.{dev}.forwarding=0" for dev in ("w", "default", "all")),
            *("net.ipv4.ip_forward=0", FORWARDING.format("lan", 0)),
        ),
    ),
    "forwarding of one link is its own": Does(
        _sysctls(FORWARDING.format("w", 1)),
        {"a: net.ipv4.conf.w.forwarding=0"},
        {"a: net.ipv4.conf.w.forwarding=1"},
        before=_sysctls(*(FORWARDING.format(dev, 0) for dev in ("all", "lan", "w"))),
    ),
    "IPv6 switched off takes addresses and routes along, those that lead nowhere too": Does(
        _sysctls("net.ipv6.conf.all.disable_ipv6=1"),
        {
            *("a: lan ipv6", "a: w ipv6", "a: lan fd00::1/64"),
            *("a: to fd07::/64", "a: to fd06::/64", "a: to fd08::/64"),
            *(f"a: {NO_IPV6.format(dev, 0)}" for dev in ("all", "default")),
        },
        {f"a: {NO_IPV6.format(dev, 1)}" for dev in ("all", "default")},
        before=(
            *_routes(VIA, SIX, OUT6, HOLE6, HOLE),
            *_sysctls(*(NO_IPV6.format(dev, 0) for dev in ("all", "default"))),
        ),
    ),
    "IPv6 switched off for links to come takes nothing from those that are there": Does(
        (steps.LinkAdd(End("a", "n"), veth(End("b", "n")), veth(End("a", "n"), 9)),),
        set(),
        {"a: n", "a: n mtu 1500", "b: n", "b: n mtu 1500", "b: n ipv6"},
        before=(*_routes(SIX), *_sysctls(NO_IPV6.format("default", 1))),
    ),
}


class Refuses(NamedTuple):
    """A step that is illegal, why, and what iproute2 says of it; "" where the kernel takes it.

    Illegal is also a step that the kernel takes, if nobody could tell what comes of it.
    """

    step: Step
    reason: str
    said: str
    before: Plan = ()


EXISTS = "File exists"
NEW, HALF = veth(End("b", "new")), veth(End("a", "new"), 9)
SECOND = Addr("10.1.0.2", 24, secondary=True)

REFUSES: dict[str, Refuses] = {
    # namespaces
    "a name that is taken": Refuses(steps.NetnsAdd("a", "x"), "the name is taken", EXISTS),
    "a name that others have": Refuses(steps.NetnsAdd("docker", "x"), "the name is taken", EXISTS),
    "no namespace": Refuses(
        steps.NetnsDel("z"), "no such namespace of ours", "No such file or directory"
    ),
    "the host": Refuses(
        steps.NetnsDel("host"), "no such namespace of ours", "No such file or directory"
    ),
    "no leftover": Refuses(steps.NameDel("a"), "no such leftover", "Device or resource busy"),
    # links
    "a link in no namespace": Refuses(
        steps.LinkDel(End("z", "x")), "no namespace `z`", 'Cannot open network namespace "z"'
    ),
    "no link": Refuses(steps.LinkDel(End("a", "x")), "no link `a:x`", 'Cannot find device "x"'),
    "the loopback": Refuses(steps.LinkDel(LO), "`lo` cannot be deleted", "Operation not supported"),
    "a link that exists": Refuses(steps.LinkAdd(W, NEW, HALF), "`a:w` exists", EXISTS),
    "a far end that exists": Refuses(
        steps.LinkAdd(End("a", "new"), veth(FAR), HALF), "`b:w` exists", EXISTS
    ),
    "a link that others have": Refuses(
        steps.LinkAdd(End("a", "eth0"), NEW, HALF), "`a:eth0` exists", EXISTS
    ),
    "no bridge": Refuses(steps.LinkSet(W, master="x"), "no bridge `x`", 'argument "x" is wrong'),
    "a bridge that is none": Refuses(
        steps.LinkSet(LAN, master="w"), "no bridge `w`", "Operation not supported"
    ),
    "another kind": Refuses(
        steps.LinkSet(W, kind=Bridge()),
        "a link that is there cannot become one of that kind",
        "Operation not supported",
    ),
    "an altname that is a name": Refuses(
        steps.AltnameAdd(LAN, "w"), "the name `w` is taken", EXISTS
    ),
    "an altname twice": Refuses(
        steps.AltnameAdd(LAN, "l"),
        "the name `l` is taken",
        EXISTS,
        before=(steps.AltnameAdd(LAN, "l"),),
    ),
    "no altname": Refuses(steps.AltnameDel(LAN, "x"), "no altname `x`", "No such file"),
    "a link set down that is one of the ways of a route": Refuses(
        steps.LinkSet(LAN, up=False),
        "a route to 10.5.0.0/16 has other ways, and must go first",
        "",
        before=_routes(BOTH),
    ),
    # addresses
    "an address twice": Refuses(
        steps.AddrAdd(LAN, Addr("10.1.0.1", 24)), "the address exists", "already assigned"
    ),
    "an IPv6 address where there is no IPv6": Refuses(
        steps.AddrAdd(LAN, Addr("fd00::2", 64)),
        "no IPv6 below an MTU of 1280 bytes",
        "Invalid argument",
        before=(steps.LinkSet(LAN, mtu=1279),),
    ),
    "a second primary": Refuses(
        steps.AddrAdd(LAN, Addr("10.1.0.2", 24)),
        "the kernel decides otherwise which address is the primary one",
        "",
    ),
    "a first secondary": Refuses(
        steps.AddrAdd(LAN, Addr("10.2.0.2", 24, secondary=True)),
        "the kernel decides otherwise which address is the primary one",
        "",
    ),
    "no address": Refuses(
        steps.AddrDel(LAN, Addr("10.1.0.2", 24)), "no such address", "Address not found"
    ),
    "a source in use": Refuses(
        steps.AddrDel(LAN, Addr("10.1.0.1", 24)),
        "a route has it as its source, which must go first",
        "",
        before=_routes(SOURCED),
    ),
    "a primary address before its secondaries": Refuses(
        steps.AddrDel(LAN, Addr("10.1.0.1", 24)),
        "it has secondary addresses, which must go first",
        "",
        before=(steps.AddrAdd(LAN, SECOND),),
    ),
    # routes and rules
    "a gateway beyond": Refuses(
        steps.RouteAdd("a", Route("10.0.0.0/8", (Nexthop("lan", "10.9.0.9"),))),
        "the gateway 10.9.0.9 is not on `lan`",
        "Nexthop has invalid gateway",
    ),
    "a device that is not there": Refuses(
        steps.RouteAdd("a", Route("10.0.0.0/8", (Nexthop("x"),), scope=253)),
        "`x` is not there or not up",
        'Cannot find device "x"',
    ),
    "a device that is down": Refuses(
        steps.RouteAdd("a", Route("10.0.0.0/8", (Nexthop("w"),), scope=253)),
        "`w` is not there or not up",
        "Device for nexthop is not up",
        before=(steps.LinkSet(W, up=False),),
    ),
    "an alien source": Refuses(
        steps.RouteReplace("a", Route("10.0.0.0/8", (Nexthop("lan"),), src="10.1.0.2", scope=253)),
        "the source 10.1.0.2 is no address of the namespace",
        "Invalid prefsrc",
    ),
    "a route twice": Refuses(
        steps.RouteAdd("a", Route("10.8.0.0/16", type="blackhole")),
        "a route with this destination, table and metric exists",
        EXISTS,
        before=_routes(OUT),
    ),
    "no route": Refuses(steps.RouteDel("a", OUT), "no such route", "No such process"),
    "a rule twice": Refuses(
        steps.RuleAdd("a", RULE), "the rule exists", EXISTS, before=(steps.RuleAdd("a", RULE),)
    ),
    "no rule": Refuses(steps.RuleDel("a", RULE), "no such rule", "No such file or directory"),
}
