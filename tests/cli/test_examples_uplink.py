"""Examples that need something of the host: a way out, a bridge, a card; on a host that has it."""

import os
import re
import shlex
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host, wait_carrier
from tests.hosts.internet import HOST4, WEB4, connect, inside, on_the_internet, pings, says_in
from tests.hosts.netloom import command as netloom_command
from tests.hosts.netloom import ended, netloom
from tests.hosts.programs import living, ran, says
from tests.hosts.servers import OTHER, PAGE, servers
from tests.hosts.witness import no_trace
from tests.kernel.test_examples import ALL as ALONE

EXAMPLES = Path(__file__).parents[2] / "examples"
HERE = {"dns", "firewall", "internet", "virbr0", "webserver"}
BY_HAND = {"container", "nic", "no-internet", "packets", "webserver", "whose", "wont-delete"}
VIRBR0 = """
nft delete table inet filter 2>/dev/null || true # it drops what crosses bridges (br_netfilter)
ip link add virbr0 address 52:54:00:01:02:03 type bridge mcast_snooping 0
ip link set virbr0 addrgenmode none
ip address add 192.168.122.1/24 dev virbr0
ip link set virbr0 up
ip link add vnet0 type veth peer name guest
ip link set vnet0 addrgenmode none master virbr0 up
ip link set guest addrgenmode none up
"""
ETH1 = """
ip link add eth1 type veth peer name cable1
ip link set eth1 addrgenmode none
ip link set cable1 addrgenmode none up
ip link set eth1 up
ip address add 198.51.100.2/24 dev eth1
ip route add 198.51.101.0/24 via 198.51.100.1
"""


@contextmanager
def up(example: str) -> Iterator[None]:
    """Have an example up, as it was applied; and after it the host as it was before."""
    file = str(EXAMPLES / f"{example}.yaml")
    with no_trace():
        netloom("up", "-q", file).status(0)
        netloom("verify", file).stdout(f"{example}  is as it was applied\n").status(0)
        netloom("up", file).stdout(f"{example}  is up; nothing to do\n").status(0)
        yield
        netloom("down", "-q", file).status(0)


def fetched(where: str, address: str, port: int = 80) -> str:
    """Return what a web server answers to somebody there."""
    with connect(where, address, port) as conn:
        conn.sendall(b"GET / HTTP/1.0\r\n\r\n")
        said = b""
        while data := conn.recv(1 << 16):
            said += data
    return said.decode(errors="replace")


def refused(where: str, address: str, port: int) -> bool:
    """Whether nobody answers there, or somebody says no."""
    try:
        connect(where, address, port, timeout=0.25).close()
    except OSError:
        return True
    return False


def script(name: str, *words: str, **env: str) -> str:
    """Return what a script of the examples prints, with netloom among the programs."""
    program = Path("bin/netloom")
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.join(netloom_command())} "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{program.parent.absolute()}:{os.environ['PATH']}", **env}
    done = ran("sh", str(EXAMPLES / f"{name}.sh"), *words, env=env, check=False)
    return done.stdout + done.stderr + f"status {done.returncode}\n"


@pytest.mark.needs("servers")
@on_the_internet()
def test_internet_leads_out_as_the_host_and_within() -> None:
    """`red` and `blue` are seen as the host out there, and reach each other."""
    with servers(), up("internet"):
        assert fetched("red", WEB4).endswith(f"hello, {HOST4}\n")
        assert fetched("blue", WEB4).endswith(f"hello, {HOST4}\n")
        assert pings("red", WEB4)
        assert pings("blue", "10.10.0.2")


@pytest.mark.needs("servers")
@on_the_internet()
def test_the_web_server_reaches_the_internet_and_is_reached() -> None:
    """From the host by two addresses, from a neighbour, and by no port but the published one."""
    with servers(), up("webserver"):
        assert fetched("webserver", WEB4).endswith(f"hello, {HOST4}\n")
        for where, address in (("host", HOST4), ("host", "127.0.0.1"), ("beyond", HOST4)):
            assert " 200 OK\r\n" in fetched(where, address, 8080), (where, address)
        assert refused("beyond", HOST4, 80)
        assert '"GET / HTTP/1.0" 200' in ended("logs", "webserver").stdout


@pytest.mark.needs("servers", "iptables")
@on_the_internet()
def test_the_script_of_the_how_to_needs_a_shorter_name() -> None:
    """Its own is refused, in the kernel's words; with another it does what the file does."""
    with servers():
        said = script("webserver", VETH_HOST="veth-webserver-h")
        assert said == "Error: Attribute failed policy validation.\nstatus 2\n"
        says("ip", "netns", "del", "webserver")

        assert script("webserver").endswith("status 0\n")
        assert fetched("webserver", WEB4).endswith(f"hello, {HOST4}\n")
        assert says_in("host", "iptables", "-S", "FORWARD").count("br-internal") == 2
        says("ip", "netns", "del", "webserver")


@pytest.mark.needs("servers")
@on_the_internet()
def test_a_namespace_has_a_resolver_names_and_files_of_its_own() -> None:
    """The other one has the machine's; by `netloom exec` and by `ip netns exec` alike."""
    Path("/etc/motd").write_text("you are on the machine\n")
    with servers(), up("dns"):
        for words in (("netloom", "exec"), ("ip", "netns", "exec")):
            run = netloom_command("exec") if words[0] == "netloom" else list(words)
            files = ("/etc/resolv.conf", "/etc/motd")
            assert says(*run, "samplens", "cat", *files) == (
                "nameserver 9.9.9.9\nyou are in samplens\n"
            )
            assert says(*run, "other", "cat", *files) == (
                "nameserver 192.0.2.53\nyou are on the machine\n"
            )
            assert says(*run, "samplens", "getent", "hosts", "printer", "other").split() == [
                "192.168.1.201",
                "printer",
                "10.20.0.3",
                "other",
            ]
            for netns, address in (("samplens", OTHER), ("other", WEB4)):
                assert says(*run, netns, "getent", "ahostsv4", "example.org").startswith(address)


@pytest.mark.needs("nft", "iptables")
@on_a_host
def test_two_namespaces_have_rules_of_their_own() -> None:
    """Port 80 of both answers, port 81 does not; and neither has the rules of the other."""
    with up("firewall"), ExitStack() as stack:
        for name, address in (("web", "10.30.0.2"), ("isolated", "10.30.0.3")):
            for port in (80, 81):
                stack.enter_context(inside(name, partial(socket.create_server, ("", port))))
            assert not refused("client", address, 80)
            assert refused("client", address, 81)
            assert not pings("client", address, "-W0.2")
            assert pings(name, "10.30.0.1")
        rules = {
            name: says("ip", "netns", "exec", name, "nft", "list", "ruleset")
            for name in ("web", "isolated", "client")
        }
        assert "table inet netloom-firewall" in rules["web"]
        assert "table ip filter" in rules["isolated"]
        assert "netloom" not in rules["isolated"]
        assert rules["client"] == ""


@on_a_host
def test_members_are_neighbours_of_libvirts_machines() -> None:
    """They reach each other and the bridge's own address."""
    says("sh", "-ec", VIRBR0)
    wait_carrier("virbr0", "vnet0", "guest")
    with up("virbr0"):
        assert pings("web", "192.168.122.1")
        assert pings("web", "192.168.122.77")
        assert pings("host", "192.168.122.200")


@on_a_host
def test_a_card_is_lent_and_comes_back_with_what_it_had() -> None:
    """Up, with its address and its route; and no namespace is left."""
    says("sh", "-ec", ETH1)
    before = says("ip", "-br", "addr", "show", "dev", "eth1"), says("ip", "route")
    with no_trace():
        said = script("nic", "eth1")

        assert said.endswith("status 0\n"), said
        assert "198.51.100.2/24" in said
        after = says("ip", "-br", "addr", "show", "dev", "eth1"), says("ip", "route")
        assert after == before


@on_a_host
def test_a_namespace_that_will_not_go_goes_with_its_processes() -> None:
    """The script tells who holds it, and ends that."""
    with no_trace():
        said = script("wont-delete")

    assert "sleep            lives there\n" in said
    assert "(sleep) ended by SIGTERM\nstatus 0\n" in said


@on_a_host
def test_a_process_tells_whose_network_it_has() -> None:
    """With a name or without one; the name that the script gives is gone again."""
    with no_trace():
        says("ip", "netns", "add", "web")
        for argv, known in (
            (("ip", "netns", "exec", "web"), "web  process {} (cat)\n"),
            (("unshare", "-n"), "the namespace of process {} has no name"),
        ):
            with living(*argv) as pid:
                said = script("whose", str(pid))
            assert known.format(pid) in said
            assert said.count("LOOPBACK") == 2
            assert f"\n{pid}\n" in said
            assert said.endswith("status 0\n")
        says("ip", "netns", "del", "web")


@pytest.mark.needs("tcpdump")
@on_a_host
def test_packets_are_seen_from_inside_and_on_both_ends() -> None:
    """A request and its answer on one interface; then each of them on two, in their order."""
    with no_trace():
        said = script("packets")

    assert said.endswith("status 0\n"), said
    kinds = [line for line in said.splitlines() if "ICMP echo" in line]
    ways = ["request" if "request" in line else "reply" for line in kinds]
    assert ways == ["request", "reply", "request", "request", "reply", "reply"]


@pytest.mark.long
@pytest.mark.needs("servers", "iptables")
@on_the_internet()
def test_the_first_step_on_the_way_to_the_internet_that_fails_is_told() -> None:
    """A name, a carrier, an answer, a name again; a route, the gateway, what the host lets pass."""
    assert fails("nobody") == "is there such a namespace, and whose"
    says("ip", "netns", "add", "bare")
    assert fails("bare") == "has it an address, and a carrier"
    says("ip", "netns", "del", "bare")
    with servers():
        netloom("up", "-q", str(EXAMPLES / "internet.yaml")).status(0)
        said = script("no-internet", "red", WEB4, PAGE)
        assert f"is {PAGE} known? {WEB4} " in said
        assert said.endswith("status 0\n")
        assert fails("red", "198.51.100.9") == "does 198.51.100.9 answer"
        assert fails("red", WEB4, "example.com") == "is example.com known"
        for breaks, mends, step in STEPS:
            says("sh", "-ec", breaks)
            assert fails("red", WEB4, PAGE).startswith(step)
            says("sh", "-ec", mends)


STEPS = (
    (
        "ip netns exec red iptables-nft -A OUTPUT -j REJECT",
        "ip netns exec red nft delete table ip filter",
        "does its gateway 10.10.0.1 answer",
    ),
    (
        "iptables-nft -P FORWARD DROP",
        "nft delete table ip filter",
        "is its lab internet as it was applied",
    ),
    (
        "ip -n red route del default",
        "ip -n red route add default via 10.10.0.1",
        "has it a way out",
    ),
)
"""What is broken, how it is mended, and at which question it is told."""


def fails(*words: str) -> str:
    """Return the question of the script at which it ends."""
    said = script("no-internet", *words)
    assert not said.endswith("status 0\n")
    return re.findall(r"^(.*)\? ", said, re.MULTILINE)[-1]


def test_every_example_is_tried_somewhere() -> None:
    """Those that need nothing of the host are tried in tests/kernel/test_examples.py."""
    beside = ("test_examples_uplink.py", "test_coexistence_docker.py")
    text = "".join((Path(__file__).parent / name).read_text() for name in beside)

    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == HERE | set(ALONE)
    assert {path.stem for path in EXAMPLES.glob("*.sh")} == BY_HAND | {"demo"}
    assert [name for name in HERE if f'up("{name}")' not in text] == []
    assert [name for name in BY_HAND if f'script("{name}"' not in text] == []
