"""What a root lacks who is none of the whole machine: in a container some capabilities are away.

The kernel says EPERM then, as to anybody. So which one it is (capabilities(7)) is said here, and
what gives it: by the settings of a container, or of a unit of systemd.
"""

import errno
import os

from netloom.errors import KernelError, Unavailable

NET_ADMIN = "NET_ADMIN"
SYS_ADMIN = "SYS_ADMIN"
SYS_CHROOT = "SYS_CHROOT"
_BITS = {NET_ADMIN: 12, SYS_CHROOT: 18, SYS_ADMIN: 21}  # linux/capability.h
_ENGINES = {"docker", "podman"}
_DOCKERS = "docker-default"


def lacking(*wanted: str) -> list[str]:
    """Return which capabilities root lacks here, of some or of all that netloom uses.

    Nothing, where we are not root: then it is root that is lacking.
    """
    if os.geteuid() != 0:
        return []
    with open("/proc/thread-self/status", encoding="utf-8", errors="replace") as file:
        line = next((line for line in file if line.startswith("CapEff:")), "CapEff: 0")
    held = int(line.split()[1], 16)
    return [name for name in wanted or _BITS if not held >> _BITS[name] & 1]


def refused(lacks: list[str]) -> Unavailable:
    """Return the refusal of what needs capabilities that root lacks here."""
    words = " and no ".join(f"CAP_{name}" for name in lacks)
    return Unavailable(f"this root has no {words}", _remedy(lacks))


def check(*wanted: str) -> None:
    """Raise `Unavailable` where root lacks one of some capabilities."""
    if lacks := lacking(*wanted):
        raise refused(lacks)


def explained(error: KernelError, *wanted: str) -> Unavailable | KernelError:
    """Return what to raise for an EPERM that may have come of a capability which root lacks."""
    lacks = lacking(*wanted) if error.errno == errno.EPERM else []
    return refused(lacks) if lacks else error


def _remedy(lacks: list[str]) -> str:
    from netloom.namespaces.userns_limits import container, profile

    engine = container() or "a container"
    flags = [f"--cap-add {name}" for name in lacks]
    if SYS_ADMIN in lacks and profile().startswith(_DOCKERS):  # which forbids every mount
        flags.append("--security-opt apparmor=unconfined")
    if engine in _ENGINES or engine == "a container":
        return f"start {engine} with `{' '.join(flags)}`"
    return f"have {engine} give it: {', '.join(f'CAP_{name}' for name in lacks)}"


def read_only_sysctls(key: str) -> Unavailable | None:
    """Return the refusal of a setting where none can be written, None where they can."""
    if not os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
        return None
    again = "mount -o remount,rw,bind /proc/sys"
    flags = {
        "docker": "--security-opt systempaths=unconfined",
        "podman": "--security-opt unmask=/proc/sys",
    }
    from netloom.namespaces.userns_limits import container

    engine = container() or ""
    start = f", or start {engine} with `{flags[engine]}`" if engine in flags else ""
    return Unavailable(f"/proc/sys is mounted read-only, and {key} is to be set", again + start)
