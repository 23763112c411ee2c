"""pcapng, the file format of packets from several interfaces (draft-ietf-opsawg-pcapng).

A file is a section header, a block for each interface, a block for each packet, and at the end a
block of counters for each interface. Here blocks are made and read, nothing else: whoever makes
them puts them one behind another, and what was cut off in between is still a readable file.

Written is little-endian, with time stamps in nanoseconds; read is the same, and blocks of kinds
that are not written here are passed over. Whatever the bytes are, reading them gives values or
`Malformed`.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import NamedTuple

from netloom.wire.attributes import Malformed

LINKTYPE_ETHERNET = 1
LINKTYPE_PPP = 9
LINKTYPE_RAW = 101
"""Packets that begin with their IPv4 or IPv6 header."""

INBOUND = 1
OUTBOUND = 2
UNICAST = 1 << 2
MULTICAST = 2 << 2
BROADCAST = 3 << 2
PROMISCUOUS = 4 << 2
"""Bits of `Packet.flags` (epb_flags): a direction, and how it was received."""

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_MAGIC = 0x1A2B3C4D
_UNKNOWN_LENGTH = -1
_NANOSECONDS = bytes((9,))
_APPLICATION, _IF_NAME, _IF_TSRESOL, _FLAGS = 4, 2, 9, 2
_STARTED, _ENDED, _RECEIVED, _DROPPED = 2, 3, 4, 5

_BLOCK = Struct("<II")
_LENGTH = Struct("<I")
_OPTION = Struct("<HH")
_SECTION_BODY = Struct("<IHHq")
_INTERFACE_BODY = Struct("<HHI")
_PACKET_BODY = Struct("<IIIII")
_STATISTICS_BODY = Struct("<III")
_FLAGS_OPTION = Struct("<HHIHH")
_U32 = Struct("<I")
_U64 = Struct("<Q")
_LOW = 0xFFFF_FFFF
_LONGEST_NAME = 0xFFFF


class Section(NamedTuple):
    """The beginning of a file; `application` is what wrote it."""

    application: str


class CapturedInterface(NamedTuple):
    """An interface; packets name it by its place in the file, from 0. `snaplen` is in bytes."""

    name: str
    linktype: int
    snaplen: int


class Packet(NamedTuple):
    """A packet: when it was seen, in nanoseconds since 1970, and its first bytes.

    `length` is how many bytes it had, `flags` are `INBOUND` and its kin, 0 where nothing is known.
    """

    interface: int
    time: int
    data: bytes
    length: int
    flags: int


class Statistics(NamedTuple):
    """The counters of an interface from `started` to `ended`, in nanoseconds since 1970.

    `received` counts all packets that were seen, `dropped` those of them that found no room.
    """

    interface: int
    started: int
    ended: int
    received: int
    dropped: int


Block = Section | CapturedInterface | Packet | Statistics


# ── writing ───────────────────────────────────────────────────────────────────────────────


def encode(block: Block) -> bytes:
    """Return a block as bytes."""
    match block:
        case Packet():
            return _packet(block)
        case Section(application):
            body = _SECTION_BODY.pack(_MAGIC, 1, 0, _UNKNOWN_LENGTH)
            return _framed(_SECTION, body, (_APPLICATION, _text(application)))
        case CapturedInterface(name, linktype, snaplen):
            body = _INTERFACE_BODY.pack(linktype, 0, snaplen)
            return _framed(_INTERFACE, body, (_IF_NAME, _text(name)), (_IF_TSRESOL, _NANOSECONDS))
        case Statistics():
            return _statistics(block)


def _packet(packet: Packet) -> bytes:
    data = packet.data
    body = _PACKET_BODY.pack(
        packet.interface, packet.time >> 32, packet.time & _LOW, len(data), packet.length
    )
    options = _FLAGS_OPTION.pack(_FLAGS, 4, packet.flags, 0, 0) if packet.flags else b""
    padding = bytes(-len(data) & 3)
    total = 12 + len(body) + len(data) + len(padding) + len(options)
    head = _BLOCK.pack(_PACKET, total)
    return b"".join((head, body, data, padding, options, _LENGTH.pack(total)))


def _statistics(seen: Statistics) -> bytes:
    body = _STATISTICS_BODY.pack(seen.interface, seen.ended >> 32, seen.ended & _LOW)
    return _framed(
        _STATISTICS,
        body,
        (_STARTED, _time(seen.started)),
        (_ENDED, _time(seen.ended)),
        (_RECEIVED, _U64.pack(seen.received)),
        (_DROPPED, _U64.pack(seen.dropped)),
    )


def _framed(kind: int, body: bytes, *options: tuple[int, bytes]) -> bytes:
    parts = [body]
    for code, value in options:
        parts += _OPTION.pack(code, len(value)), value, bytes(-len(value) & 3)
    parts.append(_OPTION.pack(0, 0))
    content = b"".join(parts)
    total = 12 + len(content)
    return _BLOCK.pack(kind, total) + content + _LENGTH.pack(total)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")[:_LONGEST_NAME]


def _time(nanoseconds: int) -> bytes:
    # In an option, too, the upper half comes first.
    return _U32.pack(nanoseconds >> 32) + _U32.pack(nanoseconds & _LOW)


# ── reading ───────────────────────────────────────────────────────────────────────────────


def decode(data: bytes) -> Iterator[Block]:
    """Yield the blocks of a file that `encode` could have written; raises `Malformed`."""
    place = 0
    while place < len(data):
        if len(data) - place < 12:
            raise _malformed(place)
        kind, total = _BLOCK.unpack_from(data, place)
        if total < 12 or total % 4 or total > len(data) - place:
            raise _malformed(place)
        if _LENGTH.unpack_from(data, place + total - 4)[0] != total:
            raise _malformed(place)
        if kind in _READERS:
            yield _READERS[kind](data[place + 8 : place + total - 4], place)
        place += total


def _read_section(body: bytes, place: int) -> Section:
    if len(body) < _SECTION_BODY.size or _SECTION_BODY.unpack_from(body)[0] != _MAGIC:
        raise _malformed(place)
    options = _options(body, _SECTION_BODY.size, place)
    return Section(_string(options.get(_APPLICATION, b"")))


def _read_interface(body: bytes, place: int) -> CapturedInterface:
    if len(body) < _INTERFACE_BODY.size:
        raise _malformed(place)
    linktype, _, snaplen = _INTERFACE_BODY.unpack_from(body)
    options = _options(body, _INTERFACE_BODY.size, place)
    if options.get(_IF_TSRESOL) != _NANOSECONDS:
        raise _malformed(place)
    return CapturedInterface(_string(options.get(_IF_NAME, b"")), linktype, snaplen)


def _read_packet(body: bytes, place: int) -> Packet:
    start = _PACKET_BODY.size
    if len(body) < start:
        raise _malformed(place)
    interface, high, low, captured, length = _PACKET_BODY.unpack_from(body)
    padded = captured + (-captured & 3)
    if padded > len(body) - start:
        raise _malformed(place)
    options = _options(body, start + padded, place)
    flags = _number(_U32, options.get(_FLAGS, bytes(4)), place)
    data = body[start : start + captured]
    return Packet(interface, high << 32 | low, data, length, flags)


def _read_statistics(body: bytes, place: int) -> Statistics:
    if len(body) < _STATISTICS_BODY.size:
        raise _malformed(place)
    interface, high, low = _STATISTICS_BODY.unpack_from(body)
    options = _options(body, _STATISTICS_BODY.size, place)
    return Statistics(
        interface,
        _read_time(options.get(_STARTED, bytes(8)), place),
        high << 32 | low,
        _number(_U64, options.get(_RECEIVED, bytes(8)), place),
        _number(_U64, options.get(_DROPPED, bytes(8)), place),
    )


_READERS: dict[int, Callable[[bytes, int], Block]] = {
    _SECTION: _read_section,
    _INTERFACE: _read_interface,
    _PACKET: _read_packet,
    _STATISTICS: _read_statistics,
}


def _options(body: bytes, start: int, place: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while start < len(body):
        if len(body) - start < 4:
            raise _malformed(place)
        code, length = _OPTION.unpack_from(body, start)
        if not code:
            break
        start += 4
        if length > len(body) - start:
            raise _malformed(place)
        found.setdefault(code, body[start : start + length])
        start += length + (-length & 3)
    return found


def _number(shape: Struct, value: bytes, place: int) -> int:
    if len(value) != shape.size:
        raise _malformed(place)
    number: int = shape.unpack(value)[0]
    return number


def _read_time(value: bytes, place: int) -> int:
    return _number(_U32, value[:4], place) << 32 | _number(_U32, value[4:], place)


def _string(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _malformed(place: int) -> Malformed:
    return Malformed(f"the block at byte {place} is no block of a pcapng file, or cut short")
