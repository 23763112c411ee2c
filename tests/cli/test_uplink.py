"""`uplink:`: members reach the internet by the host, nothing reaches them, and all goes again."""

import socket

import pytest

from tests.hosts.internet import (
    HOST4,
    HOST6,
    MISSED,
    NEAR4,
    WEB4,
    WEB6,
    ask,
    ask_udp,
    connect,
    download,
    echo,
    on_the_internet,
    pings,
    pour,
    says_in,
    server,
    set_sysctl,
    swallow,
    sysctl,
    upload,
)
from tests.hosts.netloom import Warm, netloom, write
from tests.hosts.programs import ran
from tests.hosts.servers import PAGE, servers
from tests.hosts.witness import no_trace

SHOP = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces: {web: {networks: [lan]}, db: {networks: [lan]}}
"""
OFFICE = """\
name: office
networks:
  floor: {subnets: [10.100.1.0/24, "fd00:100:1::/64"], uplink: nat}
namespaces: {desk: {networks: [floor]}}
"""


@on_the_internet()
def test_members_reach_the_internet_as_the_host() -> None:
    """By ping, TCP and UDP, in IPv4 and IPv6; and `down` leaves nothing."""
    write("shop.yaml", SHOP)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        netloom("verify", "shop.yaml")

        assert pings("web", WEB4)
        assert pings("web", WEB6)
        assert ask("web", WEB4) == ask_udp("web", WEB4) == HOST4
        assert ask("web", WEB6) == ask_udp("web", WEB6) == HOST6

        netloom("down", "shop.yaml")


@on_the_internet()
def test_routed_members_keep_their_addresses_and_are_reached() -> None:
    """`routed` hides nothing, and opens the way inwards."""
    write("shop.yaml", SHOP.replace("nat", "routed"))
    with Warm() as netloom, server("beyond", 80):
        netloom("up", "shop.yaml")
        assert ask("web", WEB4) == "10.100.0.2"
        assert ask("web", WEB6) == "fd00:100::2"
        with server("web", 80):
            assert ask("beyond", "10.100.0.2") == NEAR4
            assert ask_udp("beyond", "fd00:100::2")
        netloom("down", "shop.yaml")


@on_the_internet()
def test_a_neighbour_reaches_no_member() -> None:
    """He has a route to them, and what comes back to them passes; what he begins does not."""
    write("shop.yaml", SHOP)
    with Warm() as netloom, server("beyond", 80):
        netloom("up", "shop.yaml")
        with server("web", 80):
            assert ask("host", "10.100.0.2") == "10.100.0.1"
            assert ask("host", "fd00:100::2") == "fd00:100::1"
            assert ask("beyond", "10.100.0.2", timeout=MISSED) == ""
            assert ask("beyond", "fd00:100::2", timeout=MISSED) == ""
            assert ask_udp("beyond", "10.100.0.2", timeout=MISSED) == ""
            assert ask_udp("beyond", "fd00:100::2", timeout=MISSED) == ""
            assert not pings("beyond", "10.100.0.2", "-W0.2")
            assert not pings("beyond", "fd00:100::2", "-W0.2")


@on_the_internet()
def test_forwarding_of_ours_opens_no_way_between_other_interfaces() -> None:
    """A second network of the host was not reachable from the first, and is not now.

    Where the host forwards by itself, as for Docker, that goes on.
    """
    write("shop.yaml", SHOP)
    side("eth1", "10.5.0", "fd00:5")
    says_in("beyond", "ip", "route", "add", "10.5.0.0/24", "via", HOST4)
    says_in("beyond", "ip", "route", "add", "fd00:5::/64", "via", HOST6)
    set_sysctl("net.ipv4.conf.eth1.forwarding", "1")
    with Warm() as netloom:
        assert not pings("beyond", "10.5.0.2", "-W0.2")
        assert not pings("beyond", "fd00:5::2", "-W0.2")

        netloom("up", "shop.yaml")

        assert pings("web", WEB4)
        assert pings("web", WEB6)
        assert not pings("beyond", "10.5.0.2", "-W0.2")
        assert not pings("beyond", "fd00:5::2", "-W0.2")
        assert not pings("side", "2001:db8::1", "-W0.2")
        assert not pings("web", "10.5.0.2", "-W0.2")
        assert not pings("web", "fd00:5::2", "-W0.2")
        netloom("down", "shop.yaml")

        set_sysctl("net.ipv4.ip_forward", "1")
        assert pings("beyond", "10.5.0.2")
        netloom("up", "shop.yaml")
        assert pings("beyond", "10.5.0.2")
        assert not pings("beyond", "fd00:5::2", "-W0.2")


TWO = """\
name: shop
networks:
  lan: {subnet: 10.100.0.0/24, bridge: br7, uplink: nat}
  dmz: {subnet: 10.100.1.0/24, uplink: nat}
namespaces: {web: {networks: [lan]}, db: {networks: [dmz], publish: "8080:80"}}
"""


@on_the_internet()
def test_two_networks_of_a_lab_get_out_and_not_into_each_other() -> None:
    """Be they on a bridge of the host's or in the lab; what one publishes the other reaches."""
    write("shop.yaml", TWO)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        with server("db", 80), server("web", 80):
            assert ask("web", WEB4) == ask("db", WEB4) == HOST4
            assert ask("web", "10.100.1.2", timeout=MISSED) == ""
            assert ask("db", "10.100.0.2", timeout=MISSED) == ""
            assert ask("web", HOST4, 8080) == "10.100.0.2"
        netloom("verify", "shop.yaml")
        netloom("down", "shop.yaml")


@on_the_internet()
def test_two_labs_do_not_reach_each_other_and_go_alone() -> None:
    """Whichever goes first, the other's connections go on, and the last one restores."""
    write("shop.yaml", SHOP)
    write("office.yaml", OFFICE)
    with Warm() as netloom, server("beyond", 80), server("beyond", 81, echo):
        for first, there, last, here in (
            ("shop.yaml", "web", "office.yaml", "desk"),
            ("office.yaml", "desk", "shop.yaml", "web"),
        ):
            with no_trace():
                netloom("up", first)
                netloom("up", last)
                with server("desk", 81), server("web", 81):
                    assert ask("web", "10.100.1.2", 81, timeout=MISSED) == ""
                    assert ask("desk", "10.100.0.2", 81, timeout=MISSED) == ""
                    assert ask("desk", "fd00:100::2", 81, timeout=MISSED) == ""
                assert ask(there, WEB4) == HOST4
                with connect(here, WEB4, 81) as ipv4, connect(here, WEB6, 81) as ipv6:
                    assert echoes(ipv4)
                    assert echoes(ipv6)

                    netloom("down", first)

                    assert echoes(ipv4)
                    assert echoes(ipv6)
                assert ask(here, WEB4) == HOST4
                assert ask(here, WEB6) == HOST6
                netloom("verify", last)
                netloom("down", last)


def echoes(conn: socket.socket) -> bool:
    """Whether what is sent comes back."""
    conn.sendall(b"hello")
    return conn.recv(5, socket.MSG_WAITALL) == b"hello"


@on_the_internet()
def test_what_somebody_else_relies_on_stays() -> None:
    """Docker sets `ip_forward` while a lab is up: `down` leaves the card forwarding."""
    write("shop.yaml", SHOP)
    with Warm() as netloom:
        netloom("up", "shop.yaml")
        set_sysctl("net.ipv4.ip_forward", "1")
        netloom("verify", "shop.yaml")

        netloom("down", "shop.yaml")

        assert sysctl("net.ipv4.conf.eth0.forwarding") == "1"
        assert sysctl("net.ipv4.ip_forward") == "1"
        assert sysctl("net.ipv6.conf.all.forwarding") == "0"


@on_the_internet(mtu=1400)
def test_a_smaller_mtu_outside_does_not_stall_a_connection() -> None:
    """A megabyte both ways, both families, where nobody is told that his packets are too big."""
    write("shop.yaml", SHOP.replace("lan]}, db", 'lan], publish: ["8080:80"]}, db'))
    for line in FAR.strip().splitlines():
        says_in("beyond", *line.split())
    says_in("beyond", "nft", "-f", "-", stdin=NO_NEWS)
    with Warm() as netloom, server("far", 80, pour(1 << 20)), server("far", 81, swallow):
        netloom("up", "shop.yaml")
        for address in (FAR4, FAR6):
            assert download("web", address) == 1 << 20
            assert upload("web", address, 1 << 20, 81) == 1 << 20
        with server("web", 80, swallow):
            for address in (HOST4, HOST6):
                assert upload("far", address, 1 << 20, 8080) == 1 << 20
        with server("web", 80, pour(1 << 20)):
            for address in (HOST4, HOST6):
                assert download("far", address, 8080) == 1 << 20


FAR4, FAR6 = "198.51.100.80", "2001:db8:99::80"
FAR = f"""
ip netns add far
ip link set cable mtu 1400
sysctl -qw net.ipv4.ip_forward=1
ip link add far0 type veth peer name far1 netns far
ip address add 198.51.100.1/24 dev far0
ip address add 2001:db8:99::1/64 dev far0 nodad
ip address add fe80::9/64 dev far0 nodad
ip link set far0 up
ip -n far address add {FAR4}/24 dev far1
ip -n far address add {FAR6}/64 dev far1 nodad
ip -n far link set far1 up
ip -n far route add default via 198.51.100.1
ip -n far route add default via 2001:db8:99::1
"""
"""A server behind a router, whose link to the host is narrower than the server's own."""

NO_NEWS = """
table inet deaf {
  chain deaf {
    type filter hook prerouting priority -300;
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
  }
  chain mute {
    type filter hook output priority -300;
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
  }
}
"""


def side(link: str, ipv4: str, ipv6: str) -> None:
    """Give the host a second card, behind which somebody called `side` lives."""
    script = f"""
    ip netns add side
    ip link add {link} type veth peer name card netns side
    ip address add {ipv4}.1/24 dev {link}
    ip address add {ipv6}::1/64 dev {link} nodad
    ip address add fe80::5/64 dev {link} nodad
    ip -n side address add {ipv4}.2/24 dev card
    ip -n side address add {ipv6}::2/64 dev card nodad
    ip -n side link set card up
    ip link set {link} up
    ip -n side route add default via {ipv4}.1
    ip -n side route add default via {ipv6}::1
    """
    ran("sh", "-ec", script)


@pytest.mark.needs("servers")
@on_the_internet()
def test_a_page_of_the_internet_is_fetched_by_its_name() -> None:
    """By the host's resolver, of a real web server, in both families."""
    write("shop.yaml", SHOP)
    with servers():
        netloom("up", "-q", "shop.yaml").status(0)
        for family, address in (("-4", HOST4), ("-6", HOST6)):
            words = ("curl", family, "-sS", "-m", "5", f"http://{PAGE}/")
            netloom("exec", "web", *words).stdout(f"hello, {address}\n").status(0)
