"""What a lab costs a Python program: made, used for one ping, and let go of; alone and in tests.

The same by the fixture that people write: `ip netns`, each command a process.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from statistics import median

from bench.subjects import FLOOR

TESTS = 200

ONE = """
import statistics, time
from netloom import Lab, parse
topology = parse("links: [[a:eth0 10.0.0.1/24, b:eth0 10.0.0.2/24]]")
def one():
    begun = time.perf_counter()
    with Lab(topology) as lab:
        assert lab["a"].reaches("10.0.0.2")
    return time.perf_counter() - begun
for _ in range(5):
    one()
print(statistics.median(one() for _ in range(100)))
"""
CHAIN = """
import time
from netloom import Lab
begun = time.perf_counter()
with Lab() as lab:
    names = [lab.netns(f"n{number}").name for number in range(50)]
    for near, far in zip(names, names[1:]):
        lab.wire(near, far)
    print(time.perf_counter() - begun)
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


PYROUTE2 = """
import os, subprocess, pytest
from pyroute2 import IPRoute, NetNS, netns

@pytest.fixture
def pair():
    names = [f"{{name}}-{{os.getpid()}}" for name in "ab"]
    near, far = f"v{{os.getpid()}}", f"w{{os.getpid()}}"
    for name in names:
        netns.create(name)
    with IPRoute() as ipr:
        ipr.link("add", ifname=near, kind="veth", peer={{"ifname": far}})
        for name, link in zip(names, (near, far)):
            ipr.link("set", index=ipr.link_lookup(ifname=link)[0], net_ns_fd=name)
    for number, (name, link) in enumerate(zip(names, (near, far)), 1):
        with NetNS(name) as ns:
            index = ns.link_lookup(ifname=link)[0]
            ns.addr("add", index=index, address=f"10.0.0.{{number}}", prefixlen=24)
            ns.link("set", index=index, state="up")
            ns.link("set", index=1, state="up")
    yield names
    for name in names:
        netns.remove(name)

@pytest.mark.parametrize("n", range({tests}))
def test_it(pair, n):
    argv = ["ip", "netns", "exec", pair[0], "ping", "-qc1", "-W1", "10.0.0.2"]
    subprocess.run(argv, check=True)
"""
MUNET = """
import asyncio, logging, pytest
from munet.base import BaseMunet

@pytest.fixture
def pair(tmp_path):
    logging.disable(logging.CRITICAL)
    lab = BaseMunet(rundir=tmp_path)
    a, b = lab.add_host("a"), lab.add_host("b")
    lab.add_link(a, b, "eth0", "eth0")
    a.cmd_raises("ip addr add 10.0.0.1/24 dev eth0")
    b.cmd_raises("ip addr add 10.0.0.2/24 dev eth0")
    yield a
    asyncio.run(lab.async_delete())

@pytest.mark.parametrize("n", range({tests}))
def test_it(pair, n):
    pair.cmd_raises("ping -qc1 -W1 10.0.0.2")
"""
IPERF = """
import json, subprocess, sys
from netloom import Lab
def flow(server, client):
    argv = ["iperf3", "--server", "--one-off", "--forceflush", "--port", "5201"]
    listening = server(argv)
    words = ["iperf3", "--client", "10.0.0.2", "--time", sys.argv[1], "--json"]
    done = client(words)
    listening.wait()
    return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]
def by_hand():
    for line in '''
ip netns add hand-a
ip netns add hand-b
ip link add eth0 netns hand-a type veth peer name eth0 netns hand-b
ip -n hand-a addr add 10.0.0.1/24 dev eth0
ip -n hand-b addr add 10.0.0.2/24 dev eth0
ip -n hand-a link set eth0 up
ip -n hand-b link set eth0 up
'''.strip().splitlines():
        subprocess.run(line.split(), check=True)
    inside = lambda name: ["ip", "netns", "exec", name]
    start = lambda argv: ready(subprocess.Popen([*inside("hand-b"), *argv], stdout=-1))
    ask = lambda argv: subprocess.run([*inside("hand-a"), *argv], stdout=-1, check=True)
    found = flow(start, ask)
    for name in ("hand-a", "hand-b"):
        subprocess.run(["ip", "netns", "del", name], check=True)
    return found
def ready(process):
    process.stdout.readline(), process.stdout.readline()  # "Server listening on 5201"
    return process
def in_a_lab():
    with Lab() as lab:
        a, b = lab.netns("a", "b")
        lab.wire("a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24")
        start = lambda argv: b.popen(argv, ready="tcp/5201", stdout=-3)
        return flow(start, lambda argv: a.run(argv, stdout=-1, check=True))
found = {"hand": [], "lab": []}
for _ in range(11):
    found["hand"].append(by_hand())
    found["lab"].append(in_a_lab())
print(json.dumps(found))
"""

FEW = 10
"""Tests of a peer that takes seconds for each."""


def measured() -> dict[str, float]:
    """Return seconds: of one lab, and of a run of tests with labs, with each peer, and without."""
    done = subprocess.run(
        [sys.executable, "-c", ONE], capture_output=True, text=True, check=True, timeout=60
    )
    chain = float(_says(sys.executable, "-c", CHAIN))
    floor = float(json.loads(_says(str(FLOOR), "lab", "100"))["total"])
    found = {
        "the floor: two namespaces, a ping, released": floor,
        "Lab(), two namespaces, a ping, released": float(done.stdout),
        "Lab(), a chain of 50, by 99 words": chain,
    }
    empty = "import pytest\n@pytest.mark.parametrize('n', range({tests}))\ndef test_it(n): pass\n"
    texts = {"nothing": empty, "lab": LAB, "ip netns": IP, "pyroute2": PYROUTE2, "munet": MUNET}
    walls: dict[str, list[float]] = {name: [] for name in texts if _runs(name)}
    failed = dict.fromkeys(walls, 0)
    for _ in range(3):
        for name, seconds in walls.items():
            count = FEW if name == "munet" else TESTS
            took, failures = _run(texts[name], count)
            seconds.append(took * TESTS / count)
            failed[name] += failures
    for name, seconds in walls.items():
        of_them = f" ({failed[name]} failed)" if failed[name] else ""
        found[f"pytest -n 2, {TESTS} tests, {name}{of_them}"] = median(seconds)
    return found | _throughput()


def _says(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout


def _runs(name: str) -> bool:
    return name not in {"pyroute2", "munet"} or find_spec(name) is not None


def _throughput() -> dict[str, float]:
    """Return what iperf3 carries through a lab's wire, as a part of what one by hand carries."""
    if not which("iperf3"):
        return {}
    said = json.loads(_says(sys.executable, "-c", IPERF, "2"))
    return {"iperf3, through a lab's wire ÷ by hand": median(said["lab"]) / median(said["hand"])}


def _run(text: str, tests: int) -> tuple[float, int]:
    """Return the seconds that tests took, and how many failed: a peer's ping may be lost.

    Ours must not, and what cannot even begin is measured for nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(text.format(tests=tests))
        begun = time.perf_counter()
        # munet finds its processes by their numbers: they need a /proc of their own.
        own = ["unshare", "--pid", "--fork", "--mount-proc"] if "munet" in text else []
        done = subprocess.run(
            [
                *own,
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-n",
                "2",
                "-p",
                "no:cacheprovider",
                folder,
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=300,
        )
        seconds = time.perf_counter() - begun
    failures = int((re.search(r"(\d+) failed", done.stdout) or ["", "0"])[1])
    if done.returncode and (text == LAB or not 0 < failures < tests):
        sys.exit(f"tests failed that shall be measured:\n{done.stdout[-4000:]}")
    return seconds, failures
