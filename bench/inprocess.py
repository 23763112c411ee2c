"""netloom within one process that is already warm: no interpreter to start, nothing to import.

A session, as `mininet_star.py`: it prints its phases, waits for a line, takes all down, and prints
those.
"""

import json
import sys
import time

from bench.star import topology
from netloom.engine.down import down
from netloom.engine.up import up
from netloom.host.apply.options import Applied, ApplyOptions
from netloom.host.local import LocalMachine
from netloom.language.parse import parse
from netloom.plan.steps import Plan


def apply_star(n: int) -> dict[str, float]:
    """Make the star, and return the seconds of each phase, `total` among them.

    `apply` is the part that the floor does too: the plan, carried out. What goes before it
    (parsing, lowering, looking, the difference) and the journal are the rest of `total`.
    """
    machine = _Timed()
    start = time.monotonic()
    source = parse(topology(n), file="star.yaml", name="star")
    up(source, machine)
    return {"apply": machine.applying, "total": time.monotonic() - start}


def remove_star(n: int) -> dict[str, float]:  # noqa: ARG001 - the same shape as its inverse
    """Take it down, and return the seconds of each phase, `total` among them."""
    start = time.monotonic()
    down("star")
    return {"total": time.monotonic() - start}


class _Timed(LocalMachine):
    """The real machine, with a clock on what it applies."""

    applying = 0.0

    def apply(self, plan: Plan, options: ApplyOptions) -> Applied:
        """Carry out a plan, and note how long it took."""
        start = time.monotonic()
        try:
            return super().apply(plan, options)
        finally:
            self.applying += time.monotonic() - start


def main(n: int) -> None:
    """Make it, wait for a line, unmake it."""
    for act in (apply_star, remove_star):
        start = time.monotonic()
        phases = act(n)
        phases.setdefault("total", time.monotonic() - start)
        print(json.dumps(phases), flush=True)
        if act is apply_star:
            sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]))
