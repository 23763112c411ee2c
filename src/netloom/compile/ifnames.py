"""Names of interfaces that no file gives: of what is on the other side, as the kernel takes them.

In the namespace `host` a name may be somebody else's, a program's or another lab's: then the lab's
name follows it, unless the file speaks of the interface.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, pairwise

from netloom.language.topology import NamespaceSpec, Topology
from netloom.model.names import short_name
from netloom.model.objects import HOST


class HostNames:
    """The texts from which interfaces in `host` have their names, by what is on the other side.

    `given` are those that were asked for.
    """

    def __init__(
        self, topology: Topology, held: Mapping[str, str] | None = None, taken: Iterable[str] = ()
    ) -> None:
        """Give none of the names that are `taken`; those that the lab has by now are `held`."""
        self.lab = topology.name
        self.held = held or {}
        self.spoken = spoken_of(topology)
        self.taken = set(taken)
        self.given: dict[str, str] = {}

    def __call__(self, far: str) -> str:
        """Return the text for the interface that leads to a network, or to a namespace."""
        if far not in self.given:
            free = filter(self._is_free, self._texts(far))
            text = far if short_name(far) in self.spoken else next(free)
            self.given[far] = text
            self.taken |= {text, short_name(text)}
        return self.given[far]

    def _texts(self, far: str) -> Iterator[str]:
        if far in self.held:
            yield self.held[far]
        yield from (far, f"{far}.{self.lab}")
        yield from (f"{far}.{self.lab}.{number}" for number in count(2))

    def _is_free(self, text: str) -> bool:
        return self.taken.isdisjoint((text, short_name(text)))


def spoken_of(topology: Topology) -> set[str]:
    """Return the interfaces of `host` that a topology speaks of, by settings or by routes."""
    members = topology.namespaces or {}
    host = members.get(HOST, NamespaceSpec())
    texts = [text for spec in members.values() for text in spec.routes]
    texts += [network.gateway for network in topology.networks.values()]
    ends = (word.partition(":") for text in texts for word in text.split())
    out = (pair for text in host.routes for pair in pairwise(text.split()))
    return {
        *host.interfaces,
        *(link for netns, _, link in ends if netns == HOST),
        *(link for word, link in out if word == "dev"),
    }
