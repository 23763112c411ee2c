"""What a lab costs a Python program: made, used for one ping, and let go of; alone and in tests.

The same by the fixture that people write: `ip netns`, each command a process.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

TESTS = 200

ONE = """
import statistics, time
from netloom import Lab, parse
from netloom.lab.probes import probe
topology = parse("links: [[a:eth0 10.0.0.1/24, b:eth0 10.0.0.2/24]]")
def one():
    begun = time.perf_counter()
    with Lab(topology) as lab:
        assert lab["a"].call(probe, "", "10.0.0.2", "ping", 0, 1.0)
    return time.perf_counter() - begun
for _ in range(5):
    one()
print(statistics.median(one() for _ in range(100)))
"""
LAB = """
import pytest
@pytest.mark.parametrize("n", range({tests}))
def test_it(lab, n):
    a, b = lab.netns("a", "b")
    lab.wire("a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24")
    assert a.reaches("10.0.0.2")
"""
IP = """
import os, subprocess, pytest

def ip(*words):
    subprocess.run(["ip", *words], check=True)

@pytest.fixture
def pair():
    a, b = (f"{{name}}-{{os.getpid()}}" for name in "ab")
    for name in (a, b):
        ip("netns", "add", name)
    ip("link", "add", f"v{{os.getpid()}}", "type", "veth", "peer", "name", f"w{{os.getpid()}}")
    for name, link, address in ((a, "v", "10.0.0.1/24"), (b, "w", "10.0.0.2/24")):
        ip("link", "set", f"{{link}}{{os.getpid()}}", "netns", name, "name", "eth0")
        ip("-n", name, "addr", "add", address, "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
    yield a, b
    for name in (a, b):
        ip("netns", "del", name)

@pytest.mark.parametrize("n", range({tests}))
def test_it(pair, n):
    ip("netns", "exec", pair[0], "ping", "-qc1", "-W1", "10.0.0.2")
"""


def measured() -> dict[str, float]:
    """Return seconds: of one lab, and of a run of tests with labs, with `ip netns`, and without."""
    done = subprocess.run(
        [sys.executable, "-c", ONE], capture_output=True, text=True, check=True, timeout=60
    )
    found = {"Lab(), two namespaces, a ping, released": float(done.stdout)}
    empty = "import pytest\n@pytest.mark.parametrize('n', range({tests}))\ndef test_it(n): pass\n"
    texts = {"lab": LAB, "ip netns": IP, "nothing": empty}
    walls: dict[str, list[float]] = {name: [] for name in texts}
    for _ in range(3):
        for name, text in texts.items():
            walls[name].append(_run(text))
    return found | {f"pytest -n 2, {TESTS} tests, {n}": median(w) for n, w in walls.items()}


def _run(text: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(text.format(tests=TESTS))
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", folder],
            check=True,
            capture_output=True,
            cwd=folder,
            timeout=300,
        )
        return time.perf_counter() - begun
