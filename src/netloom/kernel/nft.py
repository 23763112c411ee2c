"""libnftables, in process: texts of nft(8) carried out in the namespace of the calling thread.

A process for each namespace costs ten times what the kernel's own work does, so the library behind
`nft` is asked (ctypes; libnftables(3)). Tables are listed as text, the way `nft list` prints them:
the JSON of libnftables 1.0.6, Debian 12's, lacks the comment of a table and writes past its buffer
where a table has flags.

The library resolves names of interfaces through a socket that it opens during the call, and keeps
them in a variable that all contexts share (iface.c). So a context is used only where it was made,
and calls on different threads wait for each other.

Should: live on a thread that is in the namespace it is about.
Mustn't: decide what is loaded, or wait for anything but the kernel.
"""

import ctypes
import errno
import os
import re
import signal
import socket
from functools import cache
from threading import Lock
from typing import NamedTuple

from netloom.errors import KernelError, Unavailable
from netloom.kernel.closing import Closing

_LIBRARY = "libnftables.so.1"
_REMEDY = "apt-get install libnftables1 (or your distribution's nftables)"

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_TIMEOUT = 60
_REHEARSAL = 'ulimit -c 0; exec "$0" -f -'
"""What is run in place of `nft -f -`: one that dies leaves no core file behind."""

_NETLINK_NETFILTER = 12  # linux/netlink.h

_STATELESS = 1 << 2
"""NFT_CTX_OUTPUT_STATELESS (nftables/libnftables.h): no values of counters, no time left."""

_NUMERIC_TIME = 1 << 10
"""NFT_CTX_OUTPUT_NUMERIC_TIME: `meta hour` would else be listed in this process's time zone."""

_NO_DNS = 1 << 0
"""NFT_CTX_INPUT_NO_DNS, libnftables 1.0.8: a host's name is a mistake, not a question."""

_alone = Lock()

_ERROR = (
    rb"^(?:(?P<file>[^\n]*?):(?P<line>\d+):(?P<first>\d+)-(?P<last>\d+): )?"
    rb"(?P<kind>Error: )?(?P<message>.+)$"
)
_ERRNOS = {os.strerror(number): number for number in sorted(errno.errorcode, reverse=True)}


class Wrong(NamedTuple):
    """One mistake in a text: `line` and `column` from 1 (0: nowhere), `length` in characters."""

    line: int
    column: int
    length: int
    message: str


class NftError(KernelError):
    """A text that was refused, as a whole: nothing of it is done. `wrong` says why, and where."""

    def __init__(self, wrong: tuple[Wrong, ...], asked: str = "nft -f -") -> None:
        """Keep the mistakes; the errno is the first that the kernel is quoted with, or EINVAL."""
        self.wrong = wrong
        ends = (each.message.rpartition(": ")[2] for each in wrong)
        number = next((_ERRNOS[end] for end in ends if end in _ERRNOS), errno.EINVAL)
        super().__init__(number, asked, wrong[0].message if wrong else "")


class NftBroke(NftError):
    """A text that libnftables breaks down over, with what it said at last; nothing is done."""


class Table(NamedTuple):
    """A table of nftables: `inet`, `netloom-red`."""

    family: str
    name: str

    def __str__(self) -> str:
        """Return `inet netloom-red`."""
        return f"{self.family} {self.name}"


class Nft(Closing):
    """A conversation with nftables in the namespace of the thread that made it.

    >>> with Nft() as nft:                                            # doctest: +SKIP
    ...     nft.run("add table inet mine")
    """

    __slots__ = ("_context", "_lib")

    def __init__(self) -> None:
        """Open a socket in the calling thread's namespace; raises `Unavailable` without library."""
        self._lib = _library()
        _probe()
        with _alone:
            self._context = self._lib.nft_ctx_new(0)
            self._lib.nft_ctx_buffer_output(self._context)
            self._lib.nft_ctx_buffer_error(self._context)
            self._lib.nft_ctx_output_set_flags(self._context, _STATELESS | _NUMERIC_TIME)
            if hasattr(self._lib, "nft_ctx_input_set_flags"):
                self._lib.nft_ctx_input_set_flags(self._context, _NO_DNS)

    def close(self) -> None:
        """Let go of the library's memory and socket; twice is no harm."""
        context, self._context = self._context, None
        if context:
            with _alone:
                self._lib.nft_ctx_free(context)

    def run(self, text: str) -> str:
        """Carry out a text in one transaction and return what it says; raises `NftError`.

        It is read from a file in memory: of a text in a buffer, the library tells no lines.
        """
        raw = text.encode(errors="replace")
        file = os.memfd_create("nft")
        try:
            with open(file, "wb", closefd=False) as writer:
                writer.write(raw)
            path = f"/proc/self/fd/{file}".encode()
            status, said, refused = self._call("nft_run_cmd_from_filename", path)
        finally:
            os.close(file)
        if status:
            raise NftError(_mistakes(refused, path, raw))
        return said.decode(errors="replace")

    def check(self, text: str) -> None:
        """Have a text checked by library and kernel, without doing it; `NftError` if refused."""
        self._lib.nft_ctx_set_dry_run(self._context, True)  # noqa: FBT003 - a C function
        try:
            self.run(text)
        finally:
            self._lib.nft_ctx_set_dry_run(self._context, False)  # noqa: FBT003 - the same

    def tables(self) -> list[Table]:
        """Return all tables of the namespace, whoever made them."""
        lines = self._list("list tables").splitlines()
        words = (line.split() for line in lines if line.startswith("table "))
        return [Table(each[1], each[2]) for each in words]

    def list_table(self, table: Table) -> str | None:
        """Return a table as `nft -s list table` prints it, None if there is none."""
        try:
            return self._list(f"list table {table}")
        except NftError as error:
            if error.errno == errno.ENOENT:
                return None
            raise

    def _list(self, command: str) -> str:
        raw = command.encode()
        status, said, refused = self._call("nft_run_cmd_from_buffer", raw)
        if status:
            raise NftError(_mistakes(refused, b"", raw), f"nft {command}")
        return said.decode(errors="replace")

    def _call(self, function: str, argument: bytes) -> tuple[int, bytes, bytes]:
        with _alone:
            status = getattr(self._lib, function)(self._context, argument)
            said = self._lib.nft_ctx_get_output_buffer(self._context)
            return status, said or b"", self._lib.nft_ctx_get_error_buffer(self._context) or b""


def rehearse(text: str) -> None:
    """Carry out a text by a process of `nft`; raises `NftError` if refused, `NftBroke` if it dies.

    libnftables 1.0.6 ends the whole process over some mistakes: a comma too many in a set, and what
    could be read of the line is evaluated all the same, up to an assertion (intervals.c:33).

    Should: be called, in a namespace without a name, for what a person wrote.
    Mustn't: be relied on where there is no `nft`; then the library does it in our own process.
    """
    import shutil
    import subprocess

    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_SBIN}")
    if program is None:
        with Nft() as nft:
            nft.run(text)
        return
    raw = text.encode(errors="replace")
    try:
        done = subprocess.run(
            ("/bin/sh", "-c", _REHEARSAL, program),
            input=raw,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KernelError(errno.ETIMEDOUT, "nft -f -") from error
    if done.returncode < 0:
        said = " ".join(done.stderr.decode(errors="replace").split())
        cause = said or signal.strsignal(-done.returncode)
        raise NftBroke((Wrong(0, 0, 0, f"libnftables breaks down over this: {cause}"),))
    if done.returncode:
        raise NftError(_mistakes(done.stderr, b"/dev/stdin", raw))


@cache
def _library() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        msg = "no nft library"
        raise Unavailable(msg, _REMEDY) from error
    context = ctypes.c_void_p
    lib.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    lib.nft_ctx_new.restype = context
    for name in ("buffer_output", "buffer_error", "get_output_buffer", "get_error_buffer", "free"):
        getattr(lib, f"nft_ctx_{name}").argtypes = (context,)
    for name in ("get_output_buffer", "get_error_buffer"):
        getattr(lib, f"nft_ctx_{name}").restype = ctypes.c_char_p
    lib.nft_ctx_free.restype = None
    lib.nft_ctx_output_set_flags.argtypes = (context, ctypes.c_uint)
    lib.nft_ctx_output_set_flags.restype = None
    if hasattr(lib, "nft_ctx_input_set_flags"):
        lib.nft_ctx_input_set_flags.argtypes = (context, ctypes.c_uint)
    lib.nft_ctx_set_dry_run.argtypes = (context, ctypes.c_bool)
    lib.nft_ctx_set_dry_run.restype = None
    for name in ("nft_run_cmd_from_buffer", "nft_run_cmd_from_filename"):
        getattr(lib, name).argtypes = (context, ctypes.c_char_p)
    return lib


def _mistakes(refused: bytes, path: bytes, text: bytes) -> tuple[Wrong, ...]:
    """Return the mistakes that the library tells, each once.

    A mistake is one line, perhaps followed by a line of the text and one of carets, which may
    themselves look like anything: so a line is one only if it has a place or says `Error:`.
    """
    starts: list[int] = []
    found: dict[Wrong, None] = {}
    for line in refused.split(b"\n"):
        match = re.match(_ERROR, line)
        if not match or not (match["file"] or match["kind"]):
            continue
        message = match["message"].decode(errors="replace")
        if not path or match["file"] != path:
            found[Wrong(0, 0, 0, message)] = None
            continue
        starts = starts or _line_starts(text)
        line_number, first, last = (int(match[group]) for group in ("line", "first", "last"))
        found[_placed(text, starts, line_number, first, last, message)] = None
    return tuple(found)


def _probe() -> None:
    """Raise where no socket can be had: the library would end the process (netlink_init_error)."""
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER).close()
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT:
            msg = "this kernel has no nftables"
            raise Unavailable(msg, "modprobe nf_tables") from error
        raise KernelError(error.errno or errno.EIO, "nft list tables") from error


_NEWLINES = rb'"[^"]*"|#[^\n]*|\n'


def _line_starts(text: bytes) -> list[int]:
    """Return where the library's lines begin: it does not count a line's end within quotes."""
    ends = (hit.end() for hit in re.finditer(_NEWLINES, text) if hit[0] == b"\n")
    return [0, *ends]


def _placed(  # noqa: PLR0913, PLR0917 - the parts of a place
    text: bytes, starts: list[int], line: int, first: int, last: int, message: str
) -> Wrong:
    """Return a mistake with its place in characters; the library counts bytes."""
    start = starts[min(max(line, 1), len(starts)) - 1]
    begin = min(start + max(first, 1) - 1, len(text))
    end = min(start + max(first, last), len(text))
    above = text.rfind(b"\n", 0, begin) + 1
    column = len(text[above:begin].decode(errors="replace")) + 1
    length = len(text[begin:end].split(b"\n")[0].decode(errors="replace"))
    return Wrong(text.count(b"\n", 0, begin) + 1, column, max(1, length), message)
