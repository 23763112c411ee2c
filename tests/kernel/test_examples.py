"""The examples do what the scripts of the how-tos do that they replace, and packets prove it."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from netloom.kernel.loopback import set_lo_up
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import ended
from tests.hosts.programs import in_own_root, plainly, python, ran, says
from tests.kernel.worlds_made import alone

EXAMPLES = Path(__file__).parents[2] / "examples"
ALL = sorted(
    path.stem
    for path in EXAMPLES.glob("*.yaml")
    if not re.search(r"\b(uplink|from|firewall):", path.read_text())
)
"""Those that need no more than namespaces; others are in tests/cli/test_examples_uplink.py."""

MAIN = "from netloom.__main__ import main\nmain()"


class Script(NamedTuple):
    """A script of a how-to, and how the example calls the interfaces that it makes."""

    text: str
    renamed: dict[str, str]


SCRIPTS = {
    "red-blue": Script(
        """
ip netns add red
ip netns add blue
ip link add veth-red type veth peer name veth-blue
ip link set veth-red netns red
ip link set veth-blue netns blue
ip -n red link set lo up
ip -n blue link set lo up
ip -n red addr add 10.10.0.1/24 dev veth-red
ip -n blue addr add 10.10.0.2/24 dev veth-blue
ip -n red link set veth-red up
ip -n blue link set veth-blue up
""",
        {"veth-red": "eth0", "veth-blue": "eth0"},
    ),
    "blue-routes": Script(
        """
ip netns add blue
ip link add veth0 type veth peer name veth1
ip link set veth1 netns blue
ip netns exec blue ip addr add 10.1.1.1/24 dev veth1
ip netns exec blue ip link set dev veth1 up
ip netns exec blue ip link set lo up
""",
        {},
    ),
    "coke": Script(
        """
ip netns add coke
ip netns exec coke ip link set dev lo up
ip link add veth0 type veth peer name veth1
ip link set veth1 netns coke
ip addr add 10.1.1.1/24 dev veth0
ip link set veth0 up
ip netns exec coke ip addr add 10.1.1.2/24 dev veth1
ip netns exec coke ip link set veth1 up
""",
        {},
    ),
    "isolated": Script(
        """
ip netns add isolated
ip link add veth0 type veth peer name veth1
ip link set veth1 netns isolated
ip addr add 10.0.0.1/24 dev veth0
ip link set veth0 up
ip netns exec isolated ip addr add 10.0.0.2/24 dev veth1
ip netns exec isolated ip link set veth1 up
ip netns exec isolated ip link set lo up
""",
        {},
    ),
    "bridge-of-three": Script(
        """
ip link add br0 type bridge
ip link set br0 up
ip addr add 10.0.0.1/24 dev br0
i=0
for ns in ns1 ns2 ns3; do
    near=veth$i far=veth$((i + 1))
    ip netns add $ns
    ip link add $near type veth peer name $far
    ip link set $near master br0
    ip link set $near up
    ip link set $far netns $ns
    ip netns exec $ns ip addr add 10.0.0.$((i / 2 + 2))/24 dev $far
    ip netns exec $ns ip link set $far up
    ip netns exec $ns ip link set lo up
    ip netns exec $ns ip route add default via 10.0.0.1
    i=$((i + 2))
done
""",
        {"veth1": "br0", "veth3": "br0", "veth5": "br0"},
    ),
}
"""The scripts, as the how-tos have them."""

PINGS = [
    ("red-blue", "red", "10.10.0.2"),
    ("red-blue", "blue", "red"),
    ("blue-routes", "blue", "10.1.1.1"),
    ("coke", "coke", "10.1.1.1"),
    ("coke", "coke", "127.0.0.1"),
    ("coke", "", "10.1.1.2"),
    ("isolated", "isolated", "10.0.0.1"),
    ("isolated", "", "10.0.0.2"),
    ("bridge-of-three", "ns1", "ns3"),
    ("bridge-of-three", "ns3", "ns2"),
    ("bridge-of-three", "ns2", "10.0.0.1"),
    ("bridge-of-three", "", "10.0.0.4"),
    ("equal-addresses", "left1", "left2"),
    ("equal-addresses", "right1", "right2"),
    ("routers", "h1", "h3"),
    ("routers", "h3", "h1"),
    ("routers", "h1", "10.64.0.5"),
    ("routers", "r2", "h3"),
    ("routers", "r1", "fd6e:6574:6c6f::5"),
]
"""Example, namespace (empty: the host), and whom it reaches."""


def netloom(*words: str) -> str:
    """Return what netloom prints, which must succeed."""
    done = ended(*words)
    assert done.returncode == 0, done.shown
    return done.stdout


def file(example: str) -> str:
    """Return the path of an example."""
    return str(EXAMPLES / f"{example}.yaml")


def namespaces() -> list[str]:
    """Return the names that users gave, and `` for the host."""
    listed: list[dict[str, str]] = json.loads(says("ip", "-j", "netns", "list") or "[]")
    return ["", *sorted(entry["name"] for entry in listed if not entry["name"].endswith(".switch"))]


def told(netns: str, *words: str) -> list[dict]:
    """Return what `ip -j` tells in a namespace."""
    inside = ("-n", netns) if netns else ()
    found = json.loads(says("ip", *inside, "-j", *words) or "[]")
    return [entry for entry in found if entry]


def reachable(renamed: dict[str, str]) -> dict[str, tuple[list, list]]:
    """Return the addresses and the routes of each namespace, as `ip` tells them."""

    def dev(entry: dict, key: str) -> str:
        return renamed.get(entry[key], entry[key])

    return {
        netns: (
            sorted(
                (dev(link, "ifname"), addr["local"], addr["prefixlen"], addr["scope"])
                for link in told(netns, "addr")
                for addr in link["addr_info"]
                if addr["scope"] != "link"
            ),
            sorted(
                (
                    route["dst"],
                    route.get("gateway", ""),
                    dev(route, "dev"),
                    route.get("prefsrc", ""),
                )
                for route in told(netns, "-4", "route")
            ),
        )
        for netns in namespaces()
    }


def host() -> list[list[dict]]:
    """Return what can be seen of a lab on the host."""
    facts = [
        told("", *words) for words in (("link",), ("addr",), ("route", "show", "table", "all"))
    ]
    return [*facts, [{"name": name} for name in namespaces()]]


def ping(netns: str, target: str, *words: str) -> str:
    """Return what ping prints, which must have had an answer."""
    inside = python(MAIN, "exec", netns) if netns else []
    return says(*inside, "ping", "-c1", "-W5", *words, target)


@on_a_machine
@pytest.mark.needs("veth", "bridge")
@pytest.mark.parametrize("example", SCRIPTS)
def test_an_example_makes_what_its_script_makes(example: str) -> None:
    """The same addresses and the same routes, in every namespace and on the host."""
    script, renamed = SCRIPTS[example]
    set_lo_up()

    def by_script() -> dict[str, tuple[list, list]]:
        ran("sh", "-ec", script)
        return reachable(renamed)

    netloom("up", file(example))

    assert reachable({}) == alone(by_script)


@on_a_machine
@pytest.mark.needs("veth", "bridge", "ping")
@pytest.mark.parametrize("example", ALL)
def test_packets_cross_an_example(example: str) -> None:
    """Each way that the example promises, by name or by address."""
    set_lo_up()
    netloom("up", file(example))

    tried = [ping(netns, target) for one, netns, target in PINGS if one == example]

    assert tried
    assert all(" 0% packet loss" in said for said in tried)


@on_a_machine
@pytest.mark.needs("veth", "bridge")
@pytest.mark.parametrize("example", ALL)
def test_an_example_stands_and_leaves_no_trace(example: str) -> None:
    """Up, it is as applied; up again, nothing is to do; down, the host is as before."""
    set_lo_up()
    before = host()

    netloom("up", file(example))
    assert host() != before
    assert netloom("verify", example).strip() == f"{example}  is as it was applied"
    assert netloom("up", file(example)).strip() == f"{example}  is up; nothing to do"
    netloom("down", example)

    assert host() == before
    assert [path.name for path in Path("/run").iterdir()] == ["netns"]
    assert not Path("/etc/netns").exists()


@on_a_machine
@pytest.mark.needs("veth", "ping")
def test_blue_has_a_routing_table_of_its_own() -> None:
    """Its only route is not the host's, and the host does not reach its address."""
    set_lo_up()
    netloom("up", file("blue-routes"))

    assert [route["dst"] for route in told("blue", "route")] == ["10.1.1.0/24"]
    assert told("", "route") == []
    assert ran("ping", "-c1", "-W1", "10.1.1.1", check=False).returncode != 0


@on_a_machine
@pytest.mark.needs("veth", "ping")
def test_equal_addresses_do_not_conflict() -> None:
    """Who asks for 10.0.0.2 hears the one that it is wired to: told by its MAC address."""
    netloom("up", file("equal-addresses"))

    for one, other in (("left1", "left2"), ("right1", "right2")):
        ping(one, "10.0.0.2")
        (heard,) = told(one, "neigh", "show", "10.0.0.2")
        (link,) = told(other, "link", "show", "eth0")
        assert heard["lladdr"] == link["address"]


@on_a_machine
@pytest.mark.needs("veth", "ping")
def test_two_routers_lie_between_the_hosts() -> None:
    """The shortest way is taken: a time to live of 64 arrives as 62."""
    netloom("up", file("routers"))

    assert "ttl=62" in ping("h1", "h3")


@on_a_machine
@pytest.mark.needs("ping")
def test_coke_alone_hears_itself() -> None:
    """`netloom add` sets `lo` up; after `ip netns add` the network is unreachable."""
    netloom("add", "coke")
    ran("ip", "netns", "add", "pepsi")

    assert "1 received" in ping("coke", "127.0.0.1")
    assert ran("ip", "netns", "exec", "pepsi", "ping", "-c1", "127.0.0.1", check=False).returncode


@pytest.mark.needs("userns", "veth", "ping")
def test_a_plain_user_needs_no_rights() -> None:
    """Inside `unshare -Urnm` the same file makes the same lab."""
    code = f"""
import subprocess, sys
inside = (sys.executable, *{python(MAIN)[1:]!r})
for words in ("up {file("red-blue")}", "exec red ping -c1 -W5 blue", "down red-blue"):
    subprocess.run((*inside, *words.split()), check=True)
"""
    said = says(*in_own_root(plainly(code)))

    assert "red-blue  up in " in said
    assert " 0% packet loss" in said
    assert "red-blue  down: " in said


@on_a_machine
def test_every_example_says_what_it_replaces() -> None:
    """Each begins with a comment on what it is, and what one would have typed in its place."""
    heads = {example: Path(file(example)).read_text().split("\n\n")[0] for example in ALL}

    assert [name for name, head in heads.items() if not head.startswith("# ")] == []
    assert [name for name, head in heads.items() if "# In place of: " not in head] == []
