"""The steps of a plan: a closed union, each one change that the kernel makes in one go.

A step holds all that is needed to carry it out and to predict it (`simulate.py`), and nothing
about how. How it looks to a person is `render/text.py`, as a command `render/script.py`.
"""

from msgspec import Struct

from netloom.model.firewall import FirewallException
from netloom.model.objects import Addr, Borrowed, Command, End, Kind, Link, Route, Rule


class OnLink(Struct, frozen=True):
    """A step on the link `end`."""

    end: End

    @property
    def netns(self) -> str:
        """The namespace that it is carried out in."""
        return self.end.netns


class InNetns(Struct, frozen=True):
    """A step in the namespace `netns`, or on its name."""

    netns: str


class NetnsAdd(InNetns, frozen=True, tag="netns-add"):
    """Make a namespace, mark it, set its `lo` up, and only then publish it under its name."""

    alias: str


class NetnsDel(InNetns, frozen=True, tag="netns-del"):
    """Take the name away; the kernel removes the namespace with all that is in it."""


class LinkAdd(OnLink, frozen=True, tag="link-add"):
    """Make a link, for a veth both ends at once, born down and in place: name, MAC, MTU, master.

    The far end of a veth is `peer`; it is made without a master, which the kernel does not take
    there.
    """

    link: Link
    peer: Link | None = None


class LinkDel(OnLink, frozen=True, tag="link-del"):
    """Delete a link, with a veth its other end too."""


class LinkSet(OnLink, frozen=True, tag="link-set"):
    """Change a link in place; None leaves a fact as it is, an empty `master` frees a port.

    `kind` is the one that it has, with those of its facts changed that can be (`in_place`).
    `link_local` is what the kernel would call the link in IPv6 once it is up. Given before, without
    duplicate address detection, it is of use at once: who has none asks for no neighbour.
    """

    up: bool | None = None
    mtu: int | None = None
    mac: str | None = None
    master: str | None = None
    alias: str | None = None
    ipv6_ll: bool | None = None
    kind: Kind | None = None
    link_local: str = ""


class PortAdd(OnLink, frozen=True, tag="port-add"):
    """Borrow an interface: mark it, make it a port of a bridge, set it up, in one message."""

    link: Link


class PortDel(OnLink, frozen=True, tag="port-del"):
    """Give a borrowed interface back as it was found."""

    found: Borrowed


class AltnameAdd(OnLink, frozen=True, tag="altname-add"):
    """Give a link another name, which may be as long as 127 bytes."""

    altname: str


class AltnameDel(OnLink, frozen=True, tag="altname-del"):
    """Take such a name away."""

    altname: str


class AddrAdd(OnLink, frozen=True, tag="addr-add"):
    """Give a link an address."""

    addr: Addr


class AddrDel(OnLink, frozen=True, tag="addr-del"):
    """Take an address from a link."""

    addr: Addr


class RouteAdd(InNetns, frozen=True, tag="route-add"):
    """Add a route."""

    route: Route


class RouteReplace(InNetns, frozen=True, tag="route-replace"):
    """Put a route in the place of the one with the same key, without a moment between them.

    `was` is what is there when it is planned.
    """

    route: Route
    was: Route | None = None


class RouteDel(InNetns, frozen=True, tag="route-del"):
    """Delete a route."""

    route: Route


class RuleAdd(InNetns, frozen=True, tag="rule-add"):
    """Add a policy rule."""

    rule: Rule


class RuleDel(InNetns, frozen=True, tag="rule-del"):
    """Delete a policy rule."""

    rule: Rule


class SysctlSet(InNetns, frozen=True, tag="sysctl-set"):
    """Write a value below /proc/sys, in a namespace."""

    key: str
    value: str


class EtcSet(InNetns, frozen=True, tag="etc-set"):
    """Let a namespace see files of its own in /etc, the folder with this digest."""

    digest: str


class EtcDel(InNetns, frozen=True, tag="etc-del"):
    """Let it see the machine's own again."""


class RulesetSet(InNetns, frozen=True, tag="ruleset-set"):
    """Put firewall rules in place, as a whole and at once, in the place of those of that name."""

    ruleset: str
    digest: str
    text: str


class RulesetDel(InNetns, frozen=True, tag="ruleset-del"):
    """Take firewall rules away."""

    ruleset: str


class ClaimAdd(InNetns, frozen=True, tag="claim-add"):
    """Have a sysctl that the host shares with others at a value, as one of its holders."""

    key: str
    value: str


class ClaimDel(InNetns, frozen=True, tag="claim-del"):
    """Hold it no more; the last holder restores what was there, if nobody else relies on it."""

    key: str


class ExceptionAdd(InNetns, frozen=True, tag="exception-add"):
    """Open an exception in a firewall that is somebody else's, by its owner's own tool.

    `command` does it where it belongs as long as the firewall is as it was looked at.
    """

    exception: FirewallException
    command: tuple[str, ...] = ()


class ExceptionDel(InNetns, frozen=True, tag="exception-del"):
    """Close it again."""

    exception: FirewallException


class RunStart(InNetns, frozen=True, tag="run-start"):
    """Start a command that lives as long as the lab."""

    name: str
    digest: str
    command: Command


class RunStop(InNetns, frozen=True, tag="run-stop"):
    """End a command with all that it started: SIGTERM, and SIGKILL for those who stay."""

    name: str


class NameDel(InNetns, frozen=True, tag="name-del"):
    """Remove a file in /run/netns that a killed `up` made and never mounted a namespace on."""


LinkStep = (
    LinkAdd | LinkDel | LinkSet | AddrAdd | AddrDel | AltnameAdd | AltnameDel | PortAdd | PortDel
)
"""All that derive from `OnLink`."""

NetnsStep = (
    NetnsAdd
    | NetnsDel
    | NameDel
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
    | ExceptionAdd
    | ExceptionDel
    | RunStart
    | RunStop
)
"""All that derive from `InNetns`."""

Step = LinkStep | NetnsStep

Plan = tuple[Step, ...]
"""Steps in an order that the kernel accepts, after any prefix of which recovery is possible."""
