"""Who ends what runs in a lab when its program is killed and cannot do it itself.

A process inside the lab's place, where /run/netns has all its namespaces, so none of them can be
gone, and its number somebody else's, before they are looked at. It waits for the end of the program
by a pidfd (pidfd_open(2)), which is the kernel's own word that it is no more, whoever it has forked
and whatever they hold. Until then it has loaded nothing.
"""

import os
import subprocess
import sys

from netloom.netns.place import Place

_WAITING = (
    "import select, sys\n"
    "select.select([int(sys.argv[2])], [], [])\n"
    "sys.path[:0] = sys.argv[3:]\n"
    "from netloom.lab.leftovers import end_residents\n"
    "end_residents(sys.argv[1])\n"
)


def start(place: Place, lab: str) -> "subprocess.Popen[bytes]":
    """Start one in the place of a lab; it ends with the processes of the lab."""
    program = os.pidfd_open(os.getpid())
    try:
        paths = map(os.path.abspath, sys.path)
        return place.spawn(
            subprocess.Popen,
            [sys.executable, "-I", "-S", "-c", _WAITING, lab, str(program), *paths],
            pass_fds=(program,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # a Ctrl-C is not for it
        )
    finally:
        os.close(program)
