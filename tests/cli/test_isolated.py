"""`netloom run`: one command in a network of its own, and what it is given on request."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.kernel.machines import mount_points, on_a_machine, plainly, python, ran

MAIN = "from netloom.__main__ import main; main()"

SOCKETS = (
    "/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/avahi-daemon/socket",
    "/run/dbus/system_bus_socket",
)
REACH = """
import socket, sys
for path in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
            print(path)
        except FileNotFoundError:
            pass
"""
"""Prints those of some sockets where somebody listens."""


@contextmanager
def listening(*paths: str) -> Iterator[None]:
    """Have somebody listen on sockets in the file system."""
    with ExitStack() as stack:
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(path)
            server.listen()
            Path(path).chmod(0o777)
        yield


@on_a_machine
@pytest.mark.needs("userns")
def test_nobody_outside_is_asked_for_names() -> None:
    """The sockets of those who look names up are reached without `run`, and not within."""
    with listening(*SOCKETS):
        before = mount_points()
        for argv in (python, plainly):
            assert ran(*argv(REACH, *SOCKETS)).stdout.split() == list(SOCKETS)
            inside = ran(*argv(MAIN, "run", "python3", "-c", REACH, *SOCKETS))
            assert (inside.stdout, inside.stderr) == ("", "")
        assert mount_points() == before


@on_a_machine
def test_a_system_bus_that_leads_to_no_resolver_stays() -> None:
    """A bus has other uses."""
    bus = SOCKETS[-1]
    with listening(bus):
        assert ran(*python(MAIN, "run", "python3", "-c", REACH, bus)).stdout == f"{bus}\n"


@on_a_machine
def test_what_resolv_conf_says_stays_where_it_leads_to_systemd_resolved() -> None:
    """Its file lies beside the socket; nothing else does any more, nor can be laid there."""
    text = "nameserver 127.0.0.53\noptions edns0\n"
    with listening(SOCKETS[1]):
        Path("/run/systemd/resolve/stub-resolv.conf").write_text(text)
        os.unlink("/etc/resolv.conf")
        os.symlink("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")
        script = (
            "cat /etc/resolv.conf; cd /run/systemd/resolve; ls; touch new 2>/dev/null || echo no"
        )

        said = ran(*python(MAIN, "run", "sh", "-c", script)).stdout

    assert said == f"{text}stub-resolv.conf\nno\n"
