"""Names that nothing in a text declares, looked for in what was written.

`lower` finds them all, and knows more; but it has its turn only once every word can be read. Where
a text has other mistakes these are to be told in the same round, so what is in doubt passes here.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from netloom.errors import Path, Problem
from netloom.language import scalars
from netloom.language.decoder import SourcePlace
from netloom.language.keys import TOPOLOGY
from netloom.language.nodes import TextNode
from netloom.language.suggest import did_you_mean
from netloom.model.objects import HOST
from netloom.values import RESERVED, ip

Places = Mapping[Path, SourcePlace]


def unknown_names(places: Places) -> Iterator[Problem]:
    """Find memberships, ends of links, gateways and expectations whose name nobody bears."""
    networks = [str(path[1]) for path in places if len(path) == 2 and path[0] == "networks"]
    for path in places:
        if len(path) == 4 and (path[0], path[2]) == ("namespaces", "networks"):
            name = str(path[3])
            if name not in networks:
                hint = did_you_mean(name, networks)
                yield Problem(f"no network `{name}`", path, hint, at_key=True)
    if all(len(path) != 1 or _is_key(path[0]) for path in places):  # else it may declare much
        yield from _unknown_namespaces(places, networks)


def _is_key(word: object) -> bool:
    return word in TOPOLOGY.keys or str(word).startswith("x-")


def _unknown_namespaces(places: Places, networks: list[str]) -> Iterator[Problem]:
    declared = {name for name, _ in namespaces(places)}
    outside = {str(path[1]) for path in places if len(path) == 2 and path[0] == "hosts"}
    around = declared | outside | set(networks)
    groups = {path[1] for path in places if path[:1] + path[2:] == ("namespaces", "count")}
    for path, place in places.items():
        text = place.value.value if isinstance(place.value, TextNode) else ""
        for name in _named(path, text):
            if name in RESERVED or name in around or name.rstrip("0123456789") in groups:
                continue
            hint = did_you_mean(name, sorted(around if path[0] == "expect" else declared))
            if path[0] == "links":
                yield Problem(f"no namespace `{name}`: a wire to nowhere", path, hint)
            elif path[0] == "expect":
                yield Problem(f"nobody here is called `{name}`", path, hint)
            else:
                yield Problem(f"`{name}` is neither an address nor a name here", path, hint)


def _named(path: Path, text: str) -> Iterator[str]:
    """Yield the names that a text speaks of where it stands, none if it cannot be read."""
    try:
        match path:
            case ("links", int(), "ends", int()):
                yield scalars.end(text).netns
            case ("expect", int()):
                flow = scalars.flow(text)
                yield from (_name(place) for place in (*flow.sources, *flow.destinations))
            case ("namespaces", _, "routes", int()):
                words = text.split()
                yield from (
                    _name(scalars.place(after))
                    for word, after in pairwise(words)
                    if word == "via" and after not in {"inet", "inet6"}
                )
    except ValueError:
        return  # which the reader has told, or `lower` will


def _name(place: str) -> str:
    """Return the name in what can stand in a FLOW, `host` for an address: nobody is missed."""
    try:
        ip(place)
    except ValueError:
        return place.partition(":")[0]
    return HOST


def namespaces(places: Places) -> Iterator[tuple[str, Path]]:
    """Return the namespaces that a text declares: by `namespaces`, or else by its links."""
    declared = [path for path in places if len(path) == 2 and path[0] == "namespaces"]
    if declared:
        return ((str(path[1]), path) for path in declared)
    ends = ((path, place.value) for path, place in places.items() if path[2:3] == ("ends",))
    return (
        (node.value.partition(":")[0].split()[0], (*path, "netns"))
        for path, node in ends
        if len(path) == 4 and isinstance(node, TextNode) and node.value.partition(":")[0].strip()
    )
