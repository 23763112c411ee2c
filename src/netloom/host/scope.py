"""Where to look for what is a lab's, and how to tell it there."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from netloom.model.objects import HOST, Borrowed, Desired, End, Link, Netns, Word, is_kept
from netloom.plan.sysctls import default_of, link_of


class Scope(Struct, frozen=True):
    """Where to look, and how to tell there what is ours.

    `desired`: namespaces and sysctls to look at. `macs`: MAC addresses by which a link that was
    made and not marked yet is known. `unpublished`: namespaces that a killed `up` was about to
    make. `making`: namespaces that there shall be; if one is missing, `fresh` are the sysctls
    to read in a newborn namespace, and `kinds` the kinds of links to try there.
    `forgotten`: whether a sysctl that was asked for once is asked for no more, and shall be as
    in a newborn namespace again. `etc` are the folders of files for /etc, by their digests,
    that there shall be; `rulesets` the firewall rules to look for, and `listed` whether it matters
    what is in them; `walls` whether to look at the firewalls of others. `borrowed` are namespaces
    that are not the lab's, in which only its links count; `ports` interfaces that it may have
    borrowed, as they were found. `trusted` are namespaces that are not visited, but taken to be as
    they were applied.
    """

    lab: str
    names: frozenset[str] = frozenset()
    sysctls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    macs: frozenset[tuple[str, str]] = frozenset()
    peers: Mapping[str, End] = field(default_factory=dict)
    unpublished: frozenset[str] = frozenset()
    making: frozenset[str] = frozenset()
    fresh: tuple[str, ...] = ()
    forgotten: bool = False
    kinds: frozenset[Word] = frozenset()
    etc: Mapping[str, str] = field(default_factory=dict)
    rulesets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    listed: bool = True
    walls: bool = False
    borrowed: frozenset[str] = frozenset()
    ports: Mapping[str, Borrowed] = field(default_factory=dict)
    trusted: Mapping[str, Netns] = field(default_factory=dict)

    @property
    def in_host(self) -> bool:
        """Whether the lab has, had or shall have a part in the namespace `host`."""
        ends = (*self.peers, *self.ports, *(end for end, _ in self.macs))
        settings = self.walls or HOST in self.rulesets or bool(self.sysctls.get(HOST))
        return settings or any(end.startswith(f"{HOST}:") for end in ends)


def scope_of(
    lab: str,
    states: Iterable[Desired],
    *,
    making: Desired | None = None,
    unpublished: frozenset[str] = frozenset(),
) -> Scope:
    """Return the scope that covers several states of a lab; `making` is the one wanted now."""
    every = [*states, *([making] if making else [])]
    spaces = [pair for state in every for pair in state.netns.items()]
    sysctls: dict[str, set[str]] = {}
    rulesets: dict[str, set[str]] = {}
    for name, netns in spaces:
        sysctls.setdefault(name, set()).update(netns.sysctls)
        if netns.rulesets:
            rulesets.setdefault(name, set()).update(netns.rulesets)
    links = [pair for name, netns in spaces for pair in _links(name, netns)]
    wanted = making.netns if making else {}
    forgotten = {
        default_of(key)
        for name, netns in wanted.items()
        for key in sysctls[name] - netns.sysctls.keys()
    }
    return Scope(
        lab=lab,
        names=unpublished.union(sysctls),
        sysctls={name: tuple(sorted(keys)) for name, keys in sysctls.items()},
        macs=frozenset((end, link.mac) for end, link in links if link.mac),
        peers={end: link.peer for end, link in links if link.peer},
        ports={end: link.borrowed for end, link in links if link.borrowed},
        unpublished=unpublished,
        making=frozenset(name for name, netns in wanted.items() if not is_kept(name, netns)),
        fresh=tuple(sorted(forgotten.union(*(_global_sysctls(n) for n in wanted.values())))),
        forgotten=bool(forgotten),
        kinds=frozenset(_kinds(wanted.values())),
        etc={name: netns.etc for name, netns in wanted.items() if netns.etc},
        rulesets={name: frozenset(found) for name, found in rulesets.items()},
        listed=making is not None,
        walls=any(netns.passages for name, netns in spaces if name == HOST),
        borrowed=frozenset(name for name, netns in spaces if netns.borrowed),
    )


def _links(name: str, netns: Netns) -> Iterator[tuple[str, Link]]:
    return ((f"{name}:{link_name}", link) for link_name, link in netns.links.items())


def _global_sysctls(netns: Netns) -> set[str]:
    return {key for key in netns.sysctls if not link_of(key)}


def _kinds(wanted: Iterable[Netns]) -> Iterator[Word]:
    for netns in wanted:
        for link in netns.links.values():
            if link.kind.word:
                yield link.kind.word
