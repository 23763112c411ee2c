"""The fence: which of the things that were seen are a lab's, and which are somebody else's.

What is remembered of a lab decides, compared exactly:

* a namespace is the lab's by its cookie; a link by its index and its far end's, and by one of name,
  MAC address and mark. So no single change loses a link, and none made by others is taken for it;
* where these are gone, or not known yet since a change was killed, a link is told by its name and
  MAC address, and a namespace that was about to be made by its mark;
* a route of `host` has no room for a mark: it is the lab's if it is what is remembered, in full;
* an exception in somebody's firewall is the lab's if it is remembered and bears the lab's comment.

Where nothing is remembered, the marks decide, and routes go with the links that they lead out of.
What bears the mark and is not the lab's all the same is *forged*: it is left alone, and told.

Rule: nothing is asked of a machine here; what was seen is given.
"""

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.model.firewall import FirewallException
from netloom.model.identity import Identities, Pair
from netloom.model.lab_state import GivenLink
from netloom.model.marks import HOST_PROTOCOL, is_port, lo_mark
from netloom.model.objects import HOST, UNKNOWN, Desired, End, Link, NetnsState, Route, Veth
from netloom.model.owner import lab_of

_NOTHING = NetnsState()
_LO = 1


class Seen(Protocol):
    """A link as the kernel tells of it (`wire/link_decode.py`)."""

    @property
    def index(self) -> int:
        """Its index."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def mac(self) -> str:
        """Its MAC address."""

    @property
    def alias(self) -> str:
        """Its mark, or what else somebody wrote there."""

    @property
    def master(self) -> int:
        """The index of the bridge that it is a port of, 0 for none."""

    @property
    def link_index(self) -> int:
        """The index of the link that it hangs on (IFLA_LINK), a wire's far end; 0 for none."""


class Fence(Struct, frozen=True):
    """What is remembered of a lab, by which its things are told from those of others.

    `states` are all that may be there, the latest last; `identities` what there was of it when it
    was looked at last; `made` the namespaces that a change which has not ended makes. `by_mark`:
    nothing is remembered, and the marks decide.
    """

    lab: str
    states: tuple[Desired, ...] = ()
    identities: Identities = field(default_factory=dict)
    made: frozenset[str] = frozenset()
    by_mark: bool = True

    def owns(self, netns: str, cookie: int, mark: str) -> bool:
        """Whether the namespace of a name is the lab's; `mark` is the alias of its `lo`."""
        known = self.identities.get(netns)
        if known is not None and known.cookie == cookie:
            return True
        return (self.by_mark or netns in self.made) and mark == lo_mark(self.lab, netns)

    # ── links ─────────────────────────────────────────────────────────────────────────────────

    def links(self, netns: str, cookie: int, seen: Collection[Seen]) -> dict[int, str]:
        """Return the lab's links in a namespace: by index, the name that each is remembered by."""
        known = self.identities.get(netns)
        pairs = known.links if known is not None and known.cookie == cookie else {}
        ours: dict[int, str] = {}
        others: list[Seen] = []
        for link in seen:
            if pairs.get(link.name) == (link.index, link.link_index):
                ours[link.index] = link.name
            elif link.index != _LO:
                others.append(link)
        if others:
            self._find(netns, others, {pair: name for name, pair in pairs.items()}, ours)
        if netns == HOST:
            bridges = {link.index: link.name for link in seen}
            for link in seen:
                if link.index in ours and self._is_given_back(ours[link.index], link, bridges):
                    del ours[link.index]
        return ours

    def _find(
        self,
        netns: str,
        others: Collection[Seen],
        names: Mapping[Pair, str],
        ours: dict[int, str],
    ) -> None:
        """Find links that are not as they were: those of whom most is left come first.

        The mark alone beside the indexes comes last: the kernel may have given them again, in a
        change that was killed before it could note them.
        """
        rounds: tuple[Callable[[Seen, str], str], ...] = (
            lambda link, was: was if was and self._has_mac(netns, was, link) else "",
            lambda link, _: link.name if self._is_as_asked(netns, link) else "",
            lambda link, was: was if self.is_marked(link) else "",
        )
        for told in rounds:
            taken = set(ours.values())
            for link in others:
                if link.index not in ours:
                    name = told(link, names.get((link.index, link.link_index), ""))
                    if name and name not in taken:
                        ours[link.index] = name

    def _is_as_asked(self, netns: str, link: Seen) -> bool:
        """Whether a link is what was to be made, or, where nothing is remembered, bears the mark.

        What makes an interface a port of the lab's marks it, too.
        """
        if self._has_mac(netns, link.name, link):
            return True
        borrowed = netns == HOST and is_port(link.alias) and self.port(link.name) is not None
        return self.is_marked(link) and (borrowed or self.by_mark)

    def _is_given_back(self, name: str, link: Seen, bridges: Mapping[int, str]) -> bool:
        """Whether an interface that was a port of the lab's is one no more.

        What makes it a port marks it, too, and what gives it back takes both away at once. Who was
        killed while forgetting the lab has left nothing but indexes: those of ports say as much.
        """
        port = self.port(name, link)
        if port is None:
            return next(self.remembered(HOST, name), None) is None and not self.is_marked(link)
        if self.is_marked(link) and is_port(link.alias):
            return False
        return bridges.get(link.master) != port.master

    def is_marked(self, link: Seen) -> bool:
        """Whether a link bears the mark of the lab."""
        return lab_of(link.alias) == self.lab

    def _has_mac(self, netns: str, name: str, link: Seen) -> bool:
        return any(link.mac == asked.mac != "" for asked in self.remembered(netns, name))

    def remembered(self, netns: str, name: str) -> Iterator[Link]:
        """Yield what states ask of a link of this name, the latest first."""
        for state in reversed(self.states):
            asked = state.netns.get(netns, _NOTHING).links.get(name)
            if asked is not None:
                yield asked

    def port(self, name: str, link: Seen | None = None) -> Link | None:
        """Return what is asked of an interface of the host that is borrowed, None for no such.

        A `link` of a MAC address that the lab gave is its own.
        """
        asked = (one for one in self.remembered(HOST, name) if one.borrowed)
        return None if link is not None and self._has_mac(HOST, name, link) else next(asked, None)

    def far(self, end: End) -> End:
        """Return the latest far end that is asked of a link."""
        return next((one.peer for one in self.remembered(*end) if one.peer), UNKNOWN)

    # ── wires ─────────────────────────────────────────────────────────────────────────────────

    def joined(
        self,
        netns: Mapping[str, NetnsState],
        given: Mapping[End, GivenLink],
        renamed: Mapping[End, End],
        trusted: Container[str] = (),
    ) -> dict[str, NetnsState]:
        """Return namespaces in which each wire leads to where the indexes of both its ends say.

        `renamed` tells where a link is now that is remembered elsewhere; in `trusted` namespaces
        nobody looked.
        """
        before = {now: was for was, now in renamed.items()}

        def is_joined(end: End, peer: End) -> bool:
            here, there = given.get(end), given.get(peer)
            if here is None:
                return there is not None or peer.netns in trusted
            if there is None:
                return peer.netns in trusted
            return (here.index, here.link_index) == (there.link_index, there.index)

        def far(end: End, peer: End) -> End:
            asked = self.remembered(*before.get(end, end))
            may_be = (peer, *(one.peer for one in asked if one.peer))
            now = (renamed.get(each, each) for each in may_be)
            return next((each for each in now if is_joined(end, each)), UNKNOWN)

        found = dict(netns)
        for name, one in netns.items():
            wrong = {
                link_name: replace(link, kind=Veth(far(End(name, link_name), link.peer)))
                for link_name, link in one.links.items()
                if link.peer and not is_joined(End(name, link_name), link.peer)
            }
            if wrong:
                found[name] = replace(one, links={**one.links, **wrong})
        return found

    # ── routes of the host ────────────────────────────────────────────────────────────────────

    @property
    def has_routes(self) -> bool:
        """Whether any state has routes in the namespace `host`."""
        return any(state.netns.get(HOST, _NOTHING).routes for state in self.states)

    def routes(self, seen: Iterable[Route], links: Mapping[str, str]) -> frozenset[Route]:
        """Return the lab's routes in the namespace `host`.

        `links` are the lab's links there, by their names the ones that they are remembered by.
        """
        asked = {route for state in self.states for route in state.netns.get(HOST, _NOTHING).routes}
        return frozenset(
            route
            for route in seen
            if _with_devs(route, links) in asked or (self.by_mark and _goes_with(route, links))
        )

    # ── exceptions in firewalls ───────────────────────────────────────────────────────────────

    def exceptions(self, seen: Iterable[FirewallException]) -> frozenset[FirewallException]:
        """Return which of the exceptions that bear the lab's comment are its own."""
        if self.by_mark:
            return frozenset(seen)
        asked = {p for state in self.states for p in state.netns.get(HOST, _NOTHING).exceptions}
        return frozenset(p for p in seen if (replace(p, behind=False) if p.behind else p) in asked)


def _with_devs(route: Route, links: Mapping[str, str]) -> Route:
    """Return a route out of the names that the lab's links are remembered by."""
    if all(links.get(hop.dev, hop.dev) == hop.dev for hop in route.nexthops):
        return route
    hops = (replace(hop, dev=links.get(hop.dev, hop.dev)) for hop in route.nexthops)
    return replace(route, nexthops=tuple(hops))


def _goes_with(route: Route, links: Container[str]) -> bool:
    """Whether a route of some lab leads out of these links, and goes when they do."""
    ours = route.protocol == HOST_PROTOCOL
    return ours and bool(route.nexthops) and all(hop.dev in links for hop in route.nexthops)
