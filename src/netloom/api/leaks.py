"""What of a lab a program still holds after its end: then the kernel keeps the lab's namespaces.

Looked for are, in this process, sockets, descriptors on the namespaces themselves, threads and
mounts; elsewhere, processes, but only where the lab has started any. What can be held are the
namespaces that were asked for: nobody comes into the others.
"""

import gc
import os
import socket
import stat
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from netloom.api.lab import Lab
from netloom.kernel import procfs
from netloom.kernel.closing import Closing
from netloom.model.objects import HOST
from netloom.namespaces.references import NetnsInode, home_of, identity, residents


class Leaks(Closing):
    """The namespaces of a lab, noted while it is there, and what holds them afterwards."""

    def __init__(self, lab: Lab, own: Collection[int] = ()) -> None:
        """Note them; `own` are inodes of sockets that are not the test's.

        They are held open until `close`, or their numbers could be those of others by then.
        """
        contexts = {name: lab.context_of(name) for name in lab.runtime.opened}
        if not lab.persistent:  # else it is where the process is
            contexts[HOST] = lab.runtime.context
        self._own = own
        self._held: list[int] = []
        self._names = {}
        for name, context in contexts.items():
            for fd in (context.net, context.mnt):
                self._held.append(os.dup(fd))
                self._names[identity(fd)] = name
        self._has_spawned = lab.runtime.has_spawned

    def close(self) -> None:
        """Let go of them."""
        while self._held:
            os.close(self._held.pop())

    def found(self) -> str:
        """Return in words what holds them."""
        words = self._here()
        if words:
            gc.collect()  # what nobody can reach any more closes now
            words = self._here()
        if self._has_spawned:  # a look at every process of the machine
            others = (one for one in residents(set(self._names)) if one.pid != os.getpid())
            words += [
                f"{one.command} (pid {one.pid}) in `{self._names[one.netns]}`" for one in others
            ]
        return ", ".join(words)

    def _here(self) -> list[str]:
        return [*self._descriptors(), *self._threads(), *self._mounts()]

    def _descriptors(self) -> Iterator[str]:
        for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
            with suppress(OSError):
                facts = os.fstat(fd)
                if stat.S_ISSOCK(facts.st_mode):
                    name = self._names.get(home_of(fd))
                    if name and facts.st_ino not in self._own:
                        yield f"an open socket in `{name}` ({_bound_to(fd)})"
                elif fd not in self._held:
                    name = self._names.get(NetnsInode(facts.st_dev, facts.st_ino))
                    if name:
                        yield f"descriptor {fd} on the namespace `{name}`"

    def _threads(self) -> Iterator[str]:
        """Yield the threads that Python knows: one that has ended is seen a little longer."""
        for thread in threading.enumerate():
            with suppress(OSError):
                facts = Path(f"/proc/self/task/{thread.native_id}/ns/net").stat()
                name = self._names.get(NetnsInode(facts.st_dev, facts.st_ino))
                if name:
                    yield f"a thread in `{name}` ({thread.name})"

    def _mounts(self) -> Iterator[str]:
        roots = {f"net:[{netns.inode}]".encode(): name for netns, name in self._names.items()}
        for line in procfs.mountinfo().splitlines():
            if b" net:[" in line:
                words = line.split(b" ")
                if name := roots.get(words[3]):
                    yield f"a mount of `{name}` on {os.fsdecode(words[4])}"


def _bound_to(fd: int) -> str:
    """Return what a socket is bound to, as far as it says."""
    with suppress(OSError), socket.socket(fileno=os.dup(fd)) as copy:
        return f"descriptor {fd}, {copy.getsockname()}"
    return f"descriptor {fd}"
