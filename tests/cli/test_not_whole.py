"""An installation that is not whole is told as that, and not as a refusal of the machine."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.netloom import Ended
from tests.hosts.programs import LIBRARIES, MAIN, SRC, ran

FILE = "links: [[a, b]]\n"
HINT = "hint: install netloom anew; if that does not help, please report it\n"


def renamed(path: Path) -> None:
    """Have a module define its first function by another name."""
    path.write_text(re.sub(r"(?m)^def (\w+)", r"def other_\1", path.read_text(), count=1))


BROKEN: list[tuple[str, Callable[[Path], None], str]] = [
    ("cli/labs.py", Path.unlink, "No module named 'netloom.cli.labs'"),
    ("plan/diff.py", Path.unlink, "No module named 'netloom.plan.diff'"),
    ("plan/diff.py", renamed, "cannot import name 'diff' from 'netloom.plan.diff'"),
]


@pytest.mark.parametrize(("module", "breaks", "why"), BROKEN)
def test_a_part_that_is_missing_is_told_by_name(
    tmp_path: Path, module: str, breaks: Callable[[Path], None], why: str
) -> None:
    """A module, or a name in one: with what to do, and the status of a bug."""
    shutil.copytree(SRC / "netloom", tmp_path / "netloom")
    breaks(tmp_path / "netloom" / module)
    (tmp_path / "lab.yaml").write_text(FILE)
    words = ["labs"] if "labs" in module else ["plan", str(tmp_path / "lab.yaml")]

    done = broken(tmp_path, *words)

    assert (done.returncode, done.stdout) == (70, ""), done
    first, rest = done.stderr.split("\n", 1)
    assert first.startswith(f"netloom is not whole: {why}")
    assert rest == HINT


def test_what_cannot_even_tell_what_is_missing_still_says_it(tmp_path: Path) -> None:
    """Without the module of errors."""
    shutil.copytree(SRC / "netloom", tmp_path / "netloom")
    (tmp_path / "netloom/errors.py").unlink()

    done = broken(tmp_path, "labs")

    said = "netloom cannot go on: No module named 'netloom.errors'\n"
    assert done == Ended(1, "", said)


def broken(folder: Path, *words: str) -> Ended:
    """Return how the netloom of a folder ended."""
    code = f"import sys; sys.path[:0] = {[str(folder), *LIBRARIES]}\n{MAIN}"
    done = ran(sys.executable, "-c", code, *words, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)
