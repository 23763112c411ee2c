"""A host whose packets leave by more than a default route: VPNs, tables of their own, dead ends."""

import pytest

from tests.hosts.internet import (
    HOST4,
    NEAR4,
    WEB4,
    WEB6,
    ask,
    card,
    on_the_internet,
    says_in,
    server,
    sysctl,
)
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran
from tests.hosts.witness import no_trace

SHOP = """\
name: shop
networks:
  lan: {subnet: 10.100.0.0/24, uplink: nat}
namespaces: {web: {networks: [lan]}}
"""
SUBNETS = 'subnets: [10.100.0.0/24, "fd00:100::/64"]'
VPN4, FAR4 = "198.51.100.2", "198.51.100.1"
VPN6, FAR6 = "2001:db8:99::2", "2001:db8:99::1"

OPENVPN = f"""
route add 0.0.0.0/1 via {FAR4} dev vpn0
route add 128.0.0.0/1 via {FAR4} dev vpn0
"""
WG_QUICK = f"""
route add default via {FAR4} dev vpn0 table 51820
rule add not fwmark 51820 table 51820
rule add table main suppress_prefixlength 0
"""
BY_SUBNET = f"""
route add default via {FAR4} dev vpn0 table 7
rule add from 10.100.0.0/24 table 7
"""
BY_INTERFACE = BY_SUBNET.replace("from 10.100.0.0/24", "iif lan")
SPLIT = f"route add 203.0.113.0/24 via {FAR4} dev vpn0\n"


def vpn() -> None:
    """Give the host what stands for a tunnel: another card, by which it is seen as 198.51.100.2."""
    card("vpn0", "far")
    ran("ip", "address", "add", f"{VPN4}/24", "dev", "vpn0")
    ran("ip", "address", "add", f"{VPN6}/64", "dev", "vpn0", "nodad")
    ran("ip", "link", "set", "vpn0", "addrgenmode", "none", "up")
    says_in("beyond", "ip", "address", "add", f"{FAR4}/24", "dev", "far")
    says_in("beyond", "ip", "address", "add", f"{FAR6}/64", "dev", "far", "nodad")
    says_in("beyond", "ip", "link", "set", "far", "addrgenmode", "none", "up")


def comes(lines: str) -> None:
    """Add routes and rules to the host."""
    ran("ip", "-batch", "-", stdin=lines)


def goes(lines: str) -> None:
    """Take them away."""
    ran("ip", "-batch", "-", stdin=lines.replace(" add ", " del "))


@pytest.mark.parametrize("lines", [OPENVPN, WG_QUICK, BY_SUBNET, BY_INTERFACE, SPLIT])
@on_the_internet(ipv6=False)
def test_a_lab_leaves_as_the_routes_and_rules_of_the_host_say(lines: str) -> None:
    """By the VPN, as the VPN's address; and all is as before after `down`."""
    write("shop.yaml", SHOP)
    vpn()
    comes(lines)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert ask("web", WEB4) == VPN4
        assert ask("web", NEAR4) == (VPN4 if lines in {BY_SUBNET, BY_INTERFACE} else HOST4)
        netloom("verify", "shop")
        assert "nothing to do" in netloom("up", "shop.yaml")["stdout"]
        netloom("down", "shop.yaml")


@pytest.mark.parametrize("lines", [OPENVPN, WG_QUICK, SPLIT])
@on_the_internet(ipv6=False)
def test_a_vpn_that_comes_and_goes_beside_a_lab_is_told_and_followed(lines: str) -> None:
    """`verify` says so both times, and `up` mends it."""
    write("shop.yaml", SHOP)
    vpn()
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert ask("web", WEB4) == HOST4
        for change, seen in ((comes, VPN4), (goes, HOST4), (comes, VPN4), (goes, HOST4)):
            change(lines)
            said = netloom("verify", "shop", status=3)["stderr"]
            assert "the host's routes lead out of `eth0`" in said
            assert "and `vpn0`" in said
            netloom("up", "shop.yaml")
            assert ask("web", WEB4) == seen
            netloom("verify", "shop")
        netloom("down", "shop.yaml")


@on_the_internet()
def test_ipv6_is_followed_by_itself() -> None:
    """Its halves lead into the VPN, IPv4 goes as ever: each family is asked for its own routes."""
    write("shop.yaml", SHOP.replace("subnet: 10.100.0.0/24", SUBNETS))
    vpn()
    halves = "".join(f"route add {half} via {FAR6} dev vpn0\n" for half in ("::/1", "8000::/1"))
    comes(halves)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert (ask("web", WEB4), ask("web", WEB6)) == (HOST4, VPN6)
        netloom("verify", "shop")
        netloom("down", "shop.yaml")


@on_the_internet()
def test_a_network_without_ipv6_leaves_ipv6_alone() -> None:
    """The host has a way out by IPv6, and nobody on the network could take it."""
    write("shop.yaml", SHOP)
    keys = [f"net.ipv6.conf.{each}.forwarding" for each in ("all", "default", "eth0")]
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert [sysctl(key) for key in keys] == ["0", "0", "0"]
        assert ask("web", WEB4) == HOST4
        netloom("down", "shop.yaml")


@on_the_internet(ipv6=False)
def test_what_is_no_way_out_is_not_opened() -> None:
    """A neighbour's subnet, a subnet behind a guest of a bridge: neither forwards for the lab."""
    write("shop.yaml", SHOP)
    vpn()
    ran("ip", "link", "add", "virbr7", "type", "bridge")
    ran("ip", "address", "add", "192.168.7.1/24", "dev", "virbr7")
    ran("ip", "link", "set", "virbr7", "up")
    ran("ip", "route", "add", "172.30.0.0/16", "via", "192.168.7.9", "dev", "virbr7")
    with Warm() as netloom, no_trace():
        netloom("up", "shop.yaml")
        assert [sysctl(f"net.ipv4.conf.{n}.forwarding") for n in ("eth0", "vpn0", "virbr7")] == [
            *("1", "0", "0")
        ]
        netloom("down", "shop.yaml")
