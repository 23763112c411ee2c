"""Settings of the IP stack that netlink tells too: RTM_GETNETCONF (`ip netconf`).

One message costs a tenth of opening the same file below /proc/sys, which the kernel has to make an
inode for in every namespace.
"""

from netloom.wire.attributes import Malformed, number, offsets, u32
from netloom.wire.constants import AF_INET, AF_INET6
from netloom.wire.message import Message

_RTM_GETNETCONF = 82
_NETCONFA_IFINDEX = 1
_NETCONFA_FORWARDING = 2
_ALL = 0xFFFF_FFFF  # NETCONFA_IFINDEX_ALL, -1

FORWARDING = {
    "net.ipv4.ip_forward": AF_INET,
    "net.ipv6.conf.all.forwarding": AF_INET6,
}
"""The sysctls that can be asked for, and the family that each belongs to."""


def netconf_get(family: int) -> Message:
    """Ask for the settings of `all` in a family."""
    header = bytes((family, 0, 0, 0))
    return Message(_RTM_GETNETCONF, 0, header + u32(_NETCONFA_IFINDEX, _ALL))


def read_forwarding(payload: bytes) -> str:
    """Return whether packets are forwarded, `0` or `1` as in the sysctl; raises `Malformed`."""
    at = offsets(payload, 4, len(payload))
    if _NETCONFA_FORWARDING not in at:
        msg = "no forwarding in the answer"
        raise Malformed(msg)
    return str(number(payload, at, _NETCONFA_FORWARDING))
