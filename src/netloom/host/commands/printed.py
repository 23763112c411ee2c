"""What a command prints: a file for each, of which the end is kept.

A command prints for as long as it likes, and /run is memory. So what is old is given back, as a
hole in the file (fallocate(2)): its length grows on, and every place that somebody noted stays
true, be it where a start begins or how far `logs -f` and `ready: log/TEXT` have read. Where a file
system has no holes, the file begins anew.

Should: import little, as `supervisor.py`.
"""

import errno
import os
from contextlib import suppress

from netloom.errors import KernelError
from netloom.kernel import syscalls

KEPT = 4 << 20
"""Bytes of a log that are kept at the least; a quarter more at the most."""

_PIECE = 1 << 16
_AT_ONCE = 16
"""Pieces that are copied before anything else is seen to: a pipe holds 1 MiB (pipe(7))."""
_PAGE = 1 << 16
"""What a hole is made of: pages, and none is larger than this."""


class Log:
    """What a command prints, from a pipe to a file.

    Not straight to the file: `echo … > /dev/stderr` opens what stands there anew, and would empty
    it.
    """

    def __init__(self, file: int) -> None:
        """Copy to a descriptor that is open for appending."""
        self.output = -1
        self.file = file
        self.size = os.lseek(file, 0, os.SEEK_END)
        self._most = KEPT + KEPT // 4

    def listen(self, output: int) -> None:
        """Copy from a pipe."""
        self.output = output
        os.set_blocking(output, False)

    def close(self) -> None:
        """Copy from nobody any more."""
        if self.output >= 0:
            os.close(self.output)
            self.output = -1

    def say(self, line: str) -> None:
        """Write a line of our own."""
        self._write(f"{line}\n".encode())

    def copy(self) -> bool:
        """Copy what a pipe holds at the most; False once nobody is left who could print."""
        if self.output < 0:
            return False
        with suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                data = os.read(self.output, _PIECE)
                if not data:
                    return False
                self._write(data)
        return True

    def _write(self, data: bytes) -> None:
        with suppress(OSError):  # no room: better no line than no command
            self.size += os.write(self.file, data)
        if self.size > self._most:
            self._give_back()

    def _give_back(self) -> None:
        try:
            syscalls.punch_hole(self.file, (self.size - KEPT) // _PAGE * _PAGE)
        except KernelError:  # EOPNOTSUPP
            os.ftruncate(self.file, 0)
            self.size = 0
        self._most = self.size + KEPT // 4


class Reader:
    """Reads a log that is open, from a place on, without what is not kept any more.

    `skipped`: something is missing before what was read last, which may begin within a line.
    """

    def __init__(self, fd: int, place: int = 0) -> None:
        """Read nothing yet."""
        self.place = place
        self.skipped = False
        self._fd = fd

    def read(self) -> bytes:
        """Return what comes next, empty where nothing does yet."""
        while True:
            first = self._kept_from(self.place)
            data = os.pread(self._fd, _PIECE, first)
            if self._kept_from(first) == first:  # else some of it went while it was read
                self.skipped = first != self.place
                self.place = first + len(data)
                return data

    def _kept_from(self, place: int) -> int:
        """Return the first place from one on that is kept; from the beginning of a file anew."""
        size = os.fstat(self._fd).st_size
        try:
            return os.lseek(self._fd, place if place <= size else 0, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return size
