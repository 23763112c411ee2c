"""Who stays outside for the lab of a program that asks for a way out (`host/porter.py`).

It has the lab's mounts, and with them its notes, logs and names; its network is the one in which
the program is. It ends with the program, as the warden does; what it started is the warden's.
"""

import os
import subprocess
import sys

from netloom.errors import Unavailable
from netloom.host.porter import path_of
from netloom.netns.holding import identity
from netloom.netns.place import Place

_SERVING = (
    "import sys\n"
    "sys.path[:0] = sys.argv[3:]\n"
    "from netloom.host.porter import stand_by\n"
    "stand_by(sys.argv[1], int(sys.argv[2]))\n"
)


def start(place: Place) -> "subprocess.Popen[bytes]":
    """Start one for the lab in a place, and return when it listens."""
    program = os.pidfd_open(os.getpid())
    try:
        words = (path_of(identity(place.net).inode), str(program), *map(os.path.abspath, sys.path))
        with place.beside() as beside:
            process: subprocess.Popen[bytes] = beside.spawn(
                subprocess.Popen,
                [sys.executable, "-I", "-S", "-c", _SERVING, *words],
                pass_fds=(program,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # a Ctrl-C is not for it
            )
    finally:
        os.close(program)
    if not process.stdout or not process.stdout.read(1):
        process.wait()
        msg = "nobody could stay outside for the lab"
        raise Unavailable(msg)
    return process
