"""A refusal in the middle of `up`: which step, what the kernel said, and nothing is left.

And everything else that makes a machine say no half-way: somebody quicker, no room, a limit.
"""

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_no_trace import FIRST
from tests.hosts.host import on_a_host
from tests.hosts.netloom import Warm, command, ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import differences, look, no_trace

COKE = """\
links:
  - [host:veth0 10.0.0.1/24, coke:veth1 10.0.0.2/24]
namespaces:
  coke: {KEYS}
"""


def coke(keys: str) -> str:
    """Return a lab with the host in it, whose namespace has these keys."""
    write("coke.yaml", COKE.replace("{KEYS}", keys))
    return "coke.yaml"


@on_a_host
def test_a_sysctl_with_a_bad_value_undoes_all() -> None:
    """The step, the kernel's word, the command that it equals; only the link itself refuses it."""
    file = coke("{sysctls: {net.ipv6.conf.veth1.mtu: 9000}}")

    with no_trace():
        netloom("up", file).stderr(
            "`~ sysctl coke net.ipv6.conf.veth1.mtu=9000` was refused: Invalid argument\n"
            "  as a command: ip netns exec coke sysctl -qw net.ipv6.conf.veth1.mtu=9000\n"
            "  all that was done before it has been undone\n"
        ).status(1)


@on_a_host
def test_a_route_that_the_kernel_refuses_is_told_with_its_own_words() -> None:
    """The extended ack: a broadcast address is no gateway."""
    file = coke("{routes: 10.9.0.0/16 via 10.0.0.255}")

    with no_trace():
        status, said, talk = ended("up", file)
    assert (status, said) == (1, "")
    assert re.search(r"^`\+ route coke 10\.9\.0\.0/16 .*Nexthop has invalid gateway", talk)
    assert "all that was done before it has been undone" in talk


@on_a_host
def test_a_change_that_is_refused_leads_back_to_the_lab_as_it_was() -> None:
    """Not to nothing: the lab was up before."""
    file = coke("{sysctls: {net.ipv4.ip_default_ttl: 99}}")
    netloom("up", "-q", file).status(0)
    with no_trace():
        coke("{routes: 10.9.0.0/16 via 10.0.0.255, sysctls: {net.ipv4.ip_default_ttl: 98}}")
        assert ended("up", file).returncode == 1
        netloom("verify", "coke").stdout("coke  is as it was applied\n").status(0)


@on_a_host
def test_a_name_that_is_taken_in_a_race_undoes_all_but_the_other_s() -> None:
    """Between our look and our deed somebody makes a link of the name that we wanted."""
    file = coke("{}")
    theirs = ["ip", "link", "add", "veth0", "type", "bridge"]
    with Warm() as warm:
        before = look()
        answer = warm.meanwhile("pending.new", theirs, "up", file)
        assert answer["status"] == 1
        assert "`+ link host:veth0 = coke:veth1` was refused: File exists\n" in answer["stderr"]
        assert "undone" in answer["stderr"]
        assert "bridge" in says("ip", "-d", "link", "show", "veth0")
        says("ip", "link", "del", "veth0")
        assert differences(before, look()) == ""


@on_a_host
def test_a_namespace_name_that_is_taken_in_a_race_undoes_all_but_the_other_s() -> None:
    """Likewise in /run/netns: the other's namespace stays, with what is in it."""
    file = coke("{}")
    with Warm() as warm:
        answer = warm.meanwhile("pending.new", ["ip", "netns", "add", "coke"], "up", file)
        assert answer["status"] == 1
        assert "`+ netns coke` was refused" in answer["stderr"]
        assert says("ip", "netns", "list") == "coke\n"
        says("ip", "netns", "del", "coke")
        warm("down", file)
        assert warm("labs")["stdout"] == ""


@pytest.mark.parametrize("what", ["nr_inodes", "size"])
@on_a_host
def test_no_room_below_run_leaves_nothing(what: str) -> None:
    """From no room at all to just enough: refused or undone each time, with the reason."""
    says("mount", "-t", "tmpfs", "-o", "mode=755", "work", "/mnt")
    os.chdir("/mnt")
    write("first.yaml", FIRST)
    statuses: list[int] = []
    with Warm() as warm:
        while 0 not in statuses:
            room = f"{len(statuses) + 2}" if what == "nr_inodes" else f"{4 * len(statuses) + 4}k"
            says("mount", "-t", "tmpfs", "-o", f"mode=755,{what}={room}", "run", "/run")
            before = look()
            answer = warm.ask(["up", "first.yaml"])
            statuses.append(answer["status"])
            if answer["status"]:
                assert "No space left on device" in answer["stderr"]
            else:
                warm("down", "first.yaml")
            assert differences(before, look()) == "", (room, answer)
            ran("umount", "-l", "/run/netns", check=False)
            says("umount", "-l", "/run")
    assert sorted(statuses, reverse=True) == [*statuses[:-1], 0]
    assert set(statuses) == {2, 1, 0}


@on_a_host
def test_down_works_without_room_below_run() -> None:
    """It must not need the disk in order to free it."""
    write("first.yaml", FIRST)
    says("mount", "-o", "remount,size=64m", "/run")
    before = look()
    netloom("up", "-q", "first.yaml").status(0)
    free = os.statvfs("/run").f_bavail * os.statvfs("/run").f_frsize
    says("mount", "-o", f"remount,size={os.statvfs('/run').f_frsize * _used_blocks()}", "/run")
    assert os.statvfs("/run").f_bavail == 0 < free

    netloom("down", "-q", "shop").status(0)

    says("mount", "-o", "remount,size=64m", "/run")
    assert differences(before, look()) == ""


@on_a_host
def test_a_run_that_is_read_only_is_told_and_nothing_is_lost() -> None:
    """Who changes something is told what to do, and who looks sees it all: root has the right."""
    write("first.yaml", FIRST)
    netloom("up", "-q", "first.yaml").status(0)
    says("mount", "-o", "remount,ro", "/run")
    before = look()
    changing = [("up", "first.yaml"), ("down", "shop"), ("undo", "shop"), ("add", "x")]
    told = [netloom(*words).ended for words in changing]
    netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
    assert netloom("labs").ended.stdout.startswith("shop  ")

    assert [one.returncode for one in told] == [2] * 4
    for one in told:
        assert one.stderr.startswith("/run is mounted read-only\nhint: mount -o remount,rw /run\n")
    assert differences(before, look()) == ""
    says("mount", "-o", "remount,rw", "/run")
    netloom("down", "-q", "shop").status(0)


@on_a_host
def test_a_part_of_run_that_is_read_only_is_told_by_its_path() -> None:
    """Root has the right to write, and there is room: neither is what is told."""
    write("first.yaml", FIRST)
    netloom("up", "-q", "first.yaml").status(0)
    for path, said in (
        ("/run/netloom", "/run/netloom is mounted read-only\nhint: mount -o remount,rw"),
        ("/run/netloom/labs/shop", "cannot write below /run/netloom/labs/shop: Read-only file"),
    ):
        says("mount", "--bind", path, path)
        says("mount", "-o", "remount,bind,ro", path)
        told = ended("undo", "shop")
        says("umount", path)

        assert told.returncode == 2, told.shown
        assert told.stderr.startswith(said)
        assert "room" not in told.stderr
    netloom("down", "-q", "shop").status(0)


def _used_blocks() -> int:
    facts = os.statvfs("/run")
    return facts.f_blocks - facts.f_bfree


@on_a_host
@pytest.mark.needs("userns")
def test_a_limit_of_namespaces_undoes_all() -> None:
    """user.max_net_namespaces of a user namespace: there is room for two of three at most.

    The one that is made to see what a new one inherits is counted until the kernel has cleared it.
    """
    untried = FIRST.replace(", sysctls: {net.ipv4.ip_default_ttl: 99}", "")
    script = f"""
    echo 3 >/proc/sys/user/max_net_namespaces
    mount -t tmpfs run /run && mkdir /run/mount && cd /mnt
    find /run /etc | sort >before
    {shlex.join(command("up", "first.yaml"))} 2>said; echo $?
    find /run /etc | sort | grep -v ^/run/netns$ | diff before - && cat said
    """
    says("mount", "-t", "tmpfs", "work", "/mnt")
    Path("/mnt/first.yaml").write_text(untried)

    said = says("unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", script)

    first_lines = r"1\n`\+ netns (gw|a)` was refused: No space left on device\n"
    assert re.match(first_lines, said), said
    assert "undone" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@on_a_host
def test_a_signal_in_the_middle_of_a_large_up_leaves_nothing(number: int) -> None:
    """A whole netloom, stopped as soon as there is a namespace to be seen."""
    write("many.yaml", "namespaces:\n  n: {count: 150, networks: [lan]}\nnetworks: {lan: }\n")
    Path("/run/netns").mkdir()
    with (
        no_trace(),
        subprocess.Popen(
            command("up", "many.yaml"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        while not list(Path("/run/netns").iterdir()):
            assert process.poll() is None
        process.send_signal(number)
        said, talk = process.communicate(timeout=60)

    assert (process.returncode, said) == (130, "")
    assert talk == "interrupted; all that was done has been undone\n"
    assert not list(Path("/run/netns").iterdir())
