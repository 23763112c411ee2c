"""The pytest plugin: fixtures `lab`, `module_lab` and `session_lab`, and the mark `netloom`.

    def test_it(lab):                              @pytest.mark.netloom("shop.yaml")
        a, b = lab.netns("a", "b")                 def test_it(lab):
        lab.wire(a, b)                                 assert lab["web"].reaches("db", 5432)
        assert a.reaches(b)

Rule: nothing of netloom is imported until a test asks for a lab.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netloom.api.evidence import Recorder
    from netloom.api.lab import Lab
    from netloom.language.parse import Source
    from netloom.language.topology import Topology

    TopologyLike = str | Path | Topology | Source | None

_OURS = str(Path(__file__).parent)

_REFUSED = pytest.StashKey[str]()
_LABS = pytest.StashKey["list[Recorder]"]()
_KEPT = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("netloom", "labs of network namespaces")
    group.addoption(
        "--netloom-strict",
        action="store_true",
        help="fail where this machine cannot make labs, in place of skipping",
    )
    group.addoption(
        "--netloom-shell-on-failure",
        action="store_true",
        help="open a shell in the first namespace of the lab of a test that failed",
    )
    group.addoption(
        "--netloom-evidence",
        metavar="DIR",
        default=".netloom",
        help="where the evidence of failed tests is put (.netloom)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    line = "netloom(topology): the topology of the test's lab, a file beside the test or a Topology"
    config.addinivalue_line("markers", line)


@pytest.fixture
def netloom_topology(request: pytest.FixtureRequest) -> "TopologyLike":
    """Return the topology of the test's lab: what its mark says; may be overridden."""
    return _marked(request)


@pytest.fixture
def lab(request: pytest.FixtureRequest, netloom_topology: "TopologyLike") -> "Iterator[Lab]":
    """Return a lab of the test's own, empty if no mark says what is in it."""
    with _lab(request, netloom_topology) as made:
        yield made


@pytest.fixture(scope="module")
def module_lab(request: pytest.FixtureRequest) -> "Iterator[Lab]":
    """Return a lab that the tests of a module share; the module's mark says what is in it."""
    with _lab(request, _marked(request)) as made:
        yield made


@pytest.fixture(scope="session")
def session_lab(request: pytest.FixtureRequest) -> "Iterator[Lab]":
    """Return an empty lab that all tests of a session (of an xdist worker) share."""
    with _lab(request, None) as made:
        yield made


def _marked(request: pytest.FixtureRequest) -> "TopologyLike":
    mark = request.node.get_closest_marker("netloom")
    if mark and (len(mark.args) != 1 or mark.kwargs):
        msg = f"the mark netloom takes one topology and nothing else: {mark.args}, {mark.kwargs}"
        pytest.fail(msg, pytrace=False)
    argument: TopologyLike = mark.args[0] if mark else None
    return request.path.parent / argument if isinstance(argument, str | Path) else argument


@contextmanager
def _lab(request: pytest.FixtureRequest, topology: "TopologyLike") -> "Iterator[Lab]":
    """Make a lab, skip or fail where this machine cannot, and see that nothing of it is left."""
    _check(request.config)
    from netloom.api.evidence import Recorder
    from netloom.api.lab import Lab
    from netloom.api.leaks import Leaks

    with ExitStack() as stack:
        with ExitStack() as opening:
            with _told():
                watched = Recorder(Lab(topology))
                request.node.stash.setdefault(_LABS, []).append(watched)
                opening.enter_context(watched.opened())
            yield watched.lab
            leaks = stack.enter_context(Leaks(watched.lab, watched.sockets()))
        found = leaks.found()
    if found:
        whom = "the test" if request.scope == "function" else f"a test of the {request.scope}"
        pytest.fail(f"left behind by {whom}: {found}", pytrace=False)


@contextmanager
def _told() -> Iterator[None]:
    """Fail with what netloom refuses, without the frames that lead there: none is the test's."""
    from netloom.errors import NetloomError

    try:
        yield
    except NetloomError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _check(config: pytest.Config) -> None:
    """Skip, or fail if told to be strict, where this machine makes no labs."""
    if _REFUSED not in config.stash:
        from netloom.errors import Unavailable
        from netloom.namespaces.context import new_context

        config.stash[_REFUSED] = ""
        try:
            new_context().close()
        except Unavailable as error:
            config.stash[_REFUSED] = f"netloom: {error}"
    if reason := config.stash[_REFUSED]:
        if config.getoption("--netloom-strict"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin anew what is kept of labs that are there before the test."""
    if _KEPT in item.stash:  # of an attempt before
        del item.stash[_KEPT]
    for watched in _watched(item):
        watched.begin()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what a failed test leaves to look at, while its labs are still there."""
    if call.excinfo:
        _hide_ours(call.excinfo)
    report = yield
    watched = _watched(item)
    if watched and report.failed:
        _look_closer(item, report, watched)
    if watched and report.when == "teardown":
        _let_go(item)
    return report


def _hide_ours(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Have netloom's own frames hidden where it refuses something (pytest: `__tracebackhide__`)."""
    for entry in excinfo.traceback:
        if str(entry.path).startswith(_OURS):
            entry.frame.f_globals["__tracebackhide__"] = _is_refusal


def _is_refusal(excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether netloom refuses something; what a bug raises keeps all its frames."""
    from netloom.errors import NetloomError

    return isinstance(excinfo.value, NetloomError)


def _watched(item: pytest.Item) -> "list[Recorder]":
    return [one for node in item.listchain() for one in node.stash.get(_LABS, [])]


def _let_go(item: pytest.Item) -> None:
    """Forget the labs that are over."""
    for node in item.listchain():
        labs = node.stash.get(_LABS, [])
        for one in [one for one in labs if not one.is_open]:
            labs.remove(one)
            one.close()


def _look_closer(item: pytest.Item, report: pytest.TestReport, watched: "list[Recorder]") -> None:
    """Keep the evidence of a failure, and open a shell if that was asked for."""
    from netloom.api import evidence

    top = Path(item.config.rootpath, item.config.getoption("--netloom-evidence"))
    words = str(report.longrepr)
    try:
        folder = item.stash.get(_KEPT, None)
        if folder:  # the same attempt has failed before
            evidence.add(folder, words)
        else:
            folder = item.stash[_KEPT] = evidence.keep(top, item.nodeid, watched, words)
        told = f"evidence: {evidence.described(folder)}"
    except OSError as error:
        told = f"no evidence was kept: {error}"
    report.sections.append(("netloom", told))
    is_worker = hasattr(item.config, "workerinput")  # of xdist, which has no terminal
    if (
        item.config.getoption("--netloom-shell-on-failure")
        and not is_worker
        and watched[-1].is_open
    ):
        capture = item.config.pluginmanager.getplugin("capturemanager")
        capture.suspend_global_capture(in_=True)
        try:
            evidence.shell(watched[-1].lab, report.nodeid)
        finally:
            capture.resume_global_capture()
