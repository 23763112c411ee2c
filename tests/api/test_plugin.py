"""The pytest plugin, in runs of pytest of its own."""

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netloom import Lab
from netloom.api.evidence import name_of
from netloom.api.leaks import Leaks
from netloom.kernel import syscalls
from tests.hosts.machine import on_a_machine
from tests.hosts.programs import FORBIDDEN, in_own_root, plainly, python, ran

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
FOLDER = ".netloom/test_it.py--test_fails"
WHOLE = "(topology, snapshot, lab.pcapng, logs)"


def test_a_failure_leaves_evidence_and_never_writes_over_it(pytester: pytest.Pytester) -> None:
    """The topology, what the kernel said, the packets, the logs; a folder for each attempt."""
    pytester.makepyfile(test_it=FAILING)
    for attempt in "12":
        result = run(pytester)
        result.assert_outcomes(failed=1)
        folder = Path(pytester.path, FOLDER, attempt)
        result.stdout.fnmatch_lines(
            [
                "*assert <a -> 198.51.100.1: network is unreachable>*",
                f"evidence: {FOLDER}/{attempt}/ {WHOLE}",
            ]
        )
        assert sorted(os.listdir(folder)) == [
            "a:echo.log",
            "lab.json",
            "lab.pcapng",
            "lab.yaml",
            "report.txt",
        ]
        assert (folder / "a:echo.log").read_text().split()[1:] == ["something"]
        assert "sleep 1000" in (folder / "lab.yaml").read_text()
    run(pytester, "--netloom-evidence", "elsewhere")
    assert Path(pytester.path, "elsewhere", "test_it.py--test_fails", "1").is_dir()


PACKETS = """
import pytest
pytestmark = pytest.mark.netloom("two.yaml")

def test_passes(module_lab):  # one request: another may be on its way when the first is answered
    module_lab["b"].run(["ping", "-c1", "-W9", "a"], check=True)

def test_fails(module_lab, lab):
    assert module_lab["a"].reaches("b")
    assert lab["b"].reaches("192.0.2.1", within=0.1)
"""


@pytest.mark.needs("tcpdump", "ping")
def test_the_packets_of_the_test_are_there(pytester: pytest.Pytester) -> None:
    """Of each lab in a file, without those of a test before, and then the canaries of its links."""
    pytester.makepyfile(test_it=PACKETS)
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1)
    parts = "(topology, snapshot, two.pcapng, two-2/two.pcapng)"
    result.stdout.fnmatch_lines([f"evidence: {FOLDER}/1/ {parts}"])

    folder = Path(pytester.path, FOLDER, "1")
    said = [
        ran("tcpdump", "-nr", str(folder / name)).stdout
        for name in ("two.pcapng", "two-2/two.pcapng")
    ]
    asked = [set(re.findall(r"IP6? (\S+) > (\S+): ICMP6?,? echo request", text)) for text in said]
    assert asked == [{("10.64.0.1", "10.64.0.2")}, set()]
    assert [text.count("ethertype Unknown (0x88b5)") for text in said] == [4, 4]
    assert said[0].index("0x88b5") > said[0].rindex("ICMP echo")
    assert "capture" not in (folder / "report.txt").read_text()


NOT_MADE = """
import netloom, pytest

@pytest.mark.netloom(netloom.parse("namespaces: {a: {run: echo last words; exit 3}}"))
def test_fails(lab):
    raise AssertionError
"""


def test_a_lab_that_does_not_become_ready_leaves_evidence(pytester: pytest.Pytester) -> None:
    """What there was of it when it failed."""
    pytester.makepyfile(test_it=NOT_MADE)
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*`echo` in `a` ended with status 3", f"evidence: *1/ {WHOLE}"])
    log = Path(pytester.path, FOLDER, "1", "a:echo.log")
    assert log.read_text().split()[1:] == ["last", "words"]


TORN = """
import pytest

@pytest.fixture
def later(lab):
    yield
    raise RuntimeError("at the end")

def test_fails(lab, later):
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    assert a.reaches(b) is None

def test_passes(lab, later):
    lab.netns("a")
"""


def test_a_failure_at_the_teardown_leaves_evidence(pytester: pytest.Pytester) -> None:
    """In the folder of the attempt if that has failed before, else of a lab that is over."""
    pytester.makepyfile(test_it=TORN)
    result = run(pytester)
    result.assert_outcomes(failed=1, passed=1, errors=2)
    folder = Path(pytester.path, FOLDER)
    assert os.listdir(folder) == ["1"]
    report = (folder / "1" / "report.txt").read_text()
    assert report.index("assert <a -> b: answered") < report.index("RuntimeError: at the end")
    result.stdout.fnmatch_lines(["evidence: *--test_passes/1/ (topology, lab.pcapng)"])


@pytest.mark.parametrize(
    ("test", "name"),
    [
        ("tests/test_raft.py::TestIt::test_on[wifi]", "tests-test_raft.py--TestIt--test_on-wifi"),
        ("test_a.py::test_b[../c d]", "test_a.py--test_b-..-c_d-79c457e3"),
        ("test_a.py::test_b[../c_d]", "test_a.py--test_b-..-c_d"),
    ],
)
def test_a_folder_is_named_after_its_test(test: str, name: str) -> None:
    """Without what a shell or a file system takes amiss; others never share it."""
    assert name_of(test) == name
    long = name_of(test + "\N{SNOWMAN}" * 300)
    assert len(os.fsencode(long)) < 255


LEAKING = """
import os, threading
KEPT = []

def inside(entered, over):
    entered.set()
    over.wait()

def test_leaks(lab):
    KEPT.append(lab.netns("a").listen(7000))

def test_holds(lab):
    KEPT.append(lab.netns("a").call(os.open, "/proc/thread-self/ns/net", os.O_RDONLY))

def test_stays(lab):
    entered, over = threading.Event(), threading.Event()
    KEPT.append(over)
    a = lab.netns("a")
    threading.Thread(target=a.call, args=(inside, entered, over), daemon=True).start()
    entered.wait()

def test_is_not_blamed(lab):
    lab.netns("a").listen(7000)

def test_leaves_a_daemon(lab):
    lab.netns("a").run(["sh", "-c", "setsid sleep 4718 &"])

def test_shares(module_lab):
    KEPT.append(module_lab.netns("a").listen(7001))
"""


def test_what_a_test_keeps_of_its_lab_is_told(pytester: pytest.Pytester) -> None:
    """Sockets, descriptors, threads; not what is only not closed yet, nor a process."""
    pytester.makepyfile(test_leak=LEAKING)
    result = run(pytester, "-W", "ignore::ResourceWarning")
    result.assert_outcomes(passed=6, errors=4)
    result.stdout.fnmatch_lines(
        [
            "left behind by the test: an open socket in `a` (descriptor *7000*)",
            "left behind by the test: descriptor * on the namespace `a`",
            "left behind by the test: a thread in `a` (netloom-call)",
            "left behind by a test of the module: an open socket in `a` (descriptor *7001*)",
        ]
    )


@on_a_machine
def test_a_mount_of_a_namespace_is_told() -> None:
    """One that a program has made for itself, and that outlives the lab."""
    lab = Lab()
    with lab:
        Path("/run/mine").touch()
        place = lab.netns("a").lab.context_of("a")
        syscalls.bind(f"/proc/thread-self/fd/{place.net}", "/run/mine")
        leaks = Leaks(lab)
    with leaks:
        assert leaks.found() == "a mount of `a` on /run/mine"


def test_a_missing_file_fails(pytester: pytest.Pytester) -> None:
    """That is no fault of the machine's."""
    pytester.makepyfile(test_no=GOOD.replace("two.yaml", "none.yaml"))
    result = run(pytester)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*no file `*none.yaml`*"])


def test_a_refusal_is_shown_where_the_test_asked_for_it(pytester: pytest.Pytester) -> None:
    """Without netloom's own frames; those of a bug are all there."""
    pytester.makepyfile(
        test_it="""
        import pytest, netloom

        def test_twice(lab):
            lab.netns("a")
            lab.netns("a")

        @pytest.mark.netloom(netloom.parse("namespaces: {a: {networks: lan}}"))
        def test_wrong(lab): pass

        def test_bug(lab):
            lab.netns([1])
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=2, errors=1)
    result.stdout.fnmatch_lines(["E   *TopologyError: namespaces.a: `a` is in the lab already"])
    result.stdout.fnmatch_lines(["*no network `lan`*"])
    _, _, shown = result.stdout.str().partition("_ test_twice _")
    twice, _, bug = shown.partition("_ test_bug _")
    assert "netloom/api" not in twice
    assert "netloom/api/builder.py" in bug
    assert "During handling" not in result.stdout.str()


@pytest.mark.parametrize("words", ["", "'a.yaml', timeout=1", "'a.yaml', 'b.yaml'"])
def test_a_mark_takes_one_topology(pytester: pytest.Pytester, words: str) -> None:
    """What it has no use for is told, and not passed over."""
    text = f"import pytest\n@pytest.mark.netloom({words})\ndef test_it(lab): pass\n"
    pytester.makepyfile(test_it=text)
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the mark netloom takes one topology and nothing else*"])


def test_a_shell_in_the_lab_of_a_test_that_failed(pytester: pytest.Pytester) -> None:
    """On the terminal, in the first namespace, until it is left."""
    pytester.makepyfile(test_it="def test_fails(lab):\n    lab.netns('a', 'b')\n    assert 0\n")
    argv = [sys.executable, "-m", "pytest", *PLUGIN, "--netloom-shell-on-failure", "-q"]
    words = ["script", "-qec", shlex.join(argv), "/dev/null"]
    typed = "ip netns identify; echo left; exit\n"
    done = ran(*words, stdin=typed, env={**os.environ, "SHELL": "/bin/sh"}, check=False)
    assert "test_it.py::test_fails failed. A shell in `a` of a, b; leave it" in done.stdout
    lines = done.stdout.splitlines()
    assert lines[lines.index("left") - 1].endswith(" a")  # behind the prompt
    assert "1 failed" in done.stdout


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


@pytest.mark.long
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
