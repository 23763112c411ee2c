"""Who looks names up for others outside is not asked from inside: a lab has names of its own.

A socket in the file system leads to whoever listens, whatever network that one is in (unix(7)).
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import netloom as api
from tests.hosts.host import on_a_host
from tests.hosts.listeners import REACH, SOCKETS, listening
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

LAB = """\
name: two
links: [[red, blue 10.0.0.2/24]]
namespaces:
  red: {run: "getent hosts blue; getent hosts hosts-own || echo nobody; exec sleep 1001"}
  blue: {}
"""
NSCD = """\
server-user root
enable-cache hosts yes
persistent hosts no
shared hosts no
"""
KNOWN = "10.0.0.2        blue\n"


@contextmanager
def nscd() -> Iterator[None]:
    """Have the real one, of glibc, on the machine, which knows a name that only the machine has."""
    Path("/etc/hosts").write_text("127.0.0.1 localhost\n192.0.2.7 hosts-own\n")
    Path("/etc/nsswitch.conf").write_text("hosts: files\n")
    Path("/run/nscd").mkdir()
    conf = write("nscd.conf", NSCD)
    ran("nscd", "-f", str(conf.absolute()))
    try:
        yield
    finally:
        ran("nscd", "-f", str(conf.absolute()), "-K")


@on_a_host
@pytest.mark.needs("nscd")
def test_names_of_a_lab_are_its_own_beside_nscd() -> None:
    """The C library asks nscd first: what `up` says to try failed, and the host's names were seen.

    So by `exec` and `shell`, and in a command of the lab; `netns exec` stays what `ip`'s is.
    """
    write("two.yaml", LAB)
    with nscd(), no_trace():
        netloom("up", "-q", "two.yaml").status(0)
        netloom("exec", "red", "getent", "hosts", "blue").stdout(KNOWN).status(0)
        netloom("exec", "red", "getent", "hosts", "hosts-own").status(2)
        assert ended("shell", "red", stdin="getent hosts blue\n").stdout == KNOWN
        assert ended("logs", "red").stdout == f"{KNOWN}nobody\n"
        words = ("netns", "exec", "red", "getent", "hosts", "hosts-own")
        assert ended(*words).stdout == says("ip", *words) == "192.0.2.7       hosts-own\n"
        netloom("down", "-q", "two").status(0)


@on_a_host
@pytest.mark.needs("nscd")
def test_a_program_asks_for_names_in_its_lab() -> None:
    """By `run`, `popen` and `call`, in a namespace of the lab, in its host, and in one found."""
    with nscd(), api.Lab() as lab:
        red, _ = lab.netns("red", "blue")
        lab.wire("red", "blue 10.0.0.2/24")
        seen = red.run(["getent", "hosts", "blue"], capture_output=True, text=True)
        assert seen.stdout == KNOWN
        with red.popen(["getent", "hosts", "blue"], stdout=-1, text=True) as process:
            assert process.communicate()[0] == KNOWN
        assert red.call(socket.gethostbyname, "blue") == "10.0.0.2"
        says("ip", "netns", "add", "theirs")
        for one in (red, api.netns("theirs")):
            assert one.call(os.path.exists, SOCKETS[0]) is False
        assert lab["host"].call(os.path.exists, SOCKETS[0]) is False
        assert api.netns("host").call(os.path.exists, SOCKETS[0]) is True


@on_a_host
def test_the_system_bus_stays() -> None:
    """Programs of a lab need it; resolved's and avahi's own sockets are not reached."""
    says("ip", "netns", "add", "red")
    with listening(*SOCKETS):
        seen = ended("exec", "red", "python3", "-c", REACH, *SOCKETS)
        assert seen.stdout.split() == [SOCKETS[-1]]
        ips = says("ip", "netns", "exec", "red", "python3", "-c", REACH, *SOCKETS)
        assert ended("netns", "exec", "red", "python3", "-c", REACH, *SOCKETS).stdout == ips
        assert ips.split() == list(SOCKETS)
