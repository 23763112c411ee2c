"""What of a lab a program still holds after its end: then the kernel keeps the lab's namespaces."""

import gc
import os
import socket
from contextlib import suppress
from pathlib import Path

from netloom.lab.live import Lab
from netloom.netns.holding import home_of, identity, residents


class Leaks:
    """The namespaces of a lab, noted while it is there, and what holds them afterwards."""

    def __init__(self, lab: Lab) -> None:
        """Note them; only those that were opened can be held."""
        places = {name: lab.place_of(name) for name in lab.stand.opened}
        self._names = {identity(place.net): name for name, place in places.items()}
        self._has_spawned = lab.stand.has_spawned

    def found(self) -> str:
        """Return in words what holds them: sockets of this process, other processes."""
        words = self._sockets()
        if words:
            gc.collect()  # one that nobody can reach any more closes now
            words = self._sockets()
        if self._has_spawned:  # a look at every process of the machine
            words += [f"{one.command} (pid {one.pid})" for one in residents(set(self._names))]
        return ", ".join(words)

    def _sockets(self) -> list[str]:
        found = []
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                fd = int(entry.name)
                if str(entry.readlink()).startswith("socket:"):
                    name = self._names.get(home_of(fd))
                    found += [f"an open socket in `{name}` ({_told(fd)})"] if name else []
        return found


def _told(fd: int) -> str:
    """Return what a socket is bound to, as far as it says."""
    with suppress(OSError), socket.socket(fileno=os.dup(fd)) as copy:
        return f"descriptor {fd}, {copy.getsockname()}"
    return f"descriptor {fd}"
