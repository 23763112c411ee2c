"""The pytest plugin, in runs of pytest of its own."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.machines import FORBIDDEN, in_own_root, plainly, python, ran

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.needs("userns", "veth", "bridge")

TWO = "links: [[a, b]]\n"
GOOD = """
import pytest, netloom, socket

def test_by_hand(lab):
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    assert a.reaches(b)

@pytest.mark.netloom("two.yaml")
def test_a_file_beside(lab):
    assert lab["a"].reaches("b")

@pytest.mark.netloom(netloom.parse("links: [[c, d]]"))
class TestParsed:
    @pytest.mark.parametrize("way", [("c", "d"), ("d", "c")])
    def test_each_way(self, lab, way):
        assert lab[way[0]].reaches(way[1])
"""
SHARED = """
import pytest
pytestmark = pytest.mark.netloom("two.yaml")
seen = []

@pytest.mark.parametrize("n", range(3))
def test_one_lab_for_all(module_lab, session_lab, n):
    seen.append((module_lab, session_lab))
    assert module_lab["a"].reaches("b")
    assert len(set(seen)) == 1
    if n == 0:
        session_lab.netns("x")
    assert "x" in session_lab
"""
OVERRIDDEN = """
import pytest

@pytest.fixture(params=["links: [[a, b]]", "networks: [lan]\\nnamespaces: {a: lan, b: lan}"])
def netloom_topology(request):
    import netloom
    text = request.param.replace(": lan", ": {networks: [lan]}")
    return netloom.parse(text)

def test_it(lab):
    assert lab["a"].reaches("b")
"""


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run pytest there, in a process of its own, with the plugin."""
    pytester.makefile(".yaml", two=TWO)
    return pytester.runpytest_subprocess(*PLUGIN, *words)


PLUGIN = ("-p", "no:cacheprovider", "-p", "no:randomly")


def test_fixtures_and_the_mark(pytester: pytest.Pytester) -> None:
    """By hand, by a file beside the test, by a topology; each test a lab of its own."""
    pytester.makepyfile(test_good=GOOD, test_shared=SHARED, test_over=OVERRIDDEN)
    run(pytester).assert_outcomes(passed=9)
    assert not Path(pytester.path, ".netloom").exists()


def test_workers_with_equal_names_and_subnets(pytester: pytest.Pytester) -> None:
    """Labs of several processes do not meet."""
    many = GOOD.replace(
        "def test_by_hand(lab)", "@pytest.mark.parametrize('n', range(20))\ndef test_many(lab, n)"
    )
    pytester.makepyfile(test_good=many)
    run(pytester, "-n", "3").assert_outcomes(passed=23)


FAILING = """
import sys
def test_fails(lab):
    a = lab.netns("a", run="echo something; exec sleep 1000")
    print("said")
    assert a.reaches("198.51.100.1")
"""


def test_a_failure_leaves_evidence_and_never_writes_over_it(pytester: pytest.Pytester) -> None:
    """The topology, what the kernel said, the logs; a folder for each attempt."""
    pytester.makepyfile(test_fail=FAILING)
    for attempt in "12":
        result = run(pytester)
        result.assert_outcomes(failed=1)
        folder = Path(pytester.path, ".netloom", "test_fail.py--test_fails", attempt)
        result.stdout.fnmatch_lines(
            [
                "*assert <a -> 198.51.100.1: network is unreachable>*",
                f"evidence: {folder}",
            ]
        )
        assert sorted(os.listdir(folder)) == ["a:echo.log", "lab.json", "lab.yaml", "report.txt"]
        assert (folder / "a:echo.log").read_text() == "something\n"
        assert "sleep 1000" in (folder / "lab.yaml").read_text()
    run(pytester, "--netloom-evidence", "elsewhere")
    assert Path(pytester.path, "elsewhere", "test_fail.py--test_fails", "1").is_dir()


LEAKING = """
KEPT = []
def test_leaks(lab):
    KEPT.append(lab.netns("a").listen(7000))

def test_is_not_blamed(lab):
    lab.netns("a").listen(7000)

def test_leaves_a_daemon(lab):
    lab.netns("a").run(["sh", "-c", "setsid sleep 4718 &"])
"""


def test_what_a_test_keeps_of_its_lab_is_told(pytester: pytest.Pytester) -> None:
    """A socket that somebody holds; not one that is only not closed yet, nor a process."""
    pytester.makepyfile(test_leak=LEAKING)
    result = run(pytester, "-W", "ignore::ResourceWarning")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["left behind by the test: an open socket in `a` (descriptor *7000*)"]
    )


def test_a_missing_file_fails(pytester: pytest.Pytester) -> None:
    """That is no fault of the machine's."""
    pytester.makepyfile(test_no=GOOD.replace("two.yaml", "none.yaml"))
    result = run(pytester)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*no file `*none.yaml`*"])


PYTEST = "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"


@pytest.fixture
def good() -> Iterator[str]:
    """Return a folder with good tests that everybody may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        Path(folder, "test_good.py").write_text(GOOD)
        Path(folder, "two.yaml").write_text(TWO)
        yield folder


@pytest.mark.parametrize("strict", [False, True])
def test_where_labs_cannot_be_made(good: str, *, strict: bool) -> None:
    """Skipped with the reason, or failed if that was asked for."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to forbid user namespaces to somebody")
    words = ["-q", "-rs", *PLUGIN, good, *(["--netloom-strict"] if strict else [])]
    done = ran(*python(FORBIDDEN, *plainly(PYTEST, *words)), check=False)
    assert ("4 errors" if strict else "4 skipped") in done.stdout, done.stdout + done.stderr
    assert "cannot make namespaces as a plain user: unshare --user: No space left" in done.stdout
    assert "user.max_user_namespaces=10000" in done.stdout


@pytest.mark.parametrize("words", [(), ("-n", "2"), ("-W", "error")])
@pytest.mark.parametrize("around", [False, True])
def test_a_plain_user_has_labs(good: str, words: tuple[str, ...], *, around: bool) -> None:
    """By children of the process, or, inside `unshare -Urnm`, by its threads."""
    basetemp = f"--basetemp={good}/own"
    argv = plainly(PYTEST, "-q", *PLUGIN, basetemp, "--netloom-strict", *words, good)
    done = ran(*(in_own_root(argv) if around else argv), check=False)
    assert "4 passed" in done.stdout, done.stdout


def test_all_that_a_lab_does_it_does_for_a_plain_user() -> None:
    """The tests of labs, once more, by somebody without any right."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    tests = str(Path(__file__).with_name("test_lab.py"))
    done = ran(*plainly(PYTEST, "-q", *PLUGIN, "-n0", "--strict-host", tests), check=False)
    assert done.returncode == 0, done.stdout


def test_nothing_of_netloom_is_loaded_by_a_run_without_labs(pytester: pytest.Pytester) -> None:
    """The plugin is in every run of pytest of whoever has it installed."""
    pytester.makepyfile(
        "import sys\n"
        "def test_it():\n"
        "    loaded = {n for n in sys.modules if n.startswith('netloom')}\n"
        "    assert loaded <= {'netloom', 'netloom.pytest_plugin'}, loaded\n"
    )
    run(pytester).assert_outcomes(passed=1)
