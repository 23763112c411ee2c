"""Commands of a lab for tests: a machine with a namespace `web`, and nothing left behind."""

import os
import select
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from netloom.host.commands import launch, processes, stop
from netloom.host.commands.processes import RunCommand
from netloom.host.commands.wait_ready import wait_ready
from tests.hosts.machine import become_a_machine, on
from tests.hosts.programs import says

LAB = "lab"
SOON = 10.0
PYTHON = (sys.executable, "-I", "-S", "-c")


@contextmanager
def a_lab() -> Iterator[None]:
    """Be on a machine with a namespace `web`; end what was started, and see that it went."""
    become_a_machine()
    says("ip", "netns", "add", "web")
    says("ip", "-n", "web", "link", "set", "lo", "up")
    try:
        yield
    finally:
        assert stop.stop(LAB, grace=0) == []
        shutil.rmtree(processes.logs_dir(LAB), ignore_errors=True)
        assert not list(Path("/run/netloom").rglob("run/*"))


in_a_lab = on(a_lab, "netns", "ip")
"""Run a test on such a machine."""


def command(
    *argv: str,
    name: str = "it",
    netns: str = "web",
    ready: str = "",
    env: Mapping[str, str] | None = None,
    user: str = "",
    cwd: str = "/",
    restart: int = 0,
) -> RunCommand:
    """Return a command: one word is a text for `sh`."""
    words = argv if len(argv) > 1 else ("sh", "-c", *argv)
    return RunCommand(
        netns, name, words, ready=ready, env=env or {}, user=user, cwd=cwd, restart=restart
    )


def begin(*commands: RunCommand, wait: bool = True) -> None:
    """Start commands, and wait until they are ready."""
    launch.check(commands)
    launch.start(LAB, [(each, "digest") for each in commands])
    if wait:
        wait_ready(LAB, commands, SOON)


def printed(name: str = "it", netns: str = "web") -> list[str]:
    """Return all lines that a command has printed since it started."""
    return processes.tail(LAB, netns, name, lines=1000)


def run_whole(text: str, **keys: object) -> list[str]:
    """Return what a command printed from its start to its end."""
    begin(command(f"{text}\necho done", ready="log/done\n", **keys))  # type: ignore[arg-type]
    return printed()[:-1]


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status and "State:\tX" not in status


def wait_for_end(pid: int) -> None:
    """Return when a process has ended; one that does not fails the test."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ended = poll.poll(SOON * 1000)
    os.close(fd)
    assert ended
