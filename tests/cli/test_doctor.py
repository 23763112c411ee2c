"""`netloom doctor --rootless`: what a plain user may have, by trying; who refuses; the remedy."""

import errno
import json
import os
import platform
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from netloom.errors import KernelError
from netloom.host.rootless.trials import NOBODY, tun_lacking
from netloom.kernel import syscalls
from netloom.namespaces.userns_diagnosis import judged, told
from netloom.namespaces.userns_limits import Settings
from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import netloom
from tests.hosts.programs import FORBIDDEN, MAIN, plainly, python
from tests.hosts.witness import no_trace

pytestmark = pytest.mark.needs("netns", "userns", "ip")

LAB = ["user namespace", "uid_map, gid_map", "namespaces", "a /run of its own", "veth", "bridge"]
USER = 65534
UNSHARE = {"x86_64": 272, "aarch64": 97}.get(platform.machine(), 0)
ERRNO, KILL = 0x0005_0000 | errno.EPERM, 0x8000_0000  # seccomp(2)

FILTER = """
import ctypes, struct
def refuse(number, answer):
    lines = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, answer), (6, 0, 0, 0x7FFF0000)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(struct.pack("HP", len(lines), ctypes.addressof(text)))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, ctypes.c_ulong(1), 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, ctypes.c_ulong(2), program, 0, 0) == 0  # PR_SET_SECCOMP
"""
"""A filter as a container's: one system call is answered before the kernel sees it (seccomp(2))."""

CHROOT = """
import os, tempfile
from netloom.kernel import syscalls
syscalls.unshare(syscalls.CLONE_NEWNS)
syscalls.propagation("/", syscalls.MS_PRIVATE, recursive=True)
syscalls.mount("tmpfs", "root", "/mnt", data="mode=755")
os.mkdir("/mnt/root", 0o755)
for entry in os.scandir("/"):
    place = f"/mnt/root/{entry.name}"
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), place)
    elif entry.is_dir() and entry.name != "mnt":
        os.mkdir(place)
        syscalls.bind(entry.path, place, recursive=True)
os.chroot("/mnt/root")
os.chdir("/")
"""
"""A folder as root, with all in it that is in the real one."""

LIVE = """
from netloom import Lab
try:
    with Lab():
        pass
except Exception as error:
    print(error)
"""


def asked(argv: Sequence[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return how `doctor --rootless --json` ended, and its trials by their names."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    told = json.loads(done.stdout)
    assert told["labs"] == (done.returncode == 0)
    return done.returncode, {trial["trial"]: trial for trial in told["trials"]}


def plain_doctor(before: str = "") -> tuple[int, dict[str, dict[str, Any]]]:
    """Return what a plain user is told, after `before`."""
    return asked(plainly(f"{before}\n{MAIN}", "doctor", "--rootless", "--json"))


def tun(mode: int | None) -> None:
    """Give the calling thread's machine a device for taps of this mode, or none."""
    syscalls.mount("tmpfs", "net", "/dev/net", data="mode=755")
    if mode is not None:
        os.mknod("/dev/net/tun", stat.S_IFCHR, os.makedev(10, 200))
        Path("/dev/net/tun").chmod(mode)


@pytest.mark.parametrize(
    ("mode", "result", "says", "hint"),
    [
        (0o666, "ok", "", ""),
        (
            0o600,
            "no",
            "open /dev/net/tun: Permission denied: its mode is 600",
            "have root run `chmod 666 /dev/net/tun`",
        ),
        (
            None,
            "no",
            "open /dev/net/tun: No such file or directory",
            "have root run `modprobe tun`",
        ),
    ],
)
@on_a_machine
def test_what_a_plain_user_has(mode: int | None, result: str, says: str, hint: str) -> None:
    """Labs, and a way out where the device of taps is open to all; labs do without."""
    tun(mode)
    status, told = plain_doctor()
    assert status == 0
    assert [told[name]["result"] for name in LAB] == ["ok"] * len(LAB)
    tap = told["tap"]
    assert (tap["result"], tap.get("says", "")) == (result, says)
    assert tap.get("hints", [""])[0] == hint


@on_a_host
def test_root_tries_as_somebody_without_rights() -> None:
    """As nobody, unless told otherwise; nothing is left of it."""
    tun(0o666)
    with no_trace():
        shown = netloom("doctor", "--rootless").ended
    lines = shown.stdout.splitlines()
    assert lines[0] == "tried as nobody (65534), who has no rights"
    assert [line.split(None, 1)[0] for line in lines[1:9]] == ["ok"] * 8
    assert lines[-1].startswith("labs work without root")


def test_root_tries_as_whom_sudo_was_called_by() -> None:
    """Whose numbers sudo(8) leaves, be there such a user or not."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    argv = ["env", "SUDO_UID=4711", *python(MAIN, "doctor", "--rootless", "--json")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["user"] == {"uid": 4711, "name": ""}


@on_a_host
def test_without_a_question() -> None:
    """What is not built yet is refused in a sentence."""
    netloom("doctor").stderr(
        "doctor tells only what a plain user may have here, so far\n"
        "hint: netloom doctor --rootless\n"
    ).status(2)


def test_a_limit() -> None:
    """Of the user namespace that the user is in; what needs one is not tried."""
    argv = python(FORBIDDEN, *plainly(MAIN, "doctor", "--rootless"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    limit = "user.max_user_namespaces"
    assert done.returncode == 3, done
    assert done.stderr == "labs cannot be made without root\n"
    assert done.stdout.splitlines()[1:4] == [
        f"no    user namespace    unshare --user: {os.strerror(errno.ENOSPC)}: {limit} is 0",
        "      hint: have root run `sysctl user.max_user_namespaces=10000`",
        "-     uid_map, gid_map",
    ]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (ERRNO, "unshare --user: Operation not permitted: a seccomp filter refuses it"),
        (KILL, "a seccomp filter kills who tries it"),
    ],
)
@pytest.mark.skipif(not UNSHARE, reason="knows unshare(2) of x86_64 and aarch64")
def test_a_seccomp_filter(answer: int, says: str) -> None:
    """It is found by trying: an errno that the kernel itself would not give, or a death."""
    status, told = plain_doctor(f"{FILTER}\nrefuse({UNSHARE}, {answer})")
    assert status == 3
    first = told["user namespace"]
    assert (first["result"], first["says"]) == ("no", says)
    assert first["hints"]


@pytest.mark.skipif(not UNSHARE, reason="knows unshare(2) of x86_64 and aarch64")
@on_a_host
def test_all_say_the_same() -> None:
    """The holder of labs, `run` and labs in Python: the reason and the remedy of doctor."""
    filtered = f"{FILTER}\nrefuse({UNSHARE}, {ERRNO})"
    said = "cannot make namespaces as a plain user: unshare --user: Operation not permitted "
    Path("own").mkdir()
    os.chown("own", NOBODY, NOBODY)
    for words in (["up", "-"], ["run", "true"], []):
        argv = plainly(f"{filtered}\n{MAIN if words else LIVE}", *words)
        env = {**os.environ, "XDG_RUNTIME_DIR": os.path.abspath("own")}
        done = subprocess.run(
            argv, env=env, capture_output=True, text=True, check=False, input="{}"
        )
        lines = (done.stdout + done.stderr).splitlines()
        assert lines[0] == f"{said}(a seccomp filter refuses it)", done
        assert lines[1].startswith("hint: sudo " if words else "hint: run it as root, or "), done
        assert ", or " in lines[1]
        assert lines[1].endswith("; `netloom doctor --rootless` tells more"), done


def test_in_a_chroot() -> None:
    """The kernel makes no user namespace there, and says no more than EPERM."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for chroot(2)")
    status, told = asked(python(f"{CHROOT}\n{MAIN}", "doctor", "--rootless", "--json"))
    assert status == 3
    assert told["user namespace"]["says"] == (
        "unshare --user: Operation not permitted: "
        "this is a chroot, in which the kernel makes no user namespaces"
    )


def test_a_root_of_mounts_is_no_chroot() -> None:
    """Namespaces can be made inside `unshare -Urnm`, where root tries as itself."""
    argv = ["unshare", "-Urnm", *python(MAIN, "doctor", "--rootless", "--json")]
    status, told = asked(argv)
    assert status == 0
    assert [told[name]["result"] for name in LAB] == ["ok"] * len(LAB)


USERNS, MAP, MOUNT = "unshare --user", "echo 0 1000 1 > /proc/self/uid_map", "mount -t tmpfs a b"
UBUNTU = {"kernel.apparmor_restrict_unprivileged_userns": "1"}
DEBIAN = {"kernel.unprivileged_userns_clone": "0"}


@pytest.mark.parametrize(
    ("number", "asking", "seen", "by", "remedy"),
    [
        (errno.EPERM, MAP, Settings(sysctls=UBUNTU), "AppArmor: kernel.app", "give python3 a prof"),
        (
            errno.EACCES,
            MOUNT,
            Settings(sysctls=UBUNTU, confined="unprivileged_userns (enforce)"),
            "AppArmor: kernel.apparmor_restrict_unprivileged_userns is 1",
            "with `userns,`",
        ),
        (
            errno.EPERM,
            USERNS,
            Settings(sysctls=UBUNTU | DEBIAN),
            "kernel.unprivileged_userns_clone is 0",
            "`sysctl kernel.unprivileged_userns_clone=1`",
        ),
        (
            errno.EPERM,
            USERNS,
            Settings(sysctls=DEBIAN, filtered=True),
            "a seccomp filter r",
            "syst",
        ),
        (
            errno.EPERM,
            USERNS,
            Settings(filtered=True, seccomp="2", container="docker"),
            "a seccomp filter refuses it",
            "start docker with `--security-opt seccomp=unconfined`",
        ),
        (errno.ENOSYS, USERNS, Settings(container="lxc"), "a seccomp filter refuses", "(lxc)"),
        (errno.EPERM, USERNS, Settings(seccomp="2"), "a seccomp filter probably", "RestrictNames"),
        (
            errno.EACCES,
            MOUNT,
            Settings(confined="docker-default (enforce)", container="docker"),
            "AppArmor, by the profile `docker-default`",
            "`--security-opt apparmor=unconfined`",
        ),
        (errno.EACCES, USERNS, Settings(selinux=True), "SELinux", "ausearch"),
        (errno.EPERM, USERNS, Settings(chrooted=True), "this is a chroot", "bwrap"),
        (errno.EPERM, MOUNT, Settings(chrooted=True), "", ""),
        (errno.EPERM, USERNS, Settings(unmapped=True), "this user or group has no num", "uid_map"),
        (errno.EINVAL, USERNS, Settings(), "this kernel has no user namespaces", ""),
        (
            errno.ENOSPC,
            USERNS,
            Settings(sysctls={"user.max_user_namespaces": "7"}),
            "as many as this user may have: user.max_user_namespaces = 7",
            "lsns",
        ),
        (
            errno.ENOSPC,
            "unshare --net --mount",
            Settings(sysctls={"user.max_user_namespaces": "7", "user.max_net_namespaces": "0"}),
            "user.max_net_namespaces is 0",
            "sysctl user.max_net_namespaces=",
        ),
        (
            errno.ENOSPC,
            USERNS,
            Settings(sysctls={"user.max_user_namespaces": "7"}, nested=True),
            "a user namespace around this one allows no more",
            "user.max_user_namespaces out there",
        ),
        (errno.EPERM, USERNS, Settings(), "", ""),
        (errno.ENOMEM, USERNS, Settings(sysctls=DEBIAN, filtered=True), "", ""),
    ],
)
def test_who_refuses(number: int, asking: str, seen: Settings, by: str, remedy: str) -> None:
    """The errno and the settings tell; what is certain comes first, and nothing is made up."""
    found = judged(KernelError(number, asking), seen)
    assert found.by.startswith(by), found.by
    assert bool(found.by) == bool(by)
    assert remedy in found.remedy
    assert bool(found.remedy) == bool(remedy)


def test_the_profile_is_of_one_program() -> None:
    """AppArmor's rule stays for all others; to switch it off comes last (apparmor.d(5))."""
    found = judged(
        KernelError(errno.EPERM, MAP), Settings(sysctls=UBUNTU, program="/opt/my python")
    )
    assert [line.strip() for line in found.lines[2:7]] == [
        "abi <abi/4.0>,",
        "include <tunables/global>",
        'profile netloom "/opt/my python" flags=(unconfined) {',
        "userns,",
        "}",
    ]
    assert found.lines[-1].endswith("`sysctl kernel.apparmor_restrict_unprivileged_userns=0`")
    first, *rest = told(found).splitlines()
    assert (first, tuple(rest)) == (f"run it as root, or {found.lines[0]}", found.lines[1:])


@pytest.mark.parametrize(
    ("number", "mode", "nodev", "said"),
    [
        (errno.EPERM, 0o666, False, "the list of devices of its cgroup lacks it"),
        (errno.EACCES, 0o666, True, "it lies on a mount with `nodev`"),
        (errno.ENODEV, 0o666, False, "modprobe tun"),
        (errno.EACCES, 0o660, False, "its mode is 660"),
    ],
)
def test_who_refuses_a_tap(number: int, mode: int, nodev: bool, said: str) -> None:  # noqa: FBT001
    """A container's list of devices, its mounts, a module that is not loaded, a mode."""
    found = tun_lacking(OSError(number, os.strerror(number)), mode, nodev=nodev)
    assert said in str(found)
