"""What still runs in a lab of a Python program when it ends: nothing of it may stay.

Nobody else knows of the lab's namespaces, so whoever lives in one was started by the program or by
what it started, be it a daemon that has forked twice.
"""

import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress

from netloom.host.commands import stop
from netloom.host.store.journal import has_runs
from netloom.kernel.process import Process, process, send
from netloom.namespaces import registry
from netloom.namespaces.handle import NoSuchNetns, open_name, open_self
from netloom.namespaces.references import NetnsInode, identity, residents

_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL, and between one SIGKILL and the next."""

_ROUNDS = (signal.SIGTERM, *(signal.SIGKILL,) * 5)
"""Who forks while it is told is told again; one that waits for a disk does not even die then."""


def end_residents(lab: str) -> None:
    """End the commands of a lab, and all that lives in the namespaces of the thread's place.

    Should: run inside the context of a lab that nobody else knows of.
    Mustn't: run in the machine's own namespaces: it ends all that it finds.
    """
    if has_runs(lab):
        stop.stop(lab)
    with open_self() as own:
        homes = {identity(own.fd)}
    for name in registry.names():
        with suppress(NoSuchNetns), open_name(name) as netns:  # or `up` was killed over it
            homes.add(identity(netns.fd))
    end_all_in(homes)


def end_all_in(homes: Collection[NetnsInode]) -> None:
    """End all that lives in some namespaces, which somebody holds: so they are still those."""
    for number in _ROUNDS:
        those = _living(homes)
        if not those:
            return
        for each in those:
            send(each.pid, each.start, number, signal.SIGCONT)
        stop.wait(those, time.monotonic() + _GRACE)


def _living(homes: Collection[NetnsInode]) -> list[Process]:
    known = (process(one.pid) for one in residents(homes) if one.pid != os.getpid())
    return [each for each in known if each and not each.dead]
