"""The typed walk: a tree of text nodes becomes values, by the shapes of `keys.py`.

Rule 1: every mistake is collected with its place, and the walk goes on; nothing is made of a tree
that has one.
Rule 2: every value that was read is remembered by its path, whichever spelling said it, so that
whoever finds it wrong later can say where it stands.
Rule 3: nothing here knows a key. The four rules of the language (nothing is the default, a list of
names is a map, one item is a list, text is the first key) are marked S1 to S4.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeGuard

from msgspec import Struct

from netloom.errors import Path, Problem
from netloom.language.lines import Lines
from netloom.language.messages import amount, called, clipped, kind, parted, quoting, title
from netloom.language.nodes import (
    NOTHING,
    ListNode,
    MapNode,
    Node,
    TextNode,
    is_nothing,
)
from netloom.language.schema_types import Anything, Choice, Key, Many, Mapped, Named, Shape, Word
from netloom.language.suggest import closest, did_you_mean

_QUOTED = r"`([^`]+)`"


class SourcePlace(Struct, frozen=True):
    """Where a path was written: its key, if it has one, and its value."""

    key: TextNode | None
    value: Node


Pairs = Mapping[str, SourcePlace]


class Decoder:
    """One walk over one text."""

    def __init__(self, lines: Lines, problems: list[Problem]) -> None:
        """Begin with the problems that the tree itself has."""
        self.lines = lines
        self.problems = problems
        self.places: dict[Path, SourcePlace] = {}
        self._readers: dict[type, Callable[..., object]] = {
            Word: self._word,
            Choice: self._choice,
            Many: self._many,
            Named: self._named,
            Mapped: self._record,
            Anything: lambda *_: None,
        }

    def read(self, shape: Shape, place: SourcePlace, path: Path) -> object:
        """Return the value of a node; None where it says nothing or is wrong."""
        self.places[path] = place
        return self._readers[type(shape)](shape, place.value, path)

    def wrong(self, message: str, node: Node, path: Path, hint: str = "") -> None:
        """Collect a mistake; `: write …` at its end becomes the hint."""
        if not hint:
            message, hint = parted(message)
        mark = self.lines.mark(node.start, node.end)
        at_key = path in self.places and node is self.places[path].key
        self.problems.append(Problem(clipped(message), path, clipped(hint), mark, at_key=at_key))

    def _word(self, shape: Word, node: Node, path: Path) -> object:
        if not isinstance(node, TextNode):
            message = f"{self._called(path)} must be one word, not {kind(node)}"
            self.wrong(message, node, path, quoting(node))
            return None
        if is_nothing(node):
            self.wrong(f"{self._called(path)} has no value", node, path, shape.says)
            return None
        try:
            return shape.read(node.value)
        except ValueError as error:
            self.wrong(str(error), self._meant(node, str(error)), path)
            return None

    def _called(self, path: Path) -> str:
        """Return how a value is called: where its key is not written, as what it stands for."""
        return title(path[:-1]) if self._is_implied(path) else called(path)

    def _is_implied(self, path: Path) -> bool:
        """Whether a value stands without its key (S4)."""
        return bool(path) and isinstance(path[-1], str) and self.places[path].key is None

    def _meant(self, node: TextNode, clause: str) -> TextNode:
        """Return the part of a text that a clause about it begins by quoting, or else the whole."""
        quoted = re.match(_QUOTED, clause)
        if not quoted:
            return node
        part = re.compile(rf"(?<![^\s,:/]){re.escape(quoted[1])}(?![^\s,:/])")
        found = part.search(self.lines.text, node.start, node.end)
        return TextNode(quoted[1], *found.span()) if found else node

    def _choice(self, shape: Choice, node: Node, path: Path) -> object:
        word = node.value if isinstance(node, TextNode) else kind(node)
        if word in shape.later:
            owner = title(path[:-1])
            self.wrong(f"`{path[-1]}: {word}` of {owner} is not built yet", node, path)
        elif word not in shape.now:
            known = (*shape.now, *shape.later)
            words = f"it can be {', '.join(f'`{each}`' for each in shape.now)}"
            hint = did_you_mean(word, known) or words
            self.wrong(f"{self._called(path)} cannot be `{word}`", node, path, hint)
        return word

    def _many(self, shape: Many, node: Node, path: Path) -> object:
        if shape.none and isinstance(node, TextNode) and node.value == "none":
            return ()
        items = node.items if _lists(node, shape) else (node,)  # S3
        if not items and shape.none:
            self.wrong("an empty list says neither", node, path, "write `none`, or leave it out")
        if len(items) < shape.least or len(items) > (shape.most or len(items)):
            what = f" {path[-1]}" if self._is_implied(path) else ""
            message = f"{self._called(path)} {amount(shape, len(items), what)}"
            self.wrong(message, node, path, shape.instead)
        return tuple(
            self.read(shape.item, SourcePlace(None, item), (*path, number))
            for number, item in enumerate(items)
        )

    def _named(self, shape: Named, node: Node, path: Path) -> object:
        values: dict[str, object] = {}
        for text, place in self._names(shape, node, path).items():
            inner = (*path, text)
            self.places[inner] = place
            name = self._word(shape.key, place.key or place.value, inner)
            value = self.read(shape.special.get(text, shape.value), place, inner)
            if isinstance(name, str):
                values[name] = value
        return values

    def _names(self, shape: Named, node: Node, path: Path) -> Pairs:
        if isinstance(node, MapNode):
            return {name: SourcePlace(*pair) for name, pair in node.pairs.items()}
        items = node.items if isinstance(node, ListNode) else (node,)
        if not shape.bare:
            self.wrong(f"{called(path)} must be a mapping, not {kind(node)}", node, path)
            return {}
        names: dict[str, SourcePlace] = {}
        for item in items:  # S2
            if not isinstance(item, TextNode) or is_nothing(item):
                self.wrong(f"a list of names holds names only, not {kind(item)}", item, path)
            elif item.value in names:
                self.wrong(f"`{item.value}` is given twice", item, path)
            else:
                names[item.value] = SourcePlace(item, TextNode("", item.start, item.end))
        return names

    def _record(self, shape: Mapped, node: Node, path: Path) -> object:
        values: dict[str, object] = {}
        for name, place in self._pairs(shape, node, path).items():
            key = shape.keys.get(name)
            if key is None:
                self._unknown(shape, name, place, path)
            elif key.later:
                self._not_yet(key, place, path)
            elif is_nothing(place.value):  # S1
                self.places[(*path, name)] = place
            else:
                self._key(key, place, path, values)
        if shape.needs and shape.needs not in values:
            self.wrong(f"{title(path)} has no `{shape.needs}`", node, path)
        if self.problems or shape.make is None:
            return None
        return shape.make(**values)

    def _key(self, key: Key, place: SourcePlace, path: Path, values: dict[str, object]) -> None:
        value = self.read(key.shape, place, (*path, key.target))
        if key.target in values:
            message = f"`{key.name}` says again what {title(path)} has said"
            self.wrong(message, place.key or place.value, (*path, key.target), "keep one of them")
        elif key.kept and (value not in ((), {}) or _on_purpose(place.value)):
            values[key.target] = value

    def _pairs(self, shape: Mapped, node: Node, path: Path) -> Pairs:
        """Return the keys that a node says, by whichever of its spellings."""
        if isinstance(node, MapNode):
            pairs = {name: SourcePlace(*pair) for name, pair in node.pairs.items()}
            return {name: place for name, place in pairs.items() if not _extends(shape, name)}
        if is_nothing(node):  # S1
            return {}
        if isinstance(node, TextNode) and shape.text:  # S4
            return {shape.text: SourcePlace(None, node)}
        if isinstance(node, ListNode) and shape.items:
            return self._spread(shape, node, path)
        message = f"{title(path)} must be a mapping, not {kind(node)}"
        self.wrong(message, node, path, quoting(node))
        return {}

    def _spread(self, shape: Mapped, node: ListNode, path: Path) -> Pairs:
        """Return the keys that a list says: `[A, B, {mtu: 1400}]` has `ends` and `mtu`."""
        rest = node.items[-1] if node.items else NOTHING
        if not shape.trailing or not isinstance(rest, MapNode):
            return {shape.items: SourcePlace(None, node)}
        first = ListNode(node.items[:-1], node.start, rest.start)
        pairs = {name: SourcePlace(*pair) for name, pair in rest.pairs.items()}
        if shape.items in pairs:
            self.wrong(f"`{shape.items}` is given twice", pairs[shape.items].value, path)
        return {**pairs, shape.items: SourcePlace(None, first)}

    def _unknown(self, shape: Mapped, name: str, place: SourcePlace, path: Path) -> None:
        inner = (*path, name)
        self.places[inner] = place
        now = [key.name for key in shape.keys.values() if not key.later]
        found = closest(name, now) or closest(name, shape.keys)
        hint = f"did you mean `{found}`?" if found else f"here stand: {', '.join(now)}"
        self.wrong(f"unknown key `{name}` in {title(path)}", place.key or place.value, inner, hint)

    def _not_yet(self, key: Key, place: SourcePlace, path: Path) -> None:
        inner = (*path, key.name)
        self.places[inner] = place
        message = f"`{key.name}` of {title(path)} is not built yet"
        self.wrong(
            message, place.key or place.value, inner, "" if _is_word(place, key) else key.hint
        )


def _is_word(place: SourcePlace, key: Key) -> bool:
    """Whether a value is one of the words that its key knows, so that nothing else is meant."""
    value = place.value.value if isinstance(place.value, TextNode) else ""
    return isinstance(key.shape, Choice) and value in key.shape.later


def _extends(shape: Mapped, name: str) -> bool:
    return shape.extensions and name.startswith("x-")


def _lists(node: Node, shape: Many) -> TypeGuard[ListNode]:
    """Whether a node is a list of items, and not one item: `[red, blue]` is a link, not two."""
    if not isinstance(node, ListNode):
        return False
    spread = isinstance(shape.item, Mapped) and shape.item.trailing and bool(node.items)
    return not (spread and isinstance(node.items[0], TextNode))


def _on_purpose(node: Node) -> bool:
    """Whether an empty value was said (`none`), and not just nothing (`[]`, `{}`)."""
    return isinstance(node, TextNode)
