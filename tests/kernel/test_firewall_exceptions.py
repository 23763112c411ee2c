"""Exceptions in firewalls, one by one: put, found and removed, by comment and by meaning."""

import shutil

import pytest

from netloom.errors import KernelError, Unavailable
from netloom.host.firewall.exceptions import check, put, read, remove
from netloom.kernel import syscalls
from netloom.model.firewall import (
    FirewallException,
    FirewallState,
    ForwardNeed,
    Traffic,
    comment_of,
)
from netloom.plan.firewall_exceptions import exceptions
from tests.hosts.machine import on_a_machine
from tests.hosts.programs import ran, says

LAB = "my.lab"
THROUGH = ForwardNeed(LAB, "lan", "eth0", ("10.100.0.0/24", "fd00:100::/64"))

SHUT = """
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop;
    tcp dport 25 drop
  }
}
table ip early {
  chain forward { type filter hook forward priority -50; policy drop;
  }
}
"""


def rules() -> str:
    """Return all rules, their handles left out."""
    return says("nft", "list", "ruleset")


@pytest.mark.needs("iptables", "nft")
@on_a_machine
def test_looking_changes_nothing_and_nothing_is_asked_for_where_nothing_drops() -> None:
    """No table comes from looking, not even of iptables-legacy."""
    seen = read(LAB, {"lan"})

    assert exceptions(seen.firewall, THROUGH) == seen.exceptions == ()
    assert rules() == ""
    for word in ("ip", "ip6"):
        with open(f"/proc/thread-self/net/{word}_tables_names", encoding="ascii") as names:
            assert names.read() == ""


@pytest.mark.needs("nft")
@on_a_machine
def test_an_exception_is_opened_once_and_closed_at_all_events() -> None:
    """Opening what is open changes nothing; closing what is gone is no harm."""
    ran("nft", "-f", "-", stdin=SHUT)
    before = rules()
    wanted = exceptions(read(LAB).firewall, THROUGH)
    for exception in wanted:
        put(exception)
    opened = rules()
    for exception in wanted:
        put(exception)

    assert rules() == opened
    assert sorted(read(LAB).exceptions) == sorted(wanted)
    for exception in (*wanted, *wanted):
        remove(exception)
    assert rules() == before


@pytest.mark.needs("nft")
@on_a_machine
def test_an_exception_of_another_lab_stays() -> None:
    """What bears the comment of another lab is neither told nor closed."""
    ran("nft", "-f", "-", stdin=SHUT)
    other = FirewallException(
        "nft", "ip early", "forward", Traffic(4, "lan", "eth0"), comment_of("other")
    )
    put(other)
    before = rules()

    assert read(LAB).exceptions == ()
    remove(FirewallException(other.tool, other.table, other.chain, other.flow, comment_of(LAB)))

    assert rules() == before
    assert read("other").exceptions == (other,)


@pytest.mark.needs("nft")
@on_a_machine
def test_an_exception_that_a_drop_was_put_before_is_none() -> None:
    """It is told to be of no effect, and stands before the drop when it was opened anew."""
    ran("nft", "-f", "-", stdin=SHUT)
    wanted = exceptions(read(LAB).firewall, THROUGH)
    for exception in wanted:
        put(exception)
    says("nft", "insert", "rule", "ip", "early", "forward", "drop")

    behind = set(read(LAB).exceptions) - set(wanted)
    assert {(exception.table, exception.behind) for exception in behind} == {("ip early", True)}
    for exception in behind:
        remove(exception)
    for exception in wanted:
        put(exception)

    assert sorted(read(LAB).exceptions) == sorted(wanted)


ALIKE = """
table ip filter {
  chain forward { type filter hook forward priority 0; policy drop;
    ct state vmap { established : accept, invalid : drop }
  }
}
"""


@pytest.mark.needs("iptables", "nft")
@on_a_machine
def test_a_table_that_only_bears_a_name_of_iptables_is_changed_by_nft() -> None:
    """What iptables-nft calls incompatible is not its own: it shows chains that are not there."""
    ran("nft", "-f", "-", stdin=ALIKE)
    assert ":FORWARD ACCEPT" in says("iptables-nft-save")

    wanted = exceptions(read(LAB).firewall, THROUGH)
    for exception in wanted:
        put(exception)

    assert {(p.tool, p.table, p.chain) for p in wanted} == {("nft", "ip filter", "forward")}
    assert sorted(read(LAB).exceptions) == sorted(wanted)


@pytest.mark.needs("nft")
@on_a_machine
def test_a_chain_that_is_gone_is_told() -> None:
    """An exception for a chain that somebody removed is refused, with what was asked."""
    gone = FirewallException(
        "nft", "inet filter", "forward", Traffic(4, "lan", "eth0"), comment_of(LAB)
    )

    with pytest.raises(KernelError, match=r"^nft .* rule inet filter forward .* is gone"):
        put(gone)


@pytest.mark.needs("iptables")
@on_a_machine
def test_a_refusal_says_what_was_asked() -> None:
    """A program's refusal is told with the command and its own words."""
    says("iptables-nft", "-P", "FORWARD", "DROP")
    flow = Traffic(4, "lan", "eth0", proto="x")
    wrong = FirewallException("iptables-nft", "filter", "FORWARD", flow, comment_of(LAB))

    with pytest.raises(KernelError, match=r"^iptables-nft -w -t filter -A FORWARD .*x.*: ip"):
        put(wrong)


@pytest.mark.needs("ufw")
@on_a_machine
def test_a_missing_program_is_told_beforehand() -> None:
    """Without the owner's tool a lab is refused before a step; amid steps, by what was asked."""
    program = shutil.which("ufw")
    assert program is not None
    syscalls.bind("/dev/null", program)
    exception = FirewallException("ufw", "", "", Traffic(4, "lan", "eth0"), comment_of(LAB))

    with pytest.raises(Unavailable, match="no program `ufw`") as refused:
        check(FirewallState(), [exception])
    with pytest.raises(KernelError, match=r"^ufw route allow in on lan out on eth0"):
        put(exception)

    assert refused.value.remedy == "apt-get install ufw"
