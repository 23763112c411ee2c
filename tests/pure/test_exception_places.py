"""Which packets must pass, whose firewall has a word for them, and which rules are exceptions."""

import pytest
from msgspec.structs import replace

from netloom.model.firewall import (
    DNS,
    BridgeNeed,
    DnatTarget,
    FirewallChain,
    FirewallException,
    FirewallRule,
    FirewallState,
    FirewallTable,
    ForwardNeed,
    Match,
    Service,
    Traffic,
    UfwRule,
)
from netloom.model.objects import NetnsState
from netloom.plan.exception_commands import closing, opening
from netloom.plan.firewall_exceptions import (
    exceptions,
    flow_of,
    flows,
    missing,
    place,
    said_to_ufw,
    standing,
    there,
    zone_of,
)
from netloom.plan.host_steps import claim
from netloom.plan.steps import ClaimAdd, ExceptionAdd

WEB, NAMES = DnatTarget("10.1.0.2", "tcp", 80), DnatTarget("fd00::2", "udp", 53)
NET = ForwardNeed("red", "lan", "eth0", ("10.1.0.0/24", "fd00::/64"), (WEB, NAMES), DNS[:1])
MARK, DROP = "netloom:red", FirewallRule("drop")


def test_what_a_network_with_a_way_out_must_have() -> None:
    """Out and back, published ports from both sides and back, the host's names and ICMP."""
    assert set(flows(NET)) == {
        # IPv4
        Traffic(4, iif="lan", oif="eth0", src="10.1.0.0/24"),
        Traffic(4, iif="eth0", oif="lan", dst="10.1.0.0/24", established=True),
        Traffic(4, iif="eth0", oif="lan", dst="10.1.0.2/32", proto="tcp", port=80),
        Traffic(4, iif="lan", oif="lan", dst="10.1.0.2/32", proto="tcp", port=80),
        Traffic(4, iif="lan", oif="lan", dst="10.1.0.0/24", established=True),
        Traffic(4, iif="lan", src="10.1.0.0/24", established=True),
        Traffic(4, iif="lan", src="10.1.0.0/24", proto="icmp"),
        Traffic(4, iif="lan", src="10.1.0.0/24", proto="udp", port=53),
        Traffic(4, oif="lan", dst="10.1.0.0/24"),
        # IPv6, whose neighbours ask from link-local addresses
        Traffic(6, iif="lan", oif="eth0", src="fd00::/64"),
        Traffic(6, iif="eth0", oif="lan", dst="fd00::/64", established=True),
        Traffic(6, iif="eth0", oif="lan", dst="fd00::2/128", proto="udp", port=53),
        Traffic(6, iif="lan", oif="lan", dst="fd00::2/128", proto="udp", port=53),
        Traffic(6, iif="lan", oif="lan", dst="fd00::/64", established=True),
        Traffic(6, iif="lan", src="fd00::/64", established=True),
        Traffic(6, iif="lan", proto="ipv6-icmp"),
        Traffic(6, iif="lan", src="fd00::/64", proto="udp", port=53),
        Traffic(6, oif="lan", dst="fd00::/64"),
        Traffic(6, oif="lan", proto="ipv6-icmp"),
    }


def test_what_crosses_a_bridge() -> None:
    """Only in the families that are seen there; the neighbours of IPv6 with them."""
    own, four = BridgeNeed("red", "br0"), BridgeNeed("red", "br0", ("10.1.0.2",))
    both = BridgeNeed("red", "br0", ("10.1.0.2", "fd00::2"))
    cross = Traffic(4, iif="br0", oif="br0")
    one = {replace(cross, src="10.1.0.2/32"), replace(cross, dst="10.1.0.2/32")}
    six = replace(cross, family=6)

    assert flows(own) == ()
    assert flows(own, {6, 4}) == (cross, six)
    assert set(flows(four, {4, 6})) == set(flows(four, {4})) == one
    assert set(flows(both, {4})) == one
    assert set(flows(both, {6})) == {
        *(replace(six, src="fd00::2/128"), replace(six, dst="fd00::2/128")),
        replace(six, proto="ipv6-icmp"),
    }


# ── whose it is ───────────────────────────────────────────────────────────────────────────────────

BASES = {
    "FORWARD": FirewallChain((), "forward", 0, "drop"),
    "INPUT": FirewallChain((), "input", 0, "drop"),
    "OUTPUT": FirewallChain((), "output", 0, "accept"),
}


def table(name: str = "filter", **chains: FirewallChain) -> FirewallTable:
    """Return a table of iptables with these chains beside those that drop by their policies."""
    named = {key.replace("_", "-"): chain for key, chain in chains.items()}
    return FirewallTable("iptables-nft", 4, name, {**BASES, **named})


def test_a_table_that_sees_other_packets_needs_nothing() -> None:
    """One of another family, one of our own, a chain of another hook."""
    wanted = exceptions(FirewallState((table(),)), NET)

    assert wanted
    assert {each.flow.family for each in wanted} == {4}
    assert {each.chain for each in wanted} == {"FORWARD", "INPUT"}
    assert exceptions(FirewallState((replace(table(), name="inet netloom-blue"),)), NET) == ()
    both = exceptions(FirewallState((replace(table(), family=0, tool="nft", name="inet f"),)), NET)
    assert {each.flow.family for each in both} == {4, 6}


def test_ufw_is_asked_for_what_it_has_words_for() -> None:
    """Where its chains drop, or the policy above them; neither for ICMP nor for replies."""
    ufw = table(ufw_before_forward=FirewallChain())
    wanted = exceptions(FirewallState((ufw,)), NET)
    asked = [each for each in flows(NET) if each.family == 4 and each.iif]
    words = {each for each in asked if not each.established and each.proto != "icmp"}

    assert {(each.tool, each.table, each.chain) for each in wanted} == {("ufw", "", "")}
    assert {each.flow for each in wanted} == words
    mine = replace(BASES["FORWARD"], rules=(DROP,))
    assert {each.tool for each in exceptions(FirewallState((table(FORWARD=mine),)), NET)} == {
        "iptables-nft"
    }
    beside = table(
        FORWARD=mine, ufw_before_forward=FirewallChain(), INPUT=FirewallChain((), "input")
    )
    assert {each.tool for each in exceptions(FirewallState((beside,)), NET)} == {"iptables-nft"}
    within = table(
        FORWARD=FirewallChain((FirewallRule("jump", "ufw6-reject"),), "forward"),
        INPUT=FirewallChain((), "input"),
        ufw6_before_forward=FirewallChain(),
        ufw6_reject=FirewallChain((DROP,)),
    )
    assert {each.tool for each in exceptions(FirewallState((within,)), NET)} == {"ufw"}


def test_firewalld_is_asked_for_an_interface() -> None:
    """Once, and into the narrower of its zones, if that opens enough; never for a bridge."""
    inet = FirewallTable("nft", 0, "inet firewalld", BASES)
    mine = Traffic(0, iif="lan")

    def zones(
        firewall: FirewallState, through: ForwardNeed | BridgeNeed = NET
    ) -> list[tuple[str, str, Traffic]]:
        return [(each.tool, each.chain, each.flow) for each in exceptions(firewall, through)]

    assert zones(FirewallState((inet,))) == [("firewall-cmd", "trusted", mine)]
    both = FirewallState((inet,), zones=frozenset({"nm-shared", "trusted"}))
    assert zones(both) == [("firewall-cmd", "nm-shared", mine)]
    assert zones(both, replace(NET, services=(Service("udp", 67), Service("tcp", 22)))) == zones(
        both
    )
    more = replace(NET, services=(Service("tcp", 80),))
    assert zones(both, more) == [("firewall-cmd", "trusted", mine)]
    filled = {**BASES, "INPUT_ZONES": FirewallChain()}
    old = FirewallTable("iptables-legacy", 4, "filter", filled)
    assert zones(FirewallState((old,))) == [("firewall-cmd", "trusted", mine)]
    assert zones(replace(both, bridged=frozenset({4, 6})), BridgeNeed("red", "br0")) == []


# ── what is there ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("target", "iif", "zone"),
    [
        ("filter_IN_trusted", ("lan",), "trusted"),
        ("FWDI_nm-shared", ("lan",), "nm-shared"),
        ("IN_trusted", ("lan",), "trusted"),
        ("filter_IN_public", ("lan",), None),
        ("OUT_trusted", ("lan",), None),
        ("filter_IN_trusted", ("lan", "wan"), None),
        ("filter_IN_trusted", ("bound",), None),
        ("", ("lan",), None),
    ],
)
def test_a_zone_that_we_chose_is_told_by_its_rules(
    target: str, iif: tuple[str, ...], zone: str | None
) -> None:
    """By one interface and a chain of such a zone; not by its lasting configuration."""
    inet = FirewallTable("nft", 0, "inet firewalld", BASES)
    firewall = FirewallState((inet,), bound=frozenset({"bound"}))
    rule = FirewallRule("goto", target, (Match("iif", iif),))

    assert zone_of(firewall, inet, rule) == zone
    assert zone_of(firewall, replace(inet, name="inet filter"), rule) is None
    assert zone_of(firewall, inet, replace(rule, matches=(Match("oif", iif),))) is None
    assert zone_of(firewall, inet, replace(rule, matches=())) is None
    assert (
        zone_of(firewall, inet, replace(rule, matches=(*rule.matches, Match("proto", ())))) is None
    )


def test_an_interface_in_a_zone_is_an_exception_of_the_lab_whose_it_is() -> None:
    """Firewalld has no comments; of other interfaces nothing is said."""
    gate = FirewallRule("goto", "filter_FWD_trusted", (Match("iif", ("lan",)),))
    inet = FirewallTable("nft", 0, "inet firewalld", {"zones": FirewallChain((gate,))})
    mine = FirewallException("firewall-cmd", "", "trusted", Traffic(0, iif="lan"), MARK)

    assert there(FirewallState((inet,)), "red", ("lan", "wan")) == (mine,)
    assert (
        there(FirewallState((inet,)), "red", ("wan",)) == there(FirewallState((inet,)), "red") == ()
    )


@pytest.mark.parametrize(
    ("family", "said", "flow"),
    [
        (4, {"iif": ("lan",), "oif": ("eth0",)}, Traffic(4, iif="lan", oif="eth0")),
        (6, {"src": ("fd00::/64",)}, Traffic(6, src="fd00::/64")),
        (0, {"src": ("10.1.0.0/24",)}, Traffic(4, src="10.1.0.0/24")),
        (0, {"dst": ("fd00::/64",)}, Traffic(6, dst="fd00::/64")),
        (0, {"family": ("6",), "iif": ("lan",)}, Traffic(6, iif="lan")),
        (0, {"family": ("4",), "iif": ("lan",)}, Traffic(4, iif="lan")),
        (0, {"proto": ("ipv6-icmp",)}, Traffic(6, proto="ipv6-icmp")),
        (4, {"proto": ("tcp",), "dport": ("80",)}, Traffic(4, proto="tcp", port=80)),
        (4, {"dport": ("80-90",), "proto": ("tcp", "udp")}, Traffic(4)),
        (4, {"state": ("related", "established")}, Traffic(4, established=True)),
        (4, {"state": ("new", "related", "established")}, Traffic(4)),
    ],
)
def test_what_a_rule_speaks_of(
    family: int, said: dict[str, tuple[str, ...]], flow: Traffic
) -> None:
    """As far as a flow can say it."""
    matches = tuple(Match(key, values) for key, values in said.items())

    assert flow_of(FirewallRule("accept", matches=matches), family) == flow
    negated = tuple(replace(match, negated=True) for match in matches)
    assert flow_of(FirewallRule("accept", matches=negated), 4) == Traffic(4)


def test_a_rule_of_ufw_is_ours_if_its_files_say_so() -> None:
    """It stands in a chain of the user's, and has no comment there."""
    flow = Traffic(4, iif="lan", oif="eth0", src="10.1.0.0/24")
    said = (Match("iif", ("lan",)), Match("oif", ("eth0",)), Match("src", ("10.1.0.0/24",)))
    user = FirewallChain((FirewallRule("accept", matches=said),))
    base = FirewallChain((FirewallRule("jump", "ufw-user-forward"),), "forward", 0, "drop")
    ufw = table(FORWARD=base, ufw_user_forward=user, ufw_before_forward=FirewallChain())
    mine = FirewallException("ufw", "", "", flow, MARK)

    ours, theirs = (
        FirewallState((ufw,), ufw=(UfwRule(MARK, flow),)),
        FirewallState((ufw,), ufw=(UfwRule("x", flow),)),
    )

    assert mine in exceptions(ours, NET)
    assert mine not in exceptions(theirs, NET)
    assert mine not in exceptions(FirewallState((ufw,)), NET)
    assert there(ours, "red") == (mine,)
    assert there(theirs, "red") == there(ours, "blue") == ()
    assert said_to_ufw(Traffic(4, iif="lan")) == Traffic(0, iif="lan")
    assert said_to_ufw(flow) == flow


# ── where it stands, and by which words ───────────────────────────────────────────────────────────


def test_where_an_exception_goes() -> None:
    """Before the rule that drops, be it the first, else at the end; nowhere without its chain."""
    out = Traffic(4, iif="lan", oif="eth0", src="10.1.0.0/24")
    wanted = FirewallException("iptables-nft", "filter", "FORWARD", out, MARK)

    def firewall(*rules: FirewallRule) -> FirewallState:
        return FirewallState((table(FORWARD=FirewallChain(rules, "forward")),))

    assert place(firewall(), wanted) == (0, None)
    assert place(firewall(DROP), wanted) == (1, DROP)
    assert place(firewall(FirewallRule(""), DROP), wanted) == (2, DROP)
    assert place(firewall(DROP), replace(wanted, chain="NONE")) is None
    assert place(firewall(DROP), replace(wanted, tool="iptables-legacy")) is None
    assert place(firewall(DROP), replace(wanted, table="mangle")) is None
    six = replace(table(FORWARD=FirewallChain((DROP, DROP), "forward")), family=6)
    assert place(FirewallState((six, *firewall(DROP).tables)), wanted) == (1, DROP)
    assert place(FirewallState((six,)), wanted) is None


def test_an_exception_behind_a_drop_is_told_and_missing() -> None:
    """The first rule or the second, the drop decides."""
    out = Traffic(4, iif="lan", oif="eth0", src="10.1.0.0/24")
    said = (Match("iif", ("lan",)), Match("oif", ("eth0",)), Match("src", ("10.1.0.0/24",)))
    mine = FirewallRule("accept", matches=said, comment=MARK)
    wanted = FirewallException("iptables-nft", "filter", "FORWARD", out, MARK)

    def found(*rules: FirewallRule) -> tuple[FirewallException, ...]:
        return there(FirewallState((table(FORWARD=FirewallChain(rules, "forward")),)), "red")

    assert found(mine, DROP) == (wanted,)
    assert found(DROP, mine) == (replace(wanted, behind=True),)
    assert found(FirewallRule(""), DROP, mine) == (replace(wanted, behind=True),)
    assert missing((wanted,), found(mine, DROP)) == ()
    assert missing((wanted,), found(DROP, mine)) == (wanted,)
    firewall = FirewallState((table(FORWARD=FirewallChain((mine, DROP, mine), "forward")),))
    assert standing(firewall, wanted) == (mine, mine)
    assert standing(firewall, replace(wanted, chain="INPUT")) == ()
    assert standing(firewall, replace(wanted, chain="NONE")) == ()
    assert standing(firewall, replace(wanted, comment="netloom:blue")) == ()


def test_a_plan_has_the_command_for_the_place() -> None:
    """By its number for iptables, by its handle for nft; exceptions come before forwarding does."""
    out = Traffic(4, iif="lan", oif="eth0", src="10.1.0.0/24")
    drop = FirewallRule("drop", place="7")
    chains = {"FORWARD": FirewallChain((FirewallRule(""), drop), "forward")}
    firewall = FirewallState(
        (
            FirewallTable("iptables-nft", 4, "filter", chains),
            FirewallTable("nft", 0, "inet f", chains),
        )
    )
    one = FirewallException("iptables-nft", "filter", "FORWARD", out, MARK)
    two = frozenset({one, replace(one, tool="nft", table="inet f")})
    claims = {"net.ipv4.conf.eth0.forwarding": "1", "net.ipv6.conf.eth0.accept_ra": "2"}
    want = NetnsState(exceptions=two, claims=claims)

    steps = [*claim(want, NetnsState(), firewall)]

    assert [type(step) for step in steps] == [ExceptionAdd, ExceptionAdd, ClaimAdd, ClaimAdd]
    assert [step.key for step in steps if isinstance(step, ClaimAdd)] == [*sorted(claims)][::-1]
    commands = [" ".join(step.command) for step in steps if isinstance(step, ExceptionAdd)]
    assert commands[0].startswith("iptables-nft -w -t filter -I FORWARD 2 -i lan -o eth0")
    assert commands[1].startswith('nft insert rule inet f FORWARD handle 7 iifname "lan"')
    blind = [step for step in claim(want, NetnsState(), None) if isinstance(step, ExceptionAdd)]
    assert [each.command[4:6] for each in blind] == [("-A", "FORWARD"), ("f", "FORWARD")]
    assert [*claim(want, want, firewall)] == []


@pytest.mark.parametrize(
    ("table_name", "flow", "words"),
    [
        ("inet f", Traffic(4, iif="lan"), 'meta nfproto ipv4 iifname "lan"'),
        ("inet f", Traffic(6, iif="lan", proto="ipv6-icmp"), 'iifname "lan" meta l4proto 58'),
        ("ip f", Traffic(4, oif="lan"), 'oifname "lan"'),
        ("ip f", Traffic(4, proto="icmp"), "meta l4proto 1"),
        (
            "inet f",
            Traffic(6, src="fd00::/64", proto="udp"),
            "ip6 saddr fd00::/64 meta l4proto udp",
        ),
        (
            "ip f",
            Traffic(4, dst="10.0.0.1/32", proto="tcp", port=80),
            "ip daddr 10.0.0.1/32 tcp dport 80",
        ),
        ("ip f", Traffic(4, established=True), "ct state established,related"),
    ],
)
def test_the_words_of_nft(table_name: str, flow: Traffic, words: str) -> None:
    """A table of both families is told which one is meant, unless something else says it."""
    exception = FirewallException("nft", table_name, "c", flow, MARK)

    assert " ".join(opening(exception)) == (
        f'nft add rule {table_name} c {words} accept comment "{MARK}"'
    )


def test_an_exception_is_closed_by_what_it_is() -> None:
    """The rule as iptables saved it, or nft's handle; where it is not seen, the words again."""
    out = Traffic(6, iif="lan", oif="eth0", src="fd00::/64")
    nft = FirewallException("nft", "ip6 f", "c", out, MARK)
    xtables = FirewallException("iptables-legacy", "filter", "FORWARD", out, MARK)
    rule = FirewallRule("accept", place="-A FORWARD -i lan -m comment --comment 'a b'")

    assert closing(nft, FirewallRule("accept", place="9"))[-2:] == ("handle", "9")
    assert closing(nft)[-2:] == ("handle", "HANDLE")
    told = closing(xtables, rule)
    assert told == (
        *("ip6tables-legacy", "-w", "-t", "filter", "-D", "FORWARD"),
        *("-i", "lan", "-m", "comment", "--comment", "a b"),
    )
    blind = " ".join(closing(xtables))
    assert blind.startswith("ip6tables-legacy -w -t filter -D FORWARD -i lan -o eth0 -s fd00::/64")
    assert blind.endswith(f"-m comment --comment {MARK} -j ACCEPT")
