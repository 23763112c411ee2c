"""What is no matter of N: `up` with nothing to do, and `exec` against what it competes with."""

import sys
from statistics import median

from bench.rounds import settle
from bench.star import members
from bench.subjects import NETLOOM, measure, star_file

TIMES = 25


def typical(*argv: str, times: int = TIMES) -> float:
    """Return the median time of a command in seconds."""
    return median(measure(*argv).wall or 0.0 for _ in range(times))


def bare() -> dict[str, float]:
    """Return what a process, Python, and `ip netns exec` cost."""
    measure("ip", "netns", "add", "bench-exec")
    found = {
        "true": typical("true"),
        "python -c pass": typical(sys.executable, "-c", "pass"),
        "ip netns exec NAME true": typical("ip", "netns", "exec", "bench-exec", "true"),
    }
    measure("ip", "netns", "delete", "bench-exec")
    return found


def of_netloom() -> dict[str, float]:
    """Return what netloom's everyday commands cost with labs of a hundred and a thousand up."""
    found = {"netloom --version": typical(*NETLOOM, "--version")}
    for n in (100, 1000):
        file = star_file(n)
        measure(*NETLOOM, "up", file)
        found[f"netloom exec NAME true, N={n}"] = typical(*NETLOOM, "exec", members(n)[-1], "true")
        found[f"netloom up, nothing to do, N={n}"] = typical(*NETLOOM, "up", file, times=5)
        found[f"netloom plan, N={n}"] = typical(*NETLOOM, "plan", file, times=5)
        measure(*NETLOOM, "down", file)
        settle()
    return found


def measured(subjects: list[str]) -> dict[str, float]:
    """Return all of it, netloom's part if it is among the subjects."""
    return {**bare(), **(of_netloom() if "netloom" in subjects else {})}
