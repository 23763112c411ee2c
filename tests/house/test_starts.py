"""What a command imports is most of what it costs: who loads what, by name."""

import subprocess
import sys

import pytest

STANDARD = {"collections", "contextlib", "enum", "functools", "re", "typing"}
READERS = {"netloom.compile.lower", "netloom.language.parse", "yaml"}


def loaded(module: str) -> set[str]:
    """Return the modules that come with one, beside those that Python begins with."""
    code = f"import sys; own = set(sys.modules); import {module}; print(*set(sys.modules) - own)"
    argv = [sys.executable, "-c", code]
    return set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("netloom.namespaces.run", STANDARD | {"msgspec", "socket", "threading"}),
        ("netloom.engine.verify", READERS),
        ("netloom.engine.down", READERS),
        ("netloom.language.parse", {"netloom.language.spans", "netloom.language.syntax"}),
    ],
)
def test_a_module_does_without_what_it_seldom_needs(module: str, without: set[str]) -> None:
    """`exec` loads hardly anything, who looks or takes away reads no file, mistakes are seldom."""
    assert loaded(module) & without == set()
