"""Starting the commands of a lab: noted first, then handed to one launcher (`supervisor.py`).

The launcher is spawned (posix_spawn(3)), not forked: netloom may have threads, and a library that
forks in a process of somebody else's copies their locks. It is asked for all commands at once, so
the 20 ms that a Python takes to start are paid once. Where the host is not the machine's, what
belongs to the host is started outside (`outer_agent.py`).

Should: refuse by `check` what can be known beforehand.
Mustn't: hand anything on but the environment: no open file, no blocked signal, no terminal.
"""

import fcntl
import marshal
import os
import pwd
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from netloom.errors import KernelError, Unavailable
from netloom.host import outer_client
from netloom.host.commands.processes import MARK, RunCommand, StartNote, log_path, runs_dir
from netloom.host.store.rundir import cannot_write, make_lab_dir
from netloom.kernel import modes, procfs
from netloom.kernel.files import is_dir
from netloom.kernel.procfs import boot_id
from netloom.model.objects import HOST
from netloom.values import NAME_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from netloom.host.commands.supervisor import Order

    Begin = Callable[[list[str], Sequence[int]], Callable[[], int]]

_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from netloom.host.commands.supervisor import launch; launch()"
)
_SOURCE = str(Path(__file__).parents[3])
"""Where the package lies: the launcher starts without site-packages."""

_KEPT = ("PATH", "LANG", "LANGUAGE", "TZ")
"""What a command of another user has of our environment, besides LC_*."""


def check(commands: Sequence[RunCommand]) -> None:
    """Raise `Unavailable` for the first command that could not be started; change nothing."""
    for command in commands:
        label = f"`{command.name}` in `{command.netns}`"
        if not command.argv or "\0" in "".join(command.argv):
            raise Unavailable(f"{label} has no command that could be run")
        if len(os.fsencode(f"{command.netns}:{command.name}.log")) > NAME_MAX:
            raise Unavailable(f"{label} has too long a name", "call it by another `name:`")
        if not is_dir(command.cwd):
            raise Unavailable(f"{label}: no folder `{command.cwd}`", "name another as its `cwd`")
        _identity(command.user)


def start(lab: str, commands: Sequence[tuple[RunCommand, str]]) -> None:
    """Start commands, each with the digest it is told by, until all are under way.

    Raises `Unavailable` if the disk is full, or one does not start.

    Should: be preceded by `check`, and by `ending.stop` where one of that name is left.
    Mustn't: be called without the lab's lock. One that could not become its command has `ended`.
    """
    if not commands:
        return
    try:
        for name in ("run", "logs"):
            make_lab_dir(lab, name)
        boot = boot_id()
        orders = [_order(lab, command, digest, boot) for command, digest in commands]
    except OSError as error:
        raise cannot_write(runs_dir(lab), "a start", error) from error
    beyond = [order for order in orders if not order["netns"]] if outer_client.is_here() else []
    here = [order for order in orders if order not in beyond]
    for those, begin in ((here, _spawn), (beyond, outer_client.spawn)):
        if those and (trouble := _launch(lab, marshal.dumps(those), begin)):
            raise _refusal(trouble)


def _refusal(trouble: str) -> KernelError:
    """Return the refusal that the launcher or a supervisor told: an errno, and what about."""
    number, _, words = trouble.splitlines()[-1].partition(" ")
    if not number.isdecimal():
        return KernelError(0, "", f"cannot start commands: {trouble.splitlines()[-1]}")
    reason = words.removesuffix(f": {os.strerror(int(number))}")
    return KernelError(int(number), "", f"cannot start commands: {reason}")


def _order(lab: str, command: RunCommand, digest: str, boot: str) -> "Order":
    """Write down one start, and return what its supervisor is told."""
    mark = os.urandom(8).hex()
    folder = f"{runs_dir(lab)}/{mark}"
    asked = StartNote(boot, command.netns, command.name, digest, command.argv, time.time())
    modes.make_dir(folder, modes.PRIVATE_DIR)
    try:
        modes.replace(f"{folder}/asked", msgspec.json.encode(asked), modes.PRIVATE)
    except OSError:
        with suppress(OSError):
            os.rmdir(folder)
        raise
    user, whose = _identity(command.user)
    names = {"NETLOOM_LAB": lab, "NETLOOM_NAME": command.netns, "PWD": command.cwd}
    return {
        "folder": folder,
        "log": log_path(lab, command.netns, command.name),
        "netns": "" if command.netns == HOST else command.netns,
        "argv": list(command.argv),
        "env": whose | names | dict(command.env) | {MARK: mark},
        "bare": bool(command.user),
        "user": user,
        "cwd": command.cwd,
        "restart": command.restart,
    }


def _identity(user: str) -> tuple[tuple[int, int, list[int]] | None, dict[str, str]]:
    """Return the numbers of a user, none for who we are, and the environment that they have.

    Nothing of ours is in it but where programs are and how text is written, as sudo(8) has it.
    """
    if not user:
        return None, {}
    try:
        who = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        raise Unavailable(f"no user `{user}` here", "name one that /etc/passwd has") from None
    shell = who.pw_shell or "/bin/sh"
    whose = {"HOME": who.pw_dir, "USER": who.pw_name, "LOGNAME": who.pw_name, "SHELL": shell}
    whose |= {key: text for key, text in _own().items() if key in _KEPT or key[:3] == "LC_"}
    if who.pw_uid == os.geteuid():
        return None, whose
    groups = os.getgrouplist(who.pw_name, who.pw_gid)
    if os.geteuid() != 0 or not _exist("uid", [who.pw_uid]) or not _exist("gid", groups):
        reason = f"may not become user `{user}` here, where there is no such id"
        ids = "ids of your own in /etc/subuid and /etc/subgid (and apt-get install uidmap)"
        raise Unavailable(reason, f"{ids}, before the first lab comes up; or run netloom as root")
    return (who.pw_uid, who.pw_gid, groups), whose


def _exist(kind: str, numbers: Iterable[int]) -> bool:
    """Whether all these users or groups exist in the user namespace that we are in."""
    there = procfs.mapped(kind)
    return all(any(number in some for some in there) for number in numbers)


def _launch(lab: str, orders: bytes, begin: "Begin") -> str | None:
    """Spawn the launcher; return what it and its supervisors complain about, None if nothing."""
    argv = [sys.executable, "-I", "-S", "-c", _PROGRAM, _SOURCE, lab]
    reading, writing = pipe()
    report, told = pipe()
    try:
        try:
            ended = begin(argv, (reading, told, told))
        finally:
            os.close(reading)
            os.close(told)
        with suppress(BrokenPipeError), os.fdopen(writing, "wb", closefd=False) as stdin:
            stdin.write(orders)
        os.close(writing)
        writing = -1
        trouble = b"".join(iter(lambda: os.read(report, 4096), b""))
        status = ended()
    finally:
        os.close(report)
        if writing >= 0:
            os.close(writing)
    killed = f"the launcher ended with {status}" if status else None
    return trouble.decode(errors="replace").strip() or killed


def _own() -> dict[str, str]:
    """Return the environment that we were started with; Python's own LC_CTYPE is not (PEP 538)."""
    env = dict(os.environ)
    if b"LC_CTYPE" not in procfs.initial_environment():
        env.pop("LC_CTYPE", None)
    return env


def _spawn(argv: list[str], streams: Sequence[int]) -> "Callable[[], int]":
    """Start a program with these streams; what is returned waits for its status."""
    env = _own()
    places = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate(streams)]
    try:
        pid = os.posix_spawn(argv[0], argv, env, file_actions=places, setsid=True, setsigmask=())
    except OSError as error:
        raise KernelError(error.errno or 0, argv[0]) from error

    def wait() -> int:
        with suppress(ChildProcessError):  # somebody's SIGCHLD handler was quicker
            return os.waitpid(pid, 0)[1]
        return 0

    return wait


def pipe() -> tuple[int, int]:
    """Return the ends of a pipe, both above 2: netloom may have been started without a stdin."""
    ends = os.pipe()
    moved = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends)
    reading, writing = moved
    for end in ends:
        os.close(end)
    return reading, writing
