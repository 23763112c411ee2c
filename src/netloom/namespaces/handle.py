"""A network namespace held by an open file: as long as the handle is open, the namespace lives.

Names are files in /run/netns on which a namespace is mounted, as `ip netns` has it. A file there
without one (a killed `add`, a reboot where /run is no tmpfs) is *stale*: it is there, but leads
nowhere, so every handle is checked when it is made and never again.
"""

import fcntl
import os
from errno import ENOTTY

from netloom.errors import Unavailable, printable, quoted
from netloom.kernel.closing import Closing
from netloom.kernel.files import lexists
from netloom.kernel.syscalls import CLONE_NEWNET

NETNS_DIR = "/run/netns"
"""Where names live (ip-netns(8)); iproute2's default /var/run/netns is the same directory."""

_OWN = "/proc/thread-self/ns/net"
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_NAME_MAX = 255
_NS_GET_NSTYPE = 0xB703  # linux/nsfs.h; ioctl_nsfs(2)


class NoSuchNetns(Unavailable):
    """There is no namespace of this name, path or process; `name` is what was asked for."""

    def __init__(self, name: str, reason: str, remedy: str = "") -> None:
        """Keep what was asked for, so that a face can say what was perhaps meant."""
        self.name = name
        super().__init__(reason, remedy)


class Stale(NoSuchNetns):
    """The name is there, but no namespace is mounted on it."""


class Handle(Closing):
    """An open network namespace; closes its file at the end of a `with` block."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        """Own `fd`, which leads to a network namespace."""
        self.fd = fd

    @property
    def inode(self) -> int:
        """The inode, which joins what /proc shows in one look; no proof of identity later."""
        return os.fstat(self.fd).st_ino

    def fileno(self) -> int:
        """Return the open file."""
        return self.fd

    def close(self) -> None:
        """Let go of the namespace; twice is no harm."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def path_of(name: str) -> str:
    """Return the file of a name, which must be one that `ip netns` takes; raises `NoSuchNetns`."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name or len(os.fsencode(name)) > _NAME_MAX:
        msg = f"`{printable(name)}` is no name of a namespace"
        raise NoSuchNetns(name, msg, "a name has 1 to 255 bytes and no `/`, and is not `.` or `..`")
    return f"{NETNS_DIR}/{name}"


def open_name(name: str) -> Handle:
    """Open the namespace of a name in /run/netns.

    Raises `NoSuchNetns`, `Stale` for a bare file, or a link to nowhere.
    """
    path = path_of(name)
    try:
        fd = _opened(path, name, f"no namespace `{printable(name)}`")
    except NoSuchNetns:
        if not lexists(path):
            raise
        fd = None
    if fd is None:
        msg = f"`{printable(name)}` is only a file in {NETNS_DIR}: no namespace is mounted on it"
        raise Stale(name, msg, f"netloom del {quoted(name)}")
    return Handle(fd)


def open_path(path: str) -> Handle:
    """Open the namespace that a path leads to; raises `NoSuchNetns`."""
    fd = _opened(path, path, f"no file `{printable(path)}`")
    if fd is None:
        raise NoSuchNetns(path, f"`{printable(path)}` leads to no network namespace")
    return Handle(fd)


def open_pid(pid: int) -> Handle:
    """Open the namespace that a process lives in; raises `NoSuchNetns`."""
    fd = _opened(f"/proc/{pid}/ns/net", str(pid), f"no process {pid}")
    if fd is None:
        raise NoSuchNetns(str(pid), f"process {pid} is in no network namespace")
    return Handle(fd)


def open_self() -> Handle:
    """Open the namespace that the calling thread is in."""
    return open_path(_OWN)


def is_netns(path: str) -> bool:
    """Whether a network namespace is mounted on a path; False for a stale name, or none."""
    try:
        fd = _netns_at(path)
    except OSError:
        return False
    if fd is not None:
        os.close(fd)
    return fd is not None


def _opened(path: str, name: str, missing: str) -> int | None:
    try:
        return _netns_at(path)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        raise NoSuchNetns(name, missing) from None
    except PermissionError as error:
        reason = f"may not open `{printable(path)}`: {error.strerror}"
        raise Unavailable(reason, "run it as root") from error
    except OSError as error:
        reason = f"cannot open `{printable(path)}`: {error.strerror}"
        raise Unavailable(reason) from error


def _netns_at(path: str) -> int | None:
    """Open what is at `path`, only if it is a namespace, and one of the right kind.

    A stale name has mode 0: by looking before opening, a plain user can tell it too.
    """
    if path == _OWN:
        return os.open(path, _FLAGS)
    if os.stat(path).st_dev != _nsfs():
        return None
    fd = os.open(path, _FLAGS)
    try:
        kind = _kind(fd)
    except OSError:
        os.close(fd)
        raise
    if kind == CLONE_NEWNET:
        return fd
    os.close(fd)
    return None


_NSFS: list[int] = []
"""The device that all namespaces are files of (linux/nsfs.h), once it was asked for."""


def _nsfs() -> int:
    if not _NSFS:
        _NSFS.append(os.stat(_OWN).st_dev)
    return _NSFS[0]


def _kind(fd: int) -> int:
    try:
        return fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except OSError as error:
        if error.errno != ENOTTY:
            raise
        return 0  # unmounted since we looked
