"""libvirt's chains drop what concerns its own bridges, so a lab needs no exception in them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.kernel import syscalls
from tests.hosts.firewalled import (
    OPEN,
    SHOP4,
    bus,
    daemon,
    on_a_firewalled_host,
    planned,
    reaches,
    saved,
    up,
)
from tests.hosts.internet import HOST4, MISSED, WEB4, ask, says_in, server
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran, says

NETWORK = """<network>
  <name>default</name>
  <forward mode='nat'/>
  <bridge name='virbr0' stp='off'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp>
  </ip>
</network>
"""
"""What libvirt brings with it (/usr/share/libvirt/networks/default.xml).

But without its spanning tree, which lets nothing pass for the first four seconds.
"""

STATE = ("/var/lib/libvirt", "/var/cache/libvirt", "/var/log")
VIRSH = ("virsh", "-c", "network:///system")
SAVES = ("iptables-save", "ip6tables-save")

GUEST = """
ip netns add guest
ip link add vnet0 type veth peer name eth0 netns guest
ip link set vnet0 master virbr0 up
ip -n guest link set eth0 up
ip -n guest address add 192.168.122.7/24 dev eth0
ip -n guest route add default via 192.168.122.1
"""


@contextmanager
def libvirt() -> Iterator[None]:
    """Run libvirt with its default network, and keep its files on this machine."""
    for folder in STATE:
        syscalls.mount("tmpfs", "libvirt", folder)
    Path("/var/lib/libvirt/dnsmasq").mkdir()
    networks = Path("/etc/libvirt/qemu/networks")
    shutil.rmtree(networks, ignore_errors=True)
    networks.mkdir(parents=True)
    (networks / "default.xml").write_text(NETWORK)
    with bus(), daemon("libvirtd", answers=answers):
        says(*VIRSH, "net-start", "default")
        try:
            yield
        finally:
            says(*VIRSH, "net-destroy", "default")


def answers() -> bool:
    """Whether libvirt is up."""
    return ran(*VIRSH, "net-list", check=False).returncode == 0


def guests_are_as_ever() -> None:
    """Demand that a guest gets out, by the host's address, and nothing gets in to it."""
    with server("beyond", 80), server("guest", 80):
        assert ask("guest", WEB4) == HOST4
        assert ask("beyond", "192.168.122.7", timeout=MISSED) == ""


@pytest.mark.needs("libvirtd", "iptables")
@on_a_firewalled_host("libvirt", "dbus-1", "machine-id", "protocols", "services", "dnsmasq.d")
def test_libvirt_stands_in_nobodys_way_but_on_its_own_bridges() -> None:
    """A lab passes by libvirt's rejects without exceptions, and is known to need some elsewhere.

    Where it left by libvirt's own bridge they would stand in the chains that reject. So a restart
    of the network is nothing to it.
    """
    says_in("beyond", "ip", "route", "add", "192.168.122.0/24", "via", HOST4)
    with libvirt(), Warm() as netloom:
        says("sh", "-ec", GUEST)
        before = saved(*SAVES)
        assert any("LIBVIRT_FWI" in line for line in before)
        assert planned(netloom) == []
        up(netloom)

        reaches(OPEN, OPEN)
        guests_are_as_ever()
        assert "active" in says(*VIRSH, "net-list")
        assert saved(*SAVES) == before

        write("shop.yaml", SHOP4.replace("uplink: nat", "uplink: {mode: nat, via: virbr0}"))
        found = " ".join(planned(netloom))
        write("shop.yaml", SHOP4)
        assert " LIBVIRT_FWI " in found
        assert " LIBVIRT_FWO " in found

        says(*VIRSH, "net-destroy", "default")
        says(*VIRSH, "net-start", "default")
        netloom("verify", "shop.yaml")
        reaches(OPEN, OPEN)
        netloom("down", "shop.yaml")
        assert saved(*SAVES) == before
