"""How a test runs programs: other people's, and Python against this source tree."""

import functools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.abilities import NOBODY

SRC = Path(__file__).parents[2] / "src"
TESTER = "NETLOOM_TESTED_BY"
"""Of the environment: which process tests. What other runs of tests start is none of ours."""
os.environ[TESTER] = str(os.getpid())

LIBRARIES = [path for path in sys.path if path.endswith("-packages")]
MAIN = "from netloom.__main__ import main; main()"
"""What `netloom` comes to, as a program of Python."""

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


@contextmanager
def living(*argv: str) -> Iterator[int]:
    """Have a process live where a command leads, once it says what it was told; yield its id."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*argv, "cat"], stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"here\n")
        assert process.stdout.readline() == b"here\n"
        yield process.pid
        process.stdin.close()


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


def pids(pattern: str, *words: str) -> list[int]:
    """Return the processes of this run of tests whose command line matches, as pgrep(1) has it."""
    found = ran("pgrep", *words, "-f", "--", pattern, check=False).stdout.split()
    return [pid for pid in map(int, found) if _is_ours(pid)]


def _is_ours(pid: int) -> bool:
    """Whether what a process has from its forebears says that this one is among them."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{TESTER}={os.getpid()}".encode() in environ.split(b"\0")
