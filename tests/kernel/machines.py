"""A machine of its own for a test: a thread with mounts, a /run, an /etc and a network to itself.

Mount and network namespaces belong to a thread, and what a thread starts inherits them. So a test
that plays a machine needs no process of its own: its body runs on a thread that is thrown away.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from netloom.errors import KernelError
from netloom.kernel import procfs, syscalls
from netloom.namespaces.enter import aside
from tests.abilities import NOBODY

_P = ParamSpec("_P")
_T = TypeVar("_T")

SRC = Path(__file__).parents[2] / "src"
LIBRARIES = [path for path in sys.path if path.endswith("-packages")]
KEPT = ("passwd", "group", "ld.so.cache", "ld.so.conf", "nsswitch.conf", "iproute2", "alternatives")
FILES = {"hosts": "127.0.0.1 localhost\n", "resolv.conf": "nameserver 192.0.2.53\n"}

EXEC = """
import sys
from netloom.namespaces import run
try:
    run.exec_in(sys.argv[1], sys.argv[2:], tell=lambda line: print(line, file=sys.stderr))
except run.NotStarted as error:
    sys.exit(error.status)
"""
"""What `netloom exec` comes to, as a program of its own."""


FORBIDDEN = """
import os, sys
from netloom.kernel import syscalls
child, parent = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    os.write(child[1], b".")
    os.read(parent[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(child[0], 1)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{pid}/{name}", "w") as file:
        file.write("0 0 65536")
os.write(parent[1], b".")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
"""A user namespace with all users and none below it, as a machine is that forbids them."""


def on_a_machine(test: Callable[_P, _T]) -> Callable[_P, _T]:
    """Run a test on a machine of its own, as root of it."""

    @functools.wraps(test)
    def run(*args: _P.args, **keys: _P.kwargs) -> _T:
        def inside() -> _T:
            become_a_machine()
            return test(*args, **keys)

        return aside(inside)

    return pytest.mark.needs("netns", "ip")(run)


def become_a_machine() -> None:
    """Give the calling thread mounts, a network, a /run and an /etc of its own."""
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
    syscalls.propagation("/", syscalls.MS_PRIVATE, recursive=True)
    with suppress(KernelError):  # EINVAL when there is none (any more)
        for _ in range(9):  # what names of the real machine are mounted on, else hidden below
            syscalls.unmount("/run/netns")
    syscalls.mount("tmpfs", "run", "/run", data="mode=755")
    _own_etc()


def _own_etc() -> None:
    old = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    syscalls.mount("tmpfs", "etc", "/etc", data="mode=755")
    for name in KEPT:
        source = Path(f"/proc/thread-self/fd/{old}/{name}")
        if source.is_dir():
            Path("/etc", name).mkdir()
            syscalls.bind(str(source), f"/etc/{name}")
        elif source.exists():
            Path("/etc", name).write_bytes(source.read_bytes())
    for name, text in FILES.items():
        Path("/etc", name).write_text(text)
    os.close(old)


def etc_file(netns: str, name: str, text: str) -> Path:
    """Give a namespace a file of its own for /etc, as people do for `ip netns exec`."""
    path = Path("/etc/netns", netns, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def ran(
    *argv: str,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Return how a command ended, with what it printed; one that fails fails the test."""
    done = subprocess.run(
        argv, capture_output=True, text=True, input=stdin or "", env=env, check=False, timeout=60
    )
    assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done


def says(*argv: str) -> str:
    """Return what a command prints."""
    return ran(*argv).stdout


def python(code: str, *words: str) -> list[str]:
    """Return the command that runs a program against this source tree."""
    paths = [str(SRC), *LIBRARIES]
    return [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{code}", *words]


def plainly(code: str, *words: str) -> list[str]:
    """Return the command that does the same as a plain user, by a Python that all may read."""
    argv = python(code, *words)
    readable = [found for found in (sys.executable, "/usr/bin/python3") if _serves_plainly(found)]
    if not readable:
        pytest.skip("needs a Python and a source tree that a plain user may read")
    return [*NOBODY, readable[0], *argv[1:]] if os.geteuid() == 0 else argv


@functools.cache
def _serves_plainly(executable: str) -> bool:
    probe = f"import sys, os; assert os.access({str(SRC)!r}, os.R_OK); print(sys.version_info[:2])"
    user = NOBODY if os.geteuid() == 0 else ()
    # Through a shell: setpriv itself still has the rights to run what its user may not.
    done = ran(*user, "sh", "-c", 'exec "$@"', "sh", executable, "-c", probe, check=False)
    return done.stdout.strip() == str(sys.version_info[:2])


def in_own_root(argv: Sequence[str]) -> list[str]:
    """Return the command that runs another as root of a user namespace with mounts and network."""
    at = argv.index("--clear-groups") + 1 if "--clear-groups" in argv else 0
    return [*argv[:at], "unshare", "-Urnm", *argv[at:]]


def mount_points(under: str = "/") -> list[str]:
    """Return what is mounted, and where, as the calling thread sees it."""
    lines = (line.split() for line in procfs.mountinfo().decode().splitlines())
    found = (f"{words[4]} {words[words.index('-') + 1]}" for words in lines)
    return sorted(line for line in found if line.startswith(under))
