"""What a plan looks like, to a person and to a shell."""

import subprocess
from pathlib import Path

import pytest

from netloom.compile.lower import lower
from netloom.language.parse import parse
from netloom.model.firewall import FirewallException, Traffic
from netloom.model.objects import (
    Addr,
    Borrowed,
    Bridge,
    Command,
    End,
    File,
    Link,
    Nexthop,
    Route,
    Rule,
    Veth,
)
from netloom.plan import steps
from netloom.plan.diff import diff, teardown
from netloom.render.script import commands, script
from netloom.render.text import line, plan_text
from tests.pure.worlds import bare, made

A, HERE = End("a", "eth0"), End("host", "a")
NEAR = Link(Veth(HERE), mac="02:00:00:00:00:01", mtu=1400, master="br0")
FAR = Link(Veth(A), mac="02:00:00:00:00:02", mtu=1500)
BRIDGE = Link(Bridge(stp=True), mac="02:00:00:00:00:03", mtu=1500)
HOPS = (Nexthop("eth0", "10.0.0.9"), Nexthop("eth1", "10.0.1.9", weight=2))
ROUTE = Route("0.0.0.0/0", HOPS, table=100, metric=5, src="10.0.0.1", mtu=1300)
PASSAGE = FirewallException(
    tool="iptables-nft",
    table="filter",
    chain="DOCKER-USER",
    flow=Traffic(family=4, iif="lan", oif="eth0"),
    comment="netloom:shop",
)
DIRECT = Route("10.9.0.0/16", (Nexthop("eth0"),))


def cmd(*parts: str) -> str:
    """Return one command, written in parts."""
    return " ".join(parts)


OPENED = cmd(
    "iptables-nft -w -t filter -A DOCKER-USER -i lan -o eth0 -m comment",
    "--comment netloom:shop -j ACCEPT",
)
CLOSED = OPENED.replace(" -A ", " -D ")

SAID: dict[str, tuple[steps.Step, list[str]]] = {
    "+ netns a": (
        steps.NetnsAdd("a", "netloom:lab/a"),
        ["ip netns add a", "ip -n a link set lo up alias netloom:lab/a"],
    ),
    "- netns a b": (steps.NetnsDel("a b"), ["ip netns del 'a b'"]),
    "- name a (left by an `up` that was killed)": (steps.NameDel("a"), ["rm /run/netns/a"]),
    "+ link a:eth0 = host:a on br0 mtu 1400": (
        steps.LinkAdd(A, NEAR, FAR),
        [
            cmd(
                "ip -n a link add name eth0 address 02:00:00:00:00:01 mtu 1400 type veth",
                "peer name a netns $$ address 02:00:00:00:00:02 mtu 1500",
            ),
            "ip -n a link set dev eth0 master br0",
        ],
    ),
    "+ link host:a (bridge)": (
        steps.LinkAdd(HERE, BRIDGE),
        [
            cmd(
                "ip link add name a address 02:00:00:00:00:03 mtu 1499 type bridge stp_state 1",
                "mcast_snooping 0",
            ),
            "ip link set dev a mtu 1500",
        ],
    ),
    "- link a:eth0": (steps.LinkDel(A), ["ip -n a link del dev eth0"]),
    "~ link a:eth0 up mtu 1300 address 02:00:00:00:00:09 nomaster marked with IPv6 link-local": (
        steps.LinkSet(
            A, up=True, mtu=1300, mac="02:00:00:00:00:09", master="", alias="m", ipv6_ll=True
        ),
        [
            cmd(
                "ip -n a link set dev eth0 mtu 1300 address 02:00:00:00:00:09 nomaster alias m",
                "addrgenmode eui64",
            ),
            "ip -n a link set dev eth0 up",
        ],
    ),
    "~ link host:a down master br0 without IPv6 link-local stp off": (
        steps.LinkSet(HERE, up=False, master="br0", ipv6_ll=False, kind=Bridge(stp=False)),
        [
            "ip link set dev a master br0 addrgenmode none",
            "ip link set dev a type bridge stp_state 0 mcast_snooping 0",
            "ip link set dev a down",
        ],
    ),
    "+ port host:eth2 of shop.sw": (
        steps.PortAdd(
            End("host", "eth2"), Link(Borrowed(), "", 0, master="shop.sw", alias="netloom:shop")
        ),
        ["ip link set dev eth2 up master shop.sw alias netloom:shop"],
    ),
    "- port host:eth2": (
        steps.PortDel(End("host", "eth2"), Borrowed(up=False, alias="to the bench")),
        ["ip link set dev eth2 down nomaster alias 'to the bench'"],
    ),
    "+ altname a:eth0 a-long-name-of-it": (
        steps.AltnameAdd(A, "a-long-name-of-it"),
        ["ip -n a link property add dev eth0 altname a-long-name-of-it"],
    ),
    "- altname a:eth0 old": (
        steps.AltnameDel(A, "old"),
        ["ip -n a link property del dev eth0 altname old"],
    ),
    "+ addr a:eth0 10.0.0.1/24": (
        steps.AddrAdd(A, Addr("10.0.0.1", 24)),
        ["ip -n a addr add 10.0.0.1/24 dev eth0"],
    ),
    "+ addr host:a fd00::1/64": (
        steps.AddrAdd(HERE, Addr("fd00::1", 64)),
        ["ip addr add fd00::1/64 dev a nodad"],
    ),
    "- addr a:eth0 10.0.0.1/24": (
        steps.AddrDel(A, Addr("10.0.0.1", 24)),
        ["ip -n a addr del 10.0.0.1/24 dev eth0"],
    ),
    "+ route a default src 10.0.0.1 table 100 metric 5 mtu 1300 "
    "nexthop via 10.0.0.9 dev eth0 weight 1 nexthop via 10.0.1.9 dev eth1 weight 2": (
        steps.RouteAdd("a", ROUTE),
        [
            cmd(
                "ip -n a -4 route add default src 10.0.0.1 table 100 metric 5 mtu 1300",
                "proto static nexthop via 10.0.0.9 dev eth0 weight 1",
                "nexthop via 10.0.1.9 dev eth1 weight 2",
            )
        ],
    ),
    "~ route a 10.9.0.0/16 dev eth0": (
        steps.RouteReplace("a", DIRECT),
        ["ip -n a -4 route replace 10.9.0.0/16 dev eth0 proto static scope global"],
    ),
    "- route host blackhole ::/0": (
        steps.RouteDel("host", Route("::/0", type="blackhole", metric=1024, protocol=110)),
        ["ip -6 route del blackhole ::/0 metric 1024 proto 110"],
    ),
    "+ rule a not priority 9 from 10.0.0.0/8 fwmark 0x1/0xff dport 80-90 lookup main": (
        steps.RuleAdd(
            "a",
            Rule(
                4,
                9,
                table=254,
                src="10.0.0.0/8",
                fwmark=1,
                fwmask=255,
                dport=(80, 90),
                invert=True,
            ),
        ),
        [
            cmd(
                "ip -n a -4 rule add not priority 9 from 10.0.0.0/8 fwmark 0x1/0xff dport 80-90",
                "lookup main protocol 4",
            )
        ],
    ),
    "- rule a priority 9 from all uidrange 0-9 prohibit": (
        steps.RuleDel("a", Rule(6, 9, "prohibit", uidrange=(0, 9))),
        ["ip -n a -6 rule del priority 9 from all uidrange 0-9 prohibit protocol 4"],
    ),
    "~ sysctl a net.ipv4.tcp_rmem=1 2 3": (
        steps.SysctlSet("a", "net.ipv4.tcp_rmem", "1 2 3"),
        ["ip netns exec a sysctl -qw 'net.ipv4.tcp_rmem=1 2 3'"],
    ),
    "~ rules host inet netloom-lab": (
        steps.RulesetSet("host", "inet netloom-lab", "digest", "\tchain c {}"),
        [
            cmd(
                "nft -f - <<'END-OF-RULES'\ntable inet netloom-lab {}\ndelete table inet",
                'netloom-lab\ntable inet netloom-lab {\ncomment "netloom:lab"\n\tchain c',
                "{}\n}\nEND-OF-RULES",
            )
        ],
    ),
    "~ rules a iptables": (
        steps.RulesetSet("a", "iptables", "digest", "*filter\nCOMMIT\n"),
        ["ip netns exec a iptables-restore <<'END-OF-RULES'\n*filter\nCOMMIT\nEND-OF-RULES"],
    ),
    "- rules a inet netloom-lab": (
        steps.RulesetDel("a", "inet netloom-lab"),
        ["ip netns exec a nft delete table inet netloom-lab"],
    ),
    "~ sysctl host net.ipv4.ip_forward=1 (shared; the last lab restores it)": (
        steps.ClaimAdd("host", "net.ipv4.ip_forward", "1"),
        ["sysctl -qw net.ipv4.ip_forward=1"],
    ),
    "- sysctl host net.ipv4.ip_forward (this lab's share in it)": (
        steps.ClaimDel("host", "net.ipv4.ip_forward"),
        [": net.ipv4.ip_forward is left as it is, others may rely on it"],
    ),
    cmd("+ exception host docker:", OPENED, " # else it drops lan to eth0"): (
        steps.ExceptionAdd("host", PASSAGE, tuple(OPENED.split())),
        [OPENED],
    ),
    cmd("- exception host docker:", CLOSED): (steps.ExceptionDel("host", PASSAGE), [CLOSED]),
    "+ run a nginx: nginx -g 'daemon off;'": (
        steps.RunStart(
            "a",
            "nginx",
            "digest",
            Command(
                ("sh", "-c", "nginx -g 'daemon off;'"), env={"A": "1"}, user="www-data", cwd="/srv"
            ),
        ),
        [
            cmd(
                "(cd /srv && exec ip netns exec a setpriv --reuid=www-data --init-groups env A=1",
                "sh -c 'nginx -g '\"'\"'daemon off;'\"'\"'') </dev/null &",
            )
        ],
    ),
    "+ run a setup: mount it": (
        steps.RunStart("a", "setup", "digest", Command(("mount", "it"), ready="exit", restart=-1)),
        ["(cd / && exec ip netns exec a mount it) </dev/null  # started again when it fails"],
    ),
    "+ run a after: x": (
        steps.RunStart("a", "after", "digest", Command(("x",), after=("a/setup", "b/x"))),
        ["(cd / && exec ip netns exec a x) </dev/null &  # when ready: a/setup, b/x"],
    ),
    "- run a nginx": (steps.RunStop("a", "nginx"), [": end nginx in a"]),
    "~ etc a": (steps.EtcSet("a", "digest"), ["ln -s /run/netloom/… /etc/netns/a"]),
    "- etc a": (
        steps.EtcDel("a"),
        ["rm -rf /etc/netns/a"],
    ),
}


@pytest.mark.parametrize("told", SAID)
def test_a_step_is_a_line_and_the_commands_that_it_equals(told: str) -> None:
    """A glyph for what it does, and iproute2's words."""
    step, expected = SAID[told]

    assert line(step) == told
    assert list(commands(step)) == expected


def test_every_kind_of_step_is_among_them() -> None:
    """No kind of step is without a line here."""
    assert {type(step) for step, _ in SAID.values()} == set(steps.Step.__args__)


LAB = """
namespaces: {coke: {routes: default via host}}
links: [[host:v 10.0.0.1/24, coke:v 10.0.0.2/24]]
"""


def test_a_plan_tells_what_it_makes_and_what_of_it_is_on_the_host() -> None:
    """What only finishes a new thing is left out."""
    desired = lower(parse(LAB, name="lab").topology).desired

    assert plan_text(diff(desired, bare(desired))) == (
        "+ netns coke\n"
        "+ addr coke:v 10.0.0.2/24\n"
        "+ route coke default via 10.0.0.1 dev v\n"
        "host:\n"
        "  + link host:v = coke:v\n"
        "  + addr host:v 10.0.0.1/24\n"
        "5 changes"
    )


def test_nothing_to_do_is_said_so() -> None:
    """A person who asked wants an answer."""
    assert plan_text(()) == "no changes"


def test_a_script_is_one_that_a_shell_can_read() -> None:
    """With odd names quoted, and the hosts files in it."""
    desired = lower(parse(LAB.replace(":v", ":it's"), name="lab").topology).desired
    up = script(diff(desired, bare(desired)), desired.folders)
    down = script(teardown(made(desired, bare(desired))), {})

    for text in (up, down):
        subprocess.run(("sh", "-n"), input=text, text=True, check=True, capture_output=True)
    assert up.startswith("#!/bin/sh\nset -e\n")
    assert "10.0.0.2\tcoke\n" in up


def test_a_script_gives_files_for_etc_their_modes(tmp_path: Path) -> None:
    """And their texts, however they end."""
    files = {
        "key": File("secret", 0o600),
        "conf/": File(mode=0o750),
        "conf/a": File("one\nEND-OF-FILE\ntwo\n", 0o440),
        "hosts": File("::1 here\n"),
    }
    text = script((steps.EtcSet("a", "d"),), {"d": files})

    subprocess.run(("sh",), input=text.replace("/etc/netns", str(tmp_path)), text=True, check=True)

    for path, file in files.items():
        written = tmp_path / "a" / path
        assert written.stat().st_mode & 0o777 == file.mode
        assert written.is_dir() or written.read_text() == file.text
