"""A namespace's hosts file, by the convention of `ip netns`: /etc/netns/NAME/hosts.

/etc survives a reboot and a lab does not, so what stands there is a symbolic link into /run/netloom,
which also tells that it is ours. Where /etc cannot be written (a plain user's user namespace) the
link stands in /run/netloom/etc/NAME, where `netloom exec` looks too. A hosts file that somebody else
put there is theirs, and stays.
"""

import os
from contextlib import suppress

from netloom.errors import KernelError
from netloom.host.journal import RUN_DIR, files_dir

ETC_DIR = "/etc/netns"
OWN_ETC_DIR = f"{RUN_DIR}/etc"


def hosts_of(lab: str, netns: str) -> str:
    """Return the digest of the hosts file that a namespace has from a lab, empty if it has none."""
    start = files_dir(lab) + "/"
    for folder in (ETC_DIR, OWN_ETC_DIR):
        with suppress(OSError):
            target = os.readlink(f"{folder}/{netns}/hosts")
            if target.startswith(start):
                return target.removeprefix(start)
    return ""


def set_hosts(lab: str, netns: str, digest: str) -> None:
    """Give a namespace its hosts file; one that somebody else put there is left alone."""
    target = f"{files_dir(lab)}/{digest}"
    try:
        _link(target, f"{ETC_DIR}/{netns}")
    except PermissionError:
        _link_or_refuse(target, f"{OWN_ETC_DIR}/{netns}")
    except OSError as error:
        if error.errno not in {30}:  # EROFS
            raise KernelError(error.errno or 0, f"ln -s {target} {ETC_DIR}/{netns}/hosts") from error
        _link_or_refuse(target, f"{OWN_ETC_DIR}/{netns}")


def _link_or_refuse(target: str, folder: str) -> None:
    try:
        _link(target, folder)
    except OSError as error:
        raise KernelError(error.errno or 0, f"ln -s {target} {folder}/hosts") from error


def _link(target: str, folder: str) -> None:
    path = f"{folder}/hosts"
    try:
        os.symlink(target, path)
    except FileNotFoundError:
        os.makedirs(folder, 0o755, exist_ok=True)
        os.symlink(target, path)
    except FileExistsError:
        if os.path.islink(path) and os.readlink(path).startswith(f"{RUN_DIR}/"):
            os.symlink(target, f"{path}.netloom")
            os.rename(f"{path}.netloom", path)


def del_hosts(lab: str, netns: str) -> None:
    """Take a namespace's hosts file away, and the folders that only held it."""
    if not hosts_of(lab, netns):
        return
    for folder in (ETC_DIR, OWN_ETC_DIR):
        path = f"{folder}/{netns}/hosts"
        with suppress(OSError):
            if os.readlink(path).startswith(files_dir(lab) + "/"):
                os.unlink(path)
                os.rmdir(f"{folder}/{netns}")
                os.rmdir(folder)
