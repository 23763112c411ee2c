"""`Lab.capture_packets`: what goes over the links of a lab, in a file that others read."""

import io
import os
import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netloom import Lab, NetloomError, Unavailable
from netloom.api.processes.socket_closer import _CLOSER
from netloom.api.recording import Recording
from netloom.wire.pcapng import CapturedInterface, Packet, Statistics, decode
from tests.hosts.programs import plainly, python, ran

pytestmark = pytest.mark.needs("userns", "veth", "bridge")

DROP_CANARIES = (
    "add table netdev t; add chain netdev t out "
    "{ type filter hook egress device b priority 0; ether type 0x88b5 drop; }"
)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Return an empty lab."""
    with Lab() as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a capture goes."""
    return tmp_path / "lab.pcapng"


def seen(path: Path) -> list[tuple[str, str]]:
    """Return the interface and the protocols of each packet, as tshark tells them."""
    argv = ["tshark", "-nr", str(path), "-Tfields", "-eframe.interface_name", "-eframe.protocols"]
    try:
        lines = ran(*argv).stdout.splitlines()
    except FileNotFoundError:
        pytest.skip("needs tshark (apt-get install tshark)")
    return [(link, protocols) for link, protocols in (line.split("\t") for line in lines)]


def canaries(data: bytes) -> list[tuple[str, str]]:
    """Return where each canary was seen, and the link that it names."""
    blocks = list(decode(data))
    links = [block.name for block in blocks if isinstance(block, CapturedInterface)]
    packets = [block for block in blocks if isinstance(block, Packet)]
    found = [(one, re.search(rb"netloom canary \d+ of lab: (.*)", one.data)) for one in packets]
    return [(links[one.interface], text[1].decode()) for one, text in found if text]


def test_links_of_all_namespaces_are_in_one_file(lab: Lab, path: Path) -> None:
    """Those that were there, and those of later; each packet where it leaves and where it comes."""
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    with lab.capture_packets(path):
        assert a.reaches(b)
        lab.network("lan")
        c, d = lab.netns("c", "d", networks=["lan"])
        assert c.reaches(d)

    packets = seen(path)
    pings = [link for link, protocols in packets if protocols.endswith(":ip:icmp")]
    assert pings[:4] == ["a:b", "b:a", "b:a", "a:b"]
    assert pings[4:] == ["c:lan", "d:lan", "d:lan", "c:lan"]


@pytest.mark.needs("tcpdump")
def test_each_link_has_two_canaries(lab: Lab, path: Path) -> None:
    """The first when it is first heard, the last at the end; they go no further than a wire."""
    lab.network("lan")
    a, b = lab.netns("a", "b", networks=["lan"])
    with lab.capture_packets(str(path)):
        assert a.reaches(b)
        lab.wire("c", lab.netns("c", "d")[1])

    lines = ran("tcpdump", "-nr", str(path)).stdout.splitlines()
    loom = [number for number, line in enumerate(lines) if "0x88b5" in line]
    pings = [number for number, line in enumerate(lines) if "ICMP echo" in line]
    assert len(pings) == 4
    assert loom[1] < pings[0] < pings[-1] < loom[2]
    found = canaries(path.read_bytes())
    assert sorted(place for place, named in found if place == named) == sorted(
        ["a:lan", "b:lan", "c:d", "d:c"] * 2
    )
    assert sorted(place for place, named in found if place != named) == ["c:d"] * 2 + ["d:c"] * 2


@pytest.mark.needs("nft")
def test_a_link_that_was_not_heard_is_told(lab: Lab, path: Path) -> None:
    """Where its canary is not in the file; a link that is down is none to be heard."""
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    lab.wire("a:dark", "b:dark")
    a.run(["ip", "link", "set", "dark", "down"], check=True)
    a.run(["nft", DROP_CANARIES], check=True)
    with pytest.warns(RuntimeWarning) as told, lab.capture_packets(path):
        assert a.reaches(b)
    assert [str(one.message) for one in told] == [f"{path}: the capture did not see a:b"]
    assert ("a:b", "a:b") not in canaries(path.read_bytes())


def test_packets_that_found_no_room_are_told(lab: Lab) -> None:
    """A recording that nobody reads keeps what the kernel has room for, and counts the rest."""
    a = lab.netns("a")
    file = io.BytesIO()
    recording = Recording(lab, file)
    recording.follow()
    with a.socket(type=socket.SOCK_DGRAM) as sock:
        for _ in range(400):
            sock.sendto(bytes(60_000), ("127.0.0.1", 9))
    told = recording.prove()
    assert [line.rpartition(": ")[0] for line in told] == [
        "the capture lost packets of a that found no room"
    ]
    recording.write_counts(file)
    counts = [one for one in decode(file.getvalue()) if isinstance(one, Statistics)]
    assert [str(one.dropped) for one in counts] == [told[0].rpartition(": ")[2]]
    recording.end()


def test_a_capture_for_which_there_is_no_thread_is_refused(lab: Lab, path: Path) -> None:
    """What clone(2) refuses: here a stack larger than the memory. Nothing of it stays."""
    lab.netns("a")
    before = len(os.listdir("/proc/self/fd"))
    whole = threading.stack_size(1 << 46)
    try:
        with pytest.raises(NetloomError, match="cannot capture packets"):
            lab.capture_packets(path)
    finally:
        threading.stack_size(whole)

    assert len(os.listdir("/proc/self/fd")) == before
    with lab.capture_packets(path):
        pass


def test_a_removed_namespace_is_let_go_of(lab: Lab, path: Path) -> None:
    """Its wires go with it at once, and one of the same name is heard anew."""
    a, b = lab.netns("a", "b")
    with lab.capture_packets(path):
        for _ in "12":
            lab.wire(a, b)
            assert a.reaches(b)
            lab.remove(b)
            assert a.call(os.listdir, "/sys/class/net") == ["lo"]
            b = lab.netns("b")
    found = canaries(path.read_bytes())
    assert found.count(("b:a", "b:a")) == 2
    assert found.count(("a:b", "a:b")) == 2


def test_a_capture_ends_once(lab: Lab, path: Path) -> None:
    """By `undo`, at the end of its block, or with its lab; the file is whole then."""
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    change = lab.capture_packets(path)
    other = lab.capture_packets(path.with_name("other"))
    change.undo()
    change.undo()
    size = path.stat().st_size
    assert a.reaches(b)
    lab.close()
    other.undo()
    assert path.stat().st_size == size
    assert isinstance(list(decode(path.read_bytes()))[-1], Statistics)
    assert isinstance(list(decode(path.with_name("other").read_bytes()))[-1], Statistics)


def test_what_cannot_be_captured_is_refused(lab: Lab, path: Path) -> None:
    """A file that cannot be written, a lab that is not open: before anything."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(Unavailable, match="cannot write `/nowhere/x`: No such file"):
        lab.capture_packets("/nowhere/x")
    assert os.listdir("/proc/self/fd") == before
    lab.close()
    with pytest.raises(Unavailable, match="is not open"):
        lab.capture_packets(path)
    assert not path.exists()


def test_a_file_that_is_cut_short_is_told(lab: Lab) -> None:
    """Who uses the lab is not disturbed."""
    change = lab.capture_packets("/dev/full")
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    assert a.reaches(b)
    with pytest.warns(RuntimeWarning) as told:
        change.undo()
    assert [str(one.message) for one in told] == [
        "/dev/full: the capture failed: No space left on device",
        "/dev/full: the file is cut short: No space left on device",
    ]


STAYS = """
import os, threading, warnings
from netloom import Lab

def capture():
    with Lab() as lab, lab.capture_packets(os.devnull):
        lab.wire(*lab.netns("a", "b"))
    return threading.active_count(), len(os.listdir("/proc/self/fd")), os.getpid()

assert capture() == capture()
print(os.getpid(), *open("/proc/thread-self/children").read().split())
"""


def test_nothing_of_a_capture_stays() -> None:
    """No thread and no descriptor; the process that closes sockets ends with the program."""
    program, *others = ran(*python(STAYS)).stdout.split()
    assert others
    assert not any(os.path.exists(f"/proc/{pid}") for pid in (program, *others))


def test_who_closes_sockets_may_be_ended(lab: Lab) -> None:
    """Then they are closed here, and the next recording is as good."""
    lab.netns("a")
    for _ in "123":
        recording = Recording(lab, io.BytesIO())
        recording.follow()
        recording.end()
        assert recording.failure == ""
        closer = _CLOSER._process
        assert closer
        closer.kill()
        closer.wait()


FORKS = """
import os, time
from netloom import Lab
with Lab() as lab, lab.capture_packets(os.devnull):
    lab.wire(*lab.netns("a", "b"))
gone, stays = os.pipe()
if os.fork() == 0:
    os.close(stays)
    os.read(gone, 1)  # until the program has ended
    os._exit(0)
"""


def test_a_process_that_was_forked_keeps_no_program_from_its_end() -> None:
    """Though it has the same socket to who closes others."""
    ran(*python(FORKS))


PLAIN = """
from netloom import Lab
with Lab() as lab:
    with lab.capture_packets(sys.argv[1]):
        a, b = lab.netns("a", "b")
        lab.wire(a, b)
        assert a.reaches(b)
"""


def test_a_plain_user_captures() -> None:
    """By sockets that children of the process open and hand over."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        path = Path(folder, "lab.pcapng")
        ran(*plainly(PLAIN, str(path)))
        found = canaries(path.read_bytes())
    assert [place for place, named in found if place == named] == ["a:b", "b:a"] * 2
