"""What is there: the same nouns as asked for, and beside them what only the kernel knows.

A snapshot is cut by *the fence*: of the namespace `host` and of other people's things it holds no
more than their names and subnets, so that nothing later can change them by mistake.
"""

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.model.objects import Desired, End, Netns


class GivenLink(Struct, frozen=True):
    """What the kernel gave to one of our links: its index, and whether it has carrier."""

    index: int
    carrier: bool = False
    peer_index: int = 0


class Foreign(Struct, frozen=True):
    """What others made, as far as it can stand in our way.

    `links` are their interfaces in a namespace of ours or in `host`; `names` the entries of
    /run/netns that are not ours; `stale` those among them that are no namespaces at all.
    """

    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()


class Snapshot(Struct, frozen=True):
    """One look at the machine, within the fence of one lab.

    `netns` holds what is ours; `newborn` the sysctls that a fresh namespace begins with (New
    namespaces inherit the IPv4 settings of the initial one, net/ipv4/devinet.c),
    `newborn_links` the highest index of its links; `given` and `foreign` the rest. `unnamed`
    are files in /run/netns that a killed `up` made and never mounted a namespace on;
    `stray_etc` names whose files of ours in /etc outlived their namespace.
    """

    netns: Mapping[str, Netns] = field(default_factory=dict)
    newborn: Mapping[str, str] = field(default_factory=dict)
    newborn_links: int = 1
    given: Mapping[End, GivenLink] = field(default_factory=dict)
    foreign: Foreign = Foreign()
    cookies: Mapping[str, int] = field(default_factory=dict)
    unnamed: frozenset[str] = frozenset()
    stray_etc: frozenset[str] = frozenset()

    @property
    def asked(self) -> Desired:
        """The asked facts alone: what would have to be desired to leave all as it is."""
        return Desired(netns=self.netns)

    def asked_by(self, desired: Desired) -> Desired:
        """Return the asked facts without the sysctls that `desired` says nothing of."""
        return Desired(
            netns={
                name: replace(
                    netns,
                    sysctls={
                        key: value
                        for key, value in netns.sysctls.items()
                        if name in desired.netns and key in desired.netns[name].sysctls
                    },
                )
                for name, netns in self.netns.items()
            },
            folders=desired.folders,
            texts=desired.texts,
        )
