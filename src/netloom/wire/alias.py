"""The alias of one link (IFLA_IFALIAS): on `lo` it says whose a namespace is.

It is asked for in namespaces of which nothing else is of interest, by commands that know no links.
"""

from struct import Struct

from netloom.wire.attributes import Malformed, offsets, string, text, u32
from netloom.wire.constants import (
    IFLA_EXT_MASK,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    RTEXT_FILTER_SKIP_STATS,
    RTM_GETLINK,
)
from netloom.wire.message import Message

_IFINFOMSG = Struct("=BxHiII")


def get_alias(name: str) -> Message:
    """Ask for the link of a name."""
    mask = u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    return Message(RTM_GETLINK, 0, _IFINFOMSG.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name) + mask)


def read_alias(payload: bytes) -> str:
    """Return the alias in the answer, empty where there is none; raises `Malformed`."""
    if len(payload) < _IFINFOMSG.size:
        msg = f"a link of less than {_IFINFOMSG.size} bytes"
        raise Malformed(msg)
    return string(payload, offsets(payload, _IFINFOMSG.size, len(payload)), IFLA_IFALIAS)
