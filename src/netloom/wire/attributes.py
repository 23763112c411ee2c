"""Attributes, the part that every rtnetlink message is built of: length, kind, value, padding.

Writing (`u8`, `u32`, `raw`, `text`, `nested`): one function for each shape of value, each one
`pack`, so that a message is a concatenation. Reading (`offsets`, `within`, then `number`, `string`
and their kin): a list of attributes is walked once, to learn where each kind lies, and only what is
wanted is looked at. A link has more than forty attributes, and a reader wants ten of them.

Whatever the bytes are, reading them gives a value or `Malformed`, nothing else.
"""

from struct import Struct

from netloom.values import inet_ntop
from netloom.wire.constants import AF_INET, NLA_F_NESTED, NLA_TYPE_MASK

_HEADER = Struct("=HH")
_U8 = Struct("=HHB3x")
_U32 = Struct("=HHI")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")

_header = _HEADER.unpack_from
_u32 = _U32.unpack_from


class Malformed(ValueError):
    """Bytes that are no message of the kernel's."""


def u8(kind: int, value: int) -> bytes:
    """Return an attribute that holds one byte."""
    return _U8.pack(5, kind, value)


def u32(kind: int, value: int) -> bytes:
    """Return an attribute that holds a 32-bit number in the byte order of the machine."""
    return _U32.pack(8, kind, value)


def raw(kind: int, value: bytes) -> bytes:
    """Return an attribute that holds `value`, padded to four bytes."""
    size = len(value)
    return _HEADER.pack(size + 4, kind) + value + _PADDING[size & 3]


def text(kind: int, value: str) -> bytes:
    """Return an attribute that holds `value` and a closing NUL."""
    return raw(kind, value.encode("utf-8", "surrogateescape") + b"\0")


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    value = b"".join(attributes)
    return _HEADER.pack(len(value) + 4, kind | NLA_F_NESTED) + value


def offsets(data: bytes, start: int, end: int) -> dict[int, int]:
    """Return where each kind of attribute between `start` and `end` lies; raises `Malformed`."""
    at: dict[int, int] = {}
    last = end - 4
    while start <= last:
        length, kind = _header(data, start)
        if length < 4:
            raise _malformed(start)
        at[kind & NLA_TYPE_MASK] = start
        start += (length + 3) & -4
    if start > end:
        raise _malformed(end)
    return at


def each(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Return kind and place of each attribute in order; raises `Malformed`."""
    found: list[tuple[int, int]] = []
    while end - start >= 4:
        length, kind = _header(data, start)
        if not 4 <= length <= end - start:
            raise _malformed(start)
        found.append((kind & NLA_TYPE_MASK, start))
        start += (length + 3) & -4
    return found


def within(data: bytes, at: dict[int, int], kind: int) -> dict[int, int]:
    """Return the `offsets` of what is nested in the attribute `kind`, none where it is absent."""
    place = at.get(kind)
    return {} if place is None else offsets(data, place + 4, end_of(data, place))


def end_of(data: bytes, place: int) -> int:
    """Return where the attribute at `place` ends."""
    length: int = _header(data, place)[0]
    return place + length


def byte(data: bytes, at: dict[int, int], kind: int, absent: int = 0) -> int:
    """Return the byte that the attribute `kind` holds; raises `Malformed`."""
    place = at.get(kind)
    if place is None:
        return absent
    if _header(data, place)[0] < 5:
        raise _malformed(place)
    return data[place + 4]


def number(data: bytes, at: dict[int, int], kind: int, absent: int = 0) -> int:
    """Return the 32-bit number that the attribute `kind` holds; raises `Malformed`."""
    place = at.get(kind)
    if place is None:
        return absent
    if _header(data, place)[0] < 8:
        raise _malformed(place)
    value: int = _u32(data, place)[2]
    return value


def content(data: bytes, at: dict[int, int], kind: int) -> bytes:
    """Return the bytes that the attribute `kind` holds, none where it is absent."""
    place = at.get(kind)
    return b"" if place is None else data[place + 4 : place + _header(data, place)[0]]


def string(data: bytes, at: dict[int, int], kind: int) -> str:
    """Return the text that the attribute `kind` holds up to its NUL, empty where it is absent."""
    place = at.get(kind)
    return "" if place is None else string_at(data, place)


def string_at(data: bytes, place: int) -> str:
    """Return the text that the attribute at `place` holds, up to its NUL."""
    value = data[place + 4 : place + _header(data, place)[0]]
    return value.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def address(data: bytes, at: dict[int, int], kind: int, family: int) -> str:
    """Return the address that `kind` holds, empty where it is absent; raises `Malformed`."""
    place = at.get(kind)
    if place is None:
        return ""
    packed = data[place + 4 : place + _header(data, place)[0]]
    if len(packed) != (4 if family == AF_INET else 16):
        raise _malformed(place)
    return inet_ntop(family, packed)


def _malformed(place: int) -> Malformed:
    return Malformed(f"the attribute at byte {place} is cut short")
