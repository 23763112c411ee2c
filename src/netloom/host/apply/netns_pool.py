"""Namespaces kept open while a plan is carried out: for each a handle, and a netlink socket inside.

A socket stays in the namespace that it was opened in, so one thread can speak to all of them; only
for files below /proc/sys must it hop. The number kept open is bounded: those used longest ago are
closed, and opened again when they are spoken to.

Should: live on one throwaway thread, which hops.
Mustn't: be used by two threads.
"""

from _queue import Empty, SimpleQueue  # all that is wanted of `queue`
from collections import OrderedDict
from contextlib import suppress
from threading import Semaphore

from netloom.errors import FAILURES, KernelError
from netloom.kernel import syscalls
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.threads import Thread
from netloom.model.objects import HOST
from netloom.namespaces.enter import Captured, setns
from netloom.namespaces.handle import Handle, open_name, open_self

OPEN = 480
"""Namespaces kept open at once; two descriptors each stay below the usual limit of 1,024."""

_AHEAD = 16
"""New namespaces that wait for their names at the most."""


class NetnsSocket:
    """An open namespace: its handle, and a netlink socket inside it."""

    __slots__ = ("handle", "rt")

    def __init__(self, handle: Handle, rt: Rtnetlink) -> None:
        """Own both."""
        self.handle = handle
        self.rt = rt

    def close(self) -> None:
        """Let go of the namespace; that is so whatever the kernel answers."""
        with suppress(*FAILURES):
            self.rt.close()
        with suppress(*FAILURES):
            self.handle.close()


def _open_socket(handle: Handle) -> NetnsSocket:
    """Move the calling thread into a namespace, and return that as one that is open."""
    try:
        setns(handle)
        return NetnsSocket(handle, Rtnetlink())
    except FAILURES:
        handle.close()
        raise


def _open_own() -> NetnsSocket:
    """Return the namespace that the calling thread is in as one that is open."""
    handle = open_self()
    try:
        return NetnsSocket(handle, Rtnetlink())
    except FAILURES:
        handle.close()
        raise


class Preallocator:
    """New namespaces, made on a thread of their own, ahead of the steps that ask for them.

    A third of the kernel's work for a network is making namespaces, and on a second processor it
    costs no time. Until one is named, only descriptors hold it: whoever is killed leaves none.
    """

    def __init__(self, number: int) -> None:
        """Begin to make `number` namespaces."""
        self.number = number
        self._free = Semaphore(_AHEAD)
        self._made: SimpleQueue[NetnsSocket | BaseException] = SimpleQueue()
        self._closed = False
        self._thread = Thread("netloom-netns", self._make)
        self._thread.start()

    def _make(self) -> None:
        for _ in range(self.number):
            self._free.acquire()
            if self._closed:
                return
            with Captured() as kept:
                syscalls.unshare(syscalls.CLONE_NEWNET)
                self._made.put(_open_own())
            if kept.error:
                self._made.put(kept.error)

    def next(self) -> NetnsSocket:
        """Return a new namespace, or raise what the kernel said instead."""
        new = self._made.get()
        self._free.release()
        if isinstance(new, NetnsSocket):
            return new
        raise new

    def close(self) -> None:
        """Make no more, and let go of those that nobody asked for."""
        self._closed = True
        self._free.release()
        self._thread.join()
        with suppress(Empty):
            while True:
                new = self._made.get_nowait()
                if isinstance(new, NetnsSocket):
                    new.close()


class NetnsPool:
    """The namespaces that are open; `host` is the one that the thread begins in."""

    def __init__(self, number: int = 0, preallocator: Preallocator | None = None) -> None:
        """Open `host`; `number` namespaces will be asked for, perhaps of a `preallocator`."""
        self._home = _open_own()
        self._open: OrderedDict[str, NetnsSocket] = OrderedDict()
        try:
            self._preallocator = preallocator or (Preallocator(number) if number else None)
        except KernelError:
            self._home.close()
            raise

    def __getitem__(self, name: str) -> NetnsSocket:
        """Return an open namespace, opening it if need be."""
        if name == HOST:
            return self._home
        netns = self._open.get(name)
        if netns is None:
            return self._keep(name, _open_socket(open_name(name)))
        self._open.move_to_end(name)
        return netns

    def opened(self, name: str) -> NetnsSocket | None:
        """Return a namespace if it is open."""
        return self._home if name == HOST else self._open.get(name)

    def new(self, name: str) -> NetnsSocket:
        """Keep open, under a name, a namespace that is new and has no name yet."""
        assert self._preallocator, "more namespaces than were announced"
        return self._keep(name, self._preallocator.next())

    def _keep(self, name: str, netns: NetnsSocket) -> NetnsSocket:
        self._open[name] = netns
        if len(self._open) > OPEN:
            self._open.popitem(last=False)[1].close()
        return netns

    def forget(self, name: str) -> None:
        """Close a namespace that is about to go."""
        netns = self._open.pop(name, None)
        if netns is not None:
            netns.close()

    def close(self) -> None:
        """Close them all."""
        if self._preallocator:
            self._preallocator.close()
        for netns in (*self._open.values(), self._home):
            netns.close()
