"""Hypothesis strategies for topologies that look valid: small, named from a small alphabet."""

from hypothesis import strategies as st

from netloom.language.scalars import flow_text
from netloom.language.topology import (
    Flow,
    InterfaceSpec,
    Membership,
    NamespaceSpec,
    NetworkSpec,
    Publish,
    RunSpec,
    TextSpec,
    Topology,
    Uplink,
    WireEndSpec,
    WireSpec,
)
from netloom.model.ready import Ready
from netloom.values import RESERVED

NETNS_NAMES = ("a", "b", "c1", "web", "no", "010", "null", "r.1", "é-x")
NETWORK_NAMES = ("lan", "dmz", "1", "on", "net_2")
OUTSIDE_NAMES = ("internet", "vm", "example.org")
LINK_NAMES = ("eth0", "lo", "up", "x#y", "e{0}", "~", "it's")


def ipv4() -> st.SearchStrategy[str]:
    """IPv4 addresses out of a few /24s."""
    return st.builds("10.{}.{}.{}".format, *(st.integers(0, n) for n in (3, 3, 254)))


def ipv6() -> st.SearchStrategy[str]:
    """Canonical IPv6 addresses, some of which end in `::`."""
    return st.sampled_from(("fd00::", "fd00::1", "fd00:0:0:1::", "2001:db8::a:b", "::1"))


def ips() -> st.SearchStrategy[str]:
    """Addresses of both families."""
    return st.one_of(ipv4(), ipv6())


def with_length() -> st.SearchStrategy[str]:
    """Addresses with their lengths."""
    return st.one_of(
        st.builds("{}/{}".format, ipv4(), st.integers(8, 32)),
        st.builds("{}/{}".format, ipv6(), st.integers(16, 128)),
    )


def prefixes() -> st.SearchStrategy[str]:
    """Prefixes of both families, without bits beyond their lengths."""
    return st.one_of(
        st.builds("10.{}.{}.0/24".format, st.integers(0, 3), st.integers(0, 3)),
        st.builds("fd00:0:0:{}::/64".format, st.integers(1, 9)),
    )


def addresses(
    one: st.SearchStrategy[str], most: int = 3
) -> st.SearchStrategy[tuple[str, ...] | None]:
    """Nothing said, `none`, or some addresses."""
    return st.none() | st.lists(one, max_size=most, unique=True).map(tuple)


def macs() -> st.SearchStrategy[str]:
    """Nothing said, or an address; one is a number in base sixty to YAML 1.1."""
    return st.sampled_from(("", "02:00:00:00:00:01", "52:54:00:12:34:56"))


def mtus() -> st.SearchStrategy[int]:
    """Nothing said, or an MTU."""
    return st.sampled_from((0, 68, 1400, 9000))


def memberships() -> st.SearchStrategy[Membership]:
    """How a namespace takes part in a network."""
    return st.builds(
        Membership,
        addresses=addresses(st.one_of(ips(), with_length())),
        interface=st.sampled_from(("", *LINK_NAMES)),
        mac=macs(),
        mtu=mtus(),
    )


def interfaces() -> st.SearchStrategy[InterfaceSpec]:
    """Draw what is said of one interface."""
    return st.builds(
        InterfaceSpec, addresses=addresses(with_length()), mac=macs(), mtu=mtus(), up=st.booleans()
    )


def networks() -> st.SearchStrategy[NetworkSpec]:
    """L2 segments."""
    return st.builds(
        NetworkSpec,
        subnets=addresses(prefixes()),
        range=st.lists(prefixes(), max_size=2).map(tuple),
        bridge=st.sampled_from(("", "br0")),
        gateway=st.one_of(st.just(""), st.sampled_from(("host", "a", "web:eth0")), ips()),
        mtu=mtus(),
        stp=st.booleans(),
        uplink=st.none() | uplinks(),
        dns=st.none() | st.lists(ips(), max_size=2, unique=True).map(tuple),
    )


def uplinks() -> st.SearchStrategy[Uplink]:
    """Ways out, the one that goes without saying among them."""
    via = st.lists(st.sampled_from(("eth0", "wlan0")), max_size=2, unique=True).map(tuple)
    return st.builds(Uplink, mode=st.sampled_from(("nat", "routed", "user")), via=via)


def publications() -> st.SearchStrategy[Publish]:
    """Ports that lead inwards."""
    return st.builds(
        Publish,
        address=st.just("") | ips(),
        port=st.integers(1, 65535),
        to=st.integers(1, 65535),
        protocol=st.sampled_from(("tcp", "udp")),
    )


def texts() -> st.SearchStrategy[TextSpec]:
    """Texts, and files that hold one."""
    some = st.sampled_from(("", "no", "chain i {\n}\n", "a: b"))
    return st.builds(TextSpec, text=some) | st.builds(
        TextSpec, file=st.sampled_from(("fw.nft", "no"))
    )


def commands() -> st.SearchStrategy[RunSpec]:
    """Commands, of one text and of several arguments."""
    words = (("exec nginx",), ("sleep", "10"), ("no",), ("a", "~", ""))
    waits = (None, Ready("tcp", 80), Ready("unix", text="/run/x"), Ready("log", text="up: yes"))
    return st.builds(
        RunSpec,
        command=st.sampled_from(words),
        ready=st.sampled_from(waits),
        name=st.sampled_from(("", "on")),
        env=st.dictionaries(st.sampled_from(("A", "NO")), st.sampled_from(("", "1", "x y"))),
        user=st.sampled_from(("", "nobody")),
        cwd=st.sampled_from(("", "/tmp", "here")),  # noqa: S108 - a text
    )


def outside(*names: str) -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    """Names with their addresses."""
    some = st.lists(ips(), min_size=1, max_size=2).map(tuple)
    return st.dictionaries(st.sampled_from(names), some, max_size=2)


def _routes(netns: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    via = st.builds("default via {}".format, st.one_of(st.sampled_from(netns), ips()))
    other = st.sampled_from(("blackhole 192.0.2.0/24", "10.9.0.0/16 dev eth0 metric 5"))
    return st.lists(st.one_of(via, other), max_size=2).map(tuple)


def namespaces(nets: tuple[str, ...], netns: tuple[str, ...]) -> st.SearchStrategy[NamespaceSpec]:
    """Namespaces that are members of some of `nets`."""
    member = st.dictionaries(st.sampled_from(nets), memberships(), max_size=2) if nets else None
    return st.builds(
        NamespaceSpec,
        count=st.sampled_from((None, 1, 3)),
        networks=st.just({}) if member is None else member,
        interfaces=st.dictionaries(st.sampled_from(LINK_NAMES), interfaces(), max_size=2),
        routes=_routes(netns),
        rules=st.lists(st.just("fwmark 1 lookup 100"), max_size=1).map(tuple),
        forwarding=st.sampled_from((None, True, False)),
        sysctls=st.dictionaries(
            st.sampled_from(("net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/rp_filter")),
            st.sampled_from(("1", "0x10", "", "4096 87380 6291456", "-1", "yes", 'a"b\\c')),
            max_size=2,
        ),
        hosts=outside("internet", "old.example"),
        firewall=st.none() | texts(),
        iptables=st.none() | texts(),
        dns=st.none() | st.lists(ips(), max_size=2, unique=True).map(tuple),
        etc=st.dictionaries(st.sampled_from(("motd", "nginx/a")), texts(), max_size=1),
        publish=st.lists(publications(), max_size=2).map(tuple),
        run=st.lists(commands(), max_size=2).map(tuple),
    )


def wire_ends(netns: tuple[str, ...]) -> st.SearchStrategy[WireEndSpec]:
    """Draw ends of wires."""
    return st.builds(
        WireEndSpec,
        netns=st.sampled_from((*netns, "host")),
        interface=st.sampled_from(("", "eth0", "up")),
        addresses=st.lists(with_length(), max_size=2, unique=True).map(tuple),
    )


def wires(netns: tuple[str, ...]) -> st.SearchStrategy[WireSpec]:
    """Wires between some of `netns` and the host."""
    return st.builds(
        WireSpec,
        ends=st.tuples(wire_ends(netns), wire_ends(netns)),
        subnets=addresses(prefixes()),
        mtu=mtus(),
    )


def flows(names: tuple[str, ...]) -> st.SearchStrategy[Flow]:
    """Draw expectations between some of `names`."""
    places = st.lists(st.one_of(st.sampled_from(names), ips()), min_size=1, max_size=2).map(tuple)
    return st.builds(
        Flow,
        sources=places,
        arrow=st.sampled_from(("->", "<->", "-/>")),
        destinations=places,
        port=st.sampled_from(("", "icmp", "tcp/80", "udp/53")),
        family=st.sampled_from((0, 4, 6)),
    ).map(_said)


def _said(flow: Flow) -> Flow:
    return Flow(
        sources=flow.sources,
        arrow=flow.arrow,
        destinations=flow.destinations,
        port=flow.port,
        family=flow.family,
        text=flow_text(flow),
    )


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Small topologies: what they say is well formed, and the names they use are declared."""
    assert RESERVED.isdisjoint((*NETNS_NAMES, *NETWORK_NAMES))
    netns = tuple(draw(st.lists(st.sampled_from(NETNS_NAMES), min_size=1, max_size=3, unique=True)))
    nets = tuple(draw(st.lists(st.sampled_from(NETWORK_NAMES), max_size=2, unique=True)))
    declared = draw(st.booleans())
    return Topology(
        name=draw(st.sampled_from(("", "shop", "x.y"))),
        networks={net: draw(networks()) for net in nets},
        namespaces={ns: draw(namespaces(nets, netns)) for ns in netns} if declared else None,
        links=tuple(draw(st.lists(wires(netns), max_size=3))),
        hosts=draw(outside(*OUTSIDE_NAMES)),
        expect=tuple(draw(st.lists(flows((*netns, *nets, "host", "all", "internet")), max_size=2))),
        pool=draw(st.sampled_from((Topology().pool, ("172.16.0.0/12",)))),
        routing=draw(st.sampled_from(("", "static"))),
    )
