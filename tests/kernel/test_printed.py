"""What commands print: the end is kept, what is old is given back, and no place is lost by it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.host.commands import processes
from netloom.host.commands.printed import KEPT, Log, Reader
from netloom.kernel import syscalls
from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import command as netloom_command
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import says
from tests.kernel.commands import LAB, begin, command, in_a_lab, printed

MOST = KEPT + KEPT // 4 + (1 << 16)
FLOOD = "seq 100000000 105000000"
"""Prints 50 MB, in lines of nine digits: 10 bytes, which no piece that is read is made of."""
LAST = 105_000_000


def room(path: str | Path) -> int:
    """Return the bytes that a file takes."""
    return int(says("du", "-B1", str(path)).split()[0])


@contextmanager
def a_log(path: Path) -> Iterator[tuple[int, Log]]:
    """Have a log, and the descriptor that a command would print to."""
    output, theirs = os.pipe()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        log = Log(file)
        log.listen(output)
        yield theirs, log
    finally:
        for fd in (output, theirs, file):
            os.close(fd)


@in_a_lab
def test_a_command_that_prints_without_end_takes_a_few_mebibytes() -> None:
    """Of 50 MB the last are there, to `ready` and to who asks for the last lines, too."""
    begin(command(f"{FLOOD}; echo done; exec sleep 1000", ready="log/done\n"))

    assert KEPT <= room(processes.log_path(LAB, "web", "it")) <= MOST
    assert printed()[-2:] == ["105000000", "done"]


@in_a_lab
def test_each_start_goes_on_in_the_same_few_mebibytes() -> None:
    """And begins where the one before it ended."""
    for _ in range(3):
        begin(command(f"{FLOOD}; echo done", ready="log/done\n"))
    begin(command("echo alone", ready="log/alone"))

    assert room(processes.log_path(LAB, "web", "it")) <= MOST
    assert printed() == ["alone"]


@in_a_lab
def test_what_prints_in_the_background_hides_no_end() -> None:
    """A flood is copied piece by piece, and between them it is seen who has ended."""
    begin(command("(yes & ); exit 3"), wait=False)
    (run,) = processes.runs(LAB)

    while processes.read_run(run.folder).ended is None:
        os.sched_yield()


@on_a_host
def test_logs_shows_whole_lines_of_what_is_kept() -> None:
    """None of zeros, and the last one is the last."""
    run = f"{{command: {FLOOD}; echo, ready: log/{LAST}}}"
    write("a.yaml", f"namespaces: {{a: {{run: {run}}}}}\n")
    netloom("up", "-q", "a.yaml").status(0)

    lines = ended("logs", "a").stdout.splitlines()

    numbers = [int(line) for line in lines if line]
    assert numbers == list(range(numbers[0], LAST + 1))
    assert KEPT - (1 << 17) <= 10 * len(numbers) <= MOST
    netloom("down", "-q", "a").status(0)


@on_a_host
def test_who_follows_sees_each_line_whole_and_the_last_one() -> None:
    """Whoever is slower than the command misses lines, and gets no part of one, nor any zeros."""
    text = f"read go </run/go; {FLOOD}"
    write("a.yaml", f"namespaces: {{a: {{run: [{{name: it, command: '{text}'}}]}}}}\n")
    os.mkfifo("/run/go")
    netloom("up", "-q", "a.yaml").status(0)
    argv = netloom_command("logs", "-f", "a")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        Path("/run/go").write_text("go\n")
        numbers = []
        for line in follower.stdout:
            assert len(line) == 10
            numbers.append(int(line))
            if numbers[-1] == LAST:
                break
        follower.kill()

    assert numbers == sorted(set(numbers))
    netloom("down", "-q", "a").status(0)


@on_a_machine
def test_where_a_file_has_no_holes_it_begins_anew() -> None:
    """As on ramfs; who reads goes on with it."""
    Path("/run/ram").mkdir()
    syscalls.mount("ramfs", "ram", "/run/ram")
    log = Path("/run/ram/log")
    with a_log(log) as (theirs, copier), log.open("rb") as file:
        reader = Reader(file.fileno())
        seen = b""
        for number in range(300):
            os.write(theirs, b"%9d\n" % number * 6000)
            assert copier.copy()
            assert log.stat().st_size <= MOST
            seen = reader.read() or seen

    assert seen.endswith(b"      299\n")


@pytest.mark.parametrize("place", [0, 1, 1 << 20])
@on_a_machine
def test_a_reader_begins_with_what_is_kept(place: int) -> None:
    """Whatever place it begins at; that something is missing is told, once."""
    log = Path("/run/log")
    log.write_bytes(b"a" * (2 << 20) + b"b" * 100)
    with log.open("r+b") as file:
        says("fallocate", "-p", "-l", str(2 << 20), str(log))
        reader = Reader(file.fileno(), place)

        assert (reader.read(), reader.skipped) == (b"b" * 100, True)
        assert (reader.read(), reader.skipped, reader.place) == (b"", False, (2 << 20) + 100)
