"""The steps of a plan: a closed union, each one change that the kernel makes in one go.

A step holds all that is needed to carry it out and to foretell it (`effect.py`), and nothing about
how. How it looks to a person is `render/text.py`, as a command `render/shell.py`.
"""

from msgspec import Struct

from netloom.model.objects import Addr, Borrowed, Command, End, Link, Route, Rule
from netloom.model.walls import Passage


class NetnsAdd(Struct, frozen=True, tag="netns-add"):
    """Make a namespace, mark it, set its `lo` up, and only then publish it under its name."""

    netns: str
    alias: str


class NetnsDel(Struct, frozen=True, tag="netns-del"):
    """Take the name away; the kernel removes the namespace with all that is in it."""

    netns: str


class LinkAdd(Struct, frozen=True, tag="link-add"):
    """Make a link, for a veth both ends at once, born down and in place: name, MAC, MTU, master.

    The far end of a veth is `peer`; it is made without a master, which the kernel does not take
    there.
    """

    end: End
    link: Link
    peer: Link | None = None


class LinkDel(Struct, frozen=True, tag="link-del"):
    """Delete a link, with a veth its other end too."""

    end: End


class LinkSet(Struct, frozen=True, tag="link-set"):
    """Change a link in place; None leaves a fact as it is, an empty `master` frees a port.

    `link_local` is what the kernel would call the link in IPv6 once it is up. Given before, without
    duplicate address detection, it is of use at once: who has none asks for no neighbour.
    """

    end: End
    up: bool | None = None
    mtu: int | None = None
    mac: str | None = None
    master: str | None = None
    alias: str | None = None
    ipv6_ll: bool | None = None
    stp: bool | None = None
    link_local: str = ""


class PortAdd(Struct, frozen=True, tag="port-add"):
    """Borrow an interface: mark it, make it a port of a bridge, set it up, in one message."""

    end: End
    link: Link


class PortDel(Struct, frozen=True, tag="port-del"):
    """Give a borrowed interface back as it was found."""

    end: End
    found: Borrowed


class AltnameAdd(Struct, frozen=True, tag="altname-add"):
    """Give a link another name, which may be as long as 127 bytes."""

    end: End
    altname: str


class AltnameDel(Struct, frozen=True, tag="altname-del"):
    """Take such a name away."""

    end: End
    altname: str


class AddrAdd(Struct, frozen=True, tag="addr-add"):
    """Give a link an address."""

    end: End
    addr: Addr


class AddrDel(Struct, frozen=True, tag="addr-del"):
    """Take an address from a link."""

    end: End
    addr: Addr


class RouteAdd(Struct, frozen=True, tag="route-add"):
    """Add a route."""

    netns: str
    route: Route


class RouteReplace(Struct, frozen=True, tag="route-replace"):
    """Put a route in the place of the one with the same key, without a moment between them."""

    netns: str
    route: Route


class RouteDel(Struct, frozen=True, tag="route-del"):
    """Delete a route."""

    netns: str
    route: Route


class RuleAdd(Struct, frozen=True, tag="rule-add"):
    """Add a policy rule."""

    netns: str
    rule: Rule


class RuleDel(Struct, frozen=True, tag="rule-del"):
    """Delete a policy rule."""

    netns: str
    rule: Rule


class SysctlSet(Struct, frozen=True, tag="sysctl-set"):
    """Write a value below /proc/sys, in a namespace."""

    netns: str
    key: str
    value: str


class EtcSet(Struct, frozen=True, tag="etc-set"):
    """Let a namespace see files of its own in /etc, the folder with this digest."""

    netns: str
    digest: str


class EtcDel(Struct, frozen=True, tag="etc-del"):
    """Let it see the machine's own again."""

    netns: str


class RulesetSet(Struct, frozen=True, tag="ruleset-set"):
    """Put firewall rules in place, as a whole and at once, in the place of those of that name."""

    netns: str
    ruleset: str
    digest: str
    text: str


class RulesetDel(Struct, frozen=True, tag="ruleset-del"):
    """Take firewall rules away."""

    netns: str
    ruleset: str


class ClaimAdd(Struct, frozen=True, tag="claim-add"):
    """Have a sysctl that the host shares with others at a value, as one of its holders."""

    netns: str
    key: str
    value: str


class ClaimDel(Struct, frozen=True, tag="claim-del"):
    """Hold it no more; the last holder restores what was there, if nobody else relies on it."""

    netns: str
    key: str


class PassageAdd(Struct, frozen=True, tag="passage-add"):
    """Open an exception in a firewall that is somebody else's, by its owner's own tool.

    `command` does it where it belongs as long as the firewall is as it was looked at.
    """

    netns: str
    passage: Passage
    command: tuple[str, ...] = ()


class PassageDel(Struct, frozen=True, tag="passage-del"):
    """Close it again."""

    netns: str
    passage: Passage


class RunStart(Struct, frozen=True, tag="run-start"):
    """Start a command that lives as long as the lab."""

    netns: str
    name: str
    digest: str
    command: Command


class RunStop(Struct, frozen=True, tag="run-stop"):
    """End a command with all that it started: SIGTERM, and SIGKILL for those who stay."""

    netns: str
    name: str


class NameDel(Struct, frozen=True, tag="name-del"):
    """Remove a file in /run/netns that a killed `up` made and never mounted a namespace on."""

    netns: str


Step = (
    NetnsAdd
    | NetnsDel
    | LinkAdd
    | LinkDel
    | LinkSet
    | PortAdd
    | PortDel
    | AltnameAdd
    | AltnameDel
    | AddrAdd
    | AddrDel
    | RouteAdd
    | RouteReplace
    | RouteDel
    | RuleAdd
    | RuleDel
    | SysctlSet
    | EtcSet
    | EtcDel
    | RulesetSet
    | RulesetDel
    | ClaimAdd
    | ClaimDel
    | PassageAdd
    | PassageDel
    | RunStart
    | RunStop
    | NameDel
)

Plan = tuple[Step, ...]
"""Steps in an order that the kernel accepts, after any prefix of which recovery is possible."""


def netns_of(step: Step) -> str:
    """Return the namespace that a step is carried out in."""
    match step:
        case LinkAdd() | LinkDel() | LinkSet() | PortAdd() | PortDel():
            return step.end.netns
        case AltnameAdd() | AltnameDel() | AddrAdd() | AddrDel():
            return step.end.netns
        case _:
            return step.netns
