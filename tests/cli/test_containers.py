"""Root without what it takes, as in a container: what is lacking is named, and nothing is touched.

Capabilities are dropped by setpriv(1), and /proc/sys is mounted read-only, as engines do it.
"""

import os

import pytest

from netloom.kernel import syscalls
from netloom.namespaces.rights import NET_ADMIN, SYS_ADMIN, SYS_CHROOT
from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.programs import FORBIDDEN, python, ran, says
from tests.hosts.witness import no_trace

PAIR = "links: [[aa, bb]]\n"
LAN = "networks: {lan: {subnet: 10.20.0.0/24}}\nnamespaces: {web: {networks: [lan]}}\n"
LIVE = """
from netloom import Lab, Unavailable
try:
    with Lab() as lab:
        a, b = lab.netns("a", "b")
        lab.wire(a, b)
        print("lives", bool(a.reaches(b)))
except Unavailable as error:
    print("Unavailable:", error.reason)
"""
VERBS = {
    "plan": ("plan", "pair.yaml"),
    "up": ("up", "pair.yaml"),
    "down": ("down", "there"),
    "verify": ("verify", "there"),
    "undo": ("undo", "there"),
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to drop what it has")


def without(*lacks: str) -> list[str]:
    """Return how a command is run by a root that lacks capabilities."""
    dropped = ",".join(f"-{name.lower()}" for name in lacks)
    return ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}", "--"]


def make_read_only() -> None:
    """Have /proc/sys read-only on the calling thread's machine, as engines have it."""
    syscalls.bind("/proc/sys", "/proc/sys")
    ran("mount", "-o", "remount,bind,ro", "/proc/sys")


@needs_root
@pytest.mark.parametrize("lacks", [(SYS_ADMIN,), (NET_ADMIN,), (NET_ADMIN, SYS_ADMIN)])
@on_a_host
def test_the_capability_that_root_lacks_is_named(lacks: tuple[str, ...]) -> None:
    """By each verb of labs, with status 2, and by those that make things by hand."""
    write("pair.yaml", PAIR)
    netloom("up", "-q", "--name", "there", "-", stdin="namespaces: [cc]\n").status(0)
    said = f"this root has no {' and no '.join(f'CAP_{name}' for name in lacks)}"
    flags = " ".join(f"--cap-add {name}" for name in lacks)
    with no_trace():
        for name, words in VERBS.items():
            done = ran(*without(*lacks), *command(*words), check=False)
            first, hint, last = done.stderr.splitlines()
            assert (done.returncode, first, last) == (2, said, "nothing was touched"), name
            assert all(flag in hint for flag in lacks), hint
        by_hand: tuple[tuple[str, ...], ...] = (("add", "x"), ("wire", "cc", "host"))
        for each in by_hand:
            done = ran(*without(*lacks), *command(*each), check=False)
            assert done.returncode in {1, 2}, done
            assert f"{said}" in done.stderr, done
            assert flags in done.stderr or "give it" in done.stderr, done
            assert "run it as root" not in done.stderr, done
    netloom("down", "-q", "there").status(0)


@needs_root
@on_a_host
def test_a_command_alone_has_a_network_without_capabilities() -> None:
    """In a user namespace, where root has all of them; so has the lab of a Python program."""
    for lacks in ((SYS_ADMIN,), (NET_ADMIN,), (SYS_CHROOT,)):
        assert ran(*without(*lacks), *command("run", "true")).returncode == 0
        assert ran(*without(*lacks), *python(LIVE)).stdout == "lives True\n", lacks


@needs_root
@pytest.mark.parametrize("lacks", [SYS_ADMIN, NET_ADMIN, SYS_CHROOT])
@on_a_host
def test_a_lab_of_a_program_is_refused_by_what_is_lacking(lacks: str) -> None:
    """Where user namespaces are forbidden as well: `Lab()` raises what it is said to raise."""
    done = ran(*python(FORBIDDEN, *without(lacks), *python(LIVE)))
    assert done.stdout == f"Unavailable: this root has no CAP_{lacks}\n"


@needs_root
@on_a_host
def test_a_persistent_lab_needs_all_of_them() -> None:
    """It stands where others see it: no namespace of its own would do."""
    program = LIVE.replace("Lab()", "Lab(persistent=True)")
    for lacks in (SYS_ADMIN, NET_ADMIN, SYS_CHROOT):
        done = ran(*without(lacks), *python(program))
        assert done.stdout == f"Unavailable: this root has no CAP_{lacks}\n"


@on_a_host
def test_a_read_only_proc_sys_is_told_before_anything_is_touched() -> None:
    """With what makes it writable, which works; what sets nothing needs none of that."""
    write("pair.yaml", PAIR)
    write("lan.yaml", LAN)
    make_read_only()
    said = "/proc/sys is mounted read-only, and net.ipv6.conf.all.disable_ipv6 is to be set\n"
    remedy = "mount -o remount,rw,bind /proc/sys"
    with no_trace():
        sysctl = "namespaces: {a: {sysctls: {net.ipv6.conf.all.disable_ipv6: 1}}}\n"
        for verb, text in (("plan", LAN), ("up", LAN), ("plan", sysctl)):
            done = ended(verb, "--name", "x", "-", stdin=text)
            assert done.returncode == 2
            assert done.stderr.startswith(f"{said}hint: {remedy}"), done
        netloom("up", "-q", "pair.yaml").status(0)
        netloom("verify", "pair").stdout("pair  is as it was applied\n").status(0)
        netloom("down", "-q", "pair").status(0)
        lab = LIVE.replace("lab.wire(a, b)", 'lab.network("lan")')
        assert ran(*python(lab)).stdout.startswith("Unavailable: /proc/sys is mounted read-only")
    says(*remedy.split())
    with no_trace():
        netloom("up", "-q", "lan.yaml").status(0)
        netloom("down", "-q", "lan").status(0)
