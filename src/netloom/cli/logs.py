"""`netloom logs`: what the commands of labs printed."""

import re
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from heapq import merge
from pathlib import Path
from typing import BinaryIO

from netloom.cli.grammar import Argument, Option, Verb, number, verb
from netloom.cli.output import REFUSED, TRIED, Stop, words_of
from netloom.errors import Unavailable, harmless, printable
from netloom.host.commands.printed import LogLine, LogLines, stamp
from netloom.host.commands.processes import logs as logs_of
from netloom.host.store.elsewhere import owner_of_netns, whose
from netloom.host.store.journal import labs
from netloom.kernel.open_files import make_room
from netloom.language.suggest import did_you_mean

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIME = r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,3})?)?)?)?"


def since_time(text: str) -> bytes:
    """Read a time, or how long ago it was, as one that compares as those of logs do.

    Raises `ValueError`.
    """
    if re.fullmatch(r"\d{1,9}[smhd]", text):
        return stamp(max(0.0, time.time() - int(text[:-1]) * _UNITS[text[-1]]))
    if re.fullmatch(_TIME, text.removesuffix("Z")):
        return text.removesuffix("Z").replace(" ", "T").encode()
    message = f"`{text}` is no time: 10m ago, or 2026-11-30T12:00 (UTC), as `--times` shows it"
    raise ValueError(message)


def _every() -> dict[str, dict[str, str]]:
    """Return the logs of all labs: the path of each by its name, by the namespace."""
    found: dict[str, dict[str, str]] = {}
    for lab in labs():
        for (netns, name), path in logs_of(lab):
            found.setdefault(netns, {})[name] = path
    return found


def _namespaces(before: Sequence[str], incomplete: str) -> list[str]:  # noqa: ARG001 - a completion
    """Return the namespaces with logs that a word may become."""
    return [name for name in _every() if name.startswith(incomplete)]


@verb(
    "logs",
    Argument("ns", "[NS]", default="", complete=_namespaces),
    Argument("name", "[NAME]", default=""),
    Option("-f", "--follow", says="Go on as more is printed."),
    Option(
        *("-n", "--lines"),
        value="N",
        read=number(0),
        default=None,
        says="Show of each command the last N lines.",
    ),
    Option(
        "--since",
        value="TIME",
        read=since_time,
        default=None,
        says="Show what came since: `10m` (s, h, d) ago, `2026-11-30T12:00` (UTC).",
    ),
    Option("-t", "--times", says="Precede each line by its time (UTC)."),
)
def logs_command(  # noqa: PLR0913 - what a caller may say
    ns: str, name: str, *, follow: bool, lines: int | None, since: bytes | None, times: bool
) -> None:
    """Show what all commands printed, those of namespace NS, or the one called NAME."""
    chosen = _chosen(ns, name)
    make_room(len(chosen))
    with ExitStack() as stack:
        shown: list[_Shown] = []
        gone: list[str] = []
        for (netns, each), path in chosen.items():
            before = "" if len(chosen) == 1 else f"{each} | " if ns else f"{netns}/{each} | "
            try:
                file = stack.enter_context(Path(path).open("rb"))
                shown.append(_Shown(before, file, path))
            except FileNotFoundError:
                what = f"what `{each}` in `{netns}` printed"
                gone.append(f"nothing is left of {what}: {path} is not there")
        out = _Output(times=times)
        last = (_last(one.news(), lines, since) for one in shown)
        out.print(merge(*last, key=lambda entry: entry[0].time))
        for _ in _changes([each.path for each in shown]) if follow else ():
            for one in shown:
                out.print(one.news())
    if gone:
        raise Stop("\n".join(gone), TRIED)


def _chosen(ns: str, name: str) -> dict[tuple[str, str], str]:
    """Return the logs that are meant, by namespace and name of the command; raises `Stop`."""
    found = _every()
    if ns and ns not in found and (user := owner_of_netns(ns)):
        theirs = Unavailable(f"`{printable(ns)}` is {whose(user)}", f"run it as {user}")
        raise Stop(words_of(theirs), REFUSED)
    if ns and ns not in found:
        hint = did_you_mean(ns, found)
        reason = f"no command of a lab runs in `{printable(ns)}`" + (f": {hint}" if hint else "")
        raise Stop(reason, REFUSED)
    if name and name not in found[ns]:
        known = ", ".join(f"`{each}`" for each in found[ns])
        message = f"`{printable(ns)}` has no command `{printable(name)}`: there is {known}"
        raise Stop(message, REFUSED)
    return {
        (netns, each): path
        for netns, those in found.items()
        for each, path in those.items()
        if ns in {"", netns} and name in {"", each}
    }


class _Shown:
    """A log as it is shown: each line preceded by whose it is."""

    def __init__(self, before: str, file: BinaryIO, path: str) -> None:
        """Show nothing yet."""
        self.path = path
        self.before = before.encode()
        self._lines = LogLines(file.fileno())

    def news(self) -> "Iterator[Entry]":
        """Yield what has come since."""
        for line in self._lines.news():
            yield line, self


Entry = tuple[LogLine, _Shown]
"""A line, and of which log it is."""


def _last(entries: "Iterable[Entry]", lines: int | None, since: bytes | None) -> "Iterable[Entry]":
    """Return of a log what is asked for: the last lines, and none from before a time."""
    wanted = (entry for entry in entries if not since or entry[0].time >= since)
    return wanted if lines is None else deque(wanted, maxlen=lines)


class _Output:
    """Standard output, on which lines of several logs stand below each other."""

    def __init__(self, *, times: bool) -> None:
        """Show nothing yet."""
        self._times = times
        self._open: _Shown | None = None
        self._is_seen = sys.stdout.isatty()

    def print(self, entries: "Iterable[Entry]") -> None:
        """Show lines; one that has no end yet is ended if another log has one to show."""
        out = sys.stdout.buffer
        for line, shown in entries:
            if self._open not in {None, shown}:
                out.write(b"\n")
            if line.begins or self._open is not shown:
                out.write((line.time + b" " if self._times else b"") + shown.before)
            out.write(_seen(line.text) if self._is_seen else line.text)
            self._open = None if line.text.endswith(b"\n") else shown
        out.flush()


def _seen(text: bytes) -> bytes:
    """Return what was printed as it may stand on a terminal, which obeys none of it."""
    return harmless(text.decode(errors="surrogateescape")).encode()


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
