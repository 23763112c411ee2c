"""Policy routing rules: RTM_NEWRULE and its kin (`ip rule`)."""

from collections.abc import Iterable
from struct import Struct

from netloom.model.objects import Rule
from netloom.values import inet_pton
from netloom.wire.attributes import (
    Malformed,
    address,
    byte,
    content,
    number,
    offsets,
    raw,
    string,
    text,
    u8,
    u32,
)
from netloom.wire.constants import (
    AF_INET,
    AF_INET6,
    FIB_RULE_INVERT,
    FR_ACT_TO_TBL,
    FRA_DPORT_MASK,
    FRA_DPORT_RANGE,
    FRA_DSCP,
    FRA_DST,
    FRA_FLOWLABEL,
    FRA_FWMARK,
    FRA_FWMASK,
    FRA_GOTO,
    FRA_IIFNAME,
    FRA_IP_PROTO,
    FRA_L3MDEV,
    FRA_OIFNAME,
    FRA_PRIORITY,
    FRA_PROTOCOL,
    FRA_SPORT_MASK,
    FRA_SPORT_RANGE,
    FRA_SRC,
    FRA_SUPPRESS_IFGROUP,
    FRA_SUPPRESS_PREFIXLEN,
    FRA_TABLE,
    FRA_TUN_ID,
    FRA_UID_RANGE,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    RTM_DELRULE,
    RTM_GETRULE,
    RTM_NEWRULE,
    RTPROT_KERNEL,
)
from netloom.wire.message import Message

_FAMILIES = frozenset({AF_INET, AF_INET6})
_FIB_RULE_HDR = Struct("=BBBBBxxBI")
_PORTS = Struct("=HH")
_UIDS = Struct("=II")

_ACTIONS = {
    "lookup": FR_ACT_TO_TBL,
    "goto": 2,
    "nop": 3,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
}
_ACTION_NAMES = {number: name for name, number in _ACTIONS.items()}
_BASE = {(0, 255), (32766, 254), (32767, 253)}
_NONE = 0xFFFF_FFFF
_FURTHER = frozenset({FRA_TUN_ID, FRA_DSCP, FRA_FLOWLABEL})
_WHOLE_PORT = b"\xff\xff"  # what the kernel says of a single port (Linux 6.15)


def rule_add(rule: Rule) -> Message:
    """Add a rule."""
    return Message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, _body(rule))


def rule_del(rule: Rule) -> Message:
    """Delete a rule; the kernel compares all that is said here."""
    return Message(RTM_DELRULE, 0, _body(rule))


def dump_rules() -> Message:
    """Ask for all rules of both families."""
    return Message(RTM_GETRULE, NLM_F_DUMP, bytes(_FIB_RULE_HDR.size))


def _body(rule: Rule) -> bytes:
    family = AF_INET6 if rule.family == 6 else AF_INET
    parts = [u32(FRA_PRIORITY, rule.priority)]
    if rule.protocol:
        parts.append(u8(FRA_PROTOCOL, rule.protocol))
    dst_len = _prefix(parts, FRA_DST, family, rule.dst)
    src_len = _prefix(parts, FRA_SRC, family, rule.src)
    _selectors(parts, rule)
    if rule.table:
        parts.append(u32(FRA_TABLE, rule.table))
    if rule.suppress_prefixlength >= 0:
        parts.append(u32(FRA_SUPPRESS_PREFIXLEN, rule.suppress_prefixlength))
    if rule.suppress_ifgroup >= 0:
        parts.append(u32(FRA_SUPPRESS_IFGROUP, rule.suppress_ifgroup))
    if rule.goto:
        parts.append(u32(FRA_GOTO, rule.goto))
    if rule.l3mdev:
        parts.append(u8(FRA_L3MDEV, 1))
    table = rule.table if rule.table < 256 else 0
    flags = FIB_RULE_INVERT if rule.invert else 0
    action = _ACTIONS[rule.action]
    parts.insert(0, _FIB_RULE_HDR.pack(family, dst_len, src_len, rule.tos, table, action, flags))
    return b"".join(parts)


def _prefix(parts: list[bytes], kind: int, family: int, prefix: str) -> int:
    if not prefix:
        return 0
    address, _, length = prefix.partition("/")
    parts.append(raw(kind, inet_pton(family, address)))
    return int(length)


def _selectors(parts: list[bytes], rule: Rule) -> None:
    if rule.iif:
        parts.append(text(FRA_IIFNAME, rule.iif))
    if rule.oif:
        parts.append(text(FRA_OIFNAME, rule.oif))
    if rule.fwmark or rule.fwmask:
        parts.append(u32(FRA_FWMARK, rule.fwmark))
    if rule.fwmask:
        parts.append(u32(FRA_FWMASK, rule.fwmask))
    if rule.ipproto:
        parts.append(u8(FRA_IP_PROTO, rule.ipproto))
    if rule.sport != (0, 0):
        parts.append(raw(FRA_SPORT_RANGE, _PORTS.pack(*rule.sport)))
    if rule.dport != (0, 0):
        parts.append(raw(FRA_DPORT_RANGE, _PORTS.pack(*rule.dport)))
    if rule.uidrange is not None:
        parts.append(raw(FRA_UID_RANGE, _UIDS.pack(*rule.uidrange)))


def read_rules(payloads: Iterable[bytes], *, base: bool = False) -> list[Rule]:
    """Return the rules in answers, those of a newborn namespace only if `base`.

    Raises `Malformed`.
    """
    found: list[Rule] = []
    for data in payloads:
        if len(data) < 12:
            msg = "a rule of less than 12 bytes"
            raise Malformed(msg)
        # The same dump tells of multicast rules, as families 128 and 129 (RTNL_FAMILY_IPMR, IP6MR).
        if data[0] in _FAMILIES:
            at = offsets(data, 12, len(data))
            if base or not _is_base(data, at):
                found.append(_read(data, at))
    return found


def _is_base(data: bytes, at: dict[int, int]) -> bool:
    if FRA_PROTOCOL in at:
        return byte(data, at, FRA_PROTOCOL) == RTPROT_KERNEL
    table = number(data, at, FRA_TABLE, data[4])
    return (number(data, at, FRA_PRIORITY), table) in _BASE


def _read(data: bytes, at: dict[int, int]) -> Rule:
    family, dst_len, src_len, tos, table, action, flags = _FIB_RULE_HDR.unpack_from(data)
    return Rule(
        family=6 if family == AF_INET6 else 4,
        priority=number(data, at, FRA_PRIORITY),
        action=_ACTION_NAMES.get(action) or str(action),
        table=number(data, at, FRA_TABLE, table) if action == FR_ACT_TO_TBL else 0,
        src=_network(data, at, FRA_SRC, (family, src_len)),
        dst=_network(data, at, FRA_DST, (family, dst_len)),
        iif=string(data, at, FRA_IIFNAME),
        oif=string(data, at, FRA_OIFNAME),
        fwmark=number(data, at, FRA_FWMARK),
        fwmask=number(data, at, FRA_FWMASK),
        tos=tos,
        ipproto=byte(data, at, FRA_IP_PROTO),
        sport=_range(data, at, FRA_SPORT_RANGE, _PORTS) or (0, 0),
        dport=_range(data, at, FRA_DPORT_RANGE, _PORTS) or (0, 0),
        uidrange=_range(data, at, FRA_UID_RANGE, _UIDS),
        invert=flags & FIB_RULE_INVERT != 0,
        suppress_prefixlength=_or_none(number(data, at, FRA_SUPPRESS_PREFIXLEN, _NONE)),
        protocol=byte(data, at, FRA_PROTOCOL),
        goto=number(data, at, FRA_GOTO),
        suppress_ifgroup=_or_none(number(data, at, FRA_SUPPRESS_IFGROUP, _NONE)),
        l3mdev=byte(data, at, FRA_L3MDEV) != 0,
        further=_selects_further(data, at),
    )


def _selects_further(data: bytes, at: dict[int, int]) -> bool:
    masks = (content(data, at, kind) for kind in (FRA_SPORT_MASK, FRA_DPORT_MASK) if kind in at)
    return not _FURTHER.isdisjoint(at) or any(mask != _WHOLE_PORT for mask in masks)


def _or_none(value: int) -> int:
    return -1 if value == _NONE else value


def _network(data: bytes, at: dict[int, int], kind: int, prefix: tuple[int, int]) -> str:
    family, length = prefix
    network = address(data, at, kind, family)
    return f"{network}/{length}" if network else ""


def _range(data: bytes, at: dict[int, int], kind: int, shape: Struct) -> tuple[int, int] | None:
    if kind not in at:
        return None
    value = content(data, at, kind)
    if len(value) < shape.size:
        msg = "a rule with a range that is none"
        raise Malformed(msg)
    low, high = shape.unpack_from(value)
    return low, high
