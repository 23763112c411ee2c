"""Tracked connections: listed, and forgotten one by one (ctnetlink; nf_conntrack_netlink.c)."""

from typing import NamedTuple

from netloom.wire.attributes import address, content, offsets, raw, within
from netloom.wire.constants import AF_INET, AF_INET6, NLM_F_DUMP
from netloom.wire.message import Message

_GET = (
    1 << 8 | 1
)  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET (linux/netfilter/nfnetlink_conntrack.h)
_DELETE = 1 << 8 | 2  # IPCTNL_MSG_CT_DELETE
_CTA_TUPLE_ORIG = 1
_CTA_TUPLE_REPLY = 2
_CTA_ZONE = 18
_CTA_TUPLE_IP = 1
_NESTED = 0x8000
_IPS = {AF_INET: (1, 2), AF_INET6: (3, 4)}  # CTA_IP_V4_SRC, _DST, CTA_IP_V6_SRC, _DST


class Connection(NamedTuple):
    """A tracked connection: its addresses both ways, and the bytes by which it is named."""

    family: int
    addresses: frozenset[str]
    name: bytes


def dump_flows() -> Message:
    """Ask for all tracked connections of both families."""
    return Message(_GET, NLM_F_DUMP, b"\0\0\0\0")


def flow_del(flow: Connection) -> Message:
    """Forget a connection."""
    return Message(_DELETE, 0, bytes([flow.family, 0, 0, 0]) + flow.name)


def read_flow(data: bytes) -> Connection | None:
    """Return the connection in an answer to `dump_flows`, None for one of another family."""
    family = data[0] if data else 0
    kinds = _IPS.get(family)
    if kinds is None or len(data) < 4:
        return None
    at = offsets(data, 4, len(data))
    found = set()
    for tuple_ in (_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY):
        ips = _ips(data, at, tuple_)
        found |= {address(data, ips, kind, family) for kind in kinds}
    name = raw(_CTA_TUPLE_ORIG | _NESTED, content(data, at, _CTA_TUPLE_ORIG))
    if _CTA_ZONE in at:
        name += raw(_CTA_ZONE, content(data, at, _CTA_ZONE))
    return Connection(family, frozenset(found), name)


def _ips(data: bytes, at: dict[int, int], tuple_: int) -> dict[int, int]:
    return within(data, within(data, at, tuple_), _CTA_TUPLE_IP)
