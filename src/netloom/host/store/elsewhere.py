"""What other users have: root's labs for a plain user, plain users' labs for root.

A plain user's labs stand in a /run of the user's own (`rootless/entry.py`), root's in that of the
machine; neither sees the other's names. So who asks for one that is not there is told whose it is,
and does not take it for gone.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from netloom.errors import Unavailable
from netloom.kernel.files import lexists
from netloom.namespaces import userns_session

ROOT = "root"
_RUN = "/run"


def owner_of_lab(name: str) -> str | None:
    """Return which other user has a lab of this name, None if nobody that we may know of."""
    return _owner_of(f"netloom/labs/{name}")


def owner_of_netns(name: str) -> str | None:
    """Return which other user has a namespace of this name, None if nobody that we may know of."""
    return _owner_of(f"netns/{name}")


def refused(lab: str, user: str) -> Unavailable:
    """Return the refusal of what is asked of another user's lab."""
    return Unavailable(f"the lab `{lab}` is {whose(user)}", f"run it as {user}")


def whose(user: str) -> str:
    """Return that something is a user's, in words."""
    return "root's" if user == ROOT else f"the user `{user}`'s"


def machines_labs() -> list[str]:
    """Return root's labs, for a plain user who is in namespaces of the user's own."""
    run = userns_session.machines_run()
    if run is None or userns_session.is_needed():
        return []
    try:
        return sorted(name for name in os.listdir(f"{run}/netloom/labs") if name.isprintable())
    except OSError:
        return []


def _owner_of(path: str) -> str | None:
    if "/.." in f"/{path}/" or path.endswith("/"):
        return None
    for user, run in _runs():
        with suppress(OSError):
            if lexists(f"{run}/{path}"):
                return user
    return None


def _runs() -> Iterator[tuple[str, str]]:
    """Yield the other users that we may know of, and where their /run is."""
    machines = userns_session.machines_run()
    if machines is not None:
        yield ROOT, machines
    elif os.geteuid() == 0:
        from netloom.kernel import process

        for seen in process.processes().values():
            if seen.command == userns_session.HOLDER:
                with suppress(OSError):
                    yield _name(os.stat(f"/proc/{seen.pid}").st_uid), f"/proc/{seen.pid}/root{_RUN}"


def _name(uid: int) -> str:
    """Return how sudo(8) calls a user."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
