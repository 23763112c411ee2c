"""The walk of `test_no_trace.py` over what an uplink asks of the host.

Its calls are those about shared settings, rules, connections and /etc, and the one after each: all
else is walked there. After every kill rules, settings and claims are as before, too. Exceptions in
the firewalls of others are opened by programs, so there each program kills in its place.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_no_trace import (
    CHANGE,
    DOWN,
    UP,
    WALKS,
    Walk,
    by_down,
    by_up,
    forget_names,
    sampled,
    walk_lab,
)
from tests.hosts.internet import WEB4, ask_udp, on_the_internet, server
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import Look, differences, look

FIRST = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces:
  web:
    networks: [lan]
    publish: "8080:80"
    dns: 192.0.2.53
    firewall: chain input { type filter hook input priority 0; tcp dport 22 drop; }
"""
SECOND = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"]}
  dmz: {subnet: 10.100.3.0/24, uplink: routed}
namespaces:
  web: {networks: [lan], iptables: "*filter\\n-A INPUT -p tcp --dport 22 -j DROP\\nCOMMIT"}
  db: {networks: [dmz], etc: {motd: hello}}
"""

OURS = (
    *("/claims", "/proc/sys/", "/etc/netns", "sendmsg"),
    *("rtnetlink 16,", "rtnetlink 257", "rtnetlink 258"),
)
"""What calls are about that only a lab with an uplink makes (257, 258: conntrack; 16: nftables)."""

SETTINGS = ("ipv4/ip_forward", "ipv4/conf/eth0", "ipv6/conf/all", "ipv6/conf/eth0")


def walk(walk_: Walk, recover: Callable[[Warm, str], None], *, every: int = 1) -> None:
    """Kill a verb at each of these calls, recover each time, and compare each time."""
    write("first.yaml", FIRST)
    write("second.yaml", SECOND)
    with Warm() as netloom, server("beyond", 80):
        begin(netloom, walk_)
        calls = netloom.calls(*walk_.verb)
        netloom.ask(("down", "shop"))
        before = everything()
        places = [at for at, call in enumerate(calls, 1) if any(word in call for word in OURS)]
        for at in sorted({*places, *(at + 1 for at in places if at < len(calls))})[
            :: sampled(every)
        ]:
            begin(netloom, walk_)
            about = netloom.kill(at, *walk_.verb)
            recover(netloom, walk_.then)
            found = differences(before, everything())
            assert not found, f"{' '.join(walk_.verb)}, killed before call {at}: {about}\n{found}"
        assert len(places) > 10


def begin(netloom: Warm, walk_: Walk) -> None:
    """Lead to where a walk begins; a connection that shall be forgotten has been made."""
    forget_names()
    for words in walk_.before:
        netloom(*words)
    if walk_.before:
        assert ask_udp("web", WEB4)


def everything() -> Look:
    """Return what the witness sees, and with it rules, settings and connections."""
    lines = [f"nft: {line}" for line in says("nft", "-s", "list", "ruleset").splitlines()]
    for place in SETTINGS:
        path = Path("/proc/sys/net", place)
        files = [path] if path.is_file() else [path / "forwarding", path / "accept_ra"]
        lines += [f"{file} = {file.read_text()}" for file in files if file.exists()]
    remembered = Path("/proc/thread-self/net/nf_conntrack").read_text().splitlines()
    lines += [f"conntrack: {line}" for line in remembered if "10.100." in line]
    return look(whole=False) | frozenset(lines)


@on_the_internet()
def test_down_leaves_nothing_of_an_uplink_after_an_up_that_was_killed() -> None:
    """Neither a rule nor a claim, whichever of these calls `up` did not come to; every ninth."""
    walk(UP, by_down, every=9)


@on_the_internet()
def test_down_leaves_nothing_of_an_uplink_after_a_down_that_was_killed() -> None:
    """Not even what conntrack remembers of a lab whose links are gone already; every ninth."""
    walk(DOWN, by_down, every=9)


@on_the_internet()
def test_down_leaves_nothing_of_an_uplink_after_a_change_that_was_killed() -> None:
    """Another network has the way out, another namespace the rules; every twentieth call."""
    walk(CHANGE, by_down, every=20)


@on_the_internet()
def test_up_converges_after_a_change_of_an_uplink_that_was_killed() -> None:
    """What is asked for is there, and goes without a trace; every twentieth call."""
    walk(CHANGE, by_up, every=30)


# ── exceptions in the firewalls of others ─────────────────────────────────────────────────

FORWARD = "type filter hook forward priority 0"
WALLS = {
    "iptables-nft": "iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP",
    "nft": f"nft 'table inet wall {{ chain f {{ {FORWARD}; policy drop; }}; }}'",
}
KILLER = """#!/bin/sh
case " $* " in *" list "*) exec "/usr/sbin/${0##*/}" "$@";; esac
echo >> /run/here/changes
read -r fatal < /run/here/fatal
if [ "$(wc -l < /run/here/changes)" = "$fatal" ]; then kill -9 "$PPID"; exit; fi
exec "/usr/sbin/${0##*/}" "$@"
"""
"""Stands before a program that changes a firewall: the one of this number kills who calls it."""


@pytest.mark.needs("iptables")
@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("verb", WALKS)
@on_the_internet()
def test_exceptions_are_closed_after_every_kill(
    verb: str, wall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of them was not opened, or not closed, yet; every 24th."""
    ran("sh", "-ec", WALLS[wall])
    write("first.yaml", FIRST)
    write("second.yaml", SECOND)
    Path("tools").mkdir()
    for name in ("iptables-nft", "ip6tables-nft", "nft"):
        write(f"tools/{name}", KILLER).chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path.cwd()}/tools:{os.environ['PATH']}")
    with Warm() as netloom, server("beyond", 80):
        monkeypatch.undo()
        _walk_exceptions(netloom, WALKS[verb], sampled(24))


def _walk_exceptions(netloom: Warm, walk_: Walk, every: int) -> None:
    _expect(0)
    begin(netloom, walk_)
    _expect(0)
    netloom(*walk_.verb)
    changes = Path("changes").read_text().count("\n")
    netloom.ask(("down", "shop"))
    _expect(0)
    before = everything()
    assert changes > 5
    for first, recover in ((1, by_down), (1 + every // 2, by_up)):
        for at in range(first, changes + 1, every):
            begin(netloom, walk_)
            _expect(at)
            assert netloom.ask(walk_.verb)["status"] == -9
            _expect(0)
            recover(netloom, walk_.then)
            _expect(0)
            found = differences(before, everything())
            assert not found, f"{' '.join(walk_.verb)}, killed before exception {at}\n{found}"


def _expect(number: int) -> None:
    """Have the change of this number kill, counted from now; 0 for none."""
    write("changes", "")
    write("fatal", f"{number}\n")


# ── a program that leads out ──────────────────────────────────────────────────────────────


@pytest.mark.needs("pasta")
@pytest.mark.parametrize("verb", WALKS)
@pytest.mark.parametrize("recover", [by_down, by_up])
@on_the_internet()
def test_a_program_that_leads_out_goes_after_every_kill(
    verb: str, recover: Callable[[Warm, str], None]
) -> None:
    """With all that was made for it, and rules and settings of the host as before; every 120th."""
    write("first.yaml", FIRST.replace("nat", "user"))
    write("second.yaml", SECOND.replace("routed", "user"))
    before = everything()
    with Warm() as netloom:
        walk_lab(netloom, WALKS[verb], recover, every=120)
    assert not differences(before, everything())
