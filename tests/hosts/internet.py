"""A host with a pretend internet behind its card, and clients and servers anywhere.

    host:eth0 192.0.2.2/24, 2001:db8::2/64 ── beyond:cable 192.0.2.1/24, 2001:db8::1/64
                                              beyond:lo 203.0.113.80, 2001:db8:80::80

`beyond` is the neighbour on the host's LAN, its router, and the internet in one. It has no name, so
nobody but the test knows of it. Sockets stay in the namespace that they were opened in, so clients
and servers are threads of the test: no process, no port of the real machine, no waiting.
"""

import functools
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from netloom.kernel import syscalls
from netloom.namespaces.enter import enter, in_thread
from netloom.namespaces.handle import Handle, open_name, open_path
from tests.hosts.machine import become_a_machine, on, wait_for
from tests.hosts.netloom import ended
from tests.hosts.programs import ran

_P = ParamSpec("_P")
_T = TypeVar("_T")
Talk = Callable[[socket.socket, str], None]

WEB4, WEB6 = "203.0.113.80", "2001:db8:80::80"
"""A server in the internet."""

HOST4, HOST6 = "192.0.2.2", "2001:db8::2"
NEAR4, NEAR6 = "192.0.2.1", "2001:db8::1"
MISSED = 0.25
"""Seconds after which a packet that must not arrive has not arrived."""

_HOST = """
link set lo up
link set eth0 addrgenmode none
link set eth0 mtu {mtu} up
address add 192.0.2.2/24 dev eth0
address add 2001:db8::2/64 dev eth0 nodad
address add fe80::2/64 dev eth0 nodad
route add default via 192.0.2.1
"""
_HOST_IPV6 = "route add default via 2001:db8::1\n"
_BEYOND = """
link set lo up
link set cable addrgenmode none
link set cable up
address add 192.0.2.1/24 dev cable
address add 2001:db8::1/64 dev cable nodad
address add fe80::1/64 dev cable nodad
address add 203.0.113.80/32 dev lo
address add 2001:db8:80::80/128 dev lo nodad
route add 10.100.0.0/16 via 192.0.2.2
route add fd00:100::/32 via 2001:db8::2
route add 2001:db8:1::/64 dev cable
"""

_here = threading.local()


def on_the_internet(
    *, ipv6: bool = True, mtu: int = 1500
) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Run a test as root of such a host, in an empty folder.

    `ipv6`: whether its default routes are of both families; `mtu` is that of its card.
    """
    place = functools.partial(an_internet, ipv6=ipv6, mtu=mtu)
    return on(place, "netns", "ip", "veth", "bridge", "nft")


@contextmanager
def an_internet(*, ipv6: bool = True, mtu: int = 1500) -> Iterator[None]:
    """Be root of such a host, in its folder."""
    become_a_machine()
    _here.beyond = Handle(in_thread(_unnamed))
    card("eth0", "cable")
    says_in("beyond", "ip", "-batch", "-", stdin=_BEYOND)
    inside("beyond", lambda: set_sysctl("net.ipv6.conf.all.forwarding", "1"))  # it is a router
    says_in("host", "ip", "-batch", "-", stdin=_HOST.format(mtu=mtu) + (_HOST_IPV6 if ipv6 else ""))
    wait_for(_settled)
    Path("/run/mount").mkdir()  # umount(8) would make it
    Path("/run/here").mkdir()
    os.chdir("/run/here")
    with _here.beyond:
        try:
            yield
        finally:  # a test that failed leaves its lab, and that may have programs
            if Path("/run/netloom/labs").is_dir():
                ended("down", "-q", "--all")


def _settled() -> bool:
    """Whether the card has carrier, and the routes that the kernel adds by itself are there."""
    routes = ran("ip", "-6", "route", "show", "table", "local", "dev", "eth0").stdout
    up = "LOWER_UP" in ran("ip", "link", "show", "eth0").stdout
    return up and all(f"local {address}" in routes for address in (HOST6, "fe80::2"))


def card(link: str, cable: str) -> None:
    """Give the host a card, whose cable leads to `beyond`."""
    path = f"/proc/{os.getpid()}/fd/{_here.beyond.fd}"
    ran("ip", "link", "add", link, "type", "veth", "peer", "name", cable, "netns", path)


def _unnamed() -> int:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def sysctl(key: str) -> str:
    """Return a sysctl of the host."""
    return Path("/proc/sys", key.replace(".", "/")).read_text().strip()


def set_sysctl(key: str, value: str) -> None:
    """Set a sysctl of the host."""
    Path("/proc/sys", key.replace(".", "/")).write_text(value)


# ── inside ────────────────────────────────────────────────────────────────────────────────


def inside(where: str, call: Callable[[], _T]) -> _T:
    """Return what a call returns in `host`, in `beyond`, or in a namespace of this name or path."""
    if where == "host":
        return call()
    if where == "beyond":
        return enter(_here.beyond, call)
    with open_path(where) if "/" in where else open_name(where) as netns:
        return enter(netns, call)


def says_in(where: str, *argv: str, stdin: str = "", check: bool = True) -> str:
    """Return what a command prints there."""
    return inside(where, lambda: ran(*argv, stdin=stdin, check=check).stdout)


def program(where: str, *argv: str) -> "subprocess.Popen[str]":
    """Start a program there; it prints what it has to say."""
    pipe = subprocess.PIPE
    return inside(where, lambda: subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True))


def pings(where: str, address: str, *words: str) -> bool:
    """Whether an echo request is answered."""
    argv = ["ping", "-c1", "-W1", *words, address]
    done = inside(where, lambda: subprocess.run(argv, capture_output=True, check=False))
    return done.returncode == 0


# ── servers ───────────────────────────────────────────────────────────────────────────────


def tell_peer(conn: socket.socket, peer: str) -> None:
    """Tell a client by which address it is seen."""
    conn.sendall(peer.encode())


def swallow(conn: socket.socket, peer: str) -> None:  # noqa: ARG001 - the shape of a talk
    """Take all that comes, and answer how much it was."""
    total = 0
    while data := conn.recv(1 << 16):
        total += len(data)
    conn.sendall(str(total).encode())


def echo(conn: socket.socket, peer: str) -> None:  # noqa: ARG001
    """Send back what comes."""
    while data := conn.recv(1 << 16):
        conn.sendall(data)


def pour(size: int) -> Talk:
    """Return a talk that sends this many bytes."""

    def talk(conn: socket.socket, peer: str) -> None:  # noqa: ARG001
        conn.sendall(b"." * size)

    return talk


@contextmanager
def server(where: str, port: int, talk: Talk = tell_peer) -> Iterator[None]:
    """Have a server there, by TCP and UDP, on all addresses of both families.

    By UDP it always tells the peer's address.
    """
    tcp = inside(where, lambda: _listener(port))
    udp = inside(where, lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    udp.bind(("::", port))
    serving = [
        threading.Thread(target=serve, daemon=True)
        for serve in (lambda: _accept(tcp, talk), lambda: _answer(udp))
    ]
    for thread in serving:
        thread.start()
    try:
        yield
    finally:
        for sock, thread in zip((tcp, udp), serving, strict=True):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            thread.join(5)  # the port is taken for as long as somebody waits there
            sock.close()


def _listener(port: int) -> socket.socket:
    return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)


def _accept(listener: socket.socket, talk: Talk) -> None:
    def serve(conn: socket.socket, peer: str) -> None:
        with conn, suppress(OSError):
            talk(conn, peer)

    with suppress(OSError):
        while True:
            conn, peer = listener.accept()
            threading.Thread(target=serve, args=(conn, _plain(peer[0])), daemon=True).start()


def _answer(sock: socket.socket) -> None:
    with suppress(OSError):
        while True:
            _, said, _, peer = sock.recvmsg(2048, 64)
            if not said:  # it was shut down
                break
            level, kind, where = said[0]  # the address that was asked, which is to answer
            source = [(level, kind, where[:16] + bytes(4))]
            sock.sendmsg([_plain(peer[0]).encode()], source, 0, peer)


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:")


# ── clients ───────────────────────────────────────────────────────────────────────────────


def connect(where: str, address: str, port: int, timeout: float = 5) -> socket.socket:
    """Return a connection from there."""
    return inside(where, lambda: socket.create_connection((address, port), timeout))


def ask(where: str, address: str, port: int = 80, *, timeout: float = 5) -> str:
    """Return what a server tells a client there by TCP, empty if it is not reached."""
    try:
        with connect(where, address, port, timeout) as conn:
            return _all_of(conn).decode()
    except OSError:
        return ""


def ask_udp(where: str, address: str, port: int = 80, *, timeout: float = 5) -> str:
    """Return what a server tells a client there by UDP, empty if it is not reached."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(where, lambda: socket.socket(family, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect((address, port))
            sock.send(b"?")
            return sock.recv(2048).decode()
        except OSError:
            return ""


def download(where: str, address: str, port: int = 80) -> int:
    """Return how many bytes a server sends to a client there, before it falls silent."""
    with connect(where, address, port) as conn:
        return len(_all_of(conn))


def upload(where: str, address: str, size: int, port: int = 80) -> int:
    """Send so many bytes from there, and return how many a server says have come."""
    with connect(where, address, port) as conn:
        conn.sendall(b"." * size)
        conn.shutdown(socket.SHUT_WR)
        return int(_all_of(conn) or b"0")


def _all_of(conn: socket.socket) -> bytes:
    found = b""
    while data := conn.recv(1 << 20):
        found += data
    return found
