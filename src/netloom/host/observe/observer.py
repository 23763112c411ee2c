"""Looking: what is there, within the fence of one lab.

One throwaway thread goes from namespace to namespace, opens a netlink socket in each, and asks four
questions: links, addresses, routes, rules. What of the answers is whose is told by the fence
(`plan/fence.py`).

Rule: looking changes nothing. (To learn how a new namespace begins, one is made without a name; it
is gone when its thread is.)
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netloom.errors import FAILURES, KernelError
from netloom.host import etc, sysctl
from netloom.host.etc import Place, place_of
from netloom.host.firewall import shared_sysctls
from netloom.host.observe import defaults
from netloom.host.observe.cannot_look import cannot_look
from netloom.host.observe.dumps import Dumps
from netloom.host.observe.lab_links import Links
from netloom.host.observe.scope import Scope
from netloom.host.store.journal import has_runs
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.procfs import interfaces
from netloom.model.firewall import FirewallException, FirewallState
from netloom.model.lab_state import Foreign, LabState, Others
from netloom.model.marks import HOST_PROTOCOL, IPTABLES
from netloom.model.objects import (
    HOST,
    End,
    Link,
    NetnsState,
    Route,
    Word,
    is_kept,
)
from netloom.model.owner import lab_of
from netloom.namespaces import registry
from netloom.namespaces.enter import in_thread, setns, visiting
from netloom.namespaces.handle import Handle, NoSuchNetns, Stale, open_name
from netloom.plan.others import NOBODY, on_links, told_apart
from netloom.plan.sysctls import NO_IPV6, link_of
from netloom.wire.netconf import FORWARDING, netconf_get, read_forwarding

if TYPE_CHECKING:
    from netloom.host.firewall.rulesets import Rulesets


class _Observer:
    """Gathers a snapshot."""

    def __init__(self, scope: Scope, *, bare: bool) -> None:
        self.scope = scope
        self.fence = scope.fence
        self.bare = bare
        self.netns: dict[str, NetnsState] = {}
        self.others: dict[str, Others] = {}
        self.links = Links(scope.fence)
        self.forged: list[str] = []
        self.lost: list[str] = []
        self.foreign_routes: frozenset[Route] = frozenset()
        self.foreign_names: set[str] = set()
        self.foreign_files: dict[str, tuple[str, ...]] = {}
        self.outside: set[End] = set()
        self.stale: set[str] = set()
        self.unnamed: set[str] = set()
        self.trusted: set[str] = set()
        self.stray: set[str] = set()
        self.stray_commands: set[tuple[str, str]] = set()
        self.done: set[tuple[str, str]] = set()
        self.defaults: dict[str, str] = {}
        self.default_index = 0
        self.firewall: FirewallState | None = None
        self.opened = ExitStack()
        self._rulesets: Rulesets | None = None

    def observe(self) -> LabState:
        """Visit every namespace of the scope; runs on a thread of its own."""
        with self.opened:
            return self.visit_all()

    def visit_all(self) -> LabState:
        """Visit the host, the namespaces, and what became of commands."""
        if self.bare and not self.scope.in_host:
            self.netns[HOST] = NetnsState(sysctls=sysctl.read((NO_IPV6,)))
        else:
            self.visit_host()
        there, in_etc = set(registry.names()), etc.names()
        for name in sorted(self.scope.names):
            if name == HOST:
                continue
            if name in there and name in self.scope.trusted:
                self.trust(name)
            elif name in there:
                self.visit(name)
            if name not in self.netns and name in in_etc and self.place(name).digest:
                self.stray.add(name)
        self.look_at_commands()
        self.look_outside()
        unseen = not defaults.is_made(self.scope.kinds - self.kinds())
        if self.scope.forgotten or unseen or not self.scope.making <= self.netns.keys():
            self.defaults, self.default_index = defaults.observe_defaults(
                self.scope.fresh, self.scope.kinds
            )
        return self.joined()

    def look_at_nothing(self) -> LabState:
        """See to what is known of a machine in which nothing is yet: it is itself newborn."""
        from socket import if_nametoindex

        known = sysctl.read((NO_IPV6, *self.scope.sysctls.get(HOST, ())))
        self.netns[HOST] = NetnsState(sysctls={k: v for k, v in known.items() if not link_of(k)})
        self.defaults = sysctl.read(self.scope.fresh)
        self.default_index = max(if_nametoindex(name) for name in interfaces())
        if not defaults.is_made(self.scope.kinds):
            in_thread(defaults.observe_defaults, (), self.scope.kinds)
        return self.joined()

    def visit_host(self) -> None:
        with Rtnetlink() as rt:
            dumps = Dumps(rt, self.protocols())
        links = self.links.take(HOST, dumps, marked=False)
        self.note_others(HOST, links)
        known = sysctl.read((NO_IPV6, *self.scope.sysctls.get(HOST, ())))
        links = _as_ipv6_has_it(links, known)
        self.lost = shared_sysctls.lost()
        self.netns[HOST] = NetnsState(
            exceptions=self.exceptions(links) if self.scope.firewall else frozenset(),
            links=links,
            routes=self.routes(dumps, links),
            sysctls={k: v for k, v in known.items() if not link_of(k) or link_of(k) in links},
            rulesets=self.rulesets(HOST),
            claims=shared_sysctls.held_by(self.scope.lab),
        )

    def protocols(self) -> frozenset[int] | None:
        """Return the protocols of the host's routes that are of interest, None for all."""
        if self.scope.routes:
            return None
        some = self.fence.has_routes or self.fence.by_mark
        return frozenset({HOST_PROTOCOL}) if some else frozenset()

    def routes(self, dumps: Dumps, links: Iterable[str]) -> frozenset[Route]:
        """Return the lab's routes of the host, and note those of others that it should know of."""
        before = {now: was for was, now in self.links.renamed.items()}
        names = {link: before.get(End(HOST, link), End(HOST, link)).link for link in links}
        ours = self.fence.routes(dumps.routes, names)
        self.foreign_routes = frozenset(
            route
            for route in dumps.routes
            if route not in ours
            if route.key in self.scope.routes
            or (self.fence.by_mark and route.protocol == HOST_PROTOCOL)
        )
        return ours

    def exceptions(self, links: Iterable[str]) -> frozenset[FirewallException]:
        """Return the lab's exceptions in the firewalls of others."""
        import shlex

        from netloom.host.firewall import exceptions
        from netloom.plan.exception_commands import closing

        self.firewall, found = exceptions.read(self.scope.lab, {*links, *self.scope.links})
        ours = self.fence.exceptions(found)
        self.forged += [
            f"an exception in {one.owner} ({shlex.join(closing(one))})"
            for one in found
            if one not in ours and one.tool != "firewall-cmd"  # which has no comments
        ]
        return ours

    def look_outside(self) -> None:
        """Note which links of others in namespaces of the lab lead out of the lab.

        The kernel tells what one namespace calls another (RTM_GETNSID).
        """
        own = {name for name, one in self.netns.items() if not is_kept(name, one)}
        self.outside |= {end for end in self.links.cards if end.netns in own}
        for name in self.links.leading.keys() & own:
            from netloom.namespaces.ids import ids

            with open_name(name) as handle:
                setns(handle)
            with Rtnetlink() as rt:
                inside = set(ids(rt, sorted(own)))
            leading = self.links.leading[name]
            self.outside |= {End(name, one) for one, nsid in leading.items() if nsid not in inside}

    def rulesets(self, name: str) -> dict[str, str]:
        """Return the firewall rules of ours in the namespace that the thread is in."""
        wanted = self.scope.rulesets.get(name)
        if not wanted:
            return {}
        if self._rulesets is None:
            from netloom.host.firewall.rulesets import Rulesets

            self._rulesets = self.opened.enter_context(Rulesets(self.scope.lab))
        of_iptables = name != HOST and not wanted.isdisjoint(IPTABLES)
        found = self._rulesets.observe(of_iptables=of_iptables, listed=self.scope.listed)
        return {key: ruleset.digest for key, ruleset in found.items() if ruleset.ours}

    def visit(self, name: str) -> None:
        try:
            handle = open_name(name)
        except Stale:
            if name in self.scope.unpublished and registry.is_bare(name):
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
        if name in self.fence.identities:
            self.links.identities[name] = self.fence.identities[name]

    def visit_inside(self, name: str, handle: Handle) -> None:
        setns(handle)
        keys = self.scope.sysctls.get(name, ())
        with Rtnetlink() as rt:
            dumps = Dumps(rt)
            if name in self.scope.borrowed:
                self.take_borrowed(name, dumps)
                return
            if not self.fence.owns(name, dumps.cookie, dumps.mark):
                self.foreign_names.add(name)
                if lab_of(dumps.mark) == self.scope.lab:
                    self.forged.append(f"the namespace `{name}`")
                return
            values = _forwarding(rt, keys)
        links = self.links.take(name, dumps, marked=True)
        values |= sysctl.read(key for key in keys if key not in values)
        seen = NetnsState(
            links=_as_ipv6_has_it(links, values),
            routes=frozenset(r for r in dumps.routes if not self.by_tap(name, r)),
            rules=frozenset(dumps.rules),
            sysctls=values,
            etc=self.etc(name),
            rulesets=self.rulesets(name),
        )
        self.netns[name] = self.told_apart(name, seen)

    def told_apart(self, name: str, seen: NetnsState) -> NetnsState:
        """Return what is to be known of a namespace of the lab, and note what of it others set.

        Where nothing is remembered, that is all but what the file says.
        """
        wanted = self.scope.wanted.get(name, NetnsState())
        found, others = told_apart(seen, self.known(name), wanted)
        if others != NOBODY:
            self.others[name] = others
        return found

    def note_others(self, name: str, links: Mapping[str, Link]) -> None:
        """Note what others set on the lab's links in a namespace that is not the lab's."""
        wanted = self.scope.wanted.get(name, NetnsState())
        others = on_links(links, (*self.known(name), wanted), wanted)
        if others != NOBODY:
            self.others[name] = others

    def known(self, name: str) -> list[NetnsState]:
        """Return the states of a namespace that are remembered."""
        return [state.netns[name] for state in self.fence.states if name in state.netns]

    def take_borrowed(self, name: str, dumps: Dumps) -> None:
        """Take what is ours in a namespace that is not."""
        links, sysctls = self.links.take(name, dumps, marked=False), sysctl.read((NO_IPV6,))
        links = _as_ipv6_has_it(links, sysctls)
        self.note_others(name, links)
        self.netns[name] = NetnsState(links=links, sysctls=sysctls, borrowed=True)

    def by_tap(self, netns: str, route: Route) -> bool:
        """Whether a route is the one that a user-mode program brings along."""
        return any(self.links.is_tap(netns, hop.dev) for hop in route.nexthops)

    def etc(self, name: str) -> str:
        """Return the files of a namespace in /etc; somebody else's stand in the place of ours."""
        wanted, found = self.scope.etc.get(name, ""), self.place(name)
        if found.digest and found.digest != wanted:
            return found.digest
        entries = self.scope.etc_entries(wanted) if found.entries is not None else ()
        return "" if found.lacks(entries) else wanted

    def place(self, name: str) -> Place:
        """Return what stands in the place of a namespace's files in /etc, and note others'."""
        found = place_of(self.scope.lab, name)
        if found.others:
            self.foreign_files[name] = found.others
        return found

    def kinds(self) -> set[Word]:
        """Return the kinds of links that there are, so that the kernel has them."""
        links = (link for netns in self.netns.values() for link in netns.links.values())
        return {link.kind.word for link in links if link.kind.word}

    def look_at_commands(self) -> None:
        """Take what became of the lab's commands.

        One that failed, or does not see its own /etc any more, is as no other.
        """
        if not has_runs(self.scope.lab):
            return
        from netloom.host.commands import processes

        found: dict[str, dict[str, str]] = {}
        for (netns, name), run in processes.running(self.scope.lab).items():
            if netns in self.netns:
                good = run.state == "running" and not processes.uncovered(netns, run)
                digest = run.digest if good or run.is_done else ""
                found.setdefault(netns, {})[name] = digest
                if run.is_done:
                    self.done.add((netns, name))
            else:
                self.stray_commands.add((netns, name))
        for netns, commands in found.items():
            self.netns[netns] = replace(self.netns[netns], commands=commands)

    def joined(self) -> LabState:
        """Return the snapshot; each wire leads where the indexes of its ends say."""
        links = self.links
        return LabState(
            netns=self.fence.joined(self.netns, links.given, links.renamed, self.trusted),
            defaults=self.defaults,
            default_index=self.default_index,
            firewall=self.firewall,
            given=links.given,
            foreign=Foreign(
                links=links.foreign,
                names=frozenset(self.foreign_names),
                stale=frozenset(self.stale),
                routes=self.foreign_routes,
                outside=frozenset(self.outside),
                groups=frozenset(links.groups),
                files=self.foreign_files,
                forged=(*links.forged, *self.forged),
                lost=tuple(self.lost),
            ),
            others=self.others,
            cookies=links.cookies,
            identities=links.identities,
            unnamed=frozenset(self.unnamed),
            stray_etc=frozenset(self.stray),
            stray_commands=frozenset(self.stray_commands),
            done=frozenset(self.done),
        )


def _as_ipv6_has_it(links: dict[str, Link], sysctls: Mapping[str, str]) -> dict[str, Link]:
    """Return links as they are: where IPv6 is off their mode says what it would do."""
    if sysctls.get(NO_IPV6) != "1":
        return links
    return {name: replace(link, ipv6_ll=False) for name, link in links.items()}


def _forwarding(rt: Rtnetlink, keys: Iterable[str]) -> dict[str, str]:
    """Return those of the sysctls `keys` that netlink tells."""
    asked = [key for key in keys if key in FORWARDING]
    answers = rt.ask_each([netconf_get(FORWARDING[key]) for key in asked])
    return {
        key: read_forwarding(answer)
        for key, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, KernelError)
    }


def observe_lab(scope: Scope, *, empty: bool = False, bare: bool = False) -> LabState:
    """Return what is there within a scope; raises `Unavailable` where that cannot be looked at.

    `empty`: the machine is known to be newborn, with nothing in it; `bare`: its namespace `host` is
    known to have no interfaces but those of its birth.
    """
    observer = _Observer(scope, bare=bare)
    try:
        if empty and not scope.firewall:
            return observer.look_at_nothing()
        return visiting(observer.observe)
    except FAILURES as error:
        raise cannot_look(error) from error
