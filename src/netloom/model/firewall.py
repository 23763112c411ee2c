"""What firewalls a host has, and the exceptions that a lab asks of them: the nouns.

An accept in a table of ours never overrides a drop in another (nft(8): every base chain of a hook
is traversed), so an exception stands in the chain that drops, put there through its owner's tool.

Rule 1: a `FirewallException` is an asked fact: whole, comparable, its own JSON. Where in its chain
it stands is none: that is decided when it is put there.
Rule 2: `FirewallState` keeps what is understood of a rule, and whether that is all of it.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import Struct, field

from netloom.values import Family

Hook = Literal["forward", "input", "output"]
Tool = Literal["iptables-nft", "iptables-legacy", "nft", "ufw", "firewall-cmd"]
Verdict = Literal["accept", "drop", "return", "jump", "goto", ""]
"""What a rule does with a packet; `drop` is a reject, too, and empty goes on to the next rule."""

_MARK = "netloom:"
_COMMENT_MAX = 127
"""NFTNL_UDATA_COMMENT_MAXLEN less its NUL (libnftnl/udata.h); iptables takes 255."""


def comment_of(lab: str) -> str:
    """Return the comment by which a rule is a lab's; two long names may not share one."""
    text = f"{_MARK}{lab}"
    if len(text.encode()) <= _COMMENT_MAX:
        return text
    number = int.from_bytes(lab.encode()) % ((1 << 61) - 1)
    return f"{text.encode()[: _COMMENT_MAX - 17].decode(errors='ignore')}~{number:016x}"


def is_ours(comment: str) -> bool:
    """Whether a rule bears the comment of some lab."""
    return comment.startswith(_MARK)


# ── what shall pass ───────────────────────────────────────────────────────────────────────


class Service(NamedTuple):
    """A service: `tcp` or `udp`, and the port."""

    proto: str
    number: int


class DnatTarget(NamedTuple):
    """A member's port that is reached from outside, as it is after DNAT."""

    ip: str
    proto: str
    port: int


DNS = (Service("udp", 53), Service("tcp", 53))


class BridgeNeed(Struct, frozen=True, tag="across"):
    """What crosses a bridge of the host, and meets its firewalls where br_netfilter is on.

    `addresses` are the lab's on a bridge that is somebody else's; empty on one of the lab's own.
    """

    lab: str
    bridge: str
    addresses: tuple[str, ...] = ()


class ForwardNeed(Struct, frozen=True, tag="through"):
    """What a network with an uplink lets pass on its host.

    `link` is the host's interface in the network, `uplink` the one that leads outside;
    `subnets` are canonical prefixes; `services` are the host's own that its members may use.
    """

    lab: str
    link: str
    uplink: str
    subnets: tuple[str, ...]
    published: tuple[DnatTarget, ...] = ()
    services: tuple[Service, ...] = DNS


class Traffic(Struct, frozen=True, order=True):
    """A kind of packets on a host; what is empty or 0 may be anything, family 0 is both.

    With `iif` and `oif` they are forwarded, else they come to the host or leave it. `established`
    narrows it to packets of flows that are known already (RELATED, ESTABLISHED).
    """

    family: Literal[0, 4, 6]
    iif: str = ""
    oif: str = ""
    src: str = ""
    dst: str = ""
    proto: str = ""
    port: int = 0
    established: bool = False

    @property
    def hook(self) -> Hook:
        """The hook of netfilter that they meet, by which interfaces they have."""
        if self.iif:
            return "forward" if self.oif else "input"
        return "output"


class FirewallException(Struct, frozen=True, order=True):
    """An exception in a chain that is somebody else's, which lets a flow pass.

    `table` is as its tool names it (`filter`, `inet filter`; empty for ufw and firewalld), `chain`
    firewalld's zone where the tool is `firewall-cmd`. `behind`: it is there, but what it lets pass
    is dropped before; nobody asks for one like that.
    """

    tool: Tool
    table: str
    chain: str
    flow: Traffic
    comment: str
    behind: bool = False

    @property
    def owner(self) -> str:
        """Whose chain it is, in a word for people."""
        if self.tool == "firewall-cmd":
            return "firewalld"
        if self.chain == "DOCKER-USER":
            return "docker"
        return f"nft table {self.table}" if self.tool == "nft" else self.tool

    @property
    def opens_all(self) -> bool:
        """Whether it opens all ports of the host to whom it lets out (firewalld's `trusted`)."""
        return (self.tool, self.chain) == ("firewall-cmd", "trusted")

    @property
    def dropped(self) -> str:
        """What its owner drops otherwise, in a few words: why it is there."""
        flow = self.flow
        if self.tool == "firewall-cmd":
            return f"what comes from {flow.iif}"
        way = f"{flow.iif or 'the host'} to {flow.oif or 'the host'}"
        kind = " ".join((flow.proto, str(flow.port or ""))).strip()
        return f"replies, {way}" if flow.established else f"{kind}, {way}" if kind else way


# ── what is there ─────────────────────────────────────────────────────────────────────────


class Match(Struct, frozen=True):
    """A condition of a rule: one of the values, or none of them where it is negated.

    `key` is iif, oif, src, dst, proto, dport, icmp (a type), state, status, dsttype or family.
    Names of interfaces may end in `*`, addresses are prefixes or ranges `first-last`, ports too.
    """

    key: str
    values: tuple[str, ...]
    negated: bool = False


class FirewallRule(Struct, frozen=True):
    """A rule as far as it is understood; `clear` where nothing of it is left out.

    `place` is what removes it: nft's handle, or the rule as iptables-save(8) writes it.
    """

    verdict: Verdict
    target: str = ""
    matches: tuple[Match, ...] = ()
    clear: bool = True
    comment: str = ""
    place: str = ""


class FirewallChain(Struct, frozen=True):
    """A chain; one that is called by the kernel has a `hook`, a priority and a policy."""

    rules: tuple[FirewallRule, ...] = ()
    hook: str = ""
    priority: int = 0
    policy: Verdict = "accept"


class FirewallTable(Struct, frozen=True):
    """A table, and the tool that changes it; family 0 sees both IPv4 and IPv6 (nft's `inet`).

    `owned`: only the process that made it may change it (nft(8), `flags owner`).
    """

    tool: Tool
    family: Literal[0, 4, 6]
    name: str
    chains: Mapping[str, FirewallChain] = field(default_factory=dict)
    owned: bool = False


class UfwRule(NamedTuple):
    """A rule that ufw keeps in its own files, which alone know its comment."""

    comment: str
    flow: Traffic


class FirewallState(Struct, frozen=True):
    """All tables of a host, and what firewalls say of themselves in files.

    `zones` are the names of firewalld's zones, `bound` the interfaces that its lasting
    configuration puts into one. `bridged` are the families that are seen when they cross a bridge,
    too (br_netfilter, `net.bridge.bridge-nf-call-iptables`).
    """

    tables: tuple[FirewallTable, ...] = ()
    ufw: tuple[UfwRule, ...] = ()
    zones: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    bridged: frozenset[Family] = frozenset()


def families(through: ForwardNeed) -> tuple[tuple[Family, str], ...]:
    """Return each subnet of a network with its family."""
    return tuple((6 if ":" in subnet else 4, subnet) for subnet in through.subnets)
