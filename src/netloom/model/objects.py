"""The nouns, in iproute2's words: netns, link, addr, route, rule.

Rule 1: only *asked* facts live here, the ones a person may ask for. What the kernel gives of itself
(index, carrier, learned entries) is in `lab_state.py`, in types of its own.
Rule 2: every field always has its concrete value. There is no "unset", so equality of two objects
is equality of what they mean, and `plan/diff.py` needs no wildcard.
Rule 3: everything is immutable text, numbers and tuples: an object is its own JSON.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, NamedTuple, TypeGuard, get_args

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.model.firewall import FirewallException
from netloom.model.ready import EXIT
from netloom.values import Family, family, network_of

HOST = "host"
"""The name, in a topology and in the model, of the namespace that netloom runs in."""

MAIN_TABLE = 254
"""RT_TABLE_MAIN (linux/rtnetlink.h)."""


class End(NamedTuple):
    """One interface, named from outside: `web:eth0`."""

    netns: str
    link: str

    def __str__(self) -> str:
        """Return `web:eth0`."""
        return f"{self.netns}:{self.link}"


Word = Literal["veth", "bridge"]
"""The kernel's word for a kind that a lab makes (IFLA_INFO_KIND)."""

WORDS: tuple[Word, ...] = get_args(Word)


def is_word(text: str) -> TypeGuard[Word]:
    """Whether a word of the kernel's is one of these."""
    return text in WORDS


UNKNOWN = End("", "")
"""The far end of a wire that leads to where nobody looks, or not to where it should."""


# What each kind tells of itself, so that nobody else need ask which it is:
# `word`, None for what a lab does not make; `peer`, the far end of a wire;
# `takes_ports`, whether links have it as their master; `in_place`, which of its own facts can be
# changed without making it anew; `why_kept`, why it cannot be deleted, None where it can.


class Loopback(Struct, frozen=True, tag="loopback"):
    """`lo`, which every namespace has from birth."""

    word: ClassVar[None] = None
    peer: ClassVar[None] = None
    takes_ports: ClassVar[bool] = False
    in_place: ClassVar[tuple[str, ...]] = ()
    why_kept: ClassVar[str | None] = "`lo` cannot be deleted"


class Veth(Struct, frozen=True, tag="veth"):
    """One end of a wire; both ends name each other (veth(4))."""

    word: ClassVar[Word] = "veth"
    takes_ports: ClassVar[bool] = False
    in_place: ClassVar[tuple[str, ...]] = ()
    why_kept: ClassVar[str | None] = None
    peer: End


class Bridge(Struct, frozen=True, tag="bridge"):
    """An Ethernet switch (ip-link(8), bridge type); it floods multicast, as a plain switch does."""

    word: ClassVar[Word] = "bridge"
    peer: ClassVar[None] = None
    takes_ports: ClassVar[bool] = True
    in_place: ClassVar[tuple[str, ...]] = ("stp",)
    why_kept: ClassVar[str | None] = None
    stp: bool = False


class Borrowed(Struct, frozen=True, tag="borrowed"):
    """An interface that is not the lab's, and a port of a bridge as long as the lab is there.

    `up` and `alias` are as it was found, and as it is given back. Of its other facts nothing is
    asked: a link of this kind has no MAC, an MTU of 0, and no addresses.
    """

    word: ClassVar[None] = None
    peer: ClassVar[None] = None
    takes_ports: ClassVar[bool] = False
    in_place: ClassVar[tuple[str, ...]] = ()
    why_kept: ClassVar[str | None] = "it is not the lab's"
    up: bool = True
    alias: str = ""


class Other(Struct, frozen=True, tag="other"):
    """A link of a kind that no lab asks for.

    `kind` is the kernel's word (IFLA_INFO_KIND), such as `vlan`, and empty for hardware.
    """

    word: ClassVar[None] = None
    peer: ClassVar[None] = None
    takes_ports: ClassVar[bool] = False
    in_place: ClassVar[tuple[str, ...]] = ()
    why_kept: ClassVar[str | None] = None
    kind: str = ""


Kind = Loopback | Veth | Bridge | Borrowed | Other


def can_become(have: Kind, want: Kind) -> bool:
    """Whether a link that is there can be changed into one of the kind `want`."""
    if type(have) is not type(want):
        return False
    set_later = {fact: getattr(want, fact) for fact in want.in_place}
    return have == want or replace(have, **set_later) == want


class Addr(Struct, frozen=True, order=True):
    """An address of a link (ip-address(8)); IPv6 ones are made without DAD (RFC 4862, 5.4)."""

    ip: str
    prefixlen: int
    secondary: bool = False
    """IPv4: whether an earlier address of the link lies in the same subnet (IFA_F_SECONDARY)."""
    peer: str = ""
    """The far end's, where somebody set one (`peer`); the subnet is that one's then."""

    def __str__(self) -> str:
        """Return `10.0.0.1/24`, or `10.0.0.1 peer 10.0.0.2/32`."""
        return f"{self.ip}{f' peer {self.peer}' if self.peer else ''}/{self.prefixlen}"

    @property
    def family(self) -> Family:
        """4 or 6."""
        return family(self.ip)

    @property
    def subnet(self) -> str:
        """The prefix that it lies in."""
        return network_of(self.peer or self.ip, self.prefixlen)


LOOPBACK = Addr("127.0.0.1", 8)


class Link(Struct, frozen=True):
    """A network device (ip-link(8)).

    `mtu` in bytes; `mac` empty on `lo`; `master` the name of the bridge it is a port of, or
    empty; `alias` the mark of its owner, and what it leads to; `ipv6_ll` whether the kernel
    gives it an IPv6 link-local address (IFLA_INET6_ADDR_GEN_MODE).
    """

    kind: Kind
    mac: str
    mtu: int
    up: bool = True
    master: str = ""
    alias: str = ""
    ipv6_ll: bool = False
    altnames: tuple[str, ...] = ()
    addrs: tuple[Addr, ...] = ()

    @property
    def peer(self) -> End | None:
        """The far end of a wire, None for a link of another kind."""
        return self.kind.peer

    @property
    def born_with(self) -> tuple[Addr, ...]:
        """The IPv4 addresses that it has by itself, which nobody asks for: those of `lo`."""
        return (LOOPBACK,) if isinstance(self.kind, Loopback) else ()

    @property
    def borrowed(self) -> Borrowed | None:
        """How a link was found that is borrowed, None for one that is the lab's."""
        return self.kind if isinstance(self.kind, Borrowed) else None


class Nexthop(Struct, frozen=True, order=True):
    """One way of a route: through the gateway `via` (empty: directly), out of the link `dev`."""

    dev: str
    via: str = ""
    weight: int = 1
    onlink: bool = False


RouteKey = tuple[str, int, int, int]
"""What the kernel tells two routes apart by: destination, table, metric, TOS."""


class Route(Struct, frozen=True):
    """A route (ip-route(8)). `dst` is a prefix, `0.0.0.0/0` for the IPv4 default.

    `metric` is 0 for IPv4 and 1024 for IPv6 where none is asked, as in the kernel; `mtu` and
    `advmss` in bytes, 0 for none; `protocol` is RTPROT_STATIC, and on a host `marks.HOST_PROTOCOL`:
    a help for who reads, since what programs set is mostly RTPROT_BOOT, as with iproute2.
    `nexthop_id` is the object that the ways come from (ip-nexthop(8)), 0 for none: no lab asks for
    one, and a route by it is deleted by nothing else.
    """

    dst: str
    nexthops: tuple[Nexthop, ...] = ()
    type: str = "unicast"
    table: int = MAIN_TABLE
    metric: int = 0
    tos: int = 0
    src: str = ""
    scope: int = 0
    mtu: int = 0
    advmss: int = 0
    protocol: int = 4
    nexthop_id: int = 0

    @property
    def family(self) -> Family:
        """4 or 6."""
        return 6 if ":" in self.dst else 4

    @property
    def key(self) -> RouteKey:
        """Destination, table, metric, TOS."""
        return self.dst, self.table, self.metric, self.tos


class Rule(Struct, frozen=True):
    """A routing policy rule (ip-rule(8)); a lower `priority` is looked at first.

    Empty text and 0 mean "any". `action` is `lookup` (with `table`), `blackhole`, `unreachable` or
    `prohibit`; of those that no lab asks for also `nop`, `goto` (with the priority that it goes on
    at), and `lookup` with `l3mdev`: the table of the VRF that a packet's interface is in. Ports and
    uids are inclusive ranges; `suppress_prefixlength` and `suppress_ifgroup` are -1 for none.
    `further`: whether it selects by something that has no field here (a tunnel's id, DSCP).
    """

    family: Family
    priority: int
    action: str = "lookup"
    table: int = 0
    src: str = ""
    dst: str = ""
    iif: str = ""
    oif: str = ""
    fwmark: int = 0
    fwmask: int = 0
    tos: int = 0
    ipproto: int = 0
    sport: tuple[int, int] = (0, 0)
    dport: tuple[int, int] = (0, 0)
    uidrange: tuple[int, int] | None = None
    invert: bool = False
    suppress_prefixlength: int = -1
    protocol: int = 4
    goto: int = 0
    suppress_ifgroup: int = -1
    l3mdev: bool = False
    further: bool = False


class Command(Struct, frozen=True):
    """A command of the lab, in one of its namespaces: it runs as long as that, or does its work.

    `env` is added to the environment; `user` empty is who runs netloom; `cwd` an absolute folder;
    `ready` what it is ready by (`ready.py`), empty if nobody asks; `after` the commands that must
    be ready before it starts, each as `NS/NAME`; `restart` is how often it is started again when it
    has failed, -1 for without end.
    """

    argv: tuple[str, ...]
    ready: str = ""
    after: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    cwd: str = "/"
    restart: int = 0

    @property
    def may_end(self) -> bool:
        """Whether it has done its work when it ends with 0, and nothing is missing then."""
        return self.ready in {"", EXIT}


def command_key(netns: str, name: str) -> str:
    """Return what a command is called in a whole lab, as `after:` has it."""
    return f"{netns}/{name}"


class File(Struct, frozen=True, omit_defaults=True):
    """A file for a namespace's /etc; `owner` are a user and a group, 0 for who runs netloom.

    A folder has no text; its path ends with a `/`. `own` is by what a file is known that programs
    of one namespace may write: nobody shares it, and what they wrote stays as long as that is the
    same. It begins with the text, without one as the machine's.
    """

    text: str = ""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    own: str = ""

    @property
    def is_for_all(self) -> bool:
        """Whether every user may read it."""
        return bool(self.mode & 0o004)

    @property
    def is_copy(self) -> bool:
        """Whether it begins as the machine's."""
        return bool(self.own and not self.text)


def etc_entries(paths: Iterable[str]) -> frozenset[str]:
    """Return the entries of /etc that the paths of a folder's files are in."""
    return frozenset(path.partition("/")[0] for path in paths)


class NetnsState(Struct, frozen=True):
    """A network namespace and all that is asked of it.

    `sysctls` are dotted names below /proc/sys; `etc` is the digest of the folder that
    it sees in /etc (`Desired.folders` has it), empty for none. `rulesets` are the firewall
    rules of ours, by the name of their table (`inet netloom-shop`) or as `iptables`, each the
    digest of how the kernel lists them; `Desired.texts` has the text by the same digest.
    `claims` are sysctls that the namespace `host` shares with others, `exceptions` what is
    opened in firewalls there that are somebody else's. `commands` are those that
    live in it or have done their work, by their names, each by the digest of what was started.
    `borrowed`: it is not the lab's, as `host` is not: it is neither made nor deleted, and of its
    links only those count that bear the lab's mark.
    """

    links: Mapping[str, Link] = field(default_factory=dict)
    routes: frozenset[Route] = frozenset()
    rules: frozenset[Rule] = frozenset()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    etc: str = ""
    rulesets: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    exceptions: frozenset[FirewallException] = frozenset()
    borrowed: bool = False


class Desired(Struct, frozen=True):
    """What there shall be: every namespace of a lab, and its part of the namespace `host`.

    `netns` always holds `host`, empty if the lab has no part there. `folders` maps a
    digest to files, each by its path below /etc, `texts` to the text of firewall rules;
    what many have alike is kept once. `commands` are all of them, by `NS/NAME`; `dynamic` are the
    links that a program gives addresses.
    """

    netns: Mapping[str, NetnsState] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, File]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, Command] = field(default_factory=dict)
    dynamic: tuple[End, ...] = ()


def is_kept(name: str, netns: NetnsState) -> bool:
    """Whether a namespace is there before the lab and after it: `host`, and what is borrowed."""
    return name == HOST or netns.borrowed


NOTHING = Desired(netns={HOST: NetnsState()})
"""What `down` desires."""
