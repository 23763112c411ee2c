"""What a namespace sees in /etc, by the convention of `ip netns`: /etc/netns/NAME/hosts.

/etc survives a reboot and a lab does not, so what stands there is a symbolic link into
/run/netloom, which also tells whose it is: /etc/netns/NAME itself, or, where somebody has a folder
of that name already, `hosts` and the others in it. What somebody else put there is theirs, and
stays.
Where /etc cannot be written the links stand in /run/netloom/etc, where `netloom exec` looks, too.
In a user namespace whose /etc is the machine's they do so from the beginning, and what is in
/etc/netns, be it of a lab of the same name, is somebody else's (`view.etc_dirs`).

Namespaces that see the same files share one link by its inode: on ext4 a hard link costs 0.02 ms, a
new inode 0.4 ms.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from netloom.errors import KernelError
from netloom.host.store.journal import files_dir
from netloom.host.store.rundir import RUN_DIR
from netloom.kernel import modes
from netloom.kernel.files import exists, is_dir, is_link, lexists
from netloom.model.objects import Desired
from netloom.namespaces.mounts import ETC_DIR, OWN_ETC_DIR, etc_dirs

_MADE = f"{RUN_DIR}/made-etc-netns"
"""Stands where we made /etc/netns, so that we remove it again, and only then."""
_MARK = f"{ETC_DIR}/.netloom"
"""Says the same where it is not forgotten in a reboot: a link to that, which then leads nowhere."""

_NO_LINK = {errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.EACCES}
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_OF_ROOT = {errno.EACCES, errno.EROFS}


def names() -> frozenset[str]:
    """Return the names of all namespaces that have anything here, whoever put it there."""
    found: set[str] = set()
    for folder in etc_dirs():
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found.update(os.listdir(folder))
    return frozenset(found)


class Place(NamedTuple):
    """What stands where a namespace's files for /etc are.

    `digest` is that of the folder that it has from a lab, None if it has none. In a folder of
    somebody else's, `entries` are the links of ours; None where no such folder is. `others` are the
    paths of what is somebody else's.
    """

    digest: str | None = None
    entries: frozenset[str] | None = None
    others: tuple[str, ...] = ()

    def lacks(self, wanted: Iterable[str]) -> bool:
        """Whether any of these entries is missing, and nothing of others stands in its place."""
        if self.entries is None:
            return not (self.digest or self.others)
        taken = {path.rpartition("/")[2] for path in self.others}
        return not taken.union(self.entries).issuperset(wanted)


def place_of(lab: str, netns: str) -> Place:
    """Return what stands where the files of a namespace are, of a lab and of others."""
    found = Place()
    for folder in etc_dirs():
        here = _look_at(lab, f"{folder}/{netns}")
        found = Place(here.digest, here.entries or found.entries, (*found.others, *here.others))
        if here.digest:
            break
    return found


def _look_at(lab: str, place: str) -> Place:
    paths = _places(place)
    digests = {path: _digest_at(path, lab) for path in paths}
    ours = {path: digest for path, digest in digests.items() if digest}
    others = tuple(p for p in paths if p not in ours and lexists(p) and not _is_dead(p))
    entries = None if paths == [place] else frozenset(p.rpartition("/")[2] for p in ours)
    return Place(next(iter(ours.values()), None), entries, others)


def _places(path: str) -> list[str]:
    """Return where links of ours may be: a namespace's own place, or, if it is a folder, in it."""
    if is_link(path) or not is_dir(path):
        return [path]
    return [f"{path}/{entry}" for entry in sorted(os.listdir(path))]


def linked(lab: str) -> frozenset[str]:
    """Return the names of all namespaces that have files from a lab, or had before a reboot."""
    return frozenset(name for name in names() if place_of(lab, name).digest)


def _digest_at(path: str, lab: str) -> str | None:
    target, start = _target(path), f"{files_dir(lab)}/"
    if target is None or not target.startswith(start):
        return None
    return target.removeprefix(start).partition("/")[0]


def _target(path: str) -> str | None:
    """Return where a link leads, None where there is none."""
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return None


def notes(desired: Desired) -> Iterator[str]:
    """Yield what has nothing to lie over: mount(2) covers what is there, and makes nothing."""
    seen: dict[str, list[str]] = {}
    for name, netns in desired.netns.items():
        for entry in desired.folders.get(netns.etc, ()):
            seen.setdefault(entry, []).append(name)
    lacking = {}
    for path, names in seen.items():
        entry, slash, _ = path.partition("/")
        if not lexists(f"/etc/{entry}"):
            lacking["mkdir" if slash else "touch", entry] = names
    for (remedy, entry), names in lacking.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield (
            f"the host has no /etc/{entry} for that of `{names[0]}`{more} to lie over, so nobody "
            f"sees it; {remedy} /etc/{entry}"
        )


class Etc:
    """Gives namespaces of one lab their files in /etc, and takes them away."""

    def __init__(self, lab: str) -> None:
        """Remember which lab."""
        self.lab = lab
        self.folder = OWN_ETC_DIR if is_dir(OWN_ETC_DIR) else etc_dirs()[0]
        self._first: dict[str, str] = {}

    def set_etc(self, netns: str, digest: str) -> None:
        """Let a namespace see the folder with this digest; raises `KernelError`."""
        target = f"{files_dir(self.lab)}/{digest}"
        try:
            self._link(target, netns)
        except OSError as error:
            if self.folder == ETC_DIR and error.errno in _UNWRITABLE and not _is_writable():
                self.folder = OWN_ETC_DIR
                self._first.clear()
                self.set_etc(netns, digest)
                return
            asked = f"ln -s {target} {self.folder}/{netns}"
            raise KernelError(error.errno or 0, asked) from error

    def _link(self, target: str, netns: str, tries: int = 9) -> None:
        path = f"{self.folder}/{netns}"
        first = self._first.get(target)
        try:
            if first is not None:
                os.link(first, path, follow_symlinks=False)
            else:
                os.symlink(target, path)
        except FileNotFoundError:  # of the folder, which another lab's end may just have taken
            if not tries:
                raise
            if first is None and not is_dir(self.folder):
                _make_dir(self.folder)
            self._first.pop(target, None)
            self._link(target, netns, tries - 1)
            return
        except FileExistsError:
            self._link_beside(target, path)
            return
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            os.symlink(target, path)
        self._first[target] = path

    def _link_beside(self, target: str, path: str) -> None:
        """Put a link where something is: in the place of ours, or into somebody's folder."""
        folder, _, name = path.rpartition("/")
        beside = f"{folder}/.{name}.netloom-new"
        if _digest_at(path, self.lab) or _is_dead(path):
            _replace(target, path, beside)
        elif is_dir(path):
            self._remove_from(path)
            for entry in os.listdir(target):
                inner = f"{path}/{entry}"
                if _is_dead(inner):
                    _replace(f"{target}/{entry}", inner, beside)
                else:
                    with suppress(FileExistsError):
                        os.symlink(f"{target}/{entry}", inner)

    def del_etc(self, netns: str) -> None:
        """Take away what `set_etc` put there; what is not ours stays."""
        for folder in etc_dirs():
            self._remove_from(f"{folder}/{netns}")
            self._remove_from(f"{folder}/.{netns}.netloom-new")

    def _remove_from(self, place: str) -> None:
        for path in _places(place):
            if _digest_at(path, self.lab):
                with suppress(FileNotFoundError):
                    os.unlink(path)


def _is_writable() -> bool:
    """Whether links can stand in /etc; else a refusal is about more than one of them."""
    return os.access(ETC_DIR if is_dir(ETC_DIR) else os.path.dirname(ETC_DIR), os.W_OK)


def _is_dead(path: str) -> bool:
    """Whether a link was left by a lab that went with a reboot: into our folder, to nothing."""
    target = _target(path)
    return target is not None and target.startswith(f"{RUN_DIR}/") and not exists(path)


def _note_made() -> None:
    modes.make_dirs(RUN_DIR, modes.PUBLIC_DIR)
    modes.write(_MADE, b"", modes.PRIVATE)


def _make_dir(folder: str) -> None:
    if folder == OWN_ETC_DIR:
        modes.make_dirs(folder, modes.PUBLIC_DIR)
        return
    _note_made()
    try:
        modes.make_dir(ETC_DIR, modes.PUBLIC_DIR)
    except FileExistsError:
        if not is_dir(ETC_DIR):  # a link to nowhere
            raise
        return
    except OSError:
        os.unlink(_MADE)
        raise
    _mark()


def _mark() -> None:
    with suppress(FileExistsError, FileNotFoundError):  # another netloom marked it, or removed it
        os.symlink(_MADE, _MARK)


def _replace(target: str, path: str, beside: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(beside)
    os.symlink(target, beside)
    try:
        os.rename(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise


def tidy() -> None:
    """Remove the folders that we made and that are empty."""
    _rmdir(OWN_ETC_DIR)
    if ETC_DIR not in etc_dirs():
        return
    if (exists(_MADE) or is_link(_MARK)) and _remove_etc_dir():
        with suppress(FileNotFoundError):
            os.unlink(_MADE)


def _rmdir(folder: str) -> bool:
    """Remove a folder; return whether it is gone, and not in use."""
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EBUSY}:
            return False
        if error.errno != errno.ENOENT:
            raise
    return True


def _remove_etc_dir() -> bool:
    """Remove /etc/netns if nothing is in it but our mark; return whether it is gone."""
    try:
        there = os.listdir(ETC_DIR)
    except FileNotFoundError:
        return True
    if set(there) - {os.path.basename(_MARK)}:
        return False
    _note_made()  # a reboot may have taken it, and who is killed now must have left word
    try:
        with suppress(FileNotFoundError):
            os.unlink(_MARK)
        gone = _rmdir(ETC_DIR)
    except OSError as error:
        if error.errno in _OF_ROOT:  # what root's lab made is not ours to remove
            os.unlink(_MADE)
            return False
        _mark()
        raise
    if not gone:
        _mark()  # another netloom was quicker, and has put something into it
    return gone
