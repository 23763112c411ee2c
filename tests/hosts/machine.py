"""A machine of its own for a test: a thread with mounts, /run, /tmp, /etc and network to itself.

Mount and network namespaces belong to a thread, and what a thread starts inherits them. So a test
that plays a machine needs no process of its own: its body runs on a thread that is thrown away.
"""

import functools
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from glob import glob
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from netloom.errors import KernelError
from netloom.kernel import procfs, syscalls
from netloom.namespaces.enter import in_thread
from tests.hosts.programs import SRC

_P = ParamSpec("_P")
_T = TypeVar("_T")

KEPT = (
    "passwd",
    "group",
    "ld.so.cache",
    "ld.so.conf",
    "nsswitch.conf",
    "iproute2",
    "alternatives",
    "udhcpc",
)
FILES = {"hosts": "127.0.0.1 localhost\n", "resolv.conf": "nameserver 192.0.2.53\n"}
_SOL_NETLINK, _NO_ENOBUFS = 270, 5
_RTMGRP_LINK = 1
_RTMGRP_IPV4_ROUTE = 0x40
_RTMGRP_IPV6_ROUTE = 0x400


Place = Callable[[], AbstractContextManager[None]]
"""What makes a host, and puts the calling thread there."""


def within(place: Place, call: Callable[[], _T]) -> _T:
    """Return what a call returns in a place, on a thread that is thrown away."""

    def inside() -> _T:
        with place():
            return call()

    return in_thread(inside)


def on(place: Place, *needs: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Return a decorator that runs a test in a place."""

    def decorate(test: Callable[_P, _T]) -> Callable[_P, _T]:
        @functools.wraps(test)
        def run(*args: _P.args, **keys: _P.kwargs) -> _T:
            return within(place, lambda: test(*args, **keys))

        return pytest.mark.needs(*needs)(run)

    return decorate


@contextmanager
def a_machine() -> Iterator[None]:
    """Be root of a machine of its own."""
    become_a_machine()
    yield


on_a_machine = on(a_machine, "netns", "ip")
"""Run a test on a machine of its own, as root of it."""


def become_a_machine() -> None:
    """Give the calling thread mounts, a network, a /run, a /tmp and an /etc of its own."""
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
    syscalls.propagation("/", syscalls.MS_PRIVATE, recursive=True)
    with suppress(KernelError):  # EINVAL when there is none (any more)
        for _ in range(9):  # what names of the real machine are mounted on, else hidden below
            syscalls.unmount("/run/netns")
    syscalls.mount("tmpfs", "run", "/run", data="mode=755")
    _own_tmp()
    _own_etc()


def _own_tmp() -> None:
    """Lay an empty folder over /tmp, where plain users note their labs; tests are where they were.

    A mount over one folder in it would go with that folder: the kernel takes it away in all mount
    namespaces when somebody removes the folder in theirs.
    """
    tests = [path for path in (str(SRC.parent), sys.prefix) if path.startswith("/tmp/")]  # noqa: S108
    kept = {path: os.open(path, os.O_PATH) for path in tests + glob("/tmp/pytest-of-*")}  # noqa: S108
    syscalls.mount("tmpfs", "tmp", "/tmp", data="mode=1777")  # noqa: S108
    for path, fd in kept.items():
        os.makedirs(path, exist_ok=True)
        syscalls.bind(f"/proc/thread-self/fd/{fd}", path, recursive=True)
        os.close(fd)


def _own_etc() -> None:
    old = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    syscalls.mount("tmpfs", "etc", "/etc", data="mode=755")
    for name in KEPT:
        source = Path(f"/proc/thread-self/fd/{old}/{name}")
        if source.is_dir():
            Path("/etc", name).mkdir()
            syscalls.bind(str(source), f"/etc/{name}")
        elif source.exists():
            Path("/etc", name).write_bytes(source.read_bytes())
    for name, text in FILES.items():
        Path("/etc", name).write_text(text)
    os.close(old)


def etc_file(netns: str, name: str, text: str) -> Path:
    """Give a namespace a file of its own for /etc, as people do for `ip netns exec`."""
    path = Path("/etc/netns", netns, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def mount_points(under: str = "/") -> list[str]:
    """Return what is mounted, and where, as the calling thread sees it."""
    lines = (line.split() for line in procfs.mountinfo().decode().splitlines())
    found = (f"{words[4]} {words[words.index('-') + 1]}" for words in lines)
    return sorted(line for line in found if line.startswith(under))


def wait_for(condition: Callable[[], bool], timeout: float = 60) -> None:
    """Wait until something is true of links and routes; look again when the kernel says so.

    Raises `TimeoutError` where it says nothing for this many seconds.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as events:
        events.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)  # one that is kept is enough to look again
        events.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_ROUTE | _RTMGRP_IPV6_ROUTE))
        events.settimeout(timeout)
        while not condition():
            events.recv(1 << 16)
