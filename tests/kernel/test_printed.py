"""What commands print: the end is kept, what is old is given back, and no place is lost by it."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.host.commands import processes
from netloom.host.commands.printed import FIRST, KEPT, WIDTH, Log, LogLines, Reader, unstamped
from netloom.kernel import syscalls
from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import command as netloom_command
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import says
from tests.kernel.commands import LAB, begin, command, in_a_lab, printed

MOST = FIRST + KEPT + KEPT // 4 + (1 << 21)
"""Bytes that a log takes at the most, with a piece that comes in between."""
FLOOD = "seq 100000000 105000000"
"""Prints 50 MB, in lines of nine digits: 10 bytes, which no piece that is read is made of."""
LINE = WIDTH + 10
BEGAN = 100_000_000
TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
LAST = 105_000_000


def room(path: str | Path) -> int:
    """Return the bytes that a file takes."""
    return int(says("du", "-B1", str(path)).split()[0])


@contextmanager
def a_log(path: Path) -> Iterator[tuple[int, Log]]:
    """Have a log, and the descriptor that a command would print to."""
    output, theirs = os.pipe()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
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
def test_logs_shows_the_beginning_and_the_end_and_what_lies_between() -> None:
    """No zeros; the first line and the last; how much is missing, once."""
    run = f"{{command: {FLOOD}; echo, ready: log/{LAST}}}"
    write("a.yaml", f"namespaces: {{a: {{run: {run}}}}}\n")
    netloom("up", "-q", "a.yaml").status(0)

    lines = ended("logs", "a").stdout.splitlines()

    (at,) = (n for n, line in enumerate(lines) if not line.isdecimal() and line)
    told = re.fullmatch(r"netloom: (\d+\.\d) MB are not kept", lines[at])
    first = [int(line) for line in lines[:at]]
    last = [int(line) for line in lines[at + 1 : -1]]
    assert first == list(range(BEGAN, first[-1] + 1))
    assert last == list(range(last[0], LAST + 1))
    assert len(first) * LINE == pytest.approx(FIRST, abs=LINE)
    assert KEPT - (1 << 17) <= len(last) * LINE <= MOST
    assert told is not None
    missing = (LAST + 1 - BEGAN) * LINE - (len(first) + len(last)) * LINE
    assert float(told[1]) == pytest.approx(missing / 1e6, abs=0.2)
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
            if "not kept" in line:
                continue
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
        for number in range(600):
            os.write(theirs, b"%9d\n" % number * 6000)
            assert copier.copy()
            assert log.stat().st_size <= MOST
            while data := reader.read():
                seen = data

    assert seen.endswith(b"      599\n")


@pytest.mark.parametrize("place", [0, 1, FIRST - 1, FIRST, 1 << 20])
@on_a_machine
def test_a_reader_goes_over_what_is_not_kept(place: int) -> None:
    """Whatever place it begins at; that something is missing is told, once, and how much."""
    log = Path("/run/log")
    hole = 2 << 20
    log.write_bytes(b"a" * FIRST + b"x" * hole + b"b" * 100)
    with log.open("r+b") as file:
        syscalls.punch_hole(file.fileno(), FIRST, hole)
        reader = Reader(file.fileno(), place)
        seen, missing = b"", 0
        while data := reader.read():
            seen += data
            missing += reader.missing

    assert seen == b"a" * max(0, FIRST - place) + b"b" * 100
    assert missing == hole - max(0, place - FIRST)


@on_a_machine
def test_each_line_has_the_time_at_which_it_began() -> None:
    """However it came: in pieces, several at once, without an end, or after one without."""
    log = Path("/run/log")
    log.write_bytes(b"of an earlier start")
    with a_log(log) as (theirs, copier):
        for text in (b"one\ntw", b"o\n", b"\nthree", b""):
            os.write(theirs, text)
            copier.copy()
        with log.open("rb") as file:
            lines = list(LogLines(file.fileno()).news())

    assert [line.text for line in lines] == [
        *(b"of an earlier start\n", b"one\n", b"two\n", b"\n", b"three")
    ]
    assert all(re.fullmatch(TIME, line.time) for line in lines[1:])
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert unstamped(log.read_bytes()) == b"of an earlier start\none\ntwo\n\nthree"
