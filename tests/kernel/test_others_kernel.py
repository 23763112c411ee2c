"""The law of what others set, on the kernel: `ip` does it by hand, and `ip` tells what is there.

For random labs, and random things done inside: after another `up` what the file says is there, and
what was done by hand is there; after `down` the host is as it was.
"""

import subprocess
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.engine import front as engine
from netloom.model.objects import Desired, is_kept
from netloom.plan.steps import Step
from netloom.render.script import commands
from tests.hosts.programs import says
from tests.kernel.test_laws_kernel import FEW
from tests.kernel.worlds_made import MACHINE, alone, host, ip, source
from tests.pure.byhand import done
from tests.pure.worlds import LAB, Change, changes

pytestmark = pytest.mark.needs("netns", "veth", "bridge", "ip")


def by_hand(todo: list[Step]) -> None:
    """Do things with `ip`, which may refuse them."""
    lines = [line for step in todo for line in commands(step)]
    subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, check=False)


def there(desired: Desired) -> set[tuple[str, ...]]:
    """Return what `ip` tells of the lab's namespaces; an address with the index of its link."""
    found: set[tuple[str, ...]] = set()
    for name, one in desired.netns.items():
        if is_kept(name, one):
            continue
        for link in ip("addr", name):
            for addr in link["addr_info"]:
                key = f"{addr['local']}/{addr['prefixlen']}"
                found.add((name, "addr", f"{link['ifindex']} {link['ifname']}", key))
        for family in ("-4", "-6"):
            for rule in ip(f"{family} rule", name):
                found.add((name, "rule", family, str(rule["priority"])))
            for route in ip(f"{family} route show table all type blackhole", name):
                found.add((name, "route", family, route["dst"]))
    return found


MARK = "for f in /proc/sys/net/ipv4/conf/*/log_martians; do echo 1 >$f; done"
UNMARK = "cd /proc/sys/net/ipv4/conf; echo 0 | tee all/log_martians >default/log_martians"
MARKED = "cd /proc/sys/net/ipv4/conf; grep -l 1 */log_martians"


def mark(desired: Desired) -> None:
    """Give all links that are there a setting, which is lost with them, index and name or not."""
    for name, one in desired.netns.items():
        if not is_kept(name, one):
            says("ip", "netns", "exec", name, "sh", "-c", f"{MARK}; {UNMARK}")


def links(desired: Desired, before: Desired) -> set[tuple[str, str]]:
    """Return the links that are marked, and have IPv6, each by its namespace, index and name."""
    found = set()
    for name, one in desired.netns.items():
        if not is_kept(name, one) and name in before.netns:
            marked = says("ip", "netns", "exec", name, "sh", "-c", f"{MARKED} || :").split()
            for link in ip("link", name):
                if link["mtu"] >= 1280 and f"{link['ifname']}/log_martians" in marked:
                    found.add((name, f"{link['ifindex']} {link['ifname']}"))
    return found


@FEW
@given(changes(), st.integers(0, 10**9))
def test_what_was_done_by_hand_is_there_after_up(change: Change, seed: int) -> None:
    """And what the file says, too; nothing of either after `down`."""

    def check() -> None:
        before = host()
        first = engine.up(source(change.topologies[0]), MACHINE).desired
        bare = there(first)
        by_hand(done(first, Random(seed)))  # noqa: S311 - which things is all that it says
        mine = there(first) - bare
        assert engine.plan(source(change.topologies[0]), MACHINE).plan == ()
        assert engine.up(source(change.topologies[0]), MACHINE).plan == ()
        assert mine <= there(first)

        mark(first)
        second = engine.up(source(change.topologies[1]), MACHINE).desired
        assert engine.plan(source(change.topologies[1]), MACHINE).plan == ()
        left = links(second, first)
        assert {thing for thing in mine if stays(thing, left, second)} <= there(second)
        engine.down(LAB, MACHINE)
        assert host() == before

    alone(check)


def stays(thing: tuple[str, ...], left: set[tuple[str, str]], desired: Desired) -> bool:
    """Whether what a thing hangs on is there, and has IPv6 where that is needed."""
    name, what, where, key = thing
    if name not in desired.netns:
        return False
    if what != "addr":
        return True
    off = any("disable_ipv6" in setting for setting in desired.netns[name].sysctls)
    return (name, where) in left and not (":" in key and off)
