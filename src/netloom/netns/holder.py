"""The namespaces of a plain user: a process that holds them, found again by whoever that user is.

Without root there is a user namespace in which the user is. It needs somebody to live in it as long
as it has labs: a process of one thread that waits. Every command of the user moves into it first,
while it has one thread itself (setns(2)), and finds there what root finds on the machine: a network
with `lo`, a /run of its own. When the last lab is gone, so is the holder, and with it everything.

    DIR/gate      held by one at a time, who enters or tidies
    DIR/lock      held, shared, by every command inside; who wants to end the holder needs it alone
    DIR/holder    its number and start

DIR is $XDG_RUNTIME_DIR/netloom, else /tmp/netloom-UID, and must be the user's own.
"""

import fcntl
import os
import signal
import stat
from contextlib import suppress

from netloom.errors import Unavailable
from netloom.kernel import process, syscalls
from netloom.kernel.loopback import set_lo_up
from netloom.netns import cover, isolate
from netloom.netns.enter import same_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

NAME = "netloom-holder"
"""What `ps` shows."""

MARK = "/run/.netloom-holder"
"""Stands in a holder's own /run, with the inode of its mount namespace: names made there last."""

_CAP_SYS_ADMIN = 1 << 21
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_ORDER = (
    ("user", syscalls.CLONE_NEWUSER),
    ("mnt", syscalls.CLONE_NEWNS),
    ("net", syscalls.CLONE_NEWNET),
)


def is_needed() -> bool:
    """Whether this process has not the rights for namespaces, and would have them inside."""
    if os.geteuid() == 0:
        return False
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        caps = next((line for line in file if line.startswith("CapEff:")), "CapEff: 0")
    return not int(caps.split()[1], 16) & _CAP_SYS_ADMIN


class Holder:
    """The holder of the user's namespaces, whether it lives or not."""

    def __init__(self) -> None:
        """Find the user's folder; raises `Unavailable` where it is somebody else's."""
        uid = os.geteuid()
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        own = bool(runtime) and os.path.isdir(runtime) and os.stat(runtime).st_uid == uid
        self.folder = f"{runtime}/netloom" if own else f"/tmp/netloom-{uid}"  # noqa: S108 - checked
        self._lock = -1

    def enter(self, *, start: bool) -> bool:
        """Move the process into the namespaces, starting the holder if told; whether it moved.

        Should: run while the process has one thread, and before it looks at anything.
        Mustn't: be undone; it cannot.
        """
        pid = self.find(start=start)
        if pid:
            self._join(pid)
        return bool(pid)

    def find(self, *, start: bool) -> int:
        """Return the number of the holder, started if told, which now stays until `tidy`; or 0."""
        if not start and not os.path.isdir(self.folder):
            return 0
        gate = self._through_the_gate()
        pid = 0
        try:
            pid = self._pid() or (self._start() if start else 0)
        finally:
            os.close(gate)
            if not pid:
                self.tidy(used=False)
        return pid

    def _through_the_gate(self) -> int:
        """Return the gate, alone held, with the lock held as well, shared.

        Who tidies removes both files: what was opened before that is nobody's any more.
        """
        while True:
            self._make_folder()
            try:
                gate, self._lock = self._open("gate"), self._open("lock")
            except FileNotFoundError:
                continue
            fcntl.flock(gate, fcntl.LOCK_EX)
            if self._is_standing(gate):
                fcntl.flock(self._lock, fcntl.LOCK_SH)
                return gate
            os.close(gate)
            os.close(self._lock)

    def _is_standing(self, gate: int) -> bool:
        """Whether an open gate is the one that is there now."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(gate), os.stat(f"{self.folder}/gate"))
        return False

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return os.open(f"{self.folder}/{name}", flags, 0o600)

    def _make_folder(self) -> None:
        with suppress(FileExistsError):
            os.mkdir(self.folder, 0o700)
        facts = os.lstat(self.folder)
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            reason = f"`{self.folder}` is not yours alone"
            raise Unavailable(reason, "set XDG_RUNTIME_DIR to a folder of your own")

    def _pid(self) -> int:
        """Return the number of the holder that lives, 0 if there is none."""
        try:
            with open(f"{self.folder}/holder", encoding="ascii") as file:
                pid, start = map(int, file.read().split())
        except (OSError, ValueError):
            return 0
        return pid if process.same(pid, start) else 0

    def _join(self, pid: int) -> None:
        try:
            fds = [os.open(f"/proc/{pid}/ns/{name}", _FLAGS) for name, _ in _ORDER]
            with same_folder():
                for fd, (_, kind) in zip(fds, _ORDER, strict=True):
                    syscalls.setns(fd, kind)
                    os.close(fd)
        except OSError as error:
            reason = f"cannot enter your namespaces (process {pid}): {error.strerror}"
            raise Unavailable(reason, f"kill {pid} ends them, and the labs in them") from error

    def _start(self) -> int:
        """Start a holder; raises `Unavailable` with what the machine refuses to a plain user."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reading)
                self._hold(writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read().decode(errors="replace")
        if said:
            os.waitpid(pid, 0)
            reason, _, remedy = said.partition("\n")
            raise Unavailable(reason, remedy)
        return pid

    def _hold(self, told: int) -> "NoReturn":
        """Make the namespaces, say that they are there by closing `told`, and wait for the end."""
        try:
            os.setsid()
            isolate.become_root()
            syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
            syscalls.propagation("/", syscalls.MS_SLAVE, recursive=True)
            cover.lay_run()
            set_lo_up()
            with open(MARK, "w", encoding="ascii") as file:
                file.write(str(os.stat("/proc/self/ns/mnt").st_ino))
            own = process.process("self")
            with open(f"{self.folder}/holder", "w", encoding="ascii") as file:
                file.write(f"{own.pid} {own.start}" if own else "")
            process.rename(NAME)
        except (OSError, Unavailable) as error:
            why = error.reason if isinstance(error, Unavailable) else error
            reason = f"cannot make namespaces as a plain user: {why}"
            os.write(told, f"{reason}\n{isolate.remedy()}".encode())
            os._exit(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os.chdir("/")
        os.closerange(3, 1 << 16)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        while True:
            signal.pause()

    def tidy(self, *, used: bool | None = None) -> None:
        """End the holder if nothing is left in it and no other command is at work there.

        `used` is whether something is left; who is inside looks.
        """
        if self._lock < 0:
            return
        try:
            gate = self._open("gate")
            fcntl.flock(gate, fcntl.LOCK_EX)
            if not self._is_standing(gate):
                return
            if is_used() if used is None else used:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
                return
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # somebody else is inside, and tidies later: so let go before the gate
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            return
        pid = self._pid()
        for name in ("holder", "lock", "gate"):
            with suppress(OSError):
                os.unlink(f"{self.folder}/{name}")
        with suppress(OSError):
            os.rmdir(self.folder)
        if pid:
            os.kill(pid, signal.SIGKILL)


def is_used() -> bool:
    """Whether there is a lab or a name in the namespaces that we are in."""
    for folder in ("/run/netns", "/run/netloom"):
        with suppress(OSError):
            if os.listdir(folder):
                return True
    return False


def lasts() -> bool:
    """Whether names made here last because a holder keeps these mounts."""
    try:
        with open(MARK, encoding="ascii") as file:
            return file.read() == str(os.stat("/proc/thread-self/ns/mnt").st_ino)
    except OSError:
        return False
