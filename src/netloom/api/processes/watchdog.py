"""Who ends what runs in a lab when its program is killed and cannot do it itself.

A process inside the lab's place, where /run/netns has all its namespaces, so none of them can be
gone, and its number somebody else's, before they are looked at. It waits for the end of the program
(`side_process.py`), and until then it has loaded nothing.
"""

import subprocess  # noqa: TC003 - what is returned

from netloom.api.processes import side_process
from netloom.namespaces.context import NetnsContext

_WAITING = (
    "import select, sys\n"
    "select.select([int(sys.argv[2])], [], [])\n"
    "sys.path[:0] = sys.argv[3:]\n"
    "from netloom.api.processes.reap import end_residents\n"
    "end_residents(sys.argv[1])\n"
)


def start(place: NetnsContext, lab: str, program: int) -> "subprocess.Popen[bytes]":
    """Start one in the place of a program's lab; it ends with the processes of the lab."""
    return side_process.start(place, _WAITING, lab, pid=program)
