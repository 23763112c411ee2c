"""The command line of a plain user, without anything around it: namespaces of that user's own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.host import MAIN, timeless
from tests.kernel.machines import FORBIDDEN, plainly, python, ran

pytestmark = pytest.mark.needs("netns", "veth", "bridge", "ip")

LAB = """\
networks: {lan: {subnet: 10.1.0.0/24}}
namespaces:
  a: {networks: [lan], run: exec sleep 4721}
  b: {networks: [lan]}
"""
OTHER = "links: [[c, d]]\n"
USER = 65534


class Plain(NamedTuple):
    """A plain user with a folder, and the command line as that user types it."""

    folder: Path

    def __call__(self, *words: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run netloom in the folder; `before` is what a shell does first."""
        argv = plainly(f"{before}\n{MAIN}", *words)
        env = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder / "run")}
        return subprocess.run(
            argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=60
        )

    def says(self, *words: str) -> str:
        """Return what netloom prints, without times; it must end with 0 and have no complaint."""
        done = self(*words)
        assert (done.returncode, done.stderr) == (0, ""), done
        return timeless(done.stdout)


@pytest.fixture
def plain() -> Iterator[Plain]:
    """Return a plain user; at the end nothing of theirs may run."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        for path in (folder, folder / "run"):
            os.chown(path, USER, USER)
        (folder / "lab.yaml").write_text(LAB)
        (folder / "other.yaml").write_text(OTHER)
        yield Plain(folder)
        assert os.listdir(folder / "run") == []


def holders() -> str:
    """Return the processes that hold namespaces."""
    return ran("pgrep", "-x", "netloom-holder", check=False).stdout


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
    assert plain.says("pids", "a").strip().isdecimal()
    assert not ran("ip", "netns", "list").stdout
    assert plain.says("down", "lab").startswith("lab  down:")
    assert "sleep 4721" not in ran("pgrep", "-ax", "sleep", check=False).stdout


SEEN = "a lab b lab c other d other lab.switch lab x".split()  # noqa: SIM905


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


def test_a_holder_that_is_killed_takes_the_labs_along(plain: Plain) -> None:
    """Afterwards there is nothing, and it begins anew."""
    plain.says("up", "-q", "other.yaml")
    pid = int((plain.folder / "run/netloom/holder").read_text().split()[0])
    assert str(pid) in holders()
    os.kill(pid, 9)
    assert plain.says("labs") == ""
    plain.says("up", "-q", "other.yaml")
    plain.says("down", "-q", "other")


def test_where_user_namespaces_are_refused(plain: Plain) -> None:
    """The reason, and what would mend it; nothing is left."""
    argv = python(FORBIDDEN, *plainly(MAIN, "up", "lab.yaml"))
    env = {**os.environ, "XDG_RUNTIME_DIR": str(plain.folder / "run")}
    done = subprocess.run(
        argv, cwd=plain.folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done
    assert done.stderr.splitlines() == [
        "cannot make namespaces as a plain user: unshare --user: No space left on device",
        "hint: run it as root, or have root run `sysctl user.max_user_namespaces=10000`",
        "nothing was touched",
    ]


def test_a_folder_of_somebody_else_is_not_trusted(plain: Plain) -> None:
    """Who writes there could lead us anywhere."""
    (plain.folder / "run/netloom").mkdir()
    refused = plain("up", "lab.yaml")
    assert refused.returncode == 2
    assert "is not yours alone" in refused.stderr
    (plain.folder / "run/netloom").rmdir()
