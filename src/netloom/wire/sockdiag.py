"""Sockets of a namespace, by NETLINK_SOCK_DIAG (sock_diag(7)): who listens, and on what.

Only listeners are asked for: for TCP the kernel then walks its table of listeners and not that of
connections. UDP has none; a bound socket without a far end is one (state TCP_CLOSE). The kernel
tells no event when a listener appears, so whoever waits for one asks again.
"""

from struct import Struct
from typing import NamedTuple

from netloom.values import inet_ntop
from netloom.wire.attributes import Malformed, content, offsets
from netloom.wire.constants import AF_INET, AF_INET6, NLM_F_DUMP
from netloom.wire.message import Message

_SOCK_DIAG_BY_FAMILY = 20
_AF_UNIX = 1
_PROTOCOLS = {"tcp": 6, "udp": 17}
_FAMILIES = (AF_INET, AF_INET6)

_CLOSE = 7  # TCP_CLOSE and TCP_LISTEN (net/tcp_states.h), which other protocols borrow
_LISTEN = 10
_STATES = {"tcp": 1 << _LISTEN, "udp": 1 << _CLOSE}
_DGRAM = 2

_SHOW_NAME_AND_FILE = 3  # UDIAG_SHOW_NAME | UDIAG_SHOW_VFS
_UNIX_DIAG_NAME = 0
_UNIX_DIAG_VFS = 1

_INET_REQUEST = Struct("=BBBxI48x")  # inet_diag_req_v2 with an empty inet_diag_sockid
_INET_HEAD = Struct("=BBBB")
_SPORT = Struct(">H")
_INODE = Struct("=I")
_INET_SIZE = 72  # inet_diag_msg
_UNIX_REQUEST = Struct("=BBHIIIII")
_UNIX_MESSAGE = Struct("=BBBxIII")  # unix_diag_msg
_VFS = Struct("=II")  # unix_diag_vfs


class Listener(NamedTuple):
    """A socket that listens on a port: `address` may be `0.0.0.0` or `::`; `inode` names it."""

    kind: str
    address: str
    port: int
    inode: int


class UnixListener(NamedTuple):
    """A Unix socket that listens: its name as it was bound, `@` first if abstract.

    `file` is the inode (its lower 32 bits) and the device (the kernel's `dev_t`) of the file that
    it is bound to, None for an abstract one: a name may be relative, or seen elsewhere.
    """

    name: str
    file: tuple[int, int] | None
    inode: int


def dump_listeners(kind: str) -> tuple[Message, ...]:
    """Return the questions for all that listens by `tcp` or `udp`, one for each family."""
    bodies = (_INET_REQUEST.pack(f, _PROTOCOLS[kind], 0, _STATES[kind]) for f in _FAMILIES)
    return tuple(Message(_SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, body) for body in bodies)


def dump_unix_listeners() -> Message:
    """Return the question for all Unix sockets that may listen."""
    states = 1 << _LISTEN | 1 << _CLOSE
    body = _UNIX_REQUEST.pack(_AF_UNIX, 0, 0, states, 0, _SHOW_NAME_AND_FILE, 0, 0)
    return Message(_SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, body)


def read_listeners(kind: str, payloads: list[bytes]) -> list[Listener]:
    """Return what listens, from the answers to `dump_listeners` of the same kind."""
    return [_listener(kind, payload) for payload in payloads]


def _listener(kind: str, payload: bytes) -> Listener:
    if len(payload) < _INET_SIZE:
        msg = f"a socket of {len(payload)} bytes"
        raise Malformed(msg)
    family: int = _INET_HEAD.unpack_from(payload)[0]
    if family not in _FAMILIES:
        msg = f"a socket of family {family}"
        raise Malformed(msg)
    packed = payload[8:12] if family == AF_INET else payload[8:24]
    (port,) = _SPORT.unpack_from(payload, 4)
    (inode,) = _INODE.unpack_from(payload, 68)
    return Listener(kind, inet_ntop(family, packed), port, inode)


def read_unix_listeners(payloads: list[bytes]) -> list[UnixListener]:
    """Return the Unix sockets that listen, from the answers; raises `Malformed`.

    A stream that is bound and does not listen yet is none; a datagram socket listens once bound.
    """
    found = []
    for payload in payloads:
        if len(payload) < _UNIX_MESSAGE.size:
            msg = f"a Unix socket of {len(payload)} bytes"
            raise Malformed(msg)
        _, kind, state, inode, _, _ = _UNIX_MESSAGE.unpack_from(payload)
        at = offsets(payload, _UNIX_MESSAGE.size, len(payload))
        if _UNIX_DIAG_NAME in at and (state == _LISTEN or kind == _DGRAM):
            name = content(payload, at, _UNIX_DIAG_NAME)
            vfs = content(payload, at, _UNIX_DIAG_VFS)
            file = _VFS.unpack(vfs) if len(vfs) == _VFS.size else None
            found.append(UnixListener(_name(name), file, inode))
    return found


def _name(name: bytes) -> str:
    if name[:1] == b"\0":
        return "@" + name[1:].decode("utf-8", "surrogateescape")
    return name.partition(b"\0")[0].decode("utf-8", "surrogateescape")
