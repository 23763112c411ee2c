"""/run/netloom: where all that netloom remembers stands, and who may see and change it.

Which labs there are is everybody's to know. What is in a lab's folder is its owner's alone: texts
of files, environments and output of commands. What others may have written into is not believed:
whoever could write there would be obeyed by the next `undo`.
"""

import errno
import os
from contextlib import suppress

import msgspec

from netloom.errors import Unavailable
from netloom.kernel import modes
from netloom.kernel.files import NotAFile

RUN_DIR = "/run/netloom"
LABS_DIR = f"{RUN_DIR}/labs"
_IN_USE = {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY}
_TRIES = 2


NO_NOTE = (NotAFile, msgspec.DecodeError, RecursionError)
"""What is met where something is no note of ours; that a machine has no memory is none of these."""


class Anothers(Unavailable):
    """What is remembered of labs here is another user's, who is not to be told of it."""


def lab_dir(lab: str) -> str:
    """Return the folder of a lab."""
    return f"{LABS_DIR}/{lab}"


def make_lab_dir(lab: str, name: str = "") -> None:
    """Make the folder of a lab, or one of this name in it; raises `OSError`."""
    modes.make_dirs(LABS_DIR, modes.PUBLIC_DIR)
    modes.make_dirs(f"{lab_dir(lab)}/{name}".rstrip("/"), modes.PRIVATE_DIR)


def check_own(*folders: str, kind: type[Unavailable] = Unavailable) -> None:
    """Raise `Unavailable`, or a kind of it, if others may have changed what is in folders."""
    for folder in folders:
        if why := modes.why_untrusted(folder):
            if os.geteuid() != 0:
                raise Anothers(f"may not see what netloom remembers: {why}", "run it as root")
            reason = f"cannot trust what netloom remembers: {why}"
            raise kind(reason, "see what is in it, and remove it")


def cannot_write(folder: str, what: str, error: OSError) -> Unavailable:
    """Return the refusal where it cannot be noted below a folder what begins."""
    lacks = error.errno in {errno.ENOSPC, errno.EDQUOT}
    remedy = f"{what} begins on disk: make room there" if lacks else ""
    return Unavailable(f"cannot write below {folder}: {error.strerror}", remedy)


def remove(path: str) -> None:
    """Remove what stands at a path of ours, whatever it is: of a link the link, of a folder all.

    (`shutil` takes 2 ms to load.) It goes as far as it can; raises `OSError` for the first that is
    left.
    """
    with suppress(FileNotFoundError):
        try:
            os.unlink(path)
        except IsADirectoryError:
            _remove_folder(path)


def _remove_folder(path: str) -> None:
    left: list[OSError] = []
    for name in os.listdir(path):
        try:
            remove(f"{path}/{name}")
        except OSError as error:
            left.append(error)
    if left:
        raise left[0]
    os.rmdir(path)


def remove_empty(*folders: str) -> None:
    """Remove folders, each within the next, as long as they are empty or gone.

    Whoever does that goes, and nobody comes back for it: what is refused is tried once more.
    """
    for folder in folders:
        for _ in range(_TRIES):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno in _IN_USE:
                    return
            else:
                break
