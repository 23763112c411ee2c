"""What is there: the same nouns as asked for, and beside them what only the kernel knows.

The snapshot of a lab is cut by *the fence*: of the namespace `host` and of other people's things it
holds no more than their names and subnets, so that nothing later can change them by mistake. That
of a machine (`netloom.observe`) has no fence, and is never the ground of a change.
"""

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.model.objects import Desired, End, Netns
from netloom.model.walls import Walls


class GivenLink(Struct, frozen=True):
    """What the kernel gave to a link: its index, whether it has carrier, its far end's index."""

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
    """One look at the machine, within the fence of one lab, or at all of it.

    `netns` holds what is ours (of a whole machine: all that may be looked at); `newborn` the
    sysctls that a fresh namespace begins with (New namespaces inherit the IPv4 settings of the
    initial one, net/ipv4/devinet.c), `newborn_links` the highest index of its links; `walls` the
    firewalls of the host, if somebody asked for them; `given` and `foreign` the rest. `unnamed`
    are files in /run/netns that a killed `up` made and never mounted a namespace on; `stray_etc`
    names whose files of ours in /etc outlived their namespace, `stray_commands` namespaces and
    names of commands that did.
    """

    netns: Mapping[str, Netns] = field(default_factory=dict)
    newborn: Mapping[str, str] = field(default_factory=dict)
    newborn_links: int = 1
    given: Mapping[End, GivenLink] = field(default_factory=dict)
    foreign: Foreign = Foreign()
    cookies: Mapping[str, int] = field(default_factory=dict)
    walls: Walls | None = None
    unnamed: frozenset[str] = frozenset()
    stray_etc: frozenset[str] = frozenset()
    stray_commands: frozenset[tuple[str, str]] = frozenset()

    @property
    def asked(self) -> Desired:
        """The asked facts alone: what would have to be desired to leave all as it is."""
        return Desired(netns=self.netns)

    def asked_by(self, desired: Desired) -> Desired:
        """Return the asked facts as far as `desired` has words for them.

        Without the sysctls that it says nothing of, and the commands that it does not know; with
        its own rules where what is there is nothing that it knows.
        """
        netns = {name: _known(one, desired, name) for name, one in self.netns.items()}
        return replace(desired, netns=netns)


def _known(netns: Netns, desired: Desired, name: str) -> Netns:
    said = desired.netns.get(name, Netns())
    rulesets = {
        key: digest if digest in desired.texts else said.rulesets[key]
        for key, digest in netns.rulesets.items()
        if digest in desired.texts or key in said.rulesets
    }
    return replace(
        netns,
        sysctls={key: value for key, value in netns.sysctls.items() if key in said.sysctls},
        rulesets=rulesets,
        commands={key: d for key, d in netns.commands.items() if d in desired.commands},
    )
