"""What still runs in a lab of a Python program when it ends: nothing of it may stay.

Nobody else knows of the lab's namespaces, so whoever lives in one was started by the program or by
what it started, be it a daemon that has forked twice.
"""

import os
import select
import signal
import time
from collections.abc import Collection

from netloom.host import ending
from netloom.host.journal import has_runs
from netloom.kernel.process import open_pidfd, process, send
from netloom.netns import names as registry
from netloom.netns.handle import open_name, open_self
from netloom.netns.holding import Identity, identity, residents

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""


def end_residents(lab: str) -> None:
    """End the commands of a lab, and all that lives in the namespaces of the thread's place.

    Should: run inside the place of a lab that nobody else knows of.
    Mustn't: run in the machine's own namespaces: it ends all that it finds.
    """
    if has_runs(lab):
        ending.stop(lab)
    homes = set()
    with open_self() as own:
        homes.add(identity(own.fd))
    for name in registry.names():
        with open_name(name) as netns:
            homes.add(identity(netns.fd))
    deadline = time.monotonic() + GRACE
    number = signal.SIGTERM
    while _tell(homes, number, deadline):
        number, deadline = signal.SIGKILL, time.monotonic() + GRACE


def _tell(homes: Collection[Identity], number: int, deadline: float) -> bool:
    """Send a signal to all who live there, and wait for their end; False if nobody does."""
    poll = select.poll()
    opened = []
    for found in residents(homes):
        known = process(found.pid)
        if found.pid == os.getpid() or known is None or known.dead:
            continue
        fd = open_pidfd(known.pid, known.start)
        if fd is not None:
            opened.append(fd)
            poll.register(fd, select.POLLIN)
            send(known.pid, known.start, number, signal.SIGCONT)
    waiting = len(opened)
    while waiting and (left := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(left * 1000):
            poll.unregister(fd)
            waiting -= 1
    for fd in opened:
        os.close(fd)
    return bool(opened)
