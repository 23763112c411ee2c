"""The registry of names: what `ip netns` sees of ours, and we of its."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from netloom.errors import KernelError, Unavailable
from netloom.kernel import procfs, syscalls
from netloom.kernel.loopback import set_lo_up
from netloom.namespaces import registry
from netloom.namespaces.enter import cookie, in_thread
from netloom.namespaces.handle import NoSuchNetns, open_name
from tests.hosts.machine import mount_points, on_a_machine
from tests.hosts.programs import living, python, ran, says

NASTY = ("ö-ü-日本", "-x", "--help", "with space", "x" * 200, "é" * 127, "new\nline", "1234")

ALONE = """
from netloom.kernel import syscalls
from netloom.namespaces import registry
registry.prepare()
syscalls.unshare(syscalls.CLONE_NEWNET)
registry.publish("web")
"""
"""The same on one thread: strace counts the calls of each thread by itself."""

CREATE = """
import sys
from netloom.namespaces import registry
registry.prepare()
registry.create(sys.argv[1])
"""


def listed() -> set[str]:
    """Return the names that `ip netns` lists."""
    return set(says("ip", "netns", "list").splitlines())


def mounts_of(name: str) -> int:
    """Return how often a name is among the mounts."""
    found = procfs.mounts(procfs.mountinfo(), registry.NETNS_DIR)
    return sum(mount.point == f"{registry.NETNS_DIR}/{name}" for mount in found)


@on_a_machine
def test_ip_sees_what_we_made() -> None:
    """A name of ours is a name of `ip netns`, its `lo` is up, and it is mounted once."""
    registry.prepare()
    registry.create("web")

    assert listed() == {"web"}
    assert "LOOPBACK,UP" in says("ip", "-n", "web", "link", "show", "lo")
    assert mounts_of("web") == 1


@on_a_machine
def test_we_see_what_ip_made() -> None:
    """And the other way round."""
    says("ip", "netns", "add", "web")

    assert registry.names() == ["web"]
    assert registry.is_netns("/run/netns/web")
    with open_name("web") as web:
        assert cookie(web) > 0


@on_a_machine
def test_ip_deletes_what_we_made_and_we_what_it_made() -> None:
    """Neither leaves a file or a mount of the other's behind."""
    registry.prepare()
    registry.create("ours")
    says("ip", "netns", "add", "its")

    says("ip", "netns", "del", "ours")
    registry.remove("its")

    assert registry.names() == []
    assert mounts_of("ours") + mounts_of("its") == 0


@on_a_machine
def test_first_ip_then_we_then_ip_again_leaves_one_mount_each() -> None:
    """Whoever prepares /run/netns first, the other finds it done."""
    says("ip", "netns", "add", "one")
    registry.prepare()
    registry.create("two")
    says("ip", "netns", "add", "three")
    registry.prepare()

    assert [mounts_of(name) for name in ("one", "two", "three")] == [1, 1, 1]
    assert mount_points("/run/netns ") == ["/run/netns tmpfs"]


@on_a_machine
def test_a_name_is_mounted_once_where_run_is_shared() -> None:
    """On a systemd machine /run is shared; without a peer group of its own each name came twice."""
    syscalls.propagation("/run", syscalls.MS_SHARED)

    registry.prepare()
    registry.create("web")

    assert mounts_of("web") == 1


@on_a_machine
def test_names_are_seen_from_other_mount_namespaces() -> None:
    """That is what the shared mount is for: a service with mounts of its own sees new names."""
    registry.prepare()
    with living("unshare", "-m", "--propagation=unchanged") as other:
        registry.create("web")

        assert "/run/netns/web " in Path(f"/proc/{other}/mounts").read_text()
        registry.remove("web")
        assert "/run/netns/web " not in Path(f"/proc/{other}/mounts").read_text()


@on_a_machine
@pytest.mark.parametrize("name", NASTY)
def test_any_file_name_is_a_name(name: str) -> None:
    """Unicode, spaces, a hyphen first, 254 bytes: whatever `ip netns` takes."""
    registry.prepare()

    registry.create(name)

    assert registry.names() == [name]
    assert name.splitlines()[0] in says("ip", "netns", "list")
    assert mounts_of(name) == 1
    registry.remove(name)
    assert registry.names() == []


@on_a_machine
def test_names_come_in_order() -> None:
    """The directory's order is by chance."""
    registry.prepare()
    for name in ("c", "a", "b"):
        registry.create(name)

    assert registry.names() == ["a", "b", "c"]


@on_a_machine
def test_without_a_directory_there_are_no_names() -> None:
    """Looking changes nothing: it is not made."""
    assert registry.names() == []
    assert not Path(registry.NETNS_DIR).exists()


@on_a_machine
def test_a_name_that_is_taken_is_left_as_it_is() -> None:
    """Neither the namespace there nor a stale file is touched."""
    registry.prepare()
    registry.create("web")
    with open_name("web") as web:
        before = cookie(web)

    with pytest.raises(Unavailable, match="the name `web` is taken"):
        registry.create("web")

    with open_name("web") as web:
        assert cookie(web) == before
    assert mounts_of("web") == 1


@on_a_machine
def test_a_refused_mount_leaves_no_file() -> None:
    """The name is there only if the namespace is."""
    registry.prepare()

    with pytest.raises(KernelError, match="mount --bind /nowhere"):
        registry.attach("web", "/nowhere")

    assert registry.names() == []


@on_a_machine
def test_one_namespace_may_have_two_names() -> None:
    """As `ip netns attach` has it; taking one away leaves the other."""
    registry.prepare()
    registry.create("web")
    registry.attach("alias", "/run/netns/web")

    with open_name("web") as web, open_name("alias") as alias:
        assert cookie(web) == cookie(alias)
    registry.remove("web")
    assert registry.is_netns("/run/netns/alias")


@on_a_machine
def test_removing_a_stale_name_removes_the_file() -> None:
    """It is how a killed `add` is tidied up."""
    registry.prepare()
    Path("/run/netns/old").touch(mode=0)

    registry.remove("old")

    assert registry.names() == []


@on_a_machine
def test_a_name_that_is_mounted_twice_goes_with_one_removal() -> None:
    """Whoever mounts something on a name of ours keeps it for nobody."""
    registry.prepare()
    registry.create("web")
    syscalls.bind("/run/netns/web", "/run/netns/web")

    registry.remove("web")

    assert os.listdir("/run/netns") == []


@on_a_machine
def test_removing_follows_no_link() -> None:
    """A link in /run/netns goes, and what it leads to stays mounted."""
    registry.prepare()
    registry.create("web")
    Path("/run/netns/link").symlink_to("/run/netns/web")

    registry.remove("link")

    assert registry.names() == ["web"]
    assert registry.is_netns("/run/netns/web")


@on_a_machine
def test_removing_what_is_not_there_is_told() -> None:
    """The name is in the refusal."""
    registry.prepare()
    with pytest.raises(NoSuchNetns, match="no namespace `web`"):
        registry.remove("web")


@on_a_machine
def test_eight_first_users_at_once_mount_the_directory_once() -> None:
    """Without the lock they stack mounts on mounts (Debian #949235)."""
    users = [subprocess.Popen(python(CREATE, f"n{i}")) for i in range(7)]
    users.append(subprocess.Popen(["ip", "netns", "add", "n7"]))

    assert [user.wait(60) for user in users] == [0] * 8
    assert mount_points("/run/netns ") == ["/run/netns tmpfs"]
    assert [mounts_of(f"n{i}") for i in range(8)] == [1] * 8


@on_a_machine
@pytest.mark.needs("strace")
def test_a_killed_add_leaves_at_most_a_file_that_is_plainly_stale(tmp_path: Path) -> None:
    """Killed before each of its mounts in turn, what it leaves is told from a namespace."""
    left = []
    for when in range(1, 9):
        kill = ["-e", "trace=mount", "-e", f"inject=mount:signal=KILL:when={when}"]
        log = ["-o", str(tmp_path / "log")]
        done = ran("strace", "-f", *log, *kill, *python(ALONE), check=False)
        left.append([registry.is_netns(f"/run/netns/{name}") for name in registry.names()])
        if done.returncode == 0:
            break
        for name in registry.names():
            registry.remove(name)
        with suppress(KernelError):
            syscalls.unmount(registry.NETNS_DIR)

    assert left[-1] == [True], "the last run was not killed, and made it"
    assert [False] in left[:-1], "one was killed between file and mount"
    assert all(made in ([], [False]) for made in left[:-1])
    assert mount_points("/run/netns ") == ["/run/netns tmpfs"]


@on_a_machine
def test_a_private_run_is_noticed() -> None:
    """A machine played by a thread is one: names bound here are invisible to process 1."""
    registry.prepare()

    assert registry.private()


def test_the_machine_itself_is_not_private() -> None:
    """Where names are bound for all, nothing is to be said."""
    if procfs.oldest_forebear() is None:
        pytest.skip("needs a forebear that may be looked into")
    assert not registry.private()


@on_a_machine
def test_under_ip_netns_exec_names_are_private() -> None:
    """`ip netns exec` gives each call mounts of its own: what is bound there is lost outside."""
    says("ip", "netns", "add", "web")
    code = CREATE + "print(registry.private())"

    said = says("ip", "netns", "exec", "web", *python(code, "in"))

    assert said == "True\n"
    assert registry.names() == ["in", "web"]
    assert not registry.is_netns("/run/netns/in"), "only the file is to be seen from here"


@on_a_machine
def test_a_thousand_names_cost_system_calls_and_no_more() -> None:
    """Nothing is read again for each name: ten times the names take about ten times as long."""
    registry.prepare()

    def published(many: range) -> int:
        before = os.times()
        for number in many:
            registry.publish(f"n{number}")
        after = os.times()
        return round(1000 * (after.user + after.system - before.user - before.system))

    first, rest = published(range(100)), published(range(100, 1100))

    assert len(registry.names()) == 1100
    assert rest < 40 * (first + 10)


@on_a_machine
def test_lo_is_set_up_in_the_namespace_of_the_thread() -> None:
    """And nowhere else."""

    def flags() -> str:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        before = says("ip", "-o", "link", "show", "lo")
        set_lo_up()
        return before + says("ip", "-o", "link", "show", "lo")

    before, after = in_thread(flags).splitlines()

    assert "<LOOPBACK>" in before
    assert "<LOOPBACK,UP,LOWER_UP>" in after
    assert "<LOOPBACK>" in says("ip", "-o", "link", "show", "lo")
