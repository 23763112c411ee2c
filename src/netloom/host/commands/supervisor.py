"""What runs around a command of a lab: the launcher, then one supervisor for each command.

`netloom up` may have threads and a lot in memory, so it forks nothing itself: it spawns one small
Python, the launcher, which reads all orders from its stdin, forks a supervisor for each, and ends.
A supervisor is a subreaper, so whatever the command forks stays below it, through double forks and
new sessions. It has a session of its own, writes down who it is, starts the command, copies what
that prints into its log, notes how it ended, and goes when its last descendant has gone. That it
goes
*by itself* is the kernel's word that nothing of the command is left.

Order: note, then act. The note `supervisor` is in the folder of this start before the command is
forked, `command` before it does anything. Where somebody who ends the lab has moved that folder
away, the note cannot be written, and whoever wanted to write it ends at once. So none of them is
ever alive without standing in a note, or about to find out that nobody wants it any more.

Should: import little (a start is 20 ms, once for all commands of a lab).
Mustn't: end anybody; that is done from outside (`stop.py`), in one look for all commands.
"""

import marshal
import os
import select
import signal
import sys
from contextlib import suppress

from netloom.errors import FAILURES, KernelError, NetloomError, failure
from netloom.host.commands.printed import Log
from netloom.kernel import modes, process, procfs, syscalls
from netloom.namespaces import handle, mounts, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn, TypedDict

    class Order(TypedDict):
        """What a supervisor is told; of plain types, for it comes through a pipe.

        `netns` is empty for a command that stays where netloom is; `bare`: it has nothing of our
        environment, but `env` alone; `user` is its number, its group's and those of all its groups,
        None to stay who we are.
        """

        folder: str
        log: str
        netns: str
        argv: list[str]
        env: dict[str, str]
        bare: bool
        user: tuple[int, int, list[int]] | None
        cwd: str


SUPERVISOR = "netloom-run"
"""What `ps` shows, 15 bytes at most (prctl(2))."""

_LAST_FD = 1 << 20
_PIECE = 1 << 16


def launch() -> None:
    """Fork a supervisor for each order on stdin, and return without waiting for any.

    Stdout and stderr are a pipe on which the one who spawned us reads trouble: its end is there
    when every command has been started, or has failed.
    """
    try:
        _fork_each()
    except FAILURES as error:
        _complain(error)


def _complain(error: BaseException) -> "NoReturn":
    """Tell the one who waits for us what was refused, its errno first, and end."""
    refused = failure(error)
    os.write(2, f"{refused.errno or 0} {refused}\n".encode(errors="surrogateescape"))
    os._exit(run.TROUBLE)


def _fork_each() -> None:
    orders: list[Order] = marshal.loads(sys.stdin.buffer.read())  # noqa: S302 - a pipe of our own
    os.closerange(3, _LAST_FD)  # what those who started netloom left open for it
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    for order in orders:
        if os.fork() == 0:
            _keep(order, nothing)


def _keep(order: "Order", nothing: int) -> "NoReturn":
    """Start a command, and live as long as anything of it does."""
    try:
        output, log, main = _begin(order, nothing)
    except FAILURES as error:
        _complain(error)
    _watch(Log(output, log), order, main)
    os._exit(0)


def _begin(order: "Order", nothing: int) -> tuple[int, int, int]:
    """Start a command; return what it prints into, its log, and its number."""
    os.setsid()
    os.chdir("/")
    process.become_subreaper(SUPERVISOR)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    log = os.open(order["log"], flags, modes.PRIVATE)
    _note(order, "supervisor", "log", os.lseek(log, 0, os.SEEK_END))
    output, theirs = os.pipe()
    if order["user"]:
        os.fchown(theirs, *order["user"][:2])  # who is not root must be able to open /dev/stderr
    begun, told = os.pipe()
    main = os.fork()
    if main == 0:
        _start(order, theirs, told)
    signal.signal(signal.SIGTERM, _passing_on(main))
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    os.close(theirs)
    os.close(told)
    if not os.read(begun, 1):  # it has become the command: whoever waits for that may go on
        for fd in (1, 2):
            os.dup2(nothing, fd)
    os.close(begun)
    return output, log, main


def _passing_on(main: int) -> "Callable[[int, FrameType | None], None]":
    """Return what a supervisor does when somebody asks it to end: it asks its command."""

    def pass_on(number: int, frame: "FrameType | None") -> None:  # noqa: ARG001 - a handler's shape
        child = process.process(main)
        if child and child.parent == os.getpid():  # not reaped: the number is still its own
            process.send(main, child.start, number)

    return pass_on


def _watch(log: Log, order: "Order", main: int) -> None:
    """Copy what is printed and reap who ends, until no descendant is left."""
    ended, ending = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(ending, False)
    signal.set_wakeup_fd(ending, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # noqa: ARG005 - a handler's shape
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(log.output, select.POLLIN)
    last = 0
    while (status := _reap(log, order, main, last)) is not None:
        last = status
        for fd, _ in poll.poll():
            if fd == ended:
                os.read(ended, _PIECE)
            elif not log.copy():
                poll.unregister(fd)


def _reap(log: Log, order: "Order", main: int, status: int) -> int | None:
    """Reap who has ended, and note how the command itself did, and at the end the last of it.

    Return how who ended last did, `status` if nobody has; None once nobody is left.
    """
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            log.copy()
            _last(order, "over", status)
            return None
        if pid == 0:
            return status
        status = os.waitstatus_to_exitcode(code)
        if pid == main:
            log.copy()  # its last words stand in the log before its end is noted
            _last(order, "ended", status)


def _last(order: "Order", name: str, status: int) -> None:
    """Write a note about an end; without room for it, whoever is left must still be kept."""
    with suppress(*FAILURES):
        _write(order, name, f'{{"status":{status}}}')


def _start(order: "Order", output: int, told: int) -> "NoReturn":
    """Become the command; what prevents it stands in its log, and the status is a shell's.

    `told` is closed by becoming the command, and gets a byte if that fails.
    """
    os.setsid()
    for fd in (1, 2):
        os.dup2(output, fd)
    status = run.TROUBLE
    # Not by `run.become`: that looks into /proc/self, which is root's for one who became a user.
    if order["bare"]:
        os.environ.clear()
    elif b"LC_CTYPE" not in procfs.initial_environment():
        os.environ.pop("LC_CTYPE", None)
    os.environ.update(order["env"])
    try:
        _enter(order)
        status = _become(order["argv"])
    except (NetloomError, *FAILURES) as error:
        _tell(str(error))
    os.write(told, b"!")
    os._exit(status)


def _become(argv: "list[str]") -> int:
    """Become a command, or say why not and return the status that a shell would."""
    try:
        syscalls.become(argv)
    except KernelError as error:
        refused = run.NotStarted(error)
        _tell(refused.reason)
        return refused.status


def _enter(order: "Order") -> None:
    """Move to where a command runs, as `netloom exec` does, and become who it runs as."""
    if order["netns"]:
        with handle.open_name(order["netns"]) as netns:
            _note(order, "command", "netns", netns.inode)
            syscalls.setns(netns.fd, syscalls.CLONE_NEWNET)
        mounts.own_mounts(order["netns"])
        for line in mounts.bind_etc(order["netns"]):
            _tell(line)
    else:
        _note(order, "command", "netns", 0)
    os.chdir(order["cwd"])  # before the rights are given up, as systemd does not, but su does
    if order["user"]:
        uid, gid, groups = order["user"]
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def _tell(line: str) -> None:
    os.write(1, f"netloom: {line}\n".encode(errors="surrogateescape"))


def _note(order: "Order", name: str, key: str, value: int) -> None:
    """Write down who the calling process is; end it if nobody wants it any more."""
    own = process.process("self")
    if own is None or not _write(
        order, name, f'{{"pid":{own.pid},"start":{own.start},"{key}":{value}}}'
    ):
        os._exit(run.TROUBLE)


def _write(order: "Order", name: str, text: str) -> bool:
    """Put a note into the folder of this start, whole or not at all; False if that has gone."""
    path = f"{order['folder']}/{name}"
    try:
        modes.replace(path, text.encode(), modes.PRIVATE)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise KernelError(error.errno or 0, f"write {path}") from error
    return True
