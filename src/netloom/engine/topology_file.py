"""Topology files, and the names of the labs that are made from them."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from netloom.errors import Path as ProblemPath
from netloom.errors import Problem, Unavailable, printable, quoted
from netloom.host.sources import Sources
from netloom.host.store.remake import STDIN
from netloom.kernel import inputs
from netloom.values import NO_LABS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from netloom.compile.etc_files import Files
    from netloom.language.parse import Source
    from netloom.language.topology import TextSpec


DEFAULT_FILE = "netloom.yaml"
ENDINGS = (".yaml", ".yml", ".json")
_DESCRIPTORS = ("/dev/fd/", "/dev/stdin", "/proc/")


def load(path: "str | Path", name: str = "") -> "Source":
    """Read a topology file; raises `TopologyError` with every mistake, `Unavailable` if unreadable.

    A lab is called `name`; without that, and without `name:`, as the file's stem, and that of
    `netloom.yaml` as its folder. `Unavailable` is raised, too, where that can be nobody's name.
    """
    from netloom.language.parse import parse

    shown = printable(str(path))
    try:
        data, _ = inputs.read(str(path))
    except FileNotFoundError:
        raise Unavailable(f"no file `{shown}`", _instead(str(path))) from None
    except IsADirectoryError:
        raise Unavailable(f"`{shown}` is a folder", "name a topology file") from None
    except OSError as error:
        raise Unavailable(f"cannot read `{shown}`: {error.strerror}") from error
    source = parse(data, file=str(path))
    if name:
        return source.named(name)
    return source if source.topology.name else source.called(default_name(str(path)))


def _instead(path: str) -> str:
    """Return what to do where a file is not there: it may be called almost so."""
    from netloom.language.suggest import closest

    if path == DEFAULT_FILE:
        return "name a FILE, or have `netloom init` write this one"
    folder, name = os.path.split(path)
    files: dict[str, str] = {}
    with suppress(OSError):
        there = (each for each in os.listdir(folder or ".") if each.endswith(ENDINGS))
        files = {os.path.splitext(each)[0]: each for each in there}
    found = closest(os.path.splitext(name)[0], files)
    return f"did you mean `{printable(os.path.join(folder, files[found]))}`?" if found else ""


def load_stdin(name: str = "") -> "Source":
    """Read a topology from standard input; raises `TopologyError`, `Unavailable` if unreadable.

    A lab is called `name`; without that, and without `name:`, it is called `stdin`.
    """
    from netloom.language.parse import parse

    try:
        data = inputs.read_stdin()
    except OSError as error:
        raise Unavailable(f"cannot read standard input: {error.strerror}") from error
    source = parse(data, file=STDIN)
    if name:
        return source.named(name)
    return source if source.topology.name else source.called("stdin")


def absolute(file: str) -> str:
    """Return the whole path of a file."""
    return os.path.abspath(file)


def origin_of(file: str) -> str:
    """Return what is remembered of where a text came from: a whole path, or what stands for none.

    That is how Python calls what is no file: `<stdin>`, `<lab>` (a program's). A descriptor's path
    is none: by `netloom up <(…)` each text has the same.
    """
    if file.startswith("<") and file.endswith(">"):
        return file
    path = absolute(file)
    return STDIN if path.startswith(_DESCRIPTORS) else path


def default_name(file: str) -> str:
    """Return the name of the lab of a file that does not say it; raises `Unavailable`."""
    from netloom.language.scalars import lab_name

    stem = stem_of(file)
    try:
        return lab_name(stem)
    except ValueError as error:
        what = "its folder" if os.path.basename(file) == DEFAULT_FILE else "its file"
        reason = f"a lab is called as {what}, and {printable(str(error))}"
        better = like_a_name(stem)
        other = f"netloom up --name {better} {quoted(file)}"
        raise Unavailable(
            reason, f"`name: {better}` in the file says another, or {other}"
        ) from None


def stem_of(file: str) -> str:
    """Return how a file is called, and of `netloom.yaml` its folder; it need not be a name."""
    folder, name = os.path.split(absolute(file))
    return os.path.basename(folder) if name == DEFAULT_FILE else os.path.splitext(name)[0]


def like_a_name(text: str) -> str:
    """Return the name of a lab that is as alike to a text as may be."""
    plain = "".join(one if one.isalnum() or one in "_.-" else "-" for one in text)
    found = plain.strip(".-") or "lab"
    return f"{found}-lab" if found in NO_LABS else found


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
