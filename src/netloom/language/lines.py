"""The lines of a text: offsets become places that a person can find."""

import re
from bisect import bisect_right
from collections.abc import Iterable

from netloom.errors import Mark, Problem, TopologyError

_LINE_END = re.compile(r"\r\n|\r|\n")


class Lines:
    """The lines of a text: offsets become places that a person can find."""

    def __init__(self, text: str, file: str) -> None:
        """Keep the text; lines end as editors see them, at LF, CR LF or CR."""
        self.text = text.removeprefix("\ufeff")
        self.file = file
        self._shown: dict[int, str] = {}
        self._starts: list[int] = []

    def number(self, offset: int) -> int:
        """Return the line, from 1, that an offset lies in."""
        if not self._starts:
            self._starts = [0, *(end.end() for end in _LINE_END.finditer(self.text))]
        return bisect_right(self._starts, offset)

    def mark(self, start: int, end: int) -> Mark:
        """Return the place from `start` to `end`, cut at the end of its first line."""
        number = self.number(start)
        first = self._starts[number - 1]
        last = self._starts[number] if number < len(self._starts) else len(self.text)
        line = self._shown.get(number) or _shown(self.text[first:last].rstrip("\r\n"))
        self._shown[number] = line
        column = min(start - first, len(line))
        length = max(0, min(end - first, len(line)) - column)
        return Mark(self.file, number, column + 1, length, line)


def _shown(line: str) -> str:
    """Return a line so that a caret below it stands where it should, and no terminal obeys it."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in line)


def decode(data: bytes, file: str) -> str:
    """Return the text of a file, which must be UTF-8; raises `TopologyError`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as broken:
        before = data[: broken.start].decode("utf-8")
        lines = Lines(before + data[broken.start :].decode("utf-8", "replace"), file)
        place = lines.mark(len(before), len(before) + 1)
        message = f"byte 0x{data[broken.start]:02x} is not UTF-8"
        hint = "save the file as UTF-8"
        raise TopologyError([Problem(message, hint=hint, mark=place)]) from None


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems in the order of their places, one for each: the others follow from it."""
    first: dict[tuple[int, int], Problem] = {}
    for problem in problems:
        mark = problem.mark or Mark("", 0, 0, 0, "")
        first.setdefault((mark.line, mark.column), problem)
    return [first[place] for place in sorted(first)]
