"""Labs beside firewalld: their interface in a zone, at run time only."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.firewalled import (
    ALL,
    bus,
    daemon,
    missed,
    on_a_firewalled_host,
    planned,
    reaches,
    ruleset,
    up,
)
from tests.hosts.internet import HOST4, MISSED, NEAR4, ask, server
from tests.hosts.netloom import Warm
from tests.hosts.programs import ran, says

SHUT = ALL._replace(out=False, resolver=False)
"""firewalld lets pass what is led inwards."""


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

BOUND = '<zone target="ACCEPT"><short>Trusted</short><interface name="lan"/></zone>'


@contextmanager
def firewalld() -> Iterator[None]:
    """Run firewalld."""
    with bus(), daemon("firewalld", "--nofork", "--nopid", answers=answers):
        yield


def answers() -> bool:
    """Whether firewalld is up; it says so by a signal too, but only to who listens by then."""
    return ran("firewall-cmd", "--state", check=False).returncode == 0


def zones() -> str:
    """Return all that firewalld says of its zones."""
    return says("firewall-cmd", "--list-all-zones")


def rules() -> list[str]:
    """Return all of nftables, but for chains that nothing leads to any more.

    With the first interface of a zone firewalld makes its chains, and keeps them until a reload.
    """
    unused = re.compile(r'"(chain|name)": "\w+_(trusted|nm-shared)')
    return [line for line in ruleset() if not unused.search(line)]


@pytest.mark.long
@pytest.mark.needs("firewalld")
@on_a_firewalled_host("firewalld", "dbus-1", "machine-id", "protocols", "services")
def test_firewalld_forwards_what_comes_from_an_interface_in_a_zone_that_does() -> None:
    """In the zone `trusted` the lab gets out, until a reload: it is noticed, and mended by `up`.

    That zone opens all of the host to the lab, which the lab's own table keeps closed. Where
    NetworkManager's zone for shared connections is, that is taken. `down` finds it there even if
    somebody deleted the interface. What firewalld's own configuration binds is left alone. Each
    `down` leaves all rules as they were.
    """
    with firewalld(), Warm() as netloom:
        before = zones(), rules()
        command = "firewall-cmd --zone={} --add-interface=lan"
        assert planned(netloom) == [f"firewalld: {command.format('trusted')}"]
        up(netloom)

        reaches(ALL, ALL)
        with server("host", 22), server("host", 23):
            assert ask("beyond", HOST4, 22) == NEAR4
            assert ask("beyond", HOST4, 23, timeout=MISSED) == ""
        assert "interfaces: lan" in says("firewall-cmd", "--zone=trusted", "--list-all")

        says("firewall-cmd", "--reload")
        assert missed(netloom) == [f"firewalld: {command.format('trusted')}"]
        reaches(SHUT, SHUT)
        up(netloom)
        reaches(ALL, ALL)
        netloom("down", "shop.yaml")
        assert (zones(), rules()) == before

        Path("/etc/firewalld/zones/nm-shared.xml").write_text(NM_SHARED)
        says("firewall-cmd", "--reload")
        before = zones(), rules()
        assert planned(netloom) == [f"firewalld: {command.format('nm-shared')}"]
        up(netloom)
        reaches(ALL, ALL)
        says("ip", "link", "delete", "lan")
        netloom("down", "shop.yaml")
        assert (zones(), rules()) == before

        Path("/etc/firewalld/zones/trusted.xml").write_text(BOUND)
        says("firewall-cmd", "--reload")
        before = zones(), rules()
        assert planned(netloom) == []
        up(netloom)
        netloom("down", "shop.yaml")
        assert (zones(), rules()) == before
