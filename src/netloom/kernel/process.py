"""Processes: who they are beyond a number that is used again, whose children, and how they end.

A process is told by its number and the time it started (field 22 of /proc/PID/stat, in clock ticks
since boot): of two with the same number one started later. What is sent goes through a pidfd that
was opened first and compared then, so it reaches that process or none.

Rule 1: a process that vanishes while it is looked at is no error.
Rule 2: no `typing` here: the supervisor of each command starts through this file.
"""

import ctypes
import os
import signal
import time

from netloom.errors import KernelError, printable

_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_DEAD = (b"Z", b"X", b"x")

_libc = ctypes.CDLL(None, use_errno=True)


class Process:
    """What one line of /proc/PID/stat says (proc_pid_stat(5)).

    `dead` is whether it has ended and only waits to be reaped. A process whose first thread has
    ended while others go on is shown as a zombie too, and is none.
    """

    __slots__ = ("command", "dead", "parent", "pid", "start")

    def __init__(self, line: bytes) -> None:
        """Take the line apart; its second word may hold anything, brackets too."""
        head, _, tail = line.rpartition(b")")
        pid, _, command = head.partition(b" (")
        words = tail.split()
        self.pid = int(pid)
        self.command = printable(command.decode("utf-8", "replace"))
        self.parent = int(words[1])
        self.dead = words[0] in _DEAD and int(words[17]) <= 1
        self.start = int(words[19])


def process(pid: int | str) -> Process | None:
    """Return a process, None if there is none of this number."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return Process(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def same(pid: int, start: int) -> Process | None:
    """Return the process of this number if it is the one that started then, and lives."""
    found = process(pid) if pid > 0 else None
    return found if found and found.start == start and not found.dead else None


def age(start: int) -> float:
    """Return how many seconds ago a process began that started at this tick since boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start / os.sysconf("SC_CLK_TCK")


def processes() -> dict[int, Process]:
    """Return all processes that live, by number; one look is 20 µs for each of them."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (seen := process(entry)) and not seen.dead:
            found[seen.pid] = seen
    return found


def descendants(table: dict[int, Process], roots: "set[int]") -> "set[int]":
    """Return the children of `roots`, their children and so on, without the roots themselves."""
    children: dict[int, list[int]] = {}
    for seen in table.values():
        children.setdefault(seen.parent, []).append(seen.pid)
    found: set[int] = set()
    edge = list(roots)
    while edge:
        for pid in children.get(edge.pop(), ()):
            if pid not in found and pid not in roots:
                found.add(pid)
                edge.append(pid)
    return found


def environment(pid: int) -> "list[bytes]":
    """Return the environment that a process was started with, `NAME=VALUE` each."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def open_pidfd(pid: int, start: int) -> int | None:
    """Open a process, None if it is not the one that started then; readable once it has ended.

    Should: be closed.
    Mustn't: be replaced by the bare number, which another process may bear by then.
    """
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if same(pid, start):
        return fd
    os.close(fd)
    return None


def send(pid: int, start: int, *numbers: int) -> None:
    """Send signals to a process, if it is still the one that started then.

    Should: be forgiven that it has ended meanwhile; so it does itself.
    Mustn't: be given a process that was found by a mark alone.
    """
    fd = open_pidfd(pid, start)
    if fd is None:
        return
    try:
        for number in numbers:
            signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def become_subreaper(name: str) -> None:
    """Inherit the orphans among our descendants, instead of process 1; raises `KernelError`.

    `name`, of 15 bytes at most, is what `ps` shows from now on. Neither goes to children of ours.

    Should: be done before the first child is made; and then wait for all there will be.
    Mustn't: be done by a process that does not reap: the orphans stay zombies as long as it lives.
    """
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0) < 0:
        raise KernelError(ctypes.get_errno(), "prctl PR_SET_CHILD_SUBREAPER")
    rename(name)


def rename(name: str) -> None:
    """Have `ps` show another name for this process, of 15 bytes at most."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def open_up() -> None:
    """Have /proc/self belong to the user that this process has become (PR_SET_DUMPABLE(2const)).

    After setuid(2) it is root's, and so is its uid_map.

    Should: be called by a child that only tries what its user may.
    Mustn't: be called where memory holds what that user shall not read.
    """
    _libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(1), 0, 0, 0)
