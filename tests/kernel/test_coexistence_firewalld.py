"""Exceptions by firewalld: an interface in a zone, at run time only."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.host.passages import read
from tests.kernel.coexistence import (
    ALL,
    LAB,
    closed,
    daemon,
    forwarding,
    lacking,
    on_a_walled_host,
    opened,
    passes,
    reached,
    ruleset,
    tools,
)
from tests.kernel.machines import ran, says

NM_SHARED = """<?xml version="1.0" encoding="utf-8"?>
<zone target="ACCEPT">
  <short>NetworkManager Shared</short>
  <rule priority='32767'><reject/></rule>
  <protocol value='icmp'/>
  <protocol value='ipv6-icmp'/>
  <service name="dhcp"/>
  <service name="dns"/>
  <service name="ssh"/>
</zone>
"""
"""What NetworkManager brings with it."""


@contextmanager
def firewalld() -> Iterator[None]:
    """Run firewalld and the bus that it is spoken to by."""
    Path("/run/dbus").mkdir()
    bus = ("dbus-daemon", "--system", "--nofork", "--nopidfile")
    with (
        daemon(*bus, up=Path("/run/dbus/system_bus_socket").exists),
        daemon("firewalld", "--nofork", "--nopid", up=answers),
    ):
        yield


def answers() -> bool:
    """Whether firewalld is up; it says so by a signal too, but only to who listens by then."""
    return (
        subprocess.run(["firewall-cmd", "--state"], capture_output=True, check=False).returncode
        == 0
    )


def zones() -> str:
    """Return all that firewalld says of its zones."""
    return says("firewall-cmd", "--list-all-zones")


@pytest.mark.needs("firewalld")
@on_a_walled_host("firewalld", "dbus-1", "machine-id", "protocols", "services")
def test_firewalld_forwards_what_comes_from_a_trusted_interface() -> None:
    """The interface in the zone `trusted` lets the lab out; then all zones are as before.

    The zone opens all of the host to the lab; a narrower one is taken where there is one.
    """
    forwarding()
    with firewalld():
        before, there = zones(), ruleset()
        assert reached(4, 6) == [ALL._replace(out=False, resolver=False)] * 2

        found = opened()

        assert tools(found) == {("firewall-cmd", "trusted")}
        assert len(found) == 1
        assert reached(4, 6) == [ALL._replace(private=True)] * 2
        assert lacking() == ()
        assert passes("net", "", "192.0.2.2", 22)
        assert not passes("net", "", "192.0.2.2", 23)
        assert "interfaces: lan" in says("firewall-cmd", "--zone=trusted", "--list-all")

        says("firewall-cmd", "--reload")
        assert lacking() == found
        assert read(LAB, {"lan"}).passages == ()
        assert opened() == found
        assert reached(4)[0].out

        closed()

        assert zones() == before
        says("firewall-cmd", "--reload")
        assert sorted(ruleset()) == sorted(there)


@pytest.mark.needs("firewalld")
@on_a_walled_host("firewalld", "dbus-1", "machine-id", "protocols", "services")
def test_a_zone_that_opens_less_of_the_host_is_preferred() -> None:
    """Where NetworkManager's zone for shared connections is, the host stays closed but for DNS."""
    forwarding()
    Path("/etc/firewalld/zones/nm-shared.xml").write_text(NM_SHARED)
    with firewalld():
        before = zones()
        assert tools(opened()) == {("firewall-cmd", "nm-shared")}

        assert reached(4, 6) == [ALL, ALL]
        assert lacking() == ()

        closed()

        assert zones() == before


@pytest.mark.needs("firewalld")
@on_a_walled_host("firewalld", "dbus-1", "machine-id", "protocols", "services")
def test_an_interface_that_its_owner_trusts_is_left_alone() -> None:
    """What firewalld's own configuration binds is neither asked for nor taken away."""
    forwarding()
    with firewalld():
        ran("firewall-cmd", "--permanent", "--zone=trusted", "--add-interface=lan")
        says("firewall-cmd", "--reload")

        assert opened() == ()
        closed()

        assert reached(4)[0].out
