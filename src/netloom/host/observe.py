"""Looking: what is there, within the fence of one lab.

One throwaway thread goes from namespace to namespace, opens a netlink socket in each, and asks four
questions: links, addresses, routes, rules. A namespace is the lab's if its `lo` bears the mark; a
link, if it bears the mark or is one that we were about to make, by name and MAC address.

Rule: looking changes nothing. (To learn how a new namespace begins, one is made without a name; it
is gone when its thread is.)
"""

from collections.abc import Iterable
from contextlib import ExitStack
from socket import if_nameindex
from typing import TYPE_CHECKING, assert_never

from msgspec.structs import replace

from netloom.errors import FAILURES, KernelError
from netloom.host import etc, newborn, sysctl
from netloom.host.cannot_look import cannot_look
from netloom.host.dumps import Look, asked_addrs
from netloom.host.journal import has_runs
from netloom.host.scope import Scope
from netloom.host.walls import claims
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.process import same
from netloom.model.marks import IPTABLES, far_of, is_port, lo_mark, runner_of
from netloom.model.objects import (
    HOST,
    Addr,
    Borrowed,
    Bridge,
    End,
    Kind,
    Link,
    Loopback,
    Netns,
    Route,
    Veth,
    Word,
    is_word,
)
from netloom.model.owner import lab_of
from netloom.model.snapshot import Foreign, GivenLink, Snapshot
from netloom.model.walls import Passage, Walls  # noqa: TC001 - what an observer holds
from netloom.namespaces import names as registry
from netloom.namespaces.enter import aside, hop, roam
from netloom.namespaces.handle import Handle, NoSuchNetns, Stale, open_name
from netloom.plan.sysctls import NO_IPV6, link_of
from netloom.topology.expand import TAP, out_of
from netloom.topology.lower import HOST_PROTOCOL
from netloom.wire.netconf import FORWARDING, netconf_get, read_forwarding
from netloom.wire.rtnetlink import SeenLink

if TYPE_CHECKING:
    from netloom.host.walls.rulesets import Rulesets

UNKNOWN = End("", "")
"""The far end of a wire that leads to where we do not look, or not to where its mark says."""

FALLBACK = frozenset(
    "tunl0 gre0 gretap0 erspan0 ip_vti0 sit0 ip6tnl0 ip6gre0 ip6_vti0".split()  # noqa: SIM905
)
"""Devices that the kernel puts into every new namespace once their module is loaded."""


class _Observer:
    """Gathers a snapshot."""

    def __init__(self, scope: Scope, *, bare: bool) -> None:
        self.scope = scope
        self.bare = bare
        self.netns: dict[str, Netns] = {}
        self.given: dict[End, GivenLink] = {}
        self.cookies: dict[str, int] = {}
        self.foreign_links: dict[str, tuple[str, ...]] = {}
        self.foreign_names: set[str] = set()
        self.stale: set[str] = set()
        self.unnamed: set[str] = set()
        self.trusted: set[str] = set()
        self.stray: set[str] = set()
        self.stray_commands: set[tuple[str, str]] = set()
        self.newborn: dict[str, str] = {}
        self.newborn_links = 0
        self.walls: Walls | None = None
        self.opened = ExitStack()
        self._rulesets: Rulesets | None = None

    def look(self) -> Snapshot:
        """Visit every namespace of the scope; runs on a thread of its own."""
        with self.opened:
            return self.visit_all()

    def visit_all(self) -> Snapshot:
        """Visit the host, the namespaces, and what became of commands."""
        if self.bare and not self.scope.in_host:
            self.netns[HOST] = Netns(sysctls=sysctl.read((NO_IPV6,)))
        else:
            self.visit_host()
        there = set(registry.names())
        for name in sorted(self.scope.names):
            if name == HOST:
                continue
            if name in there and name in self.scope.trusted:
                self.trust(name)
            elif name in there:
                self.visit(name)
            if name not in self.netns and etc.etc_of(self.scope.lab, name):
                self.stray.add(name)
        self.look_at_commands()
        unseen = not newborn.is_made(self.scope.kinds - self.kinds())
        if self.scope.forgotten or unseen or not self.scope.making <= self.netns.keys():
            self.newborn, self.newborn_links = newborn.look(self.scope.fresh, self.scope.kinds)
        return self.joined()

    def look_at_nothing(self) -> Snapshot:
        """See to what is known of a machine in which nothing is yet: it is itself newborn."""
        known = sysctl.read((NO_IPV6, *self.scope.sysctls.get(HOST, ())))
        self.netns[HOST] = Netns(sysctls={k: v for k, v in known.items() if not link_of(k)})
        self.newborn = sysctl.read(self.scope.fresh)
        self.newborn_links = max(index for index, _ in if_nameindex())
        if not newborn.is_made(self.scope.kinds):
            aside(newborn.look, (), self.scope.kinds)
        return self.joined()

    def visit_host(self) -> None:
        with Rtnetlink() as rt:
            look = Look(rt)
        self.take(HOST, look, marked=False)
        known = sysctl.read((NO_IPV6, *self.scope.sysctls.get(HOST, ())))
        routes = frozenset(r for r in look.routes if r.protocol == HOST_PROTOCOL)
        links = self.netns[HOST].links
        ours = {end.partition(":")[2] for end in self.scope.peers if end.startswith(f"{HOST}:")}
        found: tuple[Passage, ...] = ()
        if self.scope.walls:
            from netloom.host.walls import passages

            self.walls, found = passages.read(self.scope.lab, {*links, *ours})
        self.netns[HOST] = Netns(
            passages=frozenset(found),
            links=links,
            routes=routes,
            sysctls={k: v for k, v in known.items() if not link_of(k) or link_of(k) in links},
            rulesets=self.rulesets(HOST),
            claims=claims.held_by(self.scope.lab),
        )

    def rulesets(self, name: str) -> dict[str, str]:
        """Return the firewall rules of ours in the namespace that the thread is in."""
        wanted = self.scope.rulesets.get(name)
        if not wanted:
            return {}
        if self._rulesets is None:
            from netloom.host.walls.rulesets import Rulesets

            self._rulesets = self.opened.enter_context(Rulesets(self.scope.lab))
        of_iptables = name != HOST and not wanted.isdisjoint(IPTABLES)
        found = self._rulesets.observe(of_iptables=of_iptables, listed=self.scope.listed)
        return {key: ruleset.digest for key, ruleset in found.items() if ruleset.ours}

    def visit(self, name: str) -> None:
        try:
            handle = open_name(name)
        except Stale:
            if name in self.scope.unpublished:
                self.unnamed.add(name)
            elif name not in self.scope.borrowed:
                self.foreign_names.add(name)
                self.stale.add(name)
            return
        except NoSuchNetns:
            return
        with handle:
            self.visit_inside(name, handle)

    def trust(self, name: str) -> None:
        """Take a namespace for what it was made; its files and commands are looked at."""
        self.trusted.add(name)
        known = self.scope.trusted[name]
        self.netns[name] = replace(known, etc=self.etc(name), commands={})

    def visit_inside(self, name: str, handle: Handle) -> None:
        hop(handle)
        keys = self.scope.sysctls.get(name, ())
        with Rtnetlink() as rt:
            look = Look(rt)
            if name in self.scope.borrowed:
                self.take_borrowed(name, look)
                return
            if look.mark != lo_mark(self.scope.lab, name):
                self.foreign_names.add(name)
                return
            values = _forwarding(rt, keys)
        self.cookies[name] = look.cookie
        self.take(name, look, marked=True)
        links = self.netns[name].links
        values |= sysctl.read(key for key in keys if key not in values)
        if values.get(NO_IPV6) == "1":
            links = {n: _without_ll(link) for n, link in links.items()}
        self.netns[name] = Netns(
            links=links,
            routes=frozenset(r for r in look.routes if not self.by_tap(name, r)),
            rules=frozenset(look.rules),
            sysctls=values,
            etc=self.etc(name),
            rulesets=self.rulesets(name),
        )

    def take_borrowed(self, name: str, look: Look) -> None:
        """Take what is ours in a namespace that is not."""
        self.take(name, look, marked=False)
        links, sysctls = self.netns[name].links, sysctl.read((NO_IPV6,))
        if sysctls.get(NO_IPV6) == "1":
            links = {n: _without_ll(link) for n, link in links.items()}
        self.netns[name] = Netns(links=links, sysctls=sysctls, borrowed=True)

    def by_tap(self, netns: str, route: Route) -> bool:
        """Whether a route is the one that a user-mode program brings along."""
        return any(self.is_tap(netns, hop.dev) for hop in route.nexthops)

    def etc(self, name: str) -> str:
        """Return the files of a namespace in /etc; somebody else's stand in the place of ours."""
        if found := etc.etc_of(self.scope.lab, name):
            return found
        wanted = self.scope.etc.get(name, "")
        return wanted if wanted and etc.is_taken(name) else ""

    def take(self, name: str, look: Look, *, marked: bool) -> None:
        """Take what is ours of one namespace's links, and the names of the others."""
        addrs = asked_addrs(look.addrs)
        links: dict[str, Link] = {}
        foreign: list[str] = []
        for seen in look.links:
            if self.is_ours(name, seen) or (marked and seen.index == 1):
                links[seen.name] = self.link(name, seen, look.names, addrs.get(seen.index, ()))
            elif seen.name not in FALLBACK and seen.index != 1 and not self.is_tap(name, seen.name):
                foreign += [] if _is_leaving(seen) else [seen.name]
        self.netns[name] = Netns(links=links)
        self.foreign_links[name] = tuple(foreign)

    def is_tap(self, netns: str, link: str) -> bool:
        """Whether a link is the one that a user-mode program makes, and takes away again."""
        return link == TAP and netns == out_of(self.scope.lab)

    def is_ours(self, name: str, seen: SeenLink) -> bool:
        """Whether a link bears the lab's mark, or is one that we were about to make."""
        if seen.alias:
            return lab_of(seen.alias) == self.scope.lab
        return (f"{name}:{seen.name}", seen.mac) in self.scope.macs

    def link(
        self, netns: str, seen: SeenLink, names: dict[int, str], addrs: Iterable[Addr]
    ) -> Link:
        """Return what the kernel tells of a link of ours, as asked facts."""
        end = End(netns, seen.name)
        self.given[end] = GivenLink(seen.index, seen.carrier, seen.peer_index)
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
        if is_port(seen.alias):
            kind = self.scope.ports.get(str(end), Borrowed(up=seen.up))
            return Link(kind=kind, mac="", mtu=0, up=seen.up, master=master, alias=seen.alias)
        return Link(
            kind=self.kind(end, seen),
            mac=seen.mac,
            mtu=seen.mtu,
            up=seen.up,
            master=master,
            alias=seen.alias,
            ipv6_ll=seen.ipv6_ll,
            altnames=tuple(sorted(seen.altnames)),
            addrs=tuple(addrs),
        )

    def kind(self, end: End, seen: SeenLink) -> Kind:
        """Return the kind of a link; one that we never make is a wire to nowhere, and must go."""
        if not is_word(seen.kind):
            return Veth(UNKNOWN)
        match seen.kind:
            case "bridge":
                return Bridge(stp=seen.stp)
            case "veth":
                return Veth(far_of(seen.alias) or self.scope.peers.get(str(end), UNKNOWN))
            case _:
                assert_never(seen.kind)

    def kinds(self) -> set[Word]:
        """Return the kinds of links that there are, so that the kernel has them."""
        links = (link for netns in self.netns.values() for link in netns.links.values())
        return {link.kind.word for link in links if link.kind.word}

    def look_at_commands(self) -> None:
        """Take what became of the lab's commands.

        One that does not run, or does not see its own /etc any more, is as no other.
        """
        if not has_runs(self.scope.lab):
            return
        from netloom.host.commands import processes

        found: dict[str, dict[str, str]] = {}
        for (netns, name), run in processes.running(self.scope.lab).items():
            if netns in self.netns:
                good = run.state == "running" and not processes.uncovered(netns, run)
                digest = run.digest if good else ""
                found.setdefault(netns, {})[name] = digest
            else:
                self.stray_commands.add((netns, name))
        for netns, commands in found.items():
            self.netns[netns] = replace(self.netns[netns], commands=commands)

    def joined(self) -> Snapshot:
        """Return the snapshot; a wire whose two ends do not name each other leads nowhere."""
        for name, netns in self.netns.items():
            wrong = [n for n, link in netns.links.items() if not self.is_joined(End(name, n), link)]
            if wrong:
                links = dict(netns.links)
                for link_name in wrong:
                    links[link_name] = replace(links[link_name], kind=Veth(UNKNOWN))
                self.netns[name] = replace(netns, links=links)
        return Snapshot(
            netns=self.netns,
            newborn=self.newborn,
            newborn_links=self.newborn_links,
            walls=self.walls,
            given=self.given,
            foreign=Foreign(
                links=self.foreign_links,
                names=frozenset(self.foreign_names),
                stale=frozenset(self.stale),
            ),
            cookies=self.cookies,
            unnamed=frozenset(self.unnamed),
            stray_etc=frozenset(self.stray),
            stray_commands=frozenset(self.stray_commands),
        )

    def is_joined(self, end: End, link: Link) -> bool:
        """Whether a wire leads where it says, by the indexes of both ends."""
        peer = link.peer
        if peer is None:
            return True
        there = self.given.get(peer)
        if end.netns in self.trusted:
            return there is not None or peer.netns in self.trusted
        if there is None:
            return peer.netns in self.trusted
        here = self.given[end]
        return (here.index, here.peer_index) == (there.peer_index, there.index)


def _without_ll(link: Link) -> Link:
    """Return a link where IPv6 is off: its mode says what it would do, not what it does."""
    return replace(link, ipv6_ll=False) if link.ipv6_ll else link


def _forwarding(rt: Rtnetlink, keys: Iterable[str]) -> dict[str, str]:
    """Return those of the sysctls `keys` that netlink tells."""
    asked = [key for key in keys if key in FORWARDING]
    answers = rt.ask_each([netconf_get(FORWARDING[key]) for key in asked])
    return {
        key: read_forwarding(answer)
        for key, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, KernelError)
    }


def observe(scope: Scope, *, empty: bool = False, bare: bool = False) -> Snapshot:
    """Return what is there within a scope; raises `Unavailable` where that cannot be looked at.

    `empty`: the machine is known to be newborn, with nothing in it; `bare`: its namespace `host` is
    known to have no interfaces but those of its birth.
    """
    observer = _Observer(scope, bare=bare)
    try:
        return observer.look_at_nothing() if empty and not scope.walls else roam(observer.look)
    except FAILURES as error:
        raise cannot_look(error) from error


def _is_leaving(seen: SeenLink) -> bool:
    """Whether a link was a command's that has ended: the kernel is about to take it away."""
    runner = runner_of(seen.alias)
    return runner is not None and same(*runner) is None
