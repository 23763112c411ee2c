"""libnftables(3) in the calling process, which it may end.

It calls exit(3) where it gets no socket or no memory (netlink_init_error, xmalloc), and 1.0.6 runs
into an assertion over some mistakes in a text (intervals.c:33). So whoever is not netloom itself
speaks to it by a child (`nftchild.py`). Here such an end is as a kill: told, and the next command
leads back.

The library resolves names of interfaces through a socket that it opens during the call, and keeps
them in a variable that all contexts share (iface.c). So only the context that was made last is
spoken to, by the thread that made it, where it made it. The others are closed later: whoever closes
one waits for RCU where something was deleted in it, and when many are open the kernel has long been
done.

Mustn't: decide what is loaded, or wait for anything but the kernel.
"""

import ctypes
import os
from collections import deque
from errno import ENOENT
from functools import cache
from typing import NamedTuple

from netloom.errors import KernelError, errno_of
from netloom.kernel.closing import Closing

OPEN, RUN, CHECK, LIST = range(4)
"""What is asked: a context in a network; and in that one, to do a text, to check it, to list."""

_SONAME = "libnftables.so.1"
_CONTEXTS = 32
"""Contexts that are open at once."""

_STATELESS = 1 << 2
"""NFT_CTX_OUTPUT_STATELESS (nftables/libnftables.h): no values of counters, no time left."""

_NUMERIC_TIME = 1 << 10
"""NFT_CTX_OUTPUT_NUMERIC_TIME: `meta hour` would else be listed in this process's time zone."""

_NO_DNS = 1 << 0
"""NFT_CTX_INPUT_NO_DNS, libnftables 1.0.8: a host's name is a mistake, not a question."""


class NoLibrary(Exception):
    """There is no libnftables on this machine, or none that can be loaded."""


class Ended(Exception):
    """The child has ended over what it was asked: its status, minus a signal, and its words."""

    def __init__(self, status: int, words: str) -> None:
        """Keep both."""
        self.status = status
        self.words = words
        super().__init__(words)


class NftOutput(NamedTuple):
    """What the library returned, what it printed, and what it said of mistakes.

    Before the mistakes of a text stands a line with the name that its file has in them.
    """

    status: int
    printed: bytes
    refused: bytes


class Library(Closing):
    """The library, as one thread speaks to it."""

    __slots__ = ()

    @property
    def is_over(self) -> bool:
        """Whether it has ended over what it was asked, or was closed."""
        raise NotImplementedError

    def ask(self, what: int, text: bytes = b"", netns: int | None = None) -> NftOutput:
        """Return what it answers; `netns` is the network of a new context, where the thread is.

        Raises `KernelError` for what it is refused, `NoLibrary`, or `Ended`; then it is over.
        """
        raise NotImplementedError


class Contexts(Library):
    """The library in the calling process."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        """Begin with nothing open."""
        self._open: deque[int] = deque()

    @property
    def is_over(self) -> bool:
        """It is not: with it, this process would be."""
        return False

    def close(self) -> None:
        """Close all contexts."""
        while self._open:
            _library().nft_ctx_free(self._open.popleft())

    def ask(self, what: int, text: bytes = b"", netns: int | None = None) -> NftOutput:  # noqa: ARG002
        """Return what it answers; raises `KernelError` or `NoLibrary`."""
        if what == OPEN:
            self._new()
            return NftOutput(0, b"", b"")
        if what == LIST:
            return self._call("nft_run_cmd_from_buffer", text)
        _library().nft_ctx_set_dry_run(self._open[-1], what == CHECK)
        return self._run(text)

    def _new(self) -> None:
        lib = _library()
        if len(self._open) >= _CONTEXTS:
            lib.nft_ctx_free(self._open.popleft())
        context = lib.nft_ctx_new(0)
        lib.nft_ctx_buffer_output(context)
        lib.nft_ctx_buffer_error(context)
        lib.nft_ctx_output_set_flags(context, _STATELESS | _NUMERIC_TIME)
        if hasattr(lib, "nft_ctx_input_set_flags"):
            lib.nft_ctx_input_set_flags(context, _NO_DNS)
        self._open.append(context)

    def _run(self, text: bytes) -> NftOutput:
        """Have a text read from a file in memory: the library tells no lines of a buffer."""
        file = os.memfd_create("nft")
        try:
            with open(file, "wb", closefd=False) as writer:
                writer.write(text)
            path = f"/proc/self/fd/{file}".encode()
            status, printed, refused = self._call("nft_run_cmd_from_filename", path)
            return NftOutput(status, printed, path + b"\n" + refused)
        finally:
            os.close(file)

    def _call(self, function: str, argument: bytes) -> NftOutput:
        lib, context = _library(), self._open[-1]
        status = getattr(lib, function)(context, argument)
        printed = lib.nft_ctx_get_output_buffer(context)
        return NftOutput(status, printed or b"", lib.nft_ctx_get_error_buffer(context) or b"")


@cache
def _library() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(_SONAME)
    except OSError as error:  # which has no errno
        number = errno_of(str(error))
        if number in {None, ENOENT}:
            raise NoLibrary(str(error)) from error
        raise KernelError(number or 0, "", str(error)) from error
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


# ── where its end is netloom's ────────────────────────────────────────────────────────────

_UNFINISHED = (
    b"netloom was ended by libnftables; a change that had begun is unfinished\n"
    b"hint: netloom labs shows it; the next up, undo or down leads it back\n"
)


class InProcess(Contexts):
    """The library in netloom's own process: where that ends it, it says so, with status 1."""

    __slots__ = ()

    def __init__(self) -> None:
        """Have the C library tell us of exit(3)."""
        super().__init__()
        _hear_of_exit()

    def ask(self, what: int, text: bytes = b"", netns: int | None = None) -> NftOutput:
        """Return what it answers; raises `KernelError` or `NoLibrary`."""
        _asking.append(what)
        try:
            return super().ask(what, text, netns)
        finally:
            _asking.pop()


_asking: list[int] = []
"""What is being asked."""


@cache
def _hear_of_exit() -> object:
    callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_tell)
    ctypes.CDLL(None)["__cxa_atexit"](callback, None, None)
    return callback  # it must live as long as the process


def _tell(_: object) -> None:
    if _asking:
        os.write(2, _UNFINISHED)
        os._exit(1)
