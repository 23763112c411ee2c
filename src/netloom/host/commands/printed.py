"""What a command prints: a file for each, of lines with their times, and of no more than so much.

A command prints for as long as it likes, and /run is memory. So what is neither of the beginning
nor new is given back, as a hole in the file (fallocate(2)): its length grows on, and every place
that somebody noted stays true, be it where a start begins or how far `logs -f` and `ready:
log/TEXT` have read. Where a file system has no holes, the file begins anew.

The time before a line is that at which its first byte came (UTC, RFC 3339), and of one width, so
that times are compared as they stand there.

Should: import little, as `supervisor.py`.
"""

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO

from netloom.errors import KernelError
from netloom.kernel import syscalls

FIRST = 256 << 10
"""Bytes of a log that are kept from its beginning."""

KEPT = 8 << 20
"""Bytes of a log that are kept of its end, at the least; a quarter more at the most."""

WIDTH = len("2026-11-30T12:00:00.000Z ")
_STAMP = re.compile(rb"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z ", re.MULTILINE)

_PIECE = 1 << 16
_AT_ONCE = 16
"""Pieces that are copied before anything else is seen to: a pipe holds 1 MiB (pipe(7))."""
_PAGE = 1 << 16
"""What a hole is made of: pages, and none is larger than this."""


def stamp(seconds: float) -> bytes:
    """Return a time, in seconds since 1970, as it stands before a line."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03}Z ".encode()


def unstamped(text: bytes) -> bytes:
    """Return what was printed, without the times."""
    return _STAMP.sub(b"", text)


class Log:
    """What a command prints, from a pipe to a file.

    Not straight to the file: `echo … > /dev/stderr` opens what stands there anew, and would empty
    it.
    """

    def __init__(self, file: int) -> None:
        """Copy to a descriptor that is open to be read, and for appending; begin with a line."""
        self.output = -1
        self.file = file
        self.size = os.lseek(file, 0, os.SEEK_END)
        self._most = FIRST + KEPT + KEPT // 4
        self._in_a_line = False
        if self.size and os.pread(file, 1, self.size - 1) != b"\n":
            self._append(b"\n")

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
        """Append what was printed, each line with its time."""
        now = stamp(time.time())
        whole = data.endswith(b"\n")
        text = data[:-1] if whole else data
        text = text.replace(b"\n", b"\n" + now) + (b"\n" if whole else b"")
        self._append(text if self._in_a_line else now + text)
        self._in_a_line = not whole

    def _append(self, text: bytes) -> None:
        with suppress(OSError):  # no room: better no line than no command
            self.size += os.write(self.file, text)
        if self.size > self._most:
            self._give_back()

    def _give_back(self) -> None:
        try:
            end = (self.size - KEPT) // _PAGE * _PAGE
            syscalls.punch_hole(self.file, FIRST, end - FIRST)
        except KernelError:  # EOPNOTSUPP
            os.ftruncate(self.file, 0)
            self.size = 0
        self._most = self.size + KEPT // 4


class Reader:
    """Reads a log that is open, from a place on, as it stands there, without what is not kept.

    `missing`: so many bytes before what was read last are not, and it may begin within a line.
    """

    def __init__(self, fd: int, place: int = 0) -> None:
        """Read nothing yet."""
        self.place = place
        self.missing = 0
        self._fd = fd

    def read(self) -> bytes:
        """Return what comes next, empty where nothing does yet."""
        while True:
            first = self._next(self.place, os.SEEK_DATA)
            data = os.pread(self._fd, min(_PIECE, self._next(first, os.SEEK_HOLE) - first), first)
            if self._next(first, os.SEEK_HOLE) >= first + len(data):  # else it went as it was read
                self.missing = first - self.place
                self.place = first + len(data)
                return data

    def _next(self, place: int, what: int) -> int:
        """Return where what is kept begins, or ends, from a place on; of a file anew from 0 on."""
        size = os.fstat(self._fd).st_size
        try:
            return os.lseek(self._fd, place if place <= size else 0, what)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return size


class LogLine:
    """A line, or what is there of one; `begins` unless it goes on where the one before ended."""

    __slots__ = ("begins", "text", "time")

    def __init__(self, time: bytes, text: bytes, *, begins: bool) -> None:
        """Keep it; `time` is as it stands before it, the last one known where none does."""
        self.time = time
        self.text = text
        self.begins = begins


class LogLines:
    """Reads a log line by line; what is not kept is told by a line of our own."""

    def __init__(self, fd: int, place: int = 0) -> None:
        """Read nothing yet; `place` is the beginning of a line."""
        self._reader = Reader(fd, place)
        self._rest = b""
        self._in_a_line = False
        self._time = b""

    def news(self) -> Iterator[LogLine]:
        """Yield what has come since; last what has no end yet, unless its time is not whole."""
        while data := self._reader.read():
            if self._reader.missing:
                yield from self._gap(self._reader.missing)
                data = data.partition(b"\n")[2]
            whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
            for line in BytesIO(whole + newline):
                yield self._line(line)
        if self._rest and (self._in_a_line or len(self._rest) >= WIDTH):
            rest, self._rest = self._rest, b""
            yield self._line(rest)

    def _gap(self, missing: int) -> Iterator[LogLine]:
        """Tell what is missing, and with it the part of a line before that nobody has seen yet."""
        if self._in_a_line:
            yield self._line(b"\n")
        missing += len(self._rest)
        self._rest = b""
        yield LogLine(self._time, gap(missing), begins=True)

    def _line(self, line: bytes) -> LogLine:
        begins = not self._in_a_line
        self._in_a_line = not line.endswith(b"\n")
        if begins and _STAMP.match(line):
            self._time, line = line[: WIDTH - 1], line[WIDTH:]
        return LogLine(self._time, line, begins=begins)


def gap(missing: int) -> bytes:
    """Return a line that tells that so many bytes are not kept."""
    return f"netloom: {missing / 1e6:.1f} MB are not kept\n".encode()
