"""`from:` a segment that exists: ports come and go, nothing else."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host, wait_carrier
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

LAB = """\
networks:
  lan: {from: virbr0, range: 192.168.122.200/29, gateway: 192.168.122.1}
namespaces:
  web: {networks: [lan]}
  db: {networks: {lan: 192.168.122.77}}
"""
BRIDGE = """
ip link add virbr0 address 52:54:00:01:02:03 type bridge mcast_snooping 0
ip link set virbr0 addrgenmode none
ip address add 192.168.122.1/24 dev virbr0
ip link set virbr0 up
ip link add vnet0 type veth peer name guest
ip link set vnet0 addrgenmode none
ip link set guest addrgenmode none
ip link set guest up
ip link set vnet0 master virbr0 up
"""


@on_a_host
def test_members_are_ports_of_a_bridge_that_is_there() -> None:
    """They reach each other and the bridge's own address; `down` takes the ports, and no more."""
    says("sh", "-ec", BRIDGE)
    wait_carrier("virbr0", "vnet0", "guest")
    write("shop.yaml", LAB)

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        ports = json.loads(says("bridge", "-j", "link"))
        assert {(port["ifname"], port["master"]) for port in ports} == {
            ("vnet0", "virbr0"),
            ("web.lan", "virbr0"),
            ("db.lan", "virbr0"),
        }
        assert ended("exec", "web", "ping", "-qc9", "-i0.2", "-w2", "db").returncode == 0
        says("ping", "-qc1", "-W2", "192.168.122.200")
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        says("ip", "link", "set", "web.lan", "nomaster")
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_what_is_no_segment_of_ours_to_change_is_refused() -> None:
    """No such bridge, no bridge at all, an address to be guessed, a key that is not ours."""
    says("sh", "-ec", BRIDGE)
    wait_carrier("virbr0", "vnet0", "guest")
    with no_trace():
        for change, said in (
            (("virbr0", "virbr1"), "the host has no bridge `virbr1`"),
            (("virbr0", "eth0"), "`eth0` of the host is no bridge"),
            ((" range: 192.168.122.200/29,", ""), "an address is never guessed"),
            (("gateway: 192.168.122.1", "stp: true"), "so `stp` is not its to say"),
            (("virbr0", "docker:web"), "cannot ask Docker for its network `web` at /"),
        ):
            write("bad.yaml", LAB.replace(*change))
            refused = ended("up", "bad.yaml")
            assert refused.returncode == 2, (change, refused.stderr)
            assert said in refused.stderr, refused.stderr
            assert refused.stderr.endswith("nothing was touched\n")


@contextmanager
def docker(network: dict[str, object]) -> Iterator[None]:
    """Play the socket of Docker's engine for one question."""
    path = Path("/var/run/docker.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            peer = server.accept()[0]
            with peer:
                asked = peer.recv(4096)
                there = b"/networks/web " in asked
                body = json.dumps(network if there else {"message": "not found"}).encode()
                status = b"200 OK" if there else b"404 Not Found"
                peer.sendall(b"HTTP/1.0 " + status + b"\r\n\r\n" + body)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()
    path.unlink()


@on_a_host
def test_a_network_of_docker_s_is_its_bridge() -> None:
    """By the name that it was given, or by the network's number."""
    says("sh", "-ec", BRIDGE.replace("virbr0", "br-0123456789ab"))
    write("shop.yaml", LAB.replace("virbr0", "docker:web"))
    known: dict[str, object] = {"Id": "0123456789abcdef", "Driver": "bridge", "Options": {}}

    with docker(known):
        netloom("up", "-q", "shop.yaml").status(0)
    ports = json.loads(says("bridge", "-j", "link"))
    assert {port["master"] for port in ports} == {"br-0123456789ab"}
    netloom("down", "-q", "shop").status(0)

    write("other.yaml", LAB.replace("virbr0", "docker:wep"))
    with docker(known):
        refused = ended("up", "other.yaml")
    assert (refused.returncode, "Docker has no network `wep`" in refused.stderr) == (2, True)


SHOP = """\
networks:
  lan: {subnet: 10.80.0.0/24, uplink: nat}
namespaces:
  web: {networks: {lan: 10.80.0.10}}
"""
GUEST = """\
networks:
  far: {from: shop/lan, range: 10.80.0.64/28, gateway: 10.80.0.1}
namespaces:
  probe: {networks: [far]}
"""


@on_a_host
def test_a_network_of_another_lab_is_joined() -> None:
    """A member reaches the other's, and its gateway; the other's `down` does not cut it off."""
    write("shop.yaml", SHOP)
    write("guest.yaml", GUEST)
    with no_trace():
        refused = ended("up", "guest.yaml")
        assert (refused.returncode, "the lab `shop` is not up" in refused.stderr) == (2, True)
        netloom("up", "-q", "shop.yaml").status(0)
        with no_trace():
            netloom("up", "-q", "guest.yaml").status(0)
            ports = json.loads(
                says("ip", "-n", "shop.switch", "-j", "link", "show", "master", "lan")
            )
            assert {port["ifname"] for port in ports} == {"host.lan", "web.lan", "probe.far"}
            for target in ("10.80.0.10", "10.80.0.1", "192.0.2.2"):
                args = ("exec", "probe", "ping", "-qc2", "-i0.2", "-w2", target)
                assert ended(*args).returncode == 0, target
            for lab in ("shop", "guest"):
                netloom("verify", lab).stdout(f"{lab}  is as it was applied\n").status(0)
            kept = ended("down", "shop")
            assert kept.returncode == 2
            assert "members of `guest` are on networks of the lab `shop`" in kept.stderr
            netloom("down", "-q", "guest").status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_a_joined_lab_that_goes_all_the_same_is_missed_and_found_again() -> None:
    """After `down --force` of the other, `verify` tells, and `up` joins again when it is back."""
    write("shop.yaml", SHOP)
    write("guest.yaml", GUEST)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("up", "-q", "guest.yaml").status(0)
        netloom("down", "-q", "--force", "shop").status(0)
        missing = ended("verify", "guest")
        assert (missing.returncode, "probe:far" in missing.stdout) == (3, True), missing
        assert ended("up", "guest.yaml").returncode == 2
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("up", "-q", "guest.yaml").status(0)
        assert ended("exec", "probe", "ping", "-qc1", "-w2", "10.80.0.10").returncode == 0
        netloom("down", "-q", "--force", "shop").status(0)
        netloom("down", "-q", "guest").status(0)


@on_a_host
def test_what_of_another_lab_cannot_be_joined_is_refused() -> None:
    """A network that it lacks, or does not own itself; one's own."""
    write("shop.yaml", SHOP)
    write("guest.yaml", GUEST)
    write("third.yaml", GUEST.replace("shop/lan", "guest/far").replace("probe", "third"))
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("up", "-q", "guest.yaml").status(0)
        for file, change, said in (
            ("third.yaml", ("", ""), "`far` of `guest` is not its own"),
            ("fourth.yaml", ("guest/far", "shop/lam"), "has no network `lam`"),
            ("fifth.yaml", ("guest/far", "shob/lan"), "the lab `shob` is not up"),
            ("guest.yaml", ("guest/far", "guest/far"), "a lab does not join its own network"),
        ):
            write(
                file, GUEST.replace("shop/lan", "guest/far").replace("probe", "x").replace(*change)
            )
            refused = ended("up", file)
            assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
        netloom("down", "-q", "guest").status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_several_guests_go_one_by_one_and_all_at_once() -> None:
    """No guest is another's; `--all` takes those who have joined before those they have joined."""
    write("shop.yaml", SHOP)
    write("guest.yaml", GUEST)
    write("zoo.yaml", GUEST.replace("probe", "zebra").replace("64/28", "80/28"))
    with no_trace():
        for file in ("shop.yaml", "guest.yaml", "zoo.yaml"):
            netloom("up", "-q", file).status(0)
        Path("/run/netloom/labs/aaa").mkdir()
        Path("/run/netloom/labs/aaa/record").write_text("broken")
        netloom("down", "-q", "guest").status(0)
        Path("/run/netloom/labs/aaa/record").unlink()
        Path("/run/netloom/labs/aaa").rmdir()
        netloom("up", "-q", "guest.yaml").status(0)
        netloom("down", "-q", "--all").status(0)


@pytest.mark.parametrize("bridge", ["", "bridge: br7, "])
@on_a_host
def test_a_guest_is_not_cut_off_by_a_change(bridge: str) -> None:
    """Neither by `down`, nor by `up` of a file without the network, wherever its bridge stands."""
    shop = SHOP.replace("subnet", f"{bridge}subnet")
    write("shop.yaml", shop)
    write("guest.yaml", GUEST)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("up", "-q", "guest.yaml").status(0)
        write("shop.yaml", "namespaces: [web]\n")
        for words in (("up", "shop.yaml"), ("down", "shop")):
            refused = ended(*words)
            assert refused.returncode == 2, words
            assert "members of `guest` are on networks of the lab `shop`" in refused.stderr
        assert ended("exec", "probe", "ping", "-qc1", "-w2", "10.80.0.10").returncode == 0
        netloom("down", "-q", "guest").status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_a_network_that_is_gone_is_not_joined() -> None:
    """Its lab remembers it, and the kernel has it no more."""
    write("shop.yaml", SHOP)
    write("guest.yaml", GUEST)
    netloom("up", "-q", "shop.yaml").status(0)
    for words in (
        ("ip", "-n", "shop.switch", "link", "del", "lan"),
        ("ip", "netns", "del", "shop.switch"),
    ):
        says(*words)
        refused = ended("up", "guest.yaml")
        assert refused.returncode == 2
        assert "`lan` of the lab `shop` is not there now" in refused.stderr
    netloom("up", "-q", "shop.yaml").status(0)
    assert ended("undo", "shop").returncode == 0
    assert ended("up", "guest.yaml").returncode == 2
    netloom("down", "-q", "shop").status(0)
