"""The hosts files of a lab: every name of it, as each namespace should hear it (hosts(5)).

Who shares a segment with a name hears the address on that segment; who does not hears all that the
name has. Files are the same for all that see the same segments, and are written once.
"""

from collections.abc import Mapping

from netloom.compile.addressing import Naming
from netloom.language.topology import Topology
from netloom.model.objects import HOST
from netloom.values import Family

_LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_FAMILIES: tuple[Family, Family] = (4, 6)


class HostsFiles:
    """Makes the hosts file of each namespace, keeping what several share."""

    def __init__(self, topology: Topology, naming: Naming, hostname: str = "") -> None:
        """Prepare the lines that everyone hears alike.

        `hostname` is the machine's own, which sudo and many a server look up when they start:
        without its line they would ask a resolver, and wait for one that is not to be reached.
        """
        self.naming = naming
        self.names = [name for name in naming.expanded.members if name != HOST]
        if HOST in naming.ports:
            self.names.append(HOST)
        self.lines = {name: self._all_addresses(name) for name in self.names}
        self.several = [name for name in self.names if self._is_several(name)]
        self.common = "".join(self.lines.values())
        outside = (
            f"{a}\t{name}\n" for name, addresses in topology.hosts.items() for a in addresses
        )
        self.outside = "".join(outside)
        is_told = not hostname or hostname in {"localhost", *self.names, *topology.hosts}
        self.machine = "" if is_told else f"127.0.1.1\t{hostname}\n"
        self._views: dict[frozenset[int], str] = {}
        self._texts: dict[tuple[str, str], str] = {}

    def text(self, viewer: str, extra: Mapping[str, tuple[str, ...]]) -> str:
        """Return the hosts file of a namespace, `extra` being its own `hosts:`."""
        own = "".join(f"{a}\t{name}\n" for name, addresses in extra.items() for a in addresses)
        lab = self._lab(viewer)
        if (own, lab) not in self._texts:  # a text for each would be quadratic
            self._texts[own, lab] = f"{_LOCAL}{self.machine}{own}{lab}{self.outside}"
        return self._texts[own, lab]

    def _lab(self, viewer: str) -> str:
        if not self.several:
            return self.common
        view = frozenset(id(segment) for segment, _ in self.naming.ports.get(viewer, ()))
        if view not in self._views:
            ports = (
                port for segment, _ in self.naming.ports.get(viewer, ()) for port in segment.ports
            )
            beside = {port.end.netns for port in ports}
            seen = {name: self._as_seen(viewer, name) for name in self.several if name in beside}
            parts = (seen.get(name, lines) for name, lines in self.lines.items())
            self._views[view] = "".join(parts)
        return self._views[view]

    def _is_several(self, name: str) -> bool:
        return any(len(self.naming.addresses(name, version)) > 1 for version in _FAMILIES)

    def _all_addresses(self, name: str) -> str:
        return "".join(
            f"{address}\t{name}\n"
            for version in _FAMILIES
            for _, address in self.naming.addresses(name, version)
        )

    def _as_seen(self, viewer: str, name: str) -> str:
        """Return the lines for a name with several addresses: the shared ones, if any."""
        lines = ""
        for version in _FAMILIES:
            shared = [address for _, _, address in self.naming.shared(viewer, name, version)]
            every = [address for _, address in self.naming.addresses(name, version)]
            lines += "".join(f"{address}\t{name}\n" for address in shared or every)
        return lines
