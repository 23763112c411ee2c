"""A netloom that has imported what it needs, and in which a system call fails as it is told.

It is one as in `warm.py`; but of the calls of its forks, on all threads, those of one kind wait for
our word, and at the one that was asked for our word is an errno: the kernel does nothing, and the
call has failed. So a try costs a fork. Programs that netloom starts are left alone.

What is asked is a line of JSON: {"argv": […], "follow": true, "call": "openat", "at": 7, "errno":
12}. Without "call" none fails, and all are counted by their kinds.
"""

import os
import re
import select
import signal
import subprocess
import time
from collections import Counter
from functools import cache
from struct import pack
from typing import Any, TextIO

from tests.hosts import warm

NOT_TRIED = """
exit exit_group rt_sigreturn restart_syscall futex rseq set_robust_list writev
"""
"""Calls that fail in no try.

The first four return to nobody. Over the next three the C library aborts, where a thread begins or
waits; a kernel that has them refuses none. By the last the listener is handed over.
"""

SECONDS = 30
"""After which a try is ended, since it hangs."""


@cache
def numbers() -> dict[str, int]:
    """Return the numbers of all system calls here, by their names."""
    cpp = ("gcc", "-E", "-dM", "-include", "sys/syscall.h", "-")
    text = subprocess.run(cpp, input="", capture_output=True, text=True, check=True).stdout
    return {name: int(nr) for name, nr in re.findall(r"#define __NR_(\w+) (\d+)", text)}


def _chosen(order: dict[str, Any]) -> bytes:
    """Return a program (struct sock_filter[]) that asks us about one call, or about all."""
    known = numbers()
    one = order.get("call")
    named = [known[name] for name in ([one] if one else NOT_TRIED.split()) if name in known]
    allow, ask = pack("=HBBI", 6, 0, 0, 0x7FFF_0000), pack("=HBBI", 6, 0, 0, 0x7FC0_0000)
    others, those = (allow, ask) if one else (ask, allow)
    load = pack("=HBBI", 0x20, 0, 0, 0)  # LD the call's number
    tests = [pack("=HBBI", 0x15, len(named) - at, 0, nr) for at, nr in enumerate(named)]
    return b"".join((load, *tests, others, those))


def _hear(pid: int, pidfd: int, listener: int, order: dict[str, Any]) -> dict[str, Any]:
    """Let a fork go on, and its calls fail as they shall; return how often it called what."""
    name_of = {number: name for name, number in numbers().items()}
    at, number = order.get("at", 0), order.get("errno", 0)
    seen: Counter[str] = Counter()
    about = ""
    ear = select.poll()
    ear.register(listener, select.POLLIN)
    ear.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + SECONDS
    while pidfd not in (heard := dict(ear.poll(max(0, deadline - time.monotonic()) * 1000))):
        if not heard or heard[listener] & select.POLLHUP:
            break
        notice = bytearray(warm._NOTICE.size)
        if not warm._asked(listener, warm._RECEIVE, notice):
            continue
        identity, thread, _, nr, _, _, *args = warm._NOTICE.unpack(notice)
        call = warm.Call(name_of.get(nr, str(nr)), tuple(args), thread)
        if not warm._is_of(thread, pid):
            warm.answer(listener, identity)
            continue
        seen[call.name] += 1
        fails = seen[call.name] == at
        if fails:
            about = _about(call)
        if fails and call.name == "close":
            _let_go(listener, identity, call.args[0])
        warm.answer(listener, identity, number if fails else 0)
    if not heard:
        os.kill(pid, signal.SIGKILL)
    return {"seen": seen, "about": about, "hangs": not heard}


_ADD_FD = 0x4018_2103  # _IOW('!', 3, struct seccomp_notif_addfd)
_AT = 1  # SECCOMP_ADDFD_FLAG_SETFD


def _let_go(listener: int, identity: int, fd: int) -> None:
    """Have a file closed as close(2) does also where it fails: by another one in its place."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    added = bytearray(pack("=QIIII", identity, _AT, nothing, fd, os.O_CLOEXEC))
    warm._asked(listener, _ADD_FD, added)
    os.close(nothing)


_FIRST = "mkdir rmdir unlink stat lstat readlink access umount2 chmod chdir"
_SECOND = "openat newfstatat readlinkat mkdirat unlinkat faccessat2 mount rename symlink link"
_FILES = """
read write close fstat lseek getdents64 sendto recvfrom sendmsg recvmsg setns setsockopt connect
getsockopt ioctl flock fcntl ftruncate fchmod
"""
"""Calls that are about a path, in their first argument or their second, or about an open file."""


def _about(call: warm.Call) -> str:
    """Return what a call is about, as far as that is easily said."""
    what = ""
    if call.name in _FIRST.split():
        what = call.text(call.args[0])
    elif call.name in _SECOND.split():
        what = call.text(call.args[1])
    elif call.name in _FILES.split():
        what = call.file(call.args[0])
    return f"{call.name} {what}".rstrip()


def serve(orders: TextIO) -> None:
    """Run what is asked for until nothing more is."""
    warm.serve(orders, _chosen, _hear)
