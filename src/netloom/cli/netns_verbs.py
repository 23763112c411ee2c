"""The verbs of `netloom netns`, each as iproute2 6.1 has it: order, messages, exit statuses.

A verb takes what was asked by options and the words behind it, and returns an exit status: 1 for
its own failures, 2 where the kernel refused a netlink request. `NetnsExit` leaves at once.

Should: import lazily; only `list`, `list-id` and `set` need a socket (20 ms of imports).
Mustn't: go through netloom's own checks: what `ip netns` lets pass, passes.
"""

import _signal  # type: ignore[import-not-found] # all of `signal` costs 4 ms
import errno
import fcntl
import os
import sys
from contextlib import contextmanager, suppress

from netloom.cli.netns_words import (
    NetnsExit,
    NetnsRequest,
    complain,
    entries,
    flush,
    say,
    small_number,
    usage,
)
from netloom.errors import KernelError, Unavailable
from netloom.kernel import modes, procfs, syscalls
from netloom.namespaces.handle import NETNS_DIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_STOPS = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
_OWN = "/proc/self/ns/net"


# ── names ─────────────────────────────────────────────────────────────────────────────────────────


def _add(asked: NetnsRequest, words: "Sequence[str]") -> int:  # noqa: ARG001 - a verb
    if not words:
        complain("No netns name specified")
        return 1
    return _publish(words[0], _OWN)


def _attach(asked: NetnsRequest, words: "Sequence[str]") -> int:  # noqa: ARG001
    if len(words) < 2:
        complain("No netns name and PID specified")
        return 1
    pid = small_number(words[1])
    if not pid:
        complain(f"Invalid PID: {words[1]}")
        return 1
    return _publish(words[0], f"/proc/{pid}/ns/net")


def _publish(name: str, source: str) -> int:
    """Make the file of a name, and mount a namespace on it: last, so that it can be watched for."""
    with _undivided():
        return _published(name, source) if _prepare() else 1


@contextmanager
def _undivided() -> "Iterator[None]":
    """Hold back the signals that ask to stop: they come before a change or after it."""
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)


def _published(name: str, source: str) -> int:
    path = f"{NETNS_DIR}/{name}"
    flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        os.close(os.open(path, flags, 0))
    except OSError as error:
        complain(f'Cannot create namespace file "{path}": {error.strerror}')
        return 1
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    failed = f'Failed to create a new network namespace "{name}"'
    try:
        if source == _OWN:
            syscalls.unshare(syscalls.CLONE_NEWNET)
        failed = f"Bind {source} -> {path} failed"
        syscalls.bind(source, path)
    except KernelError as error:
        complain(f"{failed}: {error.strerror}")
        with suppress(OSError):
            os.unlink(path)
        return 1
    finally:
        if source == _OWN:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)
    return 0


def _prepare() -> bool:
    """Make /run/netns what it is to be; `netns.names` does it where more than a look is needed."""
    if procfs.in_user_namespace():
        return _prepare_wholly()
    try:
        modes.make_dir(NETNS_DIR, modes.PUBLIC_DIR)
    except FileExistsError:
        pass
    except OSError as error:
        complain(f"mkdir {NETNS_DIR} failed: {error.strerror}")
        return False
    directory = os.open(NETNS_DIR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        syscalls.propagation(NETNS_DIR, syscalls.MS_SHARED, recursive=True)
    except KernelError as error:
        if error.errno != errno.EINVAL:  # EINVAL: it is no mount point yet
            complain(f"mount --make-shared {NETNS_DIR} failed: {error.strerror}")
            return False
    else:
        return True
    finally:
        os.close(directory)
    return _prepare_wholly()


def _prepare_wholly() -> bool:
    from netloom.namespaces import registry

    try:
        registry.prepare()
    except Unavailable as error:
        complain(error.reason)
        return False
    return True


def _delete(asked: NetnsRequest, words: "Sequence[str]") -> int:
    if asked.everything:
        for name in entries():
            if not _removed(name):
                break
        return 0
    if not words:
        complain("No netns name specified")
        return 1
    return 0 if _removed(words[0]) else 1


def _removed(name: str) -> bool:
    path = f"{NETNS_DIR}/{name}"
    with _undivided():
        with suppress(KernelError):  # not mounted: unlink decides
            syscalls.unmount(path)
        try:
            os.unlink(path)
        except OSError as error:
            complain(f'Cannot remove namespace file "{path}": {error.strerror}')
            return False
    return True


def _monitor(asked: NetnsRequest, words: "Sequence[str]") -> int:  # noqa: ARG001
    from netloom.namespaces.monitor import changes, watch

    try:
        modes.make_dirs(NETNS_DIR, modes.PUBLIC_DIR)
    except OSError as error:
        complain(f"mkdir {NETNS_DIR} failed: {error.strerror}")
        return 1
    try:
        watched = watch()
    except KernelError as error:
        complain(f"{error.asked} failed: {error.strerror}")
        return 1
    for change, name in changes(watched):
        say(f"{change} {name}\n")
        sys.stdout.flush()
    return 0


# ── processes ─────────────────────────────────────────────────────────────────────────────────────


def _identify(asked: NetnsRequest, words: "Sequence[str]") -> int:  # noqa: ARG001
    if len(words) > 1:
        complain("extra arguments specified")
        return 1
    if words and not (words[0].isascii() and words[0].isdigit()):
        complain(f"Specified string '{words[0]}' is not a pid")
        return 1
    netns = _look(f"/proc/{words[0] if words else 'self'}/ns/net")
    if netns is None:
        return 1
    found = ""
    for name in entries():
        with suppress(OSError):
            if os.path.samestat(os.stat(f"{NETNS_DIR}/{name}"), netns):
                found = name  # the last one: ip prints no more
    say(f"{found}\n")
    return 0


def _pids(asked: NetnsRequest, words: "Sequence[str]") -> int:  # noqa: ARG001
    if not words:
        complain("No netns name specified")
        return 1
    if len(words) > 1:
        complain("extra arguments specified")
        return 1
    netns = _look(f"{NETNS_DIR}/{words[0]}")
    if netns is None:
        return 1
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{entry}/ns/net"), netns):
                    say(f"{entry}\n")
    return 0


def _look(path: str) -> os.stat_result | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        complain(f"Cannot open network namespace: {error.strerror}")
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _exec(asked: NetnsRequest, words: "Sequence[str]") -> int:
    if not words and not asked.everything:
        complain("No netns name specified")
        return 1
    if len(words) < (1 if asked.everything else 2):
        complain("No command specified")
        return 1
    if asked.everything:
        for name in entries():
            say(f"\nnetns: {name}\n")
            _forked(name, words)
        return 0
    if asked.batch is not None:
        return _forked(words[0], words[1:])
    flush()
    return _become(words[1:]) if switch(words[0]) else 255


def _forked(name: str, argv: "Sequence[str]") -> int:
    flush()
    child = os.fork()
    if not child:
        status = 255
        try:
            status = _become(argv) if switch(name) else 255
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:  # it was killed, and ip goes with it
        raise NetnsExit(1)
    return status


def _become(argv: "Sequence[str]") -> int:
    from netloom.namespaces.run import NotStarted, become

    try:
        become(argv, {})
    except NotStarted as error:
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else error.reason
        complain(f'exec of "{argv[0]}" failed: {reason}')
        return 1


def switch(name: str) -> bool:
    """Move this process into a namespace with its /sys and /etc, as `ip -n` does; or complain."""
    from netloom.namespaces import mounts

    failed = f'Cannot open network namespace "{name}"'
    try:
        fd = os.open(f"{NETNS_DIR}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            failed = f'setting the network namespace "{name}" failed'
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
        finally:
            os.close(fd)
        failed = "unshare failed"
        mounts.own_mounts(name, resolvers=True)
    except OSError as error:
        complain(f"{failed}: {error.strerror}")
        return False
    for line in mounts.bind_etc(name):
        complain(line)
    return True


def _shows(asked: NetnsRequest, words: "Sequence[str]") -> int:
    from netloom.cli.netns_ids import show

    return show(asked, words)


def _shows_ids(asked: NetnsRequest, words: "Sequence[str]") -> int:
    from netloom.cli.netns_ids import show_ids

    return show_ids(asked, words)


def _sets(asked: NetnsRequest, words: "Sequence[str]") -> int:
    from netloom.cli.netns_ids import set_id

    return set_id(asked, words)


VERBS: "tuple[tuple[str, Callable[[NetnsRequest, Sequence[str]], int]], ...]" = (
    ("list", _shows),
    ("show", _shows),
    ("lst", _shows),
    ("list-id", _shows_ids),
    ("help", usage),
    ("add", _add),
    ("set", _sets),
    ("delete", _delete),
    ("identify", _identify),
    ("pids", _pids),
    ("exec", _exec),
    ("monitor", _monitor),
    ("attach", _attach),
)
"""In the order in which ip tries an abbreviation."""
