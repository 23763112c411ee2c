"""A process that has imported netloom, and forks wherever a test is: a start costs 5 ms, not 50.

Each worker of pytest has one. A request brings what belongs to the calling thread: its namespaces,
its folder, its umask, the streams. A fork enters them and does there what is asked: one command, or
all that a `Warm` will ask for. Its end is told when it is gone, as waitpid(2) has it.

What a start of its own tells (descriptors, signals in Python's first lines, imports) is tested by
a real one, `tests.hosts.netloom.command`.
"""

import atexit
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, NoReturn

from tests.hosts.programs import LIBRARIES, SRC

_NAMESPACES = ("user", "mnt", "net", "uts", "ipc")  # in the order in which one enters them
_PARTS = {"__main__", "cli", "engine", "host"}
"""Of netloom, what the forks shall not have to import."""
_FDS = 5 + len(_NAMESPACES)
"""Descriptors of a request: the line, three streams, the folder, the namespaces."""
_LINE = 3
"""The descriptor, in a fork, of the line to the caller."""
_MOST = 1 << 17
"""Bytes of a request, of which the environment is most."""

_libc = ctypes.CDLL(None, use_errno=True)


class Fork:
    """A fork in the calling thread's place that does what was asked; `pid` is the process."""

    def __init__(self, streams: tuple[int, int, int], **order: object) -> None:
        """Ask for it: `argv` of one command, or `module`, whose `serve` is called."""
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        place = [os.open(".", os.O_PATH)]
        place += [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in _NAMESPACES]
        said = {**order, "umask": _umask(), "env": dict(os.environ)}
        fds = [theirs.fileno(), *streams, *place]
        socket.send_fds(_server(), [json.dumps(said).encode()], fds)
        theirs.close()
        for fd in place:
            os.close(fd)
        self.pid = int(self._line.recv(16))

    def status(self, timeout: float) -> int:
        """Return how it ended; after this many seconds it is killed, and that is a TimeoutError."""
        self._line.settimeout(timeout)
        with self._line:
            try:
                return int(self._line.recv(16))
            except TimeoutError:
                os.kill(self.pid, signal.SIGKILL)
                raise


def _umask() -> int:
    """Return the calling thread's umask; umask(2) tells it only by setting another."""
    status = Path("/proc/thread-self/status").read_text()
    return int(status.partition("Umask:")[2].split()[0], 8)


@cache
def _server() -> socket.socket:
    """Start it; it goes to the main thread's machine, since that of a thread ends with its test."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    paths = [str(SRC), str(SRC.parent), *LIBRARIES]
    code = f"import sys; sys.path[:0] = {paths}\nfrom {__name__} import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(theirs.fileno()), str(os.getpid())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def main() -> None:
    """Fork for each request and tell how each fork ended, until nobody can ask any more."""
    _enter([os.open(f"/proc/{sys.argv[2]}/ns/{kind}", os.O_RDONLY) for kind in _NAMESPACES])
    os.chdir("/")
    _import_all()
    lines: dict[int, int] = {}  # by what tells that their fork has ended
    requests = socket.socket(fileno=int(sys.argv[1]))
    ear = select.poll()
    ear.register(requests, select.POLLIN)
    while True:
        for fd, _ in ear.poll():
            if fd in lines:
                ear.unregister(fd)
                _tell(fd, lines.pop(fd))
                continue
            request, fds, _, _ = socket.recv_fds(requests, _MOST, _FDS)
            if not request:
                return
            pidfd = _fork(json.loads(request), fds)
            lines[pidfd] = fds[0]
            ear.register(pidfd, select.POLLIN)


def _import_all() -> None:
    package = import_module("netloom")
    for module in walk_packages(package.__path__, "netloom."):
        if module.name.split(".")[1] in _PARTS:
            import_module(module.name)
    gc.freeze()  # what all forks have in common stays shared


def _enter(namespaces: list[int]) -> None:
    """Move into those of the namespaces in which this process is not."""
    for fd, kind in zip(namespaces, _NAMESPACES, strict=True):
        if os.fstat(fd).st_ino != os.stat(f"/proc/self/ns/{kind}").st_ino and _libc.setns(fd, 0):
            number = ctypes.get_errno()
            raise OSError(number, f"setns to the caller's {kind}: {os.strerror(number)}")
        os.close(fd)


def _fork(order: dict[str, Any], fds: list[int]) -> int:
    """Start a fork, and return what tells its end."""
    pid = os.fork()
    if pid == 0:
        _be(order, fds)
    for fd in fds[1:]:
        os.close(fd)
    return os.pidfd_open(pid)


def _tell(pidfd: int, line: int) -> None:
    """Say how a fork ended, which is gone by then with all that it held."""
    ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    assert ended
    status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
    with suppress(BrokenPipeError):  # nobody waits for it
        os.write(line, b"%d" % status)
    os.close(line)
    os.close(pidfd)


def _be(order: dict[str, Any], fds: list[int]) -> NoReturn:
    """Enter the caller's place, and do there what was asked."""
    try:
        _enter(fds[5:])
        os.fchdir(fds[4])
        os.umask(order["umask"])
        os.environ.clear()
        os.environ.update(order["env"])
        for target, fd in enumerate([*fds[1:4], fds[0]]):
            os.dup2(fd, target)
        os.closerange(_LINE + 1, 1 << 16)
        if "module" in order:
            os.write(_LINE, b"%d" % os.getpid())
            import_module(order["module"]).serve(open(0))  # noqa: SIM115 - until this process ends
            os._exit(0)
        _be_parent(order["argv"])
    except BaseException:  # noqa: BLE001 - whatever it is, it ends here
        traceback.print_exc()
    os._exit(1)


def _be_parent(argv: list[str]) -> NoReturn:
    """Be what netloom looks for, a parent with its mounts; and end as it does."""
    pid = os.fork()
    if pid == 0:
        os.close(_LINE)
        have_streams()
        become_netloom(argv)
    os.write(_LINE, b"%d" % pid)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


def have_streams() -> None:
    """Have Python read and write where the descriptors 0 to 2 lead now, as its own start does."""
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 - until this process ends
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1)  # noqa: SIM115


def become_netloom(argv: list[str]) -> NoReturn:
    """Run the command line, and end as Python would end."""
    from netloom.__main__ import main as netloom  # noqa: PLC0415 - imported by `_import_all`

    sys.argv = ["netloom", *argv]
    try:
        netloom()
    except BaseException:  # noqa: BLE001 - whatever it is, it ends here
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
