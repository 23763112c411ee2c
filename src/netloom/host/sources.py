"""What stands in the files and folders that a topology names (`{file: PATH}`), with their modes."""

import errno
import os
from collections.abc import Mapping
from functools import cached_property
from typing import NoReturn

from netloom.kernel import inputs, procfs
from netloom.kernel.files import is_dir, is_file, is_link
from netloom.model.objects import File

_TOO_LARGE = f"{inputs.TOO_LARGE}, all files of a topology together"
_NOBODY = 65534
"""Who somebody is, in a user namespace, who does not exist there (user_namespaces(7))."""


class Sources:
    """Reads the files of one topology, up to a size: all they say is kept in memory (`inputs`)."""

    def __init__(self) -> None:
        """Have read nothing."""
        self.left = inputs.MOST

    @cached_property
    def _givable(self) -> tuple[list[range], list[range]]:
        return _givable("uid"), _givable("gid")

    def read(self, path: str) -> File | Mapping[str, File]:
        """Return a file, or all in a folder by their paths, `/` first; raises `OSError`."""
        return self._folder(path) if is_dir(path) else self._file(path)

    def _folder(self, top: str) -> Mapping[str, File]:
        found = {}
        for folder, folders, names in os.walk(top, onerror=_raise):
            below = folder.removeprefix(top)
            found[f"{below}/"] = self._with_mode("", os.stat(folder))
            folders[:] = [name for name in folders if not is_link(f"{folder}/{name}")]
            for name in names:
                self._take(len(name), folder)
                if is_file(f"{folder}/{name}"):
                    found[f"{below}/{name}"] = self._file(f"{folder}/{name}")
        return dict(sorted(found.items(), key=lambda item: item[0].split("/")))

    def _file(self, path: str) -> File:
        data, facts = inputs.read(path)
        self._take(len(data), path)
        try:
            return self._with_mode(data.decode(), facts)
        except UnicodeDecodeError:
            raise OSError(errno.EILSEQ, "it is no text", path) from None

    def _take(self, size: int, path: str) -> None:
        self.left -= size
        if self.left < 0:
            raise OSError(errno.EFBIG, _TOO_LARGE, path)

    def _with_mode(self, text: str, facts: os.stat_result) -> File:
        """Return a text with the mode of its source, and its owners as far as we may give them."""
        users, groups = self._givable
        uid = facts.st_uid if any(facts.st_uid in some for some in users) else 0
        gid = facts.st_gid if any(facts.st_gid in some for some in groups) else 0
        return File(text, facts.st_mode & 0o777, (uid, gid))


def _givable(kind: str) -> list[range]:
    """Return the users or groups whom we may give a file: none, unless we are root."""
    if os.geteuid() != 0:
        return []
    there = procfs.mapped(kind)
    if not procfs.in_user_namespace():
        return there
    below = [range(some.start, min(some.stop, _NOBODY)) for some in there]
    return [*below, *(range(max(some.start, _NOBODY + 1), some.stop) for some in there)]


def _raise(error: OSError) -> NoReturn:
    raise error
