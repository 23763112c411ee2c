"""Becoming a command inside a namespace: what `ip netns exec` shows, and what it loses."""

import os
import pty
import select
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from netloom.errors import KernelError
from netloom.kernel import procfs, syscalls
from netloom.namespaces import mounts, registry
from netloom.namespaces.handle import open_pid, open_self
from tests.hosts.machine import etc_file, mount_points, on_a_machine
from tests.hosts.programs import EXEC, in_own_root, plainly, python, ran, says

IP = ("ip", "netns", "exec")
RUN = """
import sys
from netloom.namespaces import isolate, run
try:
    isolate.run_isolated(sys.argv[1:])
except run.NotStarted as error:
    sys.exit(error.status)
"""
SHELL = """
import sys
from netloom.namespaces import shell
shell.shell_in(sys.argv[1], tell=print)
"""


def ours(*argv: str) -> list[str]:
    """Return the command that runs `argv` (a name, then words) as `netloom exec` does."""
    return python(EXEC, *argv)


def web() -> None:
    """Make a namespace with a wire and a file of its own, by `ip` alone."""
    says("ip", "netns", "add", "web")
    says("ip", "-n", "web", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    etc_file("web", "hosts", "192.0.2.1 inside\n")
    etc_file("web", ".hidden", "found\n")
    Path("/etc/.hidden").touch()


@on_a_machine
@pytest.mark.parametrize(
    "script",
    [
        "ls /sys/class/net",
        "cat /etc/hosts /etc/.hidden /etc/resolv.conf",
        "ip -br link | cut -d' ' -f1",
        "cat /sys/class/net/v0/mtu",
        "readlink /proc/self/ns/net",
        "env | sort",
        "ls /proc/self/fd",
        "grep -E Sig[BIC] /proc/self/status",
        "pwd; id; umask; ulimit -a",
        "grep -c . /run/netns/web; ls /run/netns",
    ],
)
def test_a_command_sees_what_ip_netns_exec_shows_it(script: str) -> None:
    """Interfaces, files of its own, environment, descriptors, signals: nothing tells Python."""
    web()

    assert says(*ours("web", "sh", "-c", script)) == says(*IP, "web", "sh", "-c", script)


@on_a_machine
def test_the_environment_is_handed_on_untouched() -> None:
    """In the C locale Python puts an LC_CTYPE into its own environment, which nobody asked for."""
    web()
    env = {"PATH": os.environ["PATH"], "LANG": "C"}

    its = ran(*IP, "web", "env", env=env).stdout
    found = ran(*ours("web", "env"), env=env).stdout

    assert sorted(found.splitlines()) == sorted(its.splitlines())


@on_a_machine
def test_what_is_mounted_on_sys_is_kept() -> None:
    """`ip netns exec` hides cgroups, bpf and tracing: `docker` and `systemctl` then fail inside."""
    web()
    for kind, point in (("bpf", "/sys/fs/bpf"), ("tmpfs", "/sys/fs/pstore")):
        if Path(point).is_dir():
            syscalls.mount(kind, kind, point)
    before = mount_points("/sys")

    words = says(*ours("web", "cat", "/proc/self/mountinfo")).splitlines()
    inside = sorted(f"{w[4]} {w[w.index('-') + 1]}" for w in map(str.split, words))

    assert [line for line in inside if line.startswith("/sys")] == before
    assert len(before) > 1


@on_a_machine
def test_exec_within_exec_does_not_pile_up_mounts() -> None:
    """However deep, there is one /sys, that of the innermost namespace."""
    web()
    says("ip", "netns", "add", "other")

    deep = says(*ours("web", *ours("other", *ours("web", "cat", "/proc/self/mounts"))))

    assert sum(line.split()[1] == "/sys" for line in deep.splitlines()) == 1
    assert "v0" in says(*ours("other", *ours("web", "ls", "/sys/class/net")))


@on_a_machine
def test_mounts_do_not_leave_the_command() -> None:
    """Neither its /sys nor its files nor what it mounts itself reaches the machine."""
    web()
    syscalls.propagation("/", syscalls.MS_SHARED, recursive=True)
    before = mount_points()

    ran(*ours("web", "mount", "-t", "tmpfs", "none", "/mnt"))

    assert mount_points() == before
    assert Path("/etc/hosts").read_text() == "127.0.0.1 localhost\n"


@on_a_machine
def test_an_entry_without_a_target_is_told_and_no_more() -> None:
    """The same line as from `ip netns exec`, and the command runs (D08)."""
    web()
    etc_file("web", "nowhere", "")

    its, found = ran(*IP, "web", "echo", "on"), ran(*ours("web", "echo", "on"))

    assert (found.stdout, found.stderr) == (its.stdout, its.stderr)
    assert "Bind /etc/netns/web/nowhere -> /etc/nowhere failed" in found.stderr


@on_a_machine
def test_a_link_in_etc_netns_is_followed() -> None:
    """A lab's hosts file is a link into /run/netloom."""
    web()
    target = Path("/run/netloom/files/x")
    target.parent.mkdir(parents=True)
    target.write_text("192.0.2.2 linked\n")
    Path("/etc/netns/web/hosts").unlink()
    Path("/etc/netns/web/hosts").symlink_to(target)

    assert says(*ours("web", "cat", "/etc/hosts")) == "192.0.2.2 linked\n"


@on_a_machine
def test_files_may_also_stand_in_run() -> None:
    """Where /etc cannot be written they do; the machine's own win, unless they lead nowhere."""
    web()
    own = Path("/run/netloom/etc/web")
    own.mkdir(parents=True)
    for name in ("hosts", "resolv.conf", ".hidden"):
        (own / name).write_text("from run\n")
    Path("/etc/netns/web/.hidden").unlink()
    Path("/etc/netns/web/.hidden").symlink_to("/nowhere")

    found = ran(*ours("web", "cat", "/etc/hosts", "/etc/resolv.conf", "/etc/.hidden"))

    assert found.stdout == "192.0.2.1 inside\nfrom run\nfrom run\n"
    assert found.stderr == ""


@on_a_machine
@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("true",), 0),
        (("sh", "-c", "kill -TERM $$"), -signal.SIGTERM),
        (("no-such-command",), 127),
        (("/no/such/command",), 127),
        (("/etc",), 126),
        (("/etc/hosts",), 126),
    ],
)
def test_the_status_is_the_commands_own(argv: tuple[str, ...], status: int) -> None:
    """And 126 or 127 where there is none, as in a shell."""
    web()

    assert ran(*ours("web", *argv), check=False).returncode == status


@on_a_machine
def test_a_script_without_a_first_line_runs(tmp_path: Path) -> None:
    """execvp(3) gives it to sh, and so `ip netns exec` does; in PATH as well."""
    web()
    script = tmp_path / "script"
    script.write_text('echo "script $1"\n')
    script.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    assert says(*ours("web", str(script), "x")) == says(*IP, "web", str(script), "x")
    assert ran(*ours("web", "script", "y"), env=env).stdout == "script y\n"


@on_a_machine
def test_the_command_takes_the_place_of_netloom() -> None:
    """No process waits around it: signals, terminal and job control are the command's own."""
    web()
    with subprocess.Popen(ours("web", "sh", "-c", "echo $$"), stdout=-1, text=True) as process:
        assert process.communicate()[0] == f"{process.pid}\n"


@on_a_machine
def test_a_broken_pipe_ends_the_command() -> None:
    """Python ignores SIGPIPE, and what it starts would inherit that: `yes | head` never ended."""
    web()

    assert says(*ours("web", "sh", "-c", "yes | head -n 1")) == "y\n"


@on_a_machine
def test_a_name_with_spaces_and_hyphens_can_be_entered() -> None:
    """Whatever `ip netns add` takes, `exec` enters."""
    for name in ("-x", "ö ü", "x" * 200):
        registry.prepare()
        registry.create(name)
        assert says(*ours(name, "echo", "in")) == "in\n"


@on_a_machine
def test_an_old_sys_is_kept_where_a_new_one_is_refused() -> None:
    """A user namespace that sees only part of /sys may not mount it; the command runs."""
    says("ip", "netns", "add", "web")
    part = 'mount -t tmpfs none /sys/kernel; mount -t tmpfs none /run; exec "$@"'
    code = f"""
import os
from netloom.namespaces import registry
registry.prepare()
registry.create('in')
import subprocess, sys
inside = (sys.executable, *{ours("in", "cat", "/proc/self/mounts")[1:]!r})
print(subprocess.run(inside, capture_output=True, text=True, check=True).stdout)
"""
    whole = ["sh", "-c", part, "sh", *in_own_root(plainly(code))]

    mounts = says(*whole)

    assert "sysfs /sys sysfs" in mounts
    assert "in /sys sysfs" not in mounts


@on_a_machine
@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_a_shell_shows_in_its_prompt_where_it_is(shell: str, tmp_path: Path) -> None:
    """The user's own prompt stays, with the name before it, and no file is left for that."""
    if not Path(shell).exists():
        pytest.skip(f"needs {shell}")
    web()
    (tmp_path / ".bashrc").write_text("PS1='me> '\nPROMPT_COMMAND='PS1=\"me too> \"'\n")
    env = {"SHELL": shell, "HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "dumb"}

    said = on_a_terminal(
        python(SHELL, "web"), env, "echo $NETLOOM_NETNS $(ls /proc/self/fd); exit 5\n"
    )

    assert "[web] me too> " in said if shell == "/bin/bash" else "[web] # " in said
    assert "web 0 1 2 3\r\n" in said
    assert said.endswith("status 5")


def on_a_terminal(argv: list[str], env: dict[str, str], typed: str) -> str:
    """Return what a terminal shows of a command that is typed into, and its status."""
    ours_end, its_end = pty.openpty()
    shown = b""
    with subprocess.Popen(
        argv, stdin=its_end, stdout=its_end, stderr=its_end, env=env, start_new_session=True
    ) as process:
        os.close(its_end)
        os.write(ours_end, typed.encode())
        while select.select([ours_end], [], [], 20)[0]:
            try:
                shown += os.read(ours_end, 4096)
            except OSError:  # EIO: nobody holds the other end any more
                break
    os.close(ours_end)
    return f"{shown.decode()}status {process.returncode}"


@on_a_machine
def test_run_gives_a_network_with_lo_up_and_nothing_else() -> None:
    """And a /sys that shows it."""
    script = "ip -br link; ls /sys/class/net; ping -c1 -W2 127.0.0.1 >/dev/null && echo pong"

    said = says(*python(RUN, "sh", "-c", script)).split()

    assert said[:2] == ["lo", "UNKNOWN"]
    assert said[-2:] == ["lo", "pong"]


@on_a_machine
def test_run_leaves_nothing() -> None:
    """No name, no mount, no file: after its end, and after SIGKILL."""
    before = (mount_points(), sorted(Path("/run").iterdir()))

    ran(*python(RUN, "sh", "-c", "ip link add v0 type veth; exit 3"), check=False)
    with subprocess.Popen(python(RUN, "sh", "-c", "echo; exec cat"), stdin=-1, stdout=-1) as killed:
        assert killed.stdout
        assert killed.stdout.read(1)
        with open_pid(killed.pid) as inside, open_self() as here:
            assert inside.inode != here.inode
        killed.kill()

    assert killed.returncode == -signal.SIGKILL
    assert (mount_points(), sorted(Path("/run").iterdir())) == before


@on_a_machine
def test_run_ends_with_the_status_of_its_command() -> None:
    """Which takes its place."""
    assert ran(*python(RUN, "sh", "-c", "exit 9"), check=False).returncode == 9
    assert ran(*python(RUN, "no-such-command"), check=False).returncode == 127


@pytest.mark.needs("userns", "ip")
@pytest.mark.parametrize("nested", [False, True], ids=["as a plain user", "in unshare -Urnm"])
def test_run_needs_no_rights(nested: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """It makes itself a user namespace, unless it is in one in which it is root already."""
    argv = plainly(RUN, "sh", "-c", "id -u; ip -br link; ls /sys/class/net")

    said = says(*(in_own_root(argv) if nested else argv)).split()

    assert said[:3] == ["0", "lo", "UNKNOWN"]
    assert said[-1] == "lo"


@pytest.mark.needs("userns", "ip")
def test_a_plain_user_in_a_user_namespace_has_it_all() -> None:
    """Names, `exec` with its own /sys and files, `ip netns` on the same names, without a right."""
    look = python(EXEC, "web", "sh", "-c", "ls /sys/class/net; cat /etc/hosts")
    code = f"""
import pathlib, subprocess, sys
from netloom.namespaces import registry
def says(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
registry.prepare()
registry.create('web')
says('ip', 'netns', 'add', 'its')
says('ip', '-n', 'web', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1')
own = pathlib.Path('/run/netloom/etc/web')
own.mkdir(parents=True)
(own / 'hosts').write_text('192.0.2.9 mine')
print(says(sys.executable, *{look[1:]!r}).split(), registry.names(), registry.private())
print(says('ip', 'netns', 'list').split())
"""
    first, second = says(*in_own_root(plainly(code))).splitlines()

    assert first == "['lo', 'v0', 'v1', '192.0.2.9', 'mine'] ['its', 'web'] True"
    assert sorted(second.strip("[]").replace("'", "").split(", ")) == ["its", "web"]


@on_a_machine
def test_etc_is_bound_by_a_thread_with_mounts_of_its_own() -> None:
    """The calling thread moves, the others stay."""
    web()
    seen = []

    def inside() -> None:
        mounts.own_mounts("web")
        assert mounts.bind_etc("web") == []
        seen.append(Path("/etc/hosts").read_text())

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()

    assert seen == ["192.0.2.1 inside\n"]
    assert Path("/etc/hosts").read_text() == "127.0.0.1 localhost\n"


def test_mount_points_are_read_with_their_escapes() -> None:
    """Spaces and backslashes come as octal numbers, and only the topmost mount's children count."""
    text = b"""\
1 0 0:1 / / rw shared:1 - ext4 /dev/vda rw
23 1 0:22 / /sys rw - sysfs sysfs rw
31 23 0:28 / /sys/old rw - tmpfs tmpfs rw
40 23 0:22 / /sys rw shared:7 master:2 - sysfs sysfs rw
41 40 0:28 / /sys/a\\040b\\134c rw - tmpfs tmpfs rw
42 41 0:29 / /sys/a\\040b\\134c/deep rw - tmpfs tmpfs rw
43 1 0:30 / /system rw - tmpfs tmpfs rw
"""
    assert procfs.tops_below(text, "/sys") == ["/sys/a b\\c"]
    assert [mount.peers for mount in procfs.mounts(text, "/sys")] == [0, 0, 7, 0, 0]
    assert [mount.id for mount in procfs.mounts(text, "/system")] == [43]


def test_mount_points_are_read_without_a_codec_that_has_to_be_loaded() -> None:
    """In the middle of a change there may be no descriptor left for its file."""
    code = """
import sys
from netloom.kernel import procfs
print(procfs.unescaped(b"/sys/a\\\\040b"), "encodings.unicode_escape" in sys.modules)
"""
    assert says(*python(code)) == "/sys/a b False\n"


def test_an_unknown_directory_has_no_mounts() -> None:
    """Where /sys is not mounted at all, there is nothing to keep."""
    assert procfs.tops_below(b"1 0 0:1 / / rw - ext4 /dev/vda rw\n", "/sys") == []


@on_a_machine
def test_unmounting_what_is_not_mounted_is_refused() -> None:
    """EINVAL, which callers forgive where it does no harm."""
    syscalls.unmount("/run")

    with pytest.raises(KernelError, match="umount -l /run/netns: "):
        syscalls.unmount("/run/netns")
