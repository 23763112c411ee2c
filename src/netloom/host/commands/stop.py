"""How commands of a lab are ended: whole trees, SIGTERM first, SIGKILL when the grace is over.

Who belongs to a command is looked up again and again, in one look at /proc for all commands, until
nobody is left:

* whoever descends from its supervisor, to which all orphans go (PR_SET_CHILD_SUBREAPER);
* where the supervisor was killed: the command itself (number and start, as noted), and whoever
bears the mark of this start in its environment *and* was born after it *and* lives in the namespace
that the command was started in; and all who descend from these.

A mark alone ends nobody, nor does living in a lab's namespace: users start things there.

Should: run before the namespaces go.
Mustn't: wait for one command after the other; a hundred of them take no longer than one.
"""

import os
import select
import signal
import time
from contextlib import suppress
from typing import NamedTuple

from msgspec.structs import replace

from netloom.host.commands.processes import (
    GOING,
    MARK,
    Key,
    ProcessNote,
    Start,
    alive,
    read_run,
    runs,
    runs_dir,
)
from netloom.host.store.rundir import remove
from netloom.kernel.process import Process, descendants, environment, open_pidfd, processes, send
from netloom.kernel.procfs import boot_id

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

_KILLING = 5.0
"""Seconds after which one that does not even die by SIGKILL (it waits for a disk) is given up."""

_SUPERVISORS = 1.0
"""Seconds after which a supervisor that was killed itself is given up."""

_LOOK_AGAIN = 0.02
"""Seconds until a supervisor without descendants is looked at again: it may be about to fork."""

_AT_ONCE = 256
"""Processes that are waited for at a time: each costs a file, and there may be 1,024 (ulimit)."""


class Left(NamedTuple):
    """A process that could not be ended."""

    netns: str
    name: str
    pid: int
    command: str


class _Found(NamedTuple):
    """Who there is: those to be ended, and the supervisors, which end by themselves."""

    members: dict[int, Process]
    supervisors: dict[int, Process]
    whose: dict[int, Key]


def stop(lab: str, which: frozenset[Key] | None = None, grace: float = GRACE) -> list[Left]:
    """End the commands of a lab, all or those named; forget them, and return what is left of them.

    `grace` is in seconds. What has ended already is forgotten as well; logs stay.
    """
    boot = boot_id()
    left: list[Left] = []
    unfinished: set[Key] = set()
    # Again, since a supervisor may have noted itself between our look and our forgetting.
    while doomed := [run for run in _doomed(lab, which) if run.key not in unfinished]:
        left += _end_all([_condemn(run) for run in doomed], boot, grace)
        unfinished = {(each.netns, each.name) for each in left}
        for run in doomed:
            if run.key not in unfinished:
                _forget(run)
    with suppress(OSError):
        os.rmdir(runs_dir(lab))
    return left


def members(lab: str) -> dict[int, Key]:
    """Return whom `stop` would end, by number, and of which command: the rest is a user's."""
    found = _look(runs(lab), boot_id())
    return {pid: found.whose[pid] for pid in found.members}


def _doomed(lab: str, which: frozenset[Key] | None) -> list[Start]:
    """Return the starts to be ended; one that says not what it is of is nobody's, and goes too."""
    return [run for run in runs(lab) if which is None or run.key in which or not run.asked.name]


def _condemn(run: Start) -> Start:
    """Note that a start is to be ended, before it is told: whoever looks now finds it lost.

    Its folder is moved away: whoever wants to write a note now finds no place for it, and ends.
    """
    folder = run.folder.removesuffix(GOING) + GOING
    with suppress(FileNotFoundError):  # somebody else forgets it, too
        os.rename(run.folder, folder)
    return replace(run, folder=folder)


def _end_all(doomed: list[Start], boot: str, grace: float) -> list[Left]:
    _end(doomed, boot, signal.SIGTERM, grace)
    found = _end(doomed, boot, signal.SIGKILL, _KILLING)
    if (
        found.supervisors
    ):  # they do not end by themselves: a debugger has them, or their children stay
        for supervisor in found.supervisors.values():
            if not descendants(found.members, {supervisor.pid}):
                send(supervisor.pid, supervisor.start, signal.SIGKILL)
        found = _end(doomed, boot, signal.SIGKILL, _SUPERVISORS)
    return [
        Left(*found.whose[pid], pid, each.command)
        for pid, each in sorted((found.members | found.supervisors).items())
    ]


def _end(doomed: list[Start], boot: str, number: int, seconds: float) -> _Found:
    """Send a signal to all who belong to commands, and to those who come after, until none is left.

    Whoever is stopped gets a SIGCONT too, or it would never take the other. The eldest are told
    first, and each generation is waited for before the next look, so nobody is told twice.
    """
    deadline = time.monotonic() + seconds
    pause = _LOOK_AGAIN / 16
    while True:
        doomed = [read_run(run.folder) for run in doomed]
        found = _look(doomed, boot)
        if not (found.members or found.supervisors) or time.monotonic() >= deadline:
            return found
        for each in sorted(found.members.values(), key=_age):
            send(each.pid, each.start, number, signal.SIGCONT)
        if found.members:
            wait(list(found.members.values()), deadline)
            continue
        for each in found.supervisors.values():
            send(each.pid, each.start, signal.SIGCONT)
        wait(list(found.supervisors.values()), min(deadline, time.monotonic() + pause))
        pause = min(pause * 2, _LOOK_AGAIN)


def _age(process: Process) -> tuple[int, int]:
    """Return what sorts the eldest first: a shell shall hear of it before its children are gone."""
    return process.start, process.pid


def wait(those: list[Process], deadline: float) -> None:
    """Return when all of these have ended, or at the deadline."""
    for begin in range(0, len(those), _AT_ONCE):
        poll = select.poll()
        opened = (open_pidfd(each.pid, each.start) for each in those[begin : begin + _AT_ONCE])
        fds = {fd for fd in opened if fd is not None}
        try:
            for fd in fds:
                poll.register(fd, select.POLLIN)
            waiting = len(fds)
            while waiting and (rest := deadline - time.monotonic()) > 0:
                for fd, _ in poll.poll(rest * 1000):
                    poll.unregister(fd)
                    waiting -= 1
        finally:
            for fd in fds:
                os.close(fd)


# ── who belongs to a command ──────────────────────────────────────────────────────────────────────


def _look(doomed: list[Start], boot: str) -> _Found:
    table = processes()
    found = _Found({}, {}, {})
    orphaned = []
    for run in doomed:
        if alive(run.supervisor, boot, run.asked) and run.supervisor:
            supervisor = table.get(run.supervisor.pid)
            if supervisor:
                found.supervisors[supervisor.pid] = supervisor
            _take(found, table, run, {run.supervisor.pid}, itself=False)
        elif run.supervisor and run.asked.boot == boot and not run.over:
            orphaned.append(run)
    if orphaned:
        _take_orphans(found, table, orphaned)
    return found


def _take(
    found: _Found, table: dict[int, Process], run: Start, roots: set[int], *, itself: bool
) -> None:
    """Note who descends from `roots`, and the roots too if they are to be ended `itself`."""
    for pid in descendants(table, roots) | (roots if itself else set()):
        if pid in table:
            found.members[pid] = table[pid]
            found.whose[pid] = run.key
    if not itself:
        found.whose.update(dict.fromkeys(roots, run.key))


def _take_orphans(found: _Found, table: dict[int, Process], orphaned: list[Start]) -> None:
    """Note who belongs to commands whose supervisors were killed."""
    inodes = {run.command.netns for run in orphaned if run.command} - {0}
    marked: dict[bytes, list[Process]] = {}
    for each in table.values():
        if _netns(each.pid) in inodes:
            for pair in environment(each.pid):
                if pair.startswith(f"{MARK}=".encode()):
                    marked.setdefault(pair, []).append(each)
    for run in orphaned:
        noted = run.command
        if noted is None:
            continue
        bearers = marked.get(f"{MARK}={run.mark}".encode(), [])
        roots = {each.pid for each in bearers if _is_of(each, noted)}
        itself = table.get(noted.pid)
        if itself and itself.start == noted.start:
            roots.add(itself.pid)
        _take(found, table, run, roots, itself=True)


def _is_of(each: Process, noted: ProcessNote) -> bool:
    """Whether one that bears the mark was born after the command, and lives where it was put."""
    return each.start >= noted.start and noted.netns != 0 and _netns(each.pid) == noted.netns


def _netns(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return 0


# ── forgetting ────────────────────────────────────────────────────────────────────────────────────


def _forget(run: Start) -> None:
    """Remove the notes of a start, unless there are more of them than were seen.

    Who noted itself just before there was no place for it any more is still to be ended: all stays.
    """
    folder = run.folder.removesuffix(GOING) + GOING
    with suppress(FileNotFoundError):  # somebody else forgets it, too
        now = read_run(folder)
        if (now.supervisor, now.command) != (run.supervisor, run.command) and not now.over:
            return
        remove(folder)
