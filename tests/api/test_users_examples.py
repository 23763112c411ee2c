"""Tests as users of labs write them, played; and the scripts that they are in place of."""

import ast
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.machine import on_a_machine
from tests.hosts.programs import LIBRARIES, SRC, plainly, python, ran, says

pytestmark = pytest.mark.long

EXAMPLES = Path(__file__).parents[2] / "examples" / "tests"
NEEDS = {
    "balancer": ("servers",),
    "dns": ("servers", "nft"),
    "proxy": ("tinyproxy", "curl"),
    "raft": ("pysyncobj", "curl"),
}
ALL = [pytest.param(name, marks=pytest.mark.needs(*needs)) for name, needs in NEEDS.items()]

PYTEST = "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
FOUND = {**os.environ, "PYTHONPATH": ":".join((str(SRC), *LIBRARIES))}
"""An environment in which whatever Python an example starts finds what it imports."""


@pytest.fixture
def copied() -> Iterator[str]:
    """Return a folder with the examples as a stranger copied them, where anybody may write."""
    with tempfile.TemporaryDirectory() as folder:
        for path in EXAMPLES.iterdir():
            if path.is_file():
                shutil.copy(path, folder)
        Path(folder).chmod(0o777)
        yield folder


@pytest.mark.needs("userns", "veth", "bridge")
@pytest.mark.parametrize("by", [python, plainly])
@pytest.mark.parametrize("name", ALL)
def test_a_users_test_passes(copied: str, name: str, by: Callable[..., list[str]]) -> None:
    """As root and as a plain user, with nothing skipped, no warning, and nothing left."""
    where = (f"--rootdir={copied}", f"--basetemp={copied}/own", f"{copied}/test_{name}.py")
    words = ("-q", "-W", "error", "-p", "no:cacheprovider", "--netloom-strict", *where)
    done = ran(*by(PYTEST, *words), env=FOUND, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert not Path(copied, ".netloom").exists()


@on_a_machine
@pytest.mark.needs("veth", "bridge", "iptables")
@pytest.mark.parametrize("name", ALL)
def test_the_script_that_it_replaces_does_the_same(name: str) -> None:
    """It passes, too, and cleans up where nobody kills it: what nobody can run compares to nothing.

    What it guesses by `sleep` may be wrong on a busy machine, so it may fail twice.
    """
    env = {**FOUND, "PYTHON": sys.executable}
    tries = (
        ran("sh", f"{EXAMPLES}/{name}.sh", env=env, check=last) for last in (False, False, True)
    )

    assert any(done.returncode == 0 for done in tries)
    assert says("ip", "netns", "list") == ""
    assert not Path("/etc/netns").exists()


def test_each_stands_beside_its_script() -> None:
    """A reader of the one is told of the other."""
    for name in NEEDS:
        test, script = (EXAMPLES / file for file in (f"test_{name}.py", f"{name}.sh"))
        assert f"In place of: {script.name}," in str(ast.get_docstring(ast.parse(test.read_text())))
        assert f"# What {test.name} is in place of" in script.read_text()
    assert {path.name for path in EXAMPLES.glob("test_*.py")} == {
        f"test_{name}.py" for name in NEEDS
    }
