"""Labs beside bare chains of iptables, both flavours, and beside tables of nftables."""

import os
from pathlib import Path

import pytest

from netloom.kernel.nft import Nft
from tests.cli.test_uplink import side
from tests.hosts.firewalled import (
    ALL,
    NONE,
    OPEN,
    SHOP4,
    exceptions,
    missed,
    on_a_firewalled_host,
    owners,
    planned,
    reaches,
    ruleset,
    saved,
    up,
)
from tests.hosts.internet import (
    HOST4,
    HOST6,
    MISSED,
    WEB4,
    WEB6,
    ask,
    pings,
    says_in,
    server,
    set_sysctl,
)
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

STRICT = """
{ip} -A FORWARD -i tap0 -m conntrack --ctstate NEW -j ACCEPT
{ip} -A FORWARD -o tap0 -m conntrack --ctstate ESTABLISHED -j ACCEPT
{ip} -A FORWARD -o eth0 -p tcp --dport 25 -j DROP
{ip} -P FORWARD DROP
{ip} -A INPUT -i lo -j ACCEPT
{ip} -A INPUT -i eth0 -j ACCEPT
{ip} -A INPUT -i tap0 -j ACCEPT
{ip} -P INPUT DROP
{ip} -A OUTPUT -o eth0 -j ACCEPT
{ip} -A OUTPUT -o tap0 -j ACCEPT
{ip} -A OUTPUT -j REJECT
"""


def another_card(link: str) -> None:
    """Give the host one more card, and have it forward what comes from there by itself."""
    side(link, "10.5.0", "fd00:5")
    says_in("beyond", "ip", "route", "add", "10.5.0.0/24", "via", HOST4)
    says_in("beyond", "ip", "route", "add", "fd00:5::/64", "via", HOST6)
    set_sysctl("net.ipv4.ip_forward", "1")
    set_sysctl("net.ipv6.conf.all.forwarding", "1")


def others_are_as_ever() -> None:
    """Demand that what rules of others accept gets out, and no mail of the lab's does."""
    assert pings("side", WEB4)
    assert pings("side", WEB6)
    with server("beyond", 25):
        assert ask("web", WEB4, 25, timeout=MISSED) == ""
        assert ask("web", WEB6, 25, timeout=MISSED) == ""


@pytest.mark.parametrize("flavour", ["nft", "legacy"])
@pytest.mark.needs("iptables", "iptables-legacy")
@on_a_firewalled_host()
def test_a_bare_chain_gets_its_exceptions_by_its_own_iptables(flavour: str) -> None:
    """A strict host lets a lab through; a reload of its rules is noticed and mended.

    What its rules accept and drop is as ever, and `down` leaves no rule.
    """
    another_card("tap0")
    for word in ("iptables", "ip6tables"):
        says("sh", "-ec", STRICT.format(ip=f"{word}-{flavour}"))
    iptables, save = f"iptables-{flavour}", f"iptables-{flavour}-save"
    before, text = saved(save, f"ip6tables-{flavour}-save"), says(save)
    with Warm() as netloom:
        assert owners(netloom("plan", "shop.yaml")["stdout"]) == {iptables}
        up(netloom)
        assert "nothing to do" in netloom("up", "shop.yaml")["stdout"]

        reaches(ALL, ALL)
        others_are_as_ever()
        netloom("exec", "web", "ping", "-c1", "-W1", "10.100.0.1")
        assert '--comment "netloom:shop"' in says(iptables, "-S")
        lines = saved(save)
        ours = [line for line in lines if "-A FORWARD" in line and "netloom" in line]
        mail = "-A FORWARD -o eth0 -p tcp -m tcp --dport 25 -j DROP"
        assert lines.index(mail) < lines.index(ours[0])

        ran(f"iptables-{flavour}-restore", stdin=text)
        assert len(missed(netloom)) == sum("netloom" in line for line in lines)
        reaches(NONE, ALL)
        up(netloom)
        reaches(ALL, ALL)

        netloom("down", "shop.yaml")
    assert saved(save, f"ip6tables-{flavour}-save") == before


@pytest.mark.needs("iptables", "iptables-legacy")
@on_a_firewalled_host()
def test_both_flavours_may_drop_at_once() -> None:
    """Each flavour's chain is traversed, so each gets exceptions; `plan` shows what, and why."""
    write("shop.yaml", SHOP4.replace(', publish: "8080:80"', ""))
    says("iptables-nft", "-P", "FORWARD", "DROP")
    says("iptables-legacy", "-P", "FORWARD", "DROP")
    with Warm() as netloom, no_trace():
        told = netloom("plan", "shop.yaml")["stdout"].partition("host:\n")[2].splitlines()
        replies = "-i eth0 -o lan -d 10.100.0.0/24 -m conntrack --ctstate RELATED,ESTABLISHED"
        comment = "-m comment --comment netloom:shop -j ACCEPT"
        assert [line for line in told if "exception" in line] == [
            f"  + exception host {tool}: {tool} -w -t filter -A FORWARD {flow} {comment}"
            f"  # else it drops {dropped}"
            for tool in ("iptables-legacy", "iptables-nft")
            for flow, dropped in (
                (replies, "replies, eth0 to lan"),
                ("-i lan -o eth0 -s 10.100.0.0/24", "lan to eth0"),
            )
        ]
        up(netloom)
        reaches(OPEN._replace(published=False, back=False))
        netloom("down", "shop.yaml")


NATIVE = """
table inet filter
delete table inet filter
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
table ip early
delete table ip early
table ip early {
  chain forward { type filter hook forward priority -50; policy drop;
    iifname "wg0" accept
    oifname "wg0" accept
  }
}
table inet asleep
delete table inet asleep
table inet asleep {
  flags dormant
  chain forward { type filter hook forward priority -60; policy drop;
  }
}
"""


@on_a_firewalled_host()
def test_a_chain_of_nftables_gets_single_rules() -> None:
    """Every chain that drops gets its rules, by comment and handle, after what is dropped before.

    IPv6 does not meet a table of the family `ip`, and a table that is dormant drops nothing. A
    reload of the tables' file takes them away. What is not the lab's is as ever.
    """
    another_card("wg0")
    ran("nft", "-f", "-", stdin=NATIVE)
    before = ruleset()
    with Warm() as netloom:
        found = planned(netloom)
        assert {line.partition(":")[0] for line in found} == {
            "nft table inet filter",
            "nft table ip early",
        }
        assert not any("ip6" in line for line in found if "ip early" in line)
        assert not any("ct state" in line for line in found if "inet filter" in line)
        up(netloom)

        reaches(ALL, ALL)
        others_are_as_ever()
        rest = says("nft", "list", "chain", "inet", "filter", "rest")
        assert rest.index("mark") < rest.index("netloom:shop") < rest.index("reject")

        ran("nft", "-f", "-", stdin=NATIVE)
        assert len(missed(netloom)) == len(found)
        reaches(NONE, NONE)
        up(netloom)
        reaches(ALL, ALL)

        netloom("down", "shop.yaml")
    assert ruleset() == before


@pytest.mark.needs("iptables")
@on_a_firewalled_host()
def test_exceptions_stay_needed_after_an_undo_and_go_when_all_else_is_forgotten() -> None:
    """What `undo` goes back to is opened for as the walls are now, above a drop put in front.

    ufw, and whoever saves his rules, keeps exceptions over a reboot: `down` finds them there.
    """
    write("shop.yaml", SHOP4)
    says("iptables-nft", "-P", "FORWARD", "DROP")
    with Warm() as netloom:
        netloom("up", "shop.yaml")
        says("iptables-nft", "-I", "FORWARD", "-j", "DROP")
        assert len(missed(netloom)) == 10  # each closed where it is, and opened above
        up(netloom)
        netloom("undo", "shop")
        netloom("verify", "shop.yaml")
        reaches(OPEN)

        rules = says("iptables-nft-save")
        netloom("down", "shop.yaml")
        without = saved("iptables-nft-save")
        ran("iptables-nft-restore", stdin=rules)
        netloom("down", "shop.yaml")
        assert saved("iptables-nft-save") == without


OWNED = """add table inet owned {
  flags owner
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
}
"""


@on_a_firewalled_host()
def test_a_table_that_its_owner_keeps_is_told_beforehand() -> None:
    """A table of a running process cannot be changed by others: that is said before any step."""
    with Nft() as nft, Warm() as netloom:
        nft.run(OWNED)
        with no_trace():
            said = netloom("up", "shop.yaml", status=2)["stderr"]
    assert "`inet owned` drops what must pass, and only its owner may change it" in said
    assert said.endswith("nothing was touched\n")


REFUSES = """#!/bin/sh
case "$*" in *"-i lan -o eth0"*) echo "iptables: no such luck" >&2; exit 4;; esac
exec /usr/sbin/iptables-nft "$@"
"""


@pytest.mark.needs("iptables")
@on_a_firewalled_host()
def test_a_refusal_is_told_in_the_words_of_the_tool_and_all_is_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was opened before is closed again, and the rest of the lab goes, too."""
    says("iptables-nft", "-P", "FORWARD", "DROP")
    tool = write("iptables-nft", REFUSES)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path.cwd()}:{os.environ['PATH']}")
    with Warm() as netloom, no_trace():
        said = netloom("up", "shop.yaml", status=1)["stderr"]
    assert "iptables: no such luck" in said
    assert "-A FORWARD -i lan -o eth0" in said
    assert exceptions(said) != []
