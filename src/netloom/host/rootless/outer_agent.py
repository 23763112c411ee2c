"""Who stays in the outer network for those who are inside, and does there what they ask.

A plain user's labs stand in namespaces of the user's own, a program's in a context of its own:
their host is not the machine's, and has no way out. Who has entered cannot go back (setns(2)): the
network outside is another user's. So one process shares their mounts and their user namespace, and
stays in the network in which the user is. It listens on a socket in /run, where a path leads across
networks (unix(7)), and does two things:

* it starts the launcher of commands (`supervisor.py`) outside, with the caller's streams: so a
  program for `uplink: user` has its sockets on the machine, and its notes and its log inside;
* it looks around outside (`uplinks.py`), and sends back what it saw.

Should: be a process of one thread, which is told when to end by a file that becomes readable.
Mustn't: wait for anything that it was asked for: each request has a child.
"""

import marshal
import os
import select
import signal
import socket
from contextlib import suppress

from netloom.host.outer_client import all_of

_STREAMS = 3


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
    """Open the /run that we see: by it an outer agent finds what root's labs have of its network.

    Should: be called before another is laid over it.
    """
    return os.open("/run", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def serve_program(path: str, program: int, run: int) -> None:
    """Serve as long as a program lives, which is open (pidfd_open(2)); say when we listen."""
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
    what, *told = marshal.loads(all_of(asked))  # noqa: S302 - from the user's own processes
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
    from netloom.host.notes import encode
    from netloom.host.observe.uplinks import uplink_facts_here
    from netloom.plan.fence import Fence

    os.environ.clear()
    os.environ.update(env)
    return encode(uplink_facts_here(Fence(lab), ports, f"/proc/self/fd/{run}"))
