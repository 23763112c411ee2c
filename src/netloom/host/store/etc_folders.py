"""The folders of files that namespaces of a lab see in /etc, on disk: `files/DIGEST`.

A file that programs of one namespace may write stands in `own/`, and each folder that has it is a
hard link to it. So what they wrote is there in the next folder, too, and who has it open by then
writes what others read.
"""

import os
from collections.abc import Mapping

from netloom.host.store.rundir import remove
from netloom.kernel import inputs, modes
from netloom.kernel.files import exists
from netloom.model.objects import Desired, File


def write(lab_dir: str, digest: str, files: Mapping[str, File]) -> None:
    """Write a folder beside its place and rename it; raises `OSError`."""
    place = f"{lab_dir}/files/{digest}"
    beside = f"{place}.new"
    remove(beside)
    for path, file in files.items():
        modes.make_dirs(os.path.dirname(f"{beside}/{path}"), modes.PUBLIC_DIR)
        if file.own:
            os.link(_own(lab_dir, path, file), f"{beside}/{path}")
        elif not path.endswith("/"):
            modes.write(f"{beside}/{path}", _data(file), file.mode)
    for path, file in files.items():
        if file != File(file.text, own=file.own):
            os.chown(f"{beside}/{path}", *file.owner)
            os.chmod(f"{beside}/{path}", file.mode)
    os.rename(beside, place)


def _own(lab_dir: str, path: str, file: File) -> str:
    """Return where a file is that programs may write; one that is there stays as it is."""
    place = f"{lab_dir}/own/{file.own}"
    if not exists(place):
        modes.make_dirs(os.path.dirname(place), modes.PRIVATE_DIR)
        modes.replace(place, _machines(path) if file.is_copy else _data(file), file.mode)
    return place


def _data(file: File) -> bytes:
    return file.text.encode(errors="surrogateescape")


def _machines(path: str) -> bytes:
    """Return what the machine has in a file of /etc; nothing where there is none to read."""
    try:
        return inputs.read(f"/etc/{path}")[0]
    except OSError:
        return b""


def drop_unused(lab_dir: str, desired: Desired) -> None:
    """Remove what no namespace sees any more; raises `OSError`."""
    used = {netns.etc for netns in desired.netns.values()}
    for digest in _names(f"{lab_dir}/files"):
        if digest not in used:
            remove(f"{lab_dir}/files/{digest}")
    drop_own(lab_dir)


def drop_own(lab_dir: str) -> None:
    """Remove the files that programs may write and that are in no folder; raises `OSError`."""
    folder = f"{lab_dir}/own"
    names = _names(folder)
    for name in names:
        if os.lstat(f"{folder}/{name}").st_nlink == 1:
            remove(f"{folder}/{name}")
    if names and not _names(folder):
        os.rmdir(folder)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
