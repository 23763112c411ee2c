"""Sysctls as files below /proc/sys, in the namespace of the calling thread (proc_sys(5))."""

import os
from collections.abc import Iterable
from functools import lru_cache

from netloom.errors import KernelError


@lru_cache(maxsize=4096)
def path_of(key: str) -> str:
    """Return the file of a dotted name; `/` in it stands for a dot of an interface's name."""
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))


def read(keys: Iterable[str]) -> dict[str, str]:
    """Return the values of those keys that there are, white space folded."""
    found = {}
    for key in keys:
        try:
            file = os.open(path_of(key), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            found[key] = " ".join(os.read(file, 4096).decode(errors="replace").split())
        except OSError:
            continue
        finally:
            os.close(file)
    return found


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
