"""Labs by the thousand: in one process, in several at once, and in some that are killed."""

import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from random import Random

import pytest

from netloom import Lab, parse
from tests.hosts.programs import LIBRARIES, SRC

pytestmark = [pytest.mark.long, pytest.mark.needs("userns", "veth", "bridge")]

MANY = 1000 if os.environ.get("NETLOOM_WALK") == "whole" else 80
"""A thousand with `make walk`."""

ONE = """
import sys
from netloom import Lab, parse
topology = parse("links: [[a:eth0 10.0.0.1/24, b:eth0 10.0.0.2/24]]")
for number in range(int(sys.argv[1])):
    with Lab(topology) as lab:
        if number % 10 == 0:
            lab["a"].popen(["sleep", sys.argv[2]])
            assert lab["a"].reaches("10.0.0.2"), number
    print(number, flush=True)
"""


def counts() -> dict[str, object]:
    """Return how much there is of all that a lab could leave: told by /proc, never by us."""
    return {
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "mounts": Path("/proc/self/mountinfo").read_text().count("\n"),
        "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text(),
        "namespaces": {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt")},
        "links": Path("/proc/net/dev").read_text().count("\n"),
    }


def program(labs: int, mark: int) -> "subprocess.Popen[str]":
    """Start a program that makes labs one after the other, and tells each."""
    code = f"import sys; sys.path[:0] = {[str(SRC), *LIBRARIES]}\n{ONE}"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(labs), str(mark)], stdout=subprocess.PIPE, text=True
    )


def sleeping(mark: int) -> list[int]:
    """Return the processes that sleep so many seconds."""
    found = subprocess.run(
        ["pgrep", "-fx", f"sleep {mark}"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def test_a_process_makes_many() -> None:
    """One after the other; afterwards it has what it had after the first few."""
    topology = parse("links: [[a:eth0 10.0.0.1/24, b:eth0 10.0.0.2/24]]")
    for number in range(MANY):
        with Lab(topology) as lab:
            if number % 50 == 1:
                lab["a"].run(["true"])
                assert lab["a"].reaches("10.0.0.2")
        if number == 5:
            before = counts()
    assert counts() == before


def test_eight_processes_at_once() -> None:
    """The same names and addresses in each; none meets another."""
    programs = [program(MANY // 10, 4741) for _ in range(8)]
    told = [one.communicate(timeout=100)[0] for one in programs]
    assert [one.returncode for one in programs] == [0] * 8
    assert [len(text.splitlines()) for text in told] == [MANY // 10] * 8
    assert sleeping(4741) == []


def test_killed_at_random_moments() -> None:
    """SIGKILL, whatever they are at: nobody whom they have started lives on."""
    random = Random(7)  # noqa: S311 - moments, not secrets
    for number in range(MANY // 15):
        with program(10_000, 4742) as one:
            assert one.stdout
            for _ in range(random.randrange(1, 4)):
                one.stdout.readline()
            select.select([], [], [], random.random() * 0.02)  # somewhere within the next lab
            one.kill()
        for pid in sleeping(4742):
            _await_end(pid, number)
    assert sleeping(4742) == []


def _await_end(pid: int, number: int) -> None:
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([end], [], [], 20)[0], f"attempt {number}: {pid} lives on"
    finally:
        os.close(end)
