"""Names that are symbolic links: a trap that old how-tos set.

`ln -s /proc/PID/ns/net /run/netns/NAME` looks like `ip netns attach`, but holds nothing: the name
leads nowhere as soon as that process ends, or into another namespace when it moves, or when its
number is given to somebody else.
"""

import os
import re

from netloom.errors import printable, quoted
from netloom.namespaces.handle import is_netns

_OF_A_PROCESS = r"/proc/(\d+|self|thread-self)/(?:task/\d+/)?ns/net"


def link_of(path: str) -> str | None:
    """Return where a symbolic link leads, as it is written; None if `path` is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def trap(name: str, path: str) -> tuple[str, str] | None:
    """Return what a name that is only a symbolic link is worth, and what to do; None if it is none.

    `path` is the file of the name.
    """
    target = link_of(path)
    if not target:
        return None
    found = re.fullmatch(_OF_A_PROCESS, target)
    holder = f"process {found[1]}" if found else f"`{printable(target)}`"
    what = f"`{printable(name)}` is only a symbolic link to `{printable(target)}`"
    if not is_netns(path):
        return (
            f"{what}, which is gone",
            f"netloom del {quoted(name)}",
        )
    reason = f"{what}: it holds nothing, and ends with {holder}"
    source = found[1] if found else target
    return reason, f"netloom del {quoted(name)} && netloom attach {quoted(name)} {quoted(source)}"
