"""Topology files, and the names of the labs that are made from them."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from netloom.engine.state import known
from netloom.engine.untouched import untouched
from netloom.errors import Path as ProblemPath
from netloom.errors import Problem, TopologyError, Unavailable, printable
from netloom.host.sources import Sources
from netloom.kernel import inputs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from netloom.compile.etc_files import Files
    from netloom.host.machine import Machine
    from netloom.language.parse import Source
    from netloom.language.topology import TextSpec


DEFAULT_FILE = "netloom.yaml"
_ENDINGS = (".yaml", ".yml", ".json")


def load(path: "str | Path") -> "Source":
    """Read a topology file; raises `TopologyError` with every mistake, `Unavailable` if unreadable.

    A lab without `name:` bears the file's stem, and that of `netloom.yaml` its folder's name.
    """
    from netloom.language.parse import parse

    try:
        data, _ = inputs.read(str(path))
    except FileNotFoundError:
        raise Unavailable(f"no file `{path}`", _instead(str(path))) from None
    except IsADirectoryError:
        raise Unavailable(f"`{path}` is a folder", "name a topology file") from None
    except OSError as error:
        raise Unavailable(f"cannot read `{path}`: {error.strerror}") from error
    return parse(data, file=str(path), name=default_name(str(path)))


def _instead(path: str) -> str:
    """Return what to do where a file is not there: it may be called almost so."""
    from netloom.language.suggest import closest

    if path == DEFAULT_FILE:
        return "name a FILE, or have `netloom init` write this one"
    folder, name = os.path.split(path)
    files: dict[str, str] = {}
    with suppress(OSError):
        there = (each for each in os.listdir(folder or ".") if each.endswith(_ENDINGS))
        files = {os.path.splitext(each)[0]: each for each in there}
    found = closest(os.path.splitext(name)[0], files)
    return f"did you mean `{printable(os.path.join(folder, files[found]))}`?" if found else ""


def load_stdin() -> "Source":
    """Read a topology from standard input; raises `TopologyError`, `Unavailable` if unreadable."""
    from netloom.language.parse import parse

    try:
        data = inputs.read_stdin()
    except OSError as error:
        raise Unavailable(f"cannot read standard input: {error.strerror}") from error
    return parse(data, file="<stdin>", name="stdin")


def absolute(file: str) -> str:
    """Return the whole path of a file."""
    return os.path.abspath(file)


def default_name(file: str) -> str:
    """Return the name of the lab of a file that does not say it.

    What no name may have is a `-` (`values.name`): marks are taken apart at a blank and a slash.
    """
    folder, name = os.path.split(absolute(file))
    stem = os.path.basename(folder) if name == DEFAULT_FILE else os.path.splitext(name)[0]
    plain = "".join(one if one.isalnum() or one in "_.-" else "-" for one in stem)
    return plain.lstrip(".-") or "lab"


@untouched()
def lab_name(text: str, machine: "Machine") -> str:
    """Return the lab that LAB means: a name, or a FILE (with `/`, `.yaml`, `.yml`, `.json`).

    A file means the lab that was made from it, even if it says another name by now, or has
    mistakes.
    """
    if "/" not in text and not text.endswith(_ENDINGS):
        return text
    path = absolute(text)
    for name in machine.labs():
        with suppress(Unavailable):  # one of another user's is not meant
            record = known(machine.journal(name)).record
            if record is not None and record.source == path:
                return name
    try:
        return load(text).topology.name
    except (TopologyError, Unavailable):
        return default_name(path)


def read_files(source: "Source") -> "Files":
    """Return the files that a topology names, from the folder of its own file.

    Raises `TopologyError` with every file that cannot be read, or that makes them too many.
    """
    found = {}
    problems = []
    sources = Sources()
    for path, spec in _named(source):
        if not spec.file or spec.file in found:
            continue
        try:
            found[spec.file] = sources.read(os.path.join(os.path.dirname(source.file), spec.file))
        except OSError as error:
            which = spec.file + str(error.filename).partition(spec.file)[2]
            problems.append(Problem(f"cannot read `{which}`: {error.strerror}", path))
    if problems:
        raise source.error(problems)
    return found


def _named(source: "Source") -> "Iterator[tuple[ProblemPath, TextSpec]]":
    for name, namespace in (source.topology.namespaces or {}).items():
        start: ProblemPath = ("namespaces", name)
        for key in ("firewall", "iptables", "ip6tables"):
            spec = getattr(namespace, key)
            if spec is not None:
                yield (*start, key), spec
        for path, spec in namespace.etc.items():
            yield (*start, "etc", path), spec
