"""A tree of texts to YAML: flow style where it fits on a line, block style where it does not.

A text is written plain only where every YAML reader takes it for the same text, or for the number
that it spells; what an editor would take for something else (`no`, `010`, `12:30`) is quoted.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

import yaml

Tree: TypeAlias = "str | bool | list[Tree] | dict[str, Tree]"

WIDTH = 96
"""Longest line, where there is a choice."""

_REST = r"[\w./+@%>-]*(?::+[\w./+@%>-]+)*"
_PLAIN = re.compile(rf"(?!\.\.\.)[\w./]{_REST}(?: (?:[\w./+-]{_REST}|<->))*", re.ASCII)
_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+")
"""A number of YAML 1.2 (core schema, 10.3.2), which 1.1 may take for a text: `1e3`."""

_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers


def emit(tree: dict[str, Tree]) -> str:
    """Return the text of a mapping; its keys always begin a line, and so do the keys of those."""
    if not tree:
        return "{}\n"
    return "".join(f"{line}\n" for line in _mapping(tree, 0, depth=0))


def scalar(text: str) -> str:
    """Return a text as YAML: plain if it is plain to everybody, else in double quotes."""
    if _INTEGER.fullmatch(text) or (_PLAIN.fullmatch(text) and not _typed(text)):
        return text
    return f'"{"".join(_ESCAPES.get(c) or _escape(c) for c in text)}"'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _typed(text: str) -> bool:
    """Whether some reader, of YAML 1.1 or 1.2, takes a plain text for more than a text."""
    rules = _RESOLVERS.get(text[:1], [])
    return bool(_NUMBER.fullmatch(text)) or any(rule.match(text) for _, rule in rules)


def _flow(tree: Tree) -> str:
    if isinstance(tree, bool):
        return "true" if tree else "false"
    if isinstance(tree, str):
        return scalar(tree)
    if isinstance(tree, list):
        return f"[{', '.join(map(_flow, tree))}]"
    return f"{{{', '.join(_pair(name, inner) for name, inner in tree.items())}}}"


def _pair(name: str, inner: Tree) -> str:
    return f"{scalar(name)}: {_flow(inner) if inner != {} else ''}"


def _mapping(tree: dict[str, Tree], indent: int, *, depth: int) -> Iterator[str]:
    for name, inner in tree.items():
        head = f"{' ' * indent}{scalar(name)}:"
        line = f"{head} {_flow(inner)}" if inner != {} else head
        fits = depth > 0 and len(line) <= WIDTH
        if fits or inner == {} or isinstance(inner, (str, bool)):
            yield line
        else:
            yield head
            yield from _below(inner, indent + 2, depth + 1)


def _below(tree: list[Tree] | dict[str, Tree], indent: int, depth: int) -> Iterator[str]:
    if isinstance(tree, dict):
        yield from _mapping(tree, indent, depth=depth)
    else:
        yield from (f"{' ' * indent}- {_flow(item)}" for item in tree)
