"""Ending the processes that live in namespaces: asked first (SIGTERM), then made to (SIGKILL).

Each is held by a pidfd from before it is looked at until it has ended, so that a number which is
given to somebody else meanwhile hits nobody (pidfd_open(2)).

Should: end only what *lives* in a namespace; who merely holds it by a thread, a descriptor or a
socket lives elsewhere.
Mustn't: touch ourselves or our forebears.
"""

import os
import select
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from netloom.namespaces.references import NetnsInode, Reference, residents

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

_LAST = 5.0  # seconds that a killed process may take, in a system call that waits for hardware


class Terminated(NamedTuple):
    """A process that was ended, and by which signal: SIGTERM or SIGKILL; `gone` if it went."""

    pid: int
    command: str
    signal: str
    gone: bool


def end(wanted: Collection[NetnsInode], *, grace: float = GRACE) -> list[Terminated]:
    """End all processes that live in these namespaces, and return them in order."""
    ended: dict[int, Terminated] = {}
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _LAST)):
        deadline = time.monotonic() + seconds
        while True:
            # Again and again: what is asked to end may leave children behind.
            found = _end_round(wanted, number, deadline, ended)
            if not found or time.monotonic() >= deadline:
                break
        if not found:
            break
    return sorted(ended.values())


def _end_round(
    wanted: Collection[NetnsInode],
    number: signal.Signals,
    deadline: float,
    ended: dict[int, Terminated],
) -> bool:
    """Signal all that live there, and wait for them; return whether there was anybody."""
    poll = select.poll()
    waiting: dict[int, int] = {}
    with ExitStack() as stack:
        for holder, pidfd in _held(wanted, stack):
            signal.pidfd_send_signal(pidfd, number)
            ended[holder.pid] = Terminated(holder.pid, holder.command, number.name, gone=False)
            poll.register(pidfd, select.POLLIN)
            waiting[pidfd] = holder.pid
        anybody = bool(waiting)
        while waiting and (left := deadline - time.monotonic()) > 0:
            for pidfd, _ in poll.poll(left * 1000):
                pid = waiting.pop(pidfd)
                ended[pid] = ended[pid]._replace(gone=True)
                poll.unregister(pidfd)
    return anybody


def _held(wanted: Collection[NetnsInode], stack: ExitStack) -> Iterator[tuple[Reference, int]]:
    spared = forebears()
    for holder in residents(wanted):
        if holder.pid in spared:
            continue
        try:
            pidfd = os.pidfd_open(holder.pid)
        except ProcessLookupError:
            continue
        stack.callback(os.close, pidfd)
        if _lives_in(holder.pid, wanted):  # still, so the pidfd is on the one that was seen
            yield holder, pidfd


def _lives_in(pid: int, wanted: Collection[NetnsInode]) -> bool:
    try:
        facts = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return False
    return NetnsInode(facts.st_dev, facts.st_ino) in wanted


def forebears() -> set[int]:
    """Return this process, its parent, and so on up to process 1."""
    found = {os.getpid()}
    pid = os.getppid()
    while pid and pid not in found:
        found.add(pid)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            break
    return found
