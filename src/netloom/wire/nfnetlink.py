"""Messages of netfilter about tables of nftables (nf_tables_api.c), and the batch that they go in.

A change is a batch: all of it is done, or none (nfnetlink_rcv_batch).
"""

from struct import Struct
from typing import NamedTuple

from netloom.wire.attributes import Malformed, content, offsets, string, text
from netloom.wire.constants import NLM_F_DUMP
from netloom.wire.message import Message

_NFTABLES = 10  # NFNL_SUBSYS_NFTABLES (linux/netfilter/nfnetlink.h)
_BATCH_BEGIN = 0x10
_BATCH_END = 0x11
_GETTABLE = _NFTABLES << 8 | 1  # NFT_MSG_GETTABLE (linux/netfilter/nf_tables.h)
_DELTABLE = _NFTABLES << 8 | 2
_NFTA_TABLE_NAME = 1
_NFTA_TABLE_USERDATA = 6
_COMMENT = 0  # NFTNL_UDATA_TABLE_COMMENT (libnftnl/udata.h)
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}  # NFPROTO_*
_NUMBERS = {word: number for number, word in _FAMILIES.items()}
_HEAD = Struct("!BBH")  # struct nfgenmsg


class Table(NamedTuple):
    """A table of nftables: `inet`, `netloom-red`."""

    family: str
    name: str

    def __str__(self) -> str:
        """Return `inet netloom-red`."""
        return f"{self.family} {self.name}"


def dump_tables() -> Message:
    """Ask for the tables of all families."""
    return Message(_GETTABLE, NLM_F_DUMP, _HEAD.pack(0, 0, 0))


def read_table(data: bytes) -> tuple[Table, str]:
    """Return the table in an answer to `dump_tables`, and its comment; raises `Malformed`."""
    if len(data) < 4:
        msg = "a table without a family"
        raise Malformed(msg)
    at = offsets(data, 4, len(data))
    table = Table(_FAMILIES.get(data[0], str(data[0])), string(data, at, _NFTA_TABLE_NAME))
    return table, _comment(content(data, at, _NFTA_TABLE_USERDATA))


def _comment(data: bytes) -> str:
    """Return the comment among what userspace has the kernel keep: kind, length and value each."""
    while len(data) >= 2:
        kind, length = data[0], data[1]
        if kind == _COMMENT:
            return data[2 : 2 + length].rstrip(b"\0").decode("utf-8", "replace")
        data = data[2 + length :]
    return ""


def table_del(table: Table) -> Message:
    """Delete a table with all that is in it."""
    head = _HEAD.pack(_NUMBERS[table.family], 0, 0)
    return Message(_DELTABLE, 0, head + text(_NFTA_TABLE_NAME, table.name))


def batch(*messages: Message) -> tuple[Message, ...]:
    """Return changes as one that is done as a whole, or not at all."""
    head = _HEAD.pack(0, 0, _NFTABLES)
    return Message(_BATCH_BEGIN, 0, head), *messages, Message(_BATCH_END, 0, head)
