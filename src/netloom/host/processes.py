"""The commands of a lab (`run:`): started, remembered and looked at.

    run/MARK/asked      what is about to be started; written before anything is
    run/MARK/keeper     the keeper: number, start, and where in the log this start begins
    run/MARK/command    the command: number, start, the inode of its namespace
    run/MARK/ended      how the command itself ended
    run/MARK/over       nothing of it is left: the keeper's last word
    logs/NS:NAME.log    what it printed

All of it below the lab's folder. MARK is drawn anew for each start, so nobody who was started for
an earlier one can take a later one's place. It is in the environment of the command, too
(`NETLOOM_RUN`), but proves nothing by itself: see `ending.py`.

`:` between namespace and name, since both may hold a `.`.
"""

import fcntl
import marshal
import os
import pwd
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

import netloom
from netloom.errors import KernelError, Unavailable
from netloom.host.journal import RUN_DIR, boot_id
from netloom.kernel import process, procfs
from netloom.model.objects import HOST
from netloom.values import NAME_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netloom.host.keeper import Order

MARK = "NETLOOM_RUN"
"""The variable that bears the mark of a start."""

Key = tuple[str, str]
"""The namespace and the name of a command."""

State = Literal["running", "ended", "lost", "not started"]

_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from netloom.host.keeper import launch; launch()"
)
_TAIL = 64 * 1024


class Command(Struct, frozen=True):
    """What shall run in a namespace: `argv`, with `env` added, as `user` (or who netloom is).

    `ready` is what it is ready by (`model/ready.py`), empty if that is not asked for.
    """

    netns: str
    name: str
    argv: tuple[str, ...]
    ready: str = ""
    env: Mapping[str, str] = {}
    user: str = ""
    cwd: str = "/"


class Asked(Struct, frozen=True):
    """What was about to be started: `digest` is the caller's, `since` seconds since 1970."""

    boot: str
    netns: str
    name: str
    digest: str
    argv: tuple[str, ...] = ()
    since: float = 0.0


class Noted(Struct, frozen=True):
    """A process: its number and start; the log's length then, or the inode of its namespace."""

    pid: int
    start: int
    log: int = 0
    netns: int = 0


class Ended(Struct, frozen=True):
    """How the command itself ended: its status, or minus the signal."""

    status: int


class Run(Struct, frozen=True):
    """One start, as its notes have it; what is None has not happened yet."""

    folder: str
    asked: Asked
    keeper: Noted | None = None
    command: Noted | None = None
    ended: Ended | None = None
    over: bool = False

    @property
    def key(self) -> Key:
        """Which command it is of."""
        return self.asked.netns, self.asked.name

    @property
    def mark(self) -> str:
        """The mark of this start."""
        return os.path.basename(self.folder).removesuffix(GOING)


class Running(Struct, frozen=True):
    """What became of a command: all but `running` is a difference to what was applied.

    `pid` is the command's own; one that went into the background by ending with 0 is still
    `running` while anything of it lives. `lost` is one whose keeper was killed. `status` is as in
    `subprocess`: minus the signal that ended it.
    """

    digest: str
    state: State
    pid: int = 0
    status: int | None = None
    since: float = 0.0


GOING = ".gone"
"""Ends the name of a folder that is about to be removed."""


def runs_dir(lab: str) -> str:
    """Return the folder of a lab's starts."""
    return f"{RUN_DIR}/labs/{lab}/run"


def logs_dir(lab: str) -> str:
    """Return the folder of a lab's logs."""
    return f"{RUN_DIR}/labs/{lab}/logs"


def log_path(lab: str, netns: str, name: str) -> str:
    """Return the file that a command's output goes to."""
    return f"{logs_dir(lab)}/{netns}:{name}.log"


# ── starting ──────────────────────────────────────────────────────────────────────────────────────


def check(commands: Sequence[Command]) -> None:
    """Raise `Unavailable` for the first command that could not be started; change nothing."""
    for command in commands:
        label = f"`{command.name}` in `{command.netns}`"
        if not command.argv or "\0" in "".join(command.argv):
            raise Unavailable(f"{label} has no command that could be run")
        if len(os.fsencode(f"{command.netns}:{command.name}.log")) > NAME_MAX:
            raise Unavailable(f"{label} has too long a name", "call it by another `name:`")
        if not os.path.isdir(command.cwd):
            raise Unavailable(f"{label}: no folder `{command.cwd}`", "name another as its `cwd`")
        _identity(command.user)


def start(lab: str, commands: Sequence[tuple[Command, str]]) -> None:
    """Start commands, each with the digest it shall be told by; return when all are under way.

    Should: be preceded by `check`, and by `ending.stop` where one of that name is left.
    Mustn't: be called without the lab's lock. One that could not become its command has `ended`.
    """
    if not commands:
        return
    try:
        os.makedirs(runs_dir(lab), 0o755, exist_ok=True)
        os.makedirs(logs_dir(lab), 0o755, exist_ok=True)
        boot = boot_id()
        orders = [_order(lab, command, digest, boot) for command, digest in commands]
    except OSError as error:
        reason = f"cannot write below {runs_dir(lab)}: {error.strerror}"
        raise Unavailable(reason, "a start begins on disk: make room there") from error
    if trouble := _launch(lab, marshal.dumps(orders)):
        raise Unavailable(f"cannot start commands: {trouble.splitlines()[-1]}")


def _order(lab: str, command: Command, digest: str, boot: str) -> "Order":
    """Write down one start, and return what its keeper is told."""
    mark = os.urandom(8).hex()
    folder = f"{runs_dir(lab)}/{mark}"
    asked = Asked(boot, command.netns, command.name, digest, command.argv, time.time())
    os.mkdir(folder, 0o755)
    Path(f"{folder}/asked.new").write_bytes(msgspec.json.encode(asked))
    os.rename(f"{folder}/asked.new", f"{folder}/asked")
    user, whose = _identity(command.user)
    names = {"NETLOOM_LAB": lab, "NETLOOM_NAME": command.netns, "PWD": command.cwd}
    return {
        "folder": folder,
        "log": log_path(lab, command.netns, command.name),
        "netns": "" if command.netns == HOST else command.netns,
        "argv": list(command.argv),
        "env": whose | names | dict(command.env) | {MARK: mark},
        "user": user,
        "cwd": command.cwd,
    }


def _identity(user: str) -> tuple[tuple[int, int, list[int]] | None, dict[str, str]]:
    """Return the numbers of a user and what their environment says, none for who we are."""
    if not user:
        return None, {}
    try:
        who = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        raise Unavailable(f"no user `{user}` here", "name one that /etc/passwd has") from None
    whose = {"HOME": who.pw_dir, "USER": who.pw_name, "LOGNAME": who.pw_name}
    if who.pw_uid == os.geteuid():
        return None, whose
    if os.geteuid() != 0 or procfs.in_user_namespace():
        reason = f"may not become user `{user}` here"
        raise Unavailable(reason, "run netloom as root, outside of user namespaces")
    return (who.pw_uid, who.pw_gid, os.getgrouplist(who.pw_name, who.pw_gid)), whose


def _launch(lab: str, orders: bytes) -> str:
    """Spawn the launcher, and return what it and its keepers complain about, empty if nothing."""
    source = os.path.dirname(os.path.dirname(os.path.abspath(netloom.__file__)))
    argv = [sys.executable, "-I", "-S", "-c", _PROGRAM, source, lab]
    env = dict(os.environ)
    if b"LC_CTYPE" not in procfs.initial_environment():  # Python's own (PEP 538)
        env.pop("LC_CTYPE", None)
    reading, writing = _pipe()
    report, told = _pipe()
    status = 0
    try:
        places = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate((reading, told, told))]
        try:
            pid = os.posix_spawn(
                argv[0], argv, env, file_actions=places, setsid=True, setsigmask=()
            )
        except OSError as error:
            raise KernelError(error.errno or 0, argv[0]) from error
        finally:
            os.close(reading)
            os.close(told)
        with suppress(BrokenPipeError), os.fdopen(writing, "wb", closefd=False) as pipe:
            pipe.write(orders)
        os.close(writing)
        writing = -1
        trouble = b"".join(iter(lambda: os.read(report, 4096), b""))
        with suppress(ChildProcessError):  # somebody's SIGCHLD handler was quicker
            status = os.waitpid(pid, 0)[1]
    finally:
        os.close(report)
        if writing >= 0:
            os.close(writing)
    killed = f"the launcher ended with {status}" if status else ""
    return trouble.decode(errors="replace").strip() or killed


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe, both above 2: netloom may have been started without a stdin."""
    ends = os.pipe()
    moved = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends)
    reading, writing = moved
    for end in ends:
        os.close(end)
    return reading, writing


# ── looking ───────────────────────────────────────────────────────────────────────────────────────


def runs(lab: str) -> list[Run]:
    """Return all starts that something is remembered of, in no order."""
    try:
        entries = os.listdir(runs_dir(lab))
    except FileNotFoundError:
        return []
    return [read_run(f"{runs_dir(lab)}/{entry}") for entry in entries]


_NOTES = {"keeper": Noted, "command": Noted, "ended": Ended}
_DECODE = {name: msgspec.json.Decoder(kind) for name, kind in _NOTES.items()}
_DECODE_ASKED = msgspec.json.Decoder(Asked)


def read_run(folder: str) -> Run:
    """Return one start; one whose `asked` is not there was never begun, or is half removed."""
    text = _read(f"{folder}/asked")
    asked = _DECODE_ASKED.decode(text) if text else Asked("", "", "", "")
    found = {}
    for name, decoder in _DECODE.items():
        note = _read(f"{folder}/{name}")
        found[name] = decoder.decode(note) if note else None
    return Run(folder, asked, **found, over=os.path.exists(f"{folder}/over"))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except FileNotFoundError:
        return b""


def alive(noted: Noted | None, boot: str, asked: Asked) -> bool:
    """Whether a process that was noted lives: the same number, start and boot."""
    return bool(noted and asked.boot == boot and process.same(noted.pid, noted.start))


def running(lab: str) -> dict[Key, Running]:
    """Return what became of each command of a lab; of several starts of one, the last."""
    boot = boot_id()
    found: dict[Key, Running] = {}
    for run in sorted(runs(lab), key=lambda run: run.asked.since):
        if run.asked.name:
            found[run.key] = _running(run, boot)
    return found


def _running(run: Run, boot: str) -> Running:
    status = run.ended.status if run.ended else None
    if alive(run.keeper, boot, run.asked):
        state: State = "ended" if status else "running"
    elif run.ended and (run.over or status):
        state = "ended"
    else:
        state = "lost" if run.keeper else "not started"
    pid = run.command.pid if run.command else 0
    return Running(run.asked.digest, state, pid, status, run.asked.since)


def tail(lab: str, netns: str, name: str, lines: int = 10) -> list[str]:
    """Return the last lines that a command printed since it was last started."""
    began = max(
        ((r.asked.since, r.keeper.log) for r in runs(lab) if r.key == (netns, name) and r.keeper),
        default=(0.0, 0),
    )[1]
    try:
        with open(log_path(lab, netns, name), "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(min(began, end), end - _TAIL))
            text = file.read()
    except FileNotFoundError:
        return []
    return text.decode(errors="replace").splitlines()[-lines:]


def logs(lab: str) -> Iterator[tuple[Key, str]]:
    """Yield whose logs there are, and where."""
    with suppress(FileNotFoundError):
        for entry in sorted(os.listdir(logs_dir(lab))):
            netns, _, name = entry.removesuffix(".log").partition(":")
            yield (netns, name), f"{logs_dir(lab)}/{entry}"


def forget_logs(lab: str, keep: frozenset[Key] = frozenset()) -> None:
    """Remove the logs of a lab, but those of the commands to keep; then the folder, if empty."""
    for key, path in list(logs(lab)):
        if key not in keep:
            with suppress(FileNotFoundError):
                os.unlink(path)
    with suppress(OSError):
        os.rmdir(logs_dir(lab))
