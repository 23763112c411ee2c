"""`plan --as ip`: the script of a plan, run by sh and iproute2, leads where `up` leads."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings

from netloom.compile.lower import lower
from netloom.engine import front as engine
from netloom.host.sysctl import read
from netloom.language.topology import (
    InterfaceSpec,
    Membership,
    NamespaceSpec,
    NetworkSpec,
    Topology,
    WireEndSpec,
    WireSpec,
)
from netloom.model.objects import HOST, Desired
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from netloom.namespaces.registry import names
from netloom.plan.diff import teardown
from netloom.render.script import script
from tests.hosts.programs import ran
from tests.kernel.worlds_made import LOOKS, MACHINE, MADE, alone, host, ip, seen, source
from tests.pure.worlds import LAB, Change, changes

pytestmark = pytest.mark.needs("netns", "veth", "bridge", "ip")

GIVEN = (
    *("ifindex", "link_index", "link_netnsid", "operstate", "linkmode", "flags", "qdisc", "txqlen"),
    *("stats", "stats64", "num_tx_queues", "num_rx_queues", "gso_max_size", "gso_max_segs"),
)
"""What the kernel gives to a link of itself, or in its own time."""

KERNELS = {"kernel", "kernel_lo", "kernel_ll", "kernel_ra"}


class Scripts(NamedTuple):
    """What a shell is given: to make a world, to lead it to another, to take that down."""

    make: str
    edit: str
    remove: str


Look = dict[str, set[str]]
"""All that is said of every namespace: by what was asked, the answers."""


def look(state: Desired) -> Look:
    """Return all that `ip -j -d` says of every namespace, with its hosts file and settings."""
    return {
        f"{name}: {words}": answers
        for name in (HOST, *names())
        for words, answers in _inside(name, state).items()
    }


def at_odds(by_shell: list[Look], by_netloom: list[Look]) -> list[tuple[str, set[str], set[str]]]:
    """Return what either alone has led to."""
    return [
        (
            words,
            one.get(words, set()) - two.get(words, set()),
            two.get(words, set()) - one.get(words, set()),
        )
        for one, two in zip(by_shell, by_netloom, strict=True)
        for words in sorted({*one, *two})
        if one.get(words) != two.get(words)
    ]


def _inside(name: str, state: Desired) -> Look:
    netns = "" if name == HOST else name
    keys = tuple(state.netns[name].sysctls)
    if name == HOST:
        return {words: _plain(ip(words)) for words in LOOKS}
    with open_name(name) as handle:
        settings_of = enter(handle, read, keys)
    hosts = Path("/etc/netns", name, "hosts")
    return {
        "sysctls": {f"{key}={value}" for key, value in settings_of.items()},
        "hosts": set(hosts.read_text().splitlines()) if hosts.exists() else set(),
        **{words: _plain(ip(words, netns)) for words in LOOKS},
    }


def _plain(said: list[dict[str, Any]]) -> set[str]:
    """Return what was asked for of what is there."""
    kept = (each for each in said if each.get("protocol") not in KERNELS)
    return {str(_asked(each)) for each in kept}


def _asked(each: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in each.items() if key not in GIVEN}
    if "flags" in each:
        found["up"] = "UP" in each["flags"]
    if "addr_info" in each:
        # A link-local address comes when the carrier does.
        infos = (info for info in each["addr_info"] if not info["local"].startswith("fe80:"))
        found["addr_info"] = sorted(
            (info["local"], info["prefixlen"], info.get("secondary", False)) for info in infos
        )
    info = found.pop("linkinfo", {})
    data = info.get("info_data", {})
    kind = info.get("info_kind"), data.get("stp_state"), data.get("mcast_snooping")
    found.pop("inet6_addr_gen_mode", None)
    return found | {"kind": kind, "mode": each.get("inet6_addr_gen_mode")}


def by_netloom(change: Change) -> tuple[Scripts, list[Desired], list[Look]]:
    """Make two worlds, one after the other; return the scripts for that, and what was there."""
    looks, states, scripts = [], [], []
    for topology in change.topologies:
        report = engine.up(source(topology), MACHINE)
        scripts.append(script(report.plan, report.desired.folders))
        states.append(report.desired)
        looks.append(look(report.desired))
    make, edit = scripts
    remove = script(teardown(seen(*states)), {})
    return Scripts(make, edit, remove), states, looks


def by_shell(scripts: Scripts, states: list[Desired]) -> list[Look]:
    """Have a shell do it; return what was there."""
    looks = []
    before = host()
    for text, state in zip(scripts[:2], states, strict=True):
        ran("sh", stdin=text)
        looks.append(look(state))
    ran("sh", stdin=scripts.remove)
    after = host()
    assert {key: after[key] for key in LOOKS} == {key: before[key] for key in LOOKS}
    assert names() == []
    etc = Path("/etc/netns")
    assert not etc.exists() or not list(etc.iterdir())
    return looks


@settings(MADE, max_examples=max(4, settings().max_examples // 50))
@given(changes())
def test_a_script_leads_where_up_leads(change: Change) -> None:
    """From nothing, from one world to another, and back to nothing."""
    scripts, states, made = alone(lambda: by_netloom(change))

    assert at_odds(alone(lambda: by_shell(scripts, states)), made) == []


RICH = Topology(
    name=LAB,
    networks={
        "lan": NetworkSpec(subnets=("10.1.0.0/24", "fd00:1::/64"), gateway="r", stp=True),
        "a-network-with-a-long-name": NetworkSpec(bridge="br7", mtu=1400),
    },
    namespaces={
        "r": NamespaceSpec(
            networks={"lan": Membership(), "a-network-with-a-long-name": Membership()},
            interfaces={"lo": InterfaceSpec(addresses=("10.255.0.1/32",))},
            routes=(
                "10.9.0.0/16 nexthop via 10.1.0.8 weight 2 nexthop via 10.1.0.9",
                "10.8.0.0/16 dev lan scope global",
                "10.7.0.0/16 via 10.1.0.8 table 100 metric 5 mtu 1300 src 10.255.0.1 tos 10",
                "blackhole fd09::/64",
            ),
            rules=("from 10.1.0.0/24 lookup 100", "not fwmark 0x1/0xff prohibit"),
            sysctls={"net.ipv4.tcp_rmem": "4096 131072 6291456"},
        ),
        "a": NamespaceSpec(count=2, networks={"lan": Membership(addresses=("10.1.0.20",))}),
        "it.is": NamespaceSpec(),
        HOST: NamespaceSpec(networks={"a-network-with-a-long-name": Membership()}),
    },
    links=(
        WireSpec(
            ends=(
                WireEndSpec(netns="r", interface="it's;", addresses=("10.2.0.1/24", "10.2.0.3/24")),
                WireEndSpec(netns=HOST, interface="$x", addresses=("10.2.0.2/24",)),
            )
        ),
        WireSpec(ends=(WireEndSpec(netns="it.is"), WireEndSpec(netns="a1")), subnets=(), mtu=1000),
    ),
)


def test_a_script_of_all_kinds_of_steps_leads_where_up_leads() -> None:
    """With odd names, several next hops, tables, marks, a bridge on the host."""
    same = Change((RICH, RICH), lower(RICH), lower(RICH))
    scripts, states, made = alone(lambda: by_netloom(same))

    assert at_odds(alone(lambda: by_shell(scripts, states)), made) == []
