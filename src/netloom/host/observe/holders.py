"""Who lives in a namespace, and so keeps it alive when its name is gone."""

import os
from collections.abc import Iterable

from netloom.namespaces.handle import path_of
from netloom.namespaces.references import NetnsInode, residents

Holders = dict[str, list[tuple[int, str]]]
"""The processes that live in a namespace, (pid, command), by its name."""


def holders(names: Iterable[str]) -> Holders:
    """Return the processes that live in namespaces of these names: (pid, command), by name."""
    wanted: dict[NetnsInode, str] = {}
    for name in names:
        try:
            facts = os.stat(path_of(name))
        except OSError:
            continue
        wanted[NetnsInode(facts.st_dev, facts.st_ino)] = name
    found: Holders = {}
    for holder in residents(wanted):
        found.setdefault(wanted[holder.netns], []).append((holder.pid, holder.command))
    return found
