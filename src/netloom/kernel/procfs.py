"""Readers of /proc: the bytes in one function, their meaning in the next.

Rule: nothing here changes anything, and a process that vanishes while it is looked at is no error.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE_UID_RANGE = ["0", "0", "4294967295"]


_BOOT: list[str] = []
"""The name of this boot, once it was asked for (functools takes 3 ms to import)."""


def boot_id() -> str:
    """Return the kernel's name for this boot (random(4))."""
    if not _BOOT:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            _BOOT.append(file.read().strip())
    return _BOOT[0]


def interfaces() -> list[str]:
    """Return the names of the interfaces in the namespace of the calling thread.

    Who asks by netlink, as if_nameindex(3) does, waits for the lock of all namespaces of the
    machine, which whoever makes one holds.
    """
    with open("/proc/thread-self/net/dev", "rb") as file:
        return [os.fsdecode(line.partition(b":")[0].strip()) for line in file.readlines()[2:]]


class Mount:
    """One line of /proc/PID/mountinfo (proc_pid_mountinfo(5))."""

    __slots__ = ("id", "parent", "peers", "point")

    def __init__(self, identity: int, parent: int, point: str, peers: int) -> None:
        """Keep the facts; `peers` is the number of its peer group, 0 where it is not shared."""
        self.id = identity
        self.parent = parent
        self.point = point
        self.peers = peers


def mountinfo(pid: int | str = "thread-self") -> bytes:
    """Return the mounts that a process sees, as the kernel prints them, a line each."""
    with open(f"/proc/{pid}/mountinfo", "rb") as file:
        return file.read()


def mounts(text: bytes, at: str) -> "Iterator[Mount]":
    """Yield the mounts on the path `at` and below it.

    With thousands of namespaces the text has thousands of lines: only those wanted are taken apart.
    """
    wanted = b" " + os.fsencode(at)
    for line in text.splitlines():
        if wanted in line:
            mount = _mount(line)
            if mount.point == at or mount.point.startswith(f"{at}/"):
                yield mount


def _mount(line: bytes) -> Mount:
    words = line.split(b" ")
    peers = 0
    for word in words[6 : words.index(b"-")]:
        if word.startswith(b"shared:"):
            peers = int(word[7:])
    return Mount(int(words[0]), int(words[1]), unescaped(words[4]), peers)


def unescaped(path: bytes) -> str:
    """Return a path of mountinfo, in which space, tab, newline, `#` and a backslash are octal.

    Not by a codec of Python's: that would be loaded in the middle of a change.
    """
    first, *rest = path.split(b"\\")
    return os.fsdecode(first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest))


def tops_below(text: bytes, at: str) -> list[str]:
    """Return the points of what is mounted directly on the mount that is seen at `at`."""
    found = list(mounts(text, at))
    stack = [mount for mount in found if mount.point == at]
    seen = {mount.id for mount in stack} - {mount.parent for mount in stack}
    return [mount.point for mount in found if mount.parent in seen]


def same_mounts(pid: int) -> bool:
    """Whether a process is in the mount namespace that the calling thread is in."""
    return os.path.samefile(f"/proc/{pid}/ns/mnt", "/proc/thread-self/ns/mnt")


def oldest_forebear() -> int | None:
    """Return process 1, or the oldest of our forebears that we may look into, None for none."""
    for pid in reversed(_forebears()):
        if os.access(f"/proc/{pid}/ns/mnt", os.F_OK):
            return pid
    return None


def _forebears() -> list[int]:
    """Return our parent, its parent and so on, process 1 last; what vanishes ends the list."""
    found = [os.getppid()]
    while found[-1] > 1:
        try:
            with open(f"/proc/{found[-1]}/stat", "rb") as file:
                found.append(int(file.read().rpartition(b")")[2].split()[1]))
        except OSError:
            break
    return [pid for pid in found if pid]


def shares_mounts_with_parent() -> bool:
    """Whether a thread of our parent sees the mounts that we see; True where one may not look."""
    try:
        own = os.readlink("/proc/self/ns/mnt")
        parent = f"/proc/{os.getppid()}/task"
        return any(os.readlink(f"{parent}/{task}/ns/mnt") == own for task in os.listdir(parent))
    except OSError:
        return True


def in_user_namespace() -> bool:
    """Whether this process lives in a user namespace other than the machine's first one."""
    with open("/proc/self/uid_map", encoding="utf-8") as file:
        return file.read().split() != _WHOLE_UID_RANGE


def mapped(kind: str) -> list[range]:
    """Return the users (`uid`) or groups (`gid`) that exist in our user namespace."""
    with open(f"/proc/self/{kind}_map", encoding="utf-8") as file:
        lines = [[int(word) for word in line.split()] for line in file]
    return [range(first, first + count) for first, _, count in lines]


def initial_environment() -> set[bytes]:
    """Return the names of the variables that this process was started with.

    Python itself adds LC_CTYPE to its environment in the C locale (PEP 538).
    """
    with open("/proc/self/environ", "rb") as file:
        return {pair.partition(b"=")[0] for pair in file.read().split(b"\0")}


File = tuple[int, int, int]
"""What tells a file from all others: major and minor number of its device, and its inode."""


def file_of(facts: os.stat_result) -> File:
    """Return what tells a file from others, as /proc/locks has it."""
    return os.major(facts.st_dev), os.minor(facts.st_dev), facts.st_ino


def locks() -> "Iterator[tuple[int, File]]":
    """Yield who holds which file by flock(2), process and file, as far as we see those processes.

    A line is `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF` (proc_locks(5)), with `->` after
    the number where somebody waits for it.
    """
    with open("/proc/locks", encoding="utf-8") as file:
        for words in map(str.split, file):
            if words[1] == "FLOCK":
                major, minor, inode = words[5].split(":")
                yield int(words[4]), (int(major, 16), int(minor, 16), int(inode))
