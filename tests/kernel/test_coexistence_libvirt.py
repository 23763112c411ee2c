"""libvirt's chains drop what concerns its own bridges, so a lab needs no exception in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.host.passages import read
from netloom.kernel import syscalls
from netloom.model.walls import Through
from netloom.plan.passages import passages
from tests.kernel.coexistence import (
    LAB,
    OPEN,
    daemon,
    forwarding,
    on_a_walled_host,
    opened,
    reached,
    tools,
)
from tests.kernel.machines import ran, says

NETWORK = """<network>
  <name>guests</name>
  <forward mode='nat'/>
  <bridge name='virbr7'/>
  <ip address='192.168.177.1' netmask='255.255.255.0'/>
</network>
"""
STATE = ("/var/lib/libvirt", "/var/cache/libvirt", "/var/log")
VIRSH = ("virsh", "-c", "network:///system")


@contextmanager
def libvirt() -> Iterator[None]:
    """Run libvirt with one network, and keep its files on this machine."""
    for folder in STATE:
        syscalls.mount("tmpfs", "libvirt", folder)
    Path("/var/lib/libvirt/dnsmasq").mkdir()
    Path("/run/guests.xml").write_text(NETWORK)
    Path("/run/dbus").mkdir()
    bus = ("dbus-daemon", "--system", "--nofork", "--nopidfile")
    with (
        daemon(*bus, up=Path("/run/dbus/system_bus_socket").exists),
        daemon("libvirtd", up=lambda: ran(*VIRSH, "net-list", check=False).returncode == 0),
    ):
        says(*VIRSH, "net-create", "/run/guests.xml")
        try:
            yield
        finally:
            says(*VIRSH, "net-destroy", "guests")


@pytest.mark.needs("libvirtd", "iptables")
@on_a_walled_host("libvirt", "dbus-1", "machine-id", "protocols", "services", "dnsmasq.d")
def test_libvirt_stands_in_nobodys_way_but_on_its_own_bridges() -> None:
    """A lab passes by libvirt's rejects without exceptions, and is known to need some elsewhere.

    Where it left by libvirt's own bridge they would stand in the chains that reject.
    """
    with libvirt():
        forwarding()
        assert "LIBVIRT_FWI" in says("iptables-save")

        assert opened() == ()
        assert reached(4, 6) == [OPEN._replace(inwards=True)] * 2

        by_bridge = Through(LAB, "lan", "virbr7", ("10.100.0.0/24",))
        found = passages(read(LAB).walls, by_bridge)
        assert tools(found) == {("iptables-nft", "LIBVIRT_FWI"), ("iptables-nft", "LIBVIRT_FWO")}
