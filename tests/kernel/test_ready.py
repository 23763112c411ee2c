"""Waiting for commands: each kind of readiness, and why one is not ready."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from netloom.errors import NotReady, Unavailable
from netloom.host.commands import launch, processes, stop
from netloom.host.commands.wait_ready import wait_ready
from netloom.kernel import sockets
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from tests.hosts.programs import says
from tests.kernel.commands import LAB, PYTHON, SOON, begin, command, in_a_lab, wait_for_end

GO = "/run/go"
LISTEN = """
import os, signal, socket, sys
family, kind, where = sys.argv[1:]
if family != 'AF_UNIX':
    host, port = where.rsplit(' ', 1)
    where = (host, int(port))
elif where[0] == '@':
    where = '\\0' + where[1:]
sock = socket.socket(getattr(socket, family), getattr(socket, kind))
open('/run/go').read()
sock.bind(where)
if kind != 'SOCK_DGRAM':
    sock.listen()
print('listening', flush=True)
signal.pause()
"""
"""Listens when somebody has written to /run/go, a pipe."""

PLACES = {
    "tcp4": ("tcp/80", "AF_INET", "SOCK_STREAM", "127.0.0.1 80"),
    "tcp6": ("tcp/80", "AF_INET6", "SOCK_STREAM", ":: 80"),
    "udp4": ("udp/53", "AF_INET", "SOCK_DGRAM", "0.0.0.0 53"),
    "udp6": ("udp/53", "AF_INET6", "SOCK_DGRAM", "::1 53"),
    "unix": ("unix//run/sock", "AF_UNIX", "SOCK_STREAM", "/run/sock"),
    "unix by a relative name": ("unix//run/sock", "AF_UNIX", "SOCK_STREAM", "../run/sock"),
    "unix datagrams": ("unix//run/sock", "AF_UNIX", "SOCK_DGRAM", "/run/sock"),
    "unix packets": ("unix//run/sock", "AF_UNIX", "SOCK_SEQPACKET", "/run/sock"),
    "abstract": ("unix/@abstract", "AF_UNIX", "SOCK_STREAM", "@abstract"),
    "log": ("log/listening", "AF_UNIX", "SOCK_STREAM", "/run/sock"),
}


def told(timeout: float, *commands: processes.RunCommand) -> str:
    """Return why commands are not ready."""
    with pytest.raises(NotReady) as caught:
        wait_ready(LAB, commands, timeout)
    return str(caught.value)


def go() -> None:
    """Let a program that waits for it go on."""
    Path(GO).write_text("go")


@in_a_lab
@pytest.mark.parametrize(("ready", "family", "kind", "where"), PLACES.values(), ids=list(PLACES))
def test_a_command_is_ready_when_it_listens_and_not_before(
    ready: str, family: str, kind: str, where: str
) -> None:
    """Each kind of readiness, seen at once; a file that is left from before is none."""
    os.mkfifo(GO)
    wanted = command(*PYTHON, LISTEN, family, kind, where, ready=ready)
    begin(wanted, wait=False)

    assert "is running, but" in told(0.05, wanted)

    go()
    wait_ready(LAB, [wanted], SOON)
    wait_ready(LAB, [wanted], 0)


@in_a_lab
def test_a_socket_file_on_which_nobody_listens_is_not_ready() -> None:
    """The file of a server that was killed stays, and so does a name that is only bound."""
    text = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/run/sock'); input()"
    Path("/run/sock2").touch()
    wanted = [
        command(
            *PYTHON,
            f"{text.replace('input()', 'import signal; signal.pause()')}",
            ready="unix//run/sock",
        ),
        command("exec sleep 1000", name="other", ready="unix//run/sock2"),
    ]
    begin(*wanted, wait=False)

    assert "nothing listens on unix//run/sock;" in told(0.1, *wanted)
    assert "nothing listens on unix//run/sock2;" in told(0, *wanted)


@in_a_lab
def test_what_ss_shows_is_what_is_seen() -> None:
    """Listeners of both families and protocols, with their inodes, as `ss` has them."""
    os.mkfifo(GO)
    for name in ("tcp4", "tcp6", "udp4", "udp6", "abstract"):
        _, family, kind, where = PLACES[name]
        where = where.replace("80", f"8{len(name)}{name[-1]}")
        wanted = command(*PYTHON, LISTEN, family, kind, where, name=name, ready="log/listening")
        begin(wanted, wait=False)
        go()
        wait_ready(LAB, [wanted], SOON)
    with open_name("web") as handle:
        diag = enter(handle, sockets.diag_socket)

    with diag:
        seen = [*sockets.listeners(diag, "tcp"), *sockets.listeners(diag, "udp")]
        names = [each.name for each in sockets.unix_listeners(diag)]

    inside = ("ip", "netns", "exec", "web", "ss")
    assert {tuple(each) for each in seen} == set(map(shown, says(*inside, "-Hlntue").splitlines()))
    assert (len(seen), names) == (4, ["@abstract"])
    assert "@abstract" in says(*inside, "-Hlx")


def shown(line: str) -> tuple[str, str, int, int]:
    """Return what a line of `ss` says of a listener."""
    words = line.split()
    address, _, port = words[4].rpartition(":")
    (inode,) = re.findall(r"ino:(\d+)", line)
    return words[0], "::" if address == "*" else address.strip("[]"), int(port), int(inode)


# ── what is printed ───────────────────────────────────────────────────────────────────────────────


@in_a_lab
def test_a_text_is_found_wherever_it_was_cut() -> None:
    """What is waited for may arrive in pieces, and be followed by more."""
    os.mkfifo(GO)
    wanted = command(
        "printf 'xx\\nrea'; cat /run/go; echo 'dy now'; sleep 1000", ready="log/ready now"
    )
    begin(wanted, wait=False)
    assert "has not printed `ready now`" in told(0.05, wanted)

    Path(GO).write_text("")
    wait_ready(LAB, [wanted], SOON)


@in_a_lab
def test_what_was_printed_by_an_earlier_start_does_not_count() -> None:
    """A log goes on from start to start, and each is read from where it began."""
    begin(command("echo ready; exec sleep 1000", ready="log/ready"))
    stop.stop(LAB)
    wanted = command("exec sleep 1000", ready="log/ready")
    begin(wanted, wait=False)

    assert "it has printed nothing" in told(0.05, wanted)


@in_a_lab
def test_one_that_printed_it_and_ended_was_ready() -> None:
    """A command that prepares something says so and goes: that is no failure."""
    begin(command("echo prepared", ready="log/prepared"))

    wait_for_end(processes.runs(LAB)[0].supervisor.pid)  # type: ignore[union-attr]
    wait_ready(LAB, [command("", ready="log/prepared")], 0)


# ── why not ───────────────────────────────────────────────────────────────────────────────────────


@in_a_lab
@pytest.mark.parametrize(
    ("text", "ready", "why"),
    [
        ("echo one; echo two >&2; exit 3", "tcp/80", "ended with status 3"),
        ("echo one; echo two; kill -9 $$", "log/three", "was ended by signal 9"),
        ("echo one; echo two", "unix//run/x", "ended with status 0"),
        ("echo one; echo two; sleep 1000 & exit 4", "udp/53", "ended with status 4"),
    ],
)
def test_one_that_ends_before_is_told_at_once(text: str, ready: str, why: str) -> None:
    """The reason comes long before the deadline, with the last lines."""
    wanted = command(text, ready=ready)
    other = command("exec sleep 1000", name="other", ready="tcp/81")
    begin(other, wanted, wait=False)

    began = time.monotonic()
    said = told(SOON, other, wanted)

    assert time.monotonic() - began < SOON / 2
    assert f"`it` in `web` {why} before " in said
    assert said.endswith("    one\n    two")


@in_a_lab
def test_without_ready_only_a_failure_is_told() -> None:
    """A command that runs, or has ended well, has begun; one that failed has not."""
    good = [command("exec sleep 1000", name="one"), command("true", name="two")]
    bad = command("exit 1", name="three")
    begin(*good)
    begin(bad, wait=False)
    wait_for_end(max(run.supervisor.pid for run in processes.runs(LAB) if run.supervisor))

    assert "`three` in `web` ended with status 1" in told(SOON, *good, bad)


@in_a_lab
def test_without_ready_it_is_watched_as_long_as_others_are_waited_for() -> None:
    """Its failure is told although it came late, and before the deadline of the other."""
    os.mkfifo(GO)
    other = command("exec sleep 1000", name="other", ready="tcp/80")
    wanted = command("cat /run/go; exit 5")
    begin(other, wanted, wait=False)
    assert "`it`" not in told(0.2, other, wanted)
    go()

    assert "`it` in `web` ended with status 5" in told(SOON, other, wanted)


@in_a_lab
def test_one_whose_supervisor_is_killed_is_lost_at_once() -> None:
    """Nobody will tell how it ends."""
    wanted = command("exec sleep 1000", ready="tcp/80")
    begin(wanted, wait=False)
    (run,) = processes.runs(LAB)
    assert run.supervisor
    os.kill(run.supervisor.pid, signal.SIGKILL)

    assert "its supervisor was killed" in told(SOON, wanted)


@in_a_lab
def test_what_was_never_started_is_told_so() -> None:
    """Neither one that nobody knows, nor one that was only announced."""
    assert "was not started" in told(SOON, command("true", ready="tcp/80"))

    os.makedirs(processes.runs_dir(LAB))
    launch._order(LAB, command("true"), "digest", "boot")
    assert "was not started" in told(SOON, command("true", ready="tcp/80"))


@in_a_lab
def test_one_that_is_late_is_told_with_what_it_listens_on_instead() -> None:
    """Another port or address is the usual mistake; a neighbour's sockets are not its own."""
    os.mkfifo(GO)
    wanted = command(*PYTHON, LISTEN, "AF_INET", "SOCK_STREAM", "127.0.0.1 8000", ready="tcp/80")
    neighbour = command(
        *PYTHON, LISTEN, "AF_INET6", "SOCK_DGRAM", "::1 53", name="other", ready="udp/53"
    )
    begin(neighbour, wait=False)
    go()
    wait_ready(LAB, [neighbour], SOON)
    begin(wanted, wait=False)
    go()
    said = ""
    while "8000" not in said:  # it may not listen yet when the deadline comes
        said = told(0.1, wanted)

    assert "nothing listens on tcp/80; it listens on tcp/8000 (127.0.0.1:8000)\n" in said


@in_a_lab
def test_all_that_are_late_are_told() -> None:
    """At the deadline the reason of each is there, and they all still run."""
    wanted = [
        command("exec sleep 1000", name="one", ready="tcp/80"),
        command("exec sleep 1000", name="two", ready="log/x"),
    ]
    begin(*wanted, wait=False)

    said = told(0.05, *wanted)

    assert "`one` in `web` is running" in said
    assert "`two` in `web` is running, but has not printed `x`" in said
    assert {seen.state for seen in processes.running(LAB).values()} == {"running"}


@in_a_lab
def test_waiting_leaves_no_file_open() -> None:
    """However it ends."""
    before = sorted(os.listdir("/proc/self/fd"))
    begin(
        command("echo x; exec sleep 1000", ready="log/x"), command("exit 1", name="bad"), wait=False
    )
    wait_ready(LAB, [command("", ready="log/x")], SOON)

    told(SOON, command("", name="bad", ready="tcp/80"))
    with pytest.raises(Unavailable):
        begin(command("true", name="x", netns="nowhere", ready="tcp/80"))

    assert sorted(os.listdir("/proc/self/fd")) == before
