"""Who keeps a namespace alive when its name is gone, as far as that can be told in a moment.

A descriptor and a socket keep it as well, but send nothing by themselves, and to find them every
open file of the machine would have to be looked at (`netloom pids --fds` does).
"""

import os
from collections.abc import Iterable, Iterator

from netloom.errors import printable
from netloom.namespaces.handle import NETNS_DIR, path_of
from netloom.namespaces.references import NetnsInode, mounts_here, references

Holders = dict[str, list[str]]
"""Who keeps a namespace, in a sentence for each, by its name."""


def holders(names: Iterable[str]) -> Holders:
    """Return who keeps namespaces of these names, but for the names themselves."""
    wanted: dict[NetnsInode, str] = {}
    for name in names:
        try:
            facts = os.stat(path_of(name))
        except OSError:
            continue
        wanted[NetnsInode(facts.st_dev, facts.st_ino)] = name
    found: Holders = {}
    for name, sentence in _sentences(wanted):
        found.setdefault(name, []).append(sentence)
    return found


def _sentences(wanted: dict[NetnsInode, str]) -> Iterator[tuple[str, str]]:
    for each in references(wanted, fds=False, sockets=False, own=True):
        name = wanted[each.netns]
        runs = f"`{each.command}` (pid {each.pid}) still runs"
        yield name, f"{runs} in what was `{name}`, nameless from now on"
    named = os.path.realpath(NETNS_DIR)
    for netns, path in mounts_here(wanted):
        name = wanted[netns]
        if path != f"{named}/{name}":
            yield name, f"what was `{name}` lives on, mounted on `{printable(path)}`"
