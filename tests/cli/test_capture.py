"""`capture --packets`: real packets of several namespaces in one file, read by others, too."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from netloom.wire.pcapng import (
    BROADCAST,
    INBOUND,
    OUTBOUND,
    UNICAST,
    CapturedInterface,
    Packet,
    Statistics,
    decode,
)
from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import Warm, command, write
from tests.hosts.programs import ran, says

_T = TypeVar("_T")

WIRE = """
ip netns add red
ip netns add blue
ip link add eth0 netns red address 02:00:00:00:00:01 type veth peer name eth0 \
    address 02:00:00:00:00:02 netns blue
for one in red blue; do
  ip -n $one link set eth0 addrgenmode none
  ip -n $one link set eth0 up
  ip -n $one link set lo up
done
ip -n red address add 10.0.0.1/24 dev eth0
ip -n blue address add 10.0.0.2/24 dev eth0
ip -n red neighbour add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0
ip -n blue neighbour add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0
"""
LAB = """
namespaces: {a: {networks: [lan]}, b: {networks: [lan]}, host: {networks: [lan]}}
networks: [lan]
"""


@contextmanager
def capturing(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a capture for a while, from when it says that it captures."""
    argv = command("capture", "--packets", *words)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as capture:
        try:
            assert capture.stderr is not None
            line = capture.stderr.readline()
            assert line.startswith(b"capturing on "), line + capture.stderr.read()
            yield capture
        finally:
            capture.kill()


def ended(capture: subprocess.Popen[bytes]) -> tuple[bytes, str]:
    """Wait for its end, which must be a good one; return what it wrote, and its last words."""
    out, err = capture.communicate(timeout=30)
    assert capture.returncode == 0, err
    return out, err.decode()


def ping(count: int = 1) -> None:
    """Ping blue from red."""
    says("ip", "netns", "exec", "red", "ping", "-qc", str(count), "-i0.01", "-W5", "10.0.0.2")


def in_red(call: Callable[[], _T]) -> _T:
    """Make a call inside of red."""
    with open_name("red") as red:
        return enter(red, call)


def read(data: bytes) -> tuple[list[str], list[Packet], list[Statistics]]:
    """Return the names of the interfaces, the packets, and the counters at the end."""
    blocks = list(decode(data))
    interfaces = [block for block in blocks if isinstance(block, CapturedInterface)]
    packets = [block for block in blocks if isinstance(block, Packet)]
    counters = [block for block in blocks if isinstance(block, Statistics)]
    assert blocks[1:] == [*interfaces, *packets, *counters]
    assert len(counters) == len(interfaces)
    return [interface.name for interface in interfaces], packets, counters


@on_a_machine
@pytest.mark.needs("veth", "ping")
def test_packets_of_two_namespaces_are_in_one_file_in_order() -> None:
    """A ping, seen four times: where it leaves and where it comes in, there and back."""
    says("sh", "-ec", WIRE)
    with capturing("red:eth0", "blue:eth0", "--count", "4", "-o", "-") as capture:
        ping()
        data, last = ended(capture)

    names, packets, counters = read(data)
    assert last == "4 packets of 2 interfaces\n"
    assert names == ["red:eth0", "blue:eth0"]
    assert [(packet.interface, packet.flags) for packet in packets] == [
        (0, OUTBOUND),
        (1, INBOUND | UNICAST),
        (1, OUTBOUND),
        (0, INBOUND | UNICAST),
    ]
    times = [packet.time for packet in packets]
    assert times == sorted(times)
    assert {packet.length for packet in packets} == {98}
    assert [(counter.received, counter.dropped) for counter in counters] == [(2, 0), (2, 0)]
    assert all(one.started <= times[0] <= times[-1] <= one.ended for one in counters)


@on_a_machine
@pytest.mark.needs("veth", "ping")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_whole_file(number: int) -> None:
    """What was sent before the signal is in the file, which other programs read."""
    says("sh", "-ec", WIRE)
    with capturing("blue:eth0", "-o", "/run/out.pcapng") as capture:
        ping(5)
        capture.send_signal(number)
        _, last = ended(capture)

    assert last == "10 packets of 1 interface in /run/out.pcapng\n"
    _, packets, counters = read(Path("/run/out.pcapng").read_bytes())
    assert len(packets) == counters[0].received == 10
    try:
        lines = ran("tcpdump", "-nr", "/run/out.pcapng").stdout.splitlines()
    except FileNotFoundError:
        pytest.skip("needs tcpdump (apt-get install tcpdump)")
    assert sum("10.0.0.1 > 10.0.0.2: ICMP echo request" in line for line in lines) == 5


@on_a_machine
@pytest.mark.needs("veth")
def test_it_ends_with_its_reader() -> None:
    """Wireshark at the other end of a pipe is closed: the next packet finds nobody."""
    says("sh", "-ec", WIRE)
    with capturing("red:lo", "-o", "-") as capture:
        assert capture.stdout is not None
        capture.stdout.close()
        in_red(knock)
        assert capture.wait(timeout=30) == 0
        assert capture.stderr is not None
        assert capture.stderr.read() == b"the reader of the packets has gone\n"


@on_a_machine
@pytest.mark.needs("veth")
def test_what_finds_no_room_is_counted() -> None:
    """While netloom is held up, packets fill its socket; those beyond are counted as dropped."""
    says("sh", "-ec", WIRE)
    with capturing("red:lo", "-o", "/run/out.pcapng") as capture:
        os.kill(capture.pid, signal.SIGSTOP)
        sent = in_red(flood)
        os.kill(capture.pid, signal.SIGCONT)
        capture.send_signal(signal.SIGINT)
        _, last = ended(capture)

    _, packets, (counter,) = read(Path("/run/out.pcapng").read_bytes())
    assert counter.dropped > 0
    assert f"; {counter.dropped} more found no room and are lost\n" in last
    assert counter.received >= sent  # each goes out, and comes in, which alone is kept
    assert 0 < len(packets) < sent
    assert all(packet.length == len(packet.data) for packet in packets)
    assert 60_042 in {packet.length for packet in packets}


def flood() -> int:
    """Send more to oneself than a socket's buffer takes; return how many packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(600):
            sock.sendto(bytes(60_000), ("127.0.0.1", 9))
    return 600


def knock() -> None:
    """Send one packet to oneself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"", ("127.0.0.1", 9))


@on_a_machine
@pytest.mark.needs("veth")
def test_a_tag_that_the_kernel_took_out_is_put_back() -> None:
    """On its way in a packet loses its VLAN tag before anybody sees it (skb_vlan_untag)."""
    says("sh", "-ec", WIRE)
    tagged = bytes.fromhex("ffffffffffff 020000000001 8100 6005 88b5") + b"tagged".ljust(50)

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind(("eth0", 0))
            sock.send(tagged)

    with capturing("blue:eth0", "--count", "1", "-o", "-") as capture:
        in_red(send)
        data, _ = ended(capture)

    _, (packet,), _ = read(data)
    assert packet.data == tagged
    assert (packet.length, packet.flags) == (len(tagged), INBOUND | BROADCAST)


@on_a_machine
@pytest.mark.needs("veth")
def test_an_interface_that_goes_is_told_and_the_others_go_on() -> None:
    """Its wire is deleted; what is left is still heard."""
    says("sh", "-ec", WIRE)
    with capturing("red", "--count", "1", "-o", "-") as capture:
        says("ip", "-n", "red", "link", "del", "dev", "eth0")
        assert capture.stderr is not None
        assert capture.stderr.readline() == b"note: red:eth0 is down\n"
        in_red(knock)
        data, _ = ended(capture)

    names, packets, _ = read(data)
    assert (names, [packet.interface for packet in packets]) == (["red:lo", "red:eth0"], [0])


@on_a_machine
@pytest.mark.needs("veth")
def test_without_names_it_is_all_of_them() -> None:
    """Every interface of every named namespace; a time ends it, and no file is written over."""
    says("sh", "-ec", WIRE)
    os.chdir("/run")
    with Warm() as warm:
        told = warm("capture", "--packets", "--for", "0")["stderr"]
        again = warm("capture", "--packets", "--for", "0", status=2)["stderr"]

    assert told == (
        "capturing on blue:lo, blue:eth0, red:lo, red:eth0\n"
        "0 packets of 4 interfaces in capture.pcapng\n"
    )
    assert again == (
        "`capture.pcapng` exists\nhint: -o capture.pcapng writes over it\nnothing was touched\n"
    )


@on_a_host
def test_of_a_lab_it_is_its_members_and_its_part_of_the_host() -> None:
    """Its switch is left out: it sees the same packets once more."""
    write("shop.yaml", LAB)
    says("ip", "netns", "add", "other")
    with Warm() as warm:
        warm("up", "shop.yaml")
        told = warm("capture", "--packets", "--lab", "shop", "--for", "0")
        unknown = warm("capture", "--packets", "--lab", "shap", status=2)["stderr"]

    heard = told["stderr"].splitlines()[0].removeprefix("capturing on ").split(", ")
    assert heard == ["a:lo", "a:lan", "b:lo", "b:lan", "host:lan"]
    assert unknown == "no lab `shap` is up\nhint: netloom labs\nnothing was touched\n"


WRONG = {
    (): "what is to be captured?\nhint: netloom capture --packets",
    ("--packets", "rad"): "no namespace `rad`: did you mean `red`?",
    ("--packets", "red:eth1"): "no interface `eth1` in `red`\nhint: there is `lo`, `eth0`",
    ("--packets", "red", "--lab", "x"): "NS:IF and --lab exclude each other",
    ("--packets", "red", "-o", "/nowhere/x"): "cannot write `/nowhere/x`: "
    "No such file or directory",
}


@on_a_machine
@pytest.mark.needs("veth")
def test_what_cannot_be_captured_is_refused() -> None:
    """Each mistake has its reason."""
    says("sh", "-ec", WIRE)
    with Warm() as warm:
        for words, said in WRONG.items():
            told = warm("capture", *words, status=2)["stderr"]
            assert told.removeprefix("capturing on red:lo, red:eth0\n") == (
                f"{said}\nnothing was touched\n"
            )
