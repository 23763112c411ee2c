"""Commands that end: what sets something up runs once, and is no fault for that it has ended."""

import os
import signal
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

RAN = Path("ran")
"""Has a line for each time that the command of a test ran."""

AS_IT_WAS = "lab  is as it was applied\n"
NOTHING_TO_DO = "lab  is up; nothing to do\n"


def lab(command: str, **keys: str) -> None:
    """Write a lab of one command."""
    words = ", ".join([f"command: {command!r}", *(f"{key}: {text}" for key, text in keys.items())])
    write("lab.yaml", f"namespaces: {{a: {{run: {{{words}}}}}}}\n")


def times() -> int:
    """Return how often the command ran."""
    return len(RAN.read_text().splitlines())


@pytest.mark.parametrize("keys", [{}, {"ready": "exit"}])
@on_a_host
def test_what_sets_something_up_runs_once_for_each_making(keys: dict[str, str]) -> None:
    """It has ended with 0: no drift, and not run again; a new namespace has nothing of it."""
    lab("echo it >> ran; ip link add br7 type bridge", **keys)

    netloom("up", "-q", "lab.yaml").status(0)
    for _ in range(2):
        netloom("verify", "lab").stdout(AS_IT_WAS).status(0)
        netloom("up", "lab.yaml").stdout(NOTHING_TO_DO).status(0)
    assert "br7" in says("ip", "-n", "a", "-br", "link")
    assert times() == 1
    says("ip", "netns", "del", "a")
    netloom("up", "-q", "lab.yaml").status(0)
    assert "br7" in says("ip", "-n", "a", "-br", "link")
    assert times() == 2
    says("ip", "-n", "a", "link", "del", "br7")
    netloom("down", "-q", "lab").status(0)
    netloom("up", "-q", "lab.yaml").status(0)
    assert times() == 3
    says("ip", "-n", "a", "link", "del", "br7")
    netloom("down", "-q", "lab").status(0)


@on_a_host
def test_up_waits_for_the_end_of_what_sets_something_up() -> None:
    """However long that takes; what it leaves in the background is no end that is missing."""
    lab("cat go; (sleep 1001 &); echo it >> ran", ready="exit")
    os.mkfifo("go")
    with no_trace():
        late = ended("up", "--timeout", "0.2", "lab.yaml")
        assert late.returncode == 1
        assert "`cat` in `a` is running, and has not ended\n" in late.stderr
        assert late.stderr.endswith("the lab stays up, as it is\n")
        Path("go").write_text("")
        netloom("up", "lab.yaml").stdout(NOTHING_TO_DO).status(0)
        assert times() == 1
        netloom("verify", "lab").stdout(AS_IT_WAS).status(0)
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_one_that_fails_is_told_and_run_again_by_the_next_up() -> None:
    """With its status and its last lines; the lab stays, and `verify` tells what is missing."""
    lab("echo it >> ran; echo no route to it; test -e there", ready="exit")
    with no_trace():
        failed = ended("up", "lab.yaml")
        assert failed.returncode == 1
        assert "`echo` in `a` ended with status 1\n" in failed.stderr
        assert failed.stderr.endswith("    no route to it\nthe lab stays up, as it is\n")
        assert ended("verify", "lab").returncode == 3
        Path("there").touch()
        netloom("up", "-q", "lab.yaml").status(0)
        netloom("verify", "lab").stdout(AS_IT_WAS).status(0)
        assert times() == 2
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_one_that_fails_the_second_time_is_told_the_second_time() -> None:
    """It runs again since its text changed; that it went well before counts for nothing."""
    lab("echo it >> ran", ready="exit")
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        lab("echo it >> ran; exit 5", ready="exit")
        failed = ended("up", "lab.yaml")
        assert (failed.returncode, "ended with status 5" in failed.stderr) == (1, True)
        assert ended("verify", "lab").returncode == 3
        lab("echo it >> ran", ready="exit")
        netloom("up", "-q", "lab.yaml").status(0)
        netloom("verify", "lab").stdout(AS_IT_WAS).status(0)
        assert times() == 3
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_a_daemon_that_is_killed_in_the_background_is_missing() -> None:
    """Its command ended with 0 when it went there; what counts is how the last of it ends."""
    lab("(setsid sleep 1001 &); exit 0")
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        netloom("verify", "lab").stdout(AS_IT_WAS).status(0)
        (pid,) = map(int, says("ip", "netns", "pids", "a").split())
        os.kill(pid, signal.SIGKILL)
        while ended("verify", "lab").returncode != 3:
            os.sched_yield()
        netloom("up", "-q", "lab.yaml").status(0)
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_one_that_starts_again_when_it_fails_is_ready_at_last() -> None:
    """`restart: on-failure`; it is no drift meanwhile, and its log says how often."""
    lab("echo it >> ran; test $(wc -l < ran) -ge 3", ready="exit", restart="on-failure")
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        assert times() == 3
        assert ended("logs", "a").stdout.count("starts again in") == 2
        netloom("verify", "lab").stdout(AS_IT_WAS).status(0)
        netloom("down", "-q", "lab").status(0)


@on_a_machine
def test_a_plain_user_has_the_same() -> None:
    """In a lab without root, as in one of root's."""
    text = "namespaces: {a: {run: {command: echo it >> ran, ready: exit}}}\n"
    with new_plain_user(lab=text) as plain:
        plain.says("up", "-q", "lab.yaml")
        assert plain.says("verify", "lab") == AS_IT_WAS
        assert plain.says("up", "lab.yaml") == NOTHING_TO_DO
        assert (plain.folder / "ran").read_text() == "it\n"
        plain.says("down", "-q", "lab")
