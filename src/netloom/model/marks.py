"""The mark of ownership, kept by the kernel in the object itself (IFLA_IFALIAS, at most 255 bytes).

`lo` of a namespace of ours bears `netloom:LAB/NAME`; every other link of ours `netloom:LAB to
NS:IF`, the interface that it leads to, or `netloom:LAB` where it leads nowhere; one that is
borrowed bears `netloom:LAB port of NET`. What bears no mark of a lab is not that lab's, whatever
its name. A port that a single command has on a lab's network bears `netloom-run:PID:START`, the
number of that process and when it began. A table of nftables bears `netloom:LAB` as its comment.
"""

import re
from binascii import crc32
from typing import Literal

from netloom.model.objects import End
from netloom.model.owner import PREFIX, lab_of

_PORT = " port of "
_RUN = "netloom-run:"
ALIAS_MAX = 255
"""IFALIASZ - 1 (linux/if.h)."""

HOST_PROTOCOL = 110
"""The protocol number of routes of labs in the namespace `host` (rtnetlink(7), rtm_protocol).

A help for who reads `ip route`, and no mark: it does not say which lab's.
"""


def lo_mark(lab: str, netns: str) -> str:
    """Return the alias of `lo` in the lab's namespace `netns`."""
    return f"{PREFIX}{lab}/{netns}"[:ALIAS_MAX]


def link_mark(lab: str, far: End | None = None) -> str:
    """Return the alias of a link of the lab, which leads to `far`."""
    return (f"{PREFIX}{lab} to {far}" if far else f"{PREFIX}{lab}")[:ALIAS_MAX]


def port_mark(lab: str, network: str) -> str:
    """Return the alias of an interface that a network of the lab has borrowed as a port."""
    return f"{PREFIX}{lab}{_PORT}{network}"[:ALIAS_MAX]


def is_port(alias: str) -> bool:
    """Whether a mark says that the interface is borrowed: it is never deleted, but given back."""
    return bool(lab_of(alias)) and _PORT in alias


def far_of(alias: str) -> End | None:
    """Return the interface that a marked link leads to, None where the mark names none."""
    netns, colon, link = alias.partition(" to ")[2].rpartition(":")
    return End(netns, link) if colon and lab_of(alias) else None


def run_mark(pid: int, start: int) -> str:
    """Return the alias of a port that a command has on a lab's network."""
    return f"{_RUN}{pid}:{start}"


def runner_of(alias: str) -> tuple[int, int] | None:
    """Return the number and the start of the process whose port it is, None if it is no such."""
    pid, _, start = alias.removeprefix(_RUN).partition(":")
    if not alias.startswith(_RUN) or not (pid.isdecimal() and start.isdecimal()):
        return None
    return int(pid), int(start)


RulesetKind = Literal["nft", "iptables", "ip6tables"]
IPTABLES: frozenset[str] = frozenset({"iptables", "ip6tables"})
"""Rulesets that are not a table of the lab's own, but all rules of a namespace of the lab."""

BY_HAND = frozenset({3, 4, HOST_PROTOCOL})
"""The protocols of routes that a person asked for (RTPROT_BOOT, RTPROT_STATIC, and ours).

Those of all others are made by the kernel, or by a daemon that looks after them itself.
"""

_NFT_WORD = r"[A-Za-z0-9_./-]{1,100}"


def ruleset_of(lab: str) -> str:
    """Return the name of a lab's table of firewall rules, `inet netloom-shop` (nft(8))."""
    word = lab if re.fullmatch(_NFT_WORD, lab) else f"{crc32(lab.encode()):08x}"
    return f"inet netloom-{word}"


def kind_of(ruleset: str) -> RulesetKind:
    """Return what a ruleset is written in, by its name."""
    if ruleset == "iptables":
        return "iptables"
    return "ip6tables" if ruleset == "ip6tables" else "nft"


def nft_text(ruleset: str, body: str) -> str:
    """Return what `nft -f` puts a table of a lab in place by, at once and as a whole (nft(8))."""
    mark = PREFIX + ruleset.partition("netloom-")[2]
    return (
        f"table {ruleset} {{}}\ndelete table {ruleset}\n"
        f'table {ruleset} {{\ncomment "{mark}"\n{body}\n}}\n'
    )
