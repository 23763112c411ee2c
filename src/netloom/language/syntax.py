"""What a YAML parser says of broken text, in words that say what to do.

libyaml and PyYAML's own parser name the same mistakes in slightly different words: a row of the
table is a piece of text that both contain. What no row knows is passed on as the parser said it.
"""

from typing import NamedTuple

import yaml


class _Told(NamedTuple):
    """How to tell one mistake: at the context (where something began) or where it was noticed."""

    piece: str
    message: str
    hint: str = ""
    at_context: bool = False
    context: str = ""


_TABLE = (
    _Told(
        "found unexpected ':'",
        "`:` cannot end a word inside `[…]` or `{…}`",
        "put it in quotes, as any address that ends in `::`",
        at_context=True,
    ),
    _Told("mapping values are not allowed", "a second `: ` in one line", "put the text in quotes"),
    _Told("found unexpected end of stream", "this quote is not closed", at_context=True),
    _Told("expected ',' or ']'", "`,` or `]` is missing before this", context="sequence"),
    _Told("expected ',' or '}'", "`,` or `}` is missing before this", context="mapping"),
    _Told("could not find expected ':'", "a `key: value` was expected here", at_context=True),
    _Told("expected key", "this does not line up with what stands above", "check the indentation"),
    _Told("'-' indicator", "this does not line up with the list above", "check the indentation"),
    _Told("<block end>", "this does not line up with what stands above", "check the indentation"),
    _Told("node content", "something is missing before this"),
    _Told("a tab character", "a tab cannot indent", "use spaces"),
    _Told("'\\t'", "a tab cannot indent", "use spaces"),
    _Told("cannot start any token", "no word can begin with this character", "put it in quotes"),
    _Told(
        "alphabetic or numeric character",
        "`*` and `&` begin the name of an anchor",
        "for every namespace write `all`; else put it in quotes",
    ),
    _Told("maximum nesting depth", "nested too deep"),  # libyaml's own limit, where it looks ahead
    _Told("unknown escape", "this is no escape that YAML knows", "`'single quotes'` need none"),
)


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str, int, int]:
    """Return message, hint, and where the mistake begins and ends in the text."""
    problem = str(error.problem or error.context or "this is not YAML")
    noticed = _index(error.problem_mark)
    if "cannot start any token" in problem and noticed is not None:
        problem += f" {text[noticed : noticed + 1]!r}"  # which libyaml does not tell
    told = next(
        (row for row in _TABLE if row.piece in problem), _Told("", f"broken YAML: {problem}")
    )
    began = _index(error.context_mark)
    if began is not None and (told.at_context or _unclosed(told, noticed, text)):
        message = "this is not closed" if told.context else told.message
        return message, told.hint, began, began + 1 if noticed is None else noticed + 1
    place = noticed if noticed is not None else began or 0
    return told.message, told.hint, place, place + 1


def _unclosed(told: _Told, noticed: int | None, text: str) -> bool:
    """Whether a bracket is missing because the text ends: better told where it was opened."""
    return bool(told.context) and (noticed is None or not text[noticed:].strip())


def _index(mark: yaml.Mark | None) -> int | None:
    return None if mark is None else mark.index
