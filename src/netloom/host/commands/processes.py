"""The commands of a lab (`run:`): what is remembered of each start, and what became of it.

    run/MARK/asked      what is about to be started; written before anything is
    run/MARK/supervisor     the supervisor: number, start, and where in the log this start begins
    run/MARK/command    the command: number, start, the inode of its namespace
    run/MARK/ended      how the command itself ended
    run/MARK/over       nothing of it is left: how the last of it ended, the supervisor's last word
    logs/NS:NAME.log    what it printed

All of it below the lab's folder. MARK is drawn anew for each start, so nobody who was started for
an earlier one can take a later one's place. It is in the environment of the command, too
(`NETLOOM_RUN`), but proves nothing by itself: see `stop.py`.

`:` between namespace and name, since both may hold a `.`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import Struct

from netloom.host.commands.printed import Reader, unstamped
from netloom.host.store.rundir import NO_NOTE, lab_dir
from netloom.kernel import process
from netloom.kernel.files import read
from netloom.kernel.procfs import boot_id
from netloom.model import objects
from netloom.namespaces import mounts

MARK = "NETLOOM_RUN"
"""The variable that bears the mark of a start."""

Key = tuple[str, str]
"""The namespace and the name of a command."""

State = Literal["running", "ended", "lost", "not started"]

_TAIL = 64 * 1024


class RunCommand(Struct, frozen=True):
    """What shall run in a namespace: `argv`, with `env` added, as `user` (or who netloom is).

    `ready` is what it is ready by (`model/ready.py`), empty if that is not asked for; `after` are
    the commands that must be ready before it starts; `restart` says how often it is started again
    at the most when it has failed, -1 for without end.
    """

    netns: str
    name: str
    argv: tuple[str, ...]
    ready: str = ""
    after: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    user: str = ""
    cwd: str = "/"
    restart: int = 0

    @property
    def key(self) -> str:
        """What it is called in its lab: `NS/NAME`."""
        return objects.command_key(self.netns, self.name)


def run_command(netns: str, name: str, command: objects.Command) -> RunCommand:
    """Return a command of the model as those take it who start it and wait for it."""
    return RunCommand(
        netns,
        name,
        command.argv,
        ready=command.ready,
        after=command.after,
        env=command.env,
        user=command.user,
        cwd=command.cwd,
        restart=command.restart,
    )


class StartNote(Struct, frozen=True):
    """What was about to be started: `digest` is the caller's, `since` seconds since 1970."""

    boot: str
    netns: str
    name: str
    digest: str
    argv: tuple[str, ...] = ()
    since: float = 0.0


class ProcessNote(Struct, frozen=True):
    """A process: its number and start; the log's length then, or the inode of its namespace."""

    pid: int
    start: int
    log: int = 0
    netns: int = 0


class EndNote(Struct, frozen=True):
    """How a process ended: its status, or minus the signal."""

    status: int


class Start(Struct, frozen=True):
    """One start, as its notes have it; what is None has not happened yet."""

    folder: str
    asked: StartNote
    supervisor: ProcessNote | None = None
    command: ProcessNote | None = None
    ended: EndNote | None = None
    over: EndNote | None = None

    @property
    def key(self) -> Key:
        """Which command it is of."""
        return self.asked.netns, self.asked.name

    @property
    def mark(self) -> str:
        """The mark of this start."""
        return os.path.basename(self.folder).removesuffix(GOING)


class CommandState(Struct, frozen=True):
    """What became of a command.

    `pid` is the command's own; one that went into the background by ending with 0 is still
    `running` while anything of it lives, and ends as the last of that does. `lost` is one whose
    supervisor was killed, or that was told to end. `status` is as in `subprocess`: minus the
    signal that ended it.
    """

    digest: str
    state: State
    pid: int = 0
    status: int | None = None
    since: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether it has ended with 0, and nothing of it is left."""
        return self.state == "ended" and self.status == 0


GOING = ".gone"
"""Ends the name of a folder whose command is to be ended, or has been, and then forgotten."""


def runs_dir(lab: str) -> str:
    """Return the folder of a lab's starts."""
    return f"{lab_dir(lab)}/run"


def logs_dir(lab: str) -> str:
    """Return the folder of a lab's logs."""
    return f"{lab_dir(lab)}/logs"


def log_path(lab: str, netns: str, name: str) -> str:
    """Return the file that a command's output goes to."""
    return f"{logs_dir(lab)}/{netns}:{name}.log"


def runs(lab: str) -> list[Start]:
    """Return all starts that something is remembered of, in no order; of others' files nothing."""
    try:
        entries = os.listdir(runs_dir(lab))
    except FileNotFoundError:
        return []
    found = []
    for entry in entries:
        with suppress(NotADirectoryError, *NO_NOTE):
            found.append(read_run(f"{runs_dir(lab)}/{entry}"))
    return found


_NOTES = {"supervisor": ProcessNote, "command": ProcessNote, "ended": EndNote, "over": EndNote}
_DECODE = {name: msgspec.json.Decoder(kind) for name, kind in _NOTES.items()}
_DECODE_ASKED = msgspec.json.Decoder(StartNote)


def read_run(folder: str) -> Start:
    """Return one start; one whose `asked` is not there was never begun, or is half removed."""
    text = _read(f"{folder}/asked")
    asked = _DECODE_ASKED.decode(text) if text else StartNote("", "", "", "")
    found = {}
    for name, decoder in _DECODE.items():
        note = _read(f"{folder}/{name}")
        found[name] = decoder.decode(note) if note else None
    return Start(folder, asked, **found)


def _read(path: str) -> bytes:
    try:
        return read(path)
    except FileNotFoundError:
        return b""


def alive(noted: ProcessNote | None, boot: str, asked: StartNote) -> bool:
    """Whether a process that was noted lives: the same number, start and boot."""
    return bool(noted and asked.boot == boot and process.same(noted.pid, noted.start))


def running(lab: str) -> dict[Key, CommandState]:
    """Return what became of each command of a lab; of several starts of one, the last."""
    boot = boot_id()
    found: dict[Key, CommandState] = {}
    for run in sorted(runs(lab), key=lambda run: run.asked.since):
        if run.asked.name:
            found[run.key] = _running(run, boot)
    return found


def uncovered(netns: str, run: CommandState) -> list[str]:
    """Return the paths in /etc that a command sees as the machine has them, not as its namespace.

    They were replaced while it ran: started anew it sees its own again.
    """
    if run.state != "running" or netns == objects.HOST:
        return []
    return mounts.uncovered(netns, run.pid, run.since)


def _running(run: Start, boot: str) -> CommandState:
    status = run.ended.status or (run.over.status if run.over else 0) if run.ended else None
    if run.folder.endswith(GOING):
        state: State = "lost"
    elif alive(run.supervisor, boot, run.asked):
        state = "ended" if status else "running"
    elif run.ended and (run.over or status) and run.asked.boot == boot:
        state = "ended"
    else:
        state = "lost" if run.supervisor else "not started"
    pid = run.command.pid if run.command else 0
    return CommandState(run.asked.digest, state, pid, status, run.asked.since)


def tail(lab: str, netns: str, name: str, lines: int = 10) -> list[str]:
    """Return the last lines that a command printed since it was last started."""
    began = max(
        (
            (r.asked.since, r.supervisor.log)
            for r in runs(lab)
            if r.key == (netns, name) and r.supervisor
        ),
        default=(0.0, 0),
    )[1]
    try:
        with open(log_path(lab, netns, name), "rb") as file:
            end = file.seek(0, os.SEEK_END)
            reader = Reader(file.fileno(), max(min(began, end), end - _TAIL))
            text = b""
            while reader.place < end and (piece := reader.read()):
                text += piece
    except FileNotFoundError:
        return []
    return unstamped(text).decode(errors="replace").splitlines()[-lines:]


def logs(lab: str) -> Iterator[tuple[Key, str]]:
    """Yield who has printed, and where that is, or was, if somebody has removed it.

    None of a lab of another user's.
    """
    keys: set[Key] = set()
    with suppress(NotADirectoryError, PermissionError):
        keys |= {run.key for run in runs(lab) if run.asked.name}
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        for entry in os.listdir(logs_dir(lab)):
            netns, _, name = entry.removesuffix(".log").partition(":")
            keys.add((netns, name))
    for netns, name in sorted(keys):
        yield (netns, name), log_path(lab, netns, name)
