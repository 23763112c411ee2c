"""Labs and scripts of others, in our words: each up twice, asked, verified, down without a trace.

A file says in its head who must be reached (`ask`) and who must not (`not`), and what a command of
it made that goes with the lab (`gone`).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.internet import on_the_internet
from tests.hosts.netloom import ended, netloom
from tests.hosts.programs import ran
from tests.hosts.witness import no_trace

LABS = sorted(Path(__file__).with_name("labs_of_others").glob("*.yaml"))


def said(path: Path, word: str) -> Iterator[str]:
    """Yield what the head of a file says."""
    yield from re.findall(rf"^# {word}: (.*)$", path.read_text(), re.MULTILINE)


def asked(line: str) -> bool:
    """Whether a command in a namespace, or on the host, succeeds."""
    where, _, words = line.partition(" ")
    inside = () if where == "host" else ("ip", "netns", "exec", where)
    return ran(*inside, "sh", "-c", words, check=False).returncode == 0


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
@on_the_internet()
def test_a_lab_of_others_works_twice_and_goes_without_a_trace(path: Path) -> None:
    """What it is for can be reached, what it keeps apart cannot; the second `up` does nothing."""
    lab = path.stem
    with no_trace():
        for _ in range(2):
            up = ended("up", "-q", str(path))
            assert up.returncode == 0, up.shown
            for line in said(path, "ask"):
                assert asked(line), line
            for line in said(path, "not"):
                assert not asked(line), line
            netloom("verify", lab).stdout(f"{lab}  is as it was applied\n").status(0)
        netloom("up", str(path)).stdout(f"{lab}  is up; nothing to do\n").status(0)
        down = ended("down", lab)
        assert down.returncode == 0, down.shown
        assert all(link in down.stderr for link in said(path, "gone")), down.shown
