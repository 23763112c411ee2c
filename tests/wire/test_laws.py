"""The law of the codec: reading what was built gives what it was built from."""

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from netloom.model.objects import Addr, Bridge, Link, Route, Rule
from netloom.wire.attributes import nested, offsets, raw, u8, within
from netloom.wire.constants import (
    AF_INET6,
    DEVCONF_ADDR_GEN_MODE,
    IFLA_AF_SPEC,
    IFLA_INET6_ADDR_GEN_MODE,
    IFLA_INET6_CONF,
    IFLA_INFO_DATA,
    IFLA_LINKINFO,
    IFLA_NET_NS_FD,
)
from netloom.wire.kinds import VETH_INFO_PEER
from netloom.wire.rtnetlink import (
    Message,
    VethPeer,
    addr_add,
    altname_add,
    link_add,
    link_set,
    read_addrs,
    read_links,
    read_routes,
    read_rules,
    route_add,
    route_del,
    rule_add,
    rule_del,
)
from tests.wire.nouns import INDEXES, NAMES, addrs, bridges, macs, routes, rules, veths

indexes = st.integers(1, 0x7FFF_FFFF)
names = st.sampled_from(NAMES)
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
BY_INDEX = {index: name for name, index in INDEXES.items()}


@given(indexes, addrs())
def test_an_address_reads_as_it_was_built(index: int, addr: Addr) -> None:
    """Index, address and length come back; an IPv6 address asks for no duplicate detection."""
    (seen,) = read_addrs([addr_add(index, addr).body])

    assert (seen.index, seen.addr) == (index, addr)
    assert seen.flags == (2 if ":" in addr.ip else 0)


@given(routes())
def test_a_route_reads_as_it_was_built(route: Route) -> None:
    """All of it comes back, whatever its table, metrics and ways."""
    assert read_routes([route_add(route, INDEXES).body], BY_INDEX) == [route]


@given(routes())
def test_a_route_is_deleted_by_all_that_it_is(route: Route) -> None:
    """So that no other route, which somebody else made, is taken in its place."""
    assert route_del(route, INDEXES).body == route_add(route, INDEXES).body


@given(rules())
def test_a_rule_reads_as_it_was_built(rule: Rule) -> None:
    """All selectors come back; what looks like a rule of a newborn namespace is left out."""
    assume(rule.protocol or rule.priority not in {0, 32766, 32767})

    assert read_rules([rule_add(rule).body]) == [rule]
    assert rule_del(rule).body == rule_add(rule).body


@given(names, bridges, indexes, st.booleans(), st.integers(0, 9))
def test_a_bridge_reads_as_it_was_built(
    name: str,
    link: Link,
    index: int,
    up: bool,  # noqa: FBT001 - drawn
    group: int,
) -> None:
    """Name, index, MAC, MTU, spanning tree, group and state come back."""
    (seen,) = read_links([link_add(name, link, index=index, up=up, group=group).body])

    assert (seen.index, seen.name, seen.kind, seen.info) == (index, name, "bridge", link.kind)
    assert (seen.mac, seen.mtu, seen.up, seen.group) == (link.mac, link.mtu, up, group)


@given(
    names, veths, indexes, indexes, st.builds(VethPeer, names, veths, indexes, st.integers(-1, 99))
)
def test_both_ends_of_a_veth_read_as_they_were_built(
    name: str, link: Link, index: int, master: int, peer: VethPeer
) -> None:
    """The far end is a whole link message inside the near end's."""
    body = link_add(name, link, index=index, master=master, peer=peer).body

    (near,) = read_links([body])
    inner, netns_fd = far_end(body)
    (far,) = read_links([inner])

    assert (near.index, near.name, near.kind, near.master) == (index, name, "veth", master)
    assert (near.mac, near.mtu, near.up) == (link.mac, link.mtu, False)
    assert (far.index, far.name, far.up) == (peer.index, peer.name, False)
    assert (far.mac, far.mtu) == (peer.link.mac, peer.link.mtu)
    assert netns_fd == peer.netns_fd


def far_end(body: bytes) -> tuple[bytes, int]:
    """Return the message about the far end within a veth's, and the descriptor in it."""
    data = within(body, within(body, offsets(body, 16, len(body)), IFLA_LINKINFO), IFLA_INFO_DATA)
    place = data[VETH_INFO_PEER]
    inner = body[place + 4 : place + int.from_bytes(body[place : place + 2], "little")]
    at = offsets(inner, 16, len(inner)).get(IFLA_NET_NS_FD)
    return inner, -1 if at is None else int.from_bytes(inner[at + 4 : at + 8], "little")


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "up": st.booleans(),
        "mtu": st.integers(68, 65535),
        "mac": macs,
        "master": indexes,
        "alias": st.text(CHARACTERS, max_size=60),
        "ipv6_ll": st.booleans(),
        "kind": st.builds(Bridge, stp=st.booleans()),
    },
)


@given(indexes, CHANGES)
def test_a_change_says_what_was_asked_and_nothing_else(index: int, changes: dict[str, Any]) -> None:
    """One message, or two where it is set up with another mode of IPv6 addresses."""
    messages = link_set(index, **changes)
    seen = read_links(message.body for message in messages)

    assert len(messages) == (2 if changes.get("up") and "ipv6_ll" in changes else 1)
    assert {link.index for link in seen} == {index}
    for fact, value in changes.items():
        link = seen[-1 if fact == "up" else 0]
        assert (link.info if fact == "kind" else getattr(link, fact)) == value
    kinds = sum(fact != "up" for fact in changes)
    assert sum(len(offsets(body, 16, len(body))) for _, _, body in messages) == kinds


def test_whether_a_link_speaks_ipv6_by_itself_is_also_told_with_its_settings() -> None:
    """In an array of numbers, where the attribute is left out; without both it has no IPv6."""

    def told(*facts: bytes) -> bool:
        families = nested(IFLA_AF_SPEC, nested(AF_INET6, *facts))
        (link,) = read_links([bytes(16) + families])
        return link.ipv6_ll

    def settings(mode: int, size: int = 60) -> bytes:
        values = ([1] * DEVCONF_ADDR_GEN_MODE + [mode] + [1] * 60)[:size]
        return raw(IFLA_INET6_CONF, b"".join(value.to_bytes(4, "little") for value in values))

    mode = IFLA_INET6_ADDR_GEN_MODE
    assert [told(settings(each)) for each in (0, 1, 2)] == [True, False, True]
    sizes = (DEVCONF_ADDR_GEN_MODE + 1, DEVCONF_ADDR_GEN_MODE, 0)
    assert [told(settings(0, size)) for size in sizes] == [True, False, False]
    assert not told()
    assert [told(u8(mode, 0), settings(1)), told(settings(0), u8(mode, 1))] == [True, False]


@given(st.text(CHARACTERS, min_size=1, max_size=40))
def test_a_name_of_any_characters_survives(altname: str) -> None:
    """Names are bytes to the kernel, and UTF-8 to everybody else."""
    (seen,) = read_links([altname_add(3, altname).body])

    assert seen.altnames == (altname,)


def test_a_link_is_named_by_its_name_only_without_an_index() -> None:
    """With an index, a name in the message would be a new one."""
    (by_index,) = read_links([link_set(7, "eth0", up=True)[0].body])
    (by_name,) = read_links([link_set(0, "eth0", up=True)[0].body])

    assert (by_index.index, by_index.name) == (7, "")
    assert (by_name.index, by_name.name) == (0, "eth0")


@given(st.sampled_from([1, 2, 9]))
def test_routes_that_nobody_asked_for_are_left_out(protocol: int) -> None:
    """The kernel's, a redirect's, a router advertisement's."""
    route = Route("10.0.0.0/8", type="blackhole", protocol=protocol)

    assert read_routes([route_add(route, {}).body], {}) == []


def test_cached_routes_and_the_table_local_are_left_out() -> None:
    """They are consequences of other facts."""
    body = route_add(Route("10.0.0.0/8", type="blackhole"), {}).body
    cached = body[:8] + b"\0\2\0\0" + body[12:]
    local = route_add(Route("10.0.0.0/8", type="blackhole", table=255), {}).body

    assert read_routes([cached, local], {}) == []
    assert read_routes([body], {}) != []


def test_a_link_that_has_no_name_keeps_its_index_in_a_route() -> None:
    """It went away between two dumps."""
    route = Route("10.0.0.0/8", nexthops=())
    body = route_add(route, {}).body + b"\x08\0\x04\0\x07\0\0\0"

    (seen,) = read_routes([body], {})

    assert seen.nexthops[0].dev == "if7"


def test_rules_of_a_newborn_namespace_are_left_out() -> None:
    """The kernel marks them as its own; before Linux 4.17 they are told by priority and table."""
    kernels = Rule(4, 100, table=7, protocol=2)
    old = [Rule(4, 0, table=255, protocol=0), Rule(6, 32766, table=254, protocol=0)]
    asked = Rule(4, 32766, table=7, protocol=0)

    bodies = [rule_add(rule).body for rule in (kernels, *old, asked)]

    assert read_rules(bodies) == [asked]


def test_rules_and_addresses_of_other_families_are_left_out() -> None:
    """One dump tells of all families, multicast rules (128 and 129) among them."""
    multicast = Message(32, 0, b"\x80" + rule_add(Rule(4, 100, table=7)).body[1:])

    assert read_rules([multicast.body]) == []
    assert read_addrs([b"\x07" + bytes(7)]) == []
