"""A host of its own for a test: a machine with a card, a firewall, and an empty folder."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.machine import become_a_machine, on, wait_for
from tests.hosts.programs import says

NIC = """
ip link set lo up
ip link add eth0 type veth peer name cable
ip link set eth0 addrgenmode none
ip link set cable addrgenmode none
ip address add 192.0.2.2/24 dev eth0
ip address add 2001:db8::2/64 dev eth0 nodad
ip link set cable up
ip link set eth0 up
ip route add default via 192.0.2.1
ip route add 198.51.100.0/24 via 192.0.2.9 metric 50
ip rule add from 198.51.100.7 lookup 77 priority 1000
ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
"""
"""What a host has that must be as before: a card with a network, a default route, a rule."""

FIREWALL = """
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop; }
}
"""


@contextmanager
def a_host() -> Iterator[None]:
    """Be root of such a host, in its folder."""
    become_a_machine()
    says("sh", "-ec", NIC)
    wait_for(_settled)
    subprocess.run(["nft", "-f", "-"], input=FIREWALL.encode(), capture_output=True, check=False)
    Path("/run/mount").mkdir()  # umount(8) would make it
    Path("/run/here").mkdir()
    os.chdir("/run/here")  # unshare(CLONE_NEWNS) gave the thread a working directory of its own
    yield


on_a_host = on(a_host, "netns", "ip", "veth", "bridge")
"""Run a test as root of a host of its own, in an empty folder."""


def wait_carrier(*links: str) -> None:
    """Wait until links have their carrier, and what the kernel makes with it (addrconf_notify).

    So do the local routes of the IPv6 addresses that they were given (addrconf_dad_work).
    """
    mine = [f"ff00::/8 dev {link} " for link in links]
    for line in says("ip", "-o", "-6", "address", "show", "scope", "global").splitlines():
        _, link, _, address, *_ = line.split()
        if link in links:
            mine.append(f"local {address.partition('/')[0]} dev {link} ")

    def has_carrier() -> bool:
        there = says("ip", "-6", "route", "show", "table", "all")
        return all(route in there for route in mine)

    wait_for(has_carrier)


def _settled() -> bool:
    links, routes = says("ip", "-o", "link"), says("ip", "-6", "route", "show", "table", "all")
    return links.count("state UP") == 2 and all(
        route in routes
        for route in (
            "ff00::/8 dev eth0",
            "ff00::/8 dev cable",
            "local 2001:db8::2 dev eth0",
            "2001:db8::/64 dev eth0",
        )
    )
