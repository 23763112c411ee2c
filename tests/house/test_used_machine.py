"""Tests pass on a machine that has been used: what it has is no fault of what is tested."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_coexistence_docker import dockerd
from tests.hosts.machine import etc_file, on_a_machine
from tests.hosts.netloom import ended
from tests.hosts.plain import may_make_a_tap

ROOT = Path(__file__).parents[2]
LOOKING = (
    "tests/cli/test_rootless.py",
    "tests/cli/test_rootless_uplink.py",
    "tests/cli/test_doctor.py",
    "tests/api/test_lab.py",
    "tests/api/test_attach.py",
)
"""Tests whose labs stand on the machine itself, or that count what there is."""

LAB = """\
name: shop
networks: {lan: }
namespaces: {a: {networks: [lan], run: exec sleep 1000}, web: {networks: [lan]}}
"""


@pytest.mark.long
@pytest.mark.needs("veth", "bridge", "dockerd", "iptables")
@on_a_machine
def test_tests_pass_on_a_machine_that_has_been_used() -> None:
    """A lab is up, others have files for `a` and `b`, an engine runs, everybody may make a tap."""
    for name in ("a", "b"):
        etc_file(name, "hosts", "192.0.2.7 mine\n")
        etc_file(name, "resolv.conf", "nameserver 192.0.2.99\n")
    may_make_a_tap()
    Path("/run/shop.yaml").write_text(LAB)
    assert ended("up", "-q", "/run/shop.yaml") == (0, "", "")

    with dockerd():
        pass_as_ever()
    assert "nothing to do" in ended("up", "/run/shop.yaml").stdout
    assert ended("down", "-q", "shop") == (0, "", "")


def pass_as_ever() -> None:
    """Run the tests, in as many processes as there are processors."""
    words = ("-q", "-n", "auto", "-m", "not long", "-p", "no:cacheprovider", *LOOKING)
    argv = (sys.executable, "-m", "pytest", *words)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
