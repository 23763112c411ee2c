"""A /run of our own, for a user namespace in which the real one belongs to somebody else.

Inside `unshare -Urnm` a plain user is root, but /run still is the real root's: no name could be
made. So a tmpfs is laid over it, in this mount namespace only, on which everything that was there
is bound back: sockets, locks, /run/user. Fresh are only /run/netns and /run/netloom: the names and
labs there are the real root's, and their namespaces cannot be entered from here anyway.

It is put together out of sight, in a mount namespace of a throwaway thread, and appears at once.
"""

import errno
import os

from netloom.errors import KernelError, Unavailable
from netloom.kernel import modes, procfs, syscalls
from netloom.kernel.files import is_dir
from netloom.namespaces import mounts
from netloom.namespaces.enter import in_thread

REMEDY = "run it as root, or inside `unshare -Urnm`"
_ROOT = "run it as root"
"""Where it is about a name that is there: in a user namespace there is another /run/netns."""

_RUN = "/run"
_FRESH = ("netns", "netloom")


def refused(path: str, error: OSError) -> Unavailable:
    """Return the refusal to raise where something below /run could not be changed."""
    remedies = {errno.EPERM: _ROOT, errno.EACCES: _ROOT, errno.EISDIR: f"rmdir {path}"}
    reason = f"cannot change {path}: {error.strerror}"
    return Unavailable(reason, remedies.get(error.errno or 0, ""))


def make_run_writable() -> None:
    """Lay a /run of our own over the real one if that is needed; raises `Unavailable`."""
    inside = procfs.in_user_namespace()
    locked = next((place for place in map(_place, _FRESH) if not os.access(place, os.W_OK)), None)
    if locked is None and not (inside and _is_machines()):
        return
    for place in (_RUN, *([locked] if locked else [])):
        if not inside and os.statvfs(place).f_flag & os.ST_RDONLY:
            reason = f"{place} is mounted read-only"
            raise Unavailable(reason, f"mount -o remount,rw {place}")
    if not inside:
        reason = f"{_RUN} is not yours to write"
        raise Unavailable(reason, REMEDY)
    cover_run()


def cover_run() -> None:
    """Lay a /run of our own over the real one; raises `Unavailable`.

    Should: run in a user namespace that owns its mount namespace.
    Mustn't: run in the mount namespace of the machine.
    """
    try:
        in_thread(_cover)
    except KernelError as error:
        reason = f"{_RUN} is not yours, and this user namespace has no mounts of its own ({error})"
        raise Unavailable(reason, REMEDY) from error


def _is_machines() -> bool:
    """Whether /run is still the machine's, who does not see what we mount on it.

    So it is for the real root in `unshare -Urnm`, who may write it.
    """
    try:
        if procfs.same_mounts(1):
            return False
    except OSError:  # then process 1 is of another user namespace, and so are its mounts
        pass
    device = os.stat(_RUN).st_dev
    number = f" {os.major(device)}:{os.minor(device)} ".encode()
    try:
        return number in procfs.mountinfo(1)
    except OSError:
        return True


def _place(name: str) -> str:
    """Return the folder that is written into for names, or for labs, as things are now."""
    return f"{_RUN}/{name}" if is_dir(f"{_RUN}/{name}") else _RUN


def _cover() -> None:
    home = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.propagation("/", syscalls.MS_PRIVATE, recursive=True)
        lay_run()
        tree = syscalls.clone_tree(_RUN)
        try:
            syscalls.setns(home, syscalls.CLONE_NEWNS)
            syscalls.attach_tree(tree, _RUN)
        finally:
            os.close(tree)
    finally:
        os.close(home)


def lay_run() -> None:
    """Lay the new /run over the old one, piece by piece.

    Should: run in a mount namespace that nobody else is in.
    """
    old = os.open(_RUN, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("tmpfs", "netloom", _RUN, flags=flags, data="mode=755")
        for entry in os.scandir(old):
            _bind_back(f"/proc/thread-self/fd/{old}", entry)
        for name in _FRESH:
            modes.make_dir(f"{_RUN}/{name}", modes.PUBLIC_DIR)
        modes.write(mounts.LAID, b"", modes.PUBLIC)
    finally:
        os.close(old)


def _bind_back(old: str, entry: "os.DirEntry[str]") -> None:
    place = f"{_RUN}/{entry.name}"
    if entry.name in _FRESH or place == mounts.LAID:
        return
    if entry.is_symlink():
        os.symlink(os.readlink(f"{old}/{entry.name}"), place)
        return
    if entry.is_dir(follow_symlinks=False):
        modes.make_dir(place, modes.PRIVATE_DIR)  # what is mounted there lies over it
    else:
        os.close(os.open(place, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0))
    syscalls.bind(f"{old}/{entry.name}", place, recursive=True)
