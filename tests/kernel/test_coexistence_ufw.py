"""Exceptions by ufw, whose rules live in files of its own."""

import shutil
from pathlib import Path

import msgspec
import pytest

from netloom.errors import KernelError, Unavailable
from netloom.host.passages import check, put
from netloom.kernel import syscalls
from netloom.model.walls import Flow, Passage, Port, Walls, comment_of
from tests.kernel.coexistence import (
    ALL,
    LAB,
    THROUGH,
    closed,
    forwarding,
    lacking,
    on_a_walled_host,
    opened,
    passes,
    reached,
    saved,
    tools,
)
from tests.kernel.machines import says

RULES = ("/etc/ufw/user.rules", "/etc/ufw/user6.rules")
SAVES = ("iptables-save", "ip6tables-save")
SHUT = ALL._replace(out=False, published=False, back=False, resolver=False)

LESS = msgspec.structs.replace(
    THROUGH, services=(Port("tcp", 53),), published=THROUGH.published[:1]
)
"""A network that asks for less: each rule costs ufw a tenth of a second."""

OUT = ("route", "delete", "allow", "in", "on", "lan", "out", "on", "eth0", "from", "10.100.0.0/24")


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
    forwarding()
    says("ufw", "allow", "2222/tcp", "comment", "of its owner")
    says(
        "ufw", "route", "deny", "out", "on", "eth0", "to", "192.0.2.1", "port", "9", "proto", "tcp"
    )
    says("ufw", "--force", "enable")
    before, there = kept(), [saved(program) for program in SAVES]
    assert reached(4, 6) == [SHUT, SHUT]

    found = opened(LESS)

    assert tools(found) == {("ufw", "")}
    assert reached(4, 6) == [ALL, ALL._replace(published=False, back=False)]
    assert lacking(LESS) == ()
    status = says("ufw", "status")
    assert status.count("# netloom:my.lab") == len(found)
    assert "# of its owner" in status
    assert passes("net", "", "192.0.2.2", 2222)
    assert not passes("mem", "net", "192.0.2.1", 9)

    says("ufw", "reload")
    assert lacking(LESS) == ()

    says("ufw", *OUT)
    assert [passage.flow.src for passage in lacking(LESS)] == ["10.100.0.0/24"]
    assert reached(4) == [ALL._replace(out=False)]
    opened(LESS)
    assert reached(4) == [ALL]

    closed()

    assert kept() == before
    assert [saved(program) for program in SAVES] == there


@pytest.mark.needs("ufw")
@on_a_walled_host()
def test_a_missing_program_is_told_beforehand() -> None:
    """Without the owner's tool a lab is refused before a step; amid steps, by what was asked."""
    program = shutil.which("ufw")
    assert program is not None
    syscalls.bind("/dev/null", program)
    passage = Passage("ufw", "", "", Flow(4, "lan", "eth0"), comment_of(LAB))

    with pytest.raises(Unavailable, match="no program `ufw`") as refused:
        check(Walls(), [passage])
    with pytest.raises(KernelError, match=r"^ufw route allow in on lan out on eth0"):
        put(passage)

    assert refused.value.remedy == "apt-get install ufw"
