"""What crosses a bridge of the host, where br_netfilter shows it to the rules for what is routed.

A namespace that is born sees it so (`net.bridge.bridge-nf-call-iptables` is 1), as a host does
where Docker runs.
"""

import pytest

from tests.hosts.internet import HOST4, HOST6, on_the_internet, pings, says_in, set_sysctl
from tests.hosts.netloom import Warm, ended, write
from tests.hosts.programs import says

MACHINES = """
ip netns add vm1
ip netns add vm2
ip link add br0 type bridge mcast_snooping 0
ip link set br0 addrgenmode none
ip link set br0 up
for n in 1 2; do
  ip link add v$n type veth peer name eth0 netns vm$n
  ip link set v$n addrgenmode none
  ip link set v$n master br0 up
  ip -n vm$n link set eth0 up
  ip -n vm$n address add 10.7.0.$n/24 dev eth0
  ip -n vm$n address add fd00:7::$n/64 dev eth0 nodad
done
"""
"""Two machines on a bridge of somebody else's."""

LAB = """\
networks: {lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}}
namespaces: {web: {networks: [lan]}}
"""


@on_the_internet()
def test_what_crosses_a_bridge_of_others_is_not_closed_by_our_forwarding() -> None:
    """Two machines of somebody else's talk on, be their bridge the way out or not."""
    says("sh", "-ec", MACHINES)
    write("lab.yaml", LAB)
    with Warm() as netloom:
        for way_out in ("eth0", "br0"):
            if way_out == "br0":
                says("ip", "address", "flush", "dev", "eth0")
                says("ip", "link", "set", "eth0", "master", "br0")
                says("ip", "address", "add", f"{HOST4}/24", "dev", "br0")
                says("ip", "address", "add", f"{HOST6}/64", "dev", "br0", "nodad")
                says("ip", "route", "add", "default", "via", "192.0.2.1")
                says("ip", "route", "replace", "default", "via", "2001:db8::1")
            netloom("up", "lab.yaml")
            assert pings("web", "203.0.113.80")
            assert pings("web", "2001:db8:80::80")
            assert pings("vm1", "10.7.0.2")
            assert pings("vm1", "fd00:7::2")
            netloom("down", "lab.yaml")


OWN = """\
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], bridge: br7}
  out: {subnets: [10.100.1.0/24, "fd00:101::/64"], bridge: br8, uplink: nat}
namespaces:
  a: {networks: [lan, out]}
  b: {networks: [lan, out]}
"""
GUEST = """\
networks:
  lan: {from: br0, subnets: [10.7.0.0/24, "fd00:7::/64"], range: [10.7.0.64/28, "fd00:7::40/124"]}
namespaces:
  a: {networks: [lan]}
  b: {networks: [lan]}
"""
WALLS = {
    "iptables": "for x in iptables ip6tables; do $x-nft -P FORWARD DROP; done",
    "docker": "for x in iptables-nft ip6tables-nft; do $x -N DOCKER-USER; $x -A FORWARD -j "
    "DOCKER-USER; $x -P FORWARD DROP; done",
    "nft": "nft -f - <<E\ntable inet filter { chain forward { type filter hook forward "
    "priority 0; policy drop; }\n}\nE",
}


@pytest.mark.parametrize("wall", WALLS)
@on_the_internet()
def test_what_crosses_a_bridge_on_the_host_is_let_pass(wall: str) -> None:
    """Between members on it, in both families; `down` takes the exceptions away."""
    says("sh", "-ec", MACHINES)
    says("sh", "-ec", WALLS[wall])
    write("own.yaml", OWN)
    write("guest.yaml", GUEST)
    before = says("nft", "-s", "list", "ruleset")
    with Warm() as netloom:
        netloom("up", "own.yaml")
        for address in ("10.100.0.2", "fd00:100::2", "10.100.1.3", "fd00:101::3"):
            assert pings("a", address), address
        netloom("verify", "own")
        netloom("down", "own.yaml")

        assert not pings("vm1", "10.7.0.2", "-W0.2")
        netloom("up", "guest.yaml")
        for address in ("10.7.0.65", "10.7.0.1", "fd00:7::41", "fd00:7::1"):
            assert pings("a", address), address
        assert not pings("vm1", "10.7.0.2", "-W0.2"), "what is others' stays as it was"
        netloom("verify", "guest")
        netloom("down", "guest.yaml")
    assert says("nft", "-s", "list", "ruleset") == before


@on_the_internet()
def test_a_bridge_that_no_firewall_sees_needs_nothing() -> None:
    """Without br_netfilter, or where it is switched off: no exception."""
    says("sh", "-ec", MACHINES)
    says("sh", "-ec", WALLS["nft"])
    for family in ("iptables", "ip6tables"):
        set_sysctl(f"net.bridge.bridge-nf-call-{family}", "0")
    write("guest.yaml", GUEST)
    assert "exception" not in ended("plan", "guest.yaml").stdout
    assert says_in("vm1", "ping", "-c1", "-W1", "10.7.0.2")
