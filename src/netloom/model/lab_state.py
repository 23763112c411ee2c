"""What is there: the same nouns as asked for, and beside them what only the kernel knows.

The snapshot of a lab is cut by *the fence*: of the namespace `host` and of other people's things it
holds no more than their names and subnets, so that nothing later can change them by mistake. That
of a machine (`netloom.observe`) has no fence, and is never the ground of a change.
"""

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.model.firewall import FirewallState
from netloom.model.identity import Identities, Identity, Pair
from netloom.model.objects import Addr, Desired, End, NetnsState, Route, Rule


class GivenLink(Struct, frozen=True):
    """What the kernel gave to a link: its index, and whether it has carrier.

    `link_index` is the index of the link that it hangs on (IFLA_LINK): a wire's far end.
    """

    index: int
    carrier: bool = False
    link_index: int = 0


class Foreign(Struct, frozen=True):
    """What others made, as far as it can stand in our way.

    `links` are their interfaces in a namespace of ours or in `host`; `names` the entries of
    /run/netns that are not ours; `stale` those among them that are no namespaces at all. `routes`
    are those of `host` in the place of one that is wanted, and, where nothing is remembered of the
    lab, those that some lab made. `outside` are those of their interfaces in namespaces of the lab
    that are somebody's outside, too: a far end, a child of a link there, a network card. `groups`
    are those that their interfaces are in (IFLA_GROUP); `files` the paths of what stands in
    /etc/netns for namespaces of the lab's, by their names; `forged` tells in words what bears the
    lab's mark, and is not its own. `lost` are settings that labs shared, and of which nobody knows
    any more what they were before.
    """

    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()
    routes: frozenset[Route] = frozenset()
    outside: frozenset[End] = frozenset()
    groups: frozenset[int] = frozenset()
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forged: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class Others(Struct, frozen=True):
    """What others set in a namespace of the lab, or on a link of it: it stays, and is no drift.

    Addresses, altnames and masters by the names of the links that they are of.
    """

    addrs: Mapping[str, tuple[Addr, ...]] = field(default_factory=dict)
    altnames: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    masters: Mapping[str, str] = field(default_factory=dict)
    routes: frozenset[Route] = frozenset()
    rules: frozenset[Rule] = frozenset()


class LabState(Struct, frozen=True):
    """One look at the machine, within the fence of one lab, or at all of it.

    `netns` holds what is ours (of a whole machine: all that may be looked at), and what others set
    in it, which `others` tells; `defaults` the sysctls that a new namespace begins with (it
    inherits the IPv4 settings of the initial one, net/ipv4/devinet.c), `default_index` the highest
    index of its links; `firewall` the firewalls of the host, if somebody asked for them; `given`
    and `foreign` the rest; `cookies` are those of the namespaces (SO_NETNS_COOKIE), `identities`
    what the lab's things are known by from now on, under the names that they are remembered by.
    `unnamed` are files in /run/netns of names of the lab's, with no namespace mounted on them (yet,
    or any more); `stray_etc` names whose files of ours in /etc outlived their namespace,
    `stray_commands` namespaces and names of commands that did; `done` those of commands that have
    ended, with 0.
    """

    netns: Mapping[str, NetnsState] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    default_index: int = 1
    given: Mapping[End, GivenLink] = field(default_factory=dict)
    foreign: Foreign = Foreign()
    others: Mapping[str, Others] = field(default_factory=dict)
    cookies: Mapping[str, int] = field(default_factory=dict)
    identities: Identities = field(default_factory=dict)
    firewall: FirewallState | None = None
    unnamed: frozenset[str] = frozenset()
    stray_etc: frozenset[str] = frozenset()
    stray_commands: frozenset[tuple[str, str]] = frozenset()
    done: frozenset[tuple[str, str]] = frozenset()

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

    def identified(self, desired: Desired, made: Identities) -> Identities:
        """Return what all of `desired` is known by when it is there, with what was `made` of it."""
        found: dict[str, Identity] = {}
        for name, netns in desired.netns.items():
            was, new = self.identities.get(name), made.get(name)
            if was and not new and was.links.keys() == netns.links.keys() - _LO:
                found[name] = was
            elif latest := new or was:
                pairs = {link: self._pair(End(name, link), was, new) for link in netns.links}
                links = {link: pair for link, pair in pairs.items() if pair}
                found[name] = Identity(latest.cookie, links)
        return found

    def _pair(self, end: End, was: Identity | None, new: Identity | None) -> Pair | None:
        if end.link in _LO:
            return None
        if new and end.link in new.links:
            return new.links[end.link]
        given = self.given.get(end)
        if given:
            return given.index, given.link_index
        return was.links.get(end.link) if was else None


_LO = {"lo"}


def _known(netns: NetnsState, desired: Desired, name: str) -> NetnsState:
    wanted = desired.netns.get(name, NetnsState())
    rulesets = {
        key: digest if digest in desired.texts else wanted.rulesets[key]
        for key, digest in netns.rulesets.items()
        if digest in desired.texts or key in wanted.rulesets
    }
    return replace(
        netns,
        sysctls={key: value for key, value in netns.sysctls.items() if key in wanted.sysctls},
        rulesets=rulesets,
        commands={n: d for n, d in netns.commands.items() if wanted.commands.get(n) == d},
    )
