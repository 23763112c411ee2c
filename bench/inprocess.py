"""netloom within one process that is already warm: no interpreter to start, nothing to import.

A session, as `mininet_star.py`: it prints its phases, waits for a line, takes all down, and prints
those.
"""

import json
import sys
import time


def apply_star(n: int) -> dict[str, float]:
    """Make the star, and return the seconds of each phase, `total` among them."""
    msg = f"not wired to the library yet ({n} members)"
    raise NotImplementedError(msg)


def remove_star(n: int) -> dict[str, float]:
    """Take it down, and return the seconds of each phase, `total` among them."""
    msg = f"not wired to the library yet ({n} members)"
    raise NotImplementedError(msg)


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
