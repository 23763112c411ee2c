"""`netloom.observe()` and `netloom.netns(TARGET)`: what a program finds on the machine."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

import netloom
from netloom import Unavailable
from netloom.model.objects import HOST, Bridge, End, Other, Veth
from tests.hosts.machine import etc_file, on_a_machine
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import living, plainly, ran, says

PLACE = """
ip link set lo up
for n in a b c d; do ip netns add $n; ip -n $n link set lo up; done
ip link add hub type bridge
for n in a b; do
  ip link add eth0 netns $n type veth peer port-$n
  ip link set port-$n master hub up; ip -n $n link set eth0 up
done
ip link add eth0 netns c type veth peer eth0 netns d
ip -n c link add in type veth peer out
ip -n d link add v0 link eth0 type macvlan
ip addr add 10.0.0.254/24 dev hub; ip link set hub up
ip -n a addr add 10.0.0.1/24 dev eth0; ip -n b addr add 10.0.0.2/24 dev eth0
ip -n a addr add 2001:db8::1/64 dev eth0 nodad
ip -n a route add default via 10.0.0.254
ip -n b rule add from 10.9.0.0/16 table 77
"""


# ── observe ───────────────────────────────────────────────────────────────────────────────────────


@on_a_machine
def test_the_whole_machine_is_seen() -> None:
    """Every named namespace and the host; both ends of wires, by whatever numbers they have."""
    says("sh", "-ec", PLACE)

    seen = netloom.observe()

    assert set(seen.netns) == {HOST, "a", "b", "c", "d"}
    for name, found in seen.netns.items():
        flags = () if name == HOST else ("-n", name)
        told = json.loads(says("ip", *flags, "-j", "-d", "addr"))
        assert set(found.links) == {one["ifname"] for one in told}
        for one in told:
            link = found.links[one["ifname"]]
            assert (link.mtu, link.master) == (one["mtu"], one.get("master", ""))
            assert seen.given[End(name, one["ifname"])].index == one["ifindex"]
            addresses = {f"{a['local']}/{a['prefixlen']}" for a in one["addr_info"]}
            born = {a for a in addresses if a.startswith("fe80:") or one["ifname"] == "lo"}
            assert set(map(str, link.addrs)) == addresses - born
    wires = {
        End(name, link): one.kind.peer
        for name, found in seen.netns.items()
        for link, one in found.links.items()
        if isinstance(one.kind, Veth)
    }
    assert {f"{near} {far}" for near, far in wires.items()} == {
        "a:eth0 host:port-a",
        "host:port-a a:eth0",
        "b:eth0 host:port-b",
        "host:port-b b:eth0",
        "c:eth0 d:eth0",
        "d:eth0 c:eth0",
        "c:in c:out",
        "c:out c:in",
    }
    assert isinstance(seen.netns[HOST].links["hub"].kind, Bridge)
    assert seen.netns["d"].links["v0"].kind == Other("macvlan")
    assert {route.dst for route in seen.netns["a"].routes} >= {"0.0.0.0/0", "10.0.0.0/24"}
    assert [(rule.src, rule.table) for rule in seen.netns["b"].rules] == [("10.9.0.0/16", 77)]


@on_a_machine
def test_looking_changes_nothing_and_says_what_it_could_not_see() -> None:
    """No namespace gets a number by it; a name without a namespace is told; a far end may be."""
    says("sh", "-ec", PLACE)
    says("ip", "netns", "add", "host")
    Path("/run/netns/gone").touch()
    before = [says("ip", *flags, "netns", "list-id") for flags in ((), ("-n", "a"), ("-n", "d"))]

    seen = netloom.observe()

    assert seen.foreign.stale == {"gone"}
    assert seen.foreign.names == {"gone", "host"}
    assert "hub" in seen.netns[HOST].links
    assert "gone" not in seen.netns
    after = [says("ip", *flags, "netns", "list-id") for flags in ((), ("-n", "a"), ("-n", "d"))]
    assert after == before
    assert sorted(os.listdir("/run")) == ["netns"]


@on_a_machine
def test_a_wire_that_leads_where_nobody_looks_has_no_far_end() -> None:
    """Two ends that fit by their numbers alone belong to other wires: the kernel is asked."""
    says("sh", "-ec", "ip netns add a; ip netns add b")
    with living("unshare", "-n") as one, living("unshare", "-n") as two:
        for name, pid in (("a", str(one)), ("b", str(two))):
            says("ip", "-n", name, "link", "add", "w", "type", "veth", "peer", "v", "netns", pid)
        seen = netloom.observe()

    assert [seen.netns[name].links["w"].kind for name in "ab"] == [Veth(End("", ""))] * 2


# ── netns ─────────────────────────────────────────────────────────────────────────────────────────


@on_a_machine
def test_a_namespace_that_is_there_is_one_to_be_in() -> None:
    """By its name: run, call, listen, probe; addresses are those that it has now."""
    says("sh", "-ec", PLACE)
    etc_file("a", "hosts", "192.0.2.7 printer\n")
    a, b = netloom.netns("a"), netloom.netns("b")

    assert (a.name, a.ip, a.ips, b.ips) == (
        "a",
        "10.0.0.1",
        ("10.0.0.1", "2001:db8::1"),
        ("10.0.0.2",),
    )
    assert a.ip_for(b) == a.ip_for("b") == "10.0.0.1"
    assert set(a.call(os.listdir, "/sys/class/net")) == {"lo", "eth0"}
    assert a.call(socket.gethostbyname, "printer") == "192.0.2.7"
    assert a.run(["cat", "/etc/hosts"], text=True, capture_output=True).stdout.startswith("192.0")
    with b.listen(80):
        assert a.reaches(b, 80)
        assert a.reaches("b", 80)
        assert a.reaches("b:eth0", 80)
        assert a.reaches("10.0.0.2", 80)
    assert not a.reaches("b", 81)
    says("ip", "-n", "b", "addr", "add", "10.7.0.1/24", "dev", "eth0")
    assert b.ips == ("10.0.0.2", "10.7.0.1")
    with pytest.raises(ValueError, match=r"10\.0\.0\.2, 10\.7\.0\.1"):
        b.ip  # noqa: B018
    assert netloom.netns(HOST).reaches(a)


@on_a_machine
def test_it_is_ready_when_it_listens_and_is_nobody_s_to_end() -> None:
    """What is started there is the program's own child, and stays when the namespace is let go."""
    says("sh", "-ec", PLACE)
    code = "import socket, signal; s = socket.create_server(('', 80)); signal.pause()"
    process = netloom.netns("b").popen([sys.executable, "-c", code], ready="tcp/80")
    try:
        assert netloom.netns("a").reaches("b", 80)
        assert process.poll() is None
        by_process = netloom.netns(f"pid:{process.pid}")
        assert by_process.ips == ("10.0.0.2",)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


@on_a_machine
def test_it_is_held_as_long_as_it_is_known() -> None:
    """The name may go; what is open is let go of with the last that knows it."""
    says("sh", "-ec", PLACE)
    before = sorted(os.listdir("/proc/self/fd"))
    a = netloom.netns("a")
    says("ip", "netns", "del", "a")

    assert a.ip == "10.0.0.1"
    with pytest.raises(Unavailable, match="no namespace `a`"):
        netloom.netns("a")
    del a
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nobody", "no namespace `nobody`"),
        ("docker:web", "Docker does not answer"),
        ("podman:web", "netloom does not ask podman itself"),
        ("pid:0x1", "is no number of a process"),
        ("/etc/hosts", "leads to no network namespace"),
    ],
)
@on_a_machine
def test_what_is_not_there_is_told(target: str, words: str) -> None:
    """With the reason, as on the command line."""
    with pytest.raises(Unavailable, match=words):
        netloom.netns(target)


LAB = """
networks: {lan: {subnet: 10.1.0.0/24}}
namespaces: {a: {networks: [lan]}, b: {networks: [lan]}}
"""
OF_NOBODY = """
import netloom
(host,) = netloom.observe().netns
assert "hub" in netloom.observe().netns[host].links
print(host, *netloom.netns(host).ips)
assert netloom.netns(host).run(["true"]).returncode == 0
"""
OF_A_USER = """
import os, netloom
seen = netloom.observe()
assert set(seen.netns) == {"host", "a", "b", "lab.switch"}, seen.netns
a = netloom.netns("a")
assert set(a.call(os.listdir, "/sys/class/net")) == {"lo", "lan"}
assert a.reaches("b")
print(a.ip, *a.run(["cat", "/proc/self/comm"], text=True, capture_output=True).stdout.split())
"""


@pytest.mark.needs("userns", "veth", "bridge")
@on_a_machine
def test_a_plain_user_finds_what_is_in_namespaces_of_their_own() -> None:
    """Labs of the command line are seen by a program, too."""
    with new_plain_user(lab=LAB) as plain:
        says("sh", "-ec", PLACE)
        assert ran(*plainly(OF_NOBODY)).stdout == "host 10.0.0.254\n"
        plain.says("up", "-q", "lab.yaml")
        env = {**os.environ, "XDG_RUNTIME_DIR": f"{plain.folder}/run"}
        assert ran(*plainly(OF_A_USER), env=env).stdout == "10.1.0.1 cat\n"
        plain.says("down", "-q", "lab")
