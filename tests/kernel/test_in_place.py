"""A change disturbs nothing but what it changes: connections live on, links keep their indexes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.engine import front as engine
from netloom.language.parse import parse
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from tests.kernel.worlds_made import MACHINE, alone, ip

pytestmark = pytest.mark.needs("netns", "veth", "bridge", "ip")

LAB = """
name: loom
networks: {lan: {subnet: 10.1.0.0/24, bridge: br0, stp: false}}
namespaces:
  a: {networks: {lan: 10.1.0.2}, routes: 10.7.0.0/16 via 10.1.0.9}
  b: {networks: {lan: 10.1.0.3}}
  c: {networks: {lan: 10.1.0.4}}
links:
  - [a:keep 10.2.0.1/24, b:keep 10.2.0.2/24]
  - [a:w 10.3.0.1/24, b:w 10.3.0.2/24]
"""

EDITS = {
    "an address": ("a:w 10.3.0.1/24", "a:w 10.3.0.7/24"),
    "an address of the network beside": ("{lan: 10.1.0.2}", "{lan: 10.1.0.22}"),
    "a route": ("10.7.0.0/16 via 10.1.0.9", "10.7.0.0/16 via 10.1.0.3"),
    "a route's kind": ("10.7.0.0/16 via 10.1.0.9", "prohibit 10.7.0.0/16"),
    "an MTU": ("b:w 10.3.0.2/24]", "b:w 10.3.0.2/24, {mtu: 1400}]"),
    "the far end of a wire": ("b:w 10.3.0.2/24]", "c:w 10.3.0.2/24]"),
    "a wire less": ("  - [a:w 10.3.0.1/24, b:w 10.3.0.2/24]\n", ""),
    "a member more": ("  c: {networks: {lan: 10.1.0.4}}", "  c: {count: 3, networks: [lan]}"),
    "a member less": ("  c: {networks: {lan: 10.1.0.4}}\n", ""),
    "spanning tree": ("stp: false", "stp: true"),
    "a rule and a setting": (
        "routes: 10.7",
        "rules: fwmark 1 lookup 100, sysctls: {net.ipv4.tcp_ecn: 1}, routes: 10.7",
    ),
    "a second family": ("subnet: 10.1.0.0/24", "subnets: [10.1.0.0/24, fd00:1::/64]"),
}


def up(text: str) -> None:
    """Make a lab as a file says."""
    engine.up(parse(text), MACHINE)


@contextmanager
def stream(server: str, client: str, address: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Open a TCP connection from one namespace to another."""
    with open_name(server) as there, open_name(client) as here:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = enter(there, socket.create_server, (address, 7000), family=family)
        with listener, enter(here, socket.create_connection, (address, 7000), 5) as near:
            far, _ = listener.accept()
            with far:
                far.settimeout(5)
                yield near, far


def says(near: socket.socket, far: socket.socket, word: bytes) -> bytes:
    """Send a word; return what arrives."""
    near.sendall(word)
    return far.recv(64)


def indexes(netns: str) -> dict[str, int]:
    """Return the indexes of the links of a namespace."""
    return {link["ifname"]: link["ifindex"] for link in ip("link", netns)}


@pytest.mark.parametrize("what", EDITS)
def test_what_is_not_changed_goes_on(what: str) -> None:
    """A stream over a wire beside it lives on, and no link is made anew but a rewired one."""

    def check() -> None:
        up(LAB)
        before = {name: indexes(name) for name in ("", "a", "b")}
        with stream("b", "a", "10.2.0.2") as (near, far):
            assert says(near, far, b"before") == b"before"
            up(LAB.replace(*EDITS[what]))
            assert says(near, far, b"after") == b"after"
        for name, links in before.items():
            now = indexes(name)
            rewired = {"w"} if "wire" in what else set()
            gone = {"c.lan"} if what in {"a member less", "a member more"} else set()
            kept = links.keys() - rewired - gone
            assert {link: now[link] for link in kept} == {link: links[link] for link in kept}

    alone(check)


def test_a_network_that_gets_ipv6_speaks_it() -> None:
    """Added in place, it works though the links have come up before it was there."""
    text = LAB.replace(*EDITS["a second family"]).replace("10.1.0.3}", "[10.1.0.3, fd00:1::3]}")

    def check() -> None:
        up(LAB)
        with stream("b", "c", "10.1.0.3") as (near, far):
            assert says(near, far, b"four") == b"four"
        up(text.replace("10.1.0.4}", "[10.1.0.4, fd00:1::4]}"))
        with stream("b", "c", "fd00:1::3") as (near, far):
            assert says(near, far, b"six") == b"six"

    alone(check)


def test_ipv6_is_of_use_at_once() -> None:
    """No address waits for duplicate address detection, the link-local ones neither.

    Who has none that is valid asks for no neighbour (ndisc_solicit), so a router would stall.
    """

    def tentative() -> list[object]:
        up(
            "name: loom\nnetworks: {lan: fd00:1::/64}\n"
            "namespaces: {a: {networks: [lan]}, host: {networks: [lan]}}"
        )
        words = "-6 addr show tentative"
        found: list[object] = [each for where in ("", "a") for each in ip(words, where)]
        assert [len(link["addr_info"]) for link in ip("-6 addr show dev lan", "a")] == [2]
        engine.down("loom", MACHINE)
        return found

    assert alone(tentative) == []


LAN6 = "name: loom\nnetworks: {lan: fd00:1::/64}\nnamespaces: {a: {networks: {lan: {mac: MAC}}}}\n"
SAID = """
name: loom
namespaces: {a: {interfaces: {x: {mac: 02:00:00:00:00:0c}}}, b: {}}
links: [[a:x fe80::ff:fe00:c/64, b:y fe80::1/64]]
"""
BOTH = """
name: loom
networks: {lan: {subnets: [10.1.0.0/24, fd00:1::/64]}}
namespaces: {host: {networks: {lan: 10.1.0.7}}}
"""


def test_a_link_local_address_follows_what_is_said() -> None:
    """Another MAC address, one that is said, a host that has no IPv6 for new links."""

    def check() -> None:
        for text in (*(LAN6.replace("MAC", f"02:00:00:00:00:0{n}") for n in "ab"), SAID, BOTH):
            if text == BOTH:
                Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
            up(text)
            assert engine.verify("loom", MACHINE) == engine.Verified(())
        engine.down("loom", MACHINE)

    alone(check)
