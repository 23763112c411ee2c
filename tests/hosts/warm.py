"""A netloom that has imported what it needs, and can be killed at any call that changes something.

It is a fork of the fork server (`forkserver.py`), in the place of the test. It is told on standard
input what to run, forks again, and runs it there as `netloom` would. The fork asks for a listener
on its own system calls (seccomp_unotify(2)): each that may change something waits for our word. So
they are counted over all threads in the order in which they come, each with what it is about, and
at the one that was asked for the process gets a real SIGKILL (or another signal), before the call
has done anything. That is every state that a kill can leave: between two of them nothing changes.

`strace -e inject=…:signal=KILL` does the same for a whole program (`test_no_trace_strace.py` proves
that nothing is missed here); it counts by thread, so by it alone some calls are never reached.

What is asked and answered is a line of JSON: {"argv": […], "follow": true, "at": 7, "signal": 9}
or, instead of the signal, "errno" with what the call fails with, or "meanwhile" with a command that
somebody else runs just then.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import select
import signal
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

from tests.hosts.forkserver import become_netloom, have_streams

_TABLES = {
    "x86_64": """
    write=1 sendto=44 rename=82 mkdir=83 rmdir=84 link=86 unlink=87 symlink=88 mount=165
    umount2=166 openat=257 mkdirat=258 unlinkat=263 renameat=264 linkat=265 symlinkat=266
    renameat2=316 move_mount=429 sendmsg=46 open=2 ftruncate=77 chmod=90 fchmod=91 fchmodat=268
    kill=62 pidfd_send_signal=424
    """,
    "aarch64": """
    write=64 sendto=206 mkdirat=34 unlinkat=35 symlinkat=36 linkat=37 renameat=38 umount2=39
    mount=40 openat=56 renameat2=276 move_mount=429 sendmsg=211 ftruncate=46 fchmod=52
    fchmodat=53 kill=129 pidfd_send_signal=424
    """,
}
NUMBERS = {
    machine: {name: int(nr) for name, nr in (pair.split("=") for pair in table.split())}
    for machine, table in _TABLES.items()
}
"""The calls that can change something, by their numbers on each architecture."""

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_PIDFD_GETFD = 438
_NEW_LISTENER = 8 | 32  # and WAIT_KILLABLE_RECV: a waiting call is not interrupted by Ctrl-C
_RECEIVE = 0xC050_2100  # _IOWR('!', 0, struct seccomp_notif)
_SEND = 0xC018_2101  # _IOWR('!', 1, struct seccomp_notif_resp)
_NOTICE = struct.Struct("=QII iIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_CONTINUE = 1
_CHANGING = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_RDWR
_AT_FDCWD = 0xFFFF_FF9C
_libc = ctypes.CDLL(None, use_errno=True)


class Call(NamedTuple):
    """A system call that waits: its name, its arguments, and the thread that makes it."""

    name: str
    args: tuple[int, ...]
    thread: int

    def memory(self, at: int, size: int) -> bytes:
        """Return what the calling process has in its memory."""
        with Path(f"/proc/{self.thread}/mem").open("rb", buffering=0) as memory:
            memory.seek(at)
            return memory.read(size)

    def text(self, at: int) -> str:
        """Return a path from the memory of the calling process."""
        page = 4096 - at % 4096
        data = self.memory(at, page)
        if b"\0" not in data:
            data += self.memory(at + page, 4096)
        return os.fsdecode(data.partition(b"\0")[0])

    def file(self, fd: int) -> str:
        """Return what a descriptor of the calling process leads to."""
        try:
            return str(Path(f"/proc/{self.thread}/fd/{fd}").readlink())
        except OSError:
            return ""


def _opens(call: Call) -> str:
    return call.text(call.args[1]) if call.args[2] & _CHANGING else ""


def _writes(call: Call) -> str:
    path = call.file(call.args[0])
    return path if path.startswith(("/proc/sys/", "/run/", "/etc/")) else ""


def _sends(call: Call) -> str:
    """Return the type of the first message of a netlink send; questions change nothing."""
    kind = struct.unpack("=H", call.memory(call.args[1] + 4, 2))[0]
    return "" if kind % 4 == 2 else f"rtnetlink {kind}, {call.args[2]} bytes"


def _first_path(call: Call) -> str:
    return call.text(call.args[0])


def _second_path(call: Call) -> str:
    return call.text(call.args[1])


def _path_at(call: Call) -> str:
    fd = call.args[0] & 0xFFFF_FFFF
    folder = "" if fd == _AT_FDCWD else call.file(fd) + "/"
    return folder + call.text(call.args[1])


def _as_it_is(call: Call) -> str:
    return " ".join(f"{arg:x}" for arg in call.args[:3])


_ABOUT: dict[str, Callable[[Call], str]] = {
    "write": _writes,
    "sendto": _sends,
    "openat": _opens,
    "mount": _second_path,
    **dict.fromkeys(("rename", "link", "symlink"), _second_path),
    **dict.fromkeys(("mkdir", "rmdir", "unlink", "umount2", "chmod"), _first_path),
    **dict.fromkeys(("mkdirat", "unlinkat", "fchmodat"), _path_at),
}
"""What a call is about, empty if it changes nothing after all."""


def _filter(numbers: list[int]) -> bytes:
    """Return a program (struct sock_filter[]) that asks us about these calls alone."""
    load = struct.pack("=HBBI", 0x20, 0, 0, 0)  # LD the call's number
    count = len(numbers)
    tests = [struct.pack("=HBBI", 0x15, count - at, 0, nr) for at, nr in enumerate(numbers)]
    allow = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF_0000)
    notify = struct.pack("=HBBI", 0x06, 0, 0, 0x7FC0_0000)
    return b"".join((load, *tests, allow, notify))


def _walked(order: dict[str, Any]) -> bytes:  # noqa: ARG001 - the shape of a choice
    """Return the program for all calls that can change something."""
    return _filter(list(NUMBERS[platform.machine()].values()))


def _listener(program: bytes) -> int:
    """Have the calling process wait at the calls of a filter; return what hears of them."""
    machine = platform.machine()
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    long = ctypes.c_long
    _libc.syscall.restype = long
    fd = _libc.syscall(long(_SECCOMP[machine]), long(1), long(_NEW_LISTENER), head)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(fd)


def _become_netloom(
    argv: list[str], out: int, err: int, tell: int, program: bytes | None
) -> NoReturn:
    """Run the command line in a fork, and end with its status; `program` chooses the calls."""
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    have_streams()
    if program:
        # Not by write(2), which would wait for somebody who waits for this number.
        os.writev(tell, [b"%d" % _listener(program)])
    become_netloom(argv)


def _hear(pid: int, pidfd: int, listener: int, order: dict[str, Any]) -> dict[str, Any]:
    """Let a fork go on from call to call, and act at one; return what it called."""
    at, act, refusal = order.get("at", 0), _act(order), order.get("errno", 0)
    name_of = {number: name for name, number in NUMBERS[platform.machine()].items()}
    calls: list[str] = []
    last: Call | None = None
    ear = select.poll()
    ear.register(listener, select.POLLIN)
    ear.register(pidfd, select.POLLIN)
    while pidfd not in (heard := dict(ear.poll())):
        if heard[listener] & select.POLLHUP:
            break
        notice = bytearray(_NOTICE.size)
        if not _asked(listener, _RECEIVE, notice):
            continue
        identity, thread, _, nr, _, _, *args = _NOTICE.unpack(notice)
        call = Call(name_of[nr], tuple(args), thread)
        about = _ABOUT.get(call.name, _as_it_is)(call) if _is_of(thread, pid) else ""
        # The kernel begins a write to a sysctl again while its lock for networks is held.
        again = call == last and about.startswith("/proc/sys/")
        last = call
        if about and not again:
            calls.append(f"{call.name} {about}")
            if len(calls) == at and refusal:
                answer(listener, identity, refusal)
                continue
            if len(calls) == at and act(pid):
                break
        answer(listener, identity)
    return {"calls": calls}


def answer(listener: int, identity: int, number: int = 0) -> None:
    """Let a call that waits go on, or fail with an errno."""
    said = _ANSWER.pack(identity, 0, -number, 0 if number else _CONTINUE)
    _asked(listener, _SEND, bytearray(said))


def _is_of(thread: int, pid: int) -> bool:
    """Whether a thread is of a process: commands that it has started wait at their calls, too."""
    return Path(f"/proc/{pid}/task/{thread}").exists()


LISTENING = "listening"
"""What `ps` shows of a process that lets others go on: it is none of netloom's."""


def _let_go_on(listener: int) -> None:
    """Let whoever outlives netloom make all its calls, as long as it lives: in a process apart."""
    ear = select.poll()
    ear.register(listener, select.POLLIN)
    if dict(ear.poll(0)).get(listener, 0) & select.POLLHUP or os.fork():
        return
    for stream in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)  # nobody shall wait for our end
    Path("/proc/self/comm").write_text(LISTENING)
    while not ear.poll()[0][1] & select.POLLHUP:
        notice = bytearray(_NOTICE.size)
        if _asked(listener, _RECEIVE, notice):
            answer(listener, _NOTICE.unpack(notice)[0])
    os._exit(0)


def _asked(listener: int, request: int, data: bytearray) -> bool:
    try:
        fcntl.ioctl(listener, request, data)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.EINTR}:  # it died meanwhile
            raise
        return False
    return True


def _act(order: dict[str, Any]) -> Callable[[int], bool]:
    """Return what to do at the call: kill, interrupt, or run what somebody else does meanwhile."""

    def meanwhile(pid: int) -> bool:  # noqa: ARG001 - the shape of an act
        subprocess.run(order["meanwhile"], check=True)
        return False

    def send(pid: int) -> bool:
        number = order.get("signal", signal.SIGKILL)
        os.kill(pid, number)
        return bool(number == signal.SIGKILL)

    return meanwhile if "meanwhile" in order else send


Choice = Callable[[dict[str, Any]], bytes]
"""Returns, for an order, the filter of the calls that wait."""

Hear = Callable[[int, int, int, dict[str, Any]], dict[str, Any]]
"""Lets a fork (its number, opened, its listener) go on as an order says; returns what it saw."""


def _ran(order: dict[str, Any], choose: Choice, hear: Hear) -> dict[str, object]:
    follow = order.get("follow", False)
    out, err = os.memfd_create("out"), os.memfd_create("err")
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _become_netloom(order["argv"], out, err, tell, choose(order) if follow else None)
    os.close(tell)
    heard = _heard(pid, told, order, hear) if follow else {}
    _, ended = os.waitpid(pid, 0)
    os.close(told)
    texts = [os.pread(fd, 1 << 20, 0).decode() for fd in (out, err)]
    os.close(out)
    os.close(err)
    status = os.waitstatus_to_exitcode(ended)
    return {"status": status, "stdout": texts[0], "stderr": texts[1], **heard}


def _heard(pid: int, told: int, order: dict[str, Any], hear: Hear) -> dict[str, Any]:
    number = os.read(told, 16)
    if not number:
        return {}
    pidfd = os.pidfd_open(pid)
    long = ctypes.c_long
    listener = _libc.syscall(long(_PIDFD_GETFD), long(pidfd), long(int(number)), long(0))
    try:
        found = hear(pid, pidfd, listener, order)
        _let_go_on(listener)
    finally:
        os.close(listener)
        os.close(pidfd)
    return found


def serve(orders: TextIO, choose: Choice = _walked, hear: Hear = _hear) -> None:
    """Run what is asked for until nothing more is."""
    for line in orders:
        print(json.dumps(_ran(json.loads(line), choose, hear)), flush=True)  # noqa: T201
