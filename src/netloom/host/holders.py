"""Who lives in a namespace, and so keeps it alive when its name is gone."""

import os
from collections.abc import Iterable

from netloom.host.machine import Holders
from netloom.netns.handle import path_of


def holders(names: Iterable[str]) -> Holders:
    """Return the processes that live in namespaces of these names: (pid, command), by name."""
    inodes: dict[int, str] = {}
    for name in names:
        try:
            inodes[os.stat(path_of(name)).st_ino] = name
        except OSError:
            continue
    found: Holders = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (name := _lives_in(entry, inodes)):
            found.setdefault(name, []).append((int(entry), _command(entry)))
    return found


def _lives_in(pid: str, inodes: dict[int, str]) -> str:
    try:
        return inodes.get(os.stat(f"/proc/{pid}/ns/net").st_ino, "")
    except OSError:
        return ""


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"
