"""Whose a lab is: the file that it was made from; and which lab a file means.

Two files may call their labs alike: `netloom.yaml` in two folders of one name, a copy, two texts
on standard input. A lab that is up is the first one's, and no verb takes it for another's.

    made from       asked for with a path        asked for with a text alone
    a path          another, unless it is the    another, unless it is the same text
                    same file by two paths
    a path that     the same: it was moved, or   another, unless it is the same text, or its
    is gone         written anew elsewhere       name was said: who says it means that lab
    a text alone    another, unless it is the    the same as above, of two from one kind of place
                    same text                    (standard input, a program), else as on top

The same path is the same file. A lab that went with a reboot is nobody's any more.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from netloom.engine.state import known
from netloom.engine.topology_file import ENDINGS, absolute, load, origin_of, stem_of
from netloom.engine.untouched import untouched
from netloom.errors import TopologyError, Unavailable, printable, quoted
from netloom.host.store.remake import STDIN, is_path, said_origin
from netloom.host.store.rundir import Anothers
from netloom.kernel.files import exists

if TYPE_CHECKING:
    from netloom.host.machine import Machine
    from netloom.host.store.journal import Record
    from netloom.language.parse import Source


def is_anothers(
    record: "Record", origin: str, machine: "Machine", source: "Source | None" = None
) -> bool:
    """Whether a lab was made from something else than a topology that bears its name.

    `origin` is where that comes from, `source` the topology, where it can be read.
    """
    if record.boot != machine.boot or (origin == record.source and is_path(origin)):
        return False
    there = machine.file_at(record.source) if is_path(record.source) else None
    if is_path(origin) and is_path(record.source):
        return there not in {None, machine.file_at(origin)}
    is_gone = is_path(record.source) and there is None
    if source and source.has_name and (is_gone or record.source == origin):
        return False
    return source is None or record.text != source.text


def refused(record: "Record", source: "Source", beside: str | None) -> Unavailable:
    """Return the refusal to make a lab in the place of another file's.

    `beside` is a name by which it could be made besides; None if the two are in each other's way.
    """
    since = f", since {_said_since(record.since)}" if record.since else ""
    reason = f"the lab `{record.lab}` is up from {said_origin(record.source)}{since}"
    over = "--replace takes that one down for this"
    if beside is None:
        return Unavailable(reason, f"netloom down {record.lab} ends it; {over}")
    if is_path(origin := origin_of(source.file)) or origin == STDIN:
        file = quoted("-" if source.file == STDIN else source.file)
        remedy = f"`name: {beside}` in this one, or netloom up --name {beside} {file}; {over}"
        return Unavailable(reason, remedy)
    return Unavailable(reason, f"a name of its own: Lab(name={beside!r})")


def _said_since(since: float) -> str:
    """Return a time as people say it: one of today without the day."""
    then = time.localtime(since)
    today = time.strftime("%F") == time.strftime("%F", then)
    return time.strftime("%H:%M" if today else "%F %H:%M", then)


def free_names(lab: str) -> Iterator[str]:
    """Yield names that are like a lab's, and not its own."""
    return (f"{lab}-{number}" for number in count(2))


# ── LAB ───────────────────────────────────────────────────────────────────────────────────


@untouched()
def lab_name(text: str, machine: "Machine") -> str | None:
    """Return the lab that LAB means: a name, or a FILE (with `/`, `.yaml`, `.yml`, `.json`).

    A file means the lab that was made from it, even if it says another name by now, has mistakes,
    or is gone; else the one that it would make. None where there is neither. Raises `Unavailable`
    where several were made from it, or where the lab of its name is another's.
    """
    if "/" not in text and not text.endswith(ENDINGS):
        return text
    path = absolute(text)
    made = _made_from(path, machine)
    if len(made) > 1:
        reason = f"several labs were made from {printable(path)}: {', '.join(made)}"
        raise Unavailable(reason, "say which one, by its name")
    if made:
        return made[0]
    if not exists(path):
        return None
    name, source = _called(text)
    with suppress(Anothers):  # whose it is, is told by what is asked of it
        record = known(machine.journal(name)).record
        if record and is_anothers(record, path, machine, source):
            reason = f"the lab `{name}` is up from {said_origin(record.source)}, not from this file"
            raise Unavailable(reason, f"`{name}`, without a folder, means that one")
    return name


def called(path: str) -> str:
    """Return how the lab of a file is called, by what can be read of it."""
    return _called(path)[0]


def _called(path: str) -> "tuple[str, Source | None]":
    try:
        source = load(path)
    except (TopologyError, Unavailable):
        return stem_of(path), None
    return source.topology.name, source


def _made_from(path: str, machine: "Machine") -> list[str]:
    """Return the labs that were made from a file, by this path or else by another."""
    sources: dict[str, str] = {}
    for name in machine.labs():
        with suppress(Unavailable):  # one of another user's is not meant
            record = known(machine.journal(name)).record
            if record is not None and is_path(record.source):
                sources[name] = record.source
    if found := [name for name, source in sources.items() if source == path]:
        return found
    file = machine.file_at(path)
    return [name for name, source in sources.items() if file and machine.file_at(source) == file]
