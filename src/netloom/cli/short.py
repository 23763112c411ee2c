"""The short way of `netloom exec` and `netloom run`; for any trouble, the long way.

Should: import nothing that a plain `exec` does not use.
Mustn't: print anything but what `ip netns exec` would; reasons and hints are the long way's.
"""

import sys

from netloom.errors import Unavailable, harmless
from netloom.namespaces.run import HOST, NotStarted, exec_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def run_shortly(argv: "Sequence[str]") -> None:
    """Become a command in a throw-away namespace; return only if the long way shall say why not."""
    from netloom.namespaces.isolate import run_isolated

    try:
        run_isolated(argv)
    except NotStarted as error:
        _tell(str(error))
        sys.exit(error.status)
    except Unavailable:
        return


def exec_shortly(name: str, words: "Sequence[str]") -> None:
    """Become a command in a namespace; return only if the long way shall say why not."""
    argv = words[1:] if words[0] == "--" else words
    if not argv or argv[0].startswith("-") or name == HOST:
        return
    try:
        exec_in(name, argv, tell=_tell)
    except NotStarted as error:
        _tell(str(error))  # we have moved already: there is no long way back
        sys.exit(error.status)
    except Unavailable:
        return


def _tell(line: str) -> None:
    print(harmless(line), file=sys.stderr)  # noqa: T201
