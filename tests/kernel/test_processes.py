"""Commands of a lab: what they see, that all they fork is ended, and nobody else is."""

import json
import marshal
import os
import pwd
import signal
import subprocess
import time
from pathlib import Path

import pytest

from netloom.errors import Unavailable
from netloom.host.commands import launch, processes, stop
from netloom.host.commands.printed import unstamped
from netloom.host.commands.supervisor import SUPERVISOR
from netloom.host.commands.wait_ready import wait_ready
from netloom.kernel import procfs
from netloom.kernel.procfs import boot_id
from tests.hosts.machine import etc_file, on_a_machine
from tests.hosts.programs import SRC, in_own_root, living, plainly, ran, says
from tests.kernel.commands import (
    LAB,
    PYTHON,
    SOON,
    begin,
    command,
    in_a_lab,
    lives,
    printed,
    run_whole,
    wait_for_end,
)

UP = "log/up\n"
HERE = str(Path(__file__).parent)

FORKS = {
    "a plain child": (1, "sleep 1000 & echo pid $!"),
    "a daemon": (1, "setsid sh -c 'echo pid $$; exec sleep 1000' &"),
    "a daemon of a daemon": (2, "(setsid sh -c '(echo pid $$; sleep 1000 & echo pid $!) &' &) &"),
    "one that ignores SIGTERM": (1, "trap '' TERM; sleep 1000 & echo pid $!"),
    "one that is stopped": (1, "sleep 1000 & echo pid $!; kill -STOP $!"),
    "one without environment": (1, "(env -i setsid sh -c 'echo pid $$; exec sleep 1000' &) &"),
    "one in another namespace": (1, "(unshare -nm sh -c 'echo pid $$; exec sleep 1000' &) &"),
    "fifty at once": (50, "for i in $(seq 50); do (setsid sleep 1000 & echo pid $!) & done"),
    "one born of SIGTERM": (1, "trap 'setsid sleep 1000 & echo pid $!' TERM; echo pid $$"),
}
"""What a command may leave behind: how many numbers of processes it prints, and its text."""

AS_A_PLAIN_USER = """
import os
from netloom.host.commands import launch, processes
from netloom.host.commands import stop
from netloom.host.commands import wait_ready
from netloom.namespaces import registry
from netloom.namespaces.private_run import make_run_writable
make_run_writable()
registry.prepare()
registry.create('web')
text = "(setsid sleep 1000 &) & sleep 0.05; echo done; sleep 1000"
command = processes.RunCommand('web', 'it', ('sh', '-c', text), ready='log/done')
launch.start('lab', [(command, '')])
wait_ready.wait_ready('lab', [command], 10)
print(processes.running('lab')['web', 'it'].state)
print(*processes.tail('lab', 'web', 'it'))
print(stop.stop('lab'))
print([pid for pid in os.listdir('/proc') if pid.isdecimal() and pid != str(os.getpid())
    and os.path.exists(f'/proc/{pid}/ns/net') and os.stat(f'/proc/{pid}').st_uid == os.getuid()
    and 'sleep 1000' in open(f'/proc/{pid}/cmdline').read().replace(chr(0), ' ')])
"""
HOPPER = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('hopping', flush=True)
end = time.monotonic() + 20
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
"""
"""Ends by itself after a while, should nobody catch it."""


def pids(count: int = 0) -> list[int]:
    """Return the numbers that a command printed, once it has printed so many."""
    until = time.monotonic() + SOON
    while len(found := [line.split()[1] for line in printed() if line.startswith("pid ")]) < count:
        assert time.monotonic() < until
        os.sched_yield()
    return [int(number) for number in found]


def supervisor() -> int:
    """Return the number of the only supervisor."""
    (run,) = processes.runs(LAB)
    assert run.supervisor
    return run.supervisor.pid


def kill_supervisor() -> None:
    """Kill the supervisor, and wait until it is gone."""
    pid = supervisor()
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)


# ── what a command sees ───────────────────────────────────────────────────────────────────────────


@in_a_lab
def test_a_command_sees_what_ip_netns_exec_shows_it() -> None:
    """Interfaces, files of its own, descriptors, signals: nothing tells of a supervisor."""
    etc_file("web", "hosts", "192.0.2.1 inside\n")
    script = """ls /sys/class/net; cat /etc/hosts; readlink /proc/self/ns/net
        grep -E '^Sig(Blk|Cgt)' /proc/self/status; ls /proc/$$/fd; umask; ulimit -a
        grep SigIgn /proc/self/status | tail -c 8; readlink /proc/$$/fd/0"""

    its = says("ip", "netns", "exec", "web", "sh", "-c", script)
    found = run_whole(script)

    expected = its.splitlines()
    assert found[:-1] == expected[:-1]
    assert found[-1] == "/dev/null"


@in_a_lab
def test_a_command_is_told_who_it_is() -> None:
    """The environment is that of `netloom up`, with two names added, and `env`."""
    found = dict(
        line.partition("=")[::2]
        for line in run_whole_env({"COLOUR": "blue", "HOME": "/elsewhere"}, cwd=HERE)
    )
    mark = found.pop("NETLOOM_RUN")

    own = {name: value for name, value in os.environ.items() if "\n" not in value}
    for name in ("_", "SHLVL", "OLDPWD", "LC_CTYPE"):
        own.pop(name, None)
        found.pop(name, None)
    assert found == own | {
        "NETLOOM_LAB": LAB,
        "NETLOOM_NAME": "web",
        "COLOUR": "blue",
        "HOME": "/elsewhere",
        "PWD": HERE,
    }
    assert mark in {run.mark for run in processes.runs(LAB)}


def run_whole_env(env: dict[str, str], cwd: str) -> list[str]:
    """Return what `env` prints in a command."""
    begin(command("env; echo done", ready="log/done", env=env, cwd=cwd))
    return [line for line in printed() if "=" in line]


@in_a_lab
def test_a_command_becomes_another_user() -> None:
    """All its numbers are the user's, and it may open /dev/stderr, as nginx does."""
    if procfs.in_user_namespace():
        pytest.skip("needs the machine's root")
    groups = says("id", "-G", "daemon").split()
    found = run_whole("id -u; id -g; id -G; echo $HOME $USER; echo x >/dev/stderr", user="daemon")

    assert found == ["1", "1", " ".join(groups), "/usr/sbin daemon", "x"]


@in_a_lab
@pytest.mark.parametrize("user", ["daemon", "root"])
def test_a_command_with_a_user_has_that_users_environment(
    user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that whoever ran netloom had in theirs, but for PATH and what text is written in."""
    if procfs.in_user_namespace():
        pytest.skip("needs the machine's root")
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.delenv("LANG", raising=False)
    lines = run_whole("tr '\\0' '\\n' < /proc/$$/environ", user=user, env={"COLOUR": "blue"})
    found = dict(line.partition("=")[::2] for line in lines)

    who = pwd.getpwnam(user)
    assert found.pop("NETLOOM_RUN")
    assert found == {
        "HOME": who.pw_dir,
        "USER": user,
        "LOGNAME": user,
        "SHELL": who.pw_shell,
        "PATH": os.environ["PATH"],
        "LC_TIME": "C",
        "COLOUR": "blue",
        "NETLOOM_LAB": LAB,
        "NETLOOM_NAME": "web",
        "PWD": "/",
    }


@in_a_lab
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"user": "nobody-at-all"}, "no user `nobody-at-all`"),
        ({"user": "4294967999"}, "no user"),
        ({"cwd": "/no/such/folder"}, "no folder"),
        ({"name": "x" * 255}, "too long a name"),
    ],
)
def test_what_cannot_be_started_is_refused_before(wrong: dict[str, str], words: str) -> None:
    """Nothing is on disk, nothing was forked."""
    with pytest.raises(Unavailable, match=words):
        begin(command("true", **wrong))  # type: ignore[arg-type]

    assert processes.runs(LAB) == []


@in_a_lab
@pytest.mark.parametrize(
    ("netns", "program", "status"),
    [("web", "/no/such/program", 127), ("web", "/etc/hosts", 126), ("nowhere", "/bin/true", 125)],
)
def test_what_could_not_be_run_has_ended_with_a_shells_status(
    netns: str, program: str, status: int
) -> None:
    """`start` has done its part; the status and the log tell why."""
    begin(command(program, "word", netns=netns), wait=False)

    seen = processes.running(LAB)[netns, "it"]
    assert (seen.state, seen.status) == ("ended", status)
    assert printed(netns=netns)[0].startswith("netloom: ")


@in_a_lab
def test_nothing_is_inherited_from_whoever_starts() -> None:
    """Neither files that were open for children, nor blocked signals; and none stays open here."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # noqa: FBT003 - the only parameter it has
    before = sorted(os.listdir("/proc/self/fd"))
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    found = run_whole("ls /proc/$$/fd; grep SigBlk /proc/self/status")

    signal.pthread_sigmask(signal.SIG_SETMASK, old)
    assert sorted(os.listdir("/proc/self/fd")) == before
    os.close(writing)
    assert os.read(reading, 1) == b"", "the supervisor holds the other end"
    os.close(reading)
    assert [line for line in found if line.isdecimal()] == ["0", "1", "2"]
    assert "SigBlk:\t0000000000000000" in found


@in_a_lab
def test_no_zombie_is_left() -> None:
    """Launcher and supervisors are no children of ours; a supervisor reaps what it inherits."""
    begin(
        command("for i in 1 2 3; do (sleep 0 &) done; echo done; exec sleep 1000", ready="log/done")
    )
    own = supervisor()

    for pid in pids():
        wait_for_end(pid)
    assert f" {os.getpid()} Z" not in says("ps", "-eo", "pid,ppid,stat")
    assert says("ps", "-o", "comm=", "-p", str(own)).strip() == SUPERVISOR
    assert "Z" not in says("ps", "-o", "stat=", "--ppid", str(own))


# ── how a tree is ended ───────────────────────────────────────────────────────────────────────────


@in_a_lab
@pytest.mark.parametrize(("count", "text"), FORKS.values(), ids=FORKS)
def test_whatever_it_forked_is_ended(count: int, text: str) -> None:
    """Double forks, new sessions, no environment, another namespace: all go, with it."""
    begin(command(f"{text}\nwhile :; do sleep 0.05; done"))
    found = [supervisor(), *pids(count)]

    assert stop.stop(LAB, grace=0.3) == []

    assert [pid for pid in [*found, *pids()] if lives(pid)] == []
    assert processes.runs(LAB) == []


@in_a_lab
def test_one_that_is_another_process_each_time_is_ended() -> None:
    """It forks and ends, a thousand times a second: a look at /proc always comes too late."""
    begin(command(*PYTHON, HOPPER, ready="log/hopping"))
    mark = processes.runs(LAB)[0].mark

    began = time.monotonic()
    assert stop.stop(LAB, grace=0.1) == []

    assert time.monotonic() - began < SOON
    assert mark not in ran("sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null", check=False).stdout


@in_a_lab
def test_who_heeds_sigterm_has_time_for_it() -> None:
    """What a command does on SIGTERM is done before anybody is killed, and nobody waits longer."""
    heeds = "trap 'sleep 0.1; echo bye; exit' TERM; sh -c 'echo done; exec sleep 1000' & wait"
    begin(command(heeds, ready="log/done"))  # no child is in the trap of its parent any more
    log = processes.log_path(LAB, "web", "it")

    began = time.monotonic()
    assert stop.stop(LAB, grace=SOON) == []

    assert time.monotonic() - began < SOON / 2
    assert unstamped(Path(log).read_bytes()) == b"done\nbye\n"


@in_a_lab
def test_who_is_told_to_end_is_noted_as_lost_before() -> None:
    """So whoever looks in between, as an `undo` does, does not take it for one that goes on."""
    runs = processes.runs_dir(LAB)
    begin(command(f"trap 'ls {runs} > /run/told; exit' TERM; echo up; sleep 1000 & wait", ready=UP))
    assert processes.running(LAB)["web", "it"].state == "running"
    (noted,) = Path(runs).iterdir()
    noted.rename(f"{noted}{processes.GOING}")
    assert processes.running(LAB)["web", "it"].state == "lost"
    Path(f"{noted}{processes.GOING}").rename(noted)
    assert stop.stop(LAB) == []
    assert Path("/run/told").read_text() == f"{noted.name}{processes.GOING}\n"


@in_a_lab
def test_many_stubborn_commands_take_one_grace() -> None:
    """All of them are told at once, and waited for together."""
    text = "trap '' TERM; echo done; while :; do sleep 1000; done"
    begin(*(command(text, name=f"n{number}", ready="log/done") for number in range(20)))

    began = time.monotonic()
    assert stop.stop(LAB, grace=0.5) == []

    assert time.monotonic() - began < 20 * 0.5


@in_a_lab
def test_who_belongs_to_a_command_is_known_before() -> None:
    """So `down` can tell what it will end from what users started in the same namespace."""
    begin(command("sleep 1000 & echo pid $!; echo pid $$; echo done; wait", ready="log/done"))

    assert stop.members(LAB) == dict.fromkeys(pids(), ("web", "it"))


@in_a_lab
def test_only_those_named_are_ended() -> None:
    """The other commands of the lab go on, and so does a command of another lab."""
    begin(command("exec sleep 1000", name="one"), command("exec sleep 1000", name="two"))

    assert stop.stop(LAB, frozenset({("web", "one")})) == []

    assert list(processes.running(LAB)) == [("web", "two")]
    assert stop.stop("another") == []
    assert processes.running(LAB)["web", "two"].state == "running"


@in_a_lab
def test_a_supervisor_that_is_asked_to_end_asks_its_command() -> None:
    """SIGTERM is passed on, other signals are not heeded: a supervisor goes last."""
    text = "trap 'echo bye; exit 7' TERM; sh -c 'echo done; exec sleep 1000' & wait"
    begin(command(text, ready="log/done"))
    pid = supervisor()

    os.kill(pid, signal.SIGHUP)
    os.kill(pid, signal.SIGTERM)

    wait_ready(LAB, [command("", ready="log/bye")], SOON)
    assert lives(pid), "the sleep is still there"


@pytest.mark.needs("userns")
@on_a_machine
def test_a_plain_user_has_the_same() -> None:
    """In a user namespace of one's own, too, a daemon stays below its supervisor and is ended."""
    inside = in_own_root(plainly(AS_A_PLAIN_USER))

    assert says(*inside).splitlines() == ["running", "done", "[]", "[]"]


# ── a supervisor that was killed ─────────────────────────────────────────────────────────────────


@in_a_lab
def test_without_its_supervisor_a_tree_is_still_ended() -> None:
    """Daemons that lost their supervisor are told by mark, age and namespace, others by descent."""
    text = "(setsid sh -c 'echo pid $$; env -i sleep 1000 & echo pid $!; wait' &) & echo pid $$"
    begin(command(f"{text}; echo done; sleep 1000", ready="log/done"))
    found = pids(3)
    kill_supervisor()

    assert processes.running(LAB)["web", "it"].state == "lost"
    assert stop.stop(LAB, grace=0.3) == []

    assert [pid for pid in found if lives(pid)] == []


@in_a_lab
def test_a_mark_alone_ends_nobody() -> None:
    """Somebody with the mark elsewhere, or without it in the lab's namespace, survives."""
    begin(command("echo done; exec sleep 1000", ready="log/done"))
    (run,) = processes.runs(LAB)
    marked = ("env", f"{processes.MARK}={run.mark}")
    with living(*marked) as elsewhere, living("ip", "netns", "exec", "web") as inside:
        kill_supervisor()

        assert stop.stop(LAB) == []

        assert lives(elsewhere)
        assert lives(inside)


@in_a_lab
@pytest.mark.parametrize("other", ["start", "boot"])
def test_a_number_that_is_used_again_proves_nothing(other: str) -> None:
    """A process with a noted number, but another start or in another boot, is somebody else."""
    with subprocess.Popen(("sleep", "1000")) as bystander:
        begin(command("exec sleep 1000"))
        kill_supervisor()
        stop.stop(LAB)
        begin(command("true"))
        (run,) = processes.runs(LAB)
        start = int(Path(f"/proc/{bystander.pid}/stat").read_text().rpartition(")")[2].split()[19])
        wait_for_end(supervisor())
        note = {"pid": bystander.pid, "start": start + (other == "start")}
        for name in ("supervisor", "command"):
            Path(run.folder, name).write_text(json.dumps(note))
        Path(run.folder, "ended").unlink()
        if other == "boot":
            asked = json.loads(Path(run.folder, "asked").read_text()) | {"boot": "another"}
            Path(run.folder, "asked").write_text(json.dumps(asked))

        assert processes.running(LAB)["web", "it"].state == "lost"
        assert stop.stop(LAB) == []

        assert bystander.poll() is None
        bystander.kill()


# ── killed in the middle ──────────────────────────────────────────────────────────────────────────


@in_a_lab
def test_what_was_only_announced_is_forgotten() -> None:
    """Killed between the note and the fork: nothing runs, and nothing stays."""
    launch.start(LAB, [])
    os.makedirs(processes.runs_dir(LAB))
    launch._order(LAB, command("sleep 1000"), "digest", "boot")
    Path(processes.runs_dir(LAB), "half").mkdir()

    assert processes.running(LAB)["web", "it"].state == "not started"
    assert stop.stop(LAB) == []

    assert not os.path.exists(processes.runs_dir(LAB))


@in_a_lab
def test_what_could_not_even_be_announced_leaves_no_note() -> None:
    """Where the disk has room for a folder, and for nothing in it."""
    runs = Path(processes.runs_dir(LAB))
    runs.mkdir(parents=True)
    says("mount", "-t", "tmpfs", "-o", "nr_inodes=2", "full", str(runs))
    with pytest.raises(Unavailable, match="cannot write below"):
        launch.start(LAB, [(command("exit"), "digest")])
    assert list(runs.iterdir()) == []
    says("umount", str(runs))


@in_a_lab
def test_a_supervisor_that_comes_late_starts_nothing() -> None:
    """Whoever forgets a start first moves its folder away: a straggler finds none, and ends."""
    os.makedirs(processes.logs_dir(LAB))
    os.makedirs(processes.runs_dir(LAB))
    order = launch._order(LAB, command("touch /run/started"), "digest", "boot")
    assert stop.stop(LAB) == []

    trouble = launch._launch(LAB, marshal.dumps([order]), launch._spawn)

    assert trouble is None
    assert not os.path.exists("/run/started")


@in_a_lab
@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("call", "when"),
    [
        *(("clone", 1), ("clone", 2), ("setsid", 1), ("prctl", 1), ("rename", 1)),
        *(("setns", 1), ("mount", 1), ("mount", 2), ("chdir", 1), ("chdir", 2)),
    ],
)
def test_killed_anywhere_nothing_is_lost(call: str, when: int) -> None:
    """Launcher, supervisor, command: each is killed as it makes a call; what is left is ended."""
    os.makedirs(processes.logs_dir(LAB))
    os.makedirs(processes.runs_dir(LAB))
    order = launch._order(LAB, command("sleep 1000 & sleep 1000"), "d", boot_id())
    os.mkfifo("/run/report")  # opened inside: strace itself would hold an inherited pipe
    Path("/run/orders").write_bytes(marshal.dumps([order]))
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={when}")
    shell = ("sh", "-c", 'exec "$@" </run/orders >/run/report 2>&1', "sh")
    program = (*PYTHON, launch._PROGRAM, str(SRC))
    with subprocess.Popen(("strace", "-f", "-o", "/dev/null", *inject, *shell, *program)) as traced:
        Path("/run/report").read_bytes()  # until nobody is between fork and exec

        assert stop.stop(LAB, grace=0.5) == []

        traced.wait(SOON)  # until none of those traced is left
    mark = f"{processes.MARK}={order['env'][processes.MARK]}"
    assert mark not in ran("sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null", check=False).stdout


# ── what is remembered ────────────────────────────────────────────────────────────────────────────


@in_a_lab
@pytest.mark.parametrize(
    ("text", "state", "status"),
    [
        ("exec sleep 1000", "running", None),
        ("sleep 1000 &", "running", 0),
        ("sleep 1000 & exit 3", "ended", 3),
        ("exit 3", "ended", 3),
        ("exit 0", "ended", 0),
        ("kill -9 $$", "ended", -9),
    ],
)
def test_what_became_of_a_command_is_told(text: str, state: str, status: int | None) -> None:
    """One that went into the background with 0 runs; one that failed has ended, whoever it left."""
    begin(command(text), wait=False)
    (run,) = processes.runs(LAB)
    if status is not None:
        assert run.command
        wait_for_end(run.command.pid if "&" in text else supervisor())
        while processes.read_run(run.folder).ended is None:
            os.sched_yield()

    seen = processes.running(LAB)["web", "it"]

    assert (seen.digest, seen.state, seen.status) == ("digest", state, status)


@in_a_lab
def test_a_second_start_has_a_log_of_its_own_behind_the_first() -> None:
    """The file goes on, and what is shown begins with the last start."""
    begin(command("echo first"), command("echo other", name="other"))
    stop.stop(LAB)
    begin(command("echo second; echo third", ready="log/third"))

    log = Path(processes.log_path(LAB, "web", "it"))
    assert unstamped(log.read_bytes()) == b"first\nsecond\nthird\n"
    assert processes.tail(LAB, "web", "it") == ["second", "third"]
    assert processes.tail(LAB, "web", "it", lines=1) == ["third"]

    assert [key for key, _ in processes.logs(LAB)] == [("web", "it"), ("web", "other")]


@in_a_lab
def test_a_command_of_the_host_stays_where_netloom_is() -> None:
    """`host` is no name in /run/netns, but the namespace that netloom runs in."""
    begin(command("readlink /proc/self/ns/net; echo done", netns="host", ready="log/done"))

    assert printed(netns="host")[0] == os.readlink("/proc/thread-self/ns/net")
    assert stop.stop(LAB) == []
