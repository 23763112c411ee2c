"""Who ends what runs in a lab when its program is killed and cannot do it itself.

A process inside the lab's place, where /run/netns has all its namespaces, so none of them can be
gone, and its number somebody else's, before they are looked at. It waits for the end of a pipe that
the program holds, which is the kernel's own word that the program is no more. Until then it has
loaded nothing.
"""

import os
import subprocess
import sys

from netloom.netns.place import Place

_WAITING = (
    "import os, sys\n"
    "while os.read(0, 1): pass\n"
    "sys.path[:0] = sys.argv[2:]\n"
    "from netloom.lab.leftovers import end_residents\n"
    "end_residents(sys.argv[1])\n"
)


def start(place: Place, lab: str) -> "subprocess.Popen[bytes]":
    """Start one in the place of a lab; it ends with the processes of the lab."""
    return place.spawn(
        subprocess.Popen,
        [sys.executable, "-I", "-S", "-c", _WAITING, lab, *map(os.path.abspath, sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # a Ctrl-C is not for it
    )
