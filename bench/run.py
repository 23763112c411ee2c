"""How far netloom is from the floor, and where its peers are: `make bench`.

Everything happens in a network and a mount namespace of its own with a /run of its own: the host is
never touched. The result is a table, and `bench/results.json` with every sample.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from bench import extras, report, startup
from bench.rounds import Table, play
from bench.subjects import SUBJECTS, BenchError, Subject, build_floor

ROOT = Path(__file__).parents[1]
PRIVATE = (
    "mount -t tmpfs run /run && mkdir /run/netns && cp -a /etc /run/etc && "
    'mount --bind /run/etc /etc && ip link set lo up && exec "$@"'
)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    sizes = [100, 200, 500, 1000, 5000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, help="rounds at each size (default 5)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="these, and the floor"
    )
    parser.add_argument("--quick", action="store_true", help="a first look: 100 members, 3 rounds")
    parser.add_argument("--starts", action="store_true", help="only what a start costs")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results.json")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.quick:
        given.sizes, given.rounds = [100], 3
    return given


def go_private() -> None:
    """Become this program again, in namespaces of its own."""
    if os.geteuid():
        sys.exit("bench: making and timing namespaces of the initial kind needs root")
    again = [sys.executable, "-m", "bench.run", *sys.argv[1:], "--inside"]
    os.chdir(ROOT)
    os.execvp(  # noqa: S606
        "unshare", ["unshare", "--net", "--mount", "sh", "-c", PRIVATE, "sh", *again]
    )


def present(only: list[str]) -> list[Subject]:
    """Return the subjects that can be measured here, and say what the others lack."""
    found = []
    for subject in SUBJECTS:
        if only and subject.name not in {"floor", *only}:
            continue
        if lacks := subject.lacks():
            print(f"without {subject.name}: {lacks}")
        else:
            found.append(subject)
    return found


def main() -> None:
    """Measure, print and write down."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    given = arguments()
    if not given.inside:
        go_private()
    if given.starts:
        print(startup.report(startup.measured()))
        return
    build_floor()
    table: Table = {}
    subjects = present(given.only)
    for n in given.sizes:
        able = [subject for subject in subjects if subject.most >= n]
        table[n] = {subject.name: [] for subject in able}
        for name, sample in play(able, n, given.rounds):
            table[n][name].append(sample)
            print(f"  {n}: {name}, {sample.up.wall or sample.up.inside:.3f} s", file=sys.stderr)
        print(f"\n{report.at_size(n, table[n])}\n", flush=True)
    print(report.scaling(table))
    others = extras.measured([subject.name for subject in subjects])
    print(report.extras(others))
    starts = startup.measured()
    print(f"\n{startup.report(starts)}")
    machine = {
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }
    given.output.write_text(
        json.dumps(
            {
                "machine": machine,
                "extras": others,
                "starts": {name: took._asdict() for name, took in starts.items()},
                **report.as_json(table),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"\nbench: {error}")
