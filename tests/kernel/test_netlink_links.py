"""Links on a real kernel: born whole, changed in place, seen as `ip -j -d link` shows them."""

from collections.abc import Callable
from errno import EAFNOSUPPORT, EEXIST, EINVAL, ENOTCONN, EOPNOTSUPP
from struct import pack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netloom.errors import KernelError
from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import Bridge, End, Link, Veth
from netloom.wire.dialogue import frame
from netloom.wire.rtnetlink import (
    Message,
    SeenLink,
    VethPeer,
    altname_add,
    altname_del,
    bridge_mtu,
    dump_addrs,
    dump_links,
    kind_add,
    link_add,
    link_del,
    link_del_group,
    link_set,
    read_addrs,
    read_links,
)
from tests.hosts.netns import Netns

New = Callable[[], Netns]


def veth(number: int, mtu: int = 1500) -> Link:
    """Return one end of a veth with a MAC address of its own."""
    return Link(kind=Veth(End("", "")), mac=f"02:00:00:00:00:{number:02x}", mtu=mtu)


def bridge(mtu: int = 1500, *, stp: bool = False) -> Link:
    """Return a bridge."""
    return Link(kind=Bridge(stp=stp), mac="02:00:00:ff:00:01", mtu=mtu)


def links(netns: Netns) -> dict[str, SeenLink]:
    """Return the links of a namespace by name."""
    return {link.name: link for link in read_links(netns.rt.dump(dump_links()))}


def as_ip_shows(link: SeenLink, names: dict[int, str]) -> dict[str, Any]:
    """Return a link in the words of `ip -j -d link`."""
    shown: dict[str, Any] = {
        "ifindex": link.index,
        "ifname": link.name,
        "mtu": link.mtu,
        "address": link.mac or "00:00:00:00:00:00",
        "group": str(link.group) if link.group else "default",
        "inet6_addr_gen_mode": "eui64" if link.ipv6_ll else "none",
    }
    if link.master:
        shown["master"] = names[link.master]
    if link.alias:
        shown["ifalias"] = link.alias
    if link.altnames:
        shown["altnames"] = list(link.altnames)
    if link.link_index and link.link_netnsid is None:
        shown["link"] = names[link.link_index]
    elif link.link_index:
        shown |= {"link_index": link.link_index, "link_netnsid": link.link_netnsid}
    return shown


def assert_ip_agrees(netns: Netns) -> None:
    """Compare all that we see with what `ip` shows."""
    seen = list(links(netns).values())
    names = {link.index: link.name for link in seen}
    keys = {"master", "ifalias", "altnames", "link", "link_index", "link_netnsid"}
    keys |= as_ip_shows(seen[0], names).keys()
    for ours, shown in zip(seen, netns.ip("link"), strict=True):
        assert as_ip_shows(ours, names) == {key: shown[key] for key in keys if key in shown}
        assert ours.up == ("UP" in shown["flags"])
        assert ours.carrier == ("LOWER_UP" in shown["flags"])
        info = shown.get("linkinfo", {})
        assert ours.kind == info.get("info_kind", "")
        if ours.kind == "bridge":
            assert ours.info == Bridge(stp=info["info_data"]["stp_state"] != 0)


def test_links_are_seen_as_ip_shows_them(new_netns: New) -> None:
    """A loopback, a bridge, its ports to near and far, marks, other names, groups, states."""
    near, far = new_netns(), new_netns()
    near.rt.batch(
        [
            link_add("br0", bridge(1400, stp=True), index=9, up=True),
            link_add("out", veth(1), master=9, peer=VethPeer("eth0", veth(2), 0, far.fd), up=True),
            link_add("a", veth(3), peer=VethPeer("b", veth(4, 1300)), group=7),
            *link_set(0, "a", alias="netloom:lab to x:y", ipv6_ll=False),
            *link_set(1, up=True, alias="netloom:lab/é"),
            altname_add(9, "a-bridge-with-a-name-beyond-fifteen-bytes"),
            altname_add(9, "another"),
        ]
    )
    far.rt.batch(link_set(0, "eth0", up=True))

    assert_ip_agrees(near)
    assert_ip_agrees(far)


def test_a_veth_is_born_with_all_that_was_asked(new_netns: New) -> None:
    """Both ends have their name, index, MAC and MTU from one message, in two namespaces."""
    near, far = new_netns(), new_netns()
    peer = VethPeer("eth0", veth(2, 1300), 77, far.fd)
    near.rt.batch(
        [
            link_add("br0", bridge(), index=9),
            link_add("a", veth(1, 1400), index=55, master=9, peer=peer, group=3, up=True),
        ]
    )

    a, eth0 = links(near)["a"], links(far)["eth0"]

    assert (a.index, a.mac, a.mtu, a.master, a.group) == (55, veth(1).mac, 1400, 9, 3)
    assert (eth0.index, eth0.mac, eth0.mtu) == (77, veth(2).mac, 1300)
    assert (a.up, eth0.up, a.carrier) == (True, False, False)
    assert (a.link_index, eth0.link_index) == (77, 55)
    assert (near.ip("link", "show", "dev", "a")[0]["link_index"]) == 77


def test_a_link_can_be_born_elsewhere(new_netns: New) -> None:
    """The near end lies in the namespace of a descriptor, and not in the socket's."""
    here, one, two = new_netns(), new_netns(), new_netns()

    here.rt.batch([link_add("a", veth(1), netns_fd=one.fd, peer=VethPeer("b", veth(2), 0, two.fd))])

    assert [sorted(links(each)) for each in (here, one, two)] == [["lo"], ["a", "lo"], ["b", "lo"]]


def test_the_kernel_ignores_the_index_of_a_peer_alone(netns: Netns) -> None:
    """veth_newlink looks at it only when the near end has one; so we refuse to ask for it."""
    body = link_add("a", veth(1), index=5, peer=VethPeer("b", veth(2), 77)).body

    netns.rt.batch([Message(16, 0x600, pack("=BxHiII", 0, 0, 0, 0, 0) + body[16:])])

    assert links(netns)["b"].index != 77
    with pytest.raises(ValueError, match="the index of `b` would be ignored: `a` has none"):
        link_add("a", veth(1), peer=VethPeer("b", veth(2), 77))


def test_an_index_that_is_taken_is_refused(netns: Netns) -> None:
    """So a chosen index never falls on another link."""
    netns.rt.batch([link_add("a", veth(1), index=5, peer=VethPeer("b", veth(2), 6))])

    with pytest.raises(KernelError) as caught:
        netns.rt.batch([link_add("br0", bridge(), index=6)])

    assert caught.value.errno == EEXIST


def test_a_peer_that_is_born_up_is_refused(netns: Netns) -> None:
    """It would be opened before it knows its other end; so `VethPeer` has no state."""
    body = link_add("a", veth(1), index=5, peer=VethPeer("b", veth(2), 77)).body
    down, up = pack("=BxHiII", 0, 0, 77, 0, 0), pack("=BxHiII", 0, 0, 77, 1, 1)

    with pytest.raises(KernelError) as caught:
        netns.rt.batch([Message(16, 0x600, body.replace(down, up))])

    assert caught.value.errno == ENOTCONN


def test_a_bridge_floods_multicast_and_keeps_its_mac(netns: Netns) -> None:
    """As a plain switch does; a port with a lower MAC address does not change it."""
    netns.rt.batch(
        [
            link_add("br0", bridge(stp=True), index=9),
            link_add("a", veth(1), master=9, peer=VethPeer("b", veth(2))),
        ]
    )

    (shown,) = netns.ip("link", "show", "dev", "br0")

    assert shown["linkinfo"]["info_data"]["mcast_snooping"] == 0
    assert shown["linkinfo"]["info_data"]["stp_state"] == 1
    assert shown["address"] == bridge().mac


@pytest.mark.parametrize("mtu", [68, 1500, 9000])
def test_a_bridge_keeps_the_mtu_that_was_set_for_good(netns: Netns, mtu: int) -> None:
    """Else it takes on the least of its ports'."""
    port = [link_add("a", veth(1, 1300), master=9, peer=VethPeer("b", veth(2, 1300)))]
    netns.rt.batch([link_add("br0", bridge(mtu), index=9), *port])
    assert links(netns)["br0"].mtu == 1300
    netns.rt.batch([link_del(name="a"), link_del(9)])

    netns.rt.batch([link_add("br0", bridge(mtu), index=9), *bridge_mtu(9, mtu), *port])

    assert links(netns)["br0"].mtu == mtu


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "up": st.booleans(),
        "mtu": st.integers(1280, 9000),
        "mac": st.binary(min_size=5, max_size=5).map(lambda tail: "02:" + tail.hex(":")),
        "master": st.sampled_from((0, 9)),
        "alias": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(
            lambda text: text.encode()[:255].decode(errors="ignore")
        ),
        "ipv6_ll": st.booleans(),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_a_change_changes_what_it_says_and_nothing_else(
    netns: Netns, changes: list[dict[str, Any]]
) -> None:
    """Each fact has its latest value, whatever was changed together with it."""
    seen = links(netns)
    if "a" not in seen:
        pair = link_add("a", veth(1), index=5, peer=VethPeer("b", veth(2), 6))
        netns.rt.batch([link_add("br0", bridge(), index=9), pair])
        seen = links(netns)
    expected = seen["a"]

    for change in changes:
        netns.rt.batch(link_set(5, **change))
        expected = replace(expected, **change)

    assert replace(links(netns)["a"], carrier=False) == replace(expected, carrier=False)


def test_a_link_below_the_least_mtu_of_ipv6_has_no_ipv6(netns: Netns) -> None:
    """It is seen without link-local addresses, and the kernel refuses to be told about them."""
    netns.rt.batch([link_add("a", veth(1, 1279), index=5, peer=VethPeer("b", veth(2), 6))])
    assert not links(netns)["a"].ipv6_ll

    with pytest.raises(KernelError) as caught:
        netns.rt.batch(link_set(5, ipv6_ll=False))

    assert caught.value.errno == EAFNOSUPPORT
    netns.rt.batch(link_set(5, mtu=1280))
    assert links(netns)["a"].ipv6_ll


def test_a_kind_that_wants_more_than_its_name_is_told_from_one_that_there_is_not(
    netns: Netns,
) -> None:
    """EINVAL and EOPNOTSUPP: so a kernel can be asked for any kind by its word alone."""
    said: dict[str, int | None] = {}
    for kind in ("macvlan", "vlan", "ipvlan", "vxlan", "no-such-kind"):
        with pytest.raises(KernelError) as caught:
            netns.rt.batch([kind_add("a", kind)])
        said[kind] = caught.value.errno

    assert said.pop("no-such-kind") == EOPNOTSUPP
    assert {EINVAL} <= set(said.values()) <= {EINVAL, EOPNOTSUPP}  # some kernels lack some


def test_the_spanning_tree_protocol_can_be_switched(netns: Netns) -> None:
    """While the bridge is there."""
    netns.rt.batch([link_add("br0", bridge(), index=9)])

    for stp in (True, False):
        netns.rt.batch(link_set(9, kind=Bridge(stp=stp)))
        assert links(netns)["br0"].info == Bridge(stp=stp)


@pytest.mark.parametrize("ipv6_ll", [True, False])
def test_a_link_that_is_set_up_has_a_link_local_address_only_where_asked(
    netns: Netns,
    ipv6_ll: bool,  # noqa: FBT001 - parametrized
) -> None:
    """Also where it was up a moment ago, and the kernel would give it one at once."""
    rt = netns.rt
    rt.batch([link_add("br0", bridge(), index=9, up=True)])
    rt.batch([link_add("a", veth(1), index=5, master=9, up=True, peer=VethPeer("b", veth(2), 6))])
    rt.batch([*link_set(6, up=True), *link_set(9, up=False)])

    rt.batch(link_set(9, up=True, ipv6_ll=ipv6_ll))
    for _ in range(100_000):  # a bridge has carrier when linkwatch has seen that of its port
        if links(netns)["br0"].carrier:
            break

    found = [seen for seen in read_addrs(rt.dump(dump_addrs())) if seen.index == 9]
    assert [seen.addr.ip[:6] for seen in found] == (["fe80::"] if ipv6_ll else [])


def test_a_mode_that_is_changed_while_up_gives_and_takes_no_address(netns: Netns) -> None:
    """It decides at the next time that the link comes up."""
    rt = netns.rt
    rt.batch([link_add("a", veth(1), index=5, up=True, peer=VethPeer("b", veth(2), 6))])
    rt.batch([*link_set(5, ipv6_ll=False), *link_set(6, ipv6_ll=False, up=True)])
    rt.batch(link_set(5, ipv6_ll=True))

    assert [seen for seen in read_addrs(rt.dump(dump_addrs())) if seen.index == 5] == []


def test_an_alias_in_a_creating_message_is_ignored(netns: Netns) -> None:
    """Hence the mark follows in a message of its own."""
    message = link_add("a", veth(1), peer=VethPeer("b", veth(2)))
    alias = link_set(1, alias="netloom:lab")[0].body[16:]

    netns.rt.batch([message._replace(body=message.body + alias)])

    assert links(netns)["a"].alias == ""


def test_other_names_come_and_go(netns: Netns) -> None:
    """They are kept in order, and one may be a hundred bytes long."""
    names = ("a" * 100, "second", "third")
    netns.rt.batch([altname_add(1, name) for name in names])
    assert links(netns)["lo"].altnames == names

    netns.rt.batch([altname_del(1, "second")])

    assert links(netns)["lo"].altnames == (names[0], "third")


def test_a_link_takes_its_other_end_with_it(new_netns: New) -> None:
    """By index or by name."""
    near, far = new_netns(), new_netns()
    near.rt.batch([link_add("a", veth(1), index=5, peer=VethPeer("b", veth(2), 6, far.fd))])
    near.rt.batch([link_del(5), link_add("c", veth(1), peer=VethPeer("d", veth(2), 0, far.fd))])

    far.rt.batch([link_del(name="d")])

    assert (sorted(links(near)), sorted(links(far))) == (["lo"], ["lo"])


def test_a_group_is_deleted_at_once(new_netns: New) -> None:
    """And nothing besides: links of another group stay."""
    near, far = new_netns(), new_netns()
    near.rt.batch([link_add("br0", bridge(), index=9)])
    near.rt.batch(
        [
            link_add(
                f"a{n}", veth(n), master=9, group=7, peer=VethPeer(f"b{n}", veth(n), 0, far.fd)
            )
            for n in range(50)
        ]
    )

    near.rt.batch([link_del_group(7)])

    assert (sorted(links(near)), sorted(links(far))) == (["br0", "lo"], ["lo"])


def test_a_master_that_is_none_is_refused(netns: Netns) -> None:
    """The kernel says so, and the link stays as it was."""
    netns.rt.batch([link_add("br0", bridge(), index=9)])

    with pytest.raises(KernelError) as caught:
        netns.rt.batch(link_set(9, master=444))

    assert caught.value.errno == EINVAL


def test_a_bridge_has_1023_ports(netns: Netns) -> None:
    """The 1024th is refused, and it is told which that was."""
    netns.rt.batch([link_add("br0", bridge(), index=9)])
    ports = [
        link_add(f"a{n}", veth(1), index=1000 + 2 * n, master=9, peer=VethPeer(f"b{n}", veth(2)))
        for n in range(1024)
    ]

    with pytest.raises(KernelError) as caught:
        netns.rt.batch(ports)

    assert (caught.value.index, caught.value.strerror) == (1023, "Exchange full")
    assert sum(link.master == 9 for link in links(netns).values()) == 1023


def test_a_socket_of_another_thread_or_process_is_as_good(netns: Netns) -> None:
    """What was made by one conversation is seen by another."""
    Rtnetlink(netns.bare).batch([link_add("br0", bridge())])

    assert sorted(links(netns)) == ["br0", "lo"]


def test_pyroute2_reads_the_same_of_a_dump(netns: Netns) -> None:
    """Another codec, written by others, finds the same facts in the same bytes."""
    messages = pytest.importorskip("pyroute2.netlink.rtnl.ifinfmsg")
    pair = link_add("a", veth(1), index=5, master=9, peer=VethPeer("b", veth(2, 1400), 6), group=3)
    netns.rt.batch([link_add("br0", bridge(stp=True), index=9), pair])
    netns.rt.batch([*link_set(5, alias="netloom:lab", up=True), altname_add(6, "other")])

    for payload in netns.rt.dump(dump_links()):
        (ours,) = read_links([payload])
        theirs = messages.ifinfmsg(frame([Message(16, 0, payload)], 1))
        theirs.decode()
        facts = ("IFNAME", "MTU", "MASTER", "IFALIAS", "LINK", "GROUP")
        assert [theirs.get_attr(f"IFLA_{fact}") or 0 for fact in facts] == [
            ours.name,
            ours.mtu,
            ours.master,
            ours.alias or 0,
            ours.link_index,
            ours.group,
        ]
        assert theirs["index"] == ours.index
        assert theirs.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == (ours.kind or None)
        assert theirs.get_nested("IFLA_PROP_LIST", "IFLA_ALT_IFNAME") == (
            ours.altnames[0] if ours.altnames else None
        )
