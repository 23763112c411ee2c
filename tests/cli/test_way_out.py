"""Ways out of a program's lab: by a process that stays where the program is."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from netloom import Lab, TopologyError
from tests.hosts.internet import HOST4, HOST6, WEB4, WEB6, on_the_internet, server, upload
from tests.hosts.plain import may_make_a_tap, wait_for_ends
from tests.hosts.programs import pids, plainly, python
from tests.hosts.witness import no_trace

pytestmark = pytest.mark.needs("pasta")

PROGRAM = f"""
import socket, sys
from netloom import Lab

def ask(address):
    with socket.create_connection((address, 80), 5) as conn:
        return conn.recv(99).decode()

def ask_udp(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"?", (address, 80))
        return sock.recv(99).decode()

with Lab(name=sys.argv[1]) as lab:
    lab.network("lan", subnets=["10.100.0.0/24", "fd00:100::/64"], uplink=sys.argv[2])
    web = lab.netns("web", networks=["lan"], publish="8080:80")
    print(*(web.call(each, where) for where in ("{WEB4}", "{WEB6}") for each in (ask, ask_udp)))
    with web.listen(80) as listener:
        print("listens", flush=True)
        for _ in range(2):
            with listener.accept()[0] as conn, conn.makefile() as said:
                conn.sendall(str(len(said.read())).encode())
    sys.stdin.read()  # until what was sent last has arrived
"""


@contextmanager
def program(
    command: Callable[..., list[str]], lab: str, mode: str
) -> Iterator["subprocess.Popen[str]"]:
    """Run the program, which has a lab of this name, up to where it listens."""
    argv = command(PROGRAM, lab, mode)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline().split() == [HOST4, HOST4, HOST6, HOST6]
            assert process.stdout.readline() == "listens\n"
            yield process
        finally:
            process.kill()


def outer_agents(parent: int) -> list[int]:
    """Return the processes that stay outside for a program."""
    return pids("import serve_program", "--parent", str(parent))


@pytest.mark.parametrize("mode", ["user", "nat"])
@pytest.mark.parametrize("command", [python, plainly], ids=["root", "plain"])
@on_the_internet()
def test_members_get_out_and_a_published_port_leads_in(
    command: Callable[..., list[str]], mode: str
) -> None:
    """TCP and UDP, both families; from the host and a neighbour; nothing stays."""
    may_make_a_tap()
    lab = f"ways{os.getpid()}"
    with server("beyond", 80), no_trace(), program(command, lab, mode) as process:
        assert upload("host", HOST4, 1000, 8080) == upload("beyond", HOST4, 999, 8080) + 1 == 1000
        process.communicate(timeout=30)
        assert process.returncode == 0
        assert pids(f"{lab}[.]out") == []


@pytest.mark.parametrize("command", [python, plainly], ids=["root", "plain"])
@on_the_internet()
def test_a_program_that_is_killed_leaves_nothing_outside(
    command: Callable[..., list[str]],
) -> None:
    """Neither who leads out nor who stayed there to start it."""
    may_make_a_tap()
    lab = f"killed{os.getpid()}"
    with server("beyond", 80), no_trace(), program(command, lab, "user") as process:
        outside = [*pids(f"{lab}[.]out"), *outer_agents(process.pid)]
        assert len(outside) == 2
        fds = [os.pidfd_open(pid) for pid in outside]
        process.send_signal(signal.SIGKILL)
        wait_for_ends(fds)


@on_the_internet()
def test_an_outer_agent_that_was_killed_is_there_again_when_it_is_asked_for() -> None:
    """The way out stays meanwhile, and the next change has one, too."""
    with server("beyond", 80), Lab(name="again") as lab:
        lab.network("lan", subnet="10.100.0.0/24", uplink="user")
        web = lab.netns("web", networks=["lan"])
        (agent,) = outer_agents(os.getpid())
        fd = os.pidfd_open(agent)
        os.kill(agent, signal.SIGKILL)
        wait_for_ends([fd])
        assert web.reaches(WEB4, "tcp/80")
        lab.netns("db", networks=["lan"], publish="8080:80")
        assert lab["db"].reaches(WEB4, "tcp/80")


@on_the_internet()
def test_what_a_lab_of_a_program_may_not_have_is_refused() -> None:
    """`routed`, since its host is its own; it is left as it was."""
    with no_trace(), Lab(name="own") as lab:
        with pytest.raises(TopologyError, match="the host is not the machine's"):
            lab.network("lan", subnet="10.100.0.0/24", uplink="routed")
        lab.netns("a")
