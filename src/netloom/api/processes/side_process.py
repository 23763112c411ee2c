"""Small processes of ours beside a program's lab: the watchdog, and the outer agent.

Each ends with the program, and is told of that end by a pidfd (pidfd_open(2)): the kernel's own
word, whoever the program has forked and whatever they hold.

* *The watchdog* ends what runs in the lab when its program is killed and cannot do it itself. It is
  inside, where /run/netns has all namespaces of the lab, so none of them can be gone, and its
  number somebody else's, before they are looked at. Until then it has loaded nothing.
* *The outer agent* (`host/rootless/outer_agent.py`) stays outside for a lab with a way out. It has
  the lab's mounts, and with them its notes, logs and names; its network is the one in which the
  program is. What it started is the watchdog's to end.
"""

import os
import subprocess
import sys
from collections.abc import Collection

from netloom.errors import Unavailable
from netloom.host.outer_client import path_of
from netloom.host.rootless.outer_agent import opened_run
from netloom.namespaces.context import NetnsContext
from netloom.namespaces.references import identity

_WATCHING = (
    "import select, sys\n"
    "select.select([int(sys.argv[2])], [], [])\n"
    "sys.path[:0] = sys.argv[3:]\n"
    "from netloom.api.processes.reap import end_residents\n"
    "end_residents(sys.argv[1])\n"
)
_SERVING = (
    "import sys\n"
    "sys.path[:0] = sys.argv[3:]\n"
    "from netloom.host.rootless.outer_agent import serve_program\n"
    "serve_program(sys.argv[1], int(sys.argv[2]), {run})\n"
)


def start_watchdog(context: NetnsContext, lab: str, program: int) -> "subprocess.Popen[bytes]":
    """Start one in the context of a program's lab; it ends with the processes of the lab."""
    return _start(context, _WATCHING, lab, pid=program)


def start_outer_agent(context: NetnsContext) -> "subprocess.Popen[bytes]":
    """Start one for the lab in a context, and return when it listens; raises `Unavailable`."""
    path = path_of(identity(context.net).inode)
    run = opened_run()
    try:
        with context.beside() as beside:
            code = _SERVING.format(run=run)
            process = _start(beside, code, path, stdout=subprocess.PIPE, fds=(run,))
    finally:
        os.close(run)
    if not process.stdout or not process.stdout.read(1):
        process.wait()
        msg = "nobody could stay outside for the lab"
        raise Unavailable(msg)
    return process


def _start(  # noqa: PLR0913 - what a process is given
    context: NetnsContext,
    code: str,
    word: str,
    *,
    pid: int = 0,
    stdout: int = subprocess.DEVNULL,
    fds: Collection[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start one in a context; its `sys.argv` is `word`, the program's pidfd, and our `sys.path`.

    The program is `pid`, if that is not this process; `fds` are files that it has open as well.
    """
    program = os.pidfd_open(pid or os.getpid())
    try:
        paths = map(os.path.abspath, sys.path)
        return context.spawn(
            subprocess.Popen,
            [sys.executable, "-I", "-S", "-c", code, word, str(program), *paths],
            pass_fds=(program, *fds),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # a Ctrl-C is not for it
        )
    finally:
        os.close(program)
