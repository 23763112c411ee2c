"""The registry of names, /run/netns, shared with `ip netns`: the same lock, files and mounts.

A name is a file of mode 0 on which a namespace is mounted. The file comes first and the mount last,
so a name without a mount is one that somebody was killed over, and nothing else. Where /run belongs
to somebody else (a user namespace of a plain user), `private_run.py` first lays one of our own over
it.

Nothing here is done once for each name that would grow with the number of names.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from netloom.errors import KernelError, Unavailable, quoted
from netloom.kernel import modes, procfs, syscalls
from netloom.kernel.loopback import set_lo_up
from netloom.namespaces import handle, private_run, userns_session
from netloom.namespaces.enter import in_thread
from netloom.namespaces.handle import NoSuchNetns, path_of
from netloom.namespaces.private_run import refused

NETNS_DIR = handle.NETNS_DIR
is_netns = handle.is_netns

_OWN = "/proc/thread-self/ns/net"


class NameTaken(Unavailable):
    """A name is in /run/netns already."""


def prepare() -> None:
    """Make /run/netns a directory whose mounts are seen by all who should; raises `Unavailable`.

    Should: be called once before names are made.
    Mustn't: touch a /run/netns that is already as it should be (others are mounted below it).
    """
    private_run.make_run_writable()
    try:
        modes.make_dirs(NETNS_DIR, modes.PUBLIC_DIR)
        with _locked():
            _share()
    except OSError as error:
        raise refused(NETNS_DIR, error) from error


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the lock that `ip netns add` holds (since iproute2 5.10).

    Without it two first users at once mount the directory on itself again and again.
    """
    directory = os.open(NETNS_DIR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _share() -> None:
    try:
        syscalls.propagation(NETNS_DIR, syscalls.MS_SHARED)
    except KernelError as error:
        if error.errno != errno.EINVAL:  # EINVAL: it is no mount point yet
            raise
        syscalls.bind(NETNS_DIR, NETNS_DIR, recursive=True)
        # The copy is a peer of /run, where that is shared (systemd): each name would appear twice.
        syscalls.propagation(NETNS_DIR, syscalls.MS_PRIVATE, recursive=True)
        syscalls.propagation(NETNS_DIR, syscalls.MS_SHARED, recursive=True)


def publish(name: str) -> None:
    """Give the namespace of the calling thread a name.

    Should: come last, when the namespace bears its mark and is as it should be.
    Mustn't: leave a file behind when the mount is refused, nor touch a name that exists.
    """
    attach(name, _OWN)


def attach(name: str, source: str) -> None:
    """Give the namespace at a path (`/proc/PID/ns/net`, another name's file) a name."""
    path = path_of(name)
    _make_file(path, name)
    try:
        syscalls.bind(source, path)
    except KernelError:
        with suppress(OSError):
            os.unlink(path)
        raise


def _make_file(path: str, name: str) -> None:
    flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        os.close(os.open(path, flags, 0))
    except FileExistsError as error:
        raise NameTaken(f"the name `{name}` is taken", f"netloom del {quoted(name)}") from error
    except OSError as error:
        raise refused(path, error) from error


def create(name: str) -> None:
    """Make a namespace with `lo` up, under a name."""
    in_thread(_create, name)


def _create(name: str) -> None:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    set_lo_up()
    publish(name)


def remove(name: str) -> None:
    """Take a name away, stale or not; raises `NoSuchNetns`, or `Unavailable` if it may not.

    The namespace itself lives as long as anybody uses it.

    Should: be given a name that is ours to remove.
    Mustn't: be taken as proof that the namespace is gone: the kernel tidies up later.
    """
    path = path_of(name)
    try:
        while not _is_unlinked(path, was_mounted=_unmount(path)):
            continue  # something is mounted below it: one name may be mounted several times
    except FileNotFoundError:
        raise NoSuchNetns(name, f"no namespace `{name}`") from None
    except OSError as error:
        raise refused(path, error) from error


def _unmount(path: str) -> bool:
    """Unmount what is mounted on a path; return whether anything was."""
    try:
        syscalls.unmount(path)
    except KernelError as error:
        if error.errno not in {errno.EINVAL, errno.ENOENT}:
            raise  # else nothing is mounted: as in `ip netns del`, unlink decides
        return False
    return True


def _is_unlinked(path: str, *, was_mounted: bool) -> bool:
    try:
        os.unlink(path)
    except OSError as error:
        if error.errno != errno.EBUSY or not was_mounted:
            raise
        return False
    return True


def is_bare(name: str) -> bool:
    """Whether a name is the empty file that it began as, with nothing mounted on it (any more)."""
    try:
        facts = os.lstat(path_of(name))
    except FileNotFoundError:  # gone meanwhile
        return False
    is_empty = stat.S_ISREG(facts.st_mode) and facts.st_size == 0
    return is_empty and facts.st_dev == os.stat(NETNS_DIR).st_dev


def names() -> list[str]:
    """Return all names in order, stale ones too; none where there is no /run/netns."""
    try:
        return sorted(os.listdir(NETNS_DIR))
    except FileNotFoundError:
        return []


def private() -> bool:
    """Whether names made here stay unseen by the rest of the machine (as in `ip netns exec`).

    The measure is process 1, or else the oldest forebear that may be looked at: its mount namespace
    is ours, or /run/netns is of one peer group in both. Out of a user namespace nothing is seen.
    """
    elder = procfs.oldest_forebear()
    if elder != 1 and procfs.in_user_namespace():
        return True
    if elder is None or procfs.same_mounts(elder):
        return False
    return not _peers(procfs.mountinfo()) & _peers(procfs.mountinfo(elder))


def check_lasting() -> None:
    """Raise `Unavailable` if names would be seen by nobody: our mounts end with this process.

    That is so under `ip netns exec NAME netloom …`: each command there has mounts of its own.
    """
    if not procfs.shares_mounts_with_parent() and private() and not userns_session.is_held():
        reason = "names made here would vanish with this command, which has mounts of its own"
        raise Unavailable(
            reason, "enter by `nsenter --net=/run/netns/NAME`, not by `ip netns exec`"
        )


def _peers(text: bytes) -> set[int]:
    found = procfs.mounts(text, NETNS_DIR)
    return {mount.peers for mount in found if mount.point == NETNS_DIR and mount.peers}
