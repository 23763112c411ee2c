"""Labs beside ufw, whose rules live in files of its own."""

from pathlib import Path

import pytest

from tests.cli.coexistence import (
    ALL,
    SHOP,
    missed,
    on_a_walled_host,
    planned,
    reaches,
    saved,
    up,
)
from tests.cli.host import Warm, write
from tests.cli.internet import HOST4, MISSED, WEB4, ask, server
from tests.kernel.machines import says

RULES = ("/etc/ufw/user.rules", "/etc/ufw/user6.rules")
SAVES = ("iptables-save", "ip6tables-save")
LESS = SHOP.replace('"8080:80"', f'"{HOST4}:8080:80"')
"""Published by one family: each rule costs ufw a tenth of a second."""

OUT = "in on lan out on eth0 from 10.100.0.0/24"


def kept() -> list[str]:
    """Return ufw's rules as its files have them."""
    return [Path(name).read_text() for name in RULES]


@pytest.mark.needs("ufw", "iptables")
@on_a_walled_host("ufw", "default/ufw", "protocols", "services")
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

        reaches(ALL, ALL._replace(published=False, back=False))
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
