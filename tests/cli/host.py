"""A host of its own for a test, and the dialect in which the tests of the command line are written.

    netloom("up").stdout("…").stderr("…").status(0)

says all: what is not said to be printed must not be printed, and the status is always said, last.
A number of milliseconds is written `N ms`, since it is never the same.
"""

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

import pytest

from netloom.namespaces.enter import aside
from tests.cli.witness import Look, differences, look
from tests.kernel.machines import LIBRARIES, SRC, become_a_machine, says

_P = ParamSpec("_P")
_T = TypeVar("_T")

_RTMGRP_LINK = 1
_RTMGRP_IPV6_ROUTE = 0x400
MAIN = "from netloom.__main__ import main; main()"
NIC = """
ip link set lo up
ip link add eth0 type veth peer name cable
ip link set eth0 addrgenmode none
ip link set cable addrgenmode none
ip address add 192.0.2.2/24 dev eth0
ip address add 2001:db8::2/64 dev eth0 nodad
ip link set cable up
ip link set eth0 up
ip route add default via 192.0.2.1
ip route add 198.51.100.0/24 via 192.0.2.9 metric 50
ip rule add from 198.51.100.7 lookup 77 priority 1000
ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
"""
"""What a host has that must be as before: a card with a network, a default route, a rule."""

FIREWALL = """
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop; }
}
"""


def on_a_host(test: Callable[_P, _T]) -> Callable[_P, _T]:
    """Run a test as root of a host of its own, in an empty folder."""

    @functools.wraps(test)
    def run(*args: _P.args, **keys: _P.kwargs) -> _T:
        def inside() -> _T:
            become_a_host()
            return test(*args, **keys)

        return aside(inside)

    return pytest.mark.needs("netns", "ip", "veth", "bridge")(run)


def become_a_host() -> None:
    """Give the calling thread a machine, and on it a network card, a firewall, an empty folder."""
    become_a_machine()
    says("sh", "-ec", NIC)
    wait_for(_settled)
    subprocess.run(["nft", "-f", "-"], input=FIREWALL.encode(), capture_output=True, check=False)
    Path("/run/mount").mkdir()  # umount(8) would make it
    Path("/run/here").mkdir()
    os.chdir("/run/here")  # unshare(CLONE_NEWNS) gave the thread a working directory of its own


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is true of links and routes; look again when the kernel says so."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as events:
        events.bind((0, _RTMGRP_LINK | _RTMGRP_IPV6_ROUTE))
        events.settimeout(60)
        while not condition():
            events.recv(1 << 16)


def _settled() -> bool:
    links, routes = says("ip", "-o", "link"), says("ip", "-6", "route", "show", "table", "all")
    return links.count("state UP") == 2 and all(
        route in routes
        for route in (
            "ff00::/8 dev eth0",
            "ff00::/8 dev cable",
            "local 2001:db8::2 dev eth0",
            "2001:db8::/64 dev eth0",
        )
    )


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def shown(self) -> str:
        """All of it in one text, so that what differs can be read."""
        return f"{self.stdout}--- on standard error:\n{self.stderr}--- status {self.returncode}"


class Netloom:
    """One run of netloom, and what must be true of it; `status` comes last, and checks."""

    def __init__(self, ended: Ended) -> None:
        """Keep what is to be checked."""
        self.ended = ended
        self._stdout = ""
        self._stderr = ""

    def stdout(self, text: str) -> "Netloom":
        """Expect this answer."""
        self._stdout = text
        return self

    def stderr(self, text: str) -> "Netloom":
        """Expect this talk."""
        self._stderr = text
        return self

    def status(self, status: int) -> None:
        """Compare all: status, standard output, standard error."""
        seen, expected = self.ended, Ended(status, self._stdout, self._stderr)
        assert timeless(seen.shown) == expected.shown


def timeless(text: str) -> str:
    """Return a text without the time that something took."""
    return re.sub(r"\b\d+ ms\b", "N ms", text)


def command(*words: str) -> list[str]:
    """Return the command that runs netloom from this source tree."""
    paths = [str(SRC), *LIBRARIES]
    return [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{MAIN}", *words]


def netloom(*words: str, stdin: str = "") -> Netloom:
    """Run netloom, whose end is then described."""
    run = subprocess.run(
        command(*words), input=stdin, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in run.stderr, run.stderr
    assert "netloom has a bug" not in run.stderr, run.stderr
    return Netloom(Ended(run.returncode, run.stdout, run.stderr))


def ended(*words: str, stdin: str = "") -> Ended:
    """Return how netloom ended, where a test looks at it by itself."""
    return netloom(*words, stdin=stdin).ended


def write(name: str, text: str) -> Path:
    """Write a file into the working folder."""
    path = Path(name)
    path.write_text(text)
    return path


@contextmanager
def living(*argv: str) -> Iterator[int]:
    """Have a process live where a command leads, once it says what it was told; yield its id."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*argv, "cat"], stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"here\n")
        assert process.stdout.readline() == b"here\n"
        yield process.pid
        process.stdin.close()


@contextmanager
def no_trace() -> Iterator[Look]:
    """Demand that the machine looks the same before and after a block, files here left out."""
    before = _elsewhere(look())
    yield before
    assert differences(before, _elsewhere(look())) == ""


def _elsewhere(seen: Look) -> Look:
    return frozenset(line for line in seen if not line.startswith("file: /run/here"))


class Warm:
    """A netloom that is not started anew each time, and can be killed at a chosen call."""

    def __init__(self) -> None:
        """Start it on the calling thread's machine."""
        code = "import sys; from tests.cli.warm import serve; serve(sys.stdin)"
        paths = [str(SRC), str(SRC.parent), *LIBRARIES]
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{code}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate()

    def ask(self, argv: Sequence[str], **keys: object) -> dict[str, Any]:
        """Return how a run ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"argv": argv, **keys}), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "Traceback" not in answer["stderr"], answer["stderr"]
        assert "netloom has a bug" not in answer["stderr"], answer["stderr"]
        return answer

    def __call__(self, *argv: str, status: int = 0) -> dict[str, Any]:
        """Run netloom to its end, which must have this status."""
        answer = self.ask(argv)
        assert answer["status"] == status, answer
        return answer

    def calls(self, *argv: str) -> list[str]:
        """Run netloom, and return the calls by which it changed something."""
        answer = self.ask(argv, follow=True)
        assert answer["status"] == 0, answer
        return list(answer["calls"])

    def kill(self, at: int, *argv: str) -> str:
        """Run netloom, and kill it at a call, counted from 1; return what it was about to do."""
        answer = self.ask(argv, follow=True, at=at)
        assert answer["status"] == -9, f"{argv}: no call {at}: {answer}"
        return str(answer["calls"][-1])

    def interrupt(self, at: int, *argv: str) -> dict[str, Any]:
        """Run netloom, and press Ctrl-C at the call of this number; return how it ended."""
        return self.ask(argv, follow=True, at=at, signal=int(signal.SIGINT))

    def meanwhile(self, about: str, command: Sequence[str], *argv: str) -> dict[str, Any]:
        """Run netloom, and a command of somebody else's before its first call about something."""
        calls = self.calls(*argv)
        at = next(number for number, call in enumerate(calls, 1) if about in call)
        self("down", argv[-1])
        return self.ask(argv, follow=True, at=at, meanwhile=list(command))
