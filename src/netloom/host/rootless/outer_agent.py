"""The porter: who stays outside for those who are inside, and does there what they ask.

A plain user's labs stand in namespaces of the user's own, a program's in a place of its own: their
host is not the machine's, and has no way out. Who has entered cannot go back (setns(2)): the
network outside is another user's. So one process shares their mounts and their user namespace, and
stays in the network in which the user is. It listens on a socket in /run, where a path leads across
networks (unix(7)), and does two things:

* it starts the launcher of commands (`keeper.py`) outside, with the caller's streams: so a program
  for `uplink: user` has its sockets on the machine, and its notes and its log inside;
* it looks around outside (`outside.py`), and sends back what it saw.

The socket bears the number of the network whose outside this is, and is the user's alone: somebody
who is one namespace further in does not take it for theirs.

Should: be a process of one thread, which is told when to end by a file that becomes readable.
Mustn't: wait for anything that it was asked for: each request has a child.
"""

import marshal
import os
import select
import signal
import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from netloom.errors import Unavailable
from netloom.kernel.files import exists
from netloom.namespaces.handle import open_self

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netloom.model.facts import UplinkFacts

NAME = "netloom-porter"
"""What `ps` shows."""

_STREAMS = 3


def path_of(netns: int) -> str:
    """Return where the porter of a network listens, which has this inode."""
    return f"/run/.netloom-porter.{netns}"


def is_here() -> bool:
    """Whether the network of the calling thread has a porter: then the machine is outside."""
    return exists(_path())


def _path() -> str:
    with open_self() as netns:
        return path_of(netns.inode)


# ── asking ────────────────────────────────────────────────────────────────────────────────


def spawn(argv: list[str], streams: Sequence[int]) -> Callable[[], int]:
    """Start a program outside, with our environment; what is returned waits for its status.

    Should: be given the three streams of the program.
    Mustn't: be called where there is no porter; raises `Unavailable` where it has ended.
    """
    asked = _ask(marshal.dumps(("spawn", argv, dict(os.environ))), streams)

    def wait() -> int:
        with asked:
            return int(_all_of(asked) or b"-1")

    return wait


def look(lab: str, ports: Collection[tuple[str, int]]) -> "UplinkFacts":
    """Return what lies around outside; raises `Unavailable` where nobody can look any more."""
    import msgspec

    from netloom.model.facts import UplinkFacts

    with _ask(marshal.dumps(("look", lab, list(ports), dict(os.environ)))) as asked:
        said = _all_of(asked)
    if not said:
        raise _ended()
    return msgspec.json.decode(said, type=UplinkFacts)


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


def _all_of(stream: socket.socket) -> bytes:
    return b"".join(iter(lambda: stream.recv(1 << 16), b""))


# ── answering ─────────────────────────────────────────────────────────────────────────────


def listen(path: str) -> socket.socket:
    """Return a socket at a path, for nobody but the user; one that was there before is dead."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)  # connecting needs the right to write
    listener.listen()
    return listener


def opened_run() -> int:
    """Open the /run that we see: by it a porter finds what root's labs have of its network.

    Should: be called before another is laid over it.
    """
    return os.open("/run", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def stand_by(path: str, program: int, run: int) -> None:
    """Be a porter as long as a program lives, which is open (pidfd_open(2)); say when we listen."""
    for fd in (program, run):
        os.set_inheritable(fd, False)  # noqa: FBT003 - it has no name
    with listen(path) as listener:
        os.write(1, b".")
        serve(listener, program, run)


def serve(listener: socket.socket, end: int, run: int) -> None:
    """Do what is asked, until `end` is readable; `run` is the /run of the network outside, open."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(end, select.POLLIN)
    while end not in (fd for fd, _ in poll.poll()):
        with listener.accept()[0] as asked:
            if os.fork() == 0:
                _answer(asked, run)
                os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _answer(asked: socket.socket, run: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    fds = socket.recv_fds(asked, 1, _STREAMS)[1]
    what, *told = marshal.loads(_all_of(asked))  # noqa: S302 - from the user's own processes
    answer = _spawned(fds, *told) if what == "spawn" else _looked(run, *told)
    with suppress(OSError):  # whoever asked was killed meanwhile
        asked.sendall(answer)


def _spawned(fds: list[int], argv: list[str], env: dict[str, str]) -> bytes:
    """Start a program, and return its status when it has ended."""
    places = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate(fds)]
    pid = os.posix_spawn(argv[0], argv, env, file_actions=places, setsid=True, setsigmask=())
    for fd in fds:
        os.close(fd)
    return str(os.waitpid(pid, 0)[1]).encode()


def _looked(run: int, lab: str, ports: list[tuple[str, int]], env: dict[str, str]) -> bytes:
    """Return what we see, from where we are."""
    import msgspec

    from netloom.host.observe.uplinks import look_around
    from netloom.plan.fence import Fence

    os.environ.clear()
    os.environ.update(env)
    return msgspec.json.encode(look_around(Fence(lab), ports, f"/proc/self/fd/{run}"))
