"""/etc/netns is one place for all: root's labs, labs of plain users, and what a reboot left."""

import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.machine import etc_file
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.plain import Plain, new_plain_user
from tests.hosts.programs import in_own_root, python, says
from tests.hosts.witness import no_trace

LAB = "name: v\nlinks: [[aa, bb]]\n"
ROOTS = LAB + "hosts: {whose: 192.0.2.1}\n"
OURS = LAB + "hosts: {whose: 192.0.2.2}\n"


def reboot() -> None:
    """Leave of root's labs what a reboot leaves: what is in /etc."""
    for name in says("ip", "netns").split():
        says("ip", "netns", "del", name)
    shutil.rmtree("/run/netloom")


def a_whole_life(plain: Plain) -> None:
    """Let a plain user make a lab, change it, see its own names in there, and take it down."""
    assert plain.says("up", "v.yaml").startswith("v  up in N ms: 2 namespaces, 1 wire")
    assert "v  2 namespaces  v.yaml" in plain.says("labs").splitlines()
    assert plain.says("verify", "v") == "v  is as it was applied\n"
    assert plain.says("exec", "aa", "getent", "hosts", "whose").split()[0] == "192.0.2.2"
    (plain.folder / "v.yaml").write_text(OURS.replace("192.0.2.2", "192.0.2.3"))
    plain.says("up", "-q", "v.yaml")
    assert plain.says("exec", "aa", "getent", "hosts", "whose").split()[0] == "192.0.2.3"
    assert plain.says("down", "v").startswith("v  down: 2 namespaces, 1 wire")


@on_a_host
def test_a_plain_user_has_a_lab_of_the_name_that_roots_has() -> None:
    """What root's lab has in /etc/netns is somebody else's, though it leads to a lab of that name.

    The user could not make it, nor take it down: "Permission denied: '/etc/netns/aa'".
    """
    with new_plain_user(v=OURS) as plain, no_trace():
        netloom("up", "-q", str(write("v.yaml", ROOTS))).status(0)
        with no_trace():
            a_whole_life(plain)
        assert ended("exec", "aa", "getent", "hosts", "whose").stdout.split()[0] == "192.0.2.1"
        netloom("verify", "v").stdout("v  is as it was applied\n").status(0)
        netloom("down", "-q", "v").status(0)


@on_a_host
def test_what_a_reboot_left_of_roots_lab_is_in_nobodys_way() -> None:
    """Links that lead nowhere in /etc/netns: a plain user's lab is made, and root's `down` tidies.

    And so it does where /etc/netns was there before.
    """
    with new_plain_user(v=OURS) as plain, no_trace():
        netloom("up", "-q", str(write("v.yaml", ROOTS))).status(0)
        reboot()
        with no_trace():
            a_whole_life(plain)
        assert ended("down", "v").returncode == 0
        assert not Path("/etc/netns").exists()


@on_a_host
def test_down_removes_what_a_reboot_left_of_one_lab() -> None:
    """Of this lab alone, in folders of others, too; what others have there stays."""
    etc_file("aa", "resolv.conf", "nameserver 192.0.2.9\n")
    etc_file("mine", "hosts", "192.0.2.8 mine\n")
    with no_trace():
        netloom("up", "-q", str(write("v.yaml", LAB))).status(0)
        netloom("up", "-q", str(write("w.yaml", "name: w\nlinks: [[cc, dd]]\n"))).status(0)
        reboot()
        assert sorted(os.listdir("/etc/netns")) == ["aa", "bb", "cc", "dd", "mine"]

        assert ended("down", "v").returncode == 0
        assert sorted(os.listdir("/etc/netns")) == ["aa", "cc", "dd", "mine"]
        assert os.listdir("/etc/netns/aa") == ["resolv.conf"]
        seen = ended("down", "v")
        assert (seen.returncode, seen.stderr) == (2, "no lab `v` (netloom labs)\n")
        assert ended("down", "w.yaml").returncode == 0


@on_a_host
def test_what_root_put_there_for_a_name_is_not_for_the_users_namespace() -> None:
    """/etc/netns/aa is for the machine's namespace `aa`; the user's has its own files alone."""
    etc_file("aa", "hosts", "192.0.2.9 whose\n")
    with new_plain_user(v=OURS) as plain, no_trace():
        a_whole_life(plain)


@on_a_host
def test_root_of_a_user_namespace_of_roots_leaves_the_machines_etc_alone() -> None:
    """It may write there, but its labs are in a /run that the machine does not see."""
    netloom("up", "-q", str(write("v.yaml", ROOTS))).status(0)
    before = says("ls", "-l", "/etc/netns")
    write("own.yaml", OURS)
    program = shlex.join(command())
    cover = shlex.join(
        python("from netloom.namespaces import private_run; private_run.cover_run()")
    )
    script = f"""
        {cover}
        {program} up -q own.yaml; {program} exec aa getent hosts whose; ls -l /etc/netns
        {program} down -q v
    """

    seen = says(*in_own_root(["sh", "-ec", script]))

    address, _, rest = seen.partition(" ")
    assert address == "192.0.2.2"
    assert rest.endswith(before)


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda path: path.symlink_to(path.name)])
@on_a_host
def test_what_is_no_folder_is_somebody_elses_too(make: Callable[[Path], None]) -> None:
    """It stays, and is nothing that `up` could mend: twice does nothing, and all verbs tell it."""
    write("v.yaml", LAB)
    path = Path("/etc/netns/aa")
    path.parent.mkdir()
    make(path)
    told = (
        "/etc/netns/aa is somebody else's, so `aa` does not see the lab's; rm /etc/netns/aa, and "
        "`netloom up` again\n"
    )
    with no_trace():
        netloom("up", "-q", "v.yaml").status(0)
        netloom("up", "v.yaml").stdout("v  is up; nothing to do\n").stderr(f"note: {told}").status(
            0
        )
        netloom("verify", "v").stderr(told).status(3)
        netloom("down", "-q", "v").status(0)


@on_a_host
def test_a_link_to_nowhere_in_the_place_of_etc_netns_is_told() -> None:
    """Nothing can be put there: the step is refused, and all is undone."""
    write("v.yaml", LAB)
    Path("/etc/netns").symlink_to("/nowhere")
    with no_trace():
        told = ended("up", "v.yaml")
        assert told.returncode == 1, told.shown
        assert "all that was done before it has been undone" in told.stderr


WEB = """\
name: v
networks: {lan: {subnet: 10.20.0.0/24}}
namespaces: {web: {networks: [lan], dns: 203.0.113.53}, db: {networks: [lan]}}
"""
HIDDEN = (
    "/etc/netns/web/resolv.conf is somebody else's, so `web` does not see the lab's; "
    "rm /etc/netns/web/resolv.conf, and `netloom up` again\n"
)


@on_a_host
def test_a_file_of_somebodys_that_wins_over_the_labs_is_told() -> None:
    """By `plan` and `up`, and `verify` says no; when it is gone, `up` has the lab's own seen.

    All three said that the lab is as its file says.
    """
    write("v.yaml", WEB)
    theirs = etc_file("web", "resolv.conf", "nameserver 9.9.9.9\n")
    with no_trace():
        assert ended("plan", "v.yaml").stderr.endswith(f"note: {HIDDEN}")
        assert ended("up", "v.yaml").stderr == f"note: {HIDDEN}"
        netloom("verify", "v").stderr(HIDDEN).status(3)
        netloom("up", "v.yaml").stdout("v  is up; nothing to do\n").stderr(
            f"note: {HIDDEN}"
        ).status(0)
        assert ended("exec", "web", "getent", "hosts", "db").stdout.split()[1:] == ["db"]

        theirs.unlink()

        assert ended("verify", "v").returncode == 3
        netloom("up", "-q", "v.yaml").status(0)
        netloom("verify", "v").stdout("v  is as it was applied\n").status(0)
        netloom("exec", "web", "cat", "/etc/resolv.conf").stdout(
            "nameserver 203.0.113.53\n"
        ).status(0)
        theirs.unlink()
        theirs.write_text("nameserver 9.9.9.9\n")
        netloom("down", "v").stdout("v  down: 2 namespaces, 1 network, 2 wires\n").stderr(
            "note: /etc/netns/web/resolv.conf stays: it is not the lab's\n"
        ).status(0)


@on_a_host
def test_what_a_script_of_plan_left_is_told_by_up_and_down() -> None:
    """The tutorial's first `exec red ping blue` failed by it, and down said all is as it was.

    The script says how to remove it.
    """
    write("v.yaml", LAB)
    script = ended("plan", "--as", "ip", "v.yaml").stdout
    says("sh", "-ec", script)
    paths = [f"/etc/netns/{name}/hosts" for name in ("aa", "bb")]

    told = ended("up", "v.yaml").stderr.splitlines()
    assert [line.split()[1] for line in told] == paths
    assert ended("verify", "v").returncode == 3
    netloom("down", "v").stdout("v  down: 2 namespaces, 1 wire\n").stderr(
        f"note: {', '.join(paths)} stay: they are not the lab's\n"
    ).status(0)

    says("sh", "-ec", "\n".join(line.removeprefix("# ") for line in script.splitlines()[-2:]))
    assert not Path("/etc/netns").exists()
    with no_trace():
        netloom("up", "v.yaml")
        netloom("verify", "v").stdout("v  is as it was applied\n").status(0)
        netloom("down", "-q", "v").status(0)
