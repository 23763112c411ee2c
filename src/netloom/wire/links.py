"""Links: RTM_NEWLINK and its kin (`ip link`).

A link is born whole: name, index, MAC, MTU, master and, for a veth, the same of its far end and the
namespace that this lies in, in one message. Only what the kernel does not take at birth follows in
`link_set`: the alias (IFLA_IFALIAS is ignored in a creating message, rtnl_create_link) and the mode
of IPv6 address generation.
"""

from struct import Struct

import msgspec

from netloom.model.objects import WORDS, Kind, Link
from netloom.wire.attributes import nested, raw, text, u8, u32
from netloom.wire.constants import (
    AF_INET6,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_AF_SPEC,
    IFLA_ALT_IFNAME,
    IFLA_EXT_MASK,
    IFLA_GROUP,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INET6_ADDR_GEN_MODE,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    IFLA_NUM_RX_QUEUES,
    IFLA_NUM_TX_QUEUES,
    IFLA_PROP_LIST,
    IN6_ADDR_GEN_MODE_EUI64,
    IN6_ADDR_GEN_MODE_NONE,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    RTEXT_FILTER_SKIP_STATS,
    RTM_DELLINK,
    RTM_DELLINKPROP,
    RTM_GETLINK,
    RTM_NEWLINK,
    RTM_NEWLINKPROP,
)
from netloom.wire.kinds import VETH_INFO_PEER, info_data
from netloom.wire.message import Message

_IFINFOMSG = Struct("=BxHiII")
_header = _IFINFOMSG.pack
_MAC = Struct("=HH6s2x")

_WORDS = {word: text(IFLA_INFO_KIND, word) for word in WORDS}
_LEAST_MTU = 68  # ETH_MIN_MTU
_EXT_MASK = u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)


class VethPeer(msgspec.Struct, frozen=True, gc=False):
    """The far end of a veth: name, what it shall be, index, and a descriptor of its namespace.

    An index of 0 lets the kernel choose, a descriptor of -1 means the near end's own namespace. The
    kernel looks at the index only if the near end's is chosen as well (veth_newlink).
    """

    name: str
    link: Link
    index: int = 0
    netns_fd: int = -1


def _identity(name: str, link: Link) -> bytes:
    parts = text(IFLA_IFNAME, name) + u32(IFLA_MTU, link.mtu)
    return parts + _mac(link.mac) if link.mac else parts


def _mac(mac: str) -> bytes:
    return _MAC.pack(10, IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))


def _peer(peer: VethPeer) -> bytes:
    body = _header(0, 0, peer.index, 0, 0) + _identity(peer.name, peer.link) + _ONE_QUEUE
    if peer.netns_fd >= 0:
        body += u32(IFLA_NET_NS_FD, peer.netns_fd)
    return nested(VETH_INFO_PEER, body)


def link_add(  # noqa: PLR0913 - the facts that a link is born with
    name: str,
    link: Link,
    *,
    index: int = 0,
    master: int = 0,
    netns_fd: int = -1,
    peer: VethPeer | None = None,
    group: int = 0,
    up: bool = False,
) -> Message:
    """Make a link; a veth with its far end `peer`, which is always born down.

    `index` 0 lets the kernel choose; `netns_fd` -1 means the namespace of the socket. The kernel
    refuses a peer with IFF_UP (ENOTCONN, and 16 ms to take all down again): veth_newlink opens it
    before the ends know each other.
    """
    flags = IFF_UP if up else 0
    parts = [_header(0, 0, index, flags, flags), _identity(name, link)]
    if master:
        parts.append(u32(IFLA_MASTER, master))
    if group:
        parts.append(u32(IFLA_GROUP, group))
    if netns_fd >= 0:
        parts.append(u32(IFLA_NET_NS_FD, netns_fd))
    parts.append(_kind(name, link, index, peer))
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, b"".join(parts))


def kind_add(name: str, kind: str, netns_fd: int = -1) -> Message:
    """Make a link of a kind of which no more is said, in the namespace of a descriptor."""
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, kind))
    body = text(IFLA_IFNAME, name) + _ONE_QUEUE + info
    if netns_fd >= 0:
        body += u32(IFLA_NET_NS_FD, netns_fd)
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, _header(0, 0, 0, 0, 0) + body)


def _kind(name: str, link: Link, index: int, peer: VethPeer | None) -> bytes:
    if link.peer is None:
        return _linkinfo(link.kind, info_data(link.kind))
    if peer is None:
        raise ValueError(f"a wire has two ends: `{name}` cannot be made without the other")
    if peer.index and not index:
        raise ValueError(f"the index of `{peer.name}` would be ignored: `{name}` has none")
    return _ONE_QUEUE + _linkinfo(link.kind, _peer(peer))


def _linkinfo(kind: Kind, data: bytes) -> bytes:
    if kind.word is None:
        raise ValueError(f"no lab makes {kind}")
    return nested(IFLA_LINKINFO, _WORDS[kind.word], nested(IFLA_INFO_DATA, data))


def link_del(index: int = 0, name: str = "") -> Message:
    """Delete a link, and with a veth its other end."""
    return Message(RTM_DELLINK, 0, _which(index, name))


def link_del_group(group: int) -> Message:
    """Delete all links of a group at once."""
    return Message(RTM_DELLINK, 0, _header(0, 0, 0, 0, 0) + u32(IFLA_GROUP, group))


def bridge_mtu(index: int, mtu: int, *, name: str = "") -> tuple[Message, Message]:
    """Set the MTU of a bridge for good; else it becomes the least of its ports'.

    `name` tells which where the index is 0.

    The kernel ceases to adjust it once it was set (br_change_mtu). Neither a creating message nor a
    change to the value that it has (netif_set_mtu) counts as that: so it is set twice.
    """
    other = mtu - 1 if mtu > _LEAST_MTU else mtu + 1
    return link_set(index, name, mtu=other)[0], link_set(index, name, mtu=mtu)[0]


def _which(index: int, name: str, flags: int = 0, change: int = 0) -> bytes:
    # With an index, a name would be a wish to rename.
    if index:
        return _header(0, 0, index, flags, change)
    return _header(0, 0, 0, flags, change) + text(IFLA_IFNAME, name)


def link_set(  # noqa: PLR0913 - the facts that can be changed in place
    index: int = 0,
    name: str = "",
    *,
    up: bool | None = None,
    mtu: int | None = None,
    mac: str | None = None,
    master: int | None = None,
    alias: str | None = None,
    ipv6_ll: bool | None = None,
    kind: Kind | None = None,
) -> tuple[Message, ...]:
    """Change a link in place; None leaves a fact as it is, a master of 0 takes it off its bridge.

    These are two messages where it is set up and its IPv6 mode changes, since the kernel looks at
    IFF_UP before it looks at IFLA_AF_SPEC (do_setlink) and may give the link an address in between.
    The mode decides when the link comes up: changed later, it neither gives nor takes an address.
    """
    facts: list[bytes] = []
    if mtu is not None:
        facts.append(u32(IFLA_MTU, mtu))
    if mac is not None:
        facts.append(_mac(mac))
    if alias is not None:
        facts.append(raw(IFLA_IFALIAS, alias.encode("utf-8", "surrogateescape")))
    if master is not None:
        facts.append(u32(IFLA_MASTER, master))
    if ipv6_ll is not None:
        facts.append(_WITH_LL if ipv6_ll else _WITHOUT_LL)
    if kind is not None:
        facts.append(_linkinfo(kind, info_data(kind)))
    if up and ipv6_ll is not None:
        first = Message(RTM_NEWLINK, 0, _which(index, name) + b"".join(facts))
        return first, Message(RTM_NEWLINK, 0, _which(index, name, IFF_UP, IFF_UP))
    change = 0 if up is None else IFF_UP
    head = _which(index, name, IFF_UP if up else 0, change)
    return (Message(RTM_NEWLINK, 0, head + b"".join(facts)),)


def _gen_mode(mode: int) -> bytes:
    return nested(IFLA_AF_SPEC, nested(AF_INET6, u8(IFLA_INET6_ADDR_GEN_MODE, mode)))


_ONE_QUEUE = u32(IFLA_NUM_TX_QUEUES, 1) + u32(IFLA_NUM_RX_QUEUES, 1)
"""A veth uses one queue of each kind in any case (veth_init_queues). Unasked, the kernel makes as
many as there are processors, and waits for RCU, twice a wire, to take the others away."""

_WITH_LL = _gen_mode(IN6_ADDR_GEN_MODE_EUI64)
_WITHOUT_LL = _gen_mode(IN6_ADDR_GEN_MODE_NONE)


def altname_add(index: int, altname: str) -> Message:
    """Give a link another name."""
    flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND
    return Message(RTM_NEWLINKPROP, flags, _altname(index, altname))


def altname_del(index: int, altname: str) -> Message:
    """Take such a name away."""
    return Message(RTM_DELLINKPROP, 0, _altname(index, altname))


def _altname(index: int, altname: str) -> bytes:
    return _header(0, 0, index, 0, 0) + nested(IFLA_PROP_LIST, text(IFLA_ALT_IFNAME, altname))


def dump_links() -> Message:
    """Ask for all links, without their statistics."""
    return Message(RTM_GETLINK, NLM_F_DUMP, _header(0, 0, 0, 0, 0) + _EXT_MASK)


def get_link(name: str = "", *, index: int = 0) -> Message:
    """Ask for one link."""
    return Message(RTM_GETLINK, 0, _which(index, name) + _EXT_MASK)


def link_group(index: int, group: int) -> Message:
    """Put a link into a group."""
    return Message(RTM_NEWLINK, 0, _which(index, "") + u32(IFLA_GROUP, group))
