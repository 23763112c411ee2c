"""The command line of a plain user, without anything around it: namespaces of that user's own."""

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hosts.machine import on_a_machine
from tests.hosts.plain import USER, Plain, kill_and_wait, new_plain_user, plain_user, wait_for_ends
from tests.hosts.programs import FORBIDDEN, MAIN, pids, plainly, python, ran, says

pytestmark = pytest.mark.needs("netns", "veth", "bridge", "ip")

LAB = """\
networks: {lan: {subnet: 10.1.0.0/24}}
namespaces:
  a: {networks: [lan], run: [exec sleep 4721, "(setsid sleep 4721 &)"]}
  b: {networks: [lan]}
"""
OTHER = "links: [[c, d]]\n"


@pytest.fixture
def plain() -> Iterator[Plain]:
    """Return a plain user; at the end nothing of theirs may run."""
    with new_plain_user(lab=LAB, other=OTHER) as user:
        yield user


@on_a_machine
def test_a_lab_of_a_plain_user(plain: Plain) -> None:
    """Made, found again by later commands, attached to, and gone with `down`."""
    assert plain.says("labs") == ""
    assert os.listdir(plain.folder / "run") == []
    assert plain.says("up", "lab.yaml").startswith("lab  up in N ms: 2 namespaces, 1 network")
    assert plain.says("labs") == "lab  2 namespaces  lab.yaml\n"
    assert plain.says("verify", "lab") == "lab  is as it was applied\n"
    assert "1 received" in plain.says("exec", "a", "ping", "-c1", "b")
    assert plain.says("exec", "a", "pwd") == f"{plain.folder}\n"
    assert plain("exec", "a", "sh", "-c", "exit 7").returncode == 7
    assert plain.says("plan", "lab.yaml") == "no changes\n"
    assert len(plain.says("pids", "a").split()) == 2
    assert not ran("ip", "netns", "list").stdout
    assert plain.says("down", "lab").startswith("lab  down:")
    assert pids("sleep 472[1]") == []


@on_a_machine
def test_several_labs_and_names(plain: Plain) -> None:
    """The last that goes takes the holder with it."""
    plain.says("up", "-q", "lab.yaml")
    plain.says("up", "-q", "other.yaml")
    plain.says("add", "x")
    assert plain.says("ls").split() == [
        "a",
        "lab",
        "b",
        "lab",
        "c",
        "other",
        "d",
        "other",
        "lab.switch",
        "lab",
        "x",
    ]
    plain.says("down", "-q", "lab")
    plain.says("down", "-q", "other")
    assert os.listdir(plain.folder / "run") == ["netloom"]
    plain.says("del", "x")


PERSISTENT = """
import os, subprocess, sys
from netloom import Lab
for number in range(2):
    with Lab(name=f"lab{number}", persistent=True) as lab:
        lab.wire(*lab.netns("a", "b"))
        assert lab["a"].reaches("b")
    assert os.listdir(os.environ["XDG_RUNTIME_DIR"]) == []
print("done", flush=True)
sys.stdin.read()
"""


@on_a_machine
def test_a_program_that_has_let_go_stands_in_nobody_s_way(plain: Plain) -> None:
    """Two persistent labs, one after the other; then commands, while the program still runs."""
    env = {**os.environ, "XDG_RUNTIME_DIR": str(plain.folder / "run")}
    argv, pipe = plainly(PERSISTENT), subprocess.PIPE
    with subprocess.Popen(argv, env=env, cwd=plain.folder, stdin=pipe, stdout=pipe) as program:
        assert program.stdout
        assert program.stdin
        assert select.select([program.stdout], [], [], 30)[0]
        assert program.stdout.readline() == b"done\n"
        plain.says("up", "-q", "other.yaml")
        plain.says("down", "-q", "other")
        program.stdin.close()


@on_a_machine
def test_commands_at_once(plain: Plain) -> None:
    """One of them starts the holder, the others find it; none ends it under another."""
    for number in range(6):
        (plain.folder / f"l{number}.yaml").write_text(f"namespaces: [n{number}]\n")
    with ThreadPoolExecutor(6) as pool:
        ups = list(pool.map(lambda n: plain("up", "-q", f"l{n}.yaml"), range(6)))
        assert [(one.returncode, one.stderr) for one in ups] == [(0, "")] * 6
        assert len(plain.says("labs").splitlines()) == 6
        downs = list(pool.map(lambda n: plain("down", "-q", f"l{n}"), range(6)))
        assert [(one.returncode, one.stderr) for one in downs] == [(0, "")] * 6


@on_a_machine
def test_what_is_refused_leaves_no_holder(plain: Plain) -> None:
    """A mistake in the file, a card that this host has not: its own host has `lo` alone."""
    (plain.folder / "bad.yaml").write_text("namespaces: {a: {networks: [lam]}}\n")
    (plain.folder / "card.yaml").write_text(
        "networks: {sw: none}\nnamespaces: {host: {interfaces: {eth0: {network: sw}}}}\n"
    )
    for file, said in (("bad.yaml", "no network `lam`"), ("card.yaml", "no interface `eth0`")):
        refused = plain("up", file)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused
        own = "without root the host is one of your own, with `lo` alone: sudo /"
        assert (own in refused.stderr) == (file == "card.yaml"), refused
        assert os.listdir(plain.folder / "run") == []


@pytest.mark.parametrize("which", [0, 1], ids=["holder", "outer agent"])
@on_a_machine
def test_who_is_killed_takes_the_labs_along(plain: Plain, which: int) -> None:
    """The other ends what runs in them, a daemon too, and goes; then it begins anew."""
    plain.says("up", "-q", "lab.yaml")
    both, sleeps = plain.both(), pids("sleep 472[1]")
    assert len(sleeps) == 2
    kill_and_wait(both[which], both[1 - which], *sleeps)
    assert plain.says("labs") == ""
    plain.says("up", "-q", "other.yaml")
    plain.says("down", "-q", "other")


@on_a_machine
def test_both_are_killed(plain: Plain) -> None:
    """The next command of the user ends what they left, and nothing of a lab that is held."""
    plain.says("up", "-q", "lab.yaml")
    both, sleeps = plain.both(), pids("sleep 472[1]")
    fds = [os.pidfd_open(pid) for pid in both]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for fd in fds:
            signal.pidfd_send_signal(fd, number)
    wait_for_ends(fds)
    assert pids("sleep 472[1]") == sleeps
    plain.says("up", "-q", "other.yaml")
    assert pids("sleep 472[1]") == []
    plain.says("down", "-q", "other")


KILLING = """
import os, select
from netloom.host.commands import launch
begin = launch.start

def start(*words):
    with open(os.environ["XDG_RUNTIME_DIR"] + "/netloom/holder") as file:
        both = [int(word) for word in file.read().split()[::2]]
    fds = [os.pidfd_open(pid) for pid in both]
    for pid in both:
        os.kill(pid, 9)
    for fd in fds:
        select.select([fd], [], [])
    begin(*words)

launch.start = start
"""


@on_a_machine
def test_both_are_killed_while_a_lab_comes_up(plain: Plain) -> None:
    """What is started after that is ended by who has started it."""
    assert plain("up", "lab.yaml", before=KILLING).returncode == 0
    assert pids("sleep 472[1]") == []
    assert plain.says("labs") == ""


STARTED = """
import os
import select
import subprocess
spawn = os.posix_spawn

def spawn_and_die(*words, **keys):
    spawn(*words, **keys)
    os.kill(os.getpid(), 9)

os.posix_spawn = spawn_and_die
"""


@on_a_machine
def test_who_starts_them_is_killed_over_it(plain: Plain) -> None:
    """They come up all the same; the next command waits for that, and there are no others."""
    assert plain("up", "lab.yaml", before=STARTED).returncode == -signal.SIGKILL
    plain.says("up", "-q", "other.yaml")
    assert sorted(plain.both()) == sorted(pids(f"hold.*{plain.folder}"))
    plain.says("down", "-q", "other")


@on_a_machine
def test_a_shell_that_is_told_less_finds_the_labs_all_the_same() -> None:
    """One of cron or su has no XDG_RUNTIME_DIR; one may have another."""
    for folder in ("/run/here", "/run/user/65534", "/run/elsewhere"):
        os.makedirs(folder)
        os.chown(folder, USER, USER)
    with plain_user(Path("/run/here")) as plain:
        Path("/run/here/other.yaml").write_text(OTHER)
        for made_in in ("/run/user/65534", ""):
            plain.says("up", "-q", "other.yaml", XDG_RUNTIME_DIR=made_in)
            for runtime in ("/run/user/65534", "", "/run/elsewhere"):
                said = plain.says("labs", XDG_RUNTIME_DIR=runtime)
                assert said.startswith("other "), (made_in, runtime)
            plain.says("down", "-q", "other", XDG_RUNTIME_DIR="/run/elsewhere")
            assert os.listdir("/run/user/65534") == os.listdir("/run/elsewhere") == []


@on_a_machine
def test_all_words_for_namespaces_are_carried_out_there(plain: Plain) -> None:
    """`netloom netns`, in both its forms, and `connect`; who only looks starts nothing."""
    plain("netns", "list")
    assert os.listdir(plain.folder / "run") == []
    plain.says("netns", "add", "x")
    plain.says("-j", "netns", "a", "y")
    assert plain.says("netns", "list").split() == ["y", "x"]
    assert plain.says("-j", "netns", "list") == '[{"name":"y"},{"name":"x"}]\n'
    plain.says("connect", "x:eth0", "10.0.0.1/24", "y:eth0", "10.0.0.2/24")
    assert "1 received" in plain.says("netns", "exec", "x", "ping", "-c1", "10.0.0.2")
    plain.says("netns", "delete", "x")
    plain.says("-all", "netns", "delete")


@on_a_machine
def test_where_user_namespaces_are_refused(plain: Plain) -> None:
    """The reason, and what would mend it; nothing is left."""
    argv = python(FORBIDDEN, *plainly(MAIN, "up", "lab.yaml"))
    env = {**os.environ, "XDG_RUNTIME_DIR": str(plain.folder / "run")}
    done = subprocess.run(
        argv, cwd=plain.folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done
    reason = "unshare --user: No space left on device (user.max_user_namespaces is 0)"
    remedy = "or have root run `sysctl user.max_user_namespaces=10000`"
    told, hint, untouched = done.stderr.splitlines()
    assert told == f"cannot make namespaces as a plain user: {reason}"
    assert hint.startswith("hint: sudo ")
    assert hint.endswith(f"up lab.yaml, {remedy}; `netloom doctor --rootless` tells more")
    assert untouched == "nothing was touched"


@on_a_machine
def test_a_folder_of_somebody_else_is_not_trusted(plain: Plain) -> None:
    """Who writes there could lead us anywhere."""
    (plain.folder / "run/netloom").mkdir()
    refused = plain("up", "lab.yaml")
    assert refused.returncode == 2
    assert "netloom` is owned by another user (0)" in refused.stderr
    (plain.folder / "run/netloom").rmdir()


NAP = f"sleep 4722.{os.getpid():08}"  # it has not our environment, by which others are told
DAEMON = f"""\
namespaces:
  a: {{run: {{command: "id -un; id -gn; echo on; exec {NAP}", user: daemon, ready: log/on}}}}
"""


@pytest.mark.needs("newuidmap")
@on_a_machine
def test_a_command_may_become_another_user_by_subordinate_ids() -> None:
    """Who is a plain user's own id outside; and it ends with the lab."""
    for name, start in (("subuid", 200_000), ("subgid", 300_000)):
        Path(f"/etc/{name}").write_text(f"other:100000:65536\nnobody:{start}:65536\n")
    Path("/run/here").mkdir()
    with plain_user(Path("/run/here")) as plain:
        Path("/run/here/lab.yaml").write_text(DAEMON)
        plain.says("up", "-q", "lab.yaml")
        assert plain.says("logs", "a").split() == ["daemon", "daemon", "on"]
        (pid,) = ran("pgrep", "-f", NAP).stdout.split()
        daemon = ran("stat", "-c", "%u %g", f"/proc/{pid}").stdout
        assert daemon == f"{200_000} {300_000}\n"
        plain.says("down", "-q", "lab")
        assert ran("pgrep", "-f", NAP, check=False).stdout == ""


@on_a_machine
def test_without_them_it_is_refused(plain: Plain) -> None:
    """With the files that would give them; nothing is left."""
    (plain.folder / "lab.yaml").write_text(DAEMON)
    refused = plain("up", "lab.yaml")
    assert refused.returncode == 2, refused
    assert "may not become user `daemon` here, where there is no such id" in refused.stderr
    assert "/etc/subuid and /etc/subgid" in refused.stderr
    assert os.listdir(plain.folder / "run") == []


@on_a_machine
def test_what_root_has_is_no_lab_of_a_plain_user() -> None:
    """A namespace that may not be entered bears nobody's mark; root's lab is told as root's."""
    says("ip", "netns", "add", "inet")
    Path("/run/r.yaml").write_text("namespaces: [rr]\n")
    ran(*python(MAIN, "up", "-q", "/run/r.yaml"))
    with new_plain_user(other=OTHER) as user:
        for verb in ("down", "verify", "undo"):
            done = user(verb, "w")
            assert (done.returncode, done.stderr) == (2, "no lab `w` (netloom labs)\n"), verb
            done = user(verb, "r")
            assert done.returncode == 2, verb
            assert "root" in done.stderr or "sudo" in done.stderr or verb == "undo", done
        assert user("down").stderr.startswith("no netloom.yaml here, and no lab")
        assert user.says("down", "other.yaml") == "other is not up\n"
        done = user("verify", "other.yaml")
        assert (done.returncode, done.stderr) == (3, "other is not up\n")
        assert user.says("ls") == "inet\nrr\n"
