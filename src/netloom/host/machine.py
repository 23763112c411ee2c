"""The seam: all that the verbs of a lab need of a machine.

`ThisMachine` (`this.py`) is the real one.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from netloom.errors import Refused
from netloom.model.objects import HOST, Borrowed, Bridge, Desired, End, Netns, Veth, is_kept
from netloom.model.snapshot import Snapshot
from netloom.model.walls import Walls
from netloom.plan.steps import Plan
from netloom.plan.sysctls import default_of, link_of
from netloom.topology.allocate import HostSubnet
from netloom.topology.expand import Joined
from netloom.topology.lend import Nic
from netloom.topology.uplink import Outside

if TYPE_CHECKING:
    from netloom.host.rulesets import Foretellings, Text


class Scope(Struct, frozen=True):
    """Where to look, and how to tell there what is ours.

    `desired`: namespaces and sysctls to look at. `macs`: MAC addresses by which a link that was
    made and not marked yet is known. `unpublished`: namespaces that a killed `up` was about to
    make. `making`: namespaces that there shall be; if one is missing, `fresh` are the sysctls
    to read in a newborn namespace, and `kinds` the kinds of links to try there.
    `forgotten`: whether a sysctl that was asked for once is asked for no more, and shall be as
    in a newborn namespace again. `etc` are the folders of files for /etc, by their digests,
    that there shall be; `rulesets` the firewall rules to look for; `walls`
    whether to look at the firewalls of others. `borrowed` are namespaces that are not the lab's, in
    which only its links count; `ports` interfaces that it may have borrowed, as they were found.
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
    kinds: frozenset[str] = frozenset()
    etc: Mapping[str, str] = field(default_factory=dict)
    rulesets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    walls: bool = False
    borrowed: frozenset[str] = frozenset()
    ports: Mapping[str, Borrowed] = field(default_factory=dict)


class Orders(Struct, frozen=True):
    """How a plan shall be carried out.

    `go_on`: after a refusal, go on and report all (teardown); else stop at the first. `progress` is
    told how many steps are done; `stopped` says whether to stop early. `inside` are prefixes that
    the lab leaves: whatever the plan says, the host forgets their connections at the end.
    """

    lab: str
    snapshot: Snapshot
    go_on: bool = False
    progress: Callable[[int], None] = lambda done: None  # noqa: ARG005 - the shape of a progress call
    stopped: Callable[[], bool] = lambda: False
    inside: frozenset[str] = frozenset()


Holders = dict[str, list[tuple[int, str]]]
"""The processes that live in a namespace, (pid, command), by its name."""


class Machine(Protocol):
    """A machine with network namespaces."""

    @property
    def boot(self) -> str:
        """The name of this boot."""

    @property
    def ipv6(self) -> bool:
        """Whether the kernel has IPv6."""

    def check_lasting(self) -> None:
        """Raise `Unavailable` where what is made would be gone with this process."""

    def host_subnets(self, lab: str) -> tuple[HostSubnet, ...]:
        """Return the prefixes connected to the namespace `host`, without the lab's own."""

    def outside(self, lab: str, ports: Collection[tuple[str, int]] = ()) -> Outside:
        """Return what lies around the namespace `host`, without the lab's own.

        `ports` are protocols and ports of which it shall be known whether they are taken.
        """

    def foretell(self, lab: str, texts: "Iterable[Text]", links: Iterable[str]) -> "Foretellings":
        """Return, for each text of firewall rules, how it will be listed, or its mistakes.

        `links` are names of interfaces that the texts may speak of. Raises `Unavailable` where the
        machine has no nftables.
        """

    def joined(self, segment: str) -> Joined:
        """Return what is known of a segment that is not a lab's; raises `Unavailable`."""

    def nics(self) -> Mapping[str, Nic]:
        """Return the interfaces of the namespace `host`, as those that could be a port."""

    def check(self, desired: Desired, walls: Walls | None) -> None:
        """Raise `Unavailable` for what could not be started, or not be opened, here."""

    def wait_ready(self, lab: str, desired: Desired, timeout: float) -> None:
        """Return when all commands are ready; raise `NotReady` after `timeout` seconds."""

    def observe(self, scope: Scope) -> Snapshot:
        """Return what is there within a scope."""

    def apply(self, plan: Plan, orders: Orders) -> list[Refused]:
        """Carry out a plan; return what was refused, at most one unless told to go on."""

    def marked(self, lab: str) -> frozenset[str]:
        """Return the names of all namespaces that bear the mark of a lab, wherever it was noted."""

    def holders(self, names: Iterable[str]) -> Holders:
        """Return the processes that live in namespaces of these names."""


def scope_of(
    lab: str,
    states: Iterable[Desired],
    *,
    making: Desired | None = None,
    unpublished: frozenset[str] = frozenset(),
) -> Scope:
    """Return the scope that covers several states of a lab; `making` is the one wanted now."""
    names: set[str] = set(unpublished)
    sysctls: dict[str, set[str]] = {}
    macs: set[tuple[str, str]] = set()
    peers: dict[str, End] = {}
    ports: dict[str, Borrowed] = {}
    rulesets: dict[str, set[str]] = {}
    every = [*states, *([making] if making else [])]
    for state in every:
        for name, netns in state.netns.items():
            names.add(name)
            if netns.rulesets:
                rulesets.setdefault(name, set()).update(netns.rulesets)
            sysctls.setdefault(name, set()).update(netns.sysctls)
            for link_name, link in netns.links.items():
                if link.mac:
                    macs.add((f"{name}:{link_name}", link.mac))
                if isinstance(link.kind, Veth):
                    peers[f"{name}:{link_name}"] = link.kind.peer
                elif isinstance(link.kind, Borrowed):
                    ports[f"{name}:{link_name}"] = link.kind
    wanted = making.netns if making else {}
    forgotten = {
        default_of(key)
        for name, netns in wanted.items()
        for key in sysctls[name] - netns.sysctls.keys()
    }
    return Scope(
        lab=lab,
        names=frozenset(names),
        sysctls={name: tuple(sorted(keys)) for name, keys in sysctls.items()},
        macs=frozenset(macs),
        peers=peers,
        ports=ports,
        unpublished=unpublished,
        making=frozenset(name for name, netns in wanted.items() if not is_kept(name, netns)),
        fresh=tuple(sorted(forgotten.union(*(_global_sysctls(n) for n in wanted.values())))),
        forgotten=bool(forgotten),
        kinds=frozenset(_kinds(wanted.values())),
        etc={name: netns.etc for name, netns in wanted.items() if netns.etc},
        rulesets={name: frozenset(found) for name, found in rulesets.items()},
        walls=any(state.netns[HOST].passages for state in every if HOST in state.netns),
        borrowed=frozenset(
            name for state in every for name, netns in state.netns.items() if netns.borrowed
        ),
    )


def _global_sysctls(netns: Netns) -> set[str]:
    return {key for key in netns.sysctls if not link_of(key)}


def _kinds(wanted: Iterable[Netns]) -> Iterator[str]:
    for netns in wanted:
        for link in netns.links.values():
            if isinstance(link.kind, Veth | Bridge):
                yield "veth" if isinstance(link.kind, Veth) else "bridge"
