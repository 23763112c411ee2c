"""The command that makes again what is remembered of a lab."""

from typing import TYPE_CHECKING

from netloom.errors import quoted

if TYPE_CHECKING:
    from netloom.host.store.journal import Record


def up_command(record: "Record", path: str = "") -> str:
    """Return the command that makes a lab again; `path` is how its file is called there."""
    name = f" --name {record.lab}" if record.renamed else ""
    if record.source.startswith("/"):
        return f"netloom up{name} {quoted(path or record.source)}"
    return f"netloom up{name} -" if record.source == "<stdin>" else "the program that made it"
