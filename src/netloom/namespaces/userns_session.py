"""Namespaces of a plain user's own: whether one needs them, is in them, and has something in them.

Who makes and finds them is `host/rootless/entry.py`.
"""

import os
from contextlib import suppress

from netloom.kernel import modes

MARK = "/run/.netloom-holder"
"""Stands in a holder's own /run, with the inode of its mount namespace: names made there last."""

HOLDER = "netloom-holder"
"""What `ps` shows of who holds a plain user's namespaces."""

_CAP_SYS_ADMIN = 1 << 21


def is_needed() -> bool:
    """Whether this process has not the rights for namespaces, and would have them inside."""
    if os.geteuid() == 0:
        return False
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        caps = next((line for line in file if line.startswith("CapEff:")), "CapEff: 0")
    return not int(caps.split()[1], 16) & _CAP_SYS_ADMIN


_machines_run: list[int] = []
"""The machine's /run, open, in a process that has moved into namespaces of a plain user's own."""


def keep_machines_run() -> None:
    """Keep the /run that we see open, to know what is in it: names, and no more.

    Should: be called before another is laid over it, or other mounts are entered.
    """
    _machines_run.append(os.open("/run", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))


def machines_run() -> str | None:
    """Return where the machine's /run is, for a plain user; None where our own is the machine's."""
    if is_needed():
        return "/run"
    return f"/proc/self/fd/{_machines_run[0]}" if _machines_run else None


def is_plain_user() -> bool:
    """Whether a plain user asks, be it inside of the user's own namespaces, who is root there."""
    return os.geteuid() != 0 or bool(_machines_run) or is_held()


def is_used() -> bool:
    """Whether there is a lab or a name in the namespaces that we are in."""
    for folder in ("/run/netns", "/run/netloom"):
        with suppress(OSError):
            if os.listdir(folder):
                return True
    return False


def mark_held() -> None:
    """Note that the mounts of the calling thread are held by a process."""
    inode = os.stat("/proc/thread-self/ns/mnt").st_ino
    modes.write(MARK, str(inode).encode(), modes.PUBLIC)


def is_held(process: int | str = "thread-self") -> bool:
    """Whether names made in the mounts of a process last, because a holder keeps these mounts."""
    try:
        with open(f"/proc/{process}/root{MARK}", encoding="utf-8") as file:
            return file.read() == str(os.stat(f"/proc/{process}/ns/mnt").st_ino)
    except OSError:
        return False
