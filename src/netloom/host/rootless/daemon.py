"""The two processes that hold a plain user's namespaces, and let nothing outlive them.

The holder lives in all of them and does nothing. The outer agent, its child, is in the same mounts
and the same user namespace, but in the network that the user came from (`outer_agent.py`). Each has
the other open (pidfd_open(2)): when one is killed, the other ends the commands of the labs and
goes, and with it goes the last that held the namespaces. Where both are killed at once, the
supervisors of such commands are left in mounts with a holder's mark and no holder; the user's next
command of netloom finds and ends them.

They are spawned and not forked: who starts them may have threads, and a lot in memory.
"""

import os
import select
import signal
import socket
import sys
from contextlib import suppress

from netloom.errors import KernelError, NetloomError, Unavailable
from netloom.host import outer_client
from netloom.host.commands import stop
from netloom.host.commands.launch import pipe
from netloom.host.commands.supervisor import SUPERVISOR
from netloom.host.rootless import outer_agent, subordinate
from netloom.host.store.journal import labs
from netloom.kernel import modes, process, syscalls
from netloom.kernel.loopback import set_lo_up
from netloom.namespaces import isolate, private_run
from netloom.namespaces.context import mounts_of
from netloom.namespaces.userns_diagnosis import refused
from netloom.namespaces.userns_session import HOLDER, is_held, mark_held

_PROGRAM = (
    "import sys; sys.path[:0] = sys.argv[2:]; "
    "from netloom.host.rootless.daemon import hold; hold(sys.argv[1])"
)
_BESIDE = "/run/.netloom-outer.new"
_ENTRY_LOCK = 3
"""The descriptor of the entry lock in what is started."""

_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL for what a killed one leaves."""


def start(folder: str, entry_lock: int) -> None:
    """Start both, and return when their namespaces are there and they are noted in a folder.

    `entry_lock` is a lock that they hold, too, until they are noted, even if we are killed. Raises
    `Unavailable` with what the machine refuses to a plain user.
    """
    words = [folder, *map(os.path.abspath, sys.path)]
    argv = [sys.executable, "-I", "-S", "-c", _PROGRAM, *words]
    reading, writing = pipe()
    places = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        *(
            (os.POSIX_SPAWN_DUP2, fd, at)
            for at, fd in ((1, writing), (2, writing), (_ENTRY_LOCK, entry_lock))
        ),
    ]
    try:
        pid = os.posix_spawn(
            argv[0], argv, os.environ, file_actions=places, setsid=True, setsigmask=()
        )
    except OSError as error:
        os.close(reading)
        raise KernelError(error.errno or 0, argv[0]) from error
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as report:
        trouble = report.read().decode(errors="replace").strip()
    with suppress(ChildProcessError):  # somebody's SIGCHLD handler was quicker
        os.waitpid(pid, 0)
    if trouble:
        reason, _, remedy = trouble.partition("\n")
        raise Unavailable(reason, remedy)


def hold(folder: str) -> None:
    """Be the holder, in a child that nobody waits for; stdout and stderr are for trouble.

    They are closed when all is there.
    """
    theirs, ours = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        _map_others(pid, ours)
        return
    ours.close()
    os.umask(0o022)
    try:
        other = _make(folder, theirs)
    except (OSError, NetloomError) as error:
        told = refused(error)
        print(f"{told.reason}\n{told.remedy}", flush=True)  # noqa: T201
        os._exit(1)
    _let_go()
    select.select([other], [], [])
    end_commands()
    os._exit(0)


def _map_others(pid: int, asked: socket.socket) -> None:
    """Let the user's further ids exist for a process, when it asks for them, or has ended."""
    with asked:
        if asked.recv(1) and (given := subordinate.ids()):
            subordinate.give(pid, given)


def _make(folder: str, outside: socket.socket) -> int:
    """Make the namespaces and the outer agent, and note both; return the outer agent, opened.

    `outside` is asked to let further ids exist in there; the end of it is the answer.
    """

    def mapping() -> None:
        with outside:
            outside.send(b"?")
            outside.recv(1)

    isolate.become_root(mapping)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.propagation("/", syscalls.MS_SLAVE, recursive=True)
    outer_run = outer_agent.opened_run()
    private_run.lay_run()
    listener = outer_agent.listen(_BESIDE)
    own = os.pidfd_open(os.getpid())
    pid = os.fork()
    if pid == 0:
        _be_the_outer_agent(listener, own, outer_run)
    other = os.pidfd_open(pid)
    listener.close()
    os.close(own)
    os.close(outer_run)
    try:
        _settle(folder, pid)
    except (OSError, NetloomError):
        signal.pidfd_send_signal(other, signal.SIGKILL)
        raise
    return other


def _settle(folder: str, other: int) -> None:
    """Move on into a network of our own, and note that all is there."""
    syscalls.unshare(syscalls.CLONE_NEWNET)
    set_lo_up()
    os.rename(_BESIDE, outer_client.path_of(os.stat("/proc/self/ns/net").st_ino))
    mark_held()
    process.rename(HOLDER)
    both = (process.process(each) for each in (os.getpid(), other))
    line = " ".join(f"{each.pid} {each.start}" for each in both if each)
    modes.write(f"{folder}/holder", line.encode(), modes.PRIVATE)


def _be_the_outer_agent(listener: socket.socket, holder: int, run: int) -> None:
    _let_go()
    process.rename(outer_client.NAME)
    outer_agent.serve(listener, holder, run)
    end_commands()
    os._exit(0)


def _let_go() -> None:
    """Let go of the streams, the lock and the folder of whoever started us."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    for fd in (nothing, _ENTRY_LOCK):
        os.close(fd)
    os.chdir("/")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})


# ── what the two leave ────────────────────────────────────────────────────────────────────


def end_commands() -> None:
    """End the commands of all labs that are remembered where we are."""
    for lab in labs():
        stop.stop(lab, grace=_GRACE)


def sweep() -> None:
    """End the commands of the user's labs whose holder and outer agent were killed, both."""
    own = [each for each in process.processes().values() if _is_own(each.pid)]
    held = {_mounts(each.pid) for each in own if each.command in {HOLDER, outer_client.NAME}}
    for supervisor in (each for each in own if each.command == SUPERVISOR):
        if is_held(supervisor.pid) and _mounts(supervisor.pid) not in held:
            with (
                suppress(OSError, NetloomError),
                mounts_of(supervisor.pid) as place,
            ):  # it has ended
                place.call(end_commands)


def _is_own(pid: int) -> bool:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}").st_uid == os.geteuid()
    return False


def _mounts(pid: int) -> int:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    return 0
