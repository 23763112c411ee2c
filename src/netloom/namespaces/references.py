"""Who holds a namespace: it lives as long as anybody of these does, whatever became of its name.

* a process, or one thread of a process, that lives in it;
* a descriptor on it, and a socket in it (a socket stays where it was opened, whoever has it now);
* a mount, which is what a name is; in other mount namespaces there may be more of them.

What cannot be seen: a descriptor on its way through a unix socket, and a connection that the kernel
itself is still closing.

Rule: a namespace is told by device and inode, which is proof only while somebody holds it open.
"""

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from ctypes import CDLL, c_long
from typing import NamedTuple

from netloom.errors import printable
from netloom.kernel import procfs

_SIOCGSKNS = 0x894C  # linux/sockios.h; of sockets, and of /dev/net/tun
_SYS_PIDFD_GETFD = 438  # the same on all architectures (asm-generic/unistd.h); Linux 5.6
_PLAIN = ("/dev/", "/proc/", "/sys/", "/memfd:")  # a path that no namespace is mounted on
_syscall = CDLL(None, use_errno=True).syscall
_syscall.restype = c_long


class NetnsInode(NamedTuple):
    """What tells a namespace from others as long as it lives (ioctl_nsfs(2))."""

    device: int
    inode: int


class Reference(NamedTuple):
    """A process, and by what it holds a namespace.

    `inside`: it lives there. `threads` are those that moved there alone, `fds` are descriptors on
    it, `sockets` are descriptors of sockets that belong to it.
    """

    pid: int
    command: str
    netns: NetnsInode
    inside: bool = False
    threads: tuple[int, ...] = ()
    fds: tuple[int, ...] = ()
    sockets: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return it in words: `process 12 (sleep)`, `descriptor 3 of process 12 (sleep)`."""
        whole = f"process {self.pid} ({self.command})"
        if self.inside:
            return whole
        kinds = (("thread", self.threads), ("descriptor", self.fds), ("socket", self.sockets))
        parts = [_counted(word, numbers) for word, numbers in kinds if numbers]
        return f"{' and '.join(parts)} of {whole}"


def _counted(word: str, numbers: tuple[int, ...]) -> str:
    return f"{word}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


class Mounted(NamedTuple):
    """A namespace that is mounted on a path, as a process sees it; `here`: as we see it, too."""

    path: str
    pid: int
    command: str
    netns: NetnsInode
    here: bool

    def __str__(self) -> str:
        """Return it in words."""
        return f"a mount on {printable(self.path)}, seen by process {self.pid} ({self.command})"


def identity(fd: int) -> NetnsInode:
    """Return the identity of the namespace that `fd` is open on."""
    facts = os.fstat(fd)
    return NetnsInode(facts.st_dev, facts.st_ino)


def home_of(sock: int) -> NetnsInode:
    """Return the namespace that a socket of ours belongs to; OSError where it is none."""
    netns = fcntl.ioctl(sock, _SIOCGSKNS)
    try:
        return identity(netns)
    finally:
        os.close(netns)


def residents(wanted: Collection[NetnsInode]) -> Iterator[Reference]:
    """Yield the processes that live in any of these namespaces, us too, in order of their ids."""
    for pid in sorted((*_pids(), os.getpid())):
        netns = _at(f"/proc/{pid}/ns/net")
        if netns in wanted and netns:
            yield Reference(pid, command_of(pid), netns, inside=True)


def references(
    wanted: Collection[NetnsInode],
    *,
    threads: bool = True,
    fds: bool = True,
    sockets: bool = True,
    own: bool = False,
) -> Iterator[Reference]:
    """Yield the processes that hold any of these namespaces in the ways asked for.

    In order of their ids; us left out but where we are asked for (`own`).
    """
    asked = {"threads": (_threads, threads), "fds": (_fds, fds), "sockets": (_sockets, sockets)}
    ways = {key: look for key, (look, flag) in asked.items() if flag}
    for pid in sorted((*_pids(), os.getpid())) if own else _pids():
        home = _at(f"/proc/{pid}/ns/net")
        found: dict[NetnsInode, dict[str, tuple[int, ...]]] = {}
        if home in wanted and home:
            found[home] = {}
        for key, look in ways.items():
            for number, netns in look(pid, home):
                if netns in wanted:
                    kinds = found.setdefault(netns, {})
                    kinds[key] = (*kinds.get(key, ()), number)
        for netns, kinds in found.items():
            yield Reference(pid, command_of(pid), netns, netns == home, **kinds)


def mounts(wanted: Collection[NetnsInode]) -> Iterator[Mounted]:
    """Yield where namespaces are mounted, in every mount namespace that a process lives in."""
    roots = {f"net:[{netns.inode}]".encode(): netns for netns in wanted}
    own = os.getpid()
    seen: set[str] = set()
    for pid in [own, *_pids()]:
        with suppress(OSError):
            space = os.readlink(f"/proc/{pid}/ns/mnt")
            if space in seen:
                continue
            seen.add(space)
            for line in procfs.mountinfo(pid).splitlines():
                if b" net:[" in line and (netns := roots.get(line.split(b" ")[3])):
                    yield Mounted(_point(line), pid, command_of(pid), netns, here=pid == own)


def mounts_here(wanted: Collection[NetnsInode]) -> Iterator[tuple[NetnsInode, str]]:
    """Yield where namespaces are mounted in our own mount namespace."""
    roots = {f"net:[{netns.inode}]".encode(): netns for netns in wanted}
    for line in procfs.mountinfo().splitlines():
        if b" net:[" in line and (netns := roots.get(line.split(b" ")[3])):
            yield netns, _point(line)


def command_of(pid: int) -> str:
    """Return the name of a process's command, which it chose itself; `?` where it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return printable(file.read().strip())
    except OSError:
        return "?"


def _point(line: bytes) -> str:
    return procfs.unescaped(line.split(b" ")[4])


def _pids() -> list[int]:
    own = os.getpid()
    return sorted(
        int(entry) for entry in os.listdir("/proc") if entry.isdecimal() and int(entry) != own
    )


def _at(path: str) -> NetnsInode | None:
    try:
        facts = os.stat(path)
    except OSError:  # gone, or not ours to look at
        return None
    return NetnsInode(facts.st_dev, facts.st_ino)


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


_Found = Iterator[tuple[int, NetnsInode]]


def _threads(pid: int, home: NetnsInode | None) -> _Found:
    """Yield the threads of a process that live elsewhere than it does."""
    if pid == os.getpid():
        return  # ours look around, and go
    tasks = _entries(f"/proc/{pid}/task")
    for task in tasks if len(tasks) > 1 else ():
        netns = _at(f"/proc/{pid}/task/{task}/ns/net")
        if netns and netns != home:
            yield int(task), netns


def _fds(pid: int, home: NetnsInode | None) -> _Found:  # noqa: ARG001 - the shape of a way
    """Yield descriptors on a namespace: one that was opened by a name shows the name's path."""
    for fd in _entries(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{fd}"
        with suppress(OSError):
            link = os.readlink(path)
            if link.startswith(("/", "net:")) and not link.startswith(_PLAIN):
                netns = _at(path)
                if netns:
                    yield int(fd), netns


def _sockets(pid: int, home: NetnsInode | None) -> _Found:  # noqa: ARG001
    """Yield descriptors of sockets of any kind: each is asked where it belongs."""
    found = [fd for fd in _entries(f"/proc/{pid}/fd") if _is_socket(f"/proc/{pid}/fd/{fd}")]
    if not found:
        return
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        for fd in map(int, found):
            netns = _home_of(pidfd, fd)
            if netns:
                yield fd, netns
    finally:
        os.close(pidfd)


def _is_socket(path: str) -> bool:
    try:
        link = os.readlink(path)
    except OSError:
        return False
    return link.startswith("socket:") or link == "/dev/net/tun"


def _home_of(pidfd: int, fd: int) -> NetnsInode | None:
    copy = int(_syscall(c_long(_SYS_PIDFD_GETFD), c_long(pidfd), c_long(fd), c_long(0)))
    if copy < 0:  # gone, or not ours to look at
        return None
    try:
        return home_of(copy)
    except OSError:
        return None
    finally:
        os.close(copy)
