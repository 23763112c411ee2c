"""Where the parts of a string word stand: a caret can point at one name of `web, api -> db`."""

import re

from netloom.errors import Path

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
