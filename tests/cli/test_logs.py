"""`netloom logs`: of one command, of a namespace, of all; the last lines, since when, and when."""

import re
import shlex
import time
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import ran
from tests.hosts.witness import no_trace

LAB = """\
namespaces:
  a:
    run:
      - {name: one, command: "echo first; echo second >&2; printf third", ready: exit}
      - {name: two, command: echo fourth, ready: exit, after: one}
  b: {run: {name: one, command: echo fifth, ready: exit, after: a}}
"""
OTHER = "namespaces: {c: {run: {name: six, command: echo sixth, ready: exit}}}\n"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def lines(*words: str) -> list[str]:
    """Return the lines of `netloom logs`, which must be all that it says."""
    shown = ended("logs", *words)
    assert (shown.returncode, shown.stderr) == (0, ""), shown
    return shown.stdout.splitlines()


@on_a_host
def test_without_a_namespace_all_that_any_command_printed() -> None:
    """In the order in which it was printed, over commands, namespaces and labs."""
    write("lab.yaml", LAB)
    write("other.yaml", OTHER)
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        netloom("up", "-q", "other.yaml").status(0)
        assert lines() == [
            *("a/one | first", "a/one | second", "a/one | third"),
            *("a/two | fourth", "b/one | fifth", "c/six | sixth"),
        ]
        assert lines("a") == ["one | first", "one | second", "one | third", "two | fourth"]
        assert lines("b") == ["fifth"]
        netloom("down", "-q", "--all").status(0)
        netloom("logs").status(0)


@on_a_host
def test_the_last_lines_are_those_of_each_command() -> None:
    """As `docker compose logs --tail` has it."""
    write("lab.yaml", LAB)
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        assert lines("-n", "1") == ["a/one | third", "a/two | fourth", "b/one | fifth"]
        assert lines("-n", "2", "a", "one") == ["second", "third"]
        assert lines("-n", "0") == []
        refused = ended("logs", "-n", "many")
        assert refused.returncode == 2
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_each_line_has_a_time_and_what_is_older_is_left_out() -> None:
    """`--times` shows what `--since` takes, in whole or its beginning; and a span."""
    write("lab.yaml", LAB.replace("echo fourth", "sleep 0.01; echo fourth"))
    with no_trace():
        before = time.time()
        netloom("up", "-q", "lab.yaml").status(0)
        shown = lines("--times", "a")
        assert all(re.fullmatch(f"{TIME} (one|two) \\| .*", line) for line in shown)
        times = [line.split()[0] for line in shown]
        first = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before))
        assert first <= times[0] <= times[-1]
        assert lines("--since", times[-1], "a") == ["two | fourth"]
        assert lines("--since", "10m", "a") == lines("--since", first, "a") == lines("a")
        assert lines("--since", times[0][:10], "-n", "1", "b") == ["fifth"]
        assert lines("--since", "0s") == lines("--since", "2999-01-01 12:00") == []
        refused = ended("logs", "--since", "yesterday")
        assert (refused.returncode, "`yesterday` is no time: " in refused.stderr) == (2, True)
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_a_log_that_somebody_removed_is_told() -> None:
    """Where it stood; those of the others are shown, and the lab goes as ever."""
    write("lab.yaml", LAB)
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        Path("/run/netloom/labs/lab/logs/a:one.log").unlink()
        told = (
            "nothing is left of what `one` in `a` printed: "
            "/run/netloom/labs/lab/logs/a:one.log is not there\n"
        )
        netloom("logs", "a", "one").stderr(told).status(1)
        netloom("logs", "-f", "a", "one").stderr(told).status(1)
        netloom("logs", "a").stdout("two | fourth\n").stderr(told).status(1)
        netloom("up", "lab.yaml").stdout("lab  is up; nothing to do\n").status(0)
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_more_logs_than_files_may_be_open_are_shown() -> None:
    """As far as the hard limit goes."""
    folder = Path("/run/netloom/labs/many/logs")
    for path in (folder.parents[2], folder.parents[1], folder.parent, folder):
        path.mkdir(mode=0o700, exist_ok=True)
    for number in range(300):
        (folder / f"n{number}:x.log").write_text(f"2026-11-30T12:00:00.000Z {number}\n")

    shown = ran("sh", "-c", f"ulimit -Sn 64; {shlex.join(command('logs'))}")

    assert len(shown.stdout.splitlines()) == 300


@pytest.mark.long
@on_a_host
def test_a_command_that_prints_without_end_fills_no_memory() -> None:
    """`yes` for three seconds: what it takes is bounded, and its beginning is there."""
    write("lab.yaml", "namespaces: {a: {run: timeout 3 yes aaaaaaaaaaaaaaaa}}\n")
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        while "run" not in ended("verify", "lab").stdout:  # it ended with 124
            time.sleep(0.1)
        log = Path("/run/netloom/labs/lab/logs/a:timeout.log").stat()
        assert log.st_size > 50 << 20
        assert log.st_blocks * 512 < 12 << 20
        assert ended("logs", "a").stdout.count("are not kept") == 1
        netloom("down", "-q", "lab").status(0)


@on_a_machine
def test_a_plain_user_sees_the_own_ones() -> None:
    """And none of root's, about which nobody need be told."""
    with new_plain_user(lab=LAB, root=OTHER) as plain:
        netloom("up", "-q", str(plain.folder / "root.yaml")).status(0)
        plain.says("up", "-q", "lab.yaml")
        assert plain.says("logs", "-n1").splitlines() == [
            *("a/one | third", "a/two | fourth", "b/one | fifth")
        ]
        plain.says("down", "-q", "lab")
        netloom("down", "-q", "root").status(0)
