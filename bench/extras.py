"""What is no matter of N: `up` with nothing to do, and `exec` against what it competes with."""

import sys
from pathlib import Path
from statistics import median

from bench import programs
from bench.rounds import settle
from bench.star import members
from bench.subjects import FILES, NETLOOM, measure, star_file

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


def of_an_uplink() -> dict[str, float]:
    """Return what `up` costs for two namespaces with and without `uplink: nat`, in turn."""
    plain, nat = (str(FILES / f"{name}.yaml") for name in ("plain", "nat"))
    text = (
        "networks: {{lan: {{subnet: 10.64.0.0/24{uplink}}}}}\n"
        "namespaces: {{a: {{networks: lan}}, b: {{networks: lan}}}}\n"
    )
    Path(plain).write_text(text.format(uplink=""))
    Path(nat).write_text(text.format(uplink=", uplink: nat"))
    for command in (
        "ip link add card type veth peer name cable",
        "ip address add 192.0.2.2/24 dev card",
        "ip link set cable up",
        "ip link set card up",
        "ip route add default via 192.0.2.1",
    ):
        measure(*command.split())
    walls: dict[str, list[float]] = {plain: [], nat: []}
    for _ in range(TIMES):
        for file, found in walls.items():
            found.append(measure(*NETLOOM, "up", file).wall or 0.0)
            measure(*NETLOOM, "down", file)
    measure("ip", "link", "delete", "dev", "card")
    return {
        "netloom up, two namespaces": median(walls[plain]),
        "netloom up, two namespaces, uplink": median(walls[nat]),
    }


def measured(subjects: list[str]) -> dict[str, float]:
    """Return all of it, netloom's part if it is among the subjects."""
    if "netloom" in subjects:
        ours = {**of_netloom(), **of_an_uplink(), **programs.measured()}
    else:
        ours = {}
    return {**bare(), **ours}
