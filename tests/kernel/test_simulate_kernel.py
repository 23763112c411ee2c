"""What the kernel does along with a step, and what it refuses, as `ip` shows it.

The table is that of `tests/pure/effects.py`, which `after` is held against, too.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from netloom.plan.steps import Plan, SysctlSet
from netloom.render.script import commands
from tests.hosts.machine import on_a_machine, wait_for
from tests.hosts.netns import Netns
from tests.hosts.programs import ran, says
from tests.pure.effects import DOES, OTHERS, REFUSES, WORLD

pytestmark = pytest.mark.needs("netns", "ip", "veth", "bridge")

LOOK = """\
link show
address show
route show table all
rule show
"""


def do(plan: Plan) -> None:
    """Have a shell carry out a plan."""
    ran("sh", "-e", stdin="\n".join(line for step in plan for line in commands(step)))


def make(plan: Plan) -> None:
    """Make the world of the table, what others have in it, and lead it through a plan."""
    do(WORLD)
    for name, links in OTHERS.items():
        if not Path("/run/netns", name).exists():
            says("ip", "netns", "add", name)
        for link in links:
            says("ip", "-n", name, "link", "add", link, "type", "bridge")
    do(plan)


def facts(keys: Iterable[str]) -> set[str]:
    """Return what there is in the words of the table; in `a` the sysctls with these names, too."""
    found = set()
    for name in {path.name for path in Path("/run/netns").iterdir()} - {"docker"}:
        with open_name(name) as netns:
            told = enter(netns, lambda: [*_here()])
            told += enter(netns, _settings, keys) if name == "a" else []
        found |= {name, *(f"{name}: {fact}" for fact in told)}
    return found


def _here() -> Iterator[str]:
    links, addresses, routes, rules = _by_ip()
    modes = {link["ifname"]: link.get("inet6_addr_gen_mode") for link in links}
    for link in addresses:
        name = link["ifname"]
        if name not in OTHERS["a"]:
            generates = name != "lo" and modes[name] == "eui64"
            yield from (f"{name}{fact}" for fact in _of_link(link, generates=generates))
    yield from (f"to {r['dst']}" for r in routes if r.get("protocol") == "static")
    yield from (f"rule {r['priority']}" for r in rules if r["priority"] not in {0, 32766, 32767})


def _settings(keys: Iterable[str]) -> list[str]:
    return [f"{key}={value}" for key in keys if (value := _sysctl(key))]


def _of_link(link: dict[str, Any], *, generates: bool) -> Iterator[str]:
    yield from ("", f" mtu {link['mtu']}")
    yield from [" up"] * ("UP" in link["flags"])
    yield from [f" on {link.get('master')}"] * ("master" in link)
    if generates and _sysctl(f"net.ipv6.conf.{link['ifname']}.disable_ipv6") == "0":
        yield " ipv6"
    yield from (f" altname {altname}" for altname in link.get("altnames", ()))
    for addr in link["addr_info"]:
        if addr["scope"] == "global":
            secondary = " secondary" * addr.get("secondary", False)
            yield f" {addr['local']}/{addr['prefixlen']}{secondary}"


def _by_ip() -> list[list[dict[str, Any]]]:
    """Return what `ip -j -d` says, of links, addresses, routes and rules."""
    said = ran("ip", "-j", "-d", "-batch", "-", stdin=LOOK).stdout.splitlines()
    return [[each for each in json.loads(line) if each] for line in said if line]


def _sysctl(key: str) -> str:
    path = Path("/proc/sys", key.replace(".", "/"))
    return path.read_text().strip() if path.exists() else ""


@pytest.mark.parametrize("what", DOES)
@on_a_machine
def test_the_kernel_does_along_with_a_step_what_the_table_says(what: str) -> None:
    """That, and nothing else; the far ends of a namespace's wires go a little later than it."""
    case = DOES[what]
    make(case.before)
    plan = (*case.before, *case.steps)
    keys = {step.key for step in plan if isinstance(step, SysctlSet)}
    before = facts(keys)

    do(case.steps)
    if "b" in case.gone:
        with open_name("a") as netns:
            enter(netns, lambda: wait_for(lambda: " w@" not in says("ip", "-o", "link")))

    then = facts(keys)
    assert (before - then, then - before) == (case.gone, case.new)


@pytest.mark.parametrize("what", REFUSES)
@on_a_machine
def test_the_kernel_refuses_what_the_table_says(what: str) -> None:
    """In the words of ip(8); or it takes it, and nobody could tell what comes of it."""
    case = REFUSES[what]
    make(case.before)

    done = ran("sh", "-e", stdin="\n".join(commands(case.step)), check=False)

    assert done.returncode != 0 if case.said else done.returncode == 0
    assert case.said in done.stderr


# ── what nobody asks for, so that nothing in the table says it ────────────────────────────────────


@pytest.fixture
def wired(netns: Netns) -> Netns:
    """Make a namespace with a wire `x` = `y`, both up, and `lo` up."""
    netns.says("ip", "link", "set", "lo", "up")
    netns.says("ip", "link", "add", "name", "x", "type", "veth", "peer", "name", "y")
    for link in ("x", "y"):
        netns.says("ip", "link", "set", link, "up")
    return netns


def asked_routes(netns: Netns, version: int = 4) -> list[str]:
    """Return the destinations of the routes that somebody asked for."""
    found = netns.ip(f"-{version}", "route", "show", "table", "all")
    return sorted(
        route["dst"] for route in found if route.get("protocol") in {None, "boot", "static"}
    )


def addresses(netns: Netns, link: str) -> list[str]:
    """Return the addresses of a link, link-local ones left out."""
    infos = netns.ip("addr", "show", "dev", link)[0]["addr_info"]
    return [info["local"] for info in infos if info["scope"] != "link"]


def refused(netns: Netns, *command: str) -> str:
    """Return what the kernel says against a command."""
    with pytest.raises(AssertionError) as refusal:
        netns.says(*command)
    return str(refusal.value)


def act(netns: Netns, *commands: str) -> None:
    """Carry out some `ip` commands."""
    for command in commands:
        netns.says("ip", *command.split())


def test_a_route_with_another_way_out_stays_half_dead(wired: Netns) -> None:
    """Nobody asked for that, so `diff` deletes such a route before it sets a link down."""
    act(wired, "addr add 10.0.0.1/24 dev x", "addr add 10.1.0.1/24 dev y")
    act(wired, "route add 10.9.0.0/16 nexthop via 10.0.0.9 nexthop via 10.1.0.9")

    act(wired, "link set x down")

    (route,) = wired.ip("route", "show", "10.9.0.0/16")
    assert route["nexthops"][0]["flags"] == ["dead", "linkdown"]


def test_the_second_address_of_a_subnet_is_secondary_and_falls_with_the_first(
    wired: Netns,
) -> None:
    """Unless promote_secondaries is set: so secondaries go first."""
    wired.says("sysctl", "-qw", "net.ipv4.conf.x.promote_secondaries=0")
    wired.says("sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=0")
    act(
        wired,
        "addr add 10.0.0.9/24 dev x",
        "addr add 10.0.0.1/24 dev x",
        "addr add 10.0.0.2/25 dev x",
    )
    infos = wired.ip("-4", "addr", "show", "dev", "x")[0]["addr_info"]
    assert {info["local"] for info in infos if info.get("secondary")} == {"10.0.0.1"}

    act(wired, "addr del 10.0.0.9/24 dev x")

    assert addresses(wired, "x") == ["10.0.0.2"]


def test_an_address_takes_the_ipv4_routes_with_it_as_their_source_along(wired: Netns) -> None:
    """Out of whatever link; `diff` deletes them before, or they would be missed."""
    act(wired, "addr add 10.0.0.1/24 dev x", "addr add 10.1.0.1/32 dev lo")
    act(wired, "route add 10.9.0.0/16 via 10.0.0.9 src 10.1.0.1", "route add 10.8.0.0/16 dev x")

    act(wired, "addr del 10.1.0.1/32 dev lo")

    assert asked_routes(wired) == ["10.8.0.0/16"]


def test_a_bridge_follows_its_ports_mtu_until_its_own_was_changed(wired: Netns) -> None:
    """BROPT_MTU_SET_BY_USER: so a bridge is born with another MTU, and set to its own."""
    act(
        wired,
        "link add name follows mtu 1500 type bridge",
        "link add name holds mtu 1499 type bridge",
    )
    act(wired, "link set holds mtu 1500", "link set x mtu 1400", "link set y mtu 1400")

    act(wired, "link set x master follows", "link set y master holds")

    assert [wired.ip("link", "show", name)[0]["mtu"] for name in ("follows", "holds")] == [
        1400,
        1500,
    ]


def test_an_ipv6_route_has_no_device_alone_among_its_next_hops(wired: Netns) -> None:
    """So `lower` refuses it."""
    act(wired, "addr add fd00::1/64 dev x nodad")
    command = "ip -6 route add fd09::/64 nexthop dev x nexthop via fd00::9 dev x"

    assert "Device only routes can not be added for IPv6" in refused(wired, *command.split())
