"""The ways out of the host, as a packet of a network would be led by its routes and rules.

It comes in by the network's interface and bears no mark, so a rule about either is followed.
"""

from collections.abc import Iterable, Mapping

from netloom.datapath.fib import Fib
from netloom.datapath.ways_out import Candidates, ways_out
from netloom.model.facts import UplinkFacts
from netloom.model.objects import Addr, Link
from netloom.values import Family

_FAMILIES: tuple[Family, Family] = (4, 6)


class Exits:
    """What is known of the ways out, to be asked for several networks."""

    def __init__(self, outside: UplinkFacts) -> None:
        """Take the routes and rules of the host, and its interfaces that are no lab's."""
        self.outside = outside
        self._fib = Fib(outside.routes, outside.rules, outside.groups)
        links = outside.links.keys() - outside.of_labs - {"lo"}
        self._candidates = Candidates(links, outside.tunnels, outside.bridges)

    def of_host(self) -> dict[Family, dict[str, bool]]:
        """Return by family where the host's own packets leave; whether by a default route."""
        return {each: ways_out(self._fib, each, self._candidates) for each in _FAMILIES}

    def of_network(self, iif: str, addrs: Iterable[Addr]) -> dict[Family, dict[str, bool]]:
        """Return where those of a network leave, in the families that have a default route there.

        `addrs` are the host's on the network, `iif` is its interface there.
        """
        found: dict[Family, dict[str, bool]] = {}
        for addr in sorted(addrs, key=lambda each: each.family):  # each in a subnet of its own
            ways = ways_out(self._fib, addr.family, self._candidates, addr.ip, iif)
            found[addr.family] = _merged((found.get(addr.family, {}), ways))
        return {version: ways for version, ways in found.items() if any(ways.values())}

    def usable(self, ways: Iterable[Mapping[str, bool]]) -> tuple[str, ...]:
        """Return the interfaces of some ways; those that are down, if no default route is left."""
        by_default = _merged(ways)
        fit = [link for link in by_default if not self.outside.links[link]]
        return tuple(fit if any(by_default[link] for link in fit) else by_default)


def _merged(ways: Iterable[Mapping[str, bool]]) -> dict[str, bool]:
    """Return all of some ways, each by a default route if one of them is."""
    found: dict[str, bool] = {}
    for each in ways:
        for link, default in each.items():
            found[link] = found.get(link, False) or default
    return found


def uplink_moved(
    held: Mapping[str, tuple[str, ...]], links: Mapping[str, Link], outside: UplinkFacts
) -> str | None:
    """Return what is to say if packets of a lab leave by other interfaces by now, else None.

    `held` says by which they left, by the interface of the host that they come in by; `links` are
    the lab's on the host.
    """
    exits = Exits(outside)
    for iif, was in held.items():
        ways = exits.of_network(iif, links[iif].addrs if iif in links else ())
        now = exits.usable(ways.values())
        if not now:
            return f"the host has no default route any more; it led out of {listed(was)}"
        if set(now) != set(was):
            return f"the host's routes lead out of {listed(now)} by now, not {listed(was)}"
    return None


def listed(names: Iterable[str]) -> str:
    """Return names of interfaces for a sentence."""
    return " and ".join(f"`{name}`" for name in sorted(names))
