"""Who is measured: the floor, netloom, and its peers, each able to make the star and take it down.

Two kinds. A command makes the star in one process and takes it down in another: it costs what its
user waits for, from start to end. A session does both in one process, and says itself how long each
took: what it costs to start does not count.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.star import members, topology

HERE = Path(__file__).parent
FLOOR = HERE / "floor"
NAMES = Path("/run/netns")
FILES = Path("/run/bench")  # the harness has made /run private
NETLOOM = (sys.executable, "-m", "netloom")
DEBIAN_PYTHON = "/usr/bin/python3"


class BenchError(Exception):
    """A subject failed: its number would mean nothing."""


class Run(NamedTuple):
    """What one run took, in seconds: as its user waits, and as the subject itself counts."""

    wall: float | None
    inside: float | None
    peak_kb: int
    phases: dict[str, float]


def build_floor() -> None:
    """Compile the floor if its source is newer."""
    source = HERE / "floor.c"
    if not FLOOR.exists() or FLOOR.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", FLOOR, source], check=True)


def measure(*argv: str) -> Run:
    """Run a command to its end and return what it took."""
    run = subprocess.run(
        [FLOOR, "run", *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if run.returncode:
        msg = f"`{' '.join(argv)}` ended with {run.returncode}:\n{run.stdout}{run.stderr}"
        raise BenchError(msg)
    *said, costs = run.stdout.splitlines()
    phases = json.loads(said[-1]) if said and said[-1].startswith("{") else {}
    return Run(**json.loads(costs), inside=phases.get("total"), phases=phases)


def host(_: int) -> str:
    """Return where the ports are of those who put their bridge on the host."""
    return "-"


class Subject:
    """Someone who makes the star by one command and takes it down by another."""

    session = False

    def __init__(
        self,
        name: str,
        command: Callable[[str, int], tuple[str, ...]],
        *,
        most: int = 1_000_000,
        switch: Callable[[int], str] = host,
        lacks: Callable[[], str] = str,
    ) -> None:
        """Take how to call it, the largest N worth its time, where its ports are, what it lacks."""
        self.name, self.most = name, most
        self.command, self.switch, self.lacks = command, switch, lacks

    def up(self, n: int) -> Run:
        """Make the star."""
        return measure(*self.command("up", n))

    def down(self, n: int) -> Run:
        """Take it down; the kernel may be at it a little longer."""
        return measure(*self.command("down", n))


class Session(Subject):
    """Someone who makes and unmakes the star within one process."""

    session = True
    process: subprocess.Popen[str]

    def up(self, n: int) -> Run:
        """Start the process, and read what it says when the star is there."""
        self.process = subprocess.Popen(
            [FLOOR, "run", *self.command("session", n)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        said = self.process.stdout.readline()
        if not said.startswith("{") or '"wall"' in said:
            msg = f"{self.name}: {self.process.communicate()[1]}"
            raise BenchError(msg)
        phases = json.loads(said)
        return Run(None, phases["total"], 0, phases)

    def down(self, n: int) -> Run:
        """Let it take the star down and end."""
        said, complaints = self.process.communicate("\n")
        if self.process.returncode:
            msg = f"{self.name}, {n} members: {complaints}"
            raise BenchError(msg)
        phases, costs = (json.loads(line) for line in said.splitlines())
        return Run(None, phases["total"], costs["peak_kb"], phases)


def switch_of_floor(_: int) -> str:
    """Return the namespace of the floor's bridges."""
    return str(NAMES / "floor-switch")


def switch_of_netloom(n: int) -> str:
    """Return the namespace of the lab's bridges: the one that is no member's."""
    (switch,) = {path.name for path in NAMES.iterdir()} - set(members(n))
    return str(NAMES / switch)


def star_file(n: int) -> str:
    """Return the topology file of the star, written when it is first asked for."""
    FILES.mkdir(exist_ok=True)
    path = FILES / f"star{n}.yaml"
    if not path.exists():
        path.write_text(topology(n))
    return str(path)


def lacks_netloom() -> str:
    """Return why netloom cannot be run."""
    run = subprocess.run([*NETLOOM, "--version"], capture_output=True, text=True, check=False)
    return run.stderr.strip().splitlines()[-1] if run.returncode else ""


def lacks_mininet() -> str:
    """Return why Mininet cannot be run."""
    python = shutil.which(DEBIAN_PYTHON)
    found = (
        python
        and not subprocess.run(
            [python, "-c", "import mininet.net"], capture_output=True, check=False
        ).returncode
    )
    return "" if found and shutil.which("brctl") else "apt-get install mininet bridge-utils"


SUBJECTS = [
    Subject("floor", lambda verb, n: (str(FLOOR), verb, str(n)), switch=switch_of_floor),
    Subject(
        "floor, one message a call",
        lambda verb, n: (str(FLOOR), verb, str(n), "one"),
        most=1000,
        switch=switch_of_floor,
    ),
    Subject(
        "netloom",
        lambda verb, n: (*NETLOOM, verb, star_file(n)),
        switch=switch_of_netloom,
        lacks=lacks_netloom,
    ),
    Session(
        "netloom in process",
        lambda _, n: (sys.executable, "-m", "bench.inprocess", str(n)),
        switch=switch_of_netloom,
        lacks=lacks_netloom,
    ),
    Session(
        "Mininet",
        lambda _, n: (DEBIAN_PYTHON, str(HERE / "mininet_star.py"), str(n)),
        most=200,
        lacks=lacks_mininet,
    ),
    Subject(
        "pyroute2",
        lambda verb, n: (sys.executable, "-m", "bench.plain_pyroute2", verb, str(n)),
        most=500,
    ),
    Subject(
        "shell script",
        lambda verb, n: ("sh", str(HERE / "script.sh"), verb, str(n)),
        most=200,
    ),
]
