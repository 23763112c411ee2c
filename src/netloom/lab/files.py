"""Topology files, and the names of the labs that are made from them."""

from pathlib import Path

from netloom.errors import TopologyError, Unavailable
from netloom.host import journal as memory
from netloom.host.journal import Journal
from netloom.topology.parse import Source, parse

DEFAULT_FILE = "netloom.yaml"


def load(path: str | Path) -> Source:
    """Read a topology file; raises `TopologyError` with every mistake, `Unavailable` if unreadable.

    A lab without `name:` bears the file's stem, and that of `netloom.yaml` its folder's name.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise Unavailable(f"no file `{path}`", "`netloom up FILE` names another") from None
    except IsADirectoryError:
        raise Unavailable(f"`{path}` is a folder", f"netloom up {path}/{DEFAULT_FILE}") from None
    except OSError as error:
        raise Unavailable(f"cannot read `{path}`: {error.strerror}") from error
    return parse(data, file=str(path), name=default_name(file))


def default_name(file: Path) -> str:
    """Return the name of the lab of a file that does not say it."""
    absolute = file.absolute()
    return absolute.parent.name if file.name == DEFAULT_FILE else absolute.stem


def lab_name(text: str) -> str:
    """Return the lab that LAB means: a name, or a FILE (with `/`, `.yaml`, `.yml`, `.json`).

    A file means the lab that was made from it, even if it says another name by now, or has
    mistakes.
    """
    if "/" not in text and not text.endswith((".yaml", ".yml", ".json")):
        return text
    path = Path(text).absolute()
    for name in memory.labs():
        record = Journal(name).record()
        if record is not None and record.source == str(path):
            return name
    try:
        return load(text).topology.name
    except (TopologyError, Unavailable):
        return default_name(path)
