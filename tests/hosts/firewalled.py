"""A host with somebody else's firewall, a pretend internet, and what a lab reaches from there.

The firewalls are the real programs, on a machine of the test's own; the lab is one by a file.
"""

import functools
import json
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

import pytest

from tests.hosts.internet import HOST4, HOST6, WEB4, WEB6, an_internet, inside, says_in
from tests.hosts.machine import on
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import says

_P = ParamSpec("_P")
_T = TypeVar("_T")

SHOP = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces:
  web: {networks: [lan], publish: "8080:80"}
"""
SHOP4 = SHOP.replace('[10.100.0.0/24, "fd00:100::/64"]', "10.100.0.0/24")

DEADLINE = 20.0
"""Seconds that a daemon may take to come up."""

ARRIVES = 5.0
"""Seconds that a packet may take which must arrive."""

LOST = 0.1
"""Seconds after which one that must not arrive has not arrived."""


def on_a_firewalled_host(*etc: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Run a test on such a host, with these of the machine's own files below /etc copied there.

    The shop's file is in its working folder.
    """
    return on(functools.partial(_a_firewalled_host, etc), "netns", "ip", "veth", "bridge", "nft")


@contextmanager
def _a_firewalled_host(etc: Iterable[str]) -> Iterator[None]:
    old = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with an_internet():
            _bring(old, etc)
            write("shop.yaml", SHOP)
            yield
    finally:
        os.close(old)


def _bring(old: int, names: Iterable[str]) -> None:
    for name in names:
        source, target = Path(f"/proc/self/fd/{old}/{name}"), Path("/etc", name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy(source, target)
    Path("/run/lock").mkdir()  # ufw makes it


# ── traffic ───────────────────────────────────────────────────────────────────────────────


class Reached(NamedTuple):
    """Which ways TCP finds: out, in by the published port, in past it.

    `back` is the member's own way to that port of the host, and by it to itself; `resolver` is port
    53 of the host, `private` another port of it, both asked by the member.
    """

    out: bool
    published: bool
    back: bool
    inwards: bool
    resolver: bool
    private: bool


NONE = Reached(out=False, published=False, back=False, inwards=False, resolver=False, private=False)

ALL = Reached(out=True, published=True, back=True, inwards=False, resolver=True, private=False)
"""What a lab needs, and no more."""

OPEN = ALL._replace(private=True)
"""The same where nothing guards the host itself."""

SHUT = NONE._replace(resolver=True, private=True)
"""Nothing that is forwarded."""

_ADDRESSES = {
    4: (WEB4, HOST4, "10.100.0.1", "10.100.0.2"),
    6: (WEB6, HOST6, "fd00:100::1", "fd00:100::2"),
}


def reaches(ipv4: Reached, ipv6: Reached | None = None) -> None:
    """Demand that these are the ways that connections find, tried all at once.

    Neighbours that were asked for in vain while a wall stood are forgotten: the kernel asks again
    after a second.
    """
    for where in ("host", "web", "beyond"):
        says_in(where, "ip", "neighbour", "flush", "nud", "all")
    expected = {4: ipv4} | ({6: ipv6} if ipv6 else {})
    with ExitStack() as stack:
        tries = {family: [*_tries(family, stack)] for family in expected}
        every = [sock for family in expected for sock in tries[family]]
        wanted = [ok for family in expected for ok in expected[family]]
        came = _arrived(every, {sock for sock, ok in zip(every, wanted, strict=True) if ok})
        found = {f: Reached(*(sock in came for sock in each)) for f, each in tries.items()}
    assert found == expected


def _tries(family: int, stack: ExitStack) -> Iterator[socket.socket]:
    """Begin a connection on each way; a kernel accepts it without anybody who does."""
    web, host, gateway, member = _ADDRESSES[family]
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    places = (("beyond", web, 7), ("web", member, 80), ("web", member, 81))
    for where, address, port in (*places, ("host", gateway, 53), ("host", gateway, 54)):
        listen = functools.partial(socket.create_server, (address, port), family=kind)
        stack.enter_context(inside(where, listen))
    for where, address, port in (
        ("web", web, 7),
        ("beyond", host, 8080),
        ("web", host, 8080),
        ("beyond", member, 81),
        ("web", gateway, 53),
        ("web", gateway, 54),
    ):
        sock = stack.enter_context(inside(where, lambda: socket.socket(kind)))
        sock.settimeout(0)
        sock.connect_ex((address, port))
        yield sock


def _arrived(tried: list[socket.socket], until: set[socket.socket]) -> set[socket.socket]:
    """Return which connections come about, when some have, and the others have had their time."""
    poll = select.poll()
    by_fd = {sock.fileno(): sock for sock in tried}
    for fd in by_fd:
        poll.register(fd, select.POLLOUT)
    came = set[socket.socket]()
    begun = time.monotonic()
    while (left := begun + (LOST if until <= came else ARRIVES) - time.monotonic()) > 0:
        for fd, _ in poll.poll(left * 1000):
            poll.unregister(fd)
            if by_fd[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                came.add(by_fd[fd])
    return came


# ── exceptions ────────────────────────────────────────────────────────────────────────────


def exceptions(said: str) -> list[str]:
    """Return what a plan says of exceptions: whose firewall, and by what command."""
    lines = (line.strip() for line in said.splitlines())
    told = (line.partition(" exception host ")[2] for line in lines if " exception host " in line)
    return [line.partition("  # ")[0] for line in told]


def owners(said: str) -> set[str]:
    """Return in whose firewalls a plan has exceptions."""
    return {line.partition(":")[0] for line in exceptions(said)}


def missed(netloom: Warm, file: str = "shop.yaml") -> list[str]:
    """Have `verify` miss exceptions and nothing else; return them."""
    said = netloom("verify", file, status=3)["stdout"]
    found = exceptions(said)
    assert f"\n{len(found)} change" in said
    return found


def planned(netloom: Warm, file: str = "shop.yaml") -> list[str]:
    """Return the exceptions that `plan` shows, all of them below `host:`."""
    said = netloom("plan", file)["stdout"]
    assert exceptions(said) == exceptions(said.partition("host:\n")[2])
    return exceptions(said)


def up(netloom: Warm, file: str = "shop.yaml") -> None:
    """Bring a lab up, or mend it; then `verify` has nothing to say."""
    netloom("up", file)
    netloom("verify", file)


# ── witnesses ─────────────────────────────────────────────────────────────────────────────


def ruleset() -> list[str]:
    """Return all of nftables as `nft` lists it, without handles, indexes and counters."""
    listed = json.loads(says("nft", "-j", "-s", "list", "ruleset"))["nftables"]
    for each in listed:
        for body in each.values():
            body.pop("handle", None)
    return [json.dumps(each, sort_keys=True) for each in listed]


def saved(*programs: str) -> list[str]:
    """Return what programs such as `iptables-nft-save` print, without times and counters."""
    lines = [line for program in programs for line in says(program).splitlines()]
    return [line.partition(" [")[0] for line in lines if not line.startswith("#")]


@contextmanager
def daemon(*argv: str, answers: Callable[[], bool]) -> Iterator[int]:
    """Run a daemon until the end of the block, once it answers."""
    log = Path("/run/daemon.log")
    with log.open("a") as file:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        until = time.monotonic() + DEADLINE
        while not answers():
            if process.poll() is not None or time.monotonic() > until:
                pytest.skip(f"{argv[0]} does not come up: {log.read_text()}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(DEADLINE)


@contextmanager
def bus() -> Iterator[None]:
    """Run the bus by which firewalld and libvirt are spoken to."""
    Path("/run/dbus").mkdir()
    argv = ("dbus-daemon", "--system", "--nofork", "--nopidfile")
    with daemon(*argv, answers=Path("/run/dbus/system_bus_socket").exists):
        yield
