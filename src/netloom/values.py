"""Scalars that cannot be wrong: each function returns a text's canonical form, or refuses.

Values stay plain text (`10.0.0.1`, `10.0.0.0/24`, `02:00:00:00:00:01`): hashable, printable, JSON
as they are, and as fast to compare as the kernel's bytes. What has passed here is never checked
again.

Every refusal is a `ValueError` whose text is a clause without a capital or full stop, fit to follow
a position: `` `10.0.0.300` is no IP address ``.
"""

import re

# The C half of `socket`: the other makes enums of all its constants, 3 ms of every start. It is
# private, so it is imported here and in `kernel/netlink.py` alone.
from _socket import AF_INET, AF_INET6
from _socket import inet_ntop as inet_ntop  # noqa: PLC0414 - for others
from _socket import inet_pton as inet_pton  # noqa: PLC0414
from functools import lru_cache
from typing import Literal

try:  # hashlib's own, without OpenSSL: 3 ms of every start
    from _blake2 import blake2b as blake2b  # noqa: PLC0414 - for others
except ImportError:
    from hashlib import blake2b as blake2b  # noqa: PLC0414

Family = Literal[4, 6]

IFNAMSIZ = 16
"""Size of an interface name in the kernel, the closing NUL included (linux/if.h)."""

NAME_MAX = 255
"""Longest file name, hence longest name of a namespace in /run/netns (limits.h)."""

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_NAME = re.compile(r"\w[\w.-]*")
_SIZE = re.compile(r"\d{1,9}")

RESERVED = frozenset(
    {"host", "internet", "all", "none", "docker", "podman", "lxc", "libvirt", "unit", "pid"}
)
"""Words of the topology language that no namespace and no network may bear as its name."""

NO_LABS = frozenset({"all", "host"})
"""Words of the command line that no lab may bear as its name."""


def name(text: str) -> str:
    """Return `text` as the name of a namespace, network or lab; raises `ValueError`."""
    if not _NAME.fullmatch(text):
        msg = f"`{text}` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first"
        raise ValueError(msg)
    if len(text.encode()) > NAME_MAX:
        msg = f"`{text[:20]}…` is longer than {NAME_MAX} bytes"
        raise ValueError(msg)
    return text


def if_name(text: str) -> str:
    """Return `text` as an interface name (dev_valid_name); raises `ValueError`."""
    if len(text.encode()) >= IFNAMSIZ:
        msg = f"`{text}` is longer than {IFNAMSIZ - 1} bytes, the limit for an interface name"
        raise ValueError(msg)
    if text in {"", ".", ".."} or any(c in "/:" or c.isspace() or c < " " for c in text):
        msg = (
            f"`{text}` is no interface name: no `/`, `:`, space or control character, and not empty"
        )
        raise ValueError(msg)
    if "%" in text:
        msg = f"`{text}` is no interface name: the kernel puts a number of its own in place of `%d`"
        raise ValueError(msg)
    if not is_if_text(text):
        msg = f"`{text}` is no interface name: the kernel takes a byte of its letters for a blank"
        raise ValueError(msg)
    return text


def is_if_text(text: str) -> bool:
    """Whether no byte of a text is a blank to the kernel, which reads Latin-1 (lib/ctype.c)."""
    return not {0x20, 0xA0}.intersection(text.encode(errors="surrogateescape"))


def mac(text: str) -> str:
    """Return `text` as a unicast Ethernet address in lower case; raises `ValueError`."""
    if not _MAC.fullmatch(text):
        msg = f"`{text}` is no MAC address, such as `52:54:00:12:34:56`"
        raise ValueError(msg)
    if int(text[:2], 16) & 1:
        msg = f"`{text}` is a multicast address: the first byte of a MAC address must be even"
        raise ValueError(msg)
    if text == "00:00:00:00:00:00":
        msg = f"`{text}` is no address of a station"
        raise ValueError(msg)
    return text.lower()


def is_ip(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        return bool(ip(text))
    except ValueError:
        return False


def ip(text: str) -> str:
    """Return `text` as an IP address in canonical form (RFC 5952); raises `ValueError`."""
    try:
        return inet_ntop(*_packed(text))
    except OSError:
        msg = f"`{text}` is no IP address"
        raise ValueError(msg) from None


def _packed(text: str) -> tuple[int, bytes]:
    kind = AF_INET6 if ":" in text else AF_INET
    return kind, inet_pton(kind, text)


def ip_and_length(text: str) -> tuple[str, int]:
    """Return an address and its prefix length, from `10.0.0.1/24`; raises `ValueError`."""
    address, slash, length = text.partition("/")
    canonical = ip(address)
    if not slash:
        msg = f"`{text}` has no prefix length: write `{text}/{64 if ':' in text else 24}`"
        raise ValueError(msg)
    if not length.isdecimal() or int(length) > width(canonical):
        msg = f"`/{length}` is no prefix length of an IPv{family(canonical)} address"
        raise ValueError(msg)
    return canonical, int(length)


def prefix(text: str) -> str:
    """Return `text` as a network prefix in canonical form; raises `ValueError`."""
    address, length = ip_and_length(text)
    network = network_of(address, length)
    if network != f"{address}/{length}":
        msg = f"`{text}` has bits set beyond its length: write `{network}`"
        raise ValueError(msg)
    return network


def family(text: str) -> Family:
    """Return 4 or 6, the family of an address or prefix that is already canonical."""
    return 6 if ":" in text else 4


def width(text: str) -> int:
    """Return how many bits an address of the family of `text` has: 32 or 128."""
    return 128 if ":" in text else 32


def length_of(prefix_text: str) -> int:
    """Return the length of a canonical prefix."""
    return int(prefix_text.partition("/")[2])


@lru_cache(maxsize=4096)
def network_of(address: str, length: int) -> str:
    """Return the canonical prefix that `address/length` lies in."""
    beyond = width(address) - length
    return f"{from_int(to_int(address) >> beyond << beyond, address)}/{length}"


@lru_cache(maxsize=4096)
def bounds(prefix_text: str) -> tuple[int, int]:
    """Return the first and the last address of a canonical prefix as integers."""
    address, _, length = prefix_text.partition("/")
    first = to_int(address)
    return first, first + (1 << (width(address) - int(length))) - 1


def contains(prefix_text: str, address: str) -> bool:
    """Whether a canonical address lies in a canonical prefix of its family."""
    if family(prefix_text) != family(address):
        return False
    first, last = bounds(prefix_text)
    return first <= to_int(address) <= last


def overlap(one: str, other: str) -> bool:
    """Whether two canonical prefixes share an address."""
    if family(one) != family(other):
        return False
    a, b = bounds(one), bounds(other)
    return a[0] <= b[1] and b[0] <= a[1]


def link_local(mac_text: str) -> str:
    """Return the IPv6 link-local address that a MAC address makes (RFC 4291, appendix A)."""
    raw = bytes.fromhex(mac_text.replace(":", ""))
    interface = bytes((raw[0] ^ 2,)) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return inet_ntop(AF_INET6, b"\xfe\x80" + bytes(6) + interface)


def to_int(address: str) -> int:
    """Return a canonical address as an integer."""
    return int.from_bytes(_packed(address)[1], "big")


def from_int(number: int, like: str) -> str:
    """Return the address with this integer value, in the family of `like`."""
    if family(like) == 4:
        return inet_ntop(AF_INET, number.to_bytes(4, "big"))
    return inet_ntop(AF_INET6, number.to_bytes(16, "big"))


def mtu(text: str) -> int:
    """Return an MTU in bytes, 68 (RFC 791) to 65535 (veth's limit); raises `ValueError`."""
    if not _SIZE.fullmatch(text):
        msg = f"`{text}` is no MTU: a number of bytes, such as `1400`"
        raise ValueError(msg)
    number = int(text)
    if not 68 <= number <= 65535:
        msg = f"an MTU is 68 to 65535 bytes, not {text}"
        raise ValueError(msg)
    return number
