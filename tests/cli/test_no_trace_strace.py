"""The same by strace: real programs are killed, and the walk's list of calls is proved complete.

`warm.py` kills forks of a netloom that has imported all; here a whole program dies. And what strace
sees of it is compared with what the walk knows: a call that changes something and is not walked
would be found here.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.test_no_trace import FIRST, SECOND, forget_names
from tests.hosts.host import on_a_host
from tests.hosts.netloom import Warm, command, netloom, write
from tests.hosts.programs import ran
from tests.hosts.warm import NUMBERS
from tests.hosts.witness import no_trace

WALKED = {name for names in NUMBERS.values() for name in names}
HARMLESS = """
access arch_prctl brk bind clone clone3 close connect dup dup2 epoll_create1 execve exit
exit_group faccessat2 fcntl flock fstat fstatfs futex getcwd getdents64 getegid geteuid getgid
getpid getppid getrandom getresgid getresuid getsockname getsockopt gettid getuid ioctl lseek
lstat madvise mmap mprotect mremap munmap newfstatat pipe2 poll pread64 prctl prlimit64 read
readlink readlinkat recvfrom recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask
rt_sigreturn sched_getaffinity sched_yield set_robust_list set_tid_address setns setsockopt
sigaltstack socket stat statfs statx sysinfo uname umask unshare wait4
"""
"""Calls that change nothing which outlives the process."""

KILLS = [
    *(("mount", n) for n in (1, 2, 4)),
    *(("sendto", n) for n in (5, 8, 12, 14)),
    *(("openat", n) for n in (1, 2)),
    *(("mkdir", n) for n in (3, 6, 8)),
    *(("rename", n) for n in (1, 2, 4)),
    *(("symlink", n) for n in (1, 3)),
]


@on_a_host
@pytest.mark.needs("strace")
def test_the_walk_misses_no_call() -> None:
    """Every system call of every verb is either walked or known to change nothing."""
    write("first.yaml", FIRST)
    write("second.yaml", SECOND)
    seen: Counter[str] = Counter()
    change = ("up", "--replace", "second.yaml")
    for words in (("up", "first.yaml"), change, ("undo", "shop"), ("down", "shop")):
        ran("strace", "-f", "-qq", "-o", "calls", *command(*words))
        seen.update(re.findall(r"^\d+ +(\w+)\(", Path("calls").read_text(), re.MULTILINE))

    assert seen.keys() - WALKED - {*HARMLESS.split()} == set()
    assert seen["mount"] > 3


@on_a_host
@pytest.mark.needs("strace")
def test_the_walk_counts_what_strace_counts() -> None:
    """The same names, mounts, links, folders and renamings, in number."""
    write("first.yaml", FIRST)
    names = "mount,umount2,mkdir,rmdir,rename,symlink,unlink"
    forget_names()
    ran("strace", "-f", "-qq", "-o", "calls", "-e", f"trace={names}", *command("up", "first.yaml"))
    strace = Counter(re.findall(r"^\d+ +(\w+)\(", Path("calls").read_text(), re.MULTILINE))
    netloom("down", "-q", "shop").status(0)
    forget_names()

    with Warm() as warm:
        walk = Counter(call.split()[0] for call in warm.calls("up", "first.yaml"))
        warm("down", "shop")

    assert strace == {name: walk[name] for name in strace}


@pytest.mark.parametrize(("call", "number"), KILLS)
@on_a_host
@pytest.mark.needs("strace")
def test_down_cleans_up_after_a_program_that_strace_killed(call: str, number: int) -> None:
    """SIGKILL at the Nth call of a kind on one thread; then `down`, and all is as it was."""
    write("first.yaml", FIRST)
    where = ("-P", "/run/netns/gw", "-P", "/run/netns/a") if call == "openat" else ()
    inject = f"inject={call}:signal=KILL:when={number}"
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", *where, "-e", inject)

    with no_trace():
        run = subprocess.run(
            (*strace, *command("up", "first.yaml")), capture_output=True, check=False, timeout=60
        )
        assert run.returncode == -9, run
        netloom("down", "-q", "first.yaml").status(0)
