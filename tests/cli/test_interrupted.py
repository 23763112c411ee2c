"""Ctrl-C at any moment of any verb: no traceback, nothing half done, and a status that says so.

The moments are spread over a whole run, from our first line on: that is where netloom hands Ctrl-C
back to the kernel, which /proc shows. Before it, Python itself prints where it was just then.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import Ended, Warm, ended, netloom, write
from tests.hosts.plain import Plain, new_plain_user
from tests.hosts.programs import MAIN, SRC, plainly, python, ran
from tests.hosts.witness import no_trace

MOMENTS = 40 if os.environ.get("NETLOOM_WALK") == "whole" else 1
"""How many moments of each verb are tried; `make walk` tries more."""

LAB = """\
name: lab
networks: {lan: {subnet: 10.1.0.0/24}}
namespaces: {a: {networks: [lan], run: sleep 1001}, b: {networks: [lan]}}
"""
LOOKING = {
    "labs": ("labs",),
    "ls": ("ls",),
    "netns list": ("netns", "list"),
    "verify": ("verify", "lab"),
    "plan": ("plan", "lab.yaml"),
    "up of what is up": ("up", "lab.yaml"),
    "pids": ("pids", "--fds", "a"),
    "identify": ("identify", "a"),
    "logs": ("logs", "a"),
    "exec": ("exec", "a", "true"),
    "shell": ("shell", "a"),
    "run": ("run", "true"),
    "run on a network": ("run", "--network", "lab/lan", "true"),
    "schema": ("schema",),
}
CHANGING = {
    "up": ("up", "-q", "lab.yaml"),
    "down": ("down", "-q", "lab"),
    "undo": ("undo", "lab"),
    "add": ("add", "x", "y"),
    "netns add": ("netns", "add", "x"),
    "del": ("del", "x"),
    "netns delete": ("netns", "delete", "x"),
    "wire": ("wire", "x:x0", "host:x1"),
    "init": ("init", "new.yaml"),
}


def moments(whole: float) -> Iterator[float]:
    """Yield moments of a run that takes so many seconds: one at random in each of equal parts."""
    chance = random.random
    return (whole * (part + chance()) / MOMENTS for part in range(MOMENTS))


class Running:
    """A netloom that has come to its first line."""

    def __init__(self, argv: Sequence[str], told: int, **keys: object) -> None:
        """Start it, and wait for that; `told` is what it says it on."""
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, **keys
        )
        assert os.read(told, 1) == b"."
        while self._catches_ctrl_c():
            pass
        self.begun = time.monotonic()

    def _catches_ctrl_c(self) -> bool:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) & 1 << signal.SIGINT - 1)

    def end(self) -> Ended:
        """Wait for its end."""
        said, talk = self.process.communicate(timeout=60)
        return Ended(self.process.returncode, said, talk)

    def interrupt(self, moment: float, number: int) -> Ended:
        """Send it a signal at a moment, in seconds after its first line."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, self.begun + moment - time.monotonic()))
        self.process.send_signal(number)
        done = self.end()
        for word in ("Traceback", "Exception ignored", "Fatal Python", "has a bug", "not whole"):
            assert word not in done.stderr, f"after {moment * 1000:.1f} ms: {done.stderr}"
        assert done.returncode in {-number, 130, 0, 3}, f"after {moment * 1000:.1f} ms: {done}"
        return done


def start(*words: str, plain: Plain | None = None) -> Running:
    """Start netloom, and wait for its first line."""
    told, tell = os.pipe()
    code = f"import os, netloom; os.write({tell}, b'.'); os.close({tell}); {MAIN}"
    try:
        if plain is None:
            return Running(python(code, *words), told, pass_fds=(tell,))
        env = {**os.environ, "XDG_RUNTIME_DIR": str(plain.folder / "run")}
        argv = plainly(code, *words)
        return Running(argv, told, pass_fds=(tell,), cwd=plain.folder, env=env)
    finally:
        os.close(tell)
        os.close(told)


def duration(*words: str, plain: Plain | None = None) -> float:
    """Return how long a run takes from its first line on, in seconds."""
    running = start(*words, plain=plain)
    done = running.end()
    assert done.returncode in {0, 3}, done
    return time.monotonic() - running.begun


@on_a_host
def test_ctrl_c_while_looking() -> None:
    """What looks, or becomes a command, dies of the signal; the lab is as it was."""
    with a_lab(), no_trace():
        for words in LOOKING.values():
            for moment in moments(duration(*words)):
                start(*words).interrupt(moment, signal.SIGINT)


@contextmanager
def a_lab() -> Iterator[None]:
    """Have a lab up meanwhile."""
    write("lab.yaml", LAB)
    netloom("up", "-q", "lab.yaml").status(0)
    yield
    netloom("down", "-q", "lab").status(0)


@pytest.mark.parametrize("verb", CHANGING)
@on_a_host
def test_a_signal_while_something_changes(verb: str) -> None:
    """It is done, or all of it is undone, and nothing is left behind."""
    write("lab.yaml", LAB)
    words = CHANGING[verb]
    with Warm() as warm:
        assert warm("add", "other")  # /run/netns is made, and stays
        prepare(warm, verb)
        whole = duration(*words)
        tidy(warm)
        with no_trace():
            for moment, number in zip(moments(whole), cycle((signal.SIGINT, signal.SIGTERM))):
                prepare(warm, verb)
                start(*words).interrupt(moment, number)
                if verb == "init" and Path("new.yaml").exists():
                    assert Path("new.yaml").read_text().endswith("networks: [lan]}\n")
                tidy(warm)


def prepare(warm: Warm, verb: str) -> None:
    """Make what a verb takes away or changes."""
    if verb in {"down", "undo"}:
        warm("up", "-q", "lab.yaml")
    if verb in {"del", "netns delete", "wire"}:
        warm("add", "x")


def tidy(warm: Warm) -> None:
    """Take away what a verb made, which is whole or not there."""
    assert "interrupted" not in warm("labs")["stdout"]
    assert "stale" not in warm("ls")["stdout"]
    warm("down", "-q", "--all")
    for name in "xy":
        assert warm.ask(["del", "--wait", "--timeout", "60", name])["status"] in {0, 2}
    Path("new.yaml").unlink(missing_ok=True)


@on_a_host
def test_ctrl_c_ends_a_capture_with_a_whole_file_or_none() -> None:
    """A file that was begun has its end; what reads it is not told of a damaged one."""
    words = ("capture", "--packets", "--lab", "lab", "-o", "out")
    with a_lab(), no_trace():
        for moment in moments(duration(*words, "--for", "0.1")):
            Path("out").unlink(missing_ok=True)
            done = start(*words).interrupt(moment, signal.SIGINT)
            assert done.returncode in {-signal.SIGINT, 0}
            assert Path("out").exists() == (done.returncode == 0)
            if done.returncode == 0:
                assert Path("out").read_bytes()[:4] == b"\n\r\r\n"
                assert done.stderr.endswith("interfaces in out\n")


@on_a_host
def test_ctrl_c_ends_what_waits() -> None:
    """For more to read, for another name, for a reader of packets: no verb holds on to it."""
    os.mkfifo("pipe")
    with a_lab(), no_trace():
        for words in (
            ("logs", "-f", "a"),
            ("netns", "monitor"),
            ("exec", "a", "sleep", "1002"),
            ("run", "sleep", "1002"),
            ("capture", "--packets", "a:lo", "-o", "pipe"),
        ):
            running = start(*words)
            wait_until_asleep(running.process.pid)
            assert running.interrupt(0, signal.SIGINT).returncode == -signal.SIGINT, words


def wait_until_asleep(pid: int) -> None:
    """Return when a process waits."""
    while "State:\tS" not in Path(f"/proc/{pid}/status").read_text():
        pass


@on_a_host
def test_signals_that_are_ignored_stay_so() -> None:
    """`nohup`, and a job in the background of a script: of netloom, and of its command."""
    write("lab.yaml", LAB)
    script = 'trap "" INT HUP; exec "$@"'
    show = ("grep", "SigIgn", "/proc/self/status")
    assert ended("add", "x").returncode == 0
    for words in (("exec", "x"), ("run",), ("netns", "exec", "x")):
        for argv in (
            python(MAIN, *words, *show),
            ["sh", "-c", script, "sh", *python(MAIN, *words, *show)],
        ):
            said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
            ignored = int(said.split()[1], 16)
            assert bool(ignored & 1) == bool(ignored & 2) == ("sh" in argv), words


def test_the_installed_script_gives_ctrl_c_back_before_it_looks_for_netloom(tmp_path: Path) -> None:
    """From its first line on: what it finds then, here in netloom's place, has it of the kernel."""
    (tmp_path / "netloom").mkdir()
    (tmp_path / "netloom" / "__init__.py").touch()
    told = "import _signal\nmain = lambda: print(_signal.getsignal(_signal.SIGINT))\n"
    (tmp_path / "netloom" / "__main__.py").write_text(told)
    script = str(SRC.parent / "bin" / "netloom")

    said = ran(sys.executable, script, env={**os.environ, "PYTHONPATH": str(tmp_path)}).stdout

    assert said == f"{signal.SIG_DFL.value}\n"


def test_a_program_that_imports_netloom_keeps_its_signals() -> None:
    """All promised names, and the verbs' own modules; only the command line gives Ctrl-C back."""
    code = """if True:
        import signal
        before = [signal.getsignal(number) for number in signal.valid_signals()]
        import netloom, netloom.engine.front
        from netloom import *
        assert [signal.getsignal(number) for number in signal.valid_signals()] == before
    """
    assert ran(*python(code)).stderr == ""


@pytest.fixture
def plain() -> Iterator[Plain]:
    """Return a plain user; at the end nothing of theirs may run."""
    with new_plain_user(lab=LAB) as user:
        yield user


@pytest.mark.parametrize("verb", ["up", "down", "ls", "exec", "run"])
@on_a_machine
def test_ctrl_c_of_a_plain_user(verb: str, plain: Plain) -> None:
    """Namespaces that were made for one command end with it, by a signal, too."""
    words = {"exec": ("exec", "a", "true"), **LOOKING, **CHANGING}[verb]
    with plain_lab(plain, verb):
        whole = duration(*words, plain=plain)
    for moment in moments(whole):
        with plain_lab(plain, verb):
            start(*words, plain=plain).interrupt(moment, signal.SIGINT)


@contextmanager
def plain_lab(plain: Plain, verb: str) -> Iterator[None]:
    """Have a lab of a plain user for a verb that needs one; afterwards none, and nothing else."""
    if verb != "up":
        plain.says("up", "-q", "lab.yaml")
    yield
    if os.listdir(plain.folder / "run"):  # else nothing is left that could have been made
        assert plain.says("labs") == "lab  2 namespaces  lab.yaml\n"
        plain.says("down", "-q", "lab")
    assert os.listdir(plain.folder / "run") == []
