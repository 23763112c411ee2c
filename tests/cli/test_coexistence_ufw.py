"""Labs beside ufw, whose rules live in files of its own."""

from pathlib import Path

import pytest

from tests.hosts.firewalled import (
    ALL,
    SHOP,
    SHOP4,
    missed,
    on_a_firewalled_host,
    planned,
    reaches,
    saved,
    up,
)
from tests.hosts.internet import HOST4, MISSED, NEAR4, WEB4, ask, server
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import says

RULES = ("/etc/ufw/user.rules", "/etc/ufw/user6.rules")
SAVES = ("iptables-save", "ip6tables-save")
LESS = SHOP.replace('"8080:80"', f'"{HOST4}:8080:80"')
"""Published by one family: each rule costs ufw a tenth of a second."""

HIDDEN = ALL._replace(published=False, back=False)
"""Nothing is published."""

OUT = "in on lan out on eth0 from 10.100.0.0/24"


def kept() -> list[str]:
    """Return ufw's rules as its files have them."""
    return [Path(name).read_text() for name in RULES]


@pytest.mark.needs("ufw", "iptables")
@on_a_firewalled_host("ufw", "default/ufw", "protocols", "services")
def test_ufw_opens_what_it_drops_and_closes_it_to_the_letter() -> None:
    """By `ufw route allow` and `ufw allow` traffic passes; then its files are as before.

    Rules of its owner stay as they are, and its list shows ours with their comment. They outlive a
    reload; one that its owner deletes is missed, and opened again.
    """
    write("shop.yaml", LESS)
    says("ufw", "allow", "2222/tcp", "comment", "of its owner")
    says("ufw", *f"route deny to {WEB4} port 9 proto tcp".split())
    says("ufw", "--force", "enable")
    before, there = kept(), saved(*SAVES)
    with Warm() as netloom:
        found = planned(netloom)
        assert f"ufw: ufw route allow {OUT} to any comment netloom:shop" in found
        up(netloom)

        reaches(ALL, HIDDEN)
        status = says("ufw", "status")
        assert status.count("# netloom:shop") == len(found)
        assert "# of its owner" in status
        with server("beyond", 9):
            assert ask("web", WEB4, 9, timeout=MISSED) == ""

        says("ufw", "reload")
        netloom("verify", "shop.yaml")

        says("ufw", "route", "delete", "allow", *OUT.split())
        assert missed(netloom) == [f"ufw: ufw route allow {OUT} to any comment netloom:shop"]
        reaches(ALL._replace(out=False))
        up(netloom)
        reaches(ALL)

        netloom("down", "shop.yaml")
    assert kept() == before
    assert saved(*SAVES) == there


@pytest.mark.long
@pytest.mark.needs("ufw", "iptables")
@on_a_firewalled_host("ufw", "default/ufw", "protocols", "services")
def test_ufw_comes_and_goes_while_a_lab_is_up() -> None:
    """Enabled, it is noticed, and opened by `up`; what its owner allowed is reached, and no more.

    Disabled, it drops nothing, so `verify` finds too many; with `down` its files are as they were.
    """
    write("shop.yaml", SHOP4.replace(', publish: "8080:80"', ""))
    says("ufw", "allow", "2222/tcp")
    before = kept()
    with Warm() as netloom:
        up(netloom)
        says("ufw", "--force", "enable")
        assert {line.partition(":")[0] for line in missed(netloom)} == {"ufw"}
        reaches(HIDDEN._replace(out=False, resolver=False))
        there = saved(*SAVES)
        up(netloom)
        reaches(HIDDEN)
        with server("host", 2222), server("host", 2223):
            assert ask("beyond", HOST4, 2222) == NEAR4
            assert ask("beyond", HOST4, 2223, timeout=MISSED) == ""
        netloom("down", "shop.yaml")
        assert (kept(), saved(*SAVES)) == (before, there)

        up(netloom)
        says("ufw", "disable")
        assert all(" ufw delete " in line or " route delete " in line for line in missed(netloom))
        netloom("down", "shop.yaml")
    assert kept() == before
