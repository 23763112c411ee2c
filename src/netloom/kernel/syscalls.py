"""The system calls for namespaces and mounts, each as one function that either did it or raises.

Python 3.11 has no `setns`, `unshare` or `mount`, so the C library is asked (ctypes: 2 ms to import,
half a microsecond a call). Every refusal is a `KernelError` whose `asked` is the command that a
person would have typed for the same thing. Only the calling *thread* is ever moved.

Rule 1: nothing here decides; a call that may fail harmlessly is forgiven by its caller.
Rule 2: no `typing`, `socket` or `subprocess` here: `netloom exec` starts through this file.
"""

import ctypes
import os
import sys
from errno import EINTR

from netloom.errors import KernelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

CLONE_FS = 0x200
CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_SYS_OPEN_TREE = 428  # the same number on every architecture but alpha (asm-generic/unistd.h)
_SYS_MOVE_MOUNT = 429

_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_SIGPIPE = 13
_SIGXFSZ = 25

_ENCODING = sys.getfilesystemencoding()
_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate  # musl's has 64 bits itself
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_mount = _libc.mount
_mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.execvp.argtypes = (ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p))
_libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
_libc.signal.restype = ctypes.c_void_p

_KINDS = {CLONE_NEWNET: "net", CLONE_NEWNS: "mount", CLONE_NEWUSER: "user", CLONE_FS: "fs"}
_PROPAGATION = {MS_PRIVATE: "private", MS_SLAVE: "slave", MS_SHARED: "shared"}


_AGAIN = 100
"""How often a call that a signal interrupted is made again, as Python does by itself (PEP 475)."""


def _called(asked: str, call: "Callable[..., int]", *args: object) -> int:
    """Return what a call answers; raises `KernelError` where it is refused."""
    for _ in range(_AGAIN):
        answer = call(*args)
        if answer >= 0:
            return answer
        if ctypes.get_errno() != EINTR:
            break
    raise KernelError(ctypes.get_errno(), asked)


def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
    """Move the calling thread into the namespace behind `fd`, of this kind (setns(2)).

    Should: run on a thread that may stay there or die there.
    Mustn't: run on a thread of a pool, nor enter a user namespace beside other threads (EINVAL).
    """
    _called(f"nsenter --{_KINDS[kind]}", _libc.setns, fd, kind)


def unshare(kinds: int) -> None:
    """Move the calling thread into new namespaces of these kinds, or-ed (unshare(2)).

    Should: be followed by `propagation("/", …)` where one of them is a mount namespace, since the
    copies of shared mounts are still shared with the old one.
    Mustn't: ask for a user namespace in a process with threads (EINVAL).
    """
    words = [f"--{word}" for kind, word in _KINDS.items() if kinds & kind]
    _called(" ".join(["unshare", *words]), _libc.unshare, kinds)


def mount(kind: str, source: str, target: str, *, flags: int = 0, data: str = "") -> None:
    """Mount a new file system of this kind on `target`; `source` is only the name it is listed by.

    Should: run in a mount namespace of our own.
    Mustn't: be given a `target` on which something of the machine would be hidden for others.
    """
    asked = f"mount -t {kind} {source} {target}"
    _called(asked, _mount, _path(source), _path(target), kind.encode(), flags, data.encode())


def bind(source: str, target: str, *, recursive: bool = False) -> None:
    """Show at `target` what is at `source`, with all that is mounted below it if `recursive`.

    Should: be given a source that is already what it is to be: others see it at once.
    Mustn't: be given symbolic links that others can change; both paths are followed.
    """
    flags = MS_BIND | MS_REC if recursive else MS_BIND
    word = "--rbind" if recursive else "--bind"
    asked = f"mount {word} {source} {target}"
    _called(asked, _mount, _path(source), _path(target), b"none", flags, None)


def propagation(target: str, kind: int, *, recursive: bool = False) -> None:
    """Set whether mounts on `target` reach its peers: MS_PRIVATE, MS_SLAVE or MS_SHARED.

    Should: be forgiven EINVAL where `target` may be no mount point yet.
    Mustn't: be used on a mount of the machine's, except to make /run/netns itself shared.
    """
    flags = kind | MS_REC if recursive else kind
    word = ("--make-r" if recursive else "--make-") + _PROPAGATION[kind]
    _called(f"mount {word} {target}", _mount, b"", _path(target), b"none", flags, None)


def unmount(target: str) -> None:
    """Take away what is mounted on `target`: from sight now, in truth when nobody uses it.

    Should: name one mount that we know to be ours (or that lies in a mount namespace of our own).
    Mustn't: be taken as proof that what was mounted is gone.
    """
    flags = _MNT_DETACH | _UMOUNT_NOFOLLOW
    _called(f"umount -l {target}", _libc.umount2, _path(target), flags)


def clone_tree(path: str) -> int:
    """Return a detached copy of the mount at `path` and of all below it (open_tree(2), Linux 5.2).

    Should: be closed, or put somewhere by `attach_tree` and then closed.
    Mustn't: be needed where an older kernel (ENOSYS) must do too.
    """
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    number, folder = _long(_SYS_OPEN_TREE), _long(_AT_FDCWD)
    return _called(f"open_tree {path}", _syscall, number, folder, _path(path), _long(flags))


def attach_tree(tree: int, target: str) -> None:
    """Mount a tree that `clone_tree` detached on `target` (move_mount(2), Linux 5.2).

    Should: run in the mount namespace where the tree shall be seen.
    Mustn't: be given a tree twice.
    """
    flags = _long(_MOVE_MOUNT_F_EMPTY_PATH)
    number, folder = _long(_SYS_MOVE_MOUNT), _long(_AT_FDCWD)
    asked = f"move_mount to {target}"
    _called(asked, _syscall, number, _long(tree), b"", folder, _path(target), flags)


def punch_hole(fd: int, place: int, length: int) -> None:
    """Give back the room of `length` bytes of a file, whose size stays (fallocate(2)).

    Should: be forgiven EOPNOTSUPP: not every file system has holes.
    Mustn't: be given bytes that somebody still wants: from then on they are read as zeros.
    """
    flags = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
    sizes = (ctypes.c_int64(place), ctypes.c_int64(length))
    _called(f"fallocate -p -o {place} -l {length}", _fallocate, fd, flags, *sizes)


def end_with_parent(parent: int) -> bool:
    """Have the kernel kill this process when its parent ends (PR_SET_PDEATHSIG(2const)).

    It stays so across execve(2), unless who runs then gets other rights. False if the parent, of
    this number, has ended already: then nothing would come.

    Should: be called by a child before anything else.
    Mustn't: be called where a thread bore it that ends before the parent does.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, _long(_SIGKILL), _long(0), _long(0), _long(0))
    return os.getppid() == parent


def become(argv: list[str]) -> "NoReturn":
    """Replace this process by a command, which is looked for in PATH (execvp(3)).

    The C library's own, as in `ip netns exec`: it gives a script without a first line to sh, where
    `os.execvp` would go on to the next of that name in PATH.

    Should: hand on signals as if Python had never been there; it ignores SIGPIPE, and with that
    handed on `yes | head` in the command never ends.
    Mustn't: be called in a process that lives on: it raises, but SIGPIPE kills from then on.
    """
    for number in (_SIGPIPE, _SIGXFSZ):
        _libc.signal(number, None)
    words = [os.fsencode(word) for word in argv]
    array = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    _libc.execvp(words[0], array)
    raise KernelError(ctypes.get_errno(), argv[0])


def _path(path: str) -> bytes:
    return path.encode(_ENCODING, "surrogateescape")  # as os.fsencode does, which takes 5 µs


def _long(number: int) -> ctypes.c_long:
    return ctypes.c_long(number)
