"""Addresses: RTM_NEWADDR and its kin (`ip address`)."""

from collections.abc import Iterable
from struct import Struct

import msgspec

from netloom.model.objects import Addr
from netloom.values import inet_pton
from netloom.wire.attributes import Malformed, address, byte, number, offsets, raw, u8
from netloom.wire.constants import (
    AF_INET,
    AF_INET6,
    IFA_ADDRESS,
    IFA_F_NODAD,
    IFA_F_SECONDARY,
    IFA_FLAGS,
    IFA_LOCAL,
    IFA_PROTO,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    RT_SCOPE_HOST,
    RTM_DELADDR,
    RTM_GETADDR,
    RTM_NEWADDR,
)
from netloom.wire.message import Message

_FAMILIES = frozenset({AF_INET, AF_INET6})
_IFADDRMSG = Struct("=BBBBI")
_V4 = Struct("=BBBBIHH4sHH4s")
_V6 = Struct("=BBBBIHH16s")


class SeenAddr(msgspec.Struct, frozen=True, gc=False):
    """An address that the kernel told of; `proto` is IFA_PROTO, 0 where nothing is said."""

    index: int
    addr: Addr
    flags: int
    proto: int
    scope: int


def _body(index: int, addr: Addr) -> bytes:
    # NODAD fits the header's eight bits of flags; IFA_FLAGS would say the same in eight more bytes.
    if ":" in addr.ip:
        packed = inet_pton(AF_INET6, addr.ip)
        own = _V6.pack(AF_INET6, addr.prefixlen, IFA_F_NODAD, 0, index, 20, IFA_LOCAL, packed)
        return own + (raw(IFA_ADDRESS, inet_pton(AF_INET6, addr.peer)) if addr.peer else b"")
    packed = inet_pton(AF_INET, addr.ip)
    far = inet_pton(AF_INET, addr.peer) if addr.peer else packed
    scope = RT_SCOPE_HOST if packed[0] == 127 else 0
    return _V4.pack(
        AF_INET, addr.prefixlen, 0, scope, index, 8, IFA_LOCAL, packed, 8, IFA_ADDRESS, far
    )


def addr_add(index: int, addr: Addr, *, proto: int = 0) -> Message:
    """Give the link `index` an address; an IPv6 one without duplicate address detection.

    `proto` is who gave it (IFA_PROTO, Linux 5.18).
    """
    body = _body(index, addr) + (u8(IFA_PROTO, proto) if proto else b"")
    return Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body)


def addr_del(index: int, addr: Addr) -> Message:
    """Take an address from the link `index`."""
    return Message(RTM_DELADDR, 0, _body(index, addr))


def dump_addrs() -> Message:
    """Ask for all addresses of both families."""
    return Message(RTM_GETADDR, NLM_F_DUMP, bytes(_IFADDRMSG.size))


def read_addrs(payloads: Iterable[bytes]) -> list[SeenAddr]:
    """Return the addresses in the answers to `dump_addrs`; raises `Malformed`."""
    found: list[SeenAddr] = []
    for data in payloads:
        if len(data) < 8:
            msg = "an address of less than 8 bytes"
            raise Malformed(msg)
        if data[0] in _FAMILIES:
            found.append(_read(data))
    return found


def _read(data: bytes) -> SeenAddr:
    family, prefixlen, flags, scope, index = _IFADDRMSG.unpack_from(data)
    at = offsets(data, 8, len(data))
    # IFA_LOCAL is our own address and IFA_ADDRESS the other end's on a point-to-point link; IPv6
    # leaves IFA_LOCAL out where both are the same (inet6_fill_ifaddr).
    far = address(data, at, IFA_ADDRESS, family)
    own = address(data, at, IFA_LOCAL, family) or far
    if not own:
        msg = "an address without its bytes"
        raise Malformed(msg)
    flags = number(data, at, IFA_FLAGS, flags)
    secondary = family == AF_INET and flags & IFA_F_SECONDARY != 0
    addr = Addr(own, prefixlen, secondary, far if far != own else "")
    return SeenAddr(index, addr, flags, byte(data, at, IFA_PROTO), scope)
