"""Who may see and change what netloom writes: modes are said, the caller's umask is no part of it.

The witnesses are find(1), and another user who tries.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.abilities import NOBODY
from tests.hosts.host import on_a_host
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

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
        assert found.pop("/run/netloom/host") == "711"  # nobody else can open it, and so lock it
        assert found.pop("/run/netloom/host/s") == "644"
        seen = {path: mode for path, mode in found.items() if "/files/" in path}
        assert {mode for path, mode in seen.items() if Path(path).is_dir()} == {"755"}
        assert {mode for path, mode in seen.items() if Path(path).is_file()} == {"644"}
        private = {path: mode for path, mode in found.items() if path not in seen}
        assert {mode for path, mode in private.items() if Path(path).is_dir()} == {"700"}
        assert {mode for path, mode in private.items() if Path(path).is_file()} == {"600"}
        assert {"record", "000001", "asked", "supervisor", "sa:sleeper.log"} <= {
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
    netloom("down", "-q", "s").status(0)
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


SECRETS = """\
name: keys
namespaces:
  sa: {etc: {secret.key: {file: k}, conf: {file: conf}, plain: here}}
"""


def keys_of_root() -> None:
    """Have a key of root's, a folder with what is not for all, and places for both in /etc."""
    os.umask(0o022)
    write("k", "topsecret\n").chmod(0o600)
    Path("conf/private").mkdir(parents=True)
    for name, mode, uid, gid in (
        ("conf/key", 0o640, 0, 1),
        ("conf/own", 0o400, 65534, 65534),
        ("conf/private/open", 0o644, 0, 0),
        ("conf/private", 0o700, 0, 0),
        ("conf", 0o751, 2, 2),
    ):
        if Path(name).parent != Path() and not Path(name).is_dir():
            write(name, "topsecret\n")
        os.chown(name, uid, gid)
        os.chmod(name, mode)
    Path("/etc/conf").mkdir()
    for name in ("secret.key", "plain"):
        Path("/etc", name).touch()


def seen_by_root(folder: str) -> list[str]:
    """Return modes and owners of what the lab sees, as root sees them inside."""
    script = f"cd {folder}; find . | sort | xargs stat -c '%n %a %u %g'"
    return says("ip", "netns", "exec", "sa", "sh", "-c", script).splitlines()


@needs_root
@on_a_host
def test_a_copied_file_keeps_the_mode_and_the_owner_of_its_source() -> None:
    """Of a folder, too; a text in the topology is for all."""
    keys_of_root()
    with no_trace():
        netloom("up", "-q", str(write("keys.yaml", SECRETS))).status(0)

        theirs = says("sh", "-c", "cd conf; find . | sort | xargs stat -c '%n %a %u %g'")
        assert seen_by_root("/etc/conf") == theirs.splitlines()
        stats = says(
            "ip", "netns", "exec", "sa", "stat", "-c", "%a", "/etc/secret.key", "/etc/plain"
        )
        assert stats == "600\n644\n"
        netloom("down", "-q", "keys").status(0)


@needs_root
@on_a_host
def test_a_key_of_root_stays_roots_key() -> None:
    """Nobody else reads it: not in the namespace, nor what is remembered of it, by any name."""
    keys_of_root()
    with no_trace():
        netloom("up", "-q", str(write("keys.yaml", SECRETS))).status(0)
        inside = ("ip", "netns", "exec", "sa", *NOBODY)

        assert ended("exec", "sa", "cat", "/etc/secret.key").stdout == "topsecret\n"
        for path in ("secret.key", "conf/key", "conf/private/open"):
            done = ran(*inside, "cat", f"/etc/{path}", check=False)
            assert "Permission denied" in done.stderr, path
        assert says(*inside, "cat", "/etc/plain", "/etc/conf/own") == "here\ntopsecret\n"
        for place in ("/run/netloom", "/etc/netns"):
            assert "topsecret" not in as_nobody("grep", "-rs", "topsecret", place)
        netloom("down", "-q", "keys").status(0)


@needs_root
@on_a_host
def test_another_mode_is_a_difference_and_undone() -> None:
    """As another text is."""
    keys_of_root()
    nobody = ("ip", "netns", "exec", "sa", *NOBODY, "cat", "/etc/secret.key")
    with no_trace():
        netloom("up", "-q", str(write("keys.yaml", SECRETS))).status(0)
        netloom("up", "keys.yaml").stdout("keys  is up; nothing to do\n").status(0)
        Path("k").chmod(0o644)

        netloom("up", "-q", "keys.yaml").status(0)
        assert says(*nobody) == "topsecret\n"
        assert ended("undo", "keys").returncode == 0
        assert "Permission denied" in ran(*nobody, check=False).stderr
        netloom("down", "-q", "keys").status(0)


@needs_root
@on_a_host
def test_a_secret_cannot_be_guessed_by_the_name_of_its_folder() -> None:
    """All may see where links in /etc/netns lead: with a text that is not for all, nothing told.

    For the same text the name is another one in each life of a lab, and the same within one.
    """
    keys_of_root()
    names = []
    for _ in range(2):
        netloom("up", "-q", str(write("keys.yaml", SECRETS))).status(0)
        names.append(os.readlink("/etc/netns/sa"))
        netloom("up", "-q", "keys.yaml").status(0)
        assert os.readlink("/etc/netns/sa") == names[-1]
        netloom("down", "-q", "keys").status(0)

    assert names[0] != names[1]


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
    write("s.yaml", "namespaces: [sa]\n")
    netloom("up", "-q", "s.yaml").status(0)
    why = change(Path("/run/netloom", name))
    before = says("ip", "netns")

    for words in (["undo", "s"], ["down", "s"], ["up", "s.yaml"], ["plan", "s.yaml"]):
        seen = ended(*words)
        assert (seen.returncode, seen.stdout) == (2, ""), words
        assert seen.stderr.startswith(f"cannot trust what netloom remembers: {why}"), words
        assert "nothing was touched" in seen.stderr
    assert says("ip", "netns") == before


@needs_root
@on_a_host
def test_one_lab_that_is_not_believed_hides_no_other() -> None:
    """It has its own row, and so has a stray file among the labs; the others go on as ever."""
    netloom("up", "-q", str(write("s.yaml", "namespaces: [sa]\n"))).status(0)
    netloom("up", "-q", str(write("t.yaml", "name: t\nnamespaces: [ta]\n"))).status(0)
    owned_by_another(Path("/run/netloom/labs/s"))
    Path("/run/netloom/labs/stray").touch()

    rows = ended("labs").stdout.splitlines()

    assert [row.split()[0] for row in rows] == ["s", "stray", "t"]
    assert [row for row in rows if "unreadable" in row] == rows[:2]
    netloom("down", "-q", "t").status(0)


@needs_root
@on_a_host
def test_of_roots_labs_a_plain_user_sees_the_names() -> None:
    """What is in them is root's; to ask is no mistake."""
    twice_up()
    with new_plain_user() as plain:
        assert plain.says("labs") == "s  another user's\n"
        asked = plain("verify", "s")
        assert (asked.returncode, asked.stdout) == (2, "")
        assert asked.stderr.startswith("the lab `s` is root's\nhint: sudo ")
        assert "hint: sudo" in asked.stderr
        assert plain("logs", "sa").stderr.startswith("`sa` is root's\nhint: sudo ")
    netloom("down", "-q", "s").status(0)
