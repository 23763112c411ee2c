"""The links of a lab, as asked facts, and what is to be known of those of others beside them."""

from collections.abc import Iterable, Mapping

from netloom.host.observe.dumps import Dumps, asked_addrs
from netloom.kernel.process import same
from netloom.model.identity import Identity
from netloom.model.lab_state import GivenLink
from netloom.model.marks import far_of, is_port, runner_of
from netloom.model.names import TAP, out_of
from netloom.model.objects import (
    HOST,
    UNKNOWN,
    Addr,
    Borrowed,
    End,
    Kind,
    Link,
    Loopback,
    Veth,
)
from netloom.plan.fence import Fence
from netloom.wire.rtnetlink import SeenLink

FALLBACK = frozenset(
    "tunl0 gre0 gretap0 erspan0 ip_vti0 sit0 ip6tnl0 ip6gre0 ip6_vti0".split()  # noqa: SIM905
)
"""Devices that the kernel puts into every new namespace once their module is loaded."""


class Links:
    """Takes links, namespace by namespace.

    `given` are what the kernel gave to those of the lab, `identities` what they are known by, and
    `renamed` tells where one is now that is remembered by another name. Of others' links `foreign`
    are the names, `groups` the groups that they are in; `forged` are those with the lab's mark,
    `cards` are hardware, and `leading` hang on a link elsewhere, each with the id of where.
    """

    def __init__(self, fence: Fence) -> None:
        """Have taken none."""
        self.fence = fence
        self.given: dict[End, GivenLink] = {}
        self.cookies: dict[str, int] = {}
        self.identities: dict[str, Identity] = {}
        self.renamed: dict[End, End] = {}
        self.foreign: dict[str, tuple[str, ...]] = {}
        self.groups: set[int] = set()
        self.forged: list[str] = []
        self.cards: set[End] = set()
        self.leading: dict[str, dict[str, int]] = {}

    def take(self, name: str, dumps: Dumps, *, marked: bool) -> dict[str, Link]:
        """Return the lab's links in a namespace; in one of its own (`marked`) with `lo`."""
        addrs = asked_addrs(dumps.addrs)
        ours = self.fence.links(name, dumps.cookie, dumps.links)
        links: dict[str, Link] = {}
        foreign: list[str] = []
        for seen in dumps.links:
            if seen.index in ours or (marked and seen.index == 1):
                was = End(name, ours.get(seen.index, seen.name))
                links[seen.name] = self.link(was, seen, dumps.names, addrs.get(seen.index, ()))
            elif seen.name not in FALLBACK and seen.index != 1 and not self.is_tap(name, seen.name):
                foreign += [] if _is_leaving(seen) else [seen.name]
                self.note_foreign(name, seen)
        self.foreign[name] = tuple(foreign)
        self.cookies[name] = dumps.cookie
        self.identities[name] = self.identity(name, dumps, ours)
        return links

    def note_foreign(self, name: str, seen: SeenLink) -> None:
        """Note what is to be known of a link of others."""
        self.groups.add(seen.group)
        if self.fence.is_marked(seen):
            self.forged.append(f"`{name}:{seen.name}`")
        if not seen.kind:
            self.cards.add(End(name, seen.name))
        elif seen.link_netnsid is not None:
            self.leading.setdefault(name, {})[seen.name] = seen.link_netnsid

    def identity(self, name: str, dumps: Dumps, ours: Mapping[int, str]) -> Identity:
        """Return what a namespace and the lab's links in it are known by."""
        known = self.fence.identities.get(name)
        pairs = {
            ours[link.index]: (link.index, link.link_index)
            for link in dumps.links
            if link.index in ours
        }
        if known and known.cookie == dumps.cookie and known.links == pairs:
            return known
        return Identity(dumps.cookie, pairs)

    def is_tap(self, netns: str, link: str) -> bool:
        """Whether a link is the one that a user-mode program makes, and takes away again."""
        return link == TAP and netns == out_of(self.fence.lab)

    def link(self, was: End, seen: SeenLink, names: dict[int, str], addrs: Iterable[Addr]) -> Link:
        """Return what the kernel tells of a link of ours, as asked facts."""
        end = End(was.netns, seen.name)
        self.given[end] = GivenLink(seen.index, seen.carrier, seen.link_index)
        if end != was:
            self.renamed[was] = end
        if seen.index == 1:
            return Link(
                kind=Loopback(),
                mac="",
                mtu=seen.mtu,
                up=seen.up,
                alias=seen.alias,
                altnames=seen.altnames,
                addrs=tuple(addrs),
            )
        master = names.get(seen.master, "") if seen.master else ""
        if (port := self.port(was, seen)) is not None:
            return Link(kind=port, mac="", mtu=0, up=seen.up, master=master, alias=seen.alias)
        return Link(
            kind=self.kind(was, seen),
            mac=seen.mac,
            mtu=seen.mtu,
            up=seen.up,
            master=master,
            alias=seen.alias,
            ipv6_ll=seen.ipv6_ll,
            altnames=tuple(sorted(seen.altnames)),
            addrs=tuple(addrs),
        )

    def port(self, was: End, seen: SeenLink) -> Borrowed | None:
        """Return how a link was found that is borrowed, None for one that is the lab's."""
        port = self.fence.port(was.link, seen) if was.netns == HOST else None
        if port is not None:
            return port.borrowed
        marked = is_port(seen.alias) and self.fence.is_marked(seen)
        return Borrowed(up=seen.up) if marked else None

    def kind(self, was: End, seen: SeenLink) -> Kind:
        """Return the kind of a link; one that we never make is a wire to nowhere, and must go."""
        if seen.info.word is None:
            return Veth(UNKNOWN)
        return Veth(far_of(seen.alias) or self.fence.far(was)) if seen.info.peer else seen.info


def _is_leaving(seen: SeenLink) -> bool:
    """Whether a link was a command's that has ended: the kernel is about to take it away."""
    runner = runner_of(seen.alias)
    return runner is not None and same(*runner) is None
