"""Further users of a plain user: the ids that /etc/subuid and /etc/subgid give (subuid(5)).

In a user namespace nobody exists but who is mapped into it, and a plain user may map nobody else.
newuidmap(1) and newgidmap(1) may, with such ids, from outside. Within they follow on root: 1, 2, …,
so a daemon that becomes `www-data` finds itself there, as one of the user's own ids to all others.
"""

import os
import pwd
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple


class Given(NamedTuple):
    """Ids that follow each other: the first, and how many."""

    start: int
    number: int


class Ids(NamedTuple):
    """What a user is given."""

    users: Given
    groups: Given


def ids() -> Ids | None:
    """Return what the files give to who we are, None where one gives nothing."""
    users, groups = (_given(f"/etc/{name}") for name in ("subuid", "subgid"))
    return Ids(users, groups) if users and groups else None


def _given(path: str) -> Given | None:
    """Return the first ids that a file gives to who we are, by name or by number."""
    uid = os.geteuid()
    names = {str(uid)}
    with suppress(KeyError):
        names.add(pwd.getpwuid(uid).pw_name)
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        for name, _, rest in (line.strip().partition(":") for line in file):
            start, _, count = rest.partition(":")
            if name in names and start.isdecimal() and count.isdecimal() and int(count):
                return Given(int(start), int(count))
    return None


def give(pid: int, given: Ids) -> None:
    """Map who we are to root, and what is given behind it, in the new user namespace of a process.

    Should: be called by a process outside.
    Mustn't: be relied on: where the programs are not, or refuse, nothing is mapped.
    """
    pairs = (("newgidmap", os.getegid(), given.groups), ("newuidmap", os.geteuid(), given.users))
    for program, own, (start, number) in pairs:
        words = [program, str(pid), "0", str(own), "1", "1", str(start), str(number)]
        if not _succeeds(words):
            return


def _succeeds(argv: Sequence[str]) -> bool:
    with suppress(OSError):
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    return False
