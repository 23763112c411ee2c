"""What is particular to a kind of link: IFLA_INFO_DATA (linux/if_link.h), both ways."""

from typing import assert_never

from netloom.model.objects import (
    UNKNOWN,
    Borrowed,
    Bridge,
    Kind,
    Loopback,
    Other,
    Veth,
    is_word,
)
from netloom.wire.attributes import number, u8, u32, within
from netloom.wire.constants import IFLA_INFO_DATA

VETH_INFO_PEER = 1  # linux/veth.h
IFLA_BR_STP_STATE = 5
IFLA_BR_MCAST_SNOOPING = 23

_NO_SNOOPING = u8(IFLA_BR_MCAST_SNOOPING, 0)
_WIRE = Veth(UNKNOWN)


def info_data(kind: Kind) -> bytes:
    """Return what makes a link of a kind such as it is; a wire's far end is not among it."""
    match kind:
        case Bridge():
            return u32(IFLA_BR_STP_STATE, kind.stp) + _NO_SNOOPING
        case Veth() | Loopback() | Borrowed() | Other():
            return b""
        case _:
            assert_never(kind)


def read_info(word: str, data: bytes, info: dict[int, int]) -> Kind:
    """Return the kind that IFLA_LINKINFO tells of; `info` are the places of its attributes."""
    if not is_word(word):
        return Other(word)
    match word:
        case "veth":
            return _WIRE
        case "bridge":
            at = within(data, info, IFLA_INFO_DATA)
            return Bridge(stp=number(data, at, IFLA_BR_STP_STATE) != 0)
        case _:
            assert_never(word)
