"""Rulesets of a lab: what is predicted is what is listed, and nothing else is touched."""

import json
import os
import shutil
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netloom.errors import Unavailable
from netloom.host.firewall.rulesets import (
    Ruleset,
    Rulesets,
    RulesetText,
    canonical,
    dry_run,
    key_of,
    outside,
)
from netloom.kernel.iptables import CHAINS, IptablesError, completed, restore
from netloom.kernel.iptables import canonical as canonical_iptables
from netloom.kernel.nft import NftError, Wrong
from netloom.model.marks import nft_text
from tests.hosts.machine import on_a_machine
from tests.hosts.programs import ran, says

pytestmark = pytest.mark.needs("nft")

OURS = "inet netloom-red"
FILTER = """
chain input {
  type filter hook input priority 0; policy accept
  tcp dport { 443, 80, 22 } counter accept
  ct state established,related accept
  iif eth0 drop
  ip saddr @known log prefix "no } and # here" counter name hits
}
set known { type ipv4_addr; elements = { 10.0.0.2, 10.0.0.1 }
}
set recent { type ipv4_addr; flags dynamic,timeout; timeout 1h; elements = { 10.0.0.9 }
}
counter hits { packets 5 bytes 7
}
"""
FOREIGN = """
table ip theirs {
  set s { type ipv4_addr; elements = { 192.0.2.1 }
  }
  chain forward { type filter hook forward priority 0; policy drop; ip saddr @s accept
  }
}
"""
BREAKING = """chain c { accept
}
map m { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 1.1.1.1-1.1.1.9 }
}
map m { type ipv4_addr : verdict; flags interval; elements = { 10.0.0.0/8 : drop }
}
set i { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 1-5 }
}"""
"""A mistake in line 3, over which libnftables 1.0.6 dies."""

needs_iptables = pytest.mark.skipif(
    not shutil.which("iptables-nft-restore"), reason="needs iptables: apt-get install iptables"
)


def tables() -> list[tuple[str, str]]:
    """Return the tables that `nft -j` sees."""
    things = json.loads(says("nft", "-j", "list", "tables"))["nftables"]
    found = [each["table"] for each in things if "table" in each]
    return [(each["family"], each["name"]) for each in found]


def body(text: str) -> RulesetText:
    """Return the body of a lab's table."""
    return RulesetText("nft", text)


def put(text: str) -> None:
    """Make a body the table of the lab `red` here."""
    with Rulesets("red") as rulesets:
        rulesets.put(body(text))


def seen() -> dict[str, Ruleset]:
    """Return what there is here of the lab `red`."""
    with Rulesets("red") as rulesets:
        return rulesets.observe()


def predicted(text: str, *links: str) -> Any:
    """Return what a body comes to, in the lab `red`."""
    return dry_run("red", [body(text)], links)[body(text)]


def wrong(text: str, *links: str) -> tuple[Wrong, ...]:
    """Return the mistakes of a body."""
    found = predicted(text, *links)
    assert not isinstance(found, Ruleset), found
    return found


@on_a_machine
def test_what_is_predicted_is_what_is_listed() -> None:
    """Before anything is touched, and again after it was put there a second time."""
    told = predicted(FILTER, "eth0")
    assert tables() == []
    says("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far")
    put(FILTER)
    once = seen()
    put(FILTER)

    assert once == seen() == {OURS: told}
    assert tables() == [("inet", "netloom-red")]


@on_a_machine
def test_a_table_that_a_script_made_is_ours() -> None:
    """What a plan is printed as puts the same table there."""
    rules = FILTER.replace("iif eth0 drop", "")
    ran("nft", "-f", "-", stdin=nft_text(OURS, rules))

    assert seen() == {OURS: predicted(rules)}


@on_a_machine
def test_a_listing_is_without_what_changes_by_itself() -> None:
    """Packets count, sets fill: the listing stays."""
    put(
        "chain out { type filter hook output priority 0; counter name n; counter\n"
        "  ip daddr 127.0.0.1 update @seen { ip daddr } update @for_an_hour { ip daddr }\n}\n"
        "counter n {\n}\n set seen { type ipv4_addr; flags dynamic\n}\n"
        "set for_an_hour { type ipv4_addr; flags dynamic; timeout 1h\n}\n"
    )
    before = seen()
    says("ip", "link", "set", "lo", "up")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.sendto(b"!", ("127.0.0.1", 7))

    assert "127.0.0.1" in says("nft", "list", "set", "inet", "netloom-red", "seen")
    assert "packets 0" not in says("nft", "list", "table", "inet", "netloom-red")
    assert seen() == before


@on_a_machine
def test_packets_are_judged_by_it() -> None:
    """A packet that the table drops on its way out is refused to its sender."""
    says("ip", "link", "set", "lo", "up")
    put("chain out { type filter hook output priority 0; udp dport 9 drop\n}")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        with pytest.raises(PermissionError):
            sender.sendto(b"!", ("127.0.0.1", 9))
        sender.sendto(b"!", ("127.0.0.1", 10))
        with Rulesets("red") as rulesets:
            rulesets.remove("nft")
        sender.sendto(b"!", ("127.0.0.1", 9))


@on_a_machine
def test_another_body_takes_the_place_of_the_first() -> None:
    """Sets of the same names and other types, too; nothing of the first is left."""
    put("set a { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }\n}\nchain b {\n}\n")
    put("set a { type inet_service; elements = { 22 }\n}\n")

    assert seen() == {OURS: predicted("set a { type inet_service; elements = { 22 }\n}\n")}
    assert "10.0.0.0" not in says("nft", "list", "ruleset")


@on_a_machine
def test_a_body_that_is_refused_leaves_the_first_in_place() -> None:
    """A transaction is done as a whole, or not at all."""
    put(FILTER.replace("iif eth0 drop", ""))
    before = seen()
    with pytest.raises(NftError) as refusal:
        put("chain input {\n accept\n}\nchain other {\n jump nowhere\n}")

    assert refusal.value.wrong[0][:3] == (5, 7, 7)
    assert seen() == before


@on_a_machine
def test_a_table_of_somebody_else_stays() -> None:
    """It bears the lab's name and not its mark: neither replaced nor removed."""
    says("nft", "add", "table", "inet", "netloom-red", '{ comment "mine"; }')
    with Rulesets("red") as rulesets:
        with pytest.raises(Unavailable, match="nft delete table inet netloom-red"):
            rulesets.put(body("chain c {\n}"))
        with pytest.raises(Unavailable):
            rulesets.remove("nft")

    assert [each.ours for each in seen().values()] == [False]
    assert "mine" in says("nft", "list", "ruleset")


@on_a_machine
def test_removal_takes_our_table_alone() -> None:
    """Tables of others stay as they are; a second removal is no harm."""
    ran("nft", "-f", "-", stdin=FOREIGN)
    before = says("nft", "list", "ruleset")
    with Rulesets("red") as rulesets:
        rulesets.put(body("chain c {\n}"))
        rulesets.remove("nft")
        rulesets.remove("nft")

    assert says("nft", "list", "ruleset") == before


@on_a_machine
@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("}", (1, 1, 1), "would end the lab's own table"),
        ("chain a {\n}\n}\nflush ruleset\ntable ip x {", (3, 1, 1), "would end"),
        ("chain a {", (1, 9, 1), "never closed"),
        ('chain a { comment "x }', (1, 19, 1), "this quote is never closed"),
        ('include "/etc/hosts"', (1, 1, 7), "no file can be included"),
        ("chain é { foo\n}", (1, 7, 1), "junk"),
        ("# }\nchain a {\n  accept; tcp dport nosuch accept\n}", (3, 21, 6), "resolve service"),
        ('comment "mine"', (1, 1, 14), "only specify this once"),
        ("flags owner", (1, 7, 5), "goes with the process that made it"),
        ("chain a {\n iif eth7 accept\n}", (2, 6, 4), "Interface does not exist"),
        ("chain a { ip saddr localhost accept\n}", (1, 20, 9), "names of hosts are not looked up"),
        ("chain a { ip6 saddr 10.0.0.1 accept\n}", (1, 21, 8), "Address family"),
        (BREAKING, (3, 23, 1), "syntax error"),
    ],
)
def test_a_mistake_is_told_where_it_stands_in_the_body(
    text: str, place: tuple[int, int, int], message: str
) -> None:
    """Line, column and length, in the text of its author."""
    found = {each[:3]: each.message for each in wrong(text, "eth0")}

    assert message in found[place]


@on_a_machine
def test_flags_of_a_table_are_its_authors() -> None:
    """A table that sleeps is listed as one; the library's JSON has no words for it."""
    put("flags dormant\nchain c { type filter hook input priority 0\n}")

    assert seen() == {
        OURS: predicted("flags dormant\nchain c { type filter hook input priority 0\n}")
    }
    assert "\tflags dormant\n" in seen()[OURS].listing


@on_a_machine
def test_many_texts_are_predicted_apart() -> None:
    """One text does not see another's sets, nor its mistakes."""
    first, second = body("set s { type ipv4_addr\n}"), body("chain c { ip saddr @s accept\n}")
    told = dry_run("red", [first, second, first])

    assert isinstance(told[first], Ruleset)
    assert not isinstance(told[second], Ruleset)


@on_a_machine
def test_every_lab_has_a_table_of_its_own() -> None:
    """Names that nft has no words for, too."""
    labs = ["red", "a.b-c_d", "blå", "x" * 255, "netloom", "0"]
    for lab in labs:
        with Rulesets(lab) as rulesets:
            rulesets.put(body("chain c {\n}"))
    seen = {}
    for lab in labs:
        with Rulesets(lab) as rulesets:
            seen[lab] = rulesets.observe()
    keys = {key_of(lab, "nft") for lab in labs}

    assert len(keys) == len(labs) == len(tables())
    assert all(set(seen[lab]) <= keys for lab in labs)
    assert all(seen[lab][key_of(lab, "nft")].ours for lab in labs)


WORDS = st.sampled_from(
    [
        *"{}{};\n\n\"#\\,=@$'",
        *("chain c {", "chain d { type filter hook input priority 0", "set s { type ipv4_addr"),
        *("map m { type ipv4_addr : verdict", "elements = {", "10.0.0.0/8", "flags interval"),
        *("ip saddr @s", "accept", "jump c", "counter", "flags owner", "flags dormant", "eth0"),
        *("flush ruleset", "delete table ip theirs", "table ip theirs {", "add table ip other"),
        *('include "/etc/passwd"', 'comment "}"', "define x = 5", "tcp dport {22,", "iif", "é"),
    ]
)
BODIES = st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40)


@pytest.mark.needs("netns")
def test_whatever_the_body_only_our_table_is_touched() -> None:
    """Loaded, it is as predicted; or it has mistakes, with places in it. Others see nothing."""

    @on_a_machine
    def law() -> None:
        ran("nft", "-f", "-", stdin=FOREIGN)
        theirs = says("nft", "list", "ruleset")
        says("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far")

        @given(BODIES)
        @example("chain c {\n}\n}\nadd table ip theirs; delete table ip theirs\n{")
        def holds(text: str) -> None:
            told = predicted(text, "eth0")
            if isinstance(told, Ruleset):
                with Rulesets("red") as rulesets:
                    rulesets.put(body(text))
                    assert rulesets.observe() == {OURS: told}
            else:
                lines = [*text.split("\n"), ""]
                assert told
                assert all(0 <= each.column <= len(lines[each.line - 1]) + 1 for each in told)

        holds()
        with Rulesets("red") as rulesets:
            rulesets.remove("nft")
        assert says("nft", "list", "ruleset") == theirs

    law()


@given(st.text(alphabet='{}"#\nab ', max_size=30))
def test_what_stays_inside_closes_all_that_it_opens(text: str) -> None:
    """Without strings and comments, no prefix of it has more ends than beginnings."""
    if outside(text):
        return
    depth, quoted, comment = 0, False, False
    for each in text:
        quoted ^= each == '"' and not comment
        comment = (comment or (each == "#" and not quoted)) and each != "\n"
        if not quoted and not comment:
            depth += (each == "{") - (each == "}")
        assert depth >= 0
    assert depth == 0
    assert not quoted


def test_a_listing_loses_only_what_changes() -> None:
    """Words like those in strings, chains and other sets stay."""
    listing = (
        'table inet netloom-red { # handle 4\n\tcomment "# not"\n'
        "\tset a {\n\t\ttype ipv4_addr\n\t\tflags timeout\n"
        "\t\telements = { 10.0.0.1 timeout 1m,\n\t\t\t     10.0.0.2 }\n\t}\n\n"
        "\tset b {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1 }\n\t}\n\n"
        '\tchain c {\n\t\tlog prefix "flags timeout" # handle 7\n\t}\n}\n'
    )

    assert canonical(listing) == (
        'table inet netloom-red {\n\tcomment "# not"\n'
        "\tset a {\n\t\ttype ipv4_addr\n\t\tflags timeout\n\t}\n\n"
        "\tset b {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1 }\n\t}\n\n"
        '\tchain c {\n\t\tlog prefix "flags timeout"\n\t}\n}\n'
    )


IPTABLES = """# a comment
*filter
:INPUT DROP [12:34]
:mine - [0:0]
-A INPUT -p tcp --dport 22 -j mine
-A mine -s 10.0.0.0/8 -j ACCEPT
COMMIT
*mangle
-A PREROUTING -p udp -j MARK --set-mark 5
COMMIT
"""


@needs_iptables
@on_a_machine
@pytest.mark.parametrize("kind", ["iptables", "ip6tables"])
def test_what_is_predicted_of_iptables_is_what_is_saved(kind: Any) -> None:
    """The second text takes away all of the first: its tables, chains and policies."""
    first = RulesetText(
        kind, IPTABLES.replace("10.0.0.0/8", "2001:db8::/32" if "6" in kind else "10/8")
    )
    second = RulesetText(kind, "*nat\n-A POSTROUTING -j ACCEPT\nCOMMIT\n")
    told = dry_run("red", [first, second])
    assert tables() == []
    with Rulesets("red") as rulesets:
        for text in (first, first, second):
            rulesets.put(text)
            assert rulesets.observe() == {kind: told[text]}
        rulesets.remove(kind)
        assert rulesets.observe() == {}
    assert "POSTROUTING ACCEPT" in says(f"{kind}-nft-save")


@needs_iptables
@on_a_machine
def test_a_table_that_a_text_names_twice_is_what_it_says_at_last() -> None:
    """As `iptables-restore` has it, also where there was nothing before."""
    text = "*filter\n-A INPUT -j DROP\nCOMMIT\n*filter\n-A OUTPUT -j ACCEPT\nCOMMIT\n"
    Rulesets("red").put(RulesetText("iptables", text))
    once = seen()
    Rulesets("red").put(RulesetText("iptables", text))

    assert "DROP" not in once["iptables"].listing
    assert seen() == once


@needs_iptables
@on_a_machine
def test_rules_of_the_legacy_programs_are_told_too() -> None:
    """Where those are what a machine has; and they leave no lock behind in /run."""
    try:
        restore(IPTABLES, 4, "legacy")
    except (IptablesError, Unavailable) as error:
        pytest.skip(f"needs the legacy iptables of the kernel: {error}")
    text = seen()["iptables"].listing

    assert "-A INPUT -p tcp -m tcp --dport 22 -j mine" in text
    assert tables() == []
    Rulesets("red").remove("iptables")
    assert seen() == {}
    assert ":INPUT ACCEPT" in says("iptables-legacy-save")
    assert not os.path.exists("/run/xtables.lock")


@needs_iptables
@on_a_machine
@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("*filter\n-A INPUT --foo\nCOMMIT\n", 2, 'unknown option "--foo"'),
        ("*filter\n-A INPUT -j ACCEPT\n-A none -j ACCEPT\nCOMMIT\n", 3, "No chain/target"),
        ("*filter\n-A INPUT -j ACCEPT\n", 2, "COMMIT expected"),
        ("*filter\n-A INPUT -j NONE\n-A INPUT -j ACCEPT\nCOMMIT\n", 2, "Chain 'NONE' does not"),
        ("*none\nCOMMIT\n", 1, ""),
        ("hello\n", 1, ""),
    ],
)
def test_a_mistake_in_iptables_is_told_with_its_line(text: str, line: int, message: str) -> None:
    """In the text of its author, whatever was added to it; and nothing has changed."""
    told = dry_run("red", [RulesetText("iptables", text)])[RulesetText("iptables", text)]
    with pytest.raises(IptablesError):
        Rulesets("red").put(RulesetText("iptables", text))

    assert not isinstance(told, Ruleset)
    assert told[0].line == line
    assert message in told[0].message
    assert seen() == {}


@needs_iptables
@on_a_machine
@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("nft", "chain c {\n type filter hook input priority 0\n ip saddr db.example drop\n}", 3),
        ("iptables", "*filter\n-A INPUT -s db.example -j DROP\nCOMMIT\n", 2),
        ("ip6tables", "*filter\n-A INPUT -s db.example -j DROP\nCOMMIT\n", 2),
    ],
)
def test_nobody_is_asked_for_the_name_of_a_host(kind: Any, text: str, line: int) -> None:
    """No resolver hears of it, be it one behind a socket; nor does a hosts file say what it is."""
    Path("/etc/hosts").write_text("10.0.0.7 db.example\nfd00::7 db.example\n")
    Path("/run/nscd").mkdir()
    with socket.socket(socket.AF_UNIX) as nscd:
        nscd.bind("/run/nscd/socket")
        nscd.listen()
        nscd.settimeout(0)

        [told] = dry_run("red", [RulesetText(kind, text)]).values()

        with pytest.raises(BlockingIOError):
            nscd.accept()
    assert not isinstance(told, Ruleset)
    assert [(each.line, each.message) for each in told] == [
        (line, "names of hosts are not looked up: write an address")
    ]
    assert Path("/etc/hosts").read_text().startswith("10.0.0.7")
    assert Path("/run/nscd/socket").exists()


LINES = st.sampled_from(
    ["*filter", "*nat", ":INPUT DROP [0:0]", ":INPUT ACCEPT [1:2]", "-A INPUT", "COMMIT", "", "x"]
)


@given(st.lists(LINES), st.frozensets(st.sampled_from(sorted(CHAINS))))
def test_a_completed_text_keeps_its_lines_in_order(lines: list[str], there: frozenset[str]) -> None:
    """Each with its number; only those that say what is so from birth are blanked."""
    whole, numbers = completed("\n".join(lines), there)
    kept = [(n, line) for n, line in zip(numbers, whole.split("\n"), strict=False) if n]
    text = lines if "\n".join(lines) else []
    while text and not text[-1] and len(text) > len(kept):
        text = text[:-1]

    assert [n for n, _ in kept] == list(range(1, len(text) + 1))
    assert all(line in {text[n - 1], "#"} for n, line in kept)
    assert all("ACCEPT" in text[n - 1] for n, line in kept if line == "#")


def test_a_saved_text_loses_counters_and_tables_that_do_nothing() -> None:
    """And comments; its tables are in order."""
    saved = (
        "# Generated by iptables-save\n*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n# Completed\n"
        "*mangle\n:INPUT DROP [1:60]\nCOMMIT\n*filter\n:INPUT ACCEPT [5:6]\n:a - [0:0]\n"
        '[3:4] -A INPUT -m comment --comment "x [1:2]" -j a\nCOMMIT\n'
    )

    assert canonical_iptables(saved) == (
        '*filter\n:INPUT ACCEPT\n:a -\n-A INPUT -m comment --comment "x [1:2]" -j a\nCOMMIT\n'
        "*mangle\n:INPUT DROP\nCOMMIT\n"
    )
