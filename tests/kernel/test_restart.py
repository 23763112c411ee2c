"""`restart: on-failure`: what fails starts again, as Docker and compose have it."""

import os
import signal
from pathlib import Path

import pytest

from netloom.errors import NotReady
from netloom.host.commands import processes, stop
from netloom.host.commands.wait_ready import wait_ready
from tests.kernel.commands import LAB, SOON, begin, command, in_a_lab, lives, printed, wait_for_end

COUNT = "echo it >> /run/count; test $(wc -l < /run/count) -ge"


def times() -> int:
    """Return how often a command ran that counts."""
    return len(Path("/run/count").read_text().splitlines())


def state() -> processes.CommandState:
    """Return what became of the command."""
    return processes.running(LAB)["web", "it"]


def until_it_ends() -> None:
    """Return when the only supervisor has gone."""
    (run,) = processes.runs(LAB)
    assert run.supervisor
    wait_for_end(run.supervisor.pid)


@in_a_lab
def test_one_that_fails_starts_again_until_it_does_not() -> None:
    """Each time later; the log says so, and `ready` waits for it."""
    begin(command(f"{COUNT} 3", ready="exit", restart=-1))

    assert times() == 3
    until_it_ends()
    assert (state().state, state().status) == ("ended", 0)
    assert printed() == [
        "netloom: ended by status 1; starts again in 0.1 s",
        "netloom: ended by status 1; starts again in 0.2 s",
    ]


@in_a_lab
def test_so_many_times_and_no_more() -> None:
    """`on-failure:2` are three runs; then it has failed for good, and that is told."""
    wanted = command(f"{COUNT} 9", ready="exit", restart=2)
    with pytest.raises(NotReady, match="ended with status 1"):
        begin(wanted)

    assert times() == 3
    until_it_ends()
    assert (state().state, state().status) == ("ended", 1)


@in_a_lab
def test_one_that_ends_well_does_not() -> None:
    """It has done its work."""
    begin(command(f"{COUNT} 1", ready="exit", restart=-1))

    until_it_ends()
    assert times() == 1


@in_a_lab
def test_a_signal_is_a_failure_but_for_who_asks_its_supervisor_to_end() -> None:
    """SIGKILL, from whomever, starts it again; SIGTERM to the supervisor ends it for good."""
    begin(command("echo up; exec sleep 1000", ready="log/up", restart=-1))
    (run,) = processes.runs(LAB)
    assert run.command
    assert run.supervisor
    os.kill(run.command.pid, signal.SIGKILL)
    wait_ready(LAB, [command("", ready="log/up\nnetloom: ended by signal 9")], SOON)
    wait_ready(LAB, [command("", ready="log/starts again in 0.1 s\nup")], SOON)

    assert state().state == "running"
    assert lives(state().pid)
    assert state().pid != run.command.pid
    os.kill(run.supervisor.pid, signal.SIGTERM)
    wait_for_end(run.supervisor.pid)
    assert (state().state, state().status) == ("ended", -signal.SIGTERM)


@in_a_lab
def test_what_it_left_is_ended_before_it_starts_again() -> None:
    """As with a container, of which nothing outlives its first process."""
    text = f"(setsid sleep 1000 & echo pid $! ); {COUNT} 2 && exec sleep 1000"
    begin(command(f"{text}", restart=-1), wait=False)
    until = command("", ready="log/starts again")
    wait_ready(LAB, [until], SOON)
    while len(pids := [int(line.split()[1]) for line in printed() if line[:3] == "pid"]) < 2:
        os.sched_yield()

    assert [lives(pid) for pid in pids] == [False, True]


@in_a_lab
def test_it_starts_again_as_it_started_first() -> None:
    """What its supervisor does with signals is not its own."""
    text = f"grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status; {COUNT} 2"
    begin(command(text, ready="exit", restart=-1))

    lines = printed()
    assert lines[:3] == lines[4:7]
    assert len(lines) == 7


@pytest.mark.parametrize(
    "text", ["false", "exec sleep 1000", "trap '' TERM; sleep 1000; sleep 1000"]
)
@in_a_lab
def test_one_that_is_told_to_end_does_not_start_again(text: str) -> None:
    """Whether it runs, or its supervisor waits for the next time."""
    begin(command(f"echo it >> /run/count; {text}", restart=-1), wait=False)
    while not Path("/run/count").exists():
        os.sched_yield()
    (run,) = processes.runs(LAB)
    assert run.supervisor

    assert stop.stop(LAB, grace=0.2) == []

    assert not lives(run.supervisor.pid)
    assert processes.runs(LAB) == []


@in_a_lab
def test_one_that_cannot_be_run_keeps_nobody_waiting() -> None:
    """It is started again all the same: somebody may be about to install it."""
    begin(command("nosuchprogram", "x", restart=-1), wait=False)

    wait_ready(LAB, [command("", ready="log/starts again in 0.2 s")], SOON)
    assert state().state == "running"
