"""Files that a user names, read with care: regular ones, up to a size that is told.

A FIFO would wait for somebody who writes, a device may have no end, and to open one may do things
(watchdog(4)): none is opened. A pipe without a name has its writer already, as `<(…)` of a shell.
"""

import errno
import os
import stat

MOST = 16 << 20
"""Bytes that are read at the most. 10,000 namespaces, each written out, are one or two million; and
what goes to /etc is kept in /run, that is in memory, with each state that `undo` goes back to."""

TOO_LARGE = f"more than {MOST >> 20} MiB are not read"

_PIECE = 1 << 16
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(path: str) -> tuple[bytes, os.stat_result]:
    """Return what is in a file, and its facts.

    Raises `OSError`: also for what is no file, and for one that is too large.
    """
    _check(path, os.stat(path))
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        facts = os.fstat(fd)
        _check(path, facts)
        os.set_blocking(fd, stat.S_ISFIFO(facts.st_mode))
        return _read(fd, path), facts
    finally:
        os.close(fd)


def read_stdin() -> bytes:
    """Return what there is on standard input, whatever it is, up to its end; raises `OSError`."""
    return _read(0, "-")


def _check(path: str, facts: os.stat_result) -> None:
    kind = stat.S_IFMT(facts.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if kind in _KINDS and not (kind == stat.S_IFIFO and _has_no_name(facts)):
        raise OSError(errno.EINVAL, f"it is {_KINDS[kind]}, and no file", path)


def _has_no_name(facts: os.stat_result) -> bool:
    """Whether a FIFO is a pipe of pipe(2), which are all on one file system."""
    ends = os.pipe()
    device = os.fstat(ends[0]).st_dev
    for end in ends:
        os.close(end)
    return facts.st_dev == device


def _read(fd: int, path: str) -> bytes:
    pieces = []
    left = MOST
    while piece := os.read(fd, min(_PIECE, left + 1)):
        left -= len(piece)
        if left < 0:
            raise OSError(errno.EFBIG, TOO_LARGE, path)
        pieces.append(piece)
    return b"".join(pieces)
