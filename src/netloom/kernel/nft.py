"""nftables: its tables, and texts of nft(8) carried out in the namespace of the calling thread.

Which tables there are is asked over netlink. Texts are read by the library behind `nft`: a process
of that for each namespace would cost ten times what the kernel's own work does. Tables are listed
as text, the way `nft list` prints them: the JSON of libnftables 1.0.6, Debian 12's, lacks the
comment of a table and writes past its buffer where a table has flags.

Should: live on a thread that is in the namespace it is about.
Mustn't: decide what is loaded, or wait for anything but the kernel.
"""

import errno
import os
import re
import signal
from typing import NamedTuple

from netloom import kernel
from netloom.errors import FAILURES, KernelError, Unavailable, errno_of
from netloom.kernel import libnftables
from netloom.kernel.closing import Closing
from netloom.kernel.libnftables import Ended, InProcess, Library, NftOutput, NoLibrary
from netloom.kernel.netlink import Rtnetlink, netlink_socket
from netloom.wire.nfnetlink import Table, batch, dump_tables, read_table, table_del

_REMEDY = "apt-get install libnftables1 (or your distribution's nftables)"

_NETLINK_NETFILTER = 12  # linux/netlink.h
_LACKING = {errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP}
"""What a kernel says that has no nftables."""

_EXITS = {2: errno.ENOMEM, 3: errno.EIO}
"""Statuses by which the library ends a process: no memory, no netlink (nftables/utils.h)."""

_ERROR = (
    rb"^(?:(?P<file>[^\n]*?):(?P<line>\d+):(?P<first>\d+)-(?P<last>\d+): )?"
    rb"(?P<kind>Error: )?(?P<message>.+)$"
)


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
        quoted = (errno_of(each.message) for each in wrong)
        number = next((each for each in quoted if each), errno.EINVAL)
        super().__init__(number, asked, wrong[0].message if wrong else "")


class NftBroke(NftError):
    """A text that libnftables breaks down over, with what it said at last; nothing is done."""


def tables() -> dict[Table, str]:
    """Return all tables of the calling thread's namespace, whoever made them, and their comments.

    Raises `Unavailable` where the kernel has no nftables.
    """
    try:
        with _netfilter() as nf:
            return dict(read_table(data) for data in nf.dump(dump_tables()))
    except OSError as error:
        if error.errno not in _LACKING:
            raise
        msg = "this kernel has no nftables"
        raise Unavailable(msg, "modprobe nf_tables") from error


def delete(table: Table) -> None:
    """Delete a table of the calling thread's namespace; raises `KernelError` where it is none.

    It takes 15 ms to close the socket by which something was deleted: the kernel waits for RCU.
    """
    with _netfilter() as nf:
        nf.transact(batch(table_del(table)))


def _netfilter() -> Rtnetlink:
    return Rtnetlink(netlink_socket(_NETLINK_NETFILTER))


def begin(*, apart: bool = False) -> Library:
    """Return a library to speak to: in this process, where it is netloom's own; else in a child.

    `apart`: in a child in any case. Raises `OSError`.
    """
    if not (kernel.in_program or apart):
        return InProcess()
    from netloom.kernel.nftchild import Child

    return Child()


class Nft(Closing):
    """A conversation with nftables, in the namespace of the thread that began it.

    >>> with Nft() as nft:                                            # doctest: +SKIP
    ...     nft.run("add table inet mine")
    """

    __slots__ = ("_library",)

    def __init__(self, library: Library | None = None) -> None:
        """Begin it, by a library that waits for that, or one in a process of its own.

        Raises `Unavailable` where there is none, `OSError`.
        """
        self._library = library or begin(apart=True)
        try:
            self.here()
        except (Unavailable, *FAILURES):
            self.close()
            raise

    def here(self) -> None:
        """Go on in the namespace that the calling thread is in; raises `OSError`."""
        netns = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._ask(libnftables.OPEN, "", netns)
        finally:
            os.close(netns)

    @property
    def is_over(self) -> bool:
        """Whether a text has broken the library down, or it was closed."""
        return self._library.is_over

    def close(self) -> None:
        """Let go of the library, which takes 15 ms where it deleted something; twice is no harm."""
        self._library.close()

    def run(self, text: str) -> str:
        """Carry out a text in one transaction and return what it prints; `NftError` if refused."""
        return self._done(libnftables.RUN, text)

    def check(self, text: str) -> None:
        """Have a text checked by library and kernel, without doing it; `NftError` if refused."""
        self._done(libnftables.CHECK, text)

    def list_table(self, table: Table) -> str | None:
        """Return a table as `nft -s list table` prints it, None for none; raises `NftError`."""
        command = f"list table {table}"
        answer = self._ask(libnftables.LIST, command)
        if not answer.status:
            return answer.printed.decode(errors="replace")
        error = NftError(_mistakes(answer.refused, b"", command.encode()), f"nft {command}")
        if error.errno == errno.ENOENT:
            return None
        raise error

    def _done(self, what: int, text: str) -> str:
        answer = self._ask(what, text)
        if answer.status:
            path, _, refused = answer.refused.partition(b"\n")
            raise NftError(_mistakes(refused, path, text.encode(errors="replace")))
        return answer.printed.decode(errors="replace")

    def _ask(self, what: int, text: str, netns: int | None = None) -> NftOutput:
        try:
            return self._library.ask(what, text.encode(errors="replace"), netns)
        except NoLibrary as error:
            msg = "no nft library"
            raise Unavailable(msg, _REMEDY) from error
        except Ended as end:
            raise _broken(end) from end


def _broken(end: Ended) -> KernelError:
    """Return what ended the library: the machine refuses it something, or a text breaks it."""
    if end.status in _EXITS:
        return KernelError(errno_of(end.words) or _EXITS[end.status], "nft", end.words)
    cause = end.words or (signal.strsignal(-end.status) if end.status < 0 else str(end.status))
    return NftBroke((Wrong(0, 0, 0, f"libnftables breaks down over this: {cause}"),))


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
