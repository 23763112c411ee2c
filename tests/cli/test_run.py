"""`run:`: commands that live as long as the lab, shown by what a user sees of them."""

import os
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

SERVER = "import socket, signal; s = socket.create_server(('', 80)); signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print('two'); signal.pause()"
LAB = f"""\
networks:
  lan: {{subnet: 10.20.0.0/24}}
namespaces:
  web:
    networks: [lan]
    run:
      name: server
      command: |
        echo serving; exec python3 -c "{SERVER}"
      ready: tcp/80
  db:
    networks: [lan]
    run:
      - "echo one; (setsid sleep 1001 & ) ; exec sleep 1002"
      - {{name: two, command: [sh, -c, "echo two; exec sleep 1003"], ready: log/two}}
"""
DEAF = f"""\
namespaces: {{a: {{run: {{command: [python3, -uc, "{STUBBORN}"], ready: log/two}}}}}}
"""


def pids_in(name: str) -> set[int]:
    """Return the processes in a namespace."""
    return {int(pid) for pid in says("ip", "netns", "pids", name).split()}


def alive(pids: set[int]) -> set[int]:
    """Return those processes that there are, zombies not counted."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            found |= {pid} if state != "Z" else set()
    return found


def parent(pid: int) -> int:
    """Return the parent of a process."""
    return int(says("ps", "-o", "ppid=", "-p", str(pid)))


def gone(pids: list[int]) -> None:
    """Wait until processes have ended (pidfd_open(2))."""
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert select.select([fd], [], [], 60)[0]
        os.close(fd)


@on_a_host
def test_commands_live_as_long_as_the_lab_and_no_longer() -> None:
    """Ready when `up` returns; gone, with all they forked, when `down` does."""
    write("shop.yaml", LAB)

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        assert "*:80" in says("nsenter", "--net=/run/netns/web", "ss", "-Hltn").replace(
            "0.0.0.0:80", "*:80"
        )
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        netloom("up", "shop.yaml").stdout("shop  is up; nothing to do\n").status(0)
        those = pids_in("web") | pids_in("db")
        assert len(those) >= 4
        netloom("down", "-q", "shop").status(0)
        assert alive(those) == set()


@on_a_host
def test_a_command_that_does_not_hear_is_killed() -> None:
    """SIGTERM first; who ignores it gets SIGKILL when the grace is over."""
    write("deaf.yaml", DEAF)

    with no_trace():
        netloom("up", "-q", "deaf.yaml").status(0)
        those = pids_in("a")
        netloom("down", "-q", "deaf").status(0)
        assert alive(those) == set()


@on_a_host
def test_logs_show_what_a_command_printed() -> None:
    """One command's as it is, several with their names."""
    write("shop.yaml", LAB)

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("logs", "web").stdout("serving\n").status(0)
        assert sorted(ended("logs", "db").stdout.splitlines()) == ["echo | one", "two | two"]
        netloom("logs", "db", "two").stdout("two\n").status(0)
        netloom("logs", "wep").stderr(
            "no command of a lab runs in `wep`: did you mean `web`?\n"
        ).status(2)
        netloom("logs", "db", "three").stderr(
            "`db` has no command `three`: there is `echo`, `two`\n"
        ).status(2)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_logs_go_on_as_more_is_printed_and_end_with_the_lab() -> None:
    """`-f`: what was printed before, each line as it comes, and no end before there is one."""
    write("talk.yaml", "namespaces: {a: {run: {command: echo first; cat go, ready: log/first}}}\n")
    os.mkfifo("go")

    with no_trace():
        netloom("up", "-q", "talk.yaml").status(0)
        argv = command("logs", "-f", "a")
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout
            assert following.stdout.readline() == "first\n"
            Path("go").write_text("second\n")
            assert following.stdout.readline() == "second\n"
            assert following.poll() is None
            netloom("down", "-q", "talk").status(0)
            assert following.stdout.read() == ""
        assert following.returncode == 0


@on_a_host
def test_a_command_that_ended_is_drift_and_is_started_again() -> None:
    """`verify` says so, `up` mends it, and the others are not disturbed."""
    write("shop.yaml", LAB)

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        (server,) = pids_in("web")
        others = pids_in("db")
        with_its_supervisor = [server, parent(server)]
        os.kill(server, signal.SIGKILL)
        gone(with_its_supervisor)
        told = ended("verify", "shop").stdout
        assert told.startswith("- run web server\n+ run web server: echo serving;"), told
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        assert alive(others) == others
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_what_is_not_ready_in_time_is_told_and_the_lab_stays() -> None:
    """With the reason and the last lines; a command that exits at once is told at once."""
    write("late.yaml", "namespaces: {a: {run: {command: echo hello; sleep 1001, ready: tcp/80}}}\n")
    write("dead.yaml", "namespaces: {b: {run: {command: echo oops; exit 7, ready: tcp/80}}}\n")

    with no_trace():
        late = ended("up", "--timeout", "0.3", "late.yaml")
        assert late.returncode == 1
        assert "`echo` in `a` is running, but nothing listens on tcp/80" in late.stderr
        assert "    hello\n" in late.stderr
        assert late.stderr.endswith("the lab stays up, as it is\n")
        dead = ended("up", "--timeout", "600", "dead.yaml")
        assert dead.returncode == 1
        assert "7" in dead.stderr.splitlines()[0]
        assert "    oops\n" in dead.stderr
        netloom("labs").stdout(
            "dead  1 namespace  dead.yaml\nlate  1 namespace  late.yaml\n"
        ).status(0)
        netloom("down", "-q", "--all").status(0)


@on_a_host
def test_one_without_ready_that_fails_at_once_is_told_and_the_lab_stays() -> None:
    """By its status, or because there is no such program; one that ends well has done its work."""
    write("seven.yaml", "namespaces: {a: {run: [sleep 1001, echo oops; exit 7]}}\n")
    write("typo.yaml", "namespaces: {b: {run: {command: [nosuchprogram, -x]}}}\n")
    write("once.yaml", "namespaces: {c: {run: ['true', (sleep 1002 &) ; exit 0]}}\n")

    with no_trace():
        seven = ended("up", "seven.yaml")
        assert seven.returncode == 1
        assert "`echo` in `a` ended with status 7\n" in seven.stderr
        assert seven.stderr.endswith("    oops\nthe lab stays up, as it is\n")
        typo = ended("up", "typo.yaml")
        assert typo.returncode == 1
        assert "`nosuchprogram` in `b` ended with status 127\n" in typo.stderr
        assert "No such file or directory" in typo.stderr
        netloom("up", "-q", "once.yaml").status(0)
        assert len(pids_in("c")) == 1
        netloom("down", "-q", "--all").status(0)


WAITING = """\
namespaces:
  a:
    run:
      command: |
        until [ -e /run/netloom/labs/slow/record ]; do :; done
        flock /run/netloom/labs/slow true  # which netloom holds as long as it changes something
        echo up > told; exec sleep 1001
      ready: tcp/80
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@on_a_host
def test_ctrl_c_while_a_command_gets_ready_leaves_the_lab_and_says_so(number: int) -> None:
    """Nothing is undone: the lab was made, and a command of it may only be slow."""
    write("slow.yaml", WAITING)
    os.mkfifo("told")

    with no_trace():
        running = subprocess.Popen(command("up", "slow.yaml"), stderr=subprocess.PIPE, text=True)
        assert Path("told").read_text() == "up\n"
        running.send_signal(number)
        told = running.communicate()[1]
        assert running.returncode == 130
        assert told == (
            "interrupted; `slow` stays up, with commands that are not ready yet (netloom logs a)\n"
        )
        netloom("verify", "slow").stdout("slow  is as it was applied\n").status(0)
        netloom("down", "-q", "slow").status(0)


@on_a_host
def test_a_changed_command_is_started_anew_and_one_not_wanted_ends() -> None:
    """The plan says both; `undo` brings the first back."""
    write("shop.yaml", "namespaces: {a: {run: [sleep 1001, {command: sleep 1002, name: two}]}}\n")

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        first = pids_in("a")
        write("shop.yaml", "namespaces: {a: {run: sleep 1003}}\n")
        netloom("plan", "shop.yaml").stdout(
            "- run a sleep\n- run a two\n+ run a sleep: sleep 1003\n3 changes\n"
        ).status(0)
        netloom("up", "-q", "shop.yaml").status(0)
        assert alive(first) == set()
        netloom("undo", "shop").stdout(
            "- run a sleep\n+ run a sleep: sleep 1001\n+ run a two: sleep 1002\n3 changes\n"
        ).status(0)
        assert len(pids_in("a")) == len(first)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_what_cannot_be_started_is_refused_before_anything_is_touched() -> None:
    """A user that there is not, a folder that there is not, a name twice."""
    write("user.yaml", "namespaces: {a: {run: {command: sleep 1, user: nosuch}}}\n")
    write("cwd.yaml", "namespaces: {a: {run: {command: sleep 1, cwd: /nosuch}}}\n")
    write("twice.yaml", "namespaces: {a: {run: [{command: b, name: c}, {command: d, name: c}]}}\n")

    with no_trace():
        for file, said in (
            ("user.yaml", "no user `nosuch` here"),
            ("cwd.yaml", "no folder `/nosuch`"),
            ("twice.yaml", "twice.yaml:1:66: a second command `c`"),
        ):
            refused = ended("up", file)
            assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
            assert refused.stderr.endswith("nothing was touched\n")


@on_a_host
def test_a_user_s_own_process_in_a_namespace_is_told_and_lives_on() -> None:
    """`down` ends what the file started; what a person started is named, and stays."""
    write("shop.yaml", "namespaces: {a: {run: sleep 1001}}\n")
    netloom("up", "-q", "shop.yaml").status(0)
    script = "import os; os.write(1, b'.'); os.close(1); os.execvp('sleep', ['sleep', '1002'])"
    with subprocess.Popen(
        ["nsenter", "--net=/run/netns/a", "python3", "-c", script], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.read()
        own = process.pid
        told = ended("down", "shop")
        process.kill()

    assert told.returncode == 0
    assert f"(pid {own}) still runs in what was `a`" in told.stderr
    assert told.stderr.count("note:") == 1
