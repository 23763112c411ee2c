"""What may forbid namespaces to a plain user here: the settings of the machine and the process.

A seccomp filter sees a call before the kernel does. So it is found by flags that the kernel has no
use for: its own answer to those is EINVAL, whatever it would say to others (unshare(2)).

Should: tell what is there, and "" or False where this kernel has no such thing.
Mustn't: judge; `userns_diagnosis.py` does.
"""

import errno
import os

from netloom.errors import KernelError
from netloom.kernel import syscalls
from netloom.kernel.files import exists

APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
"""Ubuntu's own rule, there since 23.10 and on since 24.04."""

USERNS_CLONE = "kernel.unprivileged_userns_clone"
"""Debian's own switch, which allows by default since its kernel 5.10."""

_LIMITS = ("user", "net", "mnt")
_KEYS = (APPARMOR, USERNS_CLONE, *(f"user.max_{kind}_namespaces" for kind in _LIMITS))
_NO_FLAG = 1  # CSIGNAL of clone(2), which check_unshare_flags refuses


class Settings:
    """What may forbid namespaces to a process; `sysctls` are those that this kernel has.

    `confined` is AppArmor's name for the process, `seccomp` the mode of proc_pid_status(5),
    `filtered` whether a filter was met by trying, `container` what the process is in, if it is in
    one, and `program` what it runs.
    """

    __slots__ = (
        "chrooted",
        "confined",
        "container",
        "filtered",
        "nested",
        "program",
        "seccomp",
        "selinux",
        "sysctls",
        "unmapped",
    )

    def __init__(  # noqa: PLR0913 - the facts, each with a name
        self,
        *,
        sysctls: dict[str, str] | None = None,
        confined: str = "",
        selinux: bool = False,
        seccomp: str = "0",
        filtered: bool = False,
        chrooted: bool = False,
        unmapped: bool = False,
        nested: bool = False,
        container: str | None = None,
        program: str = "python3",
    ) -> None:
        """Keep the facts; unless said, nothing forbids anything."""
        self.sysctls = sysctls or {}
        self.confined = confined
        self.selinux = selinux
        self.seccomp = seccomp
        self.filtered = filtered
        self.chrooted = chrooted
        self.unmapped = unmapped
        self.nested = nested
        self.container = container
        self.program = program


def settings(error: OSError | None = None) -> Settings:
    """Return what this process sees; after an `error` of EPERM, also whether a filter says so."""
    values = {key: _text(f"/proc/sys/{key.replace('.', '/')}") for key in _KEYS}
    asked = error is not None and error.errno == errno.EPERM and values[USERNS_CLONE] != "0"
    return Settings(
        sysctls={key: value for key, value in values.items() if value},
        confined=profile(),
        selinux=_text("/sys/fs/selinux/enforce") == "1",
        seccomp=_seccomp(),
        filtered=asked and _is_filtered(),
        chrooted=_is_chrooted(),
        unmapped=not (is_mapped("uid", os.geteuid()) and is_mapped("gid", os.getegid())),
        nested=_text("/proc/self/uid_map").split() != ["0", "0", "4294967295"],
        container=container(),
        program=os.path.realpath("/proc/self/exe"),
    )


def _is_filtered() -> bool:
    """Whether a seccomp filter answers unshare(2) with EPERM, before the kernel can.

    Should: come after an EPERM, for a filter may also kill who asks.
    Mustn't: be asked where Debian's switch is 0: that is looked at before the flags are.
    """
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER | _NO_FLAG)
    except KernelError as error:
        return error.errno == errno.EPERM
    return False


def _seccomp() -> str:
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("Seccomp:"):
            return line.split()[1]
    return "0"


def is_mapped(kind: str, number: int) -> bool:
    """Whether a `uid` or `gid` is one of the user namespace that this process is in."""
    path = f"/proc/self/{kind}_map"
    ranges = [tuple(map(int, line.split())) for line in _text(path).splitlines()]
    return any(first <= number < first + count for first, _, count in ranges)


def _is_chrooted() -> bool:
    """Whether our root is certainly not that of our mounts (proc_pid_mountinfo(5)).

    Either it is no mount itself, or process 1 sees the same mount, and elsewhere.
    """
    own = [number for number, point in _mounts("self") if point == "/"]
    if not own:
        return True
    return any(number == own[-1] and point != "/" for number, point in _mounts("1"))


def _mounts(pid: str) -> list[tuple[str, str]]:
    lines = (line.split() for line in _text(f"/proc/{pid}/mountinfo").splitlines())
    return [(words[0], words[4]) for words in lines]


def profile() -> str:
    """Return AppArmor's name for this process, empty where it has none."""
    return _text("/proc/self/attr/apparmor/current")


def container() -> str | None:
    """Return which manager says that this is a container of its own, None if none does."""
    if exists("/run/.containerenv"):
        return "podman"
    if exists("/.dockerenv"):
        return "docker"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    return _text("/run/host/container-manager") or _text("/run/systemd/container") or None


def _text(path: str) -> str:
    """Return what a small file says, empty where there is none or it may not be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip().strip("\0")
    except OSError:
        return ""
