"""Who may see and change what netloom writes: modes are said, the caller's umask is no part of it.

The witnesses are find(1), and another user who tries.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.abilities import NOBODY
from tests.cli.host import ended, netloom, no_trace, on_a_host, write
from tests.kernel.machines import ran, says

LAB = """\
name: s
networks: {lan: {uplink: nat}}
namespaces:
  sa:
    networks: [lan]
    etc: {motd: "WORD"}
    run: {command: sleep 300, name: sleeper, env: {PASSWORD: hunter2}}
"""
HOSTS = """\
name: reader
namespaces: {ra: {run: {command: cat /etc/hosts, user: nobody, name: cat}}}
"""
MASKS = pytest.mark.parametrize("mask", [0, 0o022, 0o077], ids=lambda mask: f"{mask:03o}")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")


def modes(*folders: str) -> dict[str, str]:
    """Return the modes of all that is there, links left out, by their paths."""
    found = says("find", *folders, "!", "-type", "l", "-printf", "%p %m\n").splitlines()
    return dict(line.rsplit(" ", 1) for line in found)


def as_nobody(*argv: str) -> str:
    """Return what another user is told by a command, its complaints too."""
    done = ran(*NOBODY, *argv, check=False)
    return done.stdout + done.stderr


def twice_up() -> None:
    """Bring a lab up and change it, so that there is an earlier state."""
    netloom("up", "-q", str(write("s.yaml", LAB))).status(0)
    netloom("up", "-q", str(write("s.yaml", LAB.replace("WORD", "other")))).status(0)


@MASKS
@on_a_host
def test_the_state_of_a_lab_is_its_owners_whatever_the_umask(mask: int) -> None:
    """Folders of a lab are 0700 and files 0600; which labs there are is everybody's to know."""
    os.umask(mask)
    with no_trace():
        twice_up()
        found = modes("/run/netloom")

        assert {found.pop(path) for path in ("/run/netloom", "/run/netloom/labs")} == {"755"}
        seen = {path: mode for path, mode in found.items() if "/files/" in path}
        assert {mode for path, mode in seen.items() if Path(path).is_dir()} == {"755"}
        assert {mode for path, mode in seen.items() if Path(path).is_file()} == {"644"}
        private = {path: mode for path, mode in found.items() if path not in seen}
        assert {mode for path, mode in private.items() if Path(path).is_dir()} == {"700"}
        assert {mode for path, mode in private.items() if Path(path).is_file()} == {"600"}
        assert {"record", "000001", "asked", "keeper", "sa:sleeper.log"} <= {
            Path(path).name for path in private
        }
        netloom("down", "-q", "s").status(0)


@needs_root
@on_a_host
def test_no_other_user_reads_what_netloom_remembers() -> None:
    """Neither the environment of a command nor a text for /etc, by no path; `labs` is readable."""
    with no_trace():
        twice_up()
        (digest,) = os.listdir("/run/netloom/labs/s/files")

        assert says("grep", "-rlE", "hunter2|other", "/run/netloom").count("\n") >= 3
        denied = "Permission denied\n"
        assert as_nobody("grep", "-rE", "hunter2|other", "/run/netloom/labs/s").endswith(denied)
        assert as_nobody("cat", f"/run/netloom/labs/s/files/{digest}/motd").endswith(denied)
        assert as_nobody("ls", "/run/netloom/labs") == "s\n"
        netloom("down", "-q", "s").status(0)


@MASKS
@on_a_host
def test_others_may_change_nothing_that_netloom_makes(mask: int) -> None:
    """With umask 0 whoever rewrote an earlier state became root by root's next `undo`."""
    before = modes("/run", "/etc")
    os.umask(mask)
    twice_up()

    made = {path: mode for path, mode in modes("/run", "/etc").items() if path not in before}

    del made["/run/here/s.yaml"]
    assert {"/run/netns", "/etc/netns", "/run/netloom/labs/s/undo/000001"} <= made.keys()
    assert {path for path, mode in made.items() if int(mode, 8) & 0o022} == set()
    assert made["/etc/netns"] == made["/run/netns"] == "755"


@MASKS
@on_a_host
def test_a_unit_can_be_read_by_all_and_written_by_root(mask: int) -> None:
    """0644 in folders of 0755: with 0666 whoever wrote into it was root at the next boot."""
    os.umask(mask)
    write("s.yaml", LAB)

    assert ended("enable", "s.yaml").returncode == 0

    found = modes("/etc/systemd")
    unit = found.pop("/etc/systemd/system/netloom@.service")
    assert (unit, set(found.values())) == ("644", {"755"})


@needs_root
@MASKS
@on_a_host
def test_a_command_of_another_user_reads_hosts_whatever_the_umask(mask: int) -> None:
    """And so does one of `ip netns exec`: what a namespace sees in /etc is for all in it."""
    os.umask(mask)
    with no_trace():
        netloom("up", "-q", str(write("reader.yaml", HOSTS))).status(0)

        assert "localhost" in ended("logs", "ra").stdout
        seen = says("ip", "netns", "exec", "ra", *NOBODY, "cat", "/etc/hosts")
        assert "localhost" in seen
        assert modes("/etc/netns", "/run/netns")["/etc/netns"] == "755"
        netloom("down", "-q", "reader").status(0)


def owned_by_another(folder: Path) -> str:
    """Have a folder owned by somebody else."""
    os.chown(folder, 65534, 65534)
    return f"`{folder}` is owned by another user (65534)"


def writable_by_others(folder: Path) -> str:
    """Have a folder that all may write into."""
    folder.chmod(0o777)
    return f"others may write into `{folder}` (its mode is 777)"


def a_link(folder: Path) -> str:
    """Have a link in the place of a folder."""
    folder.rename(f"{folder}.elsewhere")
    folder.symlink_to(f"{folder}.elsewhere")
    return f"`{folder}` is a symbolic link"


@needs_root
@pytest.mark.parametrize("change", [owned_by_another, writable_by_others, a_link])
@pytest.mark.parametrize("name", ["", "labs", "labs/s"])
@on_a_host
def test_what_others_may_have_written_is_not_believed(
    change: Callable[[Path], str], name: str
) -> None:
    """A folder of another user, one that others may write into, a link: refused in a sentence."""
    twice_up()
    why = change(Path("/run/netloom", name))
    before = says("ip", "netns")

    for words in (["undo", "s"], ["down", "s"], ["up", "s.yaml"], ["verify", "s"]):
        seen = ended(*words)
        assert (seen.returncode, seen.stdout) == (2, ""), words
        assert seen.stderr.startswith(f"cannot trust what is remembered of labs: {why}"), words
        assert "nothing was touched" in seen.stderr
    assert says("ip", "netns") == before
