"""A plain user for a test: a folder with a runtime folder in it, and the command line."""

import os
import select
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from netloom.kernel import syscalls
from tests.hosts.netloom import timeless
from tests.hosts.programs import MAIN, plainly, ran

USER = 65534


class Plain(NamedTuple):
    """A plain user with a folder, and the command line as that user types it."""

    folder: Path

    def __call__(
        self, *words: str, before: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run netloom in the folder; `before` is what a shell does first, `env` what differs."""
        argv = plainly(f"{before}\n{MAIN}", *words)
        whole = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder / "run"), **env}
        return subprocess.run(
            argv,
            cwd=self.folder,
            env=whole,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def says(self, *words: str, **env: str) -> str:
        """Return what netloom prints, without times; it must end with 0 and have no complaint."""
        done = self(*words, **env)
        assert (done.returncode, done.stderr) == (0, ""), done
        return timeless(done.stdout)

    def both(self) -> list[int]:
        """Return the numbers of the holder and the outer agent."""
        return [int(word) for word in (self.folder / "run/netloom/holder").read_text().split()[::2]]

    @property
    def root(self) -> str:
        """The user's own mounts, for root."""
        return f"/proc/{self.both()[0]}/root"

    def netns(self, name: str) -> str:
        """Return the path of a namespace of this user's, for root."""
        return f"{self.root}/run/netns/{name}"


@contextmanager
def plain_user(folder: Path) -> Iterator[Plain]:
    """Make a folder a plain user's; at the end nothing of theirs may be noted as running."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    (folder / "run").mkdir()
    for path in (folder, folder / "run"):
        os.chown(path, USER, USER)
    user = Plain(folder)
    try:
        yield user
        assert os.listdir(folder / "run") == []
    finally:  # a test that failed leaves its labs
        if (folder / "run/netloom/holder").exists():
            kill_and_wait(*user.both())


@contextmanager
def new_plain_user(**files: str) -> Iterator[Plain]:
    """Make a plain user with topology files, whose folder is seen on each machine that is played.

    Those have a /tmp of their own, and what a fixture makes is made before the machine is.
    """
    with TemporaryDirectory(dir="/var/tmp") as name, plain_user(Path(name)) as user:
        for file, text in files.items():
            (user.folder / f"{file}.yaml").write_text(text)
        yield user


def may_make_a_tap(*, may: bool = True) -> None:
    """Let everybody on the calling thread's machine make a tap, or root alone."""
    Path("/run/tun").mkdir()
    syscalls.mount("tmpfs", "tun", "/run/tun")
    ran("mknod", "-m666" if may else "-m600", "/run/tun/tun", "c", "10", "200")
    syscalls.bind("/run/tun/tun", "/dev/net/tun")


def kill_and_wait(killed: int, *others: int) -> None:
    """Kill a process, and return when the others have ended, too."""
    fds = [os.pidfd_open(pid) for pid in (killed, *others)]
    os.kill(killed, signal.SIGKILL)
    wait_for_ends(fds)


def wait_for_ends(fds: Iterable[int]) -> None:
    """Return when the processes that are open have ended; they must."""
    for fd in fds:
        with os.fdopen(fd):
            assert select.select([fd], [], [], 30)[0], "it lives on"
