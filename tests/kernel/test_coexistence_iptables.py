"""Exceptions in bare chains of iptables, both flavours, and in chains of nftables tables."""

import pytest

from netloom.errors import KernelError, Unavailable
from netloom.host.passages import check, put, read, remove
from netloom.kernel.nft import Nft
from netloom.model.walls import Flow, Passage, comment_of
from netloom.plan.passages import passages
from tests.kernel.coexistence import (
    ALL,
    LAB,
    NONE,
    OPEN,
    THROUGH,
    closed,
    forwarding,
    lacking,
    on_a_walled_host,
    opened,
    pings,
    reached,
    ruleset,
    saved,
    tools,
    wanted,
)
from tests.kernel.machines import ran, says

SHUT = """
{ip} -A FORWARD -i {tap} -m conntrack --ctstate NEW -j ACCEPT
{ip} -A FORWARD -o eth0 -p tcp --dport 25 -j DROP
{ip} -P FORWARD DROP
{ip} -A INPUT -i lo -j ACCEPT
{ip} -A INPUT -i eth0 -j ACCEPT
{ip} -P INPUT DROP
{ip} -A OUTPUT -o eth0 -j ACCEPT
{ip} -A OUTPUT -j REJECT
"""


def shut(flavour: str) -> None:
    """Put up a strict wall by iptables."""
    for word in ("iptables", "ip6tables"):
        says("sh", "-ec", SHUT.format(ip=f"{word}-{flavour}", tap="tap0"))


@pytest.mark.parametrize("flavour", ["nft", "legacy"])
@pytest.mark.needs("iptables", "iptables-legacy")
@on_a_walled_host()
def test_a_bare_chain_gets_its_exceptions_by_its_own_iptables(flavour: str) -> None:
    """What a strict host drops passes while exceptions are open, and its rules are as before."""
    forwarding()
    shut(flavour)
    before = [saved(f"{word}-{flavour}-save") for word in ("iptables", "ip6tables")]
    assert reached(4, 6) == [NONE, NONE]
    assert not pings("mem", "10.100.0.1")

    assert tools(opened()) == {
        (f"iptables-{flavour}", chain) for chain in ("FORWARD", "INPUT", "OUTPUT")
    }

    assert reached(4, 6) == [ALL, ALL]
    assert pings("mem", "10.100.0.1")
    assert lacking() == ()
    assert f"netloom:{LAB}" in says(f"iptables-{flavour}", "-S")
    assert saved(f"iptables-{flavour}-save").index(
        "-A FORWARD -o eth0 -p tcp -m tcp --dport 25 -j DROP"
    ) < min(
        number
        for number, line in enumerate(saved(f"iptables-{flavour}-save"))
        if "netloom" in line and "-A FORWARD" in line
    )

    closed()

    assert [saved(f"{word}-{flavour}-save") for word in ("iptables", "ip6tables")] == before


@pytest.mark.needs("iptables", "iptables-legacy")
@on_a_walled_host()
def test_both_flavours_may_drop_at_once() -> None:
    """Each flavour's chain is traversed, so each gets an exception of its own."""
    forwarding()
    says("iptables-nft", "-P", "FORWARD", "DROP")
    says("iptables-legacy", "-P", "FORWARD", "DROP")

    assert tools(opened()) == {("iptables-nft", "FORWARD"), ("iptables-legacy", "FORWARD")}

    assert reached(4) == [OPEN]


@pytest.mark.needs("iptables", "iptables-legacy")
@on_a_walled_host()
def test_flushed_exceptions_are_missed_and_opened_again() -> None:
    """A flush of a chain erases exceptions: they are seen to be missing, and can be closed."""
    forwarding()
    says("iptables-nft", "-P", "FORWARD", "DROP")
    found = opened()
    assert lacking() == ()

    says("iptables-nft", "-F", "FORWARD")

    assert lacking() == wanted() == found
    for passage in found:
        remove(passage)
    assert opened() == found
    assert reached(4) == [OPEN]


@pytest.mark.needs("iptables", "iptables-legacy")
@on_a_walled_host()
def test_looking_changes_nothing_and_opens_nothing_where_nothing_drops() -> None:
    """On a host without walls nothing is asked for, and no table comes from looking."""
    forwarding()
    before = ruleset()

    assert wanted() == ()
    assert read(LAB, {"lan"}).passages == ()

    assert ruleset() == before
    for word in ("ip", "ip6"):
        with open(f"/proc/thread-self/net/{word}_tables_names", encoding="ascii") as names:
            assert names.read() == ""


NATIVE = """
table inet filter {
  set cards {
    type ifname
    elements = { "wg0" }
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname @cards accept
    tcp dport 25 drop comment "no mail"
    jump rest
  }
  chain rest {
    meta mark 7 accept
    reject with icmpx admin-prohibited
  }
  chain input {
    type filter hook input priority 0; policy drop;
    ct state { established, related } accept
    iifname { "lo", "eth0" } accept
    meta l4proto { 1, 58 } accept
  }
}
table ip early {
  chain forward { type filter hook forward priority -50; policy drop;
  }
}
table inet asleep {
  flags dormant
  chain forward { type filter hook forward priority -60; policy drop;
  }
}
"""


@on_a_walled_host()
def test_a_chain_of_nftables_gets_single_rules() -> None:
    """Every chain that drops gets its rules, by comment and handle, after what is dropped before.

    Replies and ICMP pass already; IPv6 does not meet a table of the family `ip`, and a table that
    is dormant drops nothing.
    """
    forwarding()
    ran("nft", "-f", "-", stdin=NATIVE)
    before = ruleset()
    assert reached(4, 6) == [NONE, NONE]

    found = opened()

    assert tools(found) == {("nft", "rest"), ("nft", "input"), ("nft", "forward")}
    assert {(p.table, p.chain) for p in found if p.flow.family == 6} == {
        ("inet filter", "rest"),
        ("inet filter", "input"),
    }
    assert not any(p.flow.established for p in found if p.table == "inet filter")
    assert reached(4, 6) == [ALL, ALL]
    assert lacking() == ()
    rest = says("nft", "list", "chain", "inet", "filter", "rest")
    assert rest.index("mark") < rest.index("netloom:my.lab") < rest.index("reject")

    closed()

    assert ruleset() == before


ALIKE = """
table ip filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state vmap { established : accept, invalid : drop }
  }
}
"""


@pytest.mark.needs("iptables")
@on_a_walled_host()
def test_a_table_that_only_bears_a_name_of_iptables_is_changed_by_nft() -> None:
    """What iptables-nft calls incompatible is not its own: it shows chains that are not there."""
    forwarding()
    ran("nft", "-f", "-", stdin=ALIKE)
    before = ruleset()
    assert ":FORWARD ACCEPT" in saved("iptables-nft-save")

    assert tools(opened()) == {("nft", "forward")}

    assert reached(4) == [OPEN]
    closed()
    assert ruleset() == before


@on_a_walled_host()
def test_an_exception_is_opened_once() -> None:
    """Opening what is open changes nothing; closing what is gone is no harm."""
    forwarding()
    ran("nft", "-f", "-", stdin=NATIVE)
    found = opened()
    before = ruleset()

    for passage in found:
        put(passage)

    assert ruleset() == before
    closed()
    for passage in found:
        remove(passage)


@on_a_walled_host()
def test_an_exception_of_another_lab_stays() -> None:
    """What bears the comment of another lab is neither told nor closed."""
    forwarding()
    ran("nft", "-f", "-", stdin=NATIVE)
    other = Passage("nft", "ip early", "forward", Flow(4, "lan", "eth0"), comment_of("other"))
    put(other)
    before = ruleset()

    assert other not in opened()
    closed()

    assert ruleset() == before
    assert read("other").passages == (other,)


@on_a_walled_host()
def test_a_chain_that_is_gone_is_told() -> None:
    """An exception for a chain that somebody removed is refused, with what was asked."""
    gone = Passage("nft", "inet filter", "forward", Flow(4, "lan", "eth0"), comment_of(LAB))

    with pytest.raises(KernelError, match=r"^nft add rule inet filter forward .* is gone"):
        put(gone)


OWNED = """add table inet owned {
  flags owner
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
}
"""


@on_a_walled_host()
def test_a_table_that_its_owner_keeps_is_told_beforehand() -> None:
    """A table of a running process cannot be changed by others: that is said before any step."""
    with Nft() as nft:
        nft.run(OWNED)
        seen = read(LAB)

        with pytest.raises(Unavailable, match="`inet owned` drops what must pass"):
            check(seen.walls, passages(seen.walls, THROUGH))


@pytest.mark.needs("iptables")
@on_a_walled_host()
def test_a_refusal_says_what_was_asked() -> None:
    """A program's refusal is told with the command and its own words."""
    says("iptables-nft", "-P", "FORWARD", "DROP")
    wrong = Passage(
        "iptables-nft", "filter", "FORWARD", Flow(4, "lan", "eth0", proto="x"), comment_of(LAB)
    )

    with pytest.raises(KernelError, match=r"^iptables-nft -w -t filter -A FORWARD .*x.*: ip"):
        put(wrong)
