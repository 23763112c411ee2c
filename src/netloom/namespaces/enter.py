"""Entering a namespace: on a thread that is thrown away, since one that moved is never reused.

`setns` moves one thread, and sockets keep the namespace that they were opened in. So the short way
to be inside is a thread of one's own, which dies there; what it opened is carried out.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar, cast

from netloom.errors import KernelError
from netloom.kernel import syscalls
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.threads import Thread
from netloom.namespaces.handle import Handle, open_self

_TRIES = 3

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Captured:
    """Keeps whatever is raised in its block: it belongs to somebody else, who will raise it."""

    def __init__(self) -> None:
        """Nothing is, so far."""
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Keep it."""
        self.error = error
        return True


class _Call(Thread, Generic[_T]):
    """A thread that makes one call, and keeps its result or what it raised."""

    def __init__(self, call: Callable[[], _T]) -> None:
        super().__init__("netloom-call")
        self._call = call
        self._result: _T | None = None
        self._kept = Captured()

    def run(self) -> None:
        with self._kept:
            self._result = self._call()

    def outcome(self) -> _T:
        self.start()
        self.join()
        if self._kept.error is not None:
            raise self._kept.error
        return cast("_T", self._result)


def in_thread(call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
    """Return what `call` returns or raises, on a thread of its own that may move where it likes.

    Should: be used for every call that changes the namespaces of its thread.
    Mustn't: be used to enter a user namespace: a process with threads cannot.
    """
    return _Call(lambda: call(*args, **keys)).outcome()


def visiting(call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
    """Return what `call` returns or raises, on a thread that may hop from network to network.

    That is the calling one, if it is such a thread already; it comes back to where it was.

    Mustn't: be used for a call that moves its thread in any other way.
    """
    if not isinstance(threading.current_thread(), _Call):
        return in_thread(call, *args, **keys)
    with open_self() as home:
        try:
            return call(*args, **keys)
        finally:
            _come_back(home)


def _come_back(home: Handle) -> None:
    """Move the calling thread to where it was: setns(2) has no reason of its own to refuse that.

    It may lack memory for a moment, and whoever stayed elsewhere would take that for the host.
    """
    for _ in range(_TRIES):
        with suppress(KernelError):
            setns(home)
            return
    setns(home)


def enter(netns: Handle | int, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
    """Return what `call` returns or raises, made inside a namespace.

    Should: bring out what it opened (sockets, files) as its result.
    Mustn't: start processes that need the mounts of the namespace; that is `run.exec_in`.
    """

    def inside() -> _T:
        setns(netns)
        return call(*args, **keys)

    return in_thread(inside)


@contextmanager
def same_folder() -> Iterator[None]:
    """Stay in the working directory, by its path: setns(2) leads to the root of other mounts."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # it was removed
        folder = "/"
    yield
    with suppress(OSError):
        os.chdir(folder)


def setns(netns: Handle | int) -> None:
    """Move the calling thread into a namespace, for good or until the next hop.

    Should: run on a thread that does nothing else, such as opening a socket in each namespace.
    Mustn't: run on the main thread or on one of a pool.
    """
    syscalls.setns(netns if isinstance(netns, int) else netns.fd, syscalls.CLONE_NEWNET)


def cookie(netns: Handle | int) -> int:
    """Return the number that the kernel gave a namespace, unique until the next boot."""
    return enter(netns, cookie_here)


def cookie_here() -> int:
    """Return the number of the namespace that the calling thread is in."""
    with Rtnetlink() as probe:
        return probe.cookie
