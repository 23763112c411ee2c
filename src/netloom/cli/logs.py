"""`netloom logs`: what the commands of a namespace printed."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from netloom.cli.grammar import Argument, Option, Verb, verb
from netloom.cli.output import REFUSED, Stop
from netloom.host.commands.printed import Reader
from netloom.host.commands.processes import logs as logs_of
from netloom.host.store.journal import labs
from netloom.language.suggest import did_you_mean


def _every() -> dict[str, list[tuple[str, str]]]:
    """Return the logs of all labs: name and path of each, by the namespace."""
    found: dict[str, list[tuple[str, str]]] = {}
    for lab in labs():
        for (netns, name), path in logs_of(lab):
            found.setdefault(netns, []).append((name, path))
    return found


def _namespaces(before: Sequence[str], incomplete: str) -> list[str]:  # noqa: ARG001 - a completion
    """Return the namespaces with logs that a word may become."""
    return [name for name in _every() if name.startswith(incomplete)]


@verb(
    "logs",
    Argument("ns", complete=_namespaces),
    Argument("name", "[NAME]", default=""),
    Option("-f", "--follow", says="Go on as more is printed."),
)
def logs_command(ns: str, name: str, *, follow: bool) -> None:
    """Show what the commands of namespace NS printed, or the one called NAME."""
    found = _every()
    if ns not in found:
        hint = did_you_mean(ns, found)
        reason = f"no command of a lab runs in `{ns}`" + (f": {hint}" if hint else "")
        raise Stop(reason, REFUSED)
    chosen = [(each, path) for each, path in found[ns] if name in {"", each}]
    if not chosen:
        known = ", ".join(f"`{each}`" for each, _ in found[ns])
        message = f"`{ns}` has no command `{name}`: there is {known}"
        raise Stop(message, REFUSED)
    several = len(chosen) > 1
    with ExitStack() as stack:
        shown = [
            _Shown(f"{each} | " if several else "", stack.enter_context(Path(path).open("rb")))
            for each, path in chosen
        ]
        _print(shown)
        for _ in _changes([path for _, path in chosen]) if follow else ():
            _print(shown)


def _print(shown: "Sequence[_Shown]") -> None:
    out = sys.stdout.buffer
    for each in shown:
        for piece in each.news():
            out.write(piece)
    out.flush()


class _Shown:
    """A log as it is shown: whole lines, each preceded by a text; at the end also what is none."""

    def __init__(self, before: str, file: BinaryIO) -> None:
        """Show nothing yet."""
        self._before = before.encode()
        self._reader = Reader(file.fileno())
        self._in_a_line = False

    def news(self) -> Iterator[bytes]:
        """Yield what has come since."""
        rest = b""
        while data := self._reader.read():
            if self._reader.skipped:
                rest, data = b"", data.partition(b"\n")[2]
                if self._in_a_line:
                    yield self._line(b"\n")
            whole, newline, rest = (rest + data).rpartition(b"\n")
            for line in BytesIO(whole + newline):
                yield self._line(line)
        if rest:
            yield self._line(rest)

    def _line(self, line: bytes) -> bytes:
        shown = line if self._in_a_line else self._before + line
        self._in_a_line = not line.endswith(b"\n")
        return shown


def _changes(paths: list[str]) -> Iterator[None]:
    """Yield whenever something was written to one of the files, until they are gone."""
    import select

    from netloom.kernel.inotify import MODIFIED, Inotify

    with Inotify() as events:
        for path in paths:
            events.watch(path, MODIFIED)
        yield
        while any(Path(path).exists() for path in paths):
            select.select([events], [], [], 1)
            events.happened()
            yield


COMMANDS: tuple[Verb, ...] = (logs_command,)
"""The verbs of this file, to be hung into the command line."""
