"""What a start costs: small commands, as multiples of what `python -c pass` takes.

netloom is installed here as its users have it, in an environment with nothing else in it
(`make bench` makes it), and each command is run once in every round, so that a slow moment of the
machine meets all alike. What is compared is the time of the processors, which the load of a
machine changes less, and what a user waits for.
"""

import os
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.subjects import FILES, BenchError

ROUNDS = 40
HOME = Path(__file__).parents[1] / ".venv/starts"
PYTHON, NETLOOM = (str(HOME / "bin" / name) for name in ("python", "netloom"))
LAB = """\
networks: {lan: {subnet: 10.64.0.0/24}}
namespaces: {a: {networks: [lan]}, b: {networks: [lan]}}
"""
PURE = ("pass", "import argparse", "import yaml", "import msgspec", "import msgspec, yaml, socket")


class Time(NamedTuple):
    """What a run took, in milliseconds."""

    waited: float
    processor: float


def once(*argv: str) -> Time:
    """Run a command, which must end with 0."""
    nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=nowhere)
    _, status, used = os.wait4(pid, 0)
    waited = (time.perf_counter() - start) * 1e3
    if status:
        msg = f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}"
        raise BenchError(msg)
    return Time(waited, (used.ru_utime + used.ru_stime) * 1e3)


def measured() -> dict[str, Time]:
    """Return the medians of all rounds, `python -c pass` first."""
    if not HOME.exists():
        msg = f"no {HOME}: make bench makes it"
        raise BenchError(msg)
    FILES.mkdir(exist_ok=True)
    file = str(FILES / "start.yaml")
    Path(file).write_text(LAB)
    found: dict[str, list[Time]] = {}
    for number in range(ROUNDS + 1):
        for name, took in _round(file):
            if number:  # what is compiled in the first one is not compiled again
                found.setdefault(name, []).append(took)
    return {
        name: Time(median(t.waited for t in times), median(t.processor for t in times))
        for name, times in found.items()
    }


def _round(file: str) -> list[tuple[str, Time]]:
    rows = [(f"python -c '{code}'", once(PYTHON, "-c", code)) for code in PURE]
    rows.append(("netloom --version", once(NETLOOM, "--version")))
    rows.append(("netloom up, two namespaces on a network", once(NETLOOM, "up", file)))
    looks = ("ls", "labs", "verify start", "exec a /bin/true", "netns list")
    rows += [(f"netloom {words}", once(NETLOOM, *words.split())) for words in looks]
    rows.append(("netloom down", once(NETLOOM, "down", "start")))
    return rows


def report(found: dict[str, Time]) -> str:
    """Return a table: milliseconds, and multiples of the first row."""
    bare = next(iter(found.values()))
    head = f"{'what a start costs':44} {'waited':>10} {'× pass':>7} {'processor':>10} {'× pass':>7}"
    rows = [
        f"{name:44} {took.waited:7.1f} ms {took.waited / bare.waited:7.2f} "
        f"{took.processor:7.1f} ms {took.processor / bare.processor:7.2f}"
        for name, took in found.items()
    ]
    return "\n".join([head, *rows])
