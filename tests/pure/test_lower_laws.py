"""The laws of lowering: addresses, names, memory, and a refusal for all that cannot be."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from netloom.compile.expand import Expanded, expand
from netloom.compile.host_part import published, takes_part
from netloom.compile.lower import HostFacts, lower
from netloom.errors import Problem, TopologyError
from netloom.language.parse import parse
from netloom.language.topology import (
    Membership,
    NamespaceSpec,
    NetworkSpec,
    Topology,
    WireEndSpec,
    WireSpec,
)
from netloom.language.unparse import unparse
from netloom.model.objects import HOST, NOTHING, Desired, Loopback, Veth
from netloom.model.reservation import Reservation, reserved_by
from netloom.values import contains, family
from tests.pure.topologies import topologies
from tests.pure.worlds import Change, bare, changes, made, worlds


def segments(topology: Topology, desired: Desired) -> list[list[tuple[str, str]]]:
    """Return the addresses on each segment, with who has them."""
    expanded: Expanded = expand(topology)
    return [
        [
            (str(port.end), addr.ip)
            for port in segment.ports
            for addr in desired.netns[port.end.netns].links[port.end.link].addrs
        ]
        for segment in expanded.segments
    ]


@given(worlds())
def test_an_address_is_there_once_on_a_segment(topology: Topology) -> None:
    """Nobody hears his own address from another."""
    for segment in segments(topology, lower(topology).desired):
        addresses = [address for _, address in segment]
        assert len(addresses) == len(set(addresses))


@given(worlds())
def test_addresses_lie_in_the_subnets_of_their_network(topology: Topology) -> None:
    """Derived ones and given ones alike."""
    lowered = lower(topology)
    for segment in expand(topology).segments:
        subnets = segment.asked or lowered.held.subnets.get(segment.key, ())
        for port in segment.ports:
            for addr in lowered.desired.netns[port.end.netns].links[port.end.link].addrs:
                assert not subnets or any(contains(prefix, addr.ip) for prefix in subnets)


@given(worlds())
def test_lowering_twice_is_the_same(topology: Topology) -> None:
    """Nothing hangs on chance, on the clock, or on the order of a set."""
    assert lower(topology) == lower(parse(unparse(topology)).topology)


@given(worlds())
def test_what_is_held_is_kept(topology: Topology) -> None:
    """Lowering again with what was derived before changes nothing."""
    first = lower(topology)

    assert lower(topology, HostFacts(held=first.held)) == first


@given(worlds(), st.integers(0, 5))
def test_a_line_added_anywhere_renumbers_nobody(topology: Topology, place: int) -> None:
    """A namespace, a wire and a membership put in front of others take no address of theirs."""
    before = lower(topology)

    after = lower(with_newcomers(topology, place), HostFacts(held=before.held)).desired

    for name, netns in before.desired.netns.items():
        for link_name, link in netns.links.items():
            assert after.netns[name].links[link_name].addrs == link.addrs


def with_newcomers(topology: Topology, place: int) -> Topology:
    """Return a topology with two namespaces and a wire more, not at the end; gateways left out."""
    plain = {name: replace(network, gateway="") for name, network in topology.networks.items()}
    nets = {
        name: Membership(addresses=None)
        for name, network in topology.networks.items()
        if network.subnets != ()
    }
    spaces = list((topology.namespaces or {}).items())
    at = place % (len(spaces) + 1)
    spaces[at:at] = [("aaa", NamespaceSpec(networks=nets)), ("zzz", NamespaceSpec())]
    wire = WireSpec(ends=(WireEndSpec(netns="aaa"), WireEndSpec(netns="zzz")))
    at = place % (len(topology.links) + 1)
    links = (*topology.links[:at], wire, *topology.links[at:])
    return replace(topology, networks=plain, namespaces=dict(spaces), links=links)


@given(worlds())
def test_names_fit_the_kernel(topology: Topology) -> None:
    """Fifteen bytes; where a name is longer, the whole of it is an altname."""
    for netns in lower(topology).desired.netns.values():
        for name, link in netns.links.items():
            assert len(name.encode()) <= 15
            assert all(15 < len(altname.encode()) < 128 for altname in link.altnames)


@given(worlds())
def test_wires_have_two_ends_and_every_mac_is_its_own(topology: Topology) -> None:
    """Each end names the other, and no two of a lab are told apart by their place alone."""
    desired = lower(topology, HostFacts(salt="boot")).desired
    links = {
        (name, link_name): link
        for name, netns in desired.netns.items()
        for link_name, link in netns.links.items()
    }
    for end, link in links.items():
        if isinstance(link.kind, Veth):
            assert links[link.kind.peer].kind == Veth(type(link.kind.peer)(*end))
    derived = [link.mac for link in links.values() if not isinstance(link.kind, Loopback)]
    assert len(derived) == len(set(derived))


@given(worlds())
def test_only_what_takes_part_reaches_the_host(topology: Topology) -> None:
    """The host gets the ends of wires to it and the bridges it asked for, and nothing else."""
    desired = lower(topology).desired
    bridged = any(network.bridge for network in topology.networks.values())
    invited = HOST in (topology.namespaces or {}) or any(
        end.netns == HOST for wire in topology.links for end in wire.ends
    )

    assert (bridged or invited) or not desired.netns[HOST].links


@given(worlds())
def test_who_reserves_something_of_the_host_was_known_to_take_part(topology: Topology) -> None:
    """Before anything is looked at: whoever takes no part waits for no other lab."""
    reserved = reserved_by([lower(topology).desired], published(topology))

    assert takes_part(topology) or reserved == Reservation()


@given(changes())
def test_link_local_addresses_are_for_networks_with_ipv6(change: Change) -> None:
    """Members of an IPv4 network do not speak IPv6 by themselves: n² messages otherwise."""
    for state in (change.first.desired, change.second.desired):
        for netns in state.netns.values():
            for link in netns.links.values():
                assert not link.ipv6_ll or (link.mtu >= 1280 and link.up)
                if any(family(addr.ip) == 6 for addr in link.addrs) and link.mac and link.up:
                    assert link.ipv6_ll


def outcome(text: str) -> tuple[Desired, tuple[Problem, ...]]:
    """Return what a file leads to: what is desired, or why it cannot be."""
    try:
        return lower(parse(text, name="lab").topology).desired, ()
    except TopologyError as error:
        return NOTHING, error.problems


@given(topologies())
def test_any_topology_is_lowered_or_refused(topology: Topology) -> None:
    """Whatever can be parsed: a plan that the kernel would take, or mistakes with their places."""
    desired, problems = outcome(unparse(topology))

    assert all(str(problem) for problem in problems)
    assert made(desired, bare(desired)).asked_by(desired).netns == desired.netns


_WORDS = (
    "default 10.0.0.0/8 10.0.0.1/8 ::/0 fd00::/16 b lan a via dev src metric table nexthop weight "
    "mtu advmss scope tos onlink proto vrf blackhole throw 10.1.0.1 10.1.0.2 fe80::1 0 -1 1 254 "
    "4294967296 main global link b:lan a:lan lo x 300 inet6"
)
_RULE_WORDS = (
    "from to all 10.0.0.0/8 fd00::/16 iif oif lan fwmark 1 0x1/0xff lookup table main priority not "
    "tos ipproto tcp udp sport dport 80 80-90 90-80 uidrange 0-5 suppress_prefixlength blackhole "
    "prohibit -1 x 999 goto nat"
)


def some_of(words: str) -> st.SearchStrategy[list[str]]:
    """Draw some words, in any order."""
    return st.lists(st.sampled_from(words.split()), max_size=9)


@given(some_of(_WORDS), some_of(_RULE_WORDS))
def test_any_words_are_a_route_or_a_mistake(words: list[str], rule: list[str]) -> None:
    """The words of iproute2 in any order are understood or refused, never half understood."""
    member = {"lan": Membership()}
    spaces = {
        "a": NamespaceSpec(networks=member, routes=(" ".join(words),), rules=(" ".join(rule),)),
        "b": NamespaceSpec(networks=member),
    }
    lan = {"lan": NetworkSpec(subnets=("10.1.0.0/24",))}

    desired, problems = outcome(unparse(Topology(networks=lan, namespaces=spaces)))

    assert all(problem.path[:2] == ("namespaces", "a") for problem in problems)
    assert made(desired, bare(desired)).asked_by(desired).netns == desired.netns
