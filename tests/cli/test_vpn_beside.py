"""A host whose packets leave by more than a default route: VPNs, tables of their own, dead ends."""

import fcntl
import os
import socket
import struct
from functools import partial

import pytest

from tests.hosts.internet import (
    HOST4,
    NEAR4,
    WEB4,
    WEB6,
    ask,
    card,
    inside,
    on_the_internet,
    pings,
    says_in,
    server,
    sysctl,
)
from tests.hosts.machine import wait_for
from tests.hosts.netloom import Warm, write
from tests.hosts.plain import may_make_a_tap
from tests.hosts.programs import ran
from tests.hosts.witness import no_trace

SHOP = """\
name: shop
networks:
  lan: {subnet: 10.100.0.0/24, uplink: nat}
namespaces: {web: {networks: [lan]}}
"""
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000  # linux/if_tun.h
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
BY_PORT = BY_SUBNET.replace("from 10.100.0.0/24", "ipproto 6 dport 80")
TAILSCALE = f"""
route add {WEB4}/32 via {FAR4} dev vpn0 table 52
rule add priority 5210 fwmark 0x80000/0xff0000 table main
rule add priority 5250 fwmark 0x80000/0xff0000 unreachable
rule add priority 5270 table 52
"""
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
    for where, link, address in (("host", "vpn0", VPN6), ("beyond", "far", FAR6)):
        inside(where, partial(wait_for, partial(is_settled, link, address)))


def is_settled(link: str, address: str) -> bool:
    """Whether a card has carrier, and the routes that the kernel adds to that in its own time."""
    routes = ran("ip", "-6", "route", "show", "table", "local", "dev", link).stdout
    up = "LOWER_UP" in ran("ip", "link", "show", link).stdout
    return up and f"local {address}" in routes and "multicast ff00::/8" in routes


def comes(lines: str) -> None:
    """Add routes and rules to the host."""
    ran("ip", "-batch", "-", stdin=lines)


def goes(lines: str) -> None:
    """Take them away."""
    ran("ip", "-batch", "-", stdin=lines.replace(" add ", " del "))


@pytest.mark.parametrize(
    "lines", [OPENVPN, WG_QUICK, TAILSCALE, BY_SUBNET, BY_INTERFACE, BY_PORT, SPLIT]
)
@on_the_internet(ipv6=False)
def test_a_lab_leaves_as_the_routes_and_rules_of_the_host_say(lines: str) -> None:
    """By the VPN, as the VPN's address; and all is as before after `down`."""
    write("shop.yaml", SHOP)
    vpn()
    comes(lines)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert ask("web", WEB4) == VPN4
        assert ask("web", NEAR4) == (VPN4 if "table 7" in lines else HOST4)
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


def tun() -> int:
    """Give the host a tunnel `tun0` with the address 10.8.0.2; return what reads its packets."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
    ran("ip", "address", "add", "10.8.0.2", "peer", "10.8.0.1", "dev", "tun0")
    ran("ip", "link", "set", "tun0", "addrgenmode", "none", "up")
    return fd


def is_ipv4(packet: bytes) -> bool:
    """Whether it is none of those by which IPv6 looks for neighbours."""
    return packet[0] >> 4 == 4


@pytest.mark.parametrize(
    "lines",
    [
        "route add 0.0.0.0/1 via 10.8.0.1\nroute add 128.0.0.0/1 via 10.8.0.1\n",
        "route add 0.0.0.0/1 dev tun0\nroute add 128.0.0.0/1 dev tun0\n",
        "route add 203.0.113.0/24 dev tun0\n",
    ],
)
@on_the_internet(ipv6=False)
def test_packets_of_a_lab_enter_a_tunnel_as_the_host(lines: str) -> None:
    """A real one, whose program reads what comes: with the tunnel's address, not the lab's."""
    may_make_a_tap()
    write("shop.yaml", SHOP)
    with Warm() as netloom, no_trace():
        netloom("up", "shop.yaml")
        for _ in range(2):
            fd = tun()
            comes(lines)
            netloom("verify", "shop", status=3)
            netloom("up", "shop.yaml")
            assert not pings("web", WEB4)
            packet = next(each for each in iter(partial(os.read, fd, 2048), b"") if is_ipv4(each))
            assert [socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16)] == ["10.8.0.2", WEB4]
            netloom("verify", "shop")
            os.close(fd)  # the program ends, and its tunnel with it
            said = netloom("verify", "shop", status=3)["stderr"]
            assert "the host's routes lead out of `eth0` by now, not `eth0` and `tun0`" in said
            netloom("up", "shop.yaml")
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
        said = netloom("up", "shop.yaml")["stdout"]
        assert "· forwarding on lan, eth0, vpn0 · IPv6 forwarding on all interfaces ·" in said
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


@pytest.mark.needs("iptables")
@on_the_internet(ipv6=False)
def test_a_firewall_that_forwards_nothing_lets_the_lab_into_a_vpn() -> None:
    """Each way out has its exception; those of one that is gone go, too."""
    write("shop.yaml", SHOP)
    vpn()
    ran("iptables", "-P", "FORWARD", "DROP")
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        for change, seen in ((comes, VPN4), (goes, HOST4)):
            change(OPENVPN)
            netloom("up", "shop.yaml")
            assert ask("web", WEB4) == seen
            rules = ran("iptables", "-S", "FORWARD").stdout
            assert ("vpn0" in rules) is (seen == VPN4)
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
