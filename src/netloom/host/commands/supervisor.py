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
Mustn't: end anybody but what is left of a command that it starts again; all else is done from
outside (`stop.py`), in one look for all commands.
"""

import marshal
import os
import select
import signal
import sys
import time
from contextlib import suppress

from netloom.errors import FAILURES, KernelError, NetloomError, failure
from netloom.host.commands.printed import Log
from netloom.kernel import modes, process, procfs, syscalls
from netloom.kernel.files import exists
from netloom.namespaces import handle, mounts, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn, TypedDict

    class Order(TypedDict):
        """What a supervisor is told; of plain types, for it comes through a pipe.

        `netns` is empty for a command that stays where netloom is; `bare`: it has nothing of our
        environment, but `env` alone; `user` is its number, its group's and those of all its groups,
        None to stay who we are; `restart` how often it is started again at the most when it has
        failed, -1 for without end.
        """

        folder: str
        log: str
        netns: str
        argv: list[str]
        env: dict[str, str]
        bare: bool
        user: tuple[int, int, list[int]] | None
        cwd: str
        restart: int


SUPERVISOR = "netloom-run"
"""What `ps` shows, 15 bytes at most (prctl(2))."""

_PAUSE = 0.1
_LONGEST_PAUSE = 60.0
_AT_LEAST = 0.02
_WELL = 10.0
"""Seconds until one that failed starts again, twice as long each time, to so many; from the first
again where it had run for so long: as Docker has it."""

_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_OURS = (*_IGNORED, signal.SIGTERM, signal.SIGCHLD, signal.SIGCONT)
"""Signals that a supervisor treats in its own way, and its command as whoever started netloom."""

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
        supervisor = _Supervisor(order)
        begun = supervisor.start()
    except FAILURES as error:
        _complain(error)
    if begun or order["restart"]:  # else it ends at once, and whoever waits shall find it so
        for fd in (1, 2):
            os.dup2(nothing, fd)
    supervisor.watch()
    os._exit(0)


class _Supervisor:
    """What a supervisor knows: its command, how the last process ended, when to start it again."""

    def __init__(self, order: "Order") -> None:
        """Become one, with a log, and write down who it is."""
        self.order = order
        self.main = 0
        self.status = 0
        self.tries = order["restart"]
        self.pause = _PAUSE
        self.began = 0.0
        self.again: float | None = None
        os.setsid()
        os.chdir("/")
        process.become_subreaper(SUPERVISOR)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.log = Log(os.open(order["log"], flags, modes.PRIVATE))
        _note(order, "supervisor", "log", self.log.size)
        self.theirs = {number: signal.getsignal(number) for number in _OURS}

    def start(self) -> bool:
        """Start the command; return whether it has become that."""
        output, theirs = os.pipe()
        if self.order["user"]:
            os.fchown(theirs, *self.order["user"][:2])  # not root, it shall open /dev/stderr
        begun, told = os.pipe()
        try:
            self.main = os.fork()
        except OSError:
            for fd in (output, theirs, begun, told):
                os.close(fd)
            raise
        if self.main == 0:
            for number, handler in self.theirs.items():
                signal.signal(number, handler)
            _start(self.order, theirs, told)
        signal.signal(signal.SIGTERM, self._pass_on)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        os.close(theirs)
        os.close(told)
        became = not os.read(begun, 1)
        os.close(begun)
        self.log.listen(output)
        self.began = time.monotonic()
        return became

    def _pass_on(self, number: int, frame: "FrameType | None") -> None:  # noqa: ARG002 - a handler's
        """Ask the command to end, as somebody asks its supervisor; for good."""
        self.tries = 0
        child = process.process(self.main)
        if child and child.parent == os.getpid():  # not reaped: the number is still its own
            process.send(self.main, child.start, number)

    def watch(self) -> None:
        """Copy what is printed and reap who ends, until no descendant is left."""
        ended, ending = os.pipe()
        os.set_blocking(ended, False)
        os.set_blocking(ending, False)
        signal.set_wakeup_fd(ending, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGCONT):  # the second wakes one that is to end
            signal.signal(number, lambda number, frame: None)  # noqa: ARG005 - a handler's shape
        while self.reap():
            poll = select.poll()  # of another pipe after each start
            for fd in {ended, self.log.output} - {-1}:
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll(self.time_left()):
                if fd == ended:
                    os.read(ended, _PIECE)
                elif not self.log.copy():
                    self.log.close()

    def reap(self) -> bool:
        """Reap who has ended, and note how; false once nobody is left, and nobody is to come."""
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.log.copy()
                if self._starts_again():
                    return True
                _last(self.order, "over", self.status)
                return False
            if pid == 0:
                if self.again is not None:
                    self._end_rest()
                return True
            self.status = os.waitstatus_to_exitcode(code)
            if pid == self.main:
                self.log.copy()  # its last words stand in the log before its end is noted
                self._ended()

    def _ended(self) -> None:
        """Note how the command has ended, or that it is started again."""
        if self.status and self.tries and self._is_wanted():
            self.tries -= 1
            if time.monotonic() - self.began >= _WELL:
                self.pause = _PAUSE
            how = f"signal {-self.status}" if self.status < 0 else f"status {self.status}"
            self.log.say(f"netloom: ended by {how}; starts again in {self.pause:g} s")
            self.again = time.monotonic() + self.pause
            self.pause = min(2 * self.pause, _LONGEST_PAUSE)
        else:
            _last(self.order, "ended", self.status)

    def time_left(self) -> float | None:
        """Return the milliseconds until the command may start again, None if it does not."""
        return None if self.again is None else max(_AT_LEAST, self.again - time.monotonic()) * 1000

    def _starts_again(self) -> bool:
        """Start the command again when it is time; whether it has been, or will be."""
        if self.again is None or not self._is_wanted():
            return False
        if time.monotonic() >= self.again:
            self.log.close()
            self.again += _AT_LEAST
            with suppress(OSError):  # no process, no file left: at the next try there may be
                self.start()
                self.again = None
        return True

    def _is_wanted(self) -> bool:
        """Whether nobody has moved the folder of this start away, or it cannot be said."""
        with suppress(OSError):
            return exists(self.order["folder"])
        return True

    def _end_rest(self) -> None:
        """End what a command has left that starts again, as a container's end with its first."""
        for pid in process.descendants(table := process.processes(), {os.getpid()}):
            if pid in table:
                process.send(pid, table[pid].start, signal.SIGKILL)


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
