"""Whose a namespace is: all its names, the lab that marked it, or else what holds it.

A process tells more than its command: its control groups name the container or the systemd unit
that it belongs to (systemd.unit(5), and the names that container engines give their groups).
"""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from netloom.errors import KernelError
from netloom.namespaces import handle, registry
from netloom.namespaces.enter import enter
from netloom.namespaces.lab_here import lab_here
from netloom.namespaces.references import NetnsInode, Reference, identity, references, residents

_GROUPS = (
    ("docker container", r"/docker[-/]([0-9a-f]{64})(?:\.scope)?(?:/|$)"),
    ("podman container", r"/libpod-([0-9a-f]{64})(?:\.scope)?(?:/|$)"),
    ("container", r"/(?:cri-containerd|crio|kubepods.*)[-/]([0-9a-f]{64})(?:\W|$)"),
    ("LXC container", r"/lxc(?:\.payload\.|/)([^/]+)(?:/|$)"),
    ("machine", r"/machine-([^/]+?)\.scope(?:/|$)"),
    ("systemd unit", r"/((?!user@)[^/]+\.service)(?:/|$)"),
    ("systemd unit", r"/((?!user@)[^/]+\.scope)(?:/|$)"),
)
_SHORT = 12  # as engines show the numbers of their containers


class Owner(NamedTuple):
    """Whose a namespace is.

    `kind` is `lab`, `host` (the one that netloom runs in), `process` (one that lives there),
    `holder` (one that lives elsewhere, and `how` it holds it), `hidden` (one may not look), or
    `nobody`. `group` is the
    container or the unit that a process belongs to, None if it is in none.
    """

    kind: str
    lab: str = ""
    pid: int = 0
    command: str = ""
    group: str | None = None
    how: str = ""


def names_of(wanted: NetnsInode) -> list[str]:
    """Return all names of a namespace in order, symbolic links too."""
    return named().get(wanted, [])


def named() -> dict[NetnsInode, list[str]]:
    """Return the names of every namespace that has any."""
    found: dict[NetnsInode, list[str]] = {}
    for name in registry.names():
        try:
            facts = os.stat(f"{handle.NETNS_DIR}/{name}")
        except OSError:
            continue
        found.setdefault(NetnsInode(facts.st_dev, facts.st_ino), []).append(name)
    return found


def owner(netns: handle.Handle) -> Owner:
    """Return whose a namespace is."""
    wanted = identity(netns.fd)
    may_enter = True
    try:
        if lab := enter(netns, lab_here):
            return Owner("lab", lab=lab)
    except KernelError:  # not ours to enter
        may_enter = False
    with handle.open_self() as own:
        if identity(own.fd) == wanted:
            return Owner("host")
    if not may_enter:  # nor are others' processes ours to look at
        found = _eldest(residents({wanted})) or _eldest(references({wanted}))
        return found or Owner("hidden")
    return _eldest(residents({wanted})) or _eldest(references({wanted})) or Owner("nobody")


def _eldest(found: Iterable[Reference]) -> Owner | None:
    for holder in found:
        kind, how = ("process", "") if holder.inside else ("holder", str(holder))
        group = group_of(_groups(holder.pid))
        return Owner(kind, pid=holder.pid, command=holder.command, group=group, how=how)
    return None


def group_of(text: str) -> str | None:
    """Return the container or systemd unit that /proc/PID/cgroup speaks of, None for none."""
    paths = [line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2]
    for kind, pattern in _GROUPS:
        for path in paths:
            if found := re.search(pattern, path):
                name = found[1]
                return f"{kind} {name[:_SHORT] if len(name) == 64 else name}"
    return None


def _groups(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
