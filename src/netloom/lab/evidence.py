"""What a failed test leaves to look at: a folder for each attempt, never written over.

DIR/TEST/1/report.txt        what pytest said
DIR/TEST/1/LAB.yaml          the topology, as it was then
DIR/TEST/1/LAB.json          what the kernel said of the lab
DIR/TEST/1/NS:NAME.log       what its commands printed
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from netloom.errors import NetloomError
from netloom.host.processes import logs
from netloom.lab.live import Lab
from netloom.model.snapshot import Snapshot
from netloom.topology.unparse import unparse


def keep(top: Path, name: str, labs: Sequence[Lab], said: str) -> Path:
    """Write the evidence of an attempt, and return its folder."""
    folder = _folder(top / name)
    (folder / "report.txt").write_text(said + "\n", encoding="utf-8")
    for lab in labs:
        (folder / f"{lab.name}.yaml").write_text(unparse(lab.topology), encoding="utf-8")
        with suppress(NetloomError, OSError):
            (folder / f"{lab.name}.json").write_bytes(_told(lab.snapshot()))
        with suppress(NetloomError, OSError):
            lab.stand.home.call(_copy_logs, lab.name, folder)
    return folder


def _told(snapshot: Snapshot) -> bytes:
    """Return what there was of a lab, as JSON."""
    given = {str(end): facts for end, facts in snapshot.given.items()}
    told = {"netns": snapshot.netns, "given": given, "foreign": snapshot.foreign.links}
    return msgspec.json.format(msgspec.json.encode(told))


def _folder(parent: Path) -> Path:
    """Return a new folder for an attempt, the first number that is free."""
    number = 1
    while True:
        with suppress(FileExistsError):
            (parent / str(number)).mkdir(parents=True)
            return parent / str(number)
        number += 1


def _copy_logs(lab: str, folder: Path) -> None:
    for _, path in logs(lab):
        shutil.copyfile(path, folder / Path(path).name)


def shell(lab: Lab, test: str) -> None:
    """Open a shell in the first namespace of a lab, on the terminal."""
    members = lab.all()
    if not members:
        return
    names = ", ".join(one.name for one in members)
    text = f"\n{test} failed. A shell in `{members[0].name}` of {names}; leave it to go on."
    with Path("/dev/tty").open("r+b", buffering=0) as terminal:
        terminal.write(text.encode() + b"\n")
        members[0].run(
            [os.environ.get("SHELL", "/bin/sh")],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
