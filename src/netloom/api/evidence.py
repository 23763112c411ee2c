"""What a failed test leaves to look at: a folder for each attempt, never written over.

DIR/TEST/1/report.txt        what pytest said, and what the capture lacks
DIR/TEST/1/LAB.yaml          the topology, as it was then
DIR/TEST/1/LAB.json          what the kernel said of the lab
DIR/TEST/1/LAB.pcapng        what went over its links
DIR/TEST/1/NS:NAME.log       what its commands printed

Of a lab that was over before its test failed, at its teardown, there are its topology and packets.
Where a test has several labs of one name, those after the first have folders in there, `LAB-2`.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryDirectory

import msgspec

from netloom.api.lab import Lab
from netloom.api.recording import Recording
from netloom.errors import NetloomError, Unavailable
from netloom.host.byhand.stamps import ask_for_good
from netloom.host.commands.printed import Reader, gap
from netloom.host.commands.processes import logs
from netloom.kernel.closing import Closing
from netloom.language.topology import Topology
from netloom.language.unparse import unparse
from netloom.model.lab_state import LabState

_RECORDED = 50
"""Namespaces of a lab whose packets are kept unasked: letting go of one costs the kernel 20 ms."""

_IN_MEMORY = 1 << 20
_LONGEST = 200
_UNSAFE = re.compile(r"[^\w.,=+@%-]+", re.ASCII)


class Recorder(Closing):
    """A lab of a test, and what is kept of it."""

    def __init__(self, lab: Lab) -> None:
        """Keep the packets of a lab from when it is open."""
        with suppress(OSError):
            ask_for_good()
        self.lab = lab
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._recording = Recording(lab, self._file, most=_RECORDED)
        self._seen: TemporaryDirectory[str] | None = None
        self._lacks: list[str] = []
        lab.recordings.append(self._recording)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the lab; what cannot be made is looked at before it goes."""
        lab, wanted = self.lab, self.lab.topology
        with ExitStack() as stack:
            lab.topology = Topology(name=lab.name)
            try:
                stack.enter_context(lab)
            finally:
                lab.topology = wanted
            try:
                if wanted != Topology(name=lab.name):
                    lab.make(wanted)
            except NetloomError:
                self._seen = TemporaryDirectory()
                self._look(Path(self._seen.name))
                raise
            yield

    @property
    def is_open(self) -> bool:
        """Whether the lab is there."""
        try:
            return bool(self.lab.runtime)
        except Unavailable:
            return False

    def begin(self) -> None:
        """Forget the packets so far: a test begins that shares the lab with others."""
        if self.is_open:
            self._recording.forget()

    def sockets(self) -> set[int]:
        """Return the inodes of the sockets that are the recording's own."""
        return {os.fstat(sock.fileno()).st_ino for sock in self._recording.sockets()}

    def close(self) -> None:
        """Let go of what was kept."""
        self._recording.end()
        self._file.close()
        if self._seen:
            self._seen.cleanup()

    def _look(self, folder: Path) -> None:
        """Write what can be seen only as long as the lab is there."""
        self._lacks = self._recording.prove()
        with suppress(NetloomError, OSError):
            (folder / f"{self.lab.name}.json").write_bytes(_as_json(self.lab.snapshot()))
        with suppress(NetloomError, OSError):
            self.lab.runtime.context.call(_copy_logs, self.lab.name, folder)

    def write(self, folder: Path) -> list[str]:
        """Write what there is of the lab, and return in words what the capture lacks."""
        folder.mkdir(exist_ok=True)
        name = self.lab.name
        (folder / f"{name}.yaml").write_text(unparse(self.lab.topology), encoding="utf-8")
        if self._seen:
            shutil.copytree(self._seen.name, folder, dirs_exist_ok=True)
        elif self.is_open:
            self._look(folder)
        with (folder / f"{name}.pcapng").open("wb") as out:
            self._recording.save(out)
        return self._lacks


def keep(top: Path, test: str, watched: Sequence[Recorder], said: str) -> Path:
    """Write the evidence of an attempt, and return its folder."""
    folder = _folder(top / name_of(test))
    lines = [said]
    names: list[str] = []
    for one in watched:
        names.append(one.lab.name)
        number = names.count(one.lab.name)
        lines += one.write(folder / f"{one.lab.name}-{number}" if number > 1 else folder)
    add(folder, "\n".join(lines))
    return folder


def add(folder: Path, said: str) -> None:
    """Add to the report of an attempt."""
    with (folder / "report.txt").open("a", encoding="utf-8", errors="backslashreplace") as report:
        report.write(said + "\n")


def described(folder: Path) -> str:
    """Return an evidence folder in a line, with what is in it; seen from where we are, if below."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    kinds = {file.suffix for file in files}
    found = ["topology"] if ".yaml" in kinds else []
    found += ["snapshot"] if ".json" in kinds else []
    packets = [file for file in files if file.suffix == ".pcapng"]
    found += map(str, sorted(packets, key=lambda file: (len(file.parts), file)))
    found += ["logs"] if ".log" in kinds else []
    here = Path.cwd()
    shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return f"{shown}/ ({', '.join(found)})"


def name_of(test: str) -> str:
    """Return the name of a folder for a test: of letters that need no quotes, none too long.

    Where that makes another name of it, a digest keeps it apart from others.
    """
    plain = test.replace("/", "-").replace("::", "--").replace("[", "-").removesuffix("]")
    name = _UNSAFE.sub("_", plain)
    if name == plain and len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(test.encode(errors="backslashreplace")).hexdigest()
    return f"{name[:_LONGEST]}-{digest[:8]}"


def _folder(parent: Path) -> Path:
    """Return a new folder for an attempt, the first number that is free."""
    number = 1
    while True:
        with suppress(FileExistsError):
            (parent / str(number)).mkdir(parents=True)
            return parent / str(number)
        number += 1


def _as_json(snapshot: LabState) -> bytes:
    """Return what there was of a lab, as JSON."""
    given = {str(end): facts for end, facts in snapshot.given.items()}
    told = {"netns": snapshot.netns, "given": given, "foreign": snapshot.foreign.links}
    return msgspec.json.format(msgspec.json.encode(told))


def _copy_logs(lab: str, folder: Path) -> None:
    for _, path in logs(lab):
        with suppress(FileNotFoundError), Path(path).open("rb") as log:
            reader = Reader(log.fileno())
            with (folder / Path(path).name).open("wb") as copy:
                while data := reader.read():
                    copy.write(b"\n" + gap(reader.missing) + data if reader.missing else data)


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
