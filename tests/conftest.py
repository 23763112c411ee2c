"""What all shelves share: Hypothesis profiles, and what happens when the machine lacks an ability.

A test says what it needs by `@pytest.mark.needs("netns", "ping")` (the abilities stand in
`abilities.py`), or skips by itself. Locally that is a skip with its reason; with `--strict-host`,
and where CI=true, every skip is a failure: a green run then means that everything ran.
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.abilities import missing

# The dialect of the tests of the command line explains itself when an assertion in it fails.
pytest.register_assert_rewrite("tests.hosts.netloom")

# Under xdist several workers share the cores: a deadline for one example would measure the others.
settings.register_profile(
    "local", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci", settings.get_profile("local"), max_examples=100, derandomize=True, print_blob=True
)
# The same examples each time, and few: what `make quick` says changes only where the code did.
settings.register_profile("quick", settings.get_profile("ci"), max_examples=10, database=None)
settings.register_profile("thorough", settings.get_profile("local"), max_examples=5000)


def in_ci() -> bool:
    """Whether this run is one of continuous integration."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that turns skips into failures."""
    parser.addoption(
        "--strict-host",
        action="store_true",
        default=in_ci(),
        help="fail where a test would skip because this machine lacks an ability (default in CI)",
    )


def pytest_configure() -> None:
    """Choose a Hypothesis profile: HYPOTHESIS_PROFILE, or by where the run takes place."""
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if in_ci() else "local"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs this machine does not meet."""
    for mark in item.iter_markers("needs"):
        for ability in mark.args:
            if reason := missing(ability):
                pytest.skip(f"needs {ability}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where the host must be able to do everything."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.option.strict_host:
        report.outcome = "failed"
        report.longrepr = f"{_reason(report)}\n(a skip, which --strict-host and CI=true forbid)"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a module that skips as a whole."""
    report = yield
    if report.skipped and collector.config.option.strict_host:
        report.outcome = "failed"
        report.longrepr = f"{_reason(report)}\n(a skip, which --strict-host and CI=true forbid)"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
