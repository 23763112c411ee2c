"""A host with somebody else's firewall, and on it the stand-in of a lab with `uplink: nat`.

    mem (10.100.0.2) ── lan [ the host ] eth0 ── net (192.0.2.1, "the internet")

The host forwards, hides the member's addresses, and publishes its port 80 as 8080. The firewalls
are the real programs, on a machine of the test's own.
"""

import functools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

import pytest

from netloom.host.passages import put, read, remove
from netloom.model.walls import Passage, Published, Through
from netloom.netns.enter import aside, enter
from netloom.plan.passages import missing, passages
from tests.abilities import ABILITIES, Ability
from tests.kernel.machines import become_a_machine, ran, says

_P = ParamSpec("_P")
_T = TypeVar("_T")

ABILITIES.update(
    {
        "iptables": Ability(("iptables-nft", "--version"), "apt-get install iptables"),
        "iptables-legacy": Ability(
            ("unshare", "-n", "env", "XTABLES_LOCKFILE=/dev/null", "iptables-legacy", "-S"),
            "apt-get install iptables",
        ),
        # Even `ufw --version` leaves a lock in /run.
        "ufw": Ability(("sh", "-c", "command -v ufw"), "apt-get install ufw"),
        "firewalld": Ability(("firewalld", "--help"), "apt-get install firewalld dbus"),
        "dockerd": Ability(("dockerd", "--version"), "apt-get install docker.io"),
        "libvirtd": Ability(
            ("sh", "-c", "libvirtd --version && virsh --version && dnsmasq --version"),
            "apt-get install libvirt-daemon-system libvirt-clients dnsmasq-base",
        ),
    }
)

LAB = "my.lab"
THROUGH = Through(
    lab=LAB,
    link="lan",
    uplink="eth0",
    subnets=("10.100.0.0/24", "fd00:100::/64"),
    published=(Published("10.100.0.2", "tcp", 80), Published("fd00:100::2", "tcp", 80)),
)

STAND_IN = """
ip link set lo up
ip netns add net
ip netns add mem
ip link add eth0 type veth peer name wan netns net
ip link add lan type veth peer name eth0 netns mem
ip address add 192.0.2.2/24 dev eth0
ip address add 2001:db8::2/64 dev eth0 nodad
ip address add 10.100.0.1/24 dev lan
ip address add fd00:100::1/64 dev lan nodad
ip link set eth0 up
ip link set lan up
ip -n net link set lo up
ip -n net address add 192.0.2.1/24 dev wan
ip -n net address add 2001:db8::1/64 dev wan nodad
ip -n net link set wan up
ip -n mem link set lo up
ip -n mem address add 10.100.0.2/24 dev eth0
ip -n mem address add fd00:100::2/64 dev eth0 nodad
ip -n mem link set eth0 up
ip -n mem route add default via 10.100.0.1
ip -n mem -6 route add default via fd00:100::1
"""

FORWARDING = "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"

NAT = """
table inet netloom-stand-in {
  chain hide {
    type nat hook postrouting priority 100;
    iifname "lan" oifname "eth0" masquerade
    oifname "lan" ct status dnat masquerade
  }
  chain publish {
    type nat hook prerouting priority -100;
    fib daddr type local tcp dport 8080 dnat ip to 10.100.0.2:80
    fib daddr type local tcp dport 8080 dnat ip6 to [fd00:100::2]:80
  }
}
"""

DEADLINE = 20.0
"""Seconds that a daemon may take to come up."""

LOST = 0.2
"""Seconds after which a packet between two namespaces of one machine is taken for dropped."""


def on_a_walled_host(*etc: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Run a test on such a host, with these of the machine's own files below /etc copied there."""

    def decorate(test: Callable[_P, _T]) -> Callable[_P, _T]:
        @functools.wraps(test)
        def run(*args: _P.args, **keys: _P.kwargs) -> _T:
            def inside() -> _T:
                _become_a_host(etc)
                return test(*args, **keys)

            return aside(inside)

        return pytest.mark.needs("netns", "ip", "veth", "nft")(run)

    return decorate


def _become_a_host(etc: tuple[str, ...]) -> None:
    old = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    become_a_machine()
    for name in etc:
        source, target = Path(f"/proc/thread-self/fd/{old}/{name}"), Path("/etc", name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy(source, target)
    os.close(old)
    Path("/run/lock").mkdir()
    says("sh", "-ec", STAND_IN)
    ran("nft", "-f", "-", stdin=NAT)


def forwarding() -> None:
    """Have the host forward, as a lab with an uplink does; Docker looks whether it does already."""
    says("sh", "-ec", FORWARDING)


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
"""What a lab needs, and no more: `inwards` stays shut, since walls drop it."""

OPEN = ALL._replace(private=True)
"""The same where nothing guards the host itself."""


def reached(*families: int) -> list[Reached]:
    """Try each way with a connection, all at once; `inwards` has a route to the member's address.

    Neighbours that were asked for in vain while a wall stood are forgotten: the kernel asks again
    after a second.
    """
    for where in ((), ("-n", "mem"), ("-n", "net")):
        says("ip", *where, "neighbour", "flush", "nud", "all")
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        futures = []
        for family in families:
            net, host, gateway, member = _ADDRESSES[family]
            says("ip", "-n", "net", f"-{family}", "route", "replace", member, "via", host)
            places = (("net", net, 7), ("mem", member, 80), ("mem", member, 81))
            for netns, address, port in (*places, ("", gateway, 53), ("", gateway, 54)):
                call = functools.partial(_listen, address, port)
                stack.enter_context(_within(netns, call))
            tries = (
                ("mem", net, 7),
                ("net", host, 8080),
                ("mem", host, 8080),
                ("net", member, 81),
                ("mem", gateway, 53),
                ("mem", gateway, 54),
            )
            futures.append([pool.submit(connects, *each) for each in tries])
        return [Reached(*(future.result() for future in each)) for each in futures]


_ADDRESSES = {
    4: ("192.0.2.1", "192.0.2.2", "10.100.0.1", "10.100.0.2"),
    6: ("2001:db8::1", "2001:db8::2", "fd00:100::1", "fd00:100::2"),
}


def _listen(address: str, port: int) -> socket.socket:
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=kind)


def _within(netns: str, call: Callable[[], _T]) -> _T:
    """Return what a call returns inside a namespace, `host` with no name."""
    if not netns:
        return call()
    fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    try:
        return enter(fd, call)
    finally:
        os.close(fd)


def connects(netns: str, address: str, port: int) -> bool:
    """Whether a TCP connection comes about."""

    def connect() -> bool:
        try:
            with socket.create_connection((address, port), timeout=LOST):
                return True
        except OSError:
            return False

    return _within(netns, connect)


def passes(netns: str, to: str, address: str, port: int) -> bool:
    """Whether one namespace reaches a port of another, empty for the host."""
    with _within(to, functools.partial(_listen, address, port)):
        return connects(netns, address, port)


def pings(netns: str, address: str) -> bool:
    """Whether an echo comes back."""
    ping = ("ip", "netns", "exec", netns, "ping", "-c", "1", "-W", str(LOST), "-q", address)
    return ran(*ping, check=False).returncode == 0


# ── exceptions ────────────────────────────────────────────────────────────────────────────


def wanted(through: Through = THROUGH) -> tuple[Passage, ...]:
    """Return the exceptions that the stand-in needs here."""
    return passages(read(LAB, {"lan"}).walls, through)


def lacking(through: Through = THROUGH) -> tuple[Passage, ...]:
    """Return those of them that are not open, as the next `up` would see it."""
    seen = read(LAB, {"lan"})
    return missing(passages(seen.walls, through), seen.passages)


def opened(through: Through = THROUGH) -> tuple[Passage, ...]:
    """Open all that is needed and not open, and return all that is open then."""
    for passage in lacking(through):
        put(passage)
    return read(LAB, {"lan"}).passages


def closed() -> None:
    """Close all that is open."""
    for passage in reversed(read(LAB, {"lan"}).passages):
        remove(passage)
    assert read(LAB, {"lan"}).passages == ()


def tools(found: tuple[Passage, ...]) -> set[tuple[str, str]]:
    """Return by what tools, in which chains, exceptions stand."""
    return {(passage.tool, passage.chain) for passage in found}


# ── witnesses ─────────────────────────────────────────────────────────────────────────────


def ruleset() -> list[str]:
    """Return all of nftables as `nft` lists it, without handles, indexes and counters."""
    listed = json.loads(says("nft", "-j", "-s", "list", "ruleset"))["nftables"]
    for each in listed:
        for body in each.values():
            body.pop("handle", None)
    return [json.dumps(each, sort_keys=True) for each in listed]


def saved(program: str) -> list[str]:
    """Return what a program such as `iptables-nft-save` prints, without times and counters."""
    lines = says(program).splitlines()
    return [line.partition(" [")[0] for line in lines if not line.startswith("#")]


@contextmanager
def daemon(*argv: str, up: Callable[[], bool]) -> Iterator[int]:
    """Run a daemon until the end of the block, once it answers."""
    with Path("/run/daemon.log").open("a") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + DEADLINE
        while not up():
            if process.poll() is not None or time.monotonic() > until:
                pytest.skip(f"{argv[0]} does not come up: {Path('/run/daemon.log').read_text()}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(DEADLINE)
