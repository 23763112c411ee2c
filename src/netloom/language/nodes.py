"""YAML text to a tree of text nodes, each of which knows where it was written.

PyYAML's parser gives events; the tree is made here, because every value of a topology is text
until its key gives it a type (a MAC address must not become a number), and because nothing in a
file can be trusted: aliases that contain themselves or multiply, tags, duplicate keys.

Rule 1: a place is a pair of offsets into the text. Lines and columns are made from them by
`Lines.mark`, only for what is told to somebody.
Rule 2: an alias is the node it stands for, not a copy; what it would cost as a copy is counted all
the same, so that no small file can ask for a large walk.
Rule 3: what makes the tree impossible is raised at once; what only makes it wrong is collected.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NoReturn, Protocol, cast

import yaml
from msgspec import Struct

from netloom.errors import Problem, TopologyError
from netloom.language.lines import Lines, in_order

MAX_DEPTH = 40
"""Deepest nesting; the language itself needs seven levels."""

MAX_NODES = 1_000_000
"""Most nodes of one file, every alias counted as what it stands for."""

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""Plain scalars that mean nothing at all (YAML 1.1, tag `null`)."""

Loader = type[yaml.CBaseLoader] | type[yaml.BaseLoader]

LOADER: Loader = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader

_FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
_NO_TAG = "every value is text: drop the tag"
_TAGS: dict[type, tuple[str | None, ...]] = {
    yaml.ScalarEvent: (None, "!", "tag:yaml.org,2002:str"),
    yaml.SequenceStartEvent: (None, "!", "tag:yaml.org,2002:seq"),
    yaml.MappingStartEvent: (None, "!", "tag:yaml.org,2002:map"),
}


class TextNode(Struct, frozen=True, gc=False):
    """A scalar: always text; `plain` if it was written without quotes or tag."""

    value: str
    start: int
    end: int
    plain: bool = True


class ListNode(Struct, frozen=True):
    """A sequence."""

    items: tuple["Node", ...]
    start: int
    end: int


class MapNode(Struct, frozen=True):
    """A mapping, in the order of the text, merge keys already applied."""

    pairs: dict[str, tuple[TextNode, "Node"]]
    start: int
    end: int


Node = TextNode | ListNode | MapNode


class _Mark(Protocol):
    """A place as both parsers tell it; `index` counts characters."""

    index: int


class _Event(Protocol):
    """A parser's event, of whatever kind: only some have an anchor, a tag, a value."""

    start_mark: _Mark
    end_mark: _Mark
    anchor: str | None
    tag: str | None
    value: str
    style: str | None


NOTHING = TextNode("", 0, 0)
"""The node of what was not written at all."""


def is_nothing(node: Node) -> bool:
    """Whether a node is a plain null: the rule "nothing means the defaults" begins here."""
    return type(node) is TextNode and node.plain and node.value in NULLS


def _first(kind: str, text: str) -> re.Match[str] | None:
    """Return the first character of a kind of those that cannot be printed, None without any.

    Most texts have none at all, and need no pattern, which takes a millisecond to compile.
    """
    return None if text.replace("\n", "").isprintable() else re.search(kind, text)


def compose(lines: Lines, loader: Loader = LOADER) -> tuple[Node, list[Problem]]:
    """Return the tree of a text, with what is wrong in it; raise where there is no tree."""
    alien = _first(_FORBIDDEN, lines.text)
    if alien:
        message = f"character U+{ord(alien[0]):04X} is not allowed in YAML"
        raise TopologyError([Problem(message, mark=lines.mark(alien.start(), alien.end()))])
    events = cast("Iterator[_Event]", yaml.parse(lines.text, Loader=loader))
    composer = _Composer(lines, events)
    try:
        node = composer.document()
    except yaml.MarkedYAMLError as error:
        from netloom.language.syntax import explain

        composer.stop(*explain(error, lines.text))
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The pure parser lets chr() and int() speak for `"\UFFFFFFFF"` and `%YAML 9…9`.
        composer.stop(f"this is not YAML: {error}", "", 0, 0)
    return node, composer.problems


def node_of(value: object) -> Node | None:
    """Return the node that `json.dumps` of a value would be read as; None where that is wrong.

    Text is as in quotes; all else but sequences and mappings is as JSON has it. Nothing of it has a
    place.
    """
    if isinstance(value, str):
        return None if _first(_CONTROL, value) or _first(_FORBIDDEN, value) else _quoted(value)
    if isinstance(value, Mapping):
        pairs = {str(key): (_quoted(str(key)), node_of(each)) for key, each in value.items()}
        wrong = any(node is None or node_of(key) is None for key, (_, node) in pairs.items())
        if wrong or len(pairs) < len(value):
            return None
        return MapNode(cast("dict[str, tuple[TextNode, Node]]", pairs), 0, 0)
    if isinstance(value, list | tuple):
        items = tuple(node for each in value if (node := node_of(each)))
        return ListNode(items, 0, 0) if len(items) == len(value) else None
    plain = value is None or isinstance(value, bool | int | float)
    return TextNode(_json(value), 0, 0) if plain else None


def _json(value: object) -> str:
    import json

    return json.dumps(value)


def _quoted(value: str) -> TextNode:
    return TextNode(value, 0, 0, plain=False)


class _Composer:
    """Makes the tree of one text from the parser's events."""

    def __init__(self, lines: Lines, events: Iterator[_Event]) -> None:
        self.lines = lines
        self.problems: list[Problem] = []
        self._next = events.__next__
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._count = 0

    def document(self) -> Node:
        """Read the only document of the text."""
        self._next()  # the start of the stream
        event = self._next()
        if _is(event, yaml.StreamEndEvent):
            self.stop("the file is empty", "the least there can be: `links: [[red, blue]]`", 0, 0)
        node = self._read(self._next(), 0)
        self._next()  # the end of the document
        event = self._next()
        if not _is(event, yaml.StreamEndEvent):
            start = event.start_mark.index
            self.stop("a second document begins here", "one file, one lab", start, start + 3)
        return node

    def stop(self, message: str, hint: str, start: int, end: int) -> NoReturn:
        """Raise what makes the tree impossible, after everything found before it."""
        self._wrong(message, start, end, hint)
        raise TopologyError(in_order(self.problems))

    def _wrong(self, message: str, start: int, end: int, hint: str = "") -> None:
        self.problems.append(Problem(message, hint=hint, mark=self.lines.mark(start, end)))

    def _read(self, event: _Event, depth: int) -> Node:
        kind: type = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event)
        before = self._count
        self._spend(1, event)
        if event.tag is not None or event.anchor is not None:
            self._properties(event, kind)
        node = self._text(event) if kind is yaml.ScalarEvent else self._inner(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node, self._count - before
        return node

    def _inner(self, event: _Event, depth: int) -> Node:
        if depth == MAX_DEPTH:
            self.stop(f"nested more than {MAX_DEPTH} deep", "", *_span(event))
        reader = self._list if _is(event, yaml.SequenceStartEvent) else self._map
        return reader(event, depth + 1)

    def _spend(self, count: int, event: _Event) -> None:
        self._count += count
        if self._count > MAX_NODES:
            self.stop(f"this makes more than {MAX_NODES} values of one file", "", *_span(event))

    def _properties(self, event: _Event, kind: type) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # until the node is complete
        if event.tag not in _TAGS[kind]:
            start = event.start_mark.index
            word = self.lines.text[start : event.end_mark.index].split(maxsplit=1)[:1]
            self._wrong("tags have no meaning here", start, start + len("".join(word)), _NO_TAG)

    def _alias(self, event: _Event) -> Node:
        name = event.anchor or ""
        if name not in self._anchors:
            self.stop(f"no anchor `&{name}` stands before this", "", *_span(event))
        known = self._anchors[name]
        if known is None:
            self.stop(f"`*{name}` stands inside what it stands for", "", *_span(event))
        node, cost = known
        self._spend(cost, event)
        return node

    def _text(self, event: _Event) -> TextNode:
        start, end = _span(event)
        if event.style and _first(_CONTROL, event.value):
            self._wrong("this text holds a control character", start, end)
        return TextNode(event.value, start, end, not event.style and event.tag is None)

    def _list(self, event: _Event, depth: int) -> ListNode:
        items: list[Node] = []
        while not _is(inner := self._next(), yaml.SequenceEndEvent):
            items.append(self._read(inner, depth))
        return ListNode(tuple(items), event.start_mark.index, inner.end_mark.index)

    def _map(self, event: _Event, depth: int) -> MapNode:
        pairs: dict[str, tuple[TextNode, Node]] = {}
        merged: list[MapNode] = []
        while not _is(inner := self._next(), yaml.MappingEndEvent):
            key, value = self._read(inner, depth), self._read(self._next(), depth)
            if not isinstance(key, TextNode):
                self._wrong("a key is one word", key.start, key.end)
            elif key.plain and key.value == "<<":
                merged += self._sources(value)
            elif key.value in pairs:
                first = self.lines.number(pairs[key.value][0].start)
                hint = f"the first is on line {first}"
                self._wrong(f"`{key.value}` is given twice", key.start, key.end, hint)
            else:
                pairs[key.value] = key, value
        for source in merged:
            for name, pair in source.pairs.items():
                pairs.setdefault(name, pair)
        return MapNode(pairs, event.start_mark.index, inner.end_mark.index)

    def _sources(self, node: Node) -> list[MapNode]:
        """Return what a merge key (YAML 1.1, tag `merge`) brings in: a mapping, or several."""
        nodes = node.items if isinstance(node, ListNode) else (node,)
        for wrong in nodes:
            if not isinstance(wrong, MapNode):
                self._wrong("`<<` takes mappings only", wrong.start, wrong.end)
        return [source for source in nodes if isinstance(source, MapNode)]


def _is(event: object, kind: type) -> bool:
    return type(event) is kind


def _span(event: _Event) -> tuple[int, int]:
    return event.start_mark.index, event.end_mark.index
