"""Namespace ids: small numbers by which one namespace speaks of another (`ip netns list-id`)."""

from netloom.wire.attributes import Malformed, number, offsets, u32
from netloom.wire.constants import NETNSA_FD, NETNSA_NSID, RTM_GETNSID
from netloom.wire.message import Message

_RTGENMSG = b"\0\0\0\0"  # struct rtgenmsg, padded: AF_UNSPEC
_NONE = 0xFFFF_FFFF  # NETNSA_NSID_NOT_ASSIGNED, -1


def nsid_get(fd: int) -> Message:
    """Ask which id the namespace of the socket has for the one that `fd` is open on."""
    return Message(RTM_GETNSID, 0, _RTGENMSG + u32(NETNSA_FD, fd))


def read_nsid(payload: bytes) -> int | None:
    """Return the id in an answer, None where there is none yet; raises `Malformed`."""
    at = offsets(payload, 4, len(payload))
    if NETNSA_NSID not in at:
        msg = "no namespace id in the answer"
        raise Malformed(msg)
    nsid = number(payload, at, NETNSA_NSID)
    return None if nsid == _NONE else nsid
