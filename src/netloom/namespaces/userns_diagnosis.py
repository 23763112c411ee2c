"""Who refuses namespaces to a plain user, and the mildest remedy: by the errno and by settings.

A kernel says EPERM for a dozen reasons; here is known what each of them does:

* /proc/sys/user: a user namespace has limits of its own, and those around it count as well
  (namespaces(7)).
* A chroot, and a user without a number: the kernel makes no user namespace for them (unshare(2)).
* AppArmor with Ubuntu's rule lets unshare(2) succeed and moves the process to the profile
  `unprivileged_userns`, which takes its rights away: what fails is the write of uid_map, or the
  first mount (Ubuntu's SE045, https://discourse.ubuntu.com/t/37626). In 23.10 unshare(2) did.
* Docker's filter allows unshare(2) only with CAP_SYS_ADMIN, and its profile of AppArmor no mount
  (https://docs.docker.com/engine/security/seccomp/).

Rule 1: nothing here looks at the system, but `refused`, by `settings.py`.
Rule 2: a reason that is certain comes before one that is likely.
"""

import errno

from netloom.errors import KernelError, NetloomError, Unavailable
from netloom.namespaces.userns_limits import APPARMOR, USERNS_CLONE, Settings, settings

AS_ROOT = "run it as root"
MORE = "`netloom doctor --rootless` tells more"

PROFILE = "/etc/apparmor.d/netloom"

_FILTER = "2"  # SECCOMP_MODE_FILTER (linux/seccomp.h)


class UsernsRefusal:
    """Who refuses, and the mildest remedy; both may be empty, if nothing here tells.

    `lines` are the remedy at length, where a line of it is a file's or another way; `in_full`: who
    is refused is shown them, too.
    """

    __slots__ = ("by", "in_full", "lines", "remedy")

    def __init__(
        self,
        by: str = "",
        remedy: str = "",
        lines: tuple[str, ...] = (),
        *,
        in_full: bool = False,
    ) -> None:
        """Keep the facts."""
        self.by = by
        self.remedy = remedy
        self.lines = lines
        self.in_full = in_full


def refused(error: OSError | NetloomError) -> Unavailable:
    """Return what to raise where namespaces could not be made as a plain user.

    Should: be called by the process that was refused, at once.
    Mustn't: be called for what only root asks for.
    """
    what = "cannot make namespaces as a plain user"
    if isinstance(error, Unavailable):
        return Unavailable(f"{what}: {error.reason}", error.remedy or AS_ROOT)
    if not isinstance(error, OSError):
        return Unavailable(f"{what}: {error}", AS_ROOT)
    found = judged(error, settings(error))
    by = f" ({found.by})" if found.by else ""
    return Unavailable(f"{what}: {error}{by}", told(found))


def told(found: UsernsRefusal) -> str:
    """Return the remedy as who is refused is told it."""
    if found.in_full:
        return "\n".join((f"{AS_ROOT}, or {found.lines[0]}", *found.lines[1:]))
    remedy = f"{AS_ROOT}, or {found.remedy}" if found.remedy else AS_ROOT
    return f"{remedy}; {MORE}"


def judged(error: OSError, seen: Settings) -> UsernsRefusal:
    """Return who refused what was asked, of all that was seen."""
    asked = error.asked if isinstance(error, KernelError) else ""
    if error.errno == errno.ENOSPC:
        return _by_a_limit(asked, seen)
    if error.errno == errno.EINVAL and "--user" in asked:
        return UsernsRefusal("this kernel has no user namespaces (CONFIG_USER_NS)")
    if error.errno == errno.ENOSYS:
        return _by_seccomp(seen, "refuses")
    if error.errno not in {errno.EPERM, errno.EACCES}:
        return UsernsRefusal()
    return _by_a_ban(seen, entering="--user" in asked) or _by_a_module(error.errno, seen)


def _by_a_limit(asked: str, seen: Settings) -> UsernsRefusal:
    """Return which of /proc/sys/user is reached (namespaces(7)); 32 levels are another limit."""
    words = {"--user": "user", "--net": "net", "--mount": "mnt"}
    kinds = [kind for word, kind in words.items() if word in asked] or ["user"]
    limits = {f"user.max_{kind}_namespaces": "" for kind in kinds}
    limits |= {key: value for key, value in seen.sysctls.items() if key in limits}
    forbidding = next((key for key, value in limits.items() if value == "0"), "")
    if forbidding:
        return UsernsRefusal(f"{forbidding} is 0", f"have root run `sysctl {forbidding}=10000`")
    own = " or ".join(f"{key} = {value}" for key, value in limits.items() if value)
    if seen.nested:
        by = "a user namespace around this one allows no more, or 32 lie in each other"
        return UsernsRefusal(by, f"look at {' and '.join(limits)} out there")
    return UsernsRefusal(
        f"as many as this user may have: {own}", "end what has them (lsns -t user)"
    )


def _by_a_ban(seen: Settings, *, entering: bool) -> UsernsRefusal | None:
    """Return which ban certainly stands here; some concern only who makes a user namespace."""
    if seen.filtered:
        return _by_seccomp(seen, "refuses")
    if entering and seen.sysctls.get(USERNS_CLONE) == "0":
        return UsernsRefusal(f"{USERNS_CLONE} is 0", f"have root run `sysctl {USERNS_CLONE}=1`")
    if entering and seen.chrooted:
        by = "this is a chroot, in which the kernel makes no user namespaces"
        return UsernsRefusal(
            by, "enter it by what makes it a root of mounts: systemd-nspawn, bwrap"
        )
    if entering and seen.unmapped:
        by = "this user or group has no number in the user namespace that it is in"
        return UsernsRefusal(by, "run it as a user that /proc/self/uid_map knows")
    return None


def _by_a_module(number: int, seen: Settings) -> UsernsRefusal:
    """Return which security module is likely to have refused, a filter that is there last."""
    profile = seen.confined.partition(" ")[0]
    free = profile in {"", "unconfined", "unprivileged_userns"}
    if free and seen.sysctls.get(APPARMOR) == "1":
        return _by_ubuntu(seen)
    if not free and seen.confined.endswith("(enforce)"):
        by, word = f"AppArmor, by the profile `{profile}`", "apparmor=unconfined"
        mild = "have root allow `userns,` and what else it lacks in that profile"
    elif seen.selinux and number == errno.EACCES:
        by, word = "SELinux", "label=disable"
        mild = "have root look for what it lacks: ausearch -m avc -ts recent"
    elif seen.seccomp == _FILTER:
        return _by_seccomp(seen, "probably refuses")
    else:
        return UsernsRefusal()
    inside = f"start the container with `--security-opt {word}`"
    return UsernsRefusal(by, inside if seen.container else mild)


def _by_ubuntu(seen: Settings) -> UsernsRefusal:
    """Return how one program is allowed what Ubuntu forbids to all (apparmor.d(5), `userns`).

    Commands inside are of that program, too: what is unconfined by a profile stays under it.
    """
    lines = (
        f"have root write these lines into {PROFILE}, for this Python alone, and run",
        f"`apparmor_parser -r {PROFILE}`:",
        "    abi <abi/4.0>,",
        "    include <tunables/global>",
        f'    profile netloom "{seen.program}" flags=(unconfined) {{',
        "      userns,",
        "    }",
        f"or, for all programs: have root run `sysctl {APPARMOR}=0`",
    )
    remedy = f"have root give {seen.program} a profile of AppArmor with `userns,`"
    return UsernsRefusal(f"AppArmor: {APPARMOR} is 1", remedy, lines, in_full=True)


def _by_seccomp(seen: Settings, word: str) -> UsernsRefusal:
    by = f"a seccomp filter {word} it"
    if seen.container in {"docker", "podman"}:
        lines = (
            f"start the container ({seen.container}) with `--security-opt seccomp=FILE`, a profile",
            "that allows unshare, setns and mount; or with `--security-opt seccomp=unconfined`",
        )
        remedy = f"start {seen.container} with `--security-opt seccomp=unconfined`"
        return UsernsRefusal(by, remedy, lines)
    if seen.container:
        return UsernsRefusal(
            by, f"give the container ({seen.container}) a profile that allows unshare"
        )
    remedy = "allow it where this was started: RestrictNamespaces= and SystemCallFilter= of systemd"
    return UsernsRefusal(by, f"{remedy}, or a sandbox around it")
