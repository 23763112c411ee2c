"""The host as a router of a lab: of what leaves it, and of what goes from one part to another."""

import pytest

from tests.hosts.internet import (
    HOST4,
    HOST6,
    MISSED,
    WEB4,
    WEB6,
    ask,
    on_the_internet,
    pings,
    says_in,
    server,
    sysctl,
)
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran
from tests.hosts.witness import no_trace

DMZ = """\
name: dmz
routing: static
networks:
  front: {subnets: [10.1.0.0/24, "fd00:1::/64"], uplink: nat}
  mid: {subnets: [10.2.0.0/24, "fd00:2::/64"]}
  deep: {subnets: [10.3.0.0/24, "fd00:3::/64"]}
namespaces:
  fw: {networks: [front, mid]}
  web: {networks: [front]}
  app: {networks: [mid]}
  r: {networks: [mid, deep]}
  db: {networks: [deep]}
"""


@on_the_internet()
def test_what_is_behind_a_router_of_a_lab_with_a_way_out_reaches_and_is_reached() -> None:
    """The servers beside the host, those behind the firewall, the host, and the internet."""
    write("dmz.yaml", DMZ)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "dmz.yaml")
        for where, there in (("web", "10.2.0.2"), ("web", "fd00:3::2"), ("db", "10.1.0.3")):
            assert pings(where, there), (where, there)
        assert pings("host", "10.3.0.2")
        for where in ("web", "app", "db", "r"):
            assert (ask(where, WEB4), ask(where, WEB6)) == (HOST4, HOST6), where
        netloom("verify", "dmz")
        assert "nothing to do" in netloom("up", "dmz.yaml")["stdout"]
        netloom("down", "dmz.yaml")


@on_the_internet()
def test_a_route_of_the_host_in_the_place_of_a_derived_one_is_told() -> None:
    """It is somebody else's, and stays; nothing is touched."""
    write("dmz.yaml", DMZ)
    ran("ip", "route", "add", "10.2.0.0/24", "via", "192.0.2.1")
    with Warm() as netloom, no_trace():
        said = netloom("up", "dmz.yaml", status=2)["stderr"]
    assert said.startswith("dmz.yaml:2:")
    assert "the host has a route to 10.2.0.0/24, which is not this lab's" in said
    assert "choose another subnet" in said


# ── `host: {forwarding: true}` ────────────────────────────────────────────────────────────

BETWEEN = """\
name: hub
routing: static
namespaces: {host: {forwarding: true}, a: , b: , c: {networks: [lan]}, r: {networks: [lan]}}
networks: {lan: {subnets: [10.4.0.0/24, "fd00:4::/64"]}}
links:
  - [host 10.1.0.1/24 fd00:1::1/64, a 10.1.0.2/24 fd00:1::2/64]
  - [host 10.2.0.1/24 fd00:2::1/64, b 10.2.0.2/24 fd00:2::2/64]
  - [host 10.3.0.1/24 fd00:3::1/64, r 10.3.0.2/24 fd00:3::2/64]
"""
FORWARDING = (
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.conf.eth0.forwarding",
)

FLOWS = (("a", "10.2.0.2"), ("a", "fd00:2::2"), ("b", "10.4.0.1"), ("c", "fd00:1::2"))


@on_the_internet()
def test_the_host_is_a_router_between_its_wires() -> None:
    """And to what is behind a router of the lab; all is given back by `down`."""
    write("hub.yaml", BETWEEN)
    with Warm() as netloom, no_trace():
        netloom("up", "hub.yaml")
        for where, there in FLOWS:
            assert pings(where, there), (where, there)
        assert [sysctl(key) for key in FORWARDING] == ["0", "1", "0"]
        netloom("verify", "hub")
        assert "nothing to do" in netloom("up", "hub.yaml")["stdout"]
        netloom("down", "hub.yaml")
        assert [sysctl(key) for key in FORWARDING] == ["0", "0", "0"]


@pytest.mark.needs("iptables")
@on_the_internet()
def test_a_firewall_that_forwards_nothing_lets_the_lab_pass() -> None:
    """As beside Docker: between the wires there is an exception, and it goes with the lab."""
    write("hub.yaml", BETWEEN)
    for tool in ("iptables", "ip6tables"):
        ran(tool, "-P", "FORWARD", "DROP")
    with Warm() as netloom, no_trace():
        netloom("up", "hub.yaml")
        for where, there in FLOWS[:2]:
            assert pings(where, there), (where, there)
        netloom("verify", "hub")
        netloom("down", "hub.yaml")


@on_the_internet()
def test_a_host_that_forwards_for_a_lab_leads_nobody_in_or_out() -> None:
    """Neither does a member get beyond the host, nor a neighbour of the host's to a member."""
    write("hub.yaml", BETWEEN)
    says_in("beyond", "ip", "route", "add", "10.1.0.0/24", "via", HOST4)
    says_in("beyond", "ip", "-6", "route", "add", "fd00:1::/64", "via", HOST6)
    with Warm() as netloom, server("beyond", 80):
        netloom("up", "hub.yaml")
        ran("ip", "-n", "a", "route", "replace", "default", "via", "10.1.0.1")
        with server("a", 80):
            assert ask("a", WEB4, timeout=MISSED) == ""
            assert ask("beyond", "10.1.0.2", timeout=MISSED) == ""
            assert ask("beyond", "fd00:1::2", timeout=MISSED) == ""


@on_the_internet()
def test_with_a_way_out_the_networks_of_a_forwarding_host_reach_each_other() -> None:
    """Two networks with an uplink are parted, unless the file has the host lead from one to one."""
    text = """\
name: two
networks: {one: {subnet: 10.1.0.0/24, uplink: nat}, two: {subnet: 10.2.0.0/24, uplink: nat}}
namespaces: {a: {networks: [one]}, b: {networks: [two]}, host: {forwarding: FORWARDS}}
"""
    with Warm() as netloom, server("beyond", 80), no_trace():
        for forwards in (True, False, True):
            write("two.yaml", text.replace("FORWARDS", str(forwards).lower()))
            netloom("up", "two.yaml")
            assert pings("a", "10.2.0.2") is forwards
            assert ask("a", WEB4) == HOST4
            netloom("verify", "two")
        netloom("down", "two.yaml")
