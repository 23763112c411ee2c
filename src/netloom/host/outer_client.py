"""Asking the process that stays in the outer network for us (`rootless/outer_agent.py`).

It starts programs there, and looks around there. The socket that it listens on bears the number of
the network whose outside this is, and is the user's alone: somebody who is one namespace further in
does not take it for theirs.
"""

import marshal
import os
import socket
from collections.abc import Callable, Collection, Sequence

from netloom.errors import Unavailable
from netloom.kernel.files import exists
from netloom.namespaces.handle import open_self

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netloom.model.facts import UplinkFacts

NAME = "netloom-outer"
"""What `ps` shows of it."""


def path_of(netns: int) -> str:
    """Return where the outer agent of a network listens, which has this inode."""
    return f"/run/.netloom-outer.{netns}"


def is_here() -> bool:
    """Whether the network of the calling thread has an outer agent: then the machine is outside."""
    return exists(_path())


def _path() -> str:
    with open_self() as netns:
        return path_of(netns.inode)


def spawn(argv: list[str], streams: Sequence[int]) -> Callable[[], int]:
    """Start a program outside, with our environment; what is returned waits for its status.

    Should: be given the three streams of the program.
    Mustn't: be called where there is no outer agent; raises `Unavailable` where it has ended.
    """
    asked = _ask(marshal.dumps(("spawn", argv, dict(os.environ))), streams)

    def wait() -> int:
        with asked:
            return int(all_of(asked) or b"-1")

    return wait


def uplink_facts(lab: str, ports: Collection[tuple[str, int]]) -> "UplinkFacts":
    """Return what lies around outside; raises `Unavailable` where nobody can look any more."""
    from netloom.host.notes import decode
    from netloom.model.facts import UplinkFacts

    with _ask(marshal.dumps(("look", lab, list(ports), dict(os.environ)))) as asked:
        said = all_of(asked)
    if not said:
        raise _ended()
    return decode(said, UplinkFacts)


def _ask(request: bytes, fds: Sequence[int] = ()) -> socket.socket:
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        asked.connect(_path())
        socket.send_fds(asked, [b"."], fds)
        asked.sendall(request)
        asked.shutdown(socket.SHUT_WR)
    except OSError as error:
        asked.close()
        raise _ended() from error
    return asked


def _ended() -> Unavailable:
    return Unavailable(f"the process that stays outside for us ({NAME}) has ended")


def all_of(stream: socket.socket) -> bytes:
    """Return what comes until the other side has no more to say."""
    return b"".join(iter(lambda: stream.recv(1 << 16), b""))
