"""The life of a way out: looked after, changed while it is used, and gone without a trace."""

import socket
import struct
from contextlib import suppress
from functools import partial

import pytest

from tests.hosts.internet import (
    HOST4,
    HOST6,
    NEAR4,
    WEB4,
    WEB6,
    ask,
    ask_udp,
    card,
    connect,
    echo,
    inside,
    on_the_internet,
    pings,
    says_in,
    server,
    set_sysctl,
    sysctl,
)
from tests.hosts.machine import wait_for
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import look, no_trace

SHOP = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces:
  web: {networks: [lan]}
"""
TABLE = "inet netloom-shop"


HARMS = {
    f"nft flush chain {TABLE} guard": f"~ rules host {TABLE}",
    f"nft delete table {TABLE}": f"~ rules host {TABLE}",
    f"nft add rule {TABLE} guard accept": f"~ rules host {TABLE}",
    "sysctl -qw net.ipv4.conf.eth0.forwarding=0": "net.ipv4.conf.eth0.forwarding=1",
    "sysctl -qw net.ipv6.conf.all.forwarding=0": "net.ipv6.conf.all.forwarding=1",
    "sysctl -qw net.ipv4.conf.lan.forwarding=0": "net.ipv4.conf.lan.forwarding=1",
}


@on_the_internet()
def test_what_is_changed_by_others_is_noticed_and_mended() -> None:
    """`verify` says what `up` would do, and after it there is nothing more to do."""
    write("shop.yaml", SHOP)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert netloom("up", "shop.yaml")["stdout"] == "shop  is up; nothing to do\n"
        for harm, shown in HARMS.items():
            ran("sh", "-ec", harm)
            assert shown in netloom("verify", "shop.yaml", status=3)["stdout"]
            netloom("up", "shop.yaml")
            netloom("verify", "shop.yaml")
            assert ask("web", WEB4) == HOST4
            assert ask("web", WEB6) == HOST6
        netloom("down", "shop.yaml")


@on_the_internet()
def test_a_connection_outlives_changes_of_the_lab() -> None:
    """A member more, a port more: the rules are put anew, the stream goes on."""
    write("shop.yaml", SHOP)
    write("more.yaml", SHOP + "  db: {networks: [lan]}\n")
    write("port.yaml", SHOP.replace("[lan]}", '[lan], publish: "8080:80"}'))
    with Warm() as netloom, server("beyond", 80, echo):
        netloom("up", "shop.yaml")
        with connect("web", WEB4, 80) as old, connect("web", WEB6, 80) as new:
            for file in ("more.yaml", "port.yaml", "shop.yaml"):
                netloom("up", "--replace", file)
                for conn in (old, new):
                    conn.sendall(file.encode())
                    assert conn.recv(100) == file.encode()


@on_the_internet()
def test_an_uplink_comes_and_goes_while_the_lab_runs() -> None:
    """Taken out of the file it is gone from the host; `undo` brings it back."""
    write("shop.yaml", SHOP)
    write("inner.yaml", SHOP.replace(", uplink: nat", ""))
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "inner.yaml")
        before = host_alone()
        netloom("up", "--replace", "shop.yaml")
        assert ask("web", WEB4) == HOST4
        netloom("up", "--replace", "inner.yaml")
        assert host_alone() == before
        assert ask("web", WEB4, timeout=0.2) == ""
        netloom("undo", "shop")
        assert ask("web", WEB4) == HOST4
        netloom("undo", "shop")
        assert host_alone() == before
        netloom("undo", "shop")


def host_alone() -> frozenset[str]:
    """Return what is to be seen on the host, without what netloom remembers."""
    return frozenset(line for line in look() if line.startswith("host: "))


@on_the_internet()
def test_connections_of_a_lab_are_forgotten_and_those_of_others_are_not() -> None:
    """Conntrack would remember them for five days, and a new lab would meet them."""
    write("shop.yaml", SHOP)
    ran(
        "nft",
        "add table inet track; add chain inet track new_ones "
        "{ type filter hook output priority 0; ct state new accept; }",
    )
    with Warm() as netloom, server("beyond", 80, echo):
        netloom("up", "shop.yaml")
        with connect("web", WEB4, 80), connect("web", WEB6, 80), connect("host", WEB4, 80):
            assert ask_udp("web", WEB4)
            before = tracked()
            assert sum("10.100.0.2" in line for line in before) == 2
            assert sum("fd00:100::2" in line for line in before) == 1

            netloom("down", "shop.yaml")

            after = tracked()
            assert not any("10.100.0." in line or "fd00:100:" in line for line in after)
            assert sum(f"src={HOST4} dst={WEB4}" in line for line in after) == 1


def tracked() -> list[str]:
    """Return the connections that the host's kernel remembers, IPv6 addresses shortened."""
    with open("/proc/thread-self/net/nf_conntrack", encoding="ascii") as file:
        return [short(line) for line in file]


def short(line: str) -> str:
    """Return a line with IPv6 addresses as people write them."""
    words = []
    for word in line.split():
        key, sign, value = word.partition("=")
        if value.count(":") == 7:
            value = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, value))
        words.append(f"{key}{sign}{value}")
    return " ".join(words)


@on_the_internet()
def test_what_belongs_to_no_connection_does_not_leave() -> None:
    """It would not be translated, and leave with the member's own address."""
    write("shop.yaml", SHOP)
    with Warm() as netloom, server("beyond", 80):
        netloom("up", "shop.yaml")
        with inside("beyond", _all_packets) as seen:
            nonsense = b"\x1f\x90\x00\x50" + bytes(8) + b"\x50\x3f\x20\x00" + bytes(4)
            with inside("web", _raw) as sock:
                sock.sendto(nonsense, (WEB4, 0))
            assert ask("web", WEB4) == HOST4
            seen.settimeout(0)
            sources = set()
            with suppress(BlockingIOError):
                while packet := seen.recv(2048):
                    sources.add(socket.inet_ntoa(packet[12:16]))
        assert sources == {HOST4}


UNTRACKED = (130, 131, 132, 133, 134, 135, 136, 143, 151)
"""Types of ICMPv6 that conntrack does not follow, but for redirects (nf_conntrack_proto_icmpv6)."""


@on_the_internet()
def test_icmpv6_that_is_not_tracked_does_not_leave() -> None:
    """Neither with the member's address nor with a forged one; an echo leaves as the host's."""
    write("shop.yaml", SHOP)
    with Warm() as netloom, server("beyond", 80):
        netloom("up", "shop.yaml")
        says_in("web", "ip", "address", "add", "2001:4860::8888/128", "dev", "lan", "nodad")
        with inside("beyond", partial(_all_packets, 0x86DD)) as seen:
            for source in ("fd00:100::2", "2001:4860::8888"):
                with inside("web", partial(_raw_icmpv6, source)) as sock:
                    for kind in UNTRACKED:
                        sock.sendto(bytes((kind, 0, 0, 0)) + bytes(20), (WEB6, 0))
            assert pings("web", WEB6, "-I", "fd00:100::2")
            seen.settimeout(0)
            sources = set()
            with suppress(BlockingIOError):
                while packet := seen.recv(2048):
                    sources.add(socket.inet_ntop(socket.AF_INET6, packet[8:24]))
        assert HOST6 in sources
        assert not [each for each in sources if each.startswith(("fd00:100:", "2001:4860:"))]


def _raw_icmpv6(source: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 64)
    sock.bind((source, 0))
    return sock


def _all_packets(protocol: int = 0x0800) -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))


def _raw() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)


@on_the_internet()
def test_what_lies_behind_a_router_of_the_lab_gets_out_too() -> None:
    """Its subnet is not the network's own: it is hidden, and forgotten, all the same."""
    write(
        "shop.yaml",
        """\
name: shop
routing: static
networks:
  lan: {subnet: 10.100.0.0/24, uplink: nat}
  inner: {subnet: 10.100.7.0/24}
namespaces:
  router: {networks: [lan, inner]}
  web: {networks: [inner], routes: default via router}
  host: {networks: [lan], routes: 10.100.7.0/24 via router}
""",
    )
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert ask("web", WEB4) == HOST4
        netloom("down", "shop.yaml")
        assert not [line for line in tracked() if "10.100." in line]


# ── where the host's own way out changes ──────────────────────────────────────────────────


def second_card() -> None:
    """Give the host another card, with the address 198.51.100.2."""
    card("eth1", "cable1")
    ran("ip", "address", "add", "198.51.100.2/24", "dev", "eth1")
    ran("ip", "link", "set", "eth1", "addrgenmode", "none", "up")
    says_in("beyond", "ip", "address", "add", "198.51.100.1/24", "dev", "cable1")
    says_in("beyond", "ip", "link", "set", "cable1", "up")


@on_the_internet(ipv6=False)
def test_a_default_route_that_moves_is_noticed_and_followed() -> None:
    """The cable was pulled, the other card took over: `plan` and `verify` say so, `up` follows."""
    write("shop.yaml", SHOP)
    second_card()
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        ran("ip", "route", "add", "default", "via", "198.51.100.1", "metric", "9", "dev", "eth1")
        ran("ip", "route", "del", "default", "via", NEAR4)
        assert ask("web", WEB4, timeout=0.2) == ""

        said = netloom("verify", "shop", status=3)["stderr"]
        assert "the host's routes lead out of `eth1` by now, not `eth0`" in said
        shown = netloom("plan", "shop.yaml")["stdout"]
        assert "+ sysctl host net.ipv4.conf.eth1.forwarding=1" in shown.replace("~", "+")
        netloom("up", "shop.yaml")

        assert ask("web", WEB4) == "198.51.100.2"
        netloom("verify", "shop.yaml")
        netloom("down", "shop.yaml")
        ran("ip", "route", "del", "default", "via", "198.51.100.1")
        ran("ip", "route", "add", "default", "via", NEAR4)


@on_the_internet()
def test_of_several_default_routes_the_best_leads_out() -> None:
    """The lowest metric; a route with two next hops leads out of both."""
    write("shop.yaml", SHOP)
    second_card()
    ran("ip", "route", "add", "default", "via", "198.51.100.1", "metric", "9", "dev", "eth1")
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert ask("web", WEB4) == HOST4
        assert sysctl("net.ipv4.conf.eth1.forwarding") == "0"
        ran("ip", "route", "del", "default", "metric", "9")
        hops = f"nexthop via {NEAR4} nexthop via 198.51.100.1"
        ran("ip", "route", "replace", "default", *hops.split())
        netloom("up", "shop.yaml")
        assert {ask("web", WEB4, port) for port in [80] * 8} <= {HOST4, "198.51.100.2"}
        assert sysctl("net.ipv4.conf.eth1.forwarding") == "1"
        netloom("down", "shop.yaml")
        ran("ip", "route", "replace", "default", "via", NEAR4)
        ran("ip", "route", "add", "default", "via", "198.51.100.1", "metric", "9", "dev", "eth1")


@on_the_internet()
def test_via_names_the_way_out() -> None:
    """A member reaches what lies there, and nothing that the host reaches otherwise."""
    write("shop.yaml", SHOP.replace("uplink: nat", "uplink: {mode: nat, via: eth1}"))
    second_card()
    with Warm() as netloom, server("beyond", 80):
        said = netloom("up", "shop.yaml")["stderr"]
        assert "`lan` may leave by `eth1` alone" in said
        assert ask("web", "198.51.100.1") == "198.51.100.2"
        netloom("verify", "shop")
        assert ask("web", WEB4, timeout=0.2) == ""


@pytest.mark.parametrize(
    ("gone", "subnet", "missing", "other"),
    [("", "10.100.0.0/24", 4, '"fd00:100::/64"'), ("-6", '"fd00:100::/64"', 6, "10.100.0.0/24")],
)
@on_the_internet()
def test_no_way_out_in_the_family_of_a_network_is_refused(
    gone: str, subnet: str, missing: int, other: str
) -> None:
    """With its place; a network that has one in its other family leaves by that, as a note says."""
    ran("sh", "-ec", f"ip {gone} route del default")
    text = SHOP.replace('[10.100.0.0/24, "fd00:100::/64"]', "SUBNETS")
    write("shop.yaml", text.replace("SUBNETS", f"[{subnet}]"))
    with Warm() as netloom, server("beyond", 80), no_trace():
        said = netloom("up", "shop.yaml", status=2)["stderr"]
        assert said.startswith("shop.yaml:3:")
        assert f"the host has no IPv{missing} default route, so no way out" in said

        write("shop.yaml", text.replace("SUBNETS", f"[{subnet}, {other}]"))
        said = netloom("up", "shop.yaml")["stderr"]
        note = f"the host has no IPv{missing} default route, so nobody leaves `lan` by IPv{missing}"
        assert note in said
        assert ask("web", WEB4 if missing == 6 else WEB6)
        netloom("down", "shop.yaml")


@pytest.mark.parametrize(
    ("uplink", "before", "message"),
    [
        ("nat", "ip route del default; ip -6 route del default", "the host has no default route"),
        ("{mode: nat, via: eth7}", "true", "the host has no interface `eth7`"),
        ("{mode: nat, via: eth1}", "true", "`eth1` of the host is down"),
        ("{mode: nat, via: [eth0, eth1]}", "true", "`eth1` of the host is down"),
        ("{mode: nat, via: eth2}", "true", "`eth2` of the host has no carrier"),
        ("snat", "true", "`uplink` cannot be `snat`"),
    ],
)
@on_the_internet()
def test_no_way_out_is_refused(uplink: str, before: str, message: str) -> None:
    """With its place in the file, before anything is touched."""
    write("shop.yaml", SHOP.replace("nat}", f"{uplink}}}"))
    card("eth1", "cable1")
    card("eth2", "cable2")
    ran("ip", "link", "set", "eth2", "up")
    ran("sh", "-ec", before)
    with Warm() as netloom, no_trace():
        said = netloom("up", "shop.yaml", status=2)["stderr"]
    assert said.startswith("shop.yaml:3:")
    assert message in said
    assert "hint" in said or "^" in said
    assert said.endswith("nothing was touched\n")


# ── IPv6 with care ────────────────────────────────────────────────────────────────────────


def advertise() -> None:
    """Send a router advertisement, as beyond's router: a prefix, a default route (RFC 4861)."""
    prefix = struct.pack(
        "!BBBBIII16s", 3, 4, 64, 0xC0, 86400, 14400, 0, socket.inet_pton(10, "2001:db8:1::")
    )
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.bind(("fe80::1", 0, 0, socket.if_nametoindex("cable")))
        sock.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex("cable")))


def learned() -> list[str]:
    """Return the default routes that the host has learned, without what runs out."""
    return [
        line.partition(" expires")[0]
        for line in says("ip", "-6", "route").splitlines()
        if "default" in line and "proto ra" in line
    ]


@on_the_internet(ipv6=False)
def test_a_default_route_that_was_advertised_stays() -> None:
    """A host that forwards ignores advertisements, and drops what it learned: not here.

    It goes on to learn while the lab is up, and is as it was afterwards.
    """
    write("shop.yaml", SHOP)
    set_sysctl("net.ipv6.conf.eth0.accept_dad", "0")
    inside("beyond", advertise)
    wait_for(lambda: bool(learned()))
    with Warm() as netloom, server("beyond", 80):
        before = learned()
        netloom("up", "shop.yaml")

        assert learned() == before
        assert sysctl("net.ipv6.conf.all.forwarding") == "1"
        assert ask("web", WEB6)
        ran("ip", "-6", "route", "del", "default")
        inside("beyond", advertise)
        wait_for(lambda: bool(learned()))
        netloom("verify", "shop.yaml")

        netloom("down", "shop.yaml")

        assert learned() == before
        assert sysctl("net.ipv6.conf.all.forwarding") == "0"
        assert sysctl("net.ipv6.conf.eth0.forwarding") == "0"
        assert sysctl("net.ipv6.conf.eth0.accept_ra") == "1"


@on_the_internet()
def test_forwarding_of_single_interfaces_is_put_back() -> None:
    """The switch for all rewrites each: one that was on before is on again."""
    write("shop.yaml", SHOP)
    card("eth1", "cable1")
    set_sysctl("net.ipv6.conf.eth1.forwarding", "1")
    with Warm() as netloom, no_trace():
        netloom("up", "shop.yaml")
        netloom("down", "shop.yaml")
