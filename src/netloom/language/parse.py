"""Text to `Topology`: all mistakes at once, each with its place.

`parse` gives a `Source`: the topology, and where each of its values was written. What finds a value
wrong later (an unknown name, an overlap, a lack of rights) knows its path only, and asks the source
for the place.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import structs

from netloom.errors import Mark, Path, Problem, TopologyError
from netloom.language.decoder import Decoder, SourcePlace
from netloom.language.keys import TOPOLOGY
from netloom.language.lines import Lines, decode, in_order
from netloom.language.nodes import Node, TextNode, compose, is_nothing, node_of
from netloom.language.topology import Topology
from netloom.language.undeclared import Places, namespaces, unknown_names


class Source:
    """A topology, and where in its text each value stands."""

    has_name = True
    """Whether somebody has said the lab's name, who so means that lab and no other."""

    is_renamed = False
    """Whether that was said besides the text."""

    def __init__(self, topology: Topology, lines: Lines, places: Places) -> None:
        """Keep the topology, its text, and the places of its values."""
        self.topology = topology
        self.file = lines.file
        self._lines = lines
        self._places = places

    def named(self, name: str) -> "Source":
        """Return the same text as that of a lab which somebody calls so: it must be a name."""
        source = self.called(name)
        source.has_name = source.is_renamed = True
        return source

    def called(self, name: str) -> "Source":
        """Return the same text as that of a lab which is called so, since nobody has said how."""
        topology = structs.replace(self.topology, name=name)
        source = Source(topology, self._lines, self._places)
        source.has_name = False
        return source

    @property
    def text(self) -> str:
        """The text that was read."""
        return self._lines.text

    def locate(self, problem: Problem) -> Problem:
        """Return a problem with the place of its path, or of the nearest thing around it."""
        return problem if problem.mark else problem.at(self._mark(problem))

    def error(self, problems: Iterable[Problem]) -> TopologyError:
        """Return problems as an error, located, in the order of their places."""
        return TopologyError(in_order(self.locate(problem) for problem in problems))

    def _mark(self, problem: Problem) -> Mark:
        path = problem.path
        if path[2:3] == ("subnet",):  # one subnet is said as `subnet` or as `subnets`
            path = (*path[:2], "subnets", *path[3:])
        whole = path
        while path and path not in self._places:
            path = path[:-1]
        place = self._places[path]
        node: Node = place.key if problem.at_key and place.key else place.value
        if is_nothing(node) and place.key:
            node = place.key
        start, end = self._inside(node, whole[len(path) :])
        return self._lines.mark(start, end)

    def _inside(self, node: Node, rest: Path) -> tuple[int, int]:
        """Return where in the text of an END, a FLOW or a route the rest of a path is meant.

        `("at", line, column, length)` is a place in a text of several lines.
        """
        from netloom.language.spans import place_in, span

        if rest[:1] == ("at",) and isinstance(node, TextNode):
            return place_in(self._lines.text, node, *(int(number) for number in rest[1:]))
        found = span(node.value, rest) if rest and isinstance(node, TextNode) else None
        if found is None or not isinstance(node, TextNode):
            return node.start, node.end
        first = self._lines.text.find(node.value, node.start, node.end)
        if first < 0:  # folded or escaped: what was written is not what it says
            return node.start, node.end
        return first + found[0], first + found[1]


def parse(text: str | bytes, *, file: str = "<text>", name: str = "") -> Source:
    """Return the topology that a text says; `name` is the lab's if the text has none.

    Raises TopologyError with every mistake of the text, each with its place, in their order.
    """
    lines = Lines(decode(text, file) if isinstance(text, bytes) else text, file)
    topology, source, decoder = _decoded(lines)
    if decoder.problems:
        # Else `lower` finds them, who knows more; but mistakes shall be told all at once.
        decoder.problems += map(source.locate, unknown_names(decoder.places))
    if topology is None:
        raise TopologyError(in_order(decoder.problems))
    source.topology = structs.replace(topology, name=topology.name or name)
    return source


def parse_part(text: str) -> Topology:
    """Return what a text says of a topology of which it is a part: the rest may have its names.

    Raises TopologyError with every mistake of the text.
    """
    topology, _, decoder = _decoded(Lines(text, "<text>"))
    if topology is None:
        raise TopologyError(in_order(decoder.problems))
    return topology


def _decoded(lines: Lines) -> tuple[Topology | None, Source, Decoder]:
    """Return the topology of a text, None where it has mistakes, and who knows them all."""
    node, problems = compose(lines)
    decoder = Decoder(lines, problems)
    if is_nothing(node):
        decoder.wrong("the file says nothing", node, ())
    topology = decoder.read(TOPOLOGY, SourcePlace(None, node), ())
    source = Source(Topology(), lines, decoder.places)
    problems += map(source.locate, _shared_names(decoder.places))
    good = topology if isinstance(topology, Topology) and not problems else None
    return good, source, decoder


def read(tree: Mapping[str, object]) -> Topology | None:
    """Return the topology that a tree says which could be JSON; None where anything is wrong.

    What is, `parse` of its text tells.
    """
    node = node_of(tree)
    if node is None:
        return None
    decoder = Decoder(Lines("", ""), [])
    topology = decoder.read(TOPOLOGY, SourcePlace(None, node), ())
    if decoder.problems or any(_shared_names(decoder.places)):
        return None
    return topology if isinstance(topology, Topology) else None


_ONE_SPACE = "one name stands for one thing"


def _shared_names(places: Places) -> Iterator[Problem]:
    """Find names that stand for two things: networks, namespaces, outside things share a space."""
    networks = {path[1] for path in places if len(path) == 2 and path[0] == "networks"}
    inside = set(networks)
    for name, path in namespaces(places):
        inside.add(name)
        if name in networks:
            yield Problem(f"`{name}` is a network and a namespace", path, _ONE_SPACE, at_key=True)
    for path in places:
        if len(path) == 2 and path[0] == "hosts" and path[1] in inside:
            message = f"`{path[1]}` is in the lab, and outside of it"
            yield Problem(message, path, _ONE_SPACE, at_key=True)
