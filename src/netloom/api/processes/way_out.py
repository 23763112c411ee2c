"""Who stays outside for a program's lab with a way out (`host/rootless/outer_agent.py`).

It has the lab's mounts, and with them its notes, logs and names; its network is the one in which
the program is. It ends with the program, as the watchdog does; what it started is the watchdog's.
"""

import os
import subprocess

from netloom.api.processes import side_process
from netloom.errors import Unavailable
from netloom.host.outer_client import path_of
from netloom.host.rootless.outer_agent import opened_run
from netloom.namespaces.context import NetnsContext
from netloom.namespaces.references import identity

_SERVING = (
    "import sys\n"
    "sys.path[:0] = sys.argv[3:]\n"
    "from netloom.host.rootless.outer_agent import serve_program\n"
    "serve_program(sys.argv[1], int(sys.argv[2]), {run})\n"
)


def start(place: NetnsContext) -> "subprocess.Popen[bytes]":
    """Start one for the lab in a place, and return when it listens; raises `Unavailable`."""
    path = path_of(identity(place.net).inode)
    run = opened_run()
    try:
        with place.beside() as beside:
            code = _SERVING.format(run=run)
            process = side_process.start(beside, code, path, stdout=subprocess.PIPE, fds=(run,))
    finally:
        os.close(run)
    if not process.stdout or not process.stdout.read(1):
        process.wait()
        msg = "nobody could stay outside for the lab"
        raise Unavailable(msg)
    return process
