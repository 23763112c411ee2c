"""The short way of `netloom exec NS CMD…`: without click, and back to the long way for any trouble.

Should: import nothing that a plain `exec` does not use.
Mustn't: print anything but what `ip netns exec` would; reasons and hints are the long way's.
"""

import sys

from netloom.netns.handle import NoSuchNetns
from netloom.netns.run import NotStarted, exec_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def exec_shortly(name: str, words: "Sequence[str]") -> None:
    """Become a command in a namespace; return only if the long way shall say why that was not possible."""
    argv = words[1:] if words[0] == "--" else words
    if not argv or argv[0].startswith("-"):
        return
    try:
        exec_in(name, argv, tell=lambda line: print(line, file=sys.stderr))  # noqa: T201
    except NotStarted as error:
        print(error, file=sys.stderr)  # noqa: T201 - we have moved already: there is no long way back
        sys.exit(error.status)
    except NoSuchNetns:
        return
