"""A throw-away network for one command: a namespace without a name, with only `lo`, which is up.

Nothing holds it but the command itself, so however that ends nothing is left: no name, no mount, no
process of ours. Without rights a user namespace is made as well, in which the user is root.
"""

import errno
import os

from netloom.errors import KernelError, Unavailable
from netloom.kernel import procfs, syscalls
from netloom.kernel.loopback import set_lo_up
from netloom.namespaces import mounts, rights, run
from netloom.namespaces.userns_diagnosis import refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn


def run_isolated(argv: "Sequence[str]") -> "NoReturn":
    """Become `argv` in a new namespace of which nothing remains.

    Should: be the last thing that a process does.
    Mustn't: be called in a process with threads, which cannot make itself a user namespace.
    """
    isolate()
    run.become(argv, {})


def isolate() -> None:
    """Move this process into a new network with mounts of its own; raises `Unavailable`.

    It has a fresh /sys, and `lo` is up.

    Nobody outside looks names up for it any more.
    """
    plain = os.geteuid() != 0
    try:
        _unshare()
        set_lo_up()
        mounts.own_mounts("netloom")
        mounts.hide_bus("netloom")
    except KernelError as error:
        if plain:
            raise refused(error) from error
        lacks = rights.lacking(rights.NET_ADMIN, rights.SYS_ADMIN)
        hint = rights.refused(lacks).reason if lacks else "is a limit of /proc/sys/user reached?"
        raise Unavailable(f"cannot make a namespace: {error}", hint) from error


def _unshare() -> None:
    try:
        if not rights.lacking(rights.NET_ADMIN):
            syscalls.unshare(syscalls.CLONE_NEWNET)
            return
    except KernelError as error:
        if error.errno != errno.EPERM:
            raise
    become_root()
    syscalls.unshare(syscalls.CLONE_NEWNET)


def become_root(mapping: "Callable[[], None] | None" = None) -> None:
    """Move this process into a user namespace in which its user is root, and nobody else exists.

    `mapping` is called in there, and may have somebody outside let others exist, too.

    Should: run while the process has one thread.
    Mustn't: be undone; it cannot.
    """
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    if mapping:
        mapping()
    if not procfs.mapped("gid"):
        _write("/proc/self/setgroups", "deny")
    for kind, number in (("uid", uid), ("gid", gid)):
        if not procfs.mapped(kind):
            _write(f"/proc/self/{kind}_map", f"0 {number} 1")


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, f"echo {text} > {path}") from error
