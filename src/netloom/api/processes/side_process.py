"""A small process of ours beside a program's lab: the watchdog, or the outer agent.

It ends with the program, and is told of that end by a pidfd (pidfd_open(2)): the kernel's own word,
whoever the program has forked and whatever they hold.
"""

import os
import subprocess
import sys
from collections.abc import Collection

from netloom.namespaces.context import NetnsContext


def start(  # noqa: PLR0913 - what a process is given
    place: NetnsContext,
    code: str,
    word: str,
    *,
    pid: int = 0,
    stdout: int = subprocess.DEVNULL,
    fds: Collection[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start one in a place; its `sys.argv` is `word`, the program's pidfd, and our `sys.path`.

    The program is `pid`, if that is not this process; `fds` are files that it has open as well.
    """
    program = os.pidfd_open(pid or os.getpid())
    try:
        paths = map(os.path.abspath, sys.path)
        return place.spawn(
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
