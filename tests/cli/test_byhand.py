"""`attach identify pids del --wait --kill`: real processes, threads, descriptors and sockets."""

import errno
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.namespaces import registry
from netloom.namespaces.deletion import DeletionWatch
from netloom.namespaces.handle import Handle, open_name
from netloom.namespaces.monitor import changes, watch
from netloom.namespaces.ownership import group_of
from netloom.namespaces.references import identity
from netloom.namespaces.terminate import Terminated, end
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import Ended as End
from tests.hosts.netloom import Warm, command, ended, netloom
from tests.hosts.programs import python, ran, says

LIVES = """
import os, sys
from netloom.kernel.syscalls import setns
setns(os.open(sys.argv[1], os.O_RDONLY | os.O_CLOEXEC))
"""
THREAD = """
import os, sys, threading
from netloom.kernel.syscalls import setns
moved, over = threading.Event(), threading.Event()
def move():
    fd = os.open(sys.argv[1], os.O_RDONLY | os.O_CLOEXEC)
    setns(fd)
    os.close(fd)
    print(threading.get_native_id(), flush=True)
    moved.set()
    over.wait()
threading.Thread(target=move, daemon=True).start()
moved.wait()
"""
FD = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print(fd, flush=True)
"""
SOCKET = """
import os, socket, sys
from netloom.kernel.syscalls import setns
ours, theirs = socket.socketpair()
if not os.fork():
    setns(os.open(sys.argv[1], os.O_RDONLY))
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    socket.send_fds(theirs, [b"here"], [made.fileno()])
    os._exit(0)
theirs.close()
_, fds, _, _ = socket.recv_fds(ours, 10, 1)
os.wait()
print(fds[0], flush=True)
"""
WAITS = "print('ready', flush=True); sys.stdin.read()\n"
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if not os.fork():
    sys.stdin.read()
    os._exit(0)
"""


class Process:
    """A process that does something first, and then waits to be ended."""

    def __init__(self, code: str, path: str) -> None:
        """Start it, and wait until it is ready."""
        argv = python(f"{code}\n{WAITS}", path)
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.number = int(first) if first != "ready\n" else 0
        assert not self.number or self.process.stdout.readline() == "ready\n"

    def end(self) -> int:
        """Let it go, and return its status."""
        self.process.communicate(timeout=30)
        return self.process.returncode


@contextmanager
def process(code: str, path: str = "/run/netns/web") -> Iterator[Process]:
    """Have a process for a while."""
    one = Process(code, path)
    try:
        yield one
    finally:
        one.end()


def web() -> str:
    """Make a namespace `web`, and return its file."""
    says("ip", "netns", "add", "web")
    return "/run/netns/web"


def said(*words: str) -> tuple[int, str]:
    """Return status and answer of netloom, which must not talk."""
    done = ended(*words)
    assert done.stderr == ""
    return done.returncode, done.stdout


def quiet(done: End) -> list[str]:
    """Return what netloom told, but for the note that a test's names are a test's own."""
    return [line for line in done.stderr.splitlines() if "not shared with the machine" not in line]


# ── identify ──────────────────────────────────────────────────────────────────────────────────────


@on_a_machine
def test_identify_tells_all_names_and_the_lab() -> None:
    """`ip netns identify` would print one of them."""
    path = web()
    says("ip", "-n", "web", "link", "set", "lo", "alias", "netloom:shop/web")
    with process(LIVES) as one:
        says("ip", "netns", "attach", "also", str(one.pid))

        assert said("identify", str(one.pid)) == (0, "also  lab shop\nweb  lab shop\n")
        assert said("identify", path) == (0, "also  lab shop\nweb  lab shop\n")
        facts = json.loads(said("identify", "--json", "web")[1])

    assert facts["names"] == ["also", "web"]
    assert facts["inode"] == Path(path).stat().st_ino
    assert facts["owner"] == {"kind": "lab", "lab": "shop"}


@on_a_machine
def test_identify_tells_who_lives_there() -> None:
    """Where no lab does: the first process, or that there is none."""
    path = web()

    assert said("identify", path) == (0, "web  nobody but its name holds it\n")
    with process(FD) as one:
        comm = Path(f"/proc/{one.pid}/comm").read_text().strip()
        how = f"web  descriptor {one.number} of process {one.pid} ({comm})"
        assert said("identify", path)[1].split(",")[0].strip() == how
    with process(LIVES) as one:
        comm = Path(f"/proc/{one.pid}/comm").read_text().strip()
        status, told = said("identify", str(one.pid))
        assert (status, told.split(",")[0].strip()) == (0, f"web  process {one.pid} ({comm})")


@on_a_machine
def test_identify_says_when_there_is_no_name() -> None:
    """Status 3, and how to give it one; in JSON, too."""
    web()
    with process(LIVES) as one:
        says("ip", "netns", "del", "web")
        comm = Path(f"/proc/{one.pid}/comm").read_text().strip()
        done = ended("identify", str(one.pid))
        facts = ended("identify", "--json", str(one.pid))

    first, hint = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (3, "")
    words = f"the namespace of process {one.pid} has no name: process {one.pid} ({comm})"
    assert first.split(",")[0] == words
    assert hint == f"hint: netloom attach NAME {one.pid}"
    assert facts.returncode == 3
    assert json.loads(facts.stdout)["names"] == []


@on_a_machine
def test_identify_without_words_is_about_this_namespace() -> None:
    """As `ip netns identify`; and under `netloom exec` it says the name."""
    web()

    assert ended("identify").stderr.startswith("this namespace has no name: where netloom runs\n")
    assert ran("ip", "netns", "exec", "web", *command("identify")).stdout == (
        "web  where netloom runs\n"
    )


@on_a_machine
def test_identify_refuses_what_is_none() -> None:
    """Before anything else: status 2 and a sentence."""
    web()

    netloom("identify", "wbe").stderr("no namespace `wbe`: did you mean `web`?\n").status(2)
    netloom("identify", "4194305").stderr("no process 4194305\n").status(2)
    netloom("identify", "/etc").stderr("`/etc` leads to no network namespace\n").status(2)
    netloom("identify", "/no").stderr("no file `/no`\n").status(2)


HEX = "0123456789ab" + "c" * 52


@pytest.mark.parametrize(
    ("path", "group"),
    [
        (f"/docker/{HEX}", "docker container 0123456789ab"),
        (f"/system.slice/docker-{HEX}.scope", "docker container 0123456789ab"),
        (f"/machine.slice/libpod-{HEX}.scope/container", "podman container 0123456789ab"),
        (f"/kubepods.slice/x.slice/cri-containerd-{HEX}.scope", "container 0123456789ab"),
        ("/lxc.payload.c1/init.scope", "LXC container c1"),
        ("/machine.slice/machine-deb.scope/payload", "machine deb"),
        ("/system.slice/nginx.service", "systemd unit nginx.service"),
        ("/user.slice/user-0.slice/session-3.scope", "systemd unit session-3.scope"),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service",
            "systemd unit x.service",
        ),
        ("/", None),
        ("/user.slice", None),
    ],
)
def test_control_groups_name_the_container_or_the_unit(path: str, group: str | None) -> None:
    """In the one tree of today, and in the many of old."""
    assert group_of(f"0::{path}\n") == group
    assert group_of(f"12:cpuset:/\n1:name=systemd:{path}\n0::/\n") == group


# ── attach, and the symbolic link ─────────────────────────────────────────────────────────────────


@on_a_machine
@pytest.mark.parametrize("by", ["pid", "path"])
def test_an_attached_name_outlives_the_process(by: str) -> None:
    """So `ip` finds there what it found before."""
    web()
    with process(LIVES) as one:
        what = str(one.pid) if by == "pid" else f"/proc/{one.pid}/ns/net"
        done = ended("attach", "kept", what)
        inode = Path(f"/proc/{one.pid}/ns/net").stat().st_ino
    says("ip", "netns", "del", "web")

    assert (done.returncode, quiet(done)) == (0, [])
    assert Path("/run/netns/kept").stat().st_ino == inode
    assert "LOOPBACK" in says("ip", "-n", "kept", "link", "show", "lo")


@on_a_machine
def test_attach_touches_nothing_when_it_refuses() -> None:
    """A name that is taken, none at all, a word of ours, and a source that is none."""
    web()
    own = str(os.getpid())

    taken = "there is a namespace `web` already\nhint: netloom del web\n"
    netloom("attach", "web", own).stderr(taken).status(2)
    assert ended("attach", "a/b", own).returncode == 2
    assert ended("attach", "host", own).returncode == 2
    netloom("attach", "new", "4194305").stderr("no process 4194305\n").status(2)
    netloom("attach", "new", "/etc").stderr("`/etc` leads to no network namespace\n").status(2)
    assert registry.names() == ["web"]


@on_a_machine
def test_a_symbolic_link_is_told_wherever_it_is_met() -> None:
    """`ls`, `identify` and `attach` say what it is worth and what to do; and that then works."""
    says("ip", "netns", "add", "web")
    with process(LIVES) as one:
        says("ip", "netns", "del", "web")
        target = f"/proc/{one.pid}/ns/net"
        Path("/run/netns/trap").symlink_to(target)
        worth = f"it holds nothing, and ends with process {one.pid}"
        hint = f"netloom del trap && netloom attach trap {one.pid}"
        whole = f"`trap` is only a symbolic link to `{target}`: {worth}\nhint: {hint}\n"

        netloom("ls").stdout("trap\n").stderr(f"note: {whole}").status(0)
        assert ended("identify", str(one.pid)).stderr == f"note: {whole}"
        netloom("attach", "trap", str(one.pid)).stderr(whole).status(2)
        for words in hint.replace("netloom ", "").split(" && "):
            assert ended(*words.split()).returncode == 0
        netloom("ls").stdout("trap\n").status(0)
    assert "LOOPBACK" in says("ip", "-n", "trap", "link", "show", "lo")


@on_a_machine
def test_a_symbolic_link_that_leads_nowhere_is_stale() -> None:
    """The process has ended, and the name is left."""
    says("mkdir", "/run/netns")
    Path("/run/netns/trap").symlink_to("/proc/4194305/ns/net")
    told = (
        "note: `trap` is only a symbolic link to `/proc/4194305/ns/net`, which is gone\n"
        "hint: netloom del trap\n"
    )

    netloom("ls").stdout("trap  stale\n").stderr(told).status(0)
    netloom("del", "trap").status(0)
    assert registry.names() == []


# ── pids ──────────────────────────────────────────────────────────────────────────────────────────


@on_a_machine
def test_pids_are_those_of_ip() -> None:
    """One in a line, so that `kill $(netloom pids web)` does what it says."""
    web()
    with process(LIVES) as one, process(LIVES) as other, process(FD):
        assert said("pids", "web") == (0, says("ip", "netns", "pids", "web"))
        rows = json.loads(said("pids", "--json", "web")[1])
    assert [row["pid"] for row in rows] == sorted((one.pid, other.pid))
    assert {*rows[0]} == {"pid", "command"}


@on_a_machine
def test_pids_find_threads_descriptors_and_sockets() -> None:
    """What `ip netns pids` does not see: each in words, and in JSON."""
    web()
    with process(THREAD) as thread, process(FD) as fd, process(SOCKET) as sock:
        assert said("pids", "web") == (0, "")
        rows = json.loads(said("pids", "web", "--threads", "--fds", "--sockets", "--json")[1])
        found = {row.pop("pid"): row for row in rows}
        words = said("pids", "--threads", "--fds", "--sockets", "web")[1].splitlines()
        only = said("pids", "--sockets", "web")[1].split()
    nothing = {"inside": False, "threads": [], "fds": [], "sockets": []}
    for one, key in ((thread, "threads"), (fd, "fds"), (sock, "sockets")):
        command = found[one.pid].pop("command")
        assert found.pop(one.pid) == {**nothing, key: [one.number]}
        way = {"threads": "thread", "fds": "fd", "sockets": "socket fd"}[key]
        assert f"{one.pid:7}  {command:15}  {way} {one.number}" in words
    assert found == {}
    assert only[0] == str(sock.pid)


@on_a_machine
def test_pids_of_no_namespace_are_refused() -> None:
    """And a stale name is told as such."""
    web()
    Path("/run/netns/old").touch(mode=0)

    netloom("pids", "wbe").stderr("no namespace `wbe`: did you mean `web`?\n").status(2)
    assert "no namespace is mounted on it" in ended("pids", "old").stderr


# ── del ───────────────────────────────────────────────────────────────────────────────────────────


@on_a_machine
@pytest.mark.parametrize(
    ("code", "way"),
    [(LIVES, ""), (THREAD, "thread {number} of "), (FD, "descriptor {number} of ")],
    ids=["process", "thread", "descriptor"],
)
def test_del_tells_who_keeps_a_namespace_alive(code: str, way: str) -> None:
    """The name is gone, and the namespace is not."""
    web()
    with process(code) as one:
        done = ended("del", "web")
        comm = Path(f"/proc/{one.pid}/comm").read_text().strip()
    way = way.format(number=one.number)
    told = f"note: what was `web` lives on: {way}process {one.pid} ({comm})\n"
    assert done == (0, "", told)
    assert registry.names() == []


@on_a_machine
def test_del_tells_of_another_name() -> None:
    """Otherwise one would look for a process."""
    path = web()
    ended("attach", "also", path)

    told = "note: what was `web` lives on: it is also named `also`\n"
    netloom("del", "web").stderr(told).status(0)
    netloom("del", "also").status(0)


@pytest.mark.needs("veth")
@on_a_machine
def test_del_waits_until_the_devices_are_gone() -> None:
    """So what follows may take their names: the far end of a wire is gone, too. No id is left."""
    for name in ("web", "db"):
        says("ip", "netns", "add", name)
        says("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "up", "netns", name)
    ids = says("ip", "netns", "list-id")

    netloom("del", "--wait", "web", "db").status(0)

    assert ids.count("nsid") == 2
    assert says("ip", "netns", "list-id") == ""
    assert "to-" not in says("ip", "link")


@on_a_machine
def test_del_waits_for_the_last_holder() -> None:
    """An event, when it ends."""
    web()
    one = Process(SOCKET, "/run/netns/web")
    watched = watch()
    waiting = subprocess.Popen(command("del", "--wait", "--timeout", "60", "web"))
    assert next(changes(watched)) == ("delete", "web")
    os.close(watched)
    assert waiting.poll() is None
    one.end()

    assert waiting.wait(60) == 0


@on_a_machine
def test_more_ends_at_once_than_the_kernel_keeps_are_found() -> None:
    """Where its notices overrun the socket, one look tells who is left; who goes after it is heard.

    Once the socket is overrun, the kernel drops without a word until all is read that it kept.
    """
    wanted = [f"n{number}" for number in range(30)]
    ran("ip", "-b", "-", stdin="".join(f"netns add {name}\n" for name in wanted))
    handles = [open_name(name) for name in wanted]
    first, then = slice(0, 20), slice(20, 30)
    with (
        DeletionWatch(handles) as gone,
        DeletionWatch(handles[first]) as early,
        DeletionWatch(handles[then]) as late,
    ):
        gone._events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        let_go(handles[first], wanted[first])
        assert early.wait(30) == set()
        with pytest.raises(OSError, match="No buffer space"):
            gone._events.recv(1)
        assert gone._look() == {*range(20, 30)}
        let_go(handles[then], wanted[then])
        assert late.wait(30) == set()

        assert gone.wait(30) == set()


def let_go(handles: Sequence[Handle], names: Sequence[str]) -> None:
    """Let go of namespaces, and of their names."""
    for handle, name in zip(handles, names, strict=True):
        handle.close()
        registry.remove(name)


@on_a_machine
@pytest.mark.parametrize("code", [LIVES, THREAD, FD, SOCKET], ids="LTFS")
def test_del_tells_who_held_it_when_time_is_over(code: str) -> None:
    """Also by a socket that came from another process; status 1."""
    web()
    with process(code) as one:
        done = ended("del", "--wait", "--timeout", "0.05", "web")

    assert done.returncode == 1
    assert f" {one.pid} (" in done.stderr.splitlines()[0]
    assert done.stderr.endswith("not gone after 0.05 s: web\n")


@on_a_machine
def test_del_ends_who_lives_there_and_nobody_else() -> None:
    """And tells whom; one that only holds a descriptor is told, and lives."""
    web()
    with process(FD) as holder:
        one = Process(LIVES, "/run/netns/web")
        comm = Path(f"/proc/{one.pid}/comm").read_text().strip()
        done = ended("del", "--kill", "web")

        assert one.end() == -signal.SIGTERM
        way = f"descriptor {holder.number} of process {holder.pid} ({comm})"
        assert done.stderr.splitlines() == [
            f"process {one.pid} ({comm}) ended by SIGTERM",
            f"note: what was `web` lives on: {way}",
        ]
        assert holder.process.poll() is None
    assert done.returncode == 0


@on_a_machine
def test_who_does_not_listen_is_killed_with_his_children() -> None:
    """SIGTERM first, then SIGKILL; each is told with the signal that ended it."""
    web()
    one = Process(f"{LIVES}{DEAF}", "/run/netns/web")
    with open_name("web") as netns:
        done = end({identity(netns.fd)}, grace=0.05)

        assert says("ip", "netns", "pids", "web") == ""
    assert one.end() == -signal.SIGKILL
    assert len(done) == 2
    assert {(each.signal, each.gone) for each in done} == {("SIGKILL", True)}
    assert one.pid in {each.pid for each in done}
    assert isinstance(done[0], Terminated)


@on_a_machine
def test_del_ends_nobody_in_a_namespace_that_stays() -> None:
    """The one that netloom runs in, and one that has another name."""
    path = web()
    ended("attach", "me", str(os.getpid()))
    ended("attach", "here", "/proc/self/ns/net")
    ended("attach", "also", path)
    with process(LIVES) as one:
        here = ended("del", "--kill", "here")
        both = ended("del", "--kill", "web")

        assert one.process.poll() is None
    assert (here.returncode, both.returncode) == (2, 2)
    assert "is the namespace that netloom runs in" in here.stderr
    assert "also mounted on /run/netns/also" in both.stderr
    assert registry.names() == ["also", "here", "me", "web"]
    assert ended("del", "--kill", "--wait", "web", "also").returncode == 0


@on_a_machine
def test_names_are_completed() -> None:
    """Where one is wanted; after `netns`, its verbs first."""
    web()

    assert completed("pids", "w") == ["web"]
    assert completed("identify", "w") == ["web"]
    assert completed("netns", "mo") == ["monitor"]
    assert completed("netns", "-j", "li") == ["list", "list-id"]
    assert completed("netns", "exec", "w") == ["web"]
    assert completed("del", "--w") == ["--wait"]


def completed(*words: str) -> list[str]:
    """Return what bash would offer for the last of `words`."""
    env = os.environ | {
        "_NETLOOM_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("netloom", *words)),
        "COMP_CWORD": str(len(words)),
    }
    return [line.partition(",")[2] for line in ran(*command(), env=env).stdout.splitlines()]


# ── errors on the way ─────────────────────────────────────────────────────────────────────


@on_a_machine
def test_names_are_all_made_or_none() -> None:
    """Whatever call fails on the way, what was made before is undone, and told so."""
    says("ip", "netns", "add", "mine")
    with Warm() as warm:
        calls = warm.calls("add", "a", "b", "c")
        warm("del", "a", "b", "c")
        for at, call in enumerate(calls, 1):
            ended = warm.refuse(at, errno.ENOBUFS, "add", "a", "b", "c")
            told = {1: "all that was done has been undone\n", 2: "cannot change /run/netns"}[
                ended["status"]
            ]
            assert told in ended["stderr"], (call, ended)
            assert (call, registry.names()) == (call, ["mine"])


@on_a_machine
def test_a_name_that_is_refused_is_no_file_either() -> None:
    """Whatever call of `attach` fails."""
    says("ip", "netns", "add", "mine")
    with Warm() as warm:
        calls = warm.calls("attach", "a", "/run/netns/mine")
        warm("del", "a")
        for at, call in enumerate(calls, 1):
            ended = warm.refuse(at, errno.ENOMEM, "attach", "a", "/run/netns/mine")
            assert (call, ended["status"] in {1, 2}) == (call, True)
            assert "Cannot allocate memory" in ended["stderr"]
            assert (call, registry.names()) == (call, ["mine"])


@on_a_machine
def test_del_goes_on_over_a_name_that_cannot_go() -> None:
    """It tells which, and all others are gone."""
    with Warm() as warm:
        warm("add", "a", "b", "c")
        calls = warm.calls("del", "a", "b", "c")
        for at, call in enumerate(calls, 1):
            warm("add", "a", "b", "c")
            ended = warm.refuse(at, errno.EIO, "del", "a", "b", "c")
            name = call[-1]
            told = f"cannot change /run/netns/{name}: Input/output error"
            assert (ended["status"], told in ended["stderr"]) == (1, True), (call, ended)
            assert (call, registry.names()) == (call, [name])
            warm("del", name)
