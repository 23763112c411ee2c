"""Whether packets really get somewhere: probes by ping, TCP and UDP, from the calling thread.

What is asked is asked of the kernel and of the far end, never predicted.
"""

import errno
import os
import select
import socket
import struct
import time
from typing import Literal, NamedTuple

Protocol = Literal["ping", "tcp", "udp"]
_AGAIN = 0.1
"""Seconds after which an echo request is repeated: the first may have met no neighbour entry."""

_ECHO = {
    socket.AF_INET: (8, 0, socket.IPPROTO_ICMP),
    socket.AF_INET6: (128, 129, socket.IPPROTO_ICMPV6),
}
"""The types of echo request and reply, and the protocol."""


class Journey(NamedTuple):
    """What became of a probe; true if it was answered.

    `words` are `a -> b tcp/80`, `cause` is why it was not, empty if it was; `seconds` it took.
    """

    words: str
    cause: str = ""
    seconds: float = 0.0

    def __bool__(self) -> bool:
        """Whether it was answered."""
        return not self.cause

    def __repr__(self) -> str:
        """Return one line, as pytest shows it."""
        return f"<{self.words}: {self.cause or 'answered'}>"


def probe(words: str, address: str, protocol: Protocol, port: int, within: float) -> Journey:
    """Return whether an address answers within so many seconds.

    A ping is an echo request (RFC 792, RFC 4443), TCP a connection, UDP an empty datagram that must
    be answered by anything but an error.
    """
    began = time.monotonic()
    kinds = {"ping": _ping, "tcp": _tcp, "udp": _udp}
    try:
        cause = kinds[protocol](address, port, began + within)
    except OSError as error:
        cause = _why(error, protocol, port)
    return Journey(words, cause or "", round(time.monotonic() - began, 4))


def _why(error: OSError, protocol: Protocol, port: int) -> str:
    if error.errno == errno.ECONNREFUSED:
        return f"refused: nothing listens on {protocol}/{port} there, or a rule rejects it"
    if isinstance(error, TimeoutError):
        return "no answer"
    return (error.strerror or str(error)).lower()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _tcp(address: str, port: int, deadline: float) -> str | None:
    with socket.create_connection((address, port), _left(deadline)):
        return None


def _udp(address: str, port: int, deadline: float) -> str | None:
    with socket.socket(_family(address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(_left(deadline))
        sock.connect((address, port))
        sock.send(b"")
        sock.recv(1)
        return None


def _ping(address: str, port: int, deadline: float) -> str | None:  # noqa: ARG001 - the shape of a probe
    family = _family(address)
    request, reply, protocol = _ECHO[family]
    is_ipv4 = family == socket.AF_INET
    with socket.socket(family, socket.SOCK_RAW, protocol) as sock:
        sock.connect((address, 0))
        mark = os.urandom(2)
        again = 0.0
        count = 0
        while (now := time.monotonic()) < deadline:
            if now >= again:
                sock.send(_echo(request, mark, count, checked=is_ipv4))
                count, again = count + 1, now + _AGAIN
            if select.select([sock], [], [], _left(min(again, deadline)))[0]:
                data = sock.recv(2048)
                head = (data[0] & 15) * 4 if is_ipv4 else 0  # raw IPv4 sockets see the header, too
                if data[head] == reply and data[head + 4 : head + 6] == mark:
                    return None
    return "no answer"


def _echo(kind: int, mark: bytes, count: int, *, checked: bool) -> bytes:
    """Return an echo request; the kernel makes the checksum of ICMPv6 (RFC 3542, 3.1)."""
    message = struct.pack("!BBH2sH", kind, 0, 0, mark, count)
    if not checked:
        return message
    total = sum(struct.unpack("!4H", message))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBH2sH", kind, 0, ~total & 0xFFFF, mark, count)
