"""A foreign witness: pyroute2 reads our messages, and we read what it builds."""

from typing import Any

import pytest

from netloom.model.objects import Addr, Bridge, End, Link, Nexthop, Route, Rule, Veth
from netloom.wire.dialogue import frame
from netloom.wire.rtnetlink import (
    Message,
    VethPeer,
    addr_add,
    altname_add,
    dump_links,
    link_add,
    link_set,
    read_addrs,
    read_links,
    read_routes,
    read_rules,
    route_add,
    rule_add,
)

pytest.importorskip("pyroute2", reason="pip install pyroute2")

from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

INDEXES = {"eth0": 2, "eth1": 3}
NAMES = {index: name for name, index in INDEXES.items()}


def theirs(noun: type, message: Message) -> Any:
    """Return a message of ours as pyroute2 reads it."""
    read = noun(frame([message], 1))
    read.decode()
    return read


def ours(noun: type, fields: dict[str, Any], *attributes: tuple[str, Any]) -> bytes:
    """Return the payload of a message that pyroute2 built."""
    message = noun()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = list(attributes)
    message.encode()
    return bytes(message.data)[16:]


def test_they_read_a_veth_with_both_its_ends() -> None:
    """The far end lies three levels deep."""
    near = Link(kind=Veth(End("", "")), mac="02:00:00:00:00:01", mtu=1400)
    far = Link(kind=Veth(End("", "")), mac="06:00:00:00:00:01", mtu=1300)
    message = link_add("eth0", near, index=7, master=3, peer=VethPeer("far", far, 9, 5), group=4)

    read = theirs(ifinfmsg, message)
    inside = read.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")

    assert (read["header"]["type"], read["header"]["flags"]) == (16, 0x605)
    assert (read["index"], read["flags"], read["change"]) == (7, 0, 0)
    assert [
        read.get_attr(f"IFLA_{name}") for name in ("IFNAME", "ADDRESS", "MTU", "MASTER", "GROUP")
    ] == ["eth0", near.mac, 1400, 3, 4]
    assert read.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == "veth"
    assert inside["index"] == 9
    assert [
        inside.get_attr(f"IFLA_{name}") for name in ("IFNAME", "ADDRESS", "MTU", "NET_NS_FD")
    ] == ["far", far.mac, 1300, 5]


def test_they_read_a_bridge() -> None:
    """It floods multicast, and runs the spanning tree protocol where that is asked."""
    link = Link(kind=Bridge(stp=True), mac="02:00:00:00:00:01", mtu=1500)

    read = theirs(ifinfmsg, link_add("br0", link, up=True))
    data = read.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")

    assert read.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == "bridge"
    assert (data.get_attr("IFLA_BR_STP_STATE"), data.get_attr("IFLA_BR_MCAST_SNOOPING")) == (1, 0)
    assert (read["flags"], read["change"]) == (1, 1)


def test_they_read_changes_of_a_link() -> None:
    """First its facts, and then, on its own, that it is up."""
    first, second = link_set(7, up=True, alias="netloom:lab", ipv6_ll=False, master=0)
    facts, up = theirs(ifinfmsg, first), theirs(ifinfmsg, second)

    assert (facts.get_attr("IFLA_IFALIAS"), facts.get_attr("IFLA_MASTER")) == ("netloom:lab", 0)
    inet6 = facts.get_nested("IFLA_AF_SPEC", "AF_INET6")
    assert inet6.get_attr("IFLA_INET6_ADDR_GEN_MODE") == 1
    assert (facts["change"], up["flags"], up["change"], up["attrs"]) == (0, 1, 1, [])


def test_they_read_another_name() -> None:
    """It may be longer than fifteen bytes."""
    read = theirs(ifinfmsg, altname_add(7, "a-name-of-more-than-fifteen-bytes"))

    assert read.get_nested("IFLA_PROP_LIST", "IFLA_ALT_IFNAME") == (
        "a-name-of-more-than-fifteen-bytes"
    )


def test_they_read_that_statistics_are_not_wanted() -> None:
    """RTEXT_FILTER_SKIP_STATS."""
    assert theirs(ifinfmsg, dump_links()).get_attr("IFLA_EXT_MASK") == 8


@pytest.mark.parametrize("addr", [Addr("10.0.0.1", 24), Addr("fd00::1", 64)])
def test_they_read_an_address(addr: Addr) -> None:
    """And we theirs."""
    read = theirs(ifaddrmsg, addr_add(7, addr))
    family = 10 if ":" in addr.ip else 2

    assert (read["family"], read["prefixlen"], read["index"]) == (family, addr.prefixlen, 7)
    assert read.get_attr("IFA_LOCAL") == addr.ip
    fields = {"family": family, "prefixlen": addr.prefixlen, "index": 7}
    payload = ours(ifaddrmsg, fields, ("IFA_ADDRESS", addr.ip), ("IFA_FLAGS", 0x80))
    (seen,) = read_addrs([payload])
    assert (seen.index, seen.addr, seen.flags) == (7, addr, 0x80)


def test_they_read_a_route_of_many_ways() -> None:
    """Weights, gateways, and one IPv6 gateway of an IPv4 route."""
    ways = (Nexthop("eth0", "10.0.0.1", 1), Nexthop("eth1", "10.1.0.1", 5, onlink=True))
    route = Route("10.9.0.0/16", ways, table=1000, metric=7, src="10.0.0.9", mtu=1300, tos=16)

    read = theirs(rtmsg, route_add(route, INDEXES))
    hops = read.get_attr("RTA_MULTIPATH")

    assert (read["dst_len"], read["table"], read["tos"], read["type"]) == (16, 0, 16, 1)
    assert [read.get_attr(f"RTA_{n}") for n in ("DST", "TABLE", "PRIORITY", "PREFSRC")] == [
        "10.9.0.0",
        1000,
        7,
        "10.0.0.9",
    ]
    assert read.get_attr("RTA_METRICS").get_attr("RTAX_MTU") == 1300
    assert [(hop["oif"], hop["hops"], hop["flags"]) for hop in hops] == [(2, 0, 0), (3, 4, 4)]
    assert [hop.get_attr("RTA_GATEWAY") for hop in hops] == ["10.0.0.1", "10.1.0.1"]


def test_they_read_an_ipv6_gateway_of_an_ipv4_route() -> None:
    """RTA_VIA names the family of the gateway."""
    route = Route("10.9.0.0/16", (Nexthop("eth0", "fe80::1"),))

    assert theirs(rtmsg, route_add(route, INDEXES)).get_attr("RTA_VIA") == {
        "family": 10,
        "addr": "fe80::1",
    }


def test_we_read_their_route() -> None:
    """As they put it together."""
    fields = {"family": 10, "dst_len": 64, "table": 254, "proto": 4, "type": 1}
    payload = ours(
        rtmsg,
        fields,
        ("RTA_DST", "fd00::"),
        ("RTA_GATEWAY", "fe80::1"),
        ("RTA_OIF", 2),
        ("RTA_PRIORITY", 1024),
        ("RTA_METRICS", {"attrs": [("RTAX_MTU", 1300), ("RTAX_ADVMSS", 1200)]}),
    )

    hop = Nexthop("eth0", "fe80::1")
    assert read_routes([payload], NAMES) == [
        Route("fd00::/64", (hop,), metric=1024, mtu=1300, advmss=1200, protocol=4)
    ]


def test_they_read_a_rule() -> None:
    """Selectors of every kind."""
    rule = Rule(
        family=4,
        priority=50,
        table=1000,
        src="10.0.0.0/8",
        iif="eth0",
        fwmark=1,
        fwmask=0xFF,
        ipproto=6,
        dport=(80, 90),
        uidrange=(0, 1000),
        suppress_prefixlength=0,
    )

    read = theirs(fibmsg, rule_add(rule))

    assert (read["family"], read["src_len"], read["dst_len"], read["action"]) == (2, 8, 0, 1)
    facts = {name.removeprefix("FRA_"): value for name, value in read["attrs"]}
    assert facts == {
        "PRIORITY": 50,
        "PROTOCOL": 4,
        "SRC": "10.0.0.0",
        "IIFNAME": "eth0",
        "FWMARK": 1,
        "FWMASK": 0xFF,
        "IP_PROTO": 6,
        "DPORT_RANGE": "80:90",
        "UID_RANGE": "0:1000",
        "TABLE": 1000,
        "SUPPRESS_PREFIXLEN": 0,
    }


def test_we_read_their_rule() -> None:
    """As they put it together."""
    fields = {"family": 2, "dst_len": 24, "action": 1, "table": 0, "flags": 2}
    payload = ours(
        fibmsg,
        fields,
        ("FRA_DST", "10.0.0.0"),
        ("FRA_PRIORITY", 9),
        ("FRA_TABLE", 500),
        ("FRA_OIFNAME", "eth1"),
        ("FRA_PROTOCOL", 4),
    )

    assert read_rules([payload]) == [
        Rule(4, 9, table=500, dst="10.0.0.0/24", oif="eth1", invert=True)
    ]


def test_we_read_their_link() -> None:
    """As they put it together."""
    payload = ours(
        ifinfmsg,
        {"index": 7, "flags": 0x10001},
        ("IFLA_IFNAME", "eth0"),
        ("IFLA_MTU", 1400),
        ("IFLA_ADDRESS", "02:00:00:00:00:01"),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "veth")]}),
        ("IFLA_IFALIAS", "netloom:lab"),
    )
    (seen,) = read_links([payload])

    assert (seen.index, seen.name, seen.kind, seen.mtu) == (7, "eth0", "veth", 1400)
    assert (seen.mac, seen.alias) == ("02:00:00:00:00:01", "netloom:lab")
    assert (seen.up, seen.carrier, seen.ipv6_ll) == (True, True, False)
