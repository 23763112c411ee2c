"""Who closes packet sockets: the kernel takes some 10 ms for each, and nobody should wait for that.

A small process gets them (SCM_RIGHTS, unix(7)) and closes them, several at once, when the program
has: whoever lets go of a socket last is the one who waits. It ends with the program. A thread would
do, too, but Python warns whoever forks beside threads, and it is the user who forks.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import ExitStack, suppress

_CLOSING = """
import os, socket, threading
told = socket.socket(fileno=0)
def close():
    while True:
        data, fds, _, _ = socket.recv_fds(told, 1, 2)
        if not data:
            return
        sock, closed = fds
        os.read(closed, 1)
        os.close(closed)
        os.close(sock)
for _ in range(7):
    threading.Thread(target=close).start()
close()
"""


class _Closer:
    """The process, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._told: socket.socket | None = None
        self._program = 0

    def close(self, socks: Collection[socket.socket]) -> None:
        """Close sockets, there if it can be done, else here."""
        with self._lock, ExitStack() as stack:
            with suppress(OSError):  # no more may be open: then they are closed here
                told = self._told or self._start()
                closed, closing = os.pipe()
                stack.callback(os.close, closing)
                stack.callback(os.close, closed)
                for sock in socks:
                    self._send(told, sock, closed)
            for sock in socks:
                sock.close()

    def _send(self, told: socket.socket, sock: socket.socket, closed: int) -> None:
        try:
            socket.send_fds(told, [b"."], [sock.fileno(), closed])
        except BlockingIOError:  # it has many already
            return
        except OSError:  # somebody has ended it
            self._end()

    def _start(self) -> socket.socket:
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        told.setblocking(False)  # noqa: FBT003 - the standard library's signature
        with theirs, ExitStack() as stack:
            stack.callback(told.close)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CLOSING],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # a Ctrl-C is not for it
            )
            stack.pop_all()
        self._told, self._program = told, os.getpid()
        atexit.register(self._end)
        return told

    def _end(self) -> None:
        """End it with the program: what it still has, it closes."""
        told, self._told = self._told, None
        if told is None or self._process is None:
            return
        with told:
            if os.getpid() != self._program:  # one that was forked only lets go
                return
            with suppress(OSError):  # which may have it as well: closing it would end nothing
                told.shutdown(socket.SHUT_RDWR)
        self._process.wait()


_CLOSER = _Closer()


def close_aside(socks: Collection[socket.socket]) -> None:
    """Close sockets without waiting for the kernel."""
    _CLOSER.close(socks)
