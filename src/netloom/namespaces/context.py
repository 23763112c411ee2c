"""A context to be in: a network and a mount namespace, held by open files and nothing else.

No name, no mount that others see, no process: when the files are closed, or their owner is killed,
the kernel takes all of it apart. Calls are made inside on threads that are thrown away; what such a
thread starts is inside, too.

Who has not the rights for namespaces gets one in a user namespace of its own, where it has
them. No thread can enter that beside others, so calls are made in children (`in_child.py`).
"""

import errno
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from netloom.errors import KernelError, Unavailable
from netloom.kernel import syscalls
from netloom.kernel.closing import Closing
from netloom.kernel.files import is_dir
from netloom.kernel.loopback import set_lo_up
from netloom.namespaces import isolate, mounts, private_run, rights
from netloom.namespaces.enter import in_thread, same_folder
from netloom.namespaces.handle import open_name
from netloom.namespaces.in_child import Portable, call_in_child
from netloom.namespaces.userns_diagnosis import refused

_P = ParamSpec("_P")
_T = TypeVar("_T")

_NET, _MNT = "/proc/thread-self/ns/net", "/proc/thread-self/ns/mnt"
_USER = "/proc/thread-self/ns/user"
_PROGRAMS_NET = "/proc/self/ns/net"
_FLAGS = os.O_RDONLY | os.O_CLOEXEC


class NetnsContext(Closing, Portable):
    """A network and a mount namespace, and the user namespace of both if that is another.

    Either may be missing: then it is the one that the process or thread is in.
    """

    __slots__ = ("mnt", "net", "user")

    def __init__(self, net: int, mnt: int, user: int = -1) -> None:
        """Own open files, one on each; -1 where it is the process's own."""
        self.net = net
        self.mnt = mnt
        self.user = user

    @property
    def is_of_another_user(self) -> bool:
        """Whether it is in a user namespace of its own, so that calls are made in children."""
        return self.user >= 0

    def fds(self) -> list[int]:
        """Return the files that are open, in order."""
        return [fd for fd in (self.net, self.mnt, self.user) if fd >= 0]

    def close(self) -> None:
        """Let go of all; twice is no harm."""
        for fd in self.fds():
            os.close(fd)
        self.net = self.mnt = self.user = -1

    def beside(self) -> "NetnsContext":
        """Open the same mounts once more, without the network."""
        return NetnsContext(-1, os.dup(self.mnt), os.dup(self.user) if self.user >= 0 else -1)

    def enter(self) -> None:
        """Move the calling thread into the context; its working directory stays the same path.

        Raises `Unavailable` where root lacks the capability for it.

        Should: run on a thread that is thrown away, or in a child that becomes a program.
        Mustn't: run on a thread that is needed elsewhere.
        """
        with same_folder():
            if self.user >= 0 and not os.path.samestat(os.fstat(self.user), os.stat(_USER)):
                syscalls.setns(self.user, syscalls.CLONE_NEWUSER)
            # Threads share their root and working directory, and setns(2) refuses to part them.
            syscalls.unshare(syscalls.CLONE_FS)
            if self.mnt >= 0:
                try:
                    syscalls.setns(self.mnt, syscalls.CLONE_NEWNS)
                except KernelError as error:
                    raise rights.explained(error, rights.SYS_ADMIN, rights.SYS_CHROOT) from error
            if self.net >= 0:
                syscalls.setns(self.net, syscalls.CLONE_NEWNET)

    def call(self, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
        """Return what `call` returns or raises, made inside: on a thread of its own, or a child."""
        if self.is_of_another_user:
            return call_in_child(self.enter, call, *args, **keys)

        def inside() -> _T:
            self.enter()
            return call(*args, **keys)

        return in_thread(inside)

    def spawn(self, call: Callable[..., _T], *args: object, **keys: object) -> _T:
        """Return what `call` returns: `subprocess.Popen`, or what takes its keywords.

        The process that it starts is inside, and the caller's own child.
        """
        if self.is_of_another_user:
            return call(*args, preexec_fn=self.enter, **keys)
        return self.call(call, *args, **keys)


def new_context() -> NetnsContext:
    """Make a context for a lab to be in: a network with `lo` alone, and a /run of its own.

    Raises `Unavailable` where the process may not make one. A root who lacks what it takes is as a
    plain user.
    """
    lacks = rights.lacking()
    try:
        if not lacks:
            return in_thread(_new_context)
    except KernelError as error:
        if error.errno != errno.EPERM:
            raise Unavailable(f"cannot make a place for a lab: {error}") from error
    try:
        return call_in_child(isolate.become_root, _new_user_context)
    except KernelError as error:
        raise (rights.refused(lacks) if lacks else refused(error)) from error


def _new_user_context() -> NetnsContext:
    context = _new_context()
    context.user = os.open(_USER, _FLAGS)
    return context


def _new_context() -> NetnsContext:
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
    syscalls.propagation("/", syscalls.MS_PRIVATE, recursive=True)
    private_run.lay_run()
    if is_dir(mounts.ETC_DIR):  # names there are those of the machine's namespaces
        syscalls.mount("tmpfs", "netloom", mounts.ETC_DIR, data="mode=755")
    set_lo_up()
    return own_context()


def process_context(pid: int) -> NetnsContext:
    """Open the context of a process in another user namespace."""
    opened = (os.open(f"/proc/{pid}/ns/{kind}", _FLAGS) for kind in ("net", "mnt", "user"))
    return NetnsContext(*opened)


def mounts_of(pid: int) -> NetnsContext:
    """Open the mounts of a process in another user namespace; the network stays the caller's."""
    opened = (os.open(f"/proc/{pid}/ns/{kind}", _FLAGS) for kind in ("mnt", "user"))
    return NetnsContext(-1, *opened)


def netns_context(context: NetnsContext, name: str = "") -> NetnsContext:
    """Open the namespace of a name in a context (or its own), with all that is shown in it."""
    machines = context.net >= 0 and os.path.samestat(os.fstat(context.net), os.stat(_PROGRAMS_NET))
    found = context.call(_netns_context, name, resolvers=machines and not name)
    if context.user >= 0:
        found.user = os.dup(context.user)
    return found


def _netns_context(name: str, *, resolvers: bool) -> NetnsContext:
    if name:
        with open_name(name) as netns:
            syscalls.setns(netns.fd, syscalls.CLONE_NEWNET)
    mounts.own_mounts(name or "netloom", resolvers=resolvers)
    if name:
        mounts.bind_etc(name)
    return own_context()


def own_context() -> NetnsContext:
    """Open the context that the calling thread is in."""
    return NetnsContext(os.open(_NET, _FLAGS), os.open(_MNT, _FLAGS))
