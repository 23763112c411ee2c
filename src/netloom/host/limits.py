"""Limits that the whole machine shares: told before they are hit, never raised silently.

They belong to the initial namespace, so a lab that stands inside another one cannot see them, and
is told nothing.
"""

from collections.abc import Iterator

from netloom.host import sysctl
from netloom.model.objects import Desired

_NEIGHBOURS = "net.ipv4.neigh.default.gc_thresh3"
_BACKLOG = "net.core.netdev_max_backlog"


def notes(desired: Desired) -> Iterator[str]:
    """Yield what a lab of this size may run into."""
    ports = max((_ports(desired, name) for name in desired.netns), default=0)
    if not ports:
        return
    limits = {key: int(value) for key, value in sysctl.read((_NEIGHBOURS, _BACKLOG)).items()}
    if ports > limits.get(_NEIGHBOURS, ports):
        yield (
            f"{ports} interfaces share the machine's one neighbour table, {_NEIGHBOURS} = "
            f"{limits[_NEIGHBOURS]}: where many pairs talk at once some will hear `No buffer space "
            f"available`; sysctl -w {_NEIGHBOURS}={_next_power(ports * 4)} makes room"
        )
    if ports > limits.get(_BACKLOG, ports):
        yield (
            f"a broadcast to {ports} interfaces can overrun {_BACKLOG} = {limits[_BACKLOG]} on one "
            f"CPU; sysctl -w {_BACKLOG}={_next_power(ports * 2)} makes room"
        )


def _ports(desired: Desired, name: str) -> int:
    return sum(bool(link.master) for link in desired.netns[name].links.values())


def _next_power(number: int) -> int:
    return 1 << (number - 1).bit_length()
