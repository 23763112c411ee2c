"""A call in a child, for whom the kernel lets no thread go where it should: a plain user.

A thread beside others cannot enter another user namespace (setns(2), EINVAL); a child that was just
forked has one thread, and can. It makes the call and sends back what that returned or raised:
pickled, but for sockets and places, whose descriptors travel beside it (SCM_RIGHTS, unix(7)).

So the outcome is the same as on a thread, and what the call changes in the memory of the program is
not seen there.
"""

import io
import os
import pickle
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

from netloom.errors import NetloomError, Unavailable
from netloom.kernel.forking import fork
from netloom.namespaces.enter import Captured

_P = ParamSpec("_P")
_T = TypeVar("_T")

_LENGTH = struct.Struct("!Q")
_MOST = 128
"""Descriptors in an outcome; SCM_MAX_FD is 253."""

_GRACE = 10.0
"""Seconds that a child may take to undo what it does, when its parent is interrupted."""


class Portable:
    """What is nothing but open files, and is made again from them in another process."""

    __slots__ = ()

    def fds(self) -> list[int]:
        """Return them, as its class takes them."""
        raise NotImplementedError


def call_in_child(
    enter: Callable[[], None], call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs
) -> _T:
    """Return what `call` returns or raises, made in a child that has called `enter` before.

    Raises `Unavailable` for an outcome that cannot be carried out of a process.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, ExitStack() as stack:
        with theirs:
            pid = fork()
            if pid == 0:
                ours.close()
                _play(theirs, enter, lambda: call(*args, **keys))
        stack.callback(_end, pid)
        raised, outcome = _received(ours, getattr(call, "__name__", "the call"))
        stack.pop_all()
        _reap(pid)
    if raised:
        raise cast("BaseException", outcome)
    return cast("_T", outcome)


# ── in the child ──────────────────────────────────────────────────────────────────────────


def _play(told: socket.socket, enter: Callable[[], None], call: Callable[[], object]) -> NoReturn:
    """Make the call, send its outcome, and end without anything that a program does at its end."""
    try:
        result: object = None
        with Captured() as kept:
            enter()
            result = call()
        _send(told, result, kept.error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
    finally:
        os._exit(0)


def _noted(error: BaseException) -> BaseException:
    """Return an error that says where it was raised: its traceback stays in the child."""
    if not isinstance(error, NetloomError):
        lines = traceback.format_exception(error)
        error.add_note(f"in a child process:\n{''.join(lines).rstrip()}")
    return error


def _send(told: socket.socket, result: object, error: BaseException | None) -> None:
    outcome = result if error is None else _noted(error)
    data = io.BytesIO()
    pickler = _Pickler(data)
    with Captured() as kept:  # whatever a class does when it is pickled
        pickler.dump((error is not None, outcome))
        if error is not None:  # one may be taken apart and not be put together again
            pickle.loads(data.getvalue())  # noqa: S301 - our own
    if kept.error is not None:
        data = io.BytesIO()
        pickler = _Pickler(data)
        pickler.dump((None, f"{outcome!r:.200}: {kept.error}"))
    socket.send_fds(told, [_LENGTH.pack(data.tell())], pickler.fds)
    told.sendall(data.getbuffer())


class _Pickler(pickle.Pickler):
    """A pickler that puts descriptors aside, and takes errors of ours apart by their facts."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.fds: list[int] = []

    def persistent_id(self, thing: object) -> tuple[object, ...] | None:
        if isinstance(thing, socket.SocketType):  # those of the C half, too
            self.fds.append(thing.fileno())
            return socket.socket, len(self.fds) - 1, thing.gettimeout()
        if isinstance(thing, Portable):
            held = thing.fds()
            self.fds += held
            return type(thing), len(self.fds) - len(held), len(held)
        return None

    def reducer_override(self, thing: object) -> Any:
        if isinstance(thing, NetloomError):
            return _rebuilt, (type(thing), thing.args, thing.__dict__)
        return NotImplemented


# ── in the parent ─────────────────────────────────────────────────────────────────────────


def _rebuilt(kind: type[NetloomError], args: tuple[object, ...], facts: dict[str, object]) -> Any:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


class _Unpickler(pickle.Unpickler):
    """The other half of `_Pickler`."""

    def __init__(self, file: io.BytesIO, fds: list[int]) -> None:
        super().__init__(file)
        self.fds = fds

    def persistent_load(self, said: Any) -> object:
        kind, first, fact = said
        if kind is socket.socket:
            sock = socket.socket(fileno=self.fds[first])
            sock.settimeout(fact)
            return sock
        return kind(*self.fds[first : first + fact])


def _received(told: socket.socket, name: str) -> tuple[bool, object]:
    head, fds, _, _ = socket.recv_fds(told, _LENGTH.size, _MOST, socket.MSG_CMSG_CLOEXEC)
    head += _read(told, _LENGTH.size - len(head))
    if len(head) < _LENGTH.size:
        reason = f"the process in which `{name}` was called has ended before it did"
        raise Unavailable(reason)
    data = _read(told, *_LENGTH.unpack(head))
    raised, outcome = _Unpickler(io.BytesIO(data), fds).load()
    if raised is None:
        reason = f"what `{name}` returned or raised cannot leave the process it was in: {outcome}"
        raise Unavailable(reason, "return what pickle takes, or a socket; or run it as root")
    return raised, outcome


def _read(told: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length and (piece := told.recv(min(length - len(data), 1 << 20))):
        data += piece
    return bytes(data)


def _end(pid: int) -> None:
    """Have a child undo what it does, and end it if it takes too long."""
    fd = os.pidfd_open(pid)
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number)
            if select.select([fd], [], [], _GRACE)[0]:
                break
    finally:
        os.close(fd)
        _reap(pid)


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # somebody's SIGCHLD handler was quicker
        os.waitpid(pid, 0)
