"""Networks larger than a bridge, and names longer than the kernel's."""

import resource
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from netloom.engine import front as engine
from netloom.kernel.netlink import Rtnetlink
from netloom.language.parse import parse
from netloom.namespaces.enter import in_thread, setns
from netloom.namespaces.handle import open_name
from netloom.wire.rtnetlink import get_link, read_links
from tests.kernel.worlds_made import MACHINE, alone, ip

pytestmark = pytest.mark.needs("netns", "veth", "bridge", "ip")

BIG = """
name: loom
networks: {big: {subnet: 10.50.0.0/16}}
namespaces: {n: {count: COUNT, networks: [big]}}
"""
PORT = 7000


def up(count: int) -> None:
    """Make a network of so many members, or let it grow."""
    engine.up(parse(BIG.replace("COUNT", str(count))), MACHINE)


@contextmanager
def sockets(names: Sequence[str], address: str = "") -> Iterator[list[socket.socket]]:
    """Open a UDP socket in each namespace, by one thread that goes from one to the next."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with ExitStack() as stack:

        def opened(name: str) -> socket.socket:
            with open_name(name) as netns:
                setns(netns)
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.bind((address, PORT))
            sock.settimeout(5)
            return sock

        yield in_thread(lambda: [opened(name) for name in names])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def members(*numbers: int) -> list[str]:
    """Return the names of members."""
    return [f"n{number}" for number in numbers]


def indexes(names: Sequence[str]) -> list[int]:
    """Return the index of the link `big` in each namespace."""

    def index(name: str) -> int:
        with open_name(name) as netns:
            setns(netns)
        with Rtnetlink() as rt:
            return read_links([rt.ask(get_link("big"))])[0].index

    return in_thread(lambda: [index(name) for name in names])


def heard(everyone: list[socket.socket]) -> int:
    """Return how many hear a broadcast of the first.

    It is sent a few times: a copy for each member waits in one queue, whose length is the machine's
    (net.core.netdev_max_backlog).
    """
    others = dict(enumerate(everyone[1:]))
    for sock in everyone:
        sock.settimeout(0.2)
    for _ in range(5):
        everyone[0].sendto(b"all", ("10.50.255.255", PORT))
        for number, sock in list(others.items()):
            try:
                sock.recv(16)
            except TimeoutError:
                break
            del others[number]
    return len(everyone) - len(others)


def test_a_thousand_members_and_then_some() -> None:
    """A thousand reach their neighbours; growing past a bridge moves nobody, and all are heard."""

    def check() -> None:
        up(1000)
        some = members(*range(2, 1001, 50))
        before = indexes(some)
        with sockets(["n1", *some]) as (first, *others):
            for sock in others:
                sock.sendto(b"hello", ("10.50.0.1", PORT))
                word, sender = first.recvfrom(16)
                first.sendto(word, sender)
                assert sock.recv(16) == b"hello"

        up(1100)
        assert indexes(some) == before
        ports = [link.get("master") for link in ip("link", "loom.switch")]
        assert (ports.count("big"), ports.count("big.1")) == (1001, 101)
        with sockets(members(*range(1, 1101))) as everyone:
            assert heard(everyone) == 1100

        engine.down("loom", MACHINE)
        assert [link["ifname"] for link in ip("link")] == ["lo"]

    alone(check)


NAMES = [f"{letter * 55}.site" for letter in "ab"]
NETS = [f"network-{letter * 40}-backbone" for letter in "xy"]
LONG = f"""
name: loom
networks: {{{NETS[0]}: {{subnet: 10.1.0.0/24}}, {NETS[1]}: {{subnet: 10.2.0.0/24}}}}
namespaces:
  {NAMES[0]}: {{networks: {NETS}}}
  {NAMES[1]}: {{networks: {NETS}}}
links: [[{NAMES[0]}, {NAMES[1]}]]
"""


def test_long_names_are_altnames() -> None:
    """A namespace of sixty bytes, on two networks and a wire: found by the whole name."""

    def check() -> None:
        engine.up(parse(LONG), MACHINE)
        for name, far in zip(NAMES, reversed(NAMES), strict=True):
            found = {link["altnames"][0]: link for link in ip("link", name) if "altnames" in link}
            assert found.keys() == {*NETS, far}
            assert all(len(link["ifname"]) <= 15 for link in found.values())
            assert ip(f"link show dev {NETS[1]}", name)[0]["ifname"] == found[NETS[1]]["ifname"]
        for address in ("10.1.0.", "10.2.0."):
            with sockets(NAMES) as (one, two):
                one.sendto(b"hello", (f"{address}2", PORT))
                assert two.recv(16) == b"hello"
        assert engine.verify("loom", MACHINE) == engine.Verified(())

    alone(check)
