"""What `--help` prints: the verbs on one screen, or one verb with its options."""

import os
from textwrap import TextWrapper, dedent

from netloom.cli.grammar import HELP, Verb
from netloom.cli.verbs import VERBS

_WIDEST = 80
_COLUMN = 32
"""Where the meaning of an option begins at the latest; longer ones have a line of their own."""


def overview() -> str:
    """Return the groups of verbs, a line each."""
    lines = ["netloom: networks of Linux network namespaces", ""]
    lines.append("usage: netloom VERB …        netloom VERB --help tells more")
    for group, verbs in VERBS.items():
        lines += ["", group, *(f"  {verb:11} {text}" for verb, (_, text) in verbs.items())]
    lines += ["", "FILE is netloom.yaml unless named; LAB is a name or a FILE.", ""]
    return "\n".join(lines)


def help_on(verb: Verb) -> str:
    """Return usage, meaning and options of a verb."""
    width = _width()
    paragraphs = text_of(verb).split("\n\n")
    said = ["\n".join(f"  {line}" for line in _wrapped(each, width - 2)) for each in paragraphs]
    rows = [(option.words, option.says) for option in verb.options]
    rows.append((", ".join(HELP), "Show this message and exit."))
    options = "\n".join(["Options:", *_rows(rows, width)])
    return "\n\n".join([f"Usage: netloom {verb.name} {verb.usage}", *said, options]) + "\n"


def text_of(verb: Verb) -> str:
    """Return what a verb's docstring says, as it is written."""
    first, _, rest = (verb.call.__doc__ or "").partition("\n")
    return f"{first}\n{dedent(rest)}".strip()


def _rows(rows: list[tuple[str, str]], width: int) -> list[str]:
    column = min(_COLUMN, max(len(words) for words, _ in rows) + 4)
    lines = []
    for words, says in rows:
        wrapped = _wrapped(says, width - column)
        if len(words) + 4 > column:
            lines.append(f"  {words}")
        else:
            wrapped[0] = f"  {words}".ljust(column) + wrapped[0]
            lines.append(wrapped.pop(0))
        lines += [" " * column + line for line in wrapped]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return TextWrapper(width, break_on_hyphens=False, break_long_words=False).wrap(text)


def _width() -> int:
    """Return how wide a line may be: that of the terminal, if it is narrower than ours."""
    try:
        return max(40, min(_WIDEST, os.get_terminal_size(1).columns) - 2)
    except OSError:
        return _WIDEST - 2
