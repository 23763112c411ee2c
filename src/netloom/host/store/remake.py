"""Where a lab came from, in words, and the command that makes it again."""

from typing import TYPE_CHECKING

from netloom.errors import printable, quoted

if TYPE_CHECKING:
    from netloom.host.store.journal import Record

STDIN = "<stdin>"
"""What a text is called that was read from standard input."""


def is_path(origin: str) -> bool:
    """Whether a lab was made from a file: a text alone has no path."""
    return origin.startswith("/")


def said_origin(origin: str) -> str:
    """Return where a lab came from, in words; nothing for one that is not known."""
    if is_path(origin):
        return printable(origin)
    words = {"": "", STDIN: "standard input"}
    return words.get(origin, "a Python program")


def up_command(record: "Record", path: str = "") -> str:
    """Return the command that makes a lab again; `path` is how its file is called there."""
    name = f" --name {record.lab}" if record.renamed else ""
    if is_path(record.source):
        return f"netloom up{name} {quoted(path or record.source)}"
    return f"netloom up{name} -" if record.source == STDIN else "the program that made it"
