"""`wire` and `move` by hand, between real namespaces; the witness is `ip -j`."""

import http.server
import json
import shlex
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from netloom.kernel import syscalls
from netloom.namespaces.targets import split
from tests.hosts.host import wait_carrier
from tests.hosts.internet import inside
from tests.hosts.machine import on_a_machine, wait_for
from tests.hosts.netloom import Warm, command, netloom
from tests.hosts.programs import MAIN, living, plainly, ran, says

NIC = """
ip link add eth9 type veth peer name cable
ip link set cable up
ip link set eth9 mtu 1400 address 02:00:00:00:00:09 alias lan up
ip link property add dev eth9 altname the-card-to-the-office
ip address add 192.0.2.2/24 dev eth9 label eth9:x
ip address add 192.0.2.3/24 dev eth9
ip address add 203.0.113.5/32 dev eth9 noprefixroute
ip address add 10.6.0.1 peer 10.6.0.2 dev eth9
ip address add 2001:db8::2/64 dev eth9 nodad
ip address add 2001:db8::3/64 dev eth9 nodad
ip route add 10.7.0.0/16 dev eth9 metric 5 mtu 1300
ip route add 10.8.0.0/16 via 10.7.0.1 dev eth9 table 100
ip route add 10.9.0.0/16 nexthop via 192.0.2.7 weight 2 nexthop via 192.0.2.8
ip -6 route add 2001:db8:7::/48 via 2001:db8::1
ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth9 nud permanent
"""
"""A card with all that the kernel takes from it when it moves."""


def names(*wanted: str) -> None:
    """Make namespaces."""
    for name in wanted:
        says("ip", "netns", "add", name)


def links(netns: str = "") -> dict[str, Any]:
    """Return the interfaces of a namespace by name, as `ip` sees them, with their addresses."""
    words = ["-n", netns] if netns else []
    return {link["ifname"]: link for link in json.loads(says("ip", "-j", *words, "addr"))}


def addresses(link: dict[str, Any]) -> list[str]:
    """Return the addresses of an interface that somebody asked for."""
    return [
        f"{addr['local']}/{addr['prefixlen']}"
        for addr in link["addr_info"]
        if not addr["local"].startswith("fe80:")
    ]


def nets(*netns: str) -> dict[str, list[str]]:
    """Return which interfaces there are, in namespaces and on the machine itself."""
    return {name: sorted(links(name)) for name in ("", *netns)}


# ── wire ──────────────────────────────────────────────────────────────────────────────────


@on_a_machine
@pytest.mark.needs("veth", "ping")
def test_a_wire_is_there_as_it_was_asked_for() -> None:
    """Named by what is on the other side, up, with addresses, marked by no lab; and it carries."""
    names("red", "blue")

    netloom("wire", "red 10.0.0.1/24 fd00::1/64", "blue", "10.0.0.2/24", "--mtu", "1400").stdout(
        "red:blue  10.0.0.1/24  fd00::1/64\n"
        "blue:red  10.0.0.2/24\n"
        "remove: ip -n red link del dev blue\n"
    ).status(0)

    near, far = links("red")["blue"], links("blue")["red"]
    assert (near["mtu"], far["mtu"]) == (1400, 1400)
    assert {"UP", "LOWER_UP"} <= set(near["flags"]) & set(far["flags"])
    assert addresses(near) == ["10.0.0.1/24", "fd00::1/64"]
    assert addresses(far) == ["10.0.0.2/24"]
    assert "ifalias" not in near | far
    says("ip", "netns", "exec", "red", "ping", "-qc1", "-W5", "10.0.0.2")
    says(*shlex.split("ip -n red link del dev blue"))
    assert nets("red", "blue") == {"": ["lo"], "red": ["lo"], "blue": ["lo"]}


@on_a_machine
@pytest.mark.needs("veth")
def test_a_wire_leads_to_whatever_has_a_namespace() -> None:
    """A process, a path, a container, a unit, the host, a number that is a name."""
    names("red", "77")
    Path("/run/names").mkdir()
    Path("/run/names/there").touch()
    says("mount", "--bind", "/run/netns/red", "/run/names/there")
    with (
        living("ip", "netns", "exec", "red") as pid,
        docker(pid),
        unit("web.service", pid),
        Warm() as warm,
    ):
        for word in (
            f"pid:{pid}",
            str(pid),
            "/run/names/there",
            "docker:shop_1",
            "unit:web",
            "host",
            "77",
        ):
            netns = {"host": "", "77": "77"}.get(word, "red")
            said = warm("wire", f"{word}:a", "host:b")["stdout"]
            assert said.startswith((f"{word}:a\nhost:b\n", f"pid:{word}:a\nhost:b\n"))
            assert "a" in links(netns)
            says(*shlex.split(said.splitlines()[2].removeprefix("remove: ")))
            assert nets("red", "77") == {"": ["lo"], "red": ["lo"], "77": ["lo"]}
        said = warm("wire", "docker:shop_1", "unit:web")["stdout"]

    assert said.startswith("docker:shop_1:web\nunit:web:shop_1\n")
    assert nets("red")["red"] == ["lo", "shop_1", "web"]


@contextmanager
def docker(pid: int) -> Iterator[None]:
    """Be a Docker that has one container, which runs, and one which does not."""
    found = {"shop_1": pid, "old": 0}

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.split("/")[2]
            there = name in found and self.path == f"/containers/{name}/json"
            body = {"Id": "1", "State": {"Pid": found[name]}} if there else {"message": "no"}
            self.send_response(200 if there else 404)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def address_string(self) -> str:
            return ""

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.UnixStreamServer("/run/docker.sock", Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def unit(name: str, pid: int) -> Iterator[None]:
    """Have a process be of a unit of systemd, as far as its control groups tell."""
    Path("/run/cgroup").write_text(f"1:name=systemd:/system.slice/{name}\n0::/\n")
    syscalls.bind("/run/cgroup", f"/proc/{pid}/cgroup")
    try:
        yield
    finally:
        syscalls.unmount(f"/proc/{pid}/cgroup")


WRONG = {
    ("red", "blu"): "no namespace `blu`: did you mean `blue`?",
    ("red",): "a wire has two ends, not 1: `red`\nhint: netloom wire A B",
    ("red", "red"): "both ends would be `red:red`\nhint: name them: red:IF",
    ("red:x", "10.0.0.1", "blue"): "`10.0.0.1` has no prefix length: write `10.0.0.1/24`",
    ("red:x", "10.0.0.300/24", "blue"): "`10.0.0.300` is no IP address",
    ("red", "blue", "--mtu", "9"): "an MTU is 68 to 65535 bytes, not 9",
    ("red:lo", "blue"): "there is an interface `lo` in `red` already\nhint: name another: red:NAME",
    ("red", "pid:0"): "no process 0",
    ("red", "shop/blue"): "no namespace `shop/blue`: `blue` belongs to no lab",
    ("red", "docker:web"): "Docker has no container `web`\nhint: docker ps -a",
    ("red", "docker:old"): "container `old` is not running\nhint: docker start old",
    ("red", "unit:web"): "no process of `web.service` runs\nhint: systemctl start web.service",
    ("red", "podman:web"): "`podman:web`: netloom does not ask podman itself\n"
    "hint: pid:$(podman inspect -f '{{.State.Pid}}' web)",
}


@on_a_machine
@pytest.mark.needs("veth")
def test_what_cannot_be_wired_is_refused_untouched() -> None:
    """Each mistake has its reason, and nothing is made."""
    names("red", "blue")
    with docker(1), Warm() as warm:
        for words, said in WRONG.items():
            assert warm("wire", *words, status=2)["stderr"] == f"{said}\nnothing was touched\n"

    assert nets("red", "blue") == {"": ["lo"], "red": ["lo"], "blue": ["lo"]}


@on_a_machine
@pytest.mark.needs("veth")
def test_a_wire_is_made_wholly_or_not_at_all() -> None:
    """A step that the kernel refuses, and Ctrl-C at any step, leave nothing."""
    names("red", "blue")
    with Warm() as warm:
        refused = warm("wire", "red", "blue", "fd00::1/64", "--mtu", "900", status=1)["stderr"]
        assert nets("red", "blue") == {"": ["lo"], "red": ["lo"], "blue": ["lo"]}
        wire = ("wire", "red:a", "10.0.0.1/24", "blue:b", "10.0.0.2/24")
        calls = warm.calls(*wire)
        says("ip", "-n", "red", "link", "del", "dev", "a")
        done = next(at for at, call in enumerate(calls, 1) if call.startswith("unlink"))
        for at in range(1, done):
            assert warm.interrupt(at, *wire)["status"] == 130
            assert nets("red", "blue") == {"": ["lo"], "red": ["lo"], "blue": ["lo"]}

    asked = [call for call in calls if "rtnetlink" in call]
    assert len(asked) == 5  # the wire, an address and up for each end
    assert refused == (
        "`address fd00::1/64 of blue:red` was refused: Invalid argument\n"
        "  as a command: ip -n blue addr add fd00::1/64 dev red\n"
        "  all that was done before it has been undone\n"
        "hint: IPv6 needs an MTU of 1280 bytes at least\n"
    )


@on_a_machine
@pytest.mark.needs("veth")
def test_a_wire_into_a_lab_is_told_to_go_before_it() -> None:
    """`down` refuses as long as something foreign is in a namespace of the lab."""
    names("red", "blue")
    says("ip", "-n", "blue", "link", "set", "lo", "alias", "netloom:shop/blue")

    netloom("wire", "red", "shop/blue").stdout(
        "red:blue\nshop/blue:red\nremove: ip -n red link del dev blue\n"
    ).stderr(
        "note: `shop/blue` is of lab `shop`: ip -n red link del dev blue before netloom down shop\n"
    ).status(0)


@on_a_machine
@pytest.mark.needs("veth")
def test_a_long_name_of_the_other_side_becomes_an_altname() -> None:
    """The kernel takes 15 bytes; the whole name still finds the interface."""
    names("red", "a-name-of-more-than-15-bytes")

    made = netloom("connect", "red", "a-name-of-more-than-15-bytes").ended

    assert made.returncode == 0
    shown = json.loads(
        says("ip", "-j", "-n", "red", "link", "show", "a-name-of-more-than-15-bytes")
    )
    assert made.stdout.splitlines()[0] == f"red:{shown[0]['ifname']}"


@pytest.mark.parametrize(
    ("text", "target", "link"),
    [
        ("web", "web", ""),
        ("web:eth0", "web", "eth0"),
        ("shop/web:eth0", "shop/web", "eth0"),
        ("host:eth0", "host", "eth0"),
        ("pid:12:eth0", "pid:12", "eth0"),
        ("docker:web", "docker:web", ""),
        ("unit:sshd.service:eth0", "unit:sshd.service", "eth0"),
        ("/proc/1/ns/net", "/proc/1/ns/net", ""),
        ("/run/names/a:b/web:eth0", "/run/names/a:b/web", "eth0"),
        ("/run/names/a:b/web", "/run/names/a:b/web", ""),
    ],
)
def test_a_target_and_its_interface_are_told_apart(text: str, target: str, link: str) -> None:
    """The last colon before an interface, where the word before it may have colons itself."""
    assert split(text) == (target, link)


# ── move ──────────────────────────────────────────────────────────────────────────────────


def a_card() -> dict[str, list[Any]]:
    """Make the card, and return all that is known of it once it has its carrier."""
    says("sh", "-ec", NIC)
    wait_carrier("eth9", "cable")
    return facts("eth9")


def comes_to(before: dict[str, list[Any]], name: str, netns: str = "host") -> None:
    """Demand that an interface has all that it had; the kernel may take a moment for carrier."""
    where = "" if netns == "host" else netns
    with suppress(TimeoutError):
        inside(netns, lambda: wait_for(lambda: facts(name, where) == before, timeout=5))
    assert facts(name, where) == before


def facts(name: str, netns: str = "") -> dict[str, list[Any]]:
    """Return all that `ip` knows of an interface and that must come along, without its place."""
    words = ["-n", netns] if netns else []
    at_home = {"link", "link_index", "link_netnsid", "dev", "stats", "ifindex"}
    asked = (
        ("address", "show", "dev", name),
        ("neighbour", "show", "dev", name, "nud", "permanent"),
        ("route", "show", "table", "all", "dev", name),
        ("-6", "route", "show", "table", "all", "dev", name),
        ("route", "show", "10.9.0.0/16"),
    )
    found = {}
    for question in asked:
        answer = says("ip", "-j", *words, *question).replace(f'"{name}', '"NIC')
        things = [
            {key: value for key, value in thing.items() if key not in at_home}
            for thing in json.loads(answer)
        ]
        found[" ".join(question[:2])] = sorted(things, key=json.dumps)
    return found


@on_a_machine
@pytest.mark.needs("veth")
def test_an_interface_moves_with_all_it_has() -> None:
    """In under another name, and back out: addresses, routes, neighbours, MTU, MAC, state."""
    before = a_card()
    names("red")

    with Warm() as warm:
        there = warm("move", "host:eth9", "red:wan")
        comes_to(before, "wan", "red")
        back = warm("move", "red:wan", "host:eth9")

    assert (there["stderr"], back["stderr"]) == ("", "")
    assert there["stdout"] == (
        "host:eth9 is red:wan  up, 6 addresses, 4 routes\nback: netloom move red:wan host:eth9\n"
    )
    comes_to(before, "eth9")
    assert sorted(links("red")) == ["lo"]


@on_a_machine
@pytest.mark.needs("veth")
def test_an_interface_moves_to_where_the_first_process_is() -> None:
    """In place of `ip link set eth1 netns 1`: a shell is that process, and `move` is its child."""
    before = a_card()
    names("red")
    says(*command("move", "host:eth9", "red"))
    first = ("unshare", "-pf", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh")

    said = says(*first, *command("move", "red:eth9", "pid:1"))

    assert said.startswith("red:eth9 is pid:1:eth9  up, 6 addresses, 4 routes\n")
    comes_to(before, "eth9")
    assert sorted(links("red")) == ["lo"]


@on_a_machine
@pytest.mark.needs("veth")
def test_what_cannot_come_along_is_told() -> None:
    """The move stands where the other namespace refuses an address or a route."""
    says("sh", "-ec", NIC)
    names("red")
    says("ip", "link", "add", "name", "br0", "type", "bridge")
    says("ip", "link", "set", "eth9", "master", "br0")
    says("ip", "link", "set", "lo", "up")
    says("ip", "route", "add", "10.10.0.0/16", "nexthop", "dev", "eth9", "nexthop", "dev", "lo")
    says("ip", "netns", "exec", "red", "sysctl", "-q", "net.ipv6.conf.default.disable_ipv6=1")
    says("ip", "-n", "red", "link", "set", "lo", "up")
    says("ip", "-n", "red", "route", "add", "10.7.0.0/16", "dev", "lo", "metric", "5")

    moved = netloom("move", "host:eth9", "red").ended

    assert moved.returncode == 0
    assert moved.stderr == (
        "note: not kept: its place as a port of `br0`: the bridge stays behind\n"
        "note: not kept: address 2001:db8::2/64: ipv6: IPv6 is disabled on this device\n"
        "note: not kept: address 2001:db8::3/64: ipv6: IPv6 is disabled on this device\n"
        "note: not kept: route 10.7.0.0/16 dev eth9 metric 5 mtu 1300: File exists\n"
        "note: not kept: route 10.8.0.0/16 via 10.7.0.1 dev eth9 table 100: "
        "Nexthop has invalid gateway\n"
        "note: not kept: route 10.10.0.0/16 nexthop dev eth9 weight 1 nexthop dev lo weight 1: "
        "its other hops, or its nexthop object, stay behind\n"
        "note: not kept: route 2001:db8:7::/48 via 2001:db8::1 dev eth9: No route to host\n"
    )


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_what_may_not_move_is_refused_with_the_reason() -> None:
    """What the kernel keeps, what is a lab's, what the machine lives by, and plain mistakes."""
    says("sh", "-ec", NIC)
    names("red")
    says("ip", "link", "add", "name", "br0", "type", "bridge")
    says("ip", "link", "set", "cable", "alias", "netloom:shop/web")
    says("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "out")
    says("ip", "link", "set", "uplink", "up")
    says("ip", "route", "add", "default", "dev", "uplink")
    before = nets("red")

    with Warm() as warm:
        for (origin, goal), said in UNMOVED.items():
            told = warm("move", origin, goal, status=2)["stderr"]
            assert told == f"{said}\nnothing was touched\n"
        assert nets("red") == before
        warm("move", "host:cable", "red", "--force")
        warm("move", "host:uplink", "red", "--force")

    assert nets("red") == {"": ["br0", "eth9", "lo", "out"], "red": ["cable", "lo", "uplink"]}


UNMOVED = {
    ("host:lo", "red"): "`host:lo` cannot leave its namespace\n"
    "hint: every namespace has a `lo` of its own",
    ("host:br0", "red"): "`host:br0` cannot leave its namespace\n"
    "hint: a bridge stays where it was made; make one there: "
    "ip -n NAME link add br0 type bridge",
    ("host:eth9", "red:lo"): "there is an interface `lo` in `red` already\n"
    "hint: name it otherwise there: red:NAME",
    ("host:cable", "red"): "`host:cable` belongs to lab `shop`, which would be broken\n"
    "hint: netloom down shop, or netloom move --force …",
    ("host:uplink", "red"): "the default route of this machine leads through `host:uplink`\n"
    "hint: netloom move --force, if you do not sit behind it",
    ("host:eth9", "host:eth8"): "`host` and `host` are one namespace\n"
    "hint: to rename: ip link set dev eth9 name eth8",
    ("host:eth9", "rad"): "no namespace `rad`: did you mean `red`?",
    ("host", "red"): "`host` names no interface, such as `host:eth0`",
}


@on_a_machine
@pytest.mark.needs("veth")
def test_who_may_not_is_told_so() -> None:
    """A plain user cannot even make a wire on the machine itself; nothing is touched."""
    done = ran(*plainly(MAIN, "wire", "host:a", "host:b"), check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("cannot enter `host`: Operation not permitted\nhint: ")
    assert done.stderr.endswith("\nnothing was touched\n")
    assert nets() == {"": ["lo"]}
