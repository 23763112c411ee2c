"""What a command sees inside a namespace besides the network: /sys and /etc.

/sys/class/net shows the interfaces of the namespace that sysfs was *mounted* in, so a command gets
a mount namespace with a fresh one. `ip netns exec` loses by that what was mounted on the old one
(cgroups, bpf, tracing); here it is put back. And each file in /etc/netns/NAME lies over its
namesake in /etc, be that a symbolic link, too. A plain user cannot write /etc, so a lab's files may
also be in /run/netloom/etc/NAME.

A command is also kept from the programs that look names up for others: a socket in the file system
leads to whoever listens, whatever network that one is in (unix(7)).
"""

import os

from netloom.errors import KernelError, Suppress
from netloom.kernel import modes, procfs, syscalls
from netloom.kernel.files import exists, is_dir, is_link, lexists

ETC_DIR = "/etc/netns"
OWN_ETC_DIR = "/run/netloom/etc"
LAID = "/run/.netloom"
"""Stands in a /run that netloom laid (`private_run.py`): there /etc is somebody else's."""

_SYS = "/sys"
_RUN = "/run"
_RESOLV_CONF = "/etc/resolv.conf"

_NSCD = ("/run/nscd", "/var/run/nscd")
"""Where nscd(8) and its like listen for those who want a name."""

_ON_THE_BUS = ("/run/systemd/resolve", "/run/avahi-daemon")
"""Where systemd-resolved(8) and avahi-daemon(8) do so, who are on the system bus as well."""

_LOCKED = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
"""What a mount may not lose in a user namespace; mount(2) has the same numbers."""

_NSSWITCH = "/etc/nsswitch.conf"
_LABEL = "netloom"

_BUS = "/run/dbus"


def own_mounts(label: str, *, resolvers: bool = False) -> None:
    """Move the calling thread into a mount namespace of its own, with a /sys of its network.

    Nobody outside looks names up for it any more, nor can it change whom the machine asks; but with
    `resolvers` all that is as on the machine, as `ip netns exec` has it.

    Should: come after it moved to that network, and before anything else is mounted for a command.
    Mustn't: leave a mount that reaches the machine: hence slave, as `ip netns exec` does.
    """
    # Before they are slaves: for each slave the kernel looks for a master to name, and with 5,000
    # names that takes 120 ms instead of 8.
    points = procfs.tops_below(procfs.mountinfo(), _SYS)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.propagation("/", syscalls.MS_SLAVE, recursive=True)
    _fresh_sys(label, points)
    if not resolvers:
        _hide_resolvers(label)
        _protect(_RESOLV_CONF)


def _fresh_sys(label: str, points: list[str]) -> None:
    """Mount a new sysfs, and on it what was on the old one.

    Where the kernel refuses (to a user namespace that does not see the whole of the old one) the
    old one stays: a wrong /sys/class/net is better than no command.
    """
    kept = _trees(points)
    try:
        if _mount_sysfs(label):
            _put_instead()
            for point, tree in kept.items():
                with Suppress(KernelError):  # the new one has no such directory
                    syscalls.attach_tree(tree, point)
    finally:
        for tree in kept.values():
            os.close(tree)


def _trees(points: list[str]) -> dict[str, int]:
    found = {}
    for point in points:
        with Suppress(KernelError):  # hidden below a later mount, or a kernel before 5.2
            found[point] = syscalls.clone_tree(point)
    return found


def _mount_sysfs(label: str) -> bool:
    # A user namespace gets no more rights than the old one gave.
    for flags in (0, syscalls.MS_RDONLY):
        with Suppress(KernelError):
            syscalls.mount("sysfs", label, _SYS, flags=flags)
            return True
    return False


def _put_instead() -> None:
    """Put the sysfs that was mounted on top of the old one in its place.

    Only now: with the old one gone first, a user namespace could not have mounted a new one. Where
    the old one cannot go (EINVAL: it came with the user namespace), the new one stays on top.
    """
    with Suppress(KernelError):
        tree = syscalls.clone_tree(_SYS)
        try:
            syscalls.unmount(_SYS)
            with Suppress(KernelError):
                syscalls.unmount(_SYS)
            syscalls.attach_tree(tree, _SYS)
        finally:
            os.close(tree)


def bind_etc(name: str) -> list[str]:
    """Lay a namespace's own files over those in /etc, and return what could not be, a line each.

    Should: follow links (a lab's files are links into /run/netloom), as mount(2) does by itself.
    Mustn't: stop at the first that fails, nor run outside `own_mounts`.
    """
    wanted = _files_of(name)
    return [line for entry in wanted if (line := _bind(wanted[entry], f"/etc/{entry}"))]


def uncovered(name: str, pid: int, since: float) -> list[str]:
    """Return the paths in /etc that a process inside sees as the machine has them by now.

    Those that were replaced after `since`, in seconds since 1970, when its own were laid over them
    (`_cover_link` says why they are gone). Where it has mounts of its own, nothing is told.
    """
    paths = [f"/etc/{entry}" for entry in _files_of(name)]
    changed = [path for path in paths if _changed(path) > since]
    try:
        text = procfs.mountinfo(pid) if changed else b""
    except OSError:
        return []
    if b" - sysfs %b " % os.fsencode(name) not in text:
        return []
    covered = {mount.point for mount in procfs.mounts(text, "/etc")}
    return [path for path in changed if path not in covered]


def etc_dirs() -> tuple[str, ...]:
    """Return where namespaces' own files for /etc are, those that win first.

    In a user namespace that does not own /etc/netns, names there are of the machine's namespaces.
    """
    foreign = exists(LAID) or (
        is_dir(ETC_DIR) and not os.access(ETC_DIR, os.W_OK) and procfs.in_user_namespace()
    )
    return (OWN_ETC_DIR,) if foreign else (ETC_DIR, OWN_ETC_DIR)


def _changed(path: str) -> float:
    """Return when an entry itself got its name or its content; a rename counts, too."""
    try:
        return os.lstat(path).st_ctime
    except OSError:
        return 0.0


def _files_of(name: str) -> dict[str, str]:
    """Return the files of a namespace, by the entries of /etc that they are for."""
    wanted: dict[str, str] = {}
    for directory in reversed(etc_dirs()):
        for entry in _entries(f"{directory}/{name}"):
            path = f"{directory}/{name}/{entry}"
            if entry not in wanted or exists(path):  # one that leads nowhere never wins
                wanted[entry] = path
    return wanted


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _bind(source: str, target: str) -> str | None:
    try:
        if is_link(target):
            _cover_link(source, target)
        else:
            syscalls.bind(source, target)
    except KernelError as error:
        return f"Bind {source} -> {target} failed: {error.strerror}"
    return None


def _cover_link(source: str, target: str) -> None:
    """Lay a file over a symbolic link itself, not over what it leads to.

    systemd-resolved replaces the file that /etc/resolv.conf leads to (rename(2)), and the kernel
    detaches what is mounted on a file that goes. The link stays. mount(2) always follows it.

    Whoever replaces the link itself, or a plain file, detaches ours in whatever runs by then: no
    mount outlives that (detach_mounts in fs/namespace.c), and `uncovered` tells it.
    """
    try:
        tree = syscalls.clone_tree(source)
    except KernelError:  # a kernel before 5.2
        syscalls.bind(source, target)
        return
    try:
        syscalls.attach_tree(tree, target)
    finally:
        os.close(tree)


def lay_texts(label: str, texts: dict[str, str]) -> list[str]:
    """Lay texts over files in /etc, and return what could not be, a line each.

    They are on a tmpfs that is gone with the mount namespace.

    Should: come after `own_mounts`, on a thread that does nothing else meanwhile: /run is hidden.
    Mustn't: be given a name with a folder in it.
    """
    if not texts:
        return []
    syscalls.mount("tmpfs", label, _RUN, flags=syscalls.MS_NOSUID | syscalls.MS_NODEV)
    try:
        return [line for name in texts if (line := _lay_text(name, texts[name]))]
    finally:
        syscalls.unmount(_RUN)


def _lay_text(name: str, text: str) -> str | None:
    if not lexists(f"/etc/{name}"):
        return f"there is no /etc/{name} that another could lie over"
    path = f"{_RUN}/{name}"
    modes.write(path, text.encode(errors="surrogateescape"), modes.PUBLIC)
    return _bind(path, f"/etc/{name}")


# ── resolvers ─────────────────────────────────────────────────────────────────────────────


def _hide_resolvers(label: str) -> None:
    """Lay an empty folder over each in which a program listens that looks names up for others.

    The system bus stays, for its other uses.

    Mustn't: take away what /etc/resolv.conf says where that leads into such a folder.
    """
    there = [folder for folder in (*_NSCD, *_ON_THE_BUS) if is_dir(folder)]
    for folder in dict.fromkeys(map(os.path.realpath, there)):  # /var/run is /run mostly
        _lay_nothing(label, folder)


def _protect(path: str) -> None:
    """Have a file of the machine's be read-only in here: a DHCP client would write it, for good.

    A namespace that has one of its own has that laid over it.
    """
    with Suppress(KernelError, OSError):  # there is none; or the kernel has no such mount
        kept = os.statvfs(path).f_flag & _LOCKED
        syscalls.bind(path, path)
        flags = kept | syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY
        syscalls.mount("none", "none", path, flags=flags)


def hide_bus(label: str) -> None:
    """Lay an empty folder over the system bus, where one of those is who looks names up, too.

    Should: come after `own_mounts`.
    """
    if is_dir(_BUS) and any(map(is_dir, _ON_THE_BUS)):
        _lay_nothing(label, _BUS)


def without_host_names() -> None:
    """Let what the calling thread starts find no host by its name, as far as mounts allow.

    For programs that look names up where they should not: nft(8) and iptables(8) take the name of a
    host for its address, and there is no option against that.

    Should: run on a thread that is thrown away.
    """
    with Suppress(KernelError):
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.propagation("/", syscalls.MS_SLAVE, recursive=True)
        _hide_resolvers(_LABEL)
        switch = _text(_NSSWITCH).decode(errors="surrogateescape")
        lay_texts(_LABEL, {"hosts": "", "nsswitch.conf": _by_files_alone(switch)})


def _by_files_alone(switch: str) -> str:
    """Return an nsswitch.conf that looks for hosts in files, and is as it was else."""
    lines = switch.split("\n")
    return "\n".join(
        "hosts: files" if line.lstrip(" \t").startswith("hosts:") else line for line in lines
    )


def _lay_nothing(label: str, folder: str) -> None:
    path = os.path.realpath(_RESOLV_CONF)
    text = _text(path) if path.startswith(f"{folder}/") else b""
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", label, folder, flags=flags, data="mode=755")
    if text:
        modes.make_dirs(os.path.dirname(path), modes.PUBLIC_DIR)
        modes.write(path, text, modes.PUBLIC)
    flags |= syscalls.MS_REMOUNT | syscalls.MS_RDONLY
    syscalls.mount("tmpfs", label, folder, flags=flags)


def _text(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
