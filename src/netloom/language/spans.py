"""Where the parts of a string word stand: a caret can point at one name of `web, api -> db`."""

import re

from netloom.errors import Path
from netloom.language.nodes import TextNode

Span = tuple[int, int]

_WORD = re.compile(r"\S+")
_NAME = re.compile(r"[^\s,]+")
_WHO = re.compile(r"\s*(?P<netns>[^\s:]+)(?::(?P<interface>\S*))?")
_ARROW = re.compile(r"<->|-/>|->")


def span(text: str, path: Path) -> Span | None:
    """Return where the part of an END, a FLOW or a route stands that the rest of a path means.

    `("netns",)`, `("interface",)` and `("addresses", 0)` of an END, `("sources", 0)` and
    `("destinations", 0)` of a FLOW, `(2,)` for the third word of any text.
    """
    match path:
        case ("netns" | "interface" as part,):
            found = _WHO.match(text)
            return found.span(part) if found and found[part] is not None else None
        case ("addresses", int(number)):
            return _nth(_WORD, text, number + 1)
        case ("sources", int(number)):
            return _nth(_NAME, text[: _arrow(text)[0]], number)
        case ("destinations", int(number)):
            return _nth(_NAME, text, number, _arrow(text)[1])
        case (int(number),):
            return _nth(_WORD, text, number)
    return None


def _nth(pattern: re.Pattern[str], text: str, number: int, begin: int = 0) -> Span | None:
    found = list(pattern.finditer(text, begin))
    return found[number].span() if 0 <= number < len(found) else None


def _arrow(text: str) -> Span:
    found = _ARROW.search(text)
    return found.span() if found else (len(text), len(text))


def place_in(text: str, node: TextNode, line: int, column: int, length: int) -> tuple[int, int]:
    """Return where in the file a place in a node's value stands, lines and columns from 1.

    A block scalar (`|`) begins on the line below its sign and is indented; what is folded or quoted
    is searched for, and the whole node is meant where it is not found as it is.
    """
    written = text[node.start : node.end].split("\n")
    wanted = node.value.split("\n")[line - 1 : line]
    if not wanted:
        return node.start, node.end
    first = int(written[0][:1] in {"|", ">"})
    start = node.start
    for number, raw in enumerate(written):
        if number >= first and wanted[0] in raw and (not first or number == line):
            begin = start + raw.index(wanted[0]) + column - 1
            return begin, min(begin + max(length, 1), start + len(raw))
        start += len(raw) + 1
    return node.start, node.end
