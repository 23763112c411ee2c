"""A long change shows on a terminal how far it has got, and leaves the line as it was."""

import os
import pty
import re
import select
import subprocess
import time
from typing import NamedTuple

from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.witness import no_trace

PATIENCE = 0.2
LONG = 2 * PATIENCE
LAB = """\
name: loom
networks: {{lan: {{subnet: 10.64.0.0/16}}}}
namespaces: {{a: {{count: {}, networks: lan}}}}
"""
LINE = re.compile(r"\rup (█*) *([0-9]+) of ([0-9]+) steps")
PIPE = 1 << 16


class Shown(NamedTuple):
    """What came on the terminal, and how many seconds after the file was read its beginning."""

    text: str
    after: float
    stdout: str
    returncode: int


def long_lab() -> int:
    """Return how many namespaces take long on this machine, where nothing is a terminal."""
    number = 400
    while True:
        status, said, talk = ended("up", str(write("loom.yaml", LAB.format(number))))
        assert (status, talk) == (0, "")
        netloom("down", "-q", "loom").status(0)
        took = re.search(r"up in ([0-9]+) ms", said)
        assert took, said
        if int(took[1]) / 1000 > LONG:
            return number
        number *= 2


def on_a_terminal(text: str) -> Shown:
    """Make the lab of a text, with a terminal for what is told."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command("up", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=slave
    )
    os.close(slave)
    assert process.stdin is not None
    assert process.stdout is not None
    os.write(process.stdin.fileno(), f"{text}{'#':#<{PIPE - len(text)}}".encode())
    # The pipe is full until somebody reads; and whoever reads it all has to wait for its end.
    assert select.select([], [process.stdin], [], 60)[1]
    read = time.monotonic()
    process.stdin.close()
    parts: list[bytes] = []
    begun = 0.0
    while part := _part(master):
        begun = begun or time.monotonic()
        parts.append(part)
    os.close(master)
    with process:
        stdout = process.stdout.read().decode()
    return Shown(b"".join(parts).decode(), begun - read, stdout, process.returncode)


def _part(master: int) -> bytes:
    """Return what a terminal shows next, nothing once its other side is closed."""
    assert select.select([master], [], [], 60)[0]
    try:
        return os.read(master, 4096)
    except OSError:  # EIO: nobody has it open
        return b""


@on_a_host
def test_progress_is_shown_on_a_terminal_alone_and_wiped_at_the_end() -> None:
    """After a fifth of a second, more and more of one number; a pipe sees nothing of it."""
    with no_trace():
        number = long_lab()

        shown = on_a_terminal(LAB.format(number))

        assert shown.returncode == 0
        assert shown.stdout.startswith("loom  up in ")
        assert shown.after > PATIENCE
        *lines, wiped = re.split(r"(?=\r)", shown.text)[1:]
        assert wiped == "\r\x1b[K"
        found = [LINE.fullmatch(line) for line in lines]
        counts = [(int(line[2]), int(line[3]), len(line[1])) for line in found if line]
        assert len(counts) == len(lines) > 0, shown.text
        assert counts == sorted(counts)
        for done, total, bar in counts:
            assert number <= total == counts[0][1]
            assert 0 < done <= total
            assert abs(bar - done * 30 / total) <= 1
        netloom("down", "-q", "loom").status(0)


@on_a_host
def test_nothing_is_shown_of_what_does_not_take_long() -> None:
    """The terminal stays clean, unless even that takes a fifth of a second here."""
    with no_trace():
        shown = on_a_terminal(LAB.format(1))
        assert shown.returncode == 0
        assert not shown.text or shown.after > PATIENCE
        netloom("down", "-q", "loom").status(0)
