"""Hypothesis strategies for the nouns as the wire carries them: all that the kernel would keep."""

from hypothesis import strategies as st

from netloom.model.objects import Addr, Bridge, End, Link, Nexthop, Route, Rule, Veth
from netloom.values import Family, from_int, ip, to_int, width

NAMES = ("eth0", "lan", "a-rather-long-1", "é")
INDEXES = {name: place for place, name in enumerate(NAMES, 2)}

families: st.SearchStrategy[Family] = st.sampled_from((4, 6))
numbers = st.integers(0, 0xFFFF_FFFF)
ports = st.tuples(st.integers(1, 0xFFFF), st.integers(1, 0xFFFF)) | st.just((0, 0))


def addresses(family: Family) -> st.SearchStrategy[str]:
    """Return addresses of one family."""
    return st.ip_addresses(v=family).map(lambda address: ip(str(address)))


@st.composite
def prefixes(draw: st.DrawFn, family: Family) -> str:
    """Draw a prefix without bits beyond its length."""
    address = draw(addresses(family))
    length = draw(st.integers(0, width(address)))
    beyond = width(address) - length
    return f"{from_int(to_int(address) >> beyond << beyond, address)}/{length}"


@st.composite
def addrs(draw: st.DrawFn) -> Addr:
    """Draw an address."""
    family = draw(families)
    length = draw(st.integers(0, 32 if family == 4 else 128))
    return Addr(draw(addresses(family)), length)


macs = st.binary(min_size=5, max_size=5).map(lambda tail: "02:" + tail.hex(":"))


def links(kind: st.SearchStrategy[Bridge | Veth]) -> st.SearchStrategy[Link]:
    """Return links of a kind."""
    return st.builds(Link, kind=kind, mac=macs, mtu=st.integers(68, 65535))


bridges = links(st.builds(Bridge, stp=st.booleans()))
veths = links(st.just(Veth(End("", ""))))


def nexthops(family: Family) -> st.SearchStrategy[Nexthop]:
    """Return ways of a route; an IPv4 one may lead through an IPv6 gateway."""
    via = st.just("") | addresses(6) | (addresses(4) if family == 4 else st.nothing())
    return st.builds(
        Nexthop, st.sampled_from(NAMES), via, st.integers(1, 256), onlink=st.booleans()
    )


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Draw a route with ways out, or one that leads nowhere."""
    family = draw(families)
    ways = draw(st.lists(nexthops(family), max_size=3).map(tuple))
    return Route(
        dst=draw(prefixes(family)),
        nexthops=ways,
        type=draw(st.sampled_from(("unicast", "local") if ways else ("blackhole", "throw"))),
        table=draw(numbers.filter(lambda table: table not in {0, 255})),
        metric=draw(numbers),
        tos=draw(st.integers(0, 255)),
        src=draw(st.just("") | addresses(family)),
        scope=draw(st.sampled_from((0, 200, 253, 254))),
        mtu=draw(numbers),
        advmss=draw(numbers),
        protocol=draw(st.sampled_from((3, 4, 110))),
    )


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Draw a rule."""
    family = draw(families)
    action = draw(st.sampled_from(("lookup", "blackhole", "unreachable", "prohibit")))
    return Rule(
        family=family,
        priority=draw(numbers),
        action=action,
        table=draw(numbers) if action == "lookup" else 0,
        src=draw(st.just("") | prefixes(family)),
        dst=draw(st.just("") | prefixes(family)),
        iif=draw(st.sampled_from(("", *NAMES))),
        oif=draw(st.sampled_from(("", *NAMES))),
        fwmark=draw(numbers),
        fwmask=draw(numbers),
        tos=draw(st.integers(0, 255)),
        ipproto=draw(st.integers(0, 255)),
        sport=draw(ports),
        dport=draw(ports),
        uidrange=draw(st.none() | st.tuples(numbers, numbers)),
        invert=draw(st.booleans()),
        suppress_prefixlength=draw(st.integers(-1, 128)),
        protocol=draw(st.sampled_from((0, 3, 4, 110))),
    )
