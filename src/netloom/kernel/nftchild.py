"""libnftables in a child, so that what ends it ends no program.

It is forked once for all the namespaces that a change speaks to: 8 ms, where an `up` takes 120. It
has the caller's mounts and user, enters each network by a descriptor that it is sent (SCM_RIGHTS,
unix(7)), and says what the library said. Where it ends instead, its status and its last words are
the answer.

Should: be closed on the thread that began it: when that ends, be it by SIGKILL, so does the child.
"""

import gc
import os
import resource
import signal
import socket
from contextlib import suppress
from errno import EIO, ETIMEDOUT
from struct import Struct
from typing import NoReturn

from netloom.errors import FAILURES, KernelError, failure
from netloom.kernel import process, syscalls
from netloom.kernel.forking import fork
from netloom.kernel.libnftables import Contexts, Ended, Library, NftOutput, NoLibrary

_NAME = "netloom-nft"
"""What `ps` shows."""

_ASKED = Struct("=BI")  # what, and the length of a text
_ANSWERED = Struct("=iiII")  # an errno or a status, and the lengths of two texts
_NO_LIBRARY = -1
_TIMEOUT = Struct("@ll").pack(60, 0)  # struct timeval
_LAST_FD = 1 << 20


class Child(Library):
    """The library in a child, as its parent sees it."""

    __slots__ = ("_pid", "_socket", "_words")

    def __init__(self) -> None:
        """Fork it; raises `OSError` where that is refused."""
        self._pid = 0
        self._words = os.memfd_create(_NAME)
        try:
            self._socket, theirs = socket.socketpair()
        except OSError:
            os.close(self._words)
            raise
        parent = os.getpid()
        with theirs:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
                self._pid = fork()
            except OSError:
                self._let_go()
                raise
            if self._pid == 0:
                _serve(theirs, self._words, parent)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._pid == 0

    def close(self) -> None:
        """End it, and wait for that; twice is no harm."""
        if self._pid:
            self._end()

    def ask(self, what: int, text: bytes = b"", netns: int | None = None) -> NftOutput:
        """Return what it answers.

        Raises `KernelError` for what it is refused, `NoLibrary`, or `Ended`; then it is over.
        """
        whole = False
        try:
            answer = self._exchange(what, text, netns)
            whole = True
        except BlockingIOError as error:
            raise KernelError(ETIMEDOUT, "nft") from error
        finally:
            if not whole:  # what it answers later would be taken for the next answer
                self._end(signal.SIGKILL)
        if answer is None:
            raise self._end()
        number, status, printed, refused = answer
        if number == _NO_LIBRARY:
            raise NoLibrary(printed.decode(errors="replace"))
        if number:
            raise KernelError(number, printed.decode(), refused.decode(errors="replace"))
        return NftOutput(status, printed, refused)

    def _exchange(
        self, what: int, text: bytes, netns: int | None
    ) -> tuple[int, int, bytes, bytes] | None:
        """Ask, and return the answer, None where it ended without one."""
        try:
            fds = [] if netns is None else [netns]
            socket.send_fds(self._socket, [_ASKED.pack(what, len(text))], fds)
            self._socket.sendall(text)
            number, status, *lengths = _ANSWERED.unpack(_read(self._socket, _ANSWERED.size))
            printed, refused = (_read(self._socket, length) for length in lengths)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            return None
        return number, status, printed, refused

    def _end(self, number: int = 0) -> Ended:
        """Let go of it, send it a signal, wait for its end; return how it ended."""
        pid, self._pid = self._pid, 0
        words = b""
        with suppress(OSError):
            words = os.pread(self._words, 4096, 0)
        self._let_go()
        ended = 0
        with suppress(OSError):  # somebody's SIGCHLD handler was quicker
            if number:
                os.kill(pid, number)  # not reaped yet: the number is still its own
            ended = os.waitpid(pid, 0)[1]
        printed = " ".join(words.decode(errors="replace").split())
        return Ended(os.waitstatus_to_exitcode(ended), printed)

    def _let_go(self) -> None:
        with suppress(OSError):
            self._socket.close()
        with suppress(OSError):
            os.close(self._words)


def _read(sock: socket.socket, length: int) -> bytes:
    """Return so many bytes; raises `EOFError` where there are no more to come."""
    data = bytearray()
    while len(data) < length:
        piece = sock.recv(length - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


# ── in the child ──────────────────────────────────────────────────────────────────────────


def _serve(asked: socket.socket, words: int, parent: int) -> NoReturn:
    """Answer until nobody asks any more."""
    try:
        _settle(asked.fileno(), words, parent)
        library = Contexts()
        with suppress(EOFError):
            while True:
                head, fds, _, _ = socket.recv_fds(asked, _ASKED.size, 1)
                what, length = _ASKED.unpack(head + _read(asked, _ASKED.size - len(head)))
                asked.sendall(_answered(library, what, _read(asked, length), fds))
    finally:
        os._exit(0)


def _settle(asked: int, words: int, parent: int) -> None:
    """Part from the program: its files, its streams, its signals, what it does at its end."""
    gc.disable()
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    if not syscalls.end_with_parent(parent):
        os._exit(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for stream in range(3):
        os.dup2(words, stream)
    os.closerange(3, asked)
    os.closerange(asked + 1, _LAST_FD)
    process.rename(_NAME)


def _answered(library: Library, what: int, text: bytes, fds: list[int]) -> bytes:
    """Return the answer to what is asked."""
    number = 0
    try:
        for netns in fds:
            syscalls.setns(netns)
            os.close(netns)
        status, printed, refused = library.ask(what, text)
    except NoLibrary as error:
        number, status, printed, refused = _NO_LIBRARY, 0, str(error).encode(), b""
    except FAILURES as error:
        cause = failure(error)
        number, status = cause.errno or EIO, 0
        printed, refused = cause.asked.encode(), cause.extack.encode()
    return _ANSWERED.pack(number, status, len(printed), len(refused)) + printed + refused
