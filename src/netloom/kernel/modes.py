"""Folders and files with a mode that is said: the umask of whoever started us is no part of it.

mkdir(2) and open(2) make what is asked for less the umask, so nothing is ever more open than said;
what a narrow umask took is then given by chmod(2).

Should: make everything that outlives a call. Files that a user names (`init`, `capture -o`, the
evidence of a test) are made as the user's umask has it.
Mustn't: be given a path in a folder that others can write into.
"""

import os
import stat

from netloom.errors import Suppress
from netloom.kernel.files import is_dir

PRIVATE = 0o600
PRIVATE_DIR = 0o700
PUBLIC = 0o644
PUBLIC_DIR = 0o755


def make_dir(path: str, mode: int) -> None:
    """Make a folder; raises `FileExistsError` if something is there already."""
    os.mkdir(path, mode)
    try:
        os.chmod(path, mode)
    except OSError:
        with Suppress(OSError):
            os.rmdir(path)
        raise


def make_dirs(path: str, mode: int) -> None:
    """Make a folder, and those above it that lack, of this mode; one that is there stays as it is.

    Raises `OSError`.
    """
    try:
        make_dir(path, mode)
    except FileNotFoundError:
        make_dirs(os.path.dirname(path), mode)
        make_dirs(path, mode)
    except FileExistsError:
        if not is_dir(path):
            raise


def write(path: str, data: bytes, mode: int) -> None:
    """Write a file of this mode, over one that is there; raises `OSError`, also for what is none.

    A FIFO would wait for whoever reads, and what a link leads to is not ours.
    """
    ours = os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | ours, mode)
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(data)


def replace(path: str, data: bytes, mode: int) -> None:
    """Write a file beside its place and rename it: so it is either whole or not there.

    Raises `OSError`, and nothing is left beside it then.
    """
    beside = f"{path}.new"
    try:
        write(beside, data, mode)
        os.rename(beside, path)
    except OSError:
        with Suppress(OSError):
            os.unlink(beside)
        raise


def why_untrusted(folder: str) -> str | None:
    """Return why others may have changed what is in a folder, None if nobody but us can have.

    A folder that is not there was changed by nobody.
    """
    try:
        facts = os.lstat(folder)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(facts.st_mode):
        return f"`{folder}` is a symbolic link"
    if not stat.S_ISDIR(facts.st_mode):
        return f"`{folder}` is no folder"
    if facts.st_uid != os.geteuid():
        return f"`{folder}` is owned by another user ({facts.st_uid})"
    if facts.st_mode & 0o022:
        return f"others may write into `{folder}` (its mode is {stat.S_IMODE(facts.st_mode):o})"
    return None
