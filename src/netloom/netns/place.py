"""A place to be in: a network and a mount namespace, held by two open files and nothing else.

No name, no mount that others see, no process: when the files are closed, or their owner is killed,
the kernel takes all of it apart. Calls are made inside on threads that are thrown away; what such a
thread starts is inside, too.
"""

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from netloom.errors import KernelError, Unavailable
from netloom.kernel import syscalls
from netloom.kernel.closing import Closing
from netloom.kernel.loopback import set_lo_up
from netloom.netns import cover, view
from netloom.netns.enter import aside, same_folder
from netloom.netns.handle import open_name

_P = ParamSpec("_P")
_T = TypeVar("_T")

_NET, _MNT = "/proc/thread-self/ns/net", "/proc/thread-self/ns/mnt"
_OF_OTHERS = "/etc/netns"


class Place(Closing):
    """A network and a mount namespace."""

    __slots__ = ("mnt", "net")

    def __init__(self, net: int, mnt: int) -> None:
        """Own two open files, one on each."""
        self.net = net
        self.mnt = mnt

    def close(self) -> None:
        """Let go of both; twice is no harm."""
        for fd in (self.net, self.mnt):
            if fd >= 0:
                os.close(fd)
        self.net = self.mnt = -1

    def enter(self) -> None:
        """Move the calling thread into the place; its working directory stays the same path.

        Should: run on a thread that is thrown away, or in a child that becomes a program.
        Mustn't: run on a thread that is needed elsewhere.
        """
        with same_folder():
            # Threads share their root and working directory, and setns(2) refuses to part them.
            syscalls.unshare(syscalls.CLONE_FS)
            syscalls.setns(self.mnt, syscalls.CLONE_NEWNS)
            syscalls.setns(self.net, syscalls.CLONE_NEWNET)

    def call(self, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
        """Return what `call` returns or raises, made inside on a thread of its own."""

        def inside() -> _T:
            self.enter()
            return call(*args, **keys)

        return aside(inside)


def outer() -> Place:
    """Make a place for a lab to be in: a network with `lo` alone, and a /run of its own.

    Raises `Unavailable` where the process may not make one.
    """
    try:
        return aside(_outer)
    except KernelError as error:
        raise Unavailable(f"needs root: {error}", cover.REMEDY) from error


def _outer() -> Place:
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
    syscalls.propagation("/", syscalls.MS_PRIVATE, recursive=True)
    cover.lay_run()
    if os.path.isdir(_OF_OTHERS):  # names there are those of the machine's namespaces
        syscalls.mount("tmpfs", "netloom", _OF_OTHERS, data="mode=755")
    os.makedirs(f"{view.ETC_DIRS[1]}/.kept")  # what namespaces see in /etc shall be there
    set_lo_up()
    return here()


def within(place: Place, name: str) -> Place:
    """Open the namespace of a name in a place, with all that a command is shown there."""
    return place.call(_within, name)


def _within(name: str) -> Place:
    with open_name(name) as netns:
        syscalls.setns(netns.fd, syscalls.CLONE_NEWNET)
    view.own_mounts(name)
    view.bind_etc(name)
    return here()


def here() -> Place:
    """Open the place that the calling thread is in."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    return Place(os.open(_NET, flags), os.open(_MNT, flags))
