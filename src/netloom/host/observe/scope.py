"""Where to look for what is a lab's, and how to tell it there."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from netloom.model.objects import (
    HOST,
    Desired,
    File,
    NetnsState,
    RouteKey,
    Word,
    etc_entries,
    is_kept,
)
from netloom.plan.fence import Fence
from netloom.plan.sysctls import default_of, link_of


class Scope(Struct, frozen=True):
    """Where to look, and by the `fence` how to tell there what is ours.

    `names`: namespaces to look at. `links`: interfaces of the namespace `host` that the lab has or
    shall have, `routes` what tells the routes apart that it shall have there. `unpublished`: names
    that the lab has or was about to make, of which an empty file may be all that is there.
    `making`: namespaces that there shall be; if one is missing, `fresh` are the sysctls to read in
    a newborn namespace, and `kinds` the kinds of links to try there. `forgotten`: whether a sysctl
    that was asked for once is asked for no more, and shall be as in a newborn namespace again.
    `etc` are the folders of files for /etc, by their digests, that there shall be, and `folders`
    what is in them; `rulesets` the firewall rules to look for, and `listed` whether it matters what
    is in them; `firewall` whether to look at the firewalls of others. `borrowed` are namespaces
    that are not the lab's, in which only its links count. `trusted` are namespaces that are not
    visited, but taken to be as they were applied; `wanted` is how each shall be.
    """

    fence: Fence
    names: frozenset[str] = frozenset()
    sysctls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    links: frozenset[str] = frozenset()
    routes: frozenset[RouteKey] = frozenset()
    unpublished: frozenset[str] = frozenset()
    making: frozenset[str] = frozenset()
    fresh: tuple[str, ...] = ()
    forgotten: bool = False
    kinds: frozenset[Word] = frozenset()
    etc: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, File]] = field(default_factory=dict)
    rulesets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    listed: bool = True
    firewall: bool = False
    borrowed: frozenset[str] = frozenset()
    trusted: Mapping[str, NetnsState] = field(default_factory=dict)
    wanted: Mapping[str, NetnsState] = field(default_factory=dict)

    @property
    def lab(self) -> str:
        """The name of the lab."""
        return self.fence.lab

    def etc_entries(self, digest: str) -> frozenset[str]:
        """Return the entries of /etc that a folder of files is for."""
        return etc_entries(self.folders.get(digest, ()))

    @property
    def in_host(self) -> bool:
        """Whether the lab has, had or shall have a part in the namespace `host`."""
        settings = self.firewall or HOST in self.rulesets or bool(self.sysctls.get(HOST))
        return settings or bool(self.links or self.routes or self.fence.has_routes)


def scope_of(fence: Fence, making: Desired | None = None) -> Scope:
    """Return the scope that covers all that is remembered of a lab, and what is wanted now."""
    every = [*fence.states, *([making] if making else [])]
    spaces = [pair for state in every for pair in state.netns.items()]
    sysctls: dict[str, set[str]] = {}
    rulesets: dict[str, set[str]] = {}
    for name, netns in spaces:
        sysctls.setdefault(name, set()).update(netns.sysctls)
        if netns.rulesets:
            rulesets.setdefault(name, set()).update(netns.rulesets)
    wanted = making.netns if making else {}
    host = [netns for name, netns in spaces if name == HOST]
    forgotten = {
        default_of(key)
        for name, netns in wanted.items()
        for key in sysctls[name] - netns.sysctls.keys()
    }
    return Scope(
        fence=fence,
        names=fence.made.union(sysctls),
        sysctls={name: tuple(sorted(keys)) for name, keys in sysctls.items()},
        links=frozenset(link for netns in host for link in netns.links),
        routes=frozenset(route.key for route in wanted.get(HOST, NetnsState()).routes),
        unpublished=fence.made.union(_members(fence.states)),
        making=frozenset(name for name, netns in wanted.items() if not is_kept(name, netns)),
        fresh=tuple(sorted(forgotten.union(*(_global_sysctls(n) for n in wanted.values())))),
        forgotten=bool(forgotten),
        kinds=frozenset(_kinds(wanted.values())),
        etc={name: netns.etc for name, netns in wanted.items() if netns.etc},
        folders=making.folders if making else {},
        rulesets={name: frozenset(found) for name, found in rulesets.items()},
        listed=making is not None,
        firewall=any(netns.exceptions for netns in host),
        borrowed=frozenset(name for name, netns in spaces if netns.borrowed),
        wanted=wanted,
    )


def _members(states: Iterable[Desired]) -> Iterator[str]:
    for state in states:
        yield from (name for name, one in state.netns.items() if not is_kept(name, one))


def _global_sysctls(netns: NetnsState) -> set[str]:
    return {key for key in netns.sysctls if not link_of(key)}


def _kinds(wanted: Iterable[NetnsState]) -> Iterator[Word]:
    for netns in wanted:
        for link in netns.links.values():
            if link.kind.word:
                yield link.kind.word
