"""Links as the kernel tells of them: answers to `dump_links`, forty attributes each, ten of use."""

from collections.abc import Iterable
from struct import Struct

import msgspec

from netloom.model.objects import Kind
from netloom.wire.attributes import (
    Malformed,
    byte,
    content,
    each,
    end_of,
    number,
    offsets,
    string,
    string_at,
    within,
)
from netloom.wire.constants import (
    AF_INET6,
    DEVCONF_ADDR_GEN_MODE,
    IFF_LOWER_UP,
    IFF_NOARP,
    IFF_POINTOPOINT,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_AF_SPEC,
    IFLA_ALT_IFNAME,
    IFLA_GROUP,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INET6_ADDR_GEN_MODE,
    IFLA_INET6_CONF,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_PROP_LIST,
    IN6_ADDR_GEN_MODE_NONE,
)
from netloom.wire.kinds import read_info

_IFINFOMSG = Struct("=BxHiII")
_INT = Struct("=i")
_MODE = _INT.size * DEVCONF_ADDR_GEN_MODE
_NO_MAC = bytes(6)


class SeenLink(msgspec.Struct, frozen=True, gc=False):
    """A link that the kernel told of.

    `kind` is empty for a loopback or a hardware device, `mac` on a loopback; `info` is what the
    kernel tells of the kind, but for the far end of a veth, which is `UNKNOWN`: of that it tells,
    as of any link that this one hangs on, the index `link_index` (IFLA_LINK) in the namespace with
    the id `link_netnsid` (IFLA_LINK_NETNSID), or in the link's own where that is None. `ipv6_ll` is
    whether setting it up gives it an IPv6 link-local address, `asks_neighbours` whether there may
    be several at its other end (neither IFF_POINTOPOINT nor IFF_NOARP).
    """

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    master: int
    alias: str
    ipv6_ll: bool
    altnames: tuple[str, ...]
    link_index: int
    link_netnsid: int | None
    info: Kind
    group: int
    asks_neighbours: bool


def read_links(payloads: Iterable[bytes]) -> list[SeenLink]:
    """Return the links in the answers to `dump_links` or `get_link`; raises `Malformed`."""
    found: list[SeenLink] = []
    for data in payloads:
        if len(data) < 16:
            msg = "a link of less than 16 bytes"
            raise Malformed(msg)
        found.append(_read(data))
    return found


def _read(data: bytes) -> SeenLink:
    _, _, index, flags, _ = _IFINFOMSG.unpack_from(data)
    at = offsets(data, 16, len(data))
    info = within(data, at, IFLA_LINKINFO)
    kind = string(data, info, IFLA_INFO_KIND)
    mac = content(data, at, IFLA_ADDRESS)
    nsid = number(data, at, IFLA_LINK_NETNSID, -1)
    return SeenLink(
        index,
        string(data, at, IFLA_IFNAME),
        kind,
        "" if mac == _NO_MAC else mac.hex(":"),
        number(data, at, IFLA_MTU),
        flags & IFF_UP != 0,
        flags & IFF_LOWER_UP != 0,
        number(data, at, IFLA_MASTER),
        string(data, at, IFLA_IFALIAS),
        _generates(data, within(data, at, IFLA_AF_SPEC)),
        _altnames(data, at[IFLA_PROP_LIST]) if IFLA_PROP_LIST in at else (),
        number(data, at, IFLA_LINK),
        None if nsid == -1 else nsid,
        read_info(kind, data, info),
        number(data, at, IFLA_GROUP),
        not flags & (IFF_POINTOPOINT | IFF_NOARP),
    )


def _generates(data: bytes, families: dict[int, int]) -> bool:
    at = within(data, families, AF_INET6)
    if IFLA_INET6_ADDR_GEN_MODE in at:
        return byte(data, at, IFLA_INET6_ADDR_GEN_MODE) != IN6_ADDR_GEN_MODE_NONE
    # RTEXT_FILTER_SKIP_STATS leaves that attribute out too (inet6_fill_ifla6_attrs); the array of
    # the link's settings holds the same. Without either, the link has no IPv6.
    settings = content(data, at, IFLA_INET6_CONF)
    if len(settings) < _MODE + _INT.size:
        return False
    mode: int = _INT.unpack_from(settings, _MODE)[0]
    return mode != IN6_ADDR_GEN_MODE_NONE


def _altnames(data: bytes, place: int) -> tuple[str, ...]:
    names = each(data, place + 4, end_of(data, place))
    return tuple(string_at(data, name) for kind, name in names if kind == IFLA_ALT_IFNAME)
