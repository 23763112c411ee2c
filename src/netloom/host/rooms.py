"""Namespaces kept open while a plan is carried out: for each a handle, and a netlink socket inside.

A socket stays in the namespace that it was opened in, so one thread can speak to all of them; only
for files below /proc/sys must it hop. The number kept open is bounded: those used longest ago are
closed, and opened again when they are spoken to.

Should: live on one throwaway thread, which hops.
Mustn't: be used by two threads.
"""

from collections import OrderedDict

from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import HOST
from netloom.netns.enter import hop
from netloom.netns.handle import Handle, open_name, open_self

OPEN = 480
"""Namespaces kept open at once; two descriptors each stay below the usual limit of 1,024."""


class Room:
    """An open namespace: its handle, and a netlink socket inside it."""

    __slots__ = ("handle", "rt")

    def __init__(self, handle: Handle, rt: Rtnetlink) -> None:
        """Own both."""
        self.handle = handle
        self.rt = rt

    def close(self) -> None:
        """Let go of the namespace."""
        self.rt.close()
        self.handle.close()


class Rooms:
    """The namespaces that are open; `host` is the one that the thread begins in."""

    def __init__(self) -> None:
        """Open `host`."""
        self._home = Room(open_self(), Rtnetlink())
        self._open: OrderedDict[str, Room] = OrderedDict()

    def __getitem__(self, name: str) -> Room:
        """Return an open namespace, opening it if need be."""
        if name == HOST:
            return self._home
        room = self._open.get(name)
        if room is None:
            handle = open_name(name)
            hop(handle)
            return self._keep(name, handle)
        self._open.move_to_end(name)
        return room

    def here(self, name: str) -> Room:
        """Keep open, under a name, the namespace that the thread is in."""
        return self._keep(name, open_self())

    def _keep(self, name: str, handle: Handle) -> Room:
        room = self._open[name] = Room(handle, Rtnetlink())
        if len(self._open) > OPEN:
            self._open.popitem(last=False)[1].close()
        return room

    def forget(self, name: str) -> None:
        """Close a namespace that is about to go."""
        room = self._open.pop(name, None)
        if room is not None:
            room.close()

    def close(self) -> None:
        """Close them all."""
        for room in (*self._open.values(), self._home):
            room.close()
