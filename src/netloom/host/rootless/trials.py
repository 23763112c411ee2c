"""What a plain user may have of this machine, found out by trying: each trial in a child.

A child has one thread, as unshare(2) wants it, and what it makes goes with it. Root tries as
somebody else, who has no rights: whom sudo(8) was called by, or nobody.

Should: do what labs do, by the same functions; say who refuses, and the mildest remedy.
Mustn't: import anything in a child: who it has become may not be able to read our own files.
"""

import codecs
import errno
import fcntl
import os
import pwd
import signal
import stat
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from netloom.errors import KernelError, Unavailable
from netloom.host.observe import defaults
from netloom.kernel import nftchild, process, syscalls  # noqa: F401 - a child imports nothing
from netloom.kernel.forking import fork
from netloom.kernel.loopback import set_lo_up
from netloom.kernel.nft import Nft
from netloom.model.objects import WORDS, Word
from netloom.namespaces import isolate, private_run
from netloom.namespaces.enter import Captured
from netloom.namespaces.userns_diagnosis import judged
from netloom.namespaces.userns_limits import Settings, is_mapped, settings

NOBODY = 65534

TUN = "/dev/net/tun"
USER = "`uplink: user`"
FIREWALLS = "`firewall` and `uplink`"
SEVERAL = "daemons that change their user"

_TUNSETIFF = 0x4004_54CA  # linux/if_tun.h
_TAP = struct.pack("16sH22x", b"netloom0", 0x1002)  # IFF_TAP | IFF_NO_PI
_TUN_MODE = 0o666  # as udev has it (50-udev-default.rules)


class Who(NamedTuple):
    """Who tries: `other` if that is not who runs this process."""

    uid: int
    gid: int
    name: str
    other: bool

    def become(self) -> None:
        """Be that user and nobody else, for good."""
        if not self.other:
            return
        os.initgroups(self.name, self.gid) if self.name else os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        process.open_up()


class TrialOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a trial ended: `ok`, `no`, `note` (it is lacking, and seldom missed) or `-` (not tried).

    `says` is what there is, or who refuses; `hints` the remedy, in lines; `serves` what needs it,
    empty for all labs.
    """

    trial: str
    result: str
    says: str = ""
    hints: tuple[str, ...] = ()
    serves: str = ""


class Trial(NamedTuple):
    """Something to try: what it is called, the attempt, what needs it, and what must come first.

    An attempt returns what is worth saying, if anything is; `remedy` is one if no better is known.
    """

    name: str
    attempt: Callable[[], str | None]
    serves: str = ""
    after: str = ""
    remedy: str = ""


def whom() -> Who:
    """Return who tries: the user of this process, or, for root, one without rights."""
    uid = os.geteuid()
    if uid == 0:
        by = os.environ.get("SUDO_UID", "")
        other = int(by) if by.isdecimal() and int(by) else NOBODY
        if is_mapped("uid", other):
            return _user(other, other=True)
    return _user(uid, other=False)


def _user(uid: int, *, other: bool) -> Who:
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        return Who(uid, uid, "", other)
    return Who(uid, found.pw_gid, found.pw_name, other)


def try_all(who: Who) -> list[TrialOutcome]:
    """Return how each trial ended; what needs one that failed is not tried."""
    codecs.lookup("ascii")
    found: dict[str, TrialOutcome] = {}
    for trial in TRIALS:
        before = found.get(trial.after)
        if before is None or before.result == "ok":
            found[trial.name] = _tried(trial, who)
        else:
            found[trial.name] = TrialOutcome(trial.name, "-", serves=trial.serves)
    return list(found.values())


def allow_labs(outcomes: Sequence[TrialOutcome], serves: str = "") -> bool:
    """Whether labs can be made, or what else is served."""
    return all(each.result == "ok" for each in outcomes if each.serves in {"", serves})


# ── one trial ─────────────────────────────────────────────────────────────────────────────


def _tried(trial: Trial, who: Who) -> TrialOutcome:
    reading, writing = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.close(reading)
            with Captured() as kept:
                os.write(writing, msgspec.json.encode(_outcome(trial, who)))
            if kept.error is not None:
                bug = TrialOutcome(trial.name, "no", repr(kept.error), serves=trial.serves)
                os.write(writing, msgspec.json.encode(bug))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return msgspec.json.decode(said, type=TrialOutcome) if said else _ended(trial, code)


def _ended(trial: Trial, code: int) -> TrialOutcome:
    """Return what is said of a child that did not live to say it."""
    if code == -signal.SIGSYS:  # SECCOMP_RET_KILL_PROCESS (seccomp(2))
        refusal = judged(OSError(errno.ENOSYS, ""), settings())
        hints = refusal.lines or (refusal.remedy,)
        return TrialOutcome(
            trial.name, "no", "a seccomp filter kills who tries it", hints, trial.serves
        )
    return TrialOutcome(trial.name, "no", f"who tried it ended by {-code}", serves=trial.serves)


def _outcome(trial: Trial, who: Who) -> TrialOutcome:
    """Make an attempt as somebody, in this process, which is of no other use then."""
    who.become()
    before = settings()
    try:
        return TrialOutcome(trial.name, "ok", trial.attempt() or "", serves=trial.serves)
    except Unavailable as error:
        result = "note" if trial.serves == SEVERAL else "no"
        hints = tuple(error.remedy.splitlines())
        return TrialOutcome(trial.name, result, error.reason, hints, trial.serves)
    except OSError as error:
        return _refused(trial, error, before)


def _refused(trial: Trial, error: OSError, before: Settings) -> TrialOutcome:
    """Return who refused: limits are those from before, a filter is asked for now."""
    before.filtered = settings(error).filtered
    refusal = judged(error, before)
    hints = refusal.lines or tuple(filter(None, (refusal.remedy or trial.remedy,)))
    says = f"{error}: {refusal.by}" if refusal.by else str(error)
    return TrialOutcome(trial.name, "no", says, hints, trial.serves)


# ── what is tried ─────────────────────────────────────────────────────────────────────────


def _userns() -> None:
    syscalls.unshare(syscalls.CLONE_NEWUSER)


def _maps() -> None:
    isolate.become_root()


def _namespaces() -> None:
    isolate.become_root()
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
    set_lo_up()


def _mounts() -> None:
    """Lay a /run over the old one, as a lab has it."""
    _namespaces()
    syscalls.propagation("/", syscalls.MS_SLAVE, recursive=True)
    private_run.lay_run()


def _link(word: Word) -> None:
    _namespaces()
    defaults.observe_defaults((), (word,))


def _nft() -> None:
    _namespaces()
    with Nft() as nft:
        nft.run("add table inet netloom")


def _tun() -> None:
    """Make a tap, as a program that leads out does."""
    _namespaces()
    try:
        file = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise tun_lacking(error, _mode(TUN), nodev=_is_nodev(TUN)) from error
    try:
        fcntl.ioctl(file, _TUNSETIFF, _TAP)
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, "ip tuntap add netloom0 mode tap") from error
    finally:
        os.close(file)


def tun_lacking(error: OSError, mode: int | None, *, nodev: bool) -> Unavailable:
    """Return why the device of taps cannot be opened: by the errno and the mode, None for no node.

    What says EPERM is a cgroup's list of devices (cgroups(7)), EACCES its mode or its mount.
    """
    what = f"open {TUN}: {error.strerror}"
    box = "in a container, start it with `--device /dev/net/tun`"
    if mode is None or error.errno in {errno.ENODEV, errno.ENXIO}:
        return Unavailable(what, f"have root run `modprobe tun`\n{box}")
    if error.errno == errno.EACCES and nodev:
        return Unavailable(f"{what}: it lies on a mount with `nodev`", box)
    if error.errno == errno.EACCES and mode & _TUN_MODE != _TUN_MODE:
        return Unavailable(f"{what}: its mode is {mode:o}", f"have root run `chmod 666 {TUN}`")
    if error.errno == errno.EPERM:
        unit = f"of a unit of systemd, it is DeviceAllow={TUN} rw that is lacking"
        return Unavailable(f"{what}: the list of devices of its cgroup lacks it", f"{box}\n{unit}")
    return Unavailable(what)


def _mode(path: str) -> int | None:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return None


def _is_nodev(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_NODEV)
    except OSError:
        return False


def _program() -> str:
    for name in ("pasta", "slirp4netns"):
        if path := _found(name):
            return path
    says = "neither pasta nor slirp4netns is installed"
    raise Unavailable(says, "apt-get install passt (or slirp4netns)")


def _subids() -> None:
    """Look for the programs that give a user more numbers, and for the numbers (subuid(5))."""
    for name in ("newuidmap", "newgidmap"):
        if not _found(name):
            says = f"no {name} here: inside there is one user, root"
            raise Unavailable(says, "apt-get install uidmap (or your distribution's shadow-utils)")
    own = _user(os.geteuid(), other=False)
    for path, word in (("/etc/subuid", "uids"), ("/etc/subgid", "gids")):
        if not {own.name, str(own.uid)} & _first_words(path):
            says = f"{path} has no line for {own.name or own.uid}: inside there is one user, root"
            raise Unavailable(
                says, f"have root run `usermod --add-sub{word} 100000-165535 {own.name}`"
            )


def _found(program: str) -> str | None:
    places = (f"{folder}/{program}" for folder in os.get_exec_path())
    return next((path for path in places if os.access(path, os.X_OK)), None)


def _first_words(path: str) -> set[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return {line.partition(":")[0] for line in file}
    except OSError:
        return set()


_INSIDE = "namespaces"

TRIALS = (
    Trial("user namespace", _userns),
    Trial("uid_map, gid_map", _maps, after="user namespace"),
    Trial(_INSIDE, _namespaces, after="uid_map, gid_map"),
    Trial("a /run of its own", _mounts, after=_INSIDE),
    *(Trial(word, partial(_link, word), after=_INSIDE) for word in WORDS),
    Trial("nftables", _nft, FIREWALLS, after=_INSIDE, remedy="have root run `modprobe nf_tables`"),
    Trial("tap", _tun, USER, after=_INSIDE),
    Trial("pasta", _program, USER),
    Trial("newuidmap", _subids, SEVERAL),
)
"""In their order; a `note` is not a `no` only for what `SEVERAL` need."""
