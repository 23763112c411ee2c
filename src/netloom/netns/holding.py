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

from netloom.kernel import procfs

_SIOCGSKNS = 0x894C  # linux/sockios.h; of sockets, and of /dev/net/tun
_SYS_PIDFD_GETFD = 438  # the same on all architectures (asm-generic/unistd.h); Linux 5.6
_PLAIN = ("pipe:", "anon_inode:", "/dev/", "/proc/", "/sys/", "/memfd:")
_syscall = CDLL(None, use_errno=True).syscall
_syscall.restype = c_long


class Identity(NamedTuple):
    """What tells a namespace from others as long as it lives (ioctl_nsfs(2))."""

    device: int
    inode: int


class Holder(NamedTuple):
    """A process, and by what it holds a namespace.

    `inside`: it lives there. `threads` are those that moved there alone, `fds` are descriptors on
    it, `sockets` are descriptors of sockets that belong to it.
    """

    pid: int
    command: str
    netns: Identity
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
    here: bool

    def __str__(self) -> str:
        """Return it in words."""
        return f"a mount on {self.path}, seen by process {self.pid} ({self.command})"


def identity(fd: int) -> Identity:
    """Return the identity of the namespace that `fd` is open on."""
    facts = os.fstat(fd)
    return Identity(facts.st_dev, facts.st_ino)


def residents(wanted: Collection[Identity]) -> Iterator[Holder]:
    """Yield the processes that live in any of these namespaces, us too, in order of their ids."""
    for pid in sorted((*_pids(), os.getpid())):
        netns = _at(f"/proc/{pid}/ns/net")
        if netns in wanted and netns:
            yield Holder(pid, command_of(pid), netns, inside=True)


def holders(
    wanted: Identity, *, threads: bool = True, fds: bool = True, sockets: bool = True
) -> Iterator[Holder]:
    """Yield the processes that hold a namespace in any of the ways that are asked for, but us."""
    for pid in _pids():
        found = Holder(
            pid,
            "",
            wanted,
            inside=_at(f"/proc/{pid}/ns/net") == wanted,
            threads=tuple(_threads(pid, wanted)) if threads else (),
            fds=tuple(_fds(pid, wanted)) if fds else (),
            sockets=tuple(_sockets(pid, wanted)) if sockets else (),
        )
        if found.inside or found.threads or found.fds or found.sockets:
            yield found._replace(command=command_of(pid))


def mounts(wanted: Identity) -> Iterator[Mounted]:
    """Yield where a namespace is mounted, in every mount namespace that a process lives in."""
    root = f" net:[{wanted.inode}] ".encode()
    seen: set[str] = set()
    for pid in [os.getpid(), *_pids()]:
        with suppress(OSError):
            space = os.readlink(f"/proc/{pid}/ns/mnt")
            if space in seen:
                continue
            seen.add(space)
            for line in procfs.mountinfo(pid).splitlines():
                if root in line:
                    yield Mounted(_point(line), pid, command_of(pid), here=pid == os.getpid())


def command_of(pid: int) -> str:
    """Return the name of a process's command, `?` where it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def _point(line: bytes) -> str:
    return os.fsdecode(line.split(b" ")[4].decode("unicode_escape").encode("latin-1"))


def _pids() -> list[int]:
    own = os.getpid()
    return sorted(
        int(entry) for entry in os.listdir("/proc") if entry.isdecimal() and int(entry) != own
    )


def _at(path: str) -> Identity | None:
    try:
        facts = os.stat(path)
    except OSError:  # gone, or not ours to look at
        return None
    return Identity(facts.st_dev, facts.st_ino)


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _threads(pid: int, wanted: Identity) -> Iterator[int]:
    tasks = _entries(f"/proc/{pid}/task")
    if len(tasks) > 1 and _at(f"/proc/{pid}/ns/net") != wanted:
        for task in tasks:
            if _at(f"/proc/{pid}/task/{task}/ns/net") == wanted:
                yield int(task)


def _fds(pid: int, wanted: Identity) -> Iterator[int]:
    """Yield descriptors on a namespace: one that was opened by a name shows the name's path."""
    for fd in _entries(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{fd}"
        with suppress(OSError):
            link = os.readlink(path)
            other = link.startswith(_PLAIN) or (link[0] != "/" and not link.startswith("net:"))
            if not other and _at(path) == wanted:
                yield int(fd)


def _sockets(pid: int, wanted: Identity) -> Iterator[int]:
    """Yield descriptors of sockets in a namespace, of any kind: each is asked where it belongs."""
    found = [fd for fd in _entries(f"/proc/{pid}/fd") if _is_socket(f"/proc/{pid}/fd/{fd}")]
    if not found:
        return
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        for fd in map(int, found):
            if _home_of(pidfd, fd) == wanted:
                yield fd
    finally:
        os.close(pidfd)


def _is_socket(path: str) -> bool:
    try:
        link = os.readlink(path)
    except OSError:
        return False
    return link.startswith("socket:") or link == "/dev/net/tun"


def _home_of(pidfd: int, fd: int) -> Identity | None:
    copy = int(_syscall(c_long(_SYS_PIDFD_GETFD), c_long(pidfd), c_long(fd), c_long(0)))
    if copy < 0:  # gone, or not ours to look at
        return None
    try:
        netns = fcntl.ioctl(copy, _SIOCGSKNS)
    except OSError:
        return None
    finally:
        os.close(copy)
    try:
        return identity(netns)
    finally:
        os.close(netns)
