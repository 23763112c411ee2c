"""Throwaway namespaces with a netlink socket in each, for root and for a plain user alike.

One process for each worker holds them: it enters a user namespace where it is not root (a process
with threads, such as pytest, cannot), makes network namespaces on demand, and sends a descriptor of
each and a socket opened inside over a Unix socket. Nobody enters anything here; the namespace dies
with its descriptor and its socket.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from netloom.kernel.netlink import Rtnetlink, prepared

HOLDER = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def unshare(flags):
    if libc.unshare(flags) != 0:
        sys.exit("unshare: " + os.strerror(ctypes.get_errno()))
def write(name, line):
    with open("/proc/self/" + name, "w") as file:
        file.write(line)
uid, gid = os.geteuid(), os.getegid()
if uid != 0:
    unshare(0x10000000)  # CLONE_NEWUSER
    write("setgroups", "deny")
    write("uid_map", f"0 {uid} 1")
    write("gid_map", f"0 {gid} 1")
unshare(0x00020000)  # CLONE_NEWNS
talk = socket.socket(fileno=0)
while talk.recv(1):
    unshare(0x40000000)  # CLONE_NEWNET
    netns = os.open("/proc/self/ns/net", os.O_RDONLY)
    pair = [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) for _ in range(2)]
    socket.send_fds(talk, [b"!"], [netns, *(each.fileno() for each in pair)])
    for each in pair:
        each.close()
    os.close(netns)
"""


class Netns:
    """A namespace: a descriptor `fd` of it, a conversation `rt`, and `ip` as a witness.

    `bare` is a second socket inside, for what a conversation does not do.
    """

    def __init__(self, fd: int, rt: Rtnetlink, bare: socket.socket, holder: int) -> None:
        """Take over the descriptor, the conversation and the socket."""
        self.fd = fd
        self.rt = rt
        self.bare = bare
        user = (f"--user=/proc/{holder}/ns/user", "--preserve-credentials")
        self._enter = ("nsenter", *(user if os.geteuid() else ()), f"--net=/proc/self/fd/{fd}")

    def says(self, *command: str) -> str:
        """Run a command inside and return its output."""
        done = subprocess.run(
            (*self._enter, *command),
            pass_fds=(self.fd,),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ip(self, *words: str) -> list[dict[str, Any]]:
        """Return what `ip -j -d` says inside."""
        said: list[dict[str, Any]] = json.loads(self.says("ip", "-j", "-d", *words) or "[]")
        return [each for each in said if each]


@pytest.fixture(scope="session")
def holder() -> Iterator[tuple[int, socket.socket]]:
    """Start the process that makes namespaces."""
    ours, theirs = socket.socketpair()
    command = (sys.executable, "-I", "-S", "-c", HOLDER)
    with (
        ours,
        subprocess.Popen(command, stdin=theirs.fileno(), stderr=subprocess.PIPE) as process,
    ):
        theirs.close()
        ours.settimeout(30)
        yield process.pid, ours
        ours.close()


@pytest.fixture
def new_netns(holder: tuple[int, socket.socket]) -> Iterator[Callable[[], Netns]]:
    """Return a function that makes a namespace; all of them die with the test."""
    pid, talk = holder
    with ExitStack() as stack:

        def new() -> Netns:
            talk.send(b"?")
            _, fds, _, _ = socket.recv_fds(talk, 1, 3)
            if len(fds) != 3:
                pytest.skip("no network namespace can be made here: run as root, or allow userns")
            netns, *pair = fds
            stack.callback(os.close, netns)
            one, bare = (stack.enter_context(socket.socket(fileno=fd)) for fd in pair)
            return Netns(netns, Rtnetlink(prepared(one)), prepared(bare), pid)

        yield new


@pytest.fixture
def netns(new_netns: Callable[[], Netns]) -> Netns:
    """Make one namespace."""
    return new_netns()
