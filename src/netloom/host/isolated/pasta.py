"""A way out for one command: pasta(1), and a process outside that ends it with the command.

Who isolates itself cannot start a program outside any more, and who becomes a command cannot look
after one. So a process is made before: the watcher. It stays where it is, in a session of its
own and without a terminal, and is an orphan from birth: the command has no child it did not make.

    we                             the watcher                     pasta
    fork ────────────────────────▶ lets go of all that it inherited
    isolate; a byte ─────────────▶ fork ─────────────────────────▶ makes its tap
    wait for a route               keeps what it complains about
    become the command             waits for our end (pidfd_open(2))
    end ─────────────────────────▶ kills it                        is gone
                                   is killed                       is gone (PR_SET_PDEATHSIG)
"""

import errno
import os
import re
import select
import shutil
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from netloom.errors import KernelError, NotReady, Unavailable
from netloom.host import wait_uplink
from netloom.kernel import modes, process, syscalls
from netloom.kernel.closing import Closing
from netloom.kernel.netlink import Rtnetlink
from netloom.language.publish import publish_text
from netloom.language.topology import Publish
from netloom.model.names import TAP
from netloom.model.pasta_words import pasta_words
from netloom.namespaces.enter import cookie_here

NAME = "netloom-pasta"
"""What `ps` shows of the watcher."""

_PASTA = "pasta"
_TUN = "/dev/net/tun"
_SECONDS = 10.0
_OTHER_FAMILY = 0.5
"""Seconds for the second family's route, which pasta adds right behind the first one."""

_RUN = "/run"
_PLACE = f"{_RUN}/netns/netloom-run"
"""Where the watcher of root shows pasta our network, in mounts of its own."""

_PIECE = 1 << 12
_NOISE = re.compile(r"Failed to send \d+ bytes to syslog|^\d+\.\d+: ", re.MULTILINE)


class Pasta(Closing):
    """A way out of the network that this process is going to make for itself."""

    def __init__(self, ports: Sequence[Publish]) -> None:
        """Leave somebody outside; raises `Unavailable` if there would be no way out."""
        program = _found()
        with Rtnetlink() as rt:
            self._wanted = wait_uplink.defaults(rt)
        if not self._wanted:
            reason = "this host has no default route, so no way out"
            raise Unavailable(reason, "ip route add default via ADDRESS")
        for port in ports:
            _check_free(port)
            _check_unpublished(port)
        self._sock, theirs = socket.socketpair()
        own = os.pidfd_open(os.getpid())
        order = _order(program, ports)
        pid = os.fork()
        if pid == 0:
            try:
                _be_watcher(theirs, own, order)
            finally:
                os._exit(1)
        theirs.close()
        os.close(own)
        os.waitpid(pid, 0)  # which has left the watcher behind

    def close(self) -> None:
        """Let go of the watcher: it waits for our end if it has begun, or else goes."""
        self._sock.close()

    def open(self) -> None:
        """Return when the way out is there; raises `Unavailable` with what pasta complains of.

        Should: be called in the new network, by the process that will be the command.
        """
        events, rt = wait_uplink.conversation()
        with events, rt, suppress(BrokenPipeError):
            self._sock.send(b".")
            if wait_uplink.leads_out(events, rt, timeout=_SECONDS, end=self._sock):
                wait_uplink.leads_out(events, rt, timeout=_OTHER_FAMILY, wanted=self._wanted)
                return
        if not select.select([self._sock], [], [], 0)[0]:
            raise NotReady(f"{_PASTA} has made no default route", _SECONDS)
        output = b"".join(iter(lambda: self._sock.recv(_PIECE), b"")).decode(errors="replace")
        lines = [line.strip() for line in _NOISE.sub("", output).splitlines() if line.strip()]
        raise Unavailable(f"no way out: {_PASTA}: {lines[-1] if lines else 'ended'}")


def _found() -> str:
    """Return where pasta is; raises `Unavailable` without it, or without the tap it would make."""
    program = shutil.which(_PASTA)
    if not program:
        raise Unavailable(f"no `{_PASTA}` is here, which leads out", "apt-get install passt")
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        denied = error.errno in {errno.EACCES, errno.EPERM}
        remedy = f"have root run `chmod 0666 {_TUN}`" if denied else "modprobe tun"
        raise Unavailable(f"cannot open {_TUN}: {error.strerror}", remedy) from error
    return program


def _check_free(port: Publish) -> None:
    """Raise `Unavailable` where pasta could not listen; it goes on if one family is left to it."""
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    both = (("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6))  # noqa: S104 - as pasta will
    one = ((port.address, socket.AF_INET6 if ":" in port.address else socket.AF_INET),)
    for address, family in one if port.address else both:
        try:
            with socket.socket(family, kind) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((address, port.port))
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT and not port.address:
                continue
            reason = f"cannot publish `{publish_text(port)}`: {error.strerror}"
            start = f"have root run `sysctl net.ipv4.ip_unprivileged_port_start={port.port}`"
            raise Unavailable(reason, start if error.errno == errno.EACCES else "") from error


def _check_unpublished(port: Publish) -> None:
    """Raise `Unavailable` where a lab publishes a port: what comes there is the lab's.

    A table of rules leads it inwards, before it comes to any socket.
    """
    from netloom.host.store import reservations
    from netloom.model.facts import TakenPort

    for lab, has in reservations.others("", cookie_here()):
        for other in has.ports:
            if TakenPort(other.protocol, other.address, other.port).clashes(port):
                reason = (
                    f"cannot publish `{publish_text(port)}`: the lab `{lab}` publishes that port"
                )
                raise Unavailable(reason)


class _Order(NamedTuple):
    """What a watcher does: the command, and whose network root must show to it."""

    argv: list[str]
    netns: str


def _order(program: str, ports: Sequence[Publish]) -> _Order:
    """Return what is to be run on our network; pasta as root may not look into our /proc/PID."""
    own = f"/proc/{os.getpid()}/ns"
    plain = os.geteuid() != 0
    place = ["--userns", f"{own}/user", "--netns", f"{own}/net"] if plain else ["--netns", _PLACE]
    words = pasta_words(place, TAP, [(port, port.to) for port in ports])
    return _Order([program, "--quiet", *words], "" if plain else f"{own}/net")


# ── the watcher ────────────────────────────────────────────────────────────────────────


def _be_watcher(sock: socket.socket, caller: int, order: _Order) -> None:
    """Leave everything of who called, and do what is ordered once that is isolated."""
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    _let_go({sock.fileno(), caller})
    process.rename(NAME)
    if not sock.recv(1):  # it was refused something else
        os._exit(0)
    try:
        if order.netns:
            _show(order.netns)
        _watch(sock, caller, order.argv)
    except OSError as error:
        with suppress(OSError):
            sock.send(str(error).encode())
    os._exit(0)


def _let_go(kept: set[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in kept:
            with suppress(OSError):  # the folder itself, closed by now
                os.close(fd)
    os.chdir("/")


def _show(netns: str) -> None:
    """Mount a network on a file that pasta may open, seen by nobody else."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.propagation("/", syscalls.MS_SLAVE, recursive=True)
    syscalls.mount("tmpfs", "netloom", _RUN, data="mode=755")
    modes.make_dir(os.path.dirname(_PLACE), modes.PUBLIC_DIR)
    os.close(os.open(_PLACE, os.O_CREAT | os.O_RDONLY, 0o444))
    syscalls.bind(netns, _PLACE)


def _watch(sock: socket.socket, caller: int, argv: list[str]) -> None:
    """Run pasta until the caller ends; if it ends by itself, tell its last words at the door."""
    reading, writing = os.pipe()
    pid = _spawn(argv, writing)
    os.close(writing)
    pasta = os.pidfd_open(pid)
    poll = select.poll()
    for fd in (caller, pasta, reading):
        poll.register(fd, select.POLLIN)
    output = b""
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if reading in ready:
            piece = os.read(reading, _PIECE)
            output = (output + piece)[-_PIECE:]
            if not piece:
                poll.unregister(reading)
        elif caller in ready:
            os.kill(pid, signal.SIGKILL)  # nobody but us reaps it: the number is its own
            return
        elif pasta in ready:
            with suppress(OSError):  # the caller has become the command
                sock.send(output)
            return


def _spawn(argv: list[str], output: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            if syscalls.end_with_parent(parent):
                for stream in (1, 2):
                    os.dup2(output, stream)
                syscalls.become(argv)
        except KernelError as error:
            os.write(output, str(error).encode())
        finally:
            os._exit(1)
    return pid
