"""What stands at a path, and what is in it; a question that was not answered is not a no.

`os.path.exists` takes any error for an absence: a machine without memory for a moment would have no
IPv6, and a lab no files. Here only what says so is one.

Rule: no `typing` here: `netloom exec` starts through this file.
"""

import os
import stat
from errno import EACCES, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO

_ABSENT = {ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG}
"""What says that nothing stands there, or nothing that is there for us."""


class NotAFile(OSError):
    """What stands there is a folder, a FIFO, a link: anything but a regular file."""


def read(path: str) -> bytes:
    """Return what is in a file of ours.

    Raises `NotAFile` where something else stands there (to read a FIFO would be to wait for whoever
    writes), and `OSError`.
    """
    with open(path, "rb", buffering=0, opener=_opened) as file:
        return file.read()


def _opened(path: str, flags: int) -> int:
    try:
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in {ELOOP, ENXIO}:  # a link, a socket
            raise NotAFile(EINVAL, "it is no file", path) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotAFile(EINVAL, "it is no file", path)
    return fd


def exists(path: str) -> bool:
    """Whether a path leads to anything; raises `OSError` where that cannot be said."""
    return _mode(path) != 0


def is_dir(path: str) -> bool:
    """Whether a path leads to a folder; raises `OSError` where that cannot be said."""
    return stat.S_ISDIR(_mode(path))


def is_file(path: str) -> bool:
    """Whether a path leads to a regular file; raises `OSError` where that cannot be said."""
    return stat.S_ISREG(_mode(path))


def is_link(path: str) -> bool:
    """Whether a symbolic link stands there; raises `OSError` where that cannot be said."""
    return stat.S_ISLNK(_mode(path, follow=False))


def is_no_file(path: str) -> bool:
    """Whether something stands there that is no regular file, be it a link to one."""
    mode = _mode(path, follow=False)
    return mode != 0 and not stat.S_ISREG(mode)


def lexists(path: str) -> bool:
    """Whether anything stands there, a link that leads nowhere too; raises `OSError`."""
    return _mode(path, follow=False) != 0


def file_id(path: str) -> tuple[int, int] | None:
    """Return device and inode of what a path leads to, None for nothing; raises `OSError`.

    What may not be looked at is there: it is no file that others are.
    """
    try:
        facts = os.stat(path)
    except OSError as error:
        if error.errno == EACCES:
            return (0, 0)
        if error.errno in _ABSENT:
            return None
        raise
    return facts.st_dev, facts.st_ino


def _mode(path: str, *, follow: bool = True) -> int:
    """Return type and mode of what stands at a path, 0 for nothing."""
    try:
        return os.stat(path, follow_symlinks=follow).st_mode
    except OSError as error:
        if error.errno in _ABSENT:
            return 0
        raise
