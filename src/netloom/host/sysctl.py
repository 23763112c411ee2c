"""Sysctls as files below /proc/sys, in the namespace of the calling thread (proc_sys(5))."""

import errno
import os
from collections.abc import Iterable
from functools import lru_cache

from netloom.errors import KernelError


@lru_cache(maxsize=4096)
def path_of(key: str) -> str:
    """Return the file of a dotted name; `/` in it stands for a dot of an interface's name."""
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))


_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EACCES}
"""What says that there is nothing to be read: no such key, or one that is only written (EACCES)."""

_UNSET = ".stable_secret"
"""Ends the one key that says EIO where nobody has set it (addrconf_sysctl_stable_secret)."""


def read(keys: Iterable[str]) -> dict[str, str]:
    """Return the values of those keys that there are, white space folded; raises `OSError`."""
    found = {}
    for key in keys:
        try:
            found[key] = _read(path_of(key))
        except OSError as error:
            unset = error.errno == errno.EIO and key.endswith(_UNSET)
            if error.errno not in _ABSENT and not unset:
                raise
    return found


def _read(path: str) -> str:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return " ".join(os.read(file, 4096).decode(errors="replace").split())
    finally:
        os.close(file)


def write(key: str, value: str) -> None:
    """Set a value; raises `KernelError` where the kernel refuses it or has no such key."""
    try:
        file = os.open(path_of(key), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, value.encode() + b"\n")  # an empty value is a line, too
        finally:
            os.close(file)
    except OSError as error:
        raise KernelError(error.errno or 0, f"sysctl -w {key}={value}") from error
