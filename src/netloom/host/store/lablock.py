"""The lock of a lab: its folder below /run/netloom (flock(2)), so that one netloom changes it.

The folder goes when it is empty, and those above it: no trace.
"""

import fcntl
import os
from contextlib import suppress

from netloom.errors import Unavailable
from netloom.host.store.reservations import HOST_DIR
from netloom.host.store.rundir import LABS_DIR, RUN_DIR, lab_dir, make_lab_dir, remove_empty


class Busy(Unavailable):
    """Another netloom is changing the lab."""


class LabLock:
    """The lock of one lab."""

    def __init__(self, lab: str) -> None:
        """Be about this lab; nothing is made or taken yet."""
        self.lab = lab
        self._folder = -1

    def take(self) -> None:
        """Take it, without waiting for another netloom that has it; raises `Unavailable`."""
        while True:
            try:
                self._folder = _opened(self.lab)
                if self._is_taken():
                    return
            except BlockingIOError:
                os.close(self._folder)
                reason = f"another netloom is changing the lab `{self.lab}`"
                raise Busy(reason, "try again when it has finished") from None
            except (Unavailable, OSError):
                self.let_go()
                raise
            os.close(self._folder)

    def _is_taken(self) -> bool:
        """Lock the folder that is open; return whether that is the one which stands there.

        Whoever held it before may have removed it: then this lock locks nothing.
        """
        fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(FileNotFoundError):
            return os.stat(lab_dir(self.lab)).st_ino == os.fstat(self._folder).st_ino
        return False

    def let_go(self) -> None:
        """Remove the folders that are empty, and let others have the lock."""
        remove_empty(f"{lab_dir(self.lab)}/files", lab_dir(self.lab))
        tidy()
        folder, self._folder = self._folder, -1
        with suppress(OSError):
            os.close(folder)


def tidy() -> None:
    """Remove the folders that all labs share, as long as they are empty: a kill may leave some."""
    remove_empty(LABS_DIR)
    remove_empty(HOST_DIR, RUN_DIR)


def _opened(lab: str) -> int:
    """Return the folder of a lab, made and opened."""
    folder = lab_dir(lab)
    while True:
        try:
            make_lab_dir(lab)
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:  # another netloom removed it in between
            continue
        except OSError as error:
            reason = f"cannot make {folder}: {error.strerror}"
            raise Unavailable(reason, f"what netloom remembers stands in {RUN_DIR}") from error
