"""`with Lab() as lab`: what a Python program makes, uses, and lets go of."""

import asyncio
import functools
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import netloom
from netloom import Lab, NotReady, TopologyError, Unavailable
from tests.hosts.machine import a_machine, within
from tests.hosts.programs import LIBRARIES, SRC, pids, python

pytestmark = pytest.mark.needs("userns", "veth", "bridge")

SERVER = "import socket, signal; s = socket.create_server(('', 80)); signal.pause()"


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Return an empty lab."""
    with Lab() as made:
        yield made


# ── building ──────────────────────────────────────────────────────────────────────────────────────


def test_words_are_those_of_the_file(lab: Lab) -> None:
    """The same keys, texts and numbers; changes act at once."""
    lab.network("lan", subnet="10.1.0.0/24")
    web = lab.netns("web", networks={"lan": "10.1.0.10"}, sysctls={"net.ipv4.ip_default_ttl": 99})
    db = lab.netns("db", networks=["lan"], hosts={"printer": "192.0.2.7"})
    lab.wire("web:up 10.2.0.1/24", "db:down 10.2.0.2/24", mtu=1400)

    assert web.ips == ("10.1.0.10", "10.2.0.1")
    assert db.ip_for(web) == "10.1.0.1"
    assert web.call(Path("/proc/sys/net/ipv4/ip_default_ttl").read_text) == "99\n"
    assert db.call(socket.gethostbyname, "printer") == "192.0.2.7"
    assert web.reaches(db)
    assert web.reaches("10.2.0.2")
    assert set(web.call(os.listdir, "/sys/class/net")) == {"lo", "lan", "up"}


def test_several_at_once_and_all_of_a_kind(lab: Lab) -> None:
    """Names give a tuple, a `count` a group, and a network knows its members."""
    a, b = lab.netns("a", "b")
    lab.network("lan")
    group = lab.netns("n", count=3, networks=["lan"])

    assert [one.name for one in group] == ["n1", "n2", "n3"]
    assert (a.name, b.name) == ("a", "b")
    assert [one.name for one in lab.members("n")] == ["n1", "n2", "n3"]
    assert lab.members("lan")[2].reaches(lab["n1"])
    assert "n4" not in lab
    with pytest.raises(KeyError):
        lab["n4"]
    with pytest.raises(KeyError):
        lab.members("m")


def test_what_is_removed_is_gone_and_can_come_again(lab: Lab) -> None:
    """With a namespace go its wires."""
    a, b, c = lab.netns("a", "b", "c")
    wire = lab.wire(a, b)
    lab.wire(b, c)
    lab.remove(wire)
    assert a.ips == ()
    lab.remove(c)
    assert "c" not in lab
    assert b.ips == ()
    lab.wire(a, b)
    assert a.reaches(b)


def test_a_name_is_enough_to_remove() -> None:
    """A namespace, a group or a network; of a lab that is wires alone, too."""
    with Lab(netloom.parse("links: [[a, b], [b, c]]")) as lab:
        lab.remove("a")
        assert [one.name for one in lab.all()] == ["b", "c"]
        assert lab["b"].reaches("c")
        lab.network("lan")
        lab.netns("n", count=2, networks=["lan"])
        lab.remove("n")
        lab.remove("lan")
        assert lab.snapshot().netns.keys() == {"b", "c", "host"}
        with pytest.raises(KeyError, match="no namespace `a` in the lab `lab`"):
            lab.remove("a")


def test_what_is_said_of_a_removed_namespace_names_it(lab: Lab) -> None:
    """Whatever is asked of it."""
    a = lab.netns("a")
    lab.remove(a)
    for ask in (
        lambda: a.ip,
        lambda: a.run(["true"]),
        lambda: a.reaches("b"),
        lambda: a.listen(80),
    ):
        with pytest.raises(KeyError, match="no namespace `a` in the lab `lab`"):
            ask()


def test_a_mistake_in_a_word_is_that_alone(lab: Lab) -> None:
    """Not that the word does not say what the lab has already."""
    lab.network("lan")
    with pytest.raises(TopologyError) as refused:
        lab.netns("x", networks={"lan": {"vlan": "10"}})
    assert [one.message for one in refused.value.problems] == [
        "`vlan` of network `lan` of namespace `x` is not built yet"
    ]


def test_a_file_is_a_lab(tmp_path: Path) -> None:
    """By its path, or read before; files that it names lie beside it."""
    path = tmp_path / "two.yaml"
    path.write_text("links: [[a, b]]\nnamespaces: {a: {etc: {motd: {file: m}}}, b: }\n")
    (tmp_path / "m").write_text("hello\n")
    for topology in (path, str(path), netloom.load(path)):
        with Lab(topology) as lab:
            assert lab.name == "two"
            lab.netns("c")
            lab.wire("c", "a")
            assert lab["a"].reaches(lab["c"])
    with Lab(netloom.parse("links: [[a, b]]"), name="other") as lab:
        assert lab.name == "other"
        assert lab["a"].reaches("b")


def test_a_mistake_is_shown_where_it_was_written() -> None:
    """In the text that was read, be the lab's name in it or not."""
    text = "# two\n\nlinks: [[a, b]]\nnamespaces:\n  b:\n  a: {routes: [default via 10.0.9.9]}\n"
    with pytest.raises(TopologyError) as refused, Lab(netloom.parse(text)):
        pass
    (mark,) = [problem.mark for problem in refused.value.problems]
    assert mark
    assert (mark.line, mark.text) == (6, "  a: {routes: [default via 10.0.9.9]}")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"networks": "nope"}, "no network `nope`"),
        ({"sysctls": {"kernel.x": 1}}, "`kernel.x` is no setting of a network namespace"),
        ({"routes": "default via nobody"}, "nobody"),
        ({"count": 0}, "0"),
    ],
)
def test_a_mistake_changes_nothing(lab: Lab, keys: dict[str, object], said: str) -> None:
    """It is refused as in a file, and the lab is as it was."""
    a = lab.netns("a")
    with pytest.raises(TopologyError) as refused:
        lab.netns("x", **keys)  # type: ignore[call-overload]
    assert said in str(refused.value)
    assert "x" not in lab
    for add in (lab.netns, lab.network):
        with pytest.raises(TopologyError, match="`a` is in the lab already"):
            add("a")
    with pytest.raises(TopologyError, match="`x` is given twice"):
        lab.netns("x", "x")
    lab.wire(a, lab.netns("b"))
    assert a.reaches("b")


def test_what_is_not_there_is_told(lab: Lab) -> None:
    """By its name, and what it would be."""
    a, *_ = lab.netns("a", "b")
    group = lab.netns("n", count=2)
    wire, lan = lab.wire("a", "b"), lab.network("lan")
    for thing in (wire, lan, lab["b"]):
        lab.remove(thing)
        with pytest.raises(KeyError, match="no "):
            lab.remove(thing)
    for gone in (wire, "lan", "b", "host"):
        with pytest.raises(KeyError, match=r"no .* in the lab|no wire between a and b"):
            lab.remove(gone)
    for one in (group[0], "n1"):
        with pytest.raises(KeyError, match="`n1` is one of `n`: one of a `count`"):
            lab.remove(one)
    with pytest.raises(KeyError, match="no namespace `b` in the lab `lab`"):
        lab["b"]
    with pytest.raises(KeyError, match="no network and no `count` group `m`"):
        lab.members("m")
    with pytest.raises(KeyError, match="no namespace `zz` in the lab"):
        a.reaches("zz:eth0")
    with pytest.raises(TypeError, match="takes one name or several"):
        lab.netns()  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"a list of words: \['ls', '-l'\]"):
        a.run("ls -l")
    with pytest.raises(ValueError, match="one word at least"):
        a.run([])
    several: tuple[tuple[str | list[str], ...], ...] = ((), ("a", []), ("a", "a"), ("n", "n1"))
    for sides in several:
        with pytest.raises(ValueError, match="of a partition"):
            lab.partition(*sides)


def test_the_host_of_a_lab_is_its_own(lab: Lab) -> None:
    """With nothing but `lo`, and what the lab hangs there."""
    lab.wire("host:x 10.0.0.1/24", lab.netns("a").name + ":y 10.0.0.2/24")
    assert set(lab["host"].call(os.listdir, "/sys/class/net")) == {"lo", "x"}
    assert lab["host"].reaches("10.0.0.2")


def test_what_a_program_does_by_hand_is_seen_by_the_next_change(lab: Lab) -> None:
    """Nothing is taken for granted once somebody was inside: in the host, in a namespace."""
    host = lab["host"]
    host.run(["ip", "link", "add", "mine", "type", "bridge"], check=True)
    a, b = lab.netns("a", "b")
    with pytest.raises(TopologyError, match="`host:mine` exists, and is not this lab's"):
        lab.wire("host:mine", a)
    lab.wire("a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24")
    a.run(["ip", "addr", "flush", "dev", "eth0"], check=True)
    assert not a.reaches("10.0.0.2", within=0.2)
    lab.wire("a:eth1 10.1.0.1/24", "b:eth1 10.1.0.2/24")
    assert a.reaches("10.0.0.2")
    b.run(["ip", "link", "del", "eth1"], check=True)
    lab.wire("host:eth0 10.2.0.1/24", "b:eth2 10.2.0.2/24")
    assert a.reaches("10.1.0.2")
    assert host.reaches("10.2.0.2")
    assert "mine" in host.call(os.listdir, "/sys/class/net")


def test_a_lab_of_wires_alone_grows(tmp_path: Path) -> None:
    """Who was never said but by a wire is there all the same, and every name stands for one."""
    path = tmp_path / "pair.yaml"
    path.write_text("links: [[a, b]]\nhosts: {printer: 192.0.2.7}\n")
    with Lab(path) as lab:
        lab.wire("b", "c")
        lab.netns("d")
        lab.wire("d", "a")
        assert lab["d"].reaches("a")
        assert lab["b"].reaches("c")
        for add in (lab.netns, lab.network):
            with pytest.raises(TopologyError, match="`b` is in the lab already"):
                add("b")
            with pytest.raises(TopologyError, match="`printer` is outside of the lab"):
                add("printer")
    with Lab(path) as lab, pytest.raises(TopologyError, match="`printer` is outside of the lab"):
        lab.wire("a", "printer")


def test_a_lab_that_is_not_open_refuses() -> None:
    """Before the block, after it, and twice at once."""
    lab = Lab()
    with pytest.raises(Unavailable, match="is not open"):
        lab.netns("a")
    with lab, pytest.raises(Unavailable, match="is open already"), lab:
        pass
    with pytest.raises(Unavailable, match="is not open"):
        lab.netns("a")
    lab.close()


def test_a_member_without_one_address_says_so(lab: Lab) -> None:
    """`ip` is never a guess."""
    a, b, c = lab.netns("a", "b", "c")
    with pytest.raises(ValueError, match="`a` has no address"):
        assert a.ip
    lab.wire(a, b)
    lab.wire(a, c)
    with pytest.raises(ValueError, match="several addresses"):
        assert a.ip
    assert a.ip_for(b) != a.ip_for(c)
    assert b.reaches(a)


# ── inside ────────────────────────────────────────────────────────────────────────────────────────


def test_what_runs_inside(lab: Lab) -> None:
    """Commands, functions and sockets, with their own results, errors and working directory."""
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    done = a.run(["sh", "-c", "pwd; ls /sys/class/net; cat"], text=True, input="x", stdout=-1)
    assert done.stdout.split() == [str(Path.cwd()), "b", "lo", "x"]
    with pytest.raises(subprocess.CalledProcessError):
        a.run(["false"], check=True)
    with pytest.raises(FileNotFoundError):
        a.run(["/no/such/command"])
    with pytest.raises(ZeroDivisionError):
        a.call(divmod, 1, 0)
    with b.listen(7000) as listener, a.create_connection((b, 7000), timeout=5) as near:
        far, peer = listener.accept()
        assert peer[0].removeprefix("::ffff:") == a.ip_for(b)
        far.sendall(b"hello")
        assert near.recv(5) == b"hello"
        far.close()
    with a.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect((b.ip, 9))


def test_probes_tell_why(lab: Lab) -> None:
    """A server that listens, a port without one, a rule that drops, an address that is nowhere."""
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    server = b.popen([sys.executable, "-c", SERVER], ready="tcp/80")
    assert a.reaches(b, 80)
    assert a.reaches(b, "tcp/80")
    assert a.reaches("b:a", 80)
    refused = a.reaches(b, 81)
    assert not refused
    assert repr(refused) == (
        "<a -> b tcp/81: refused: nothing listens on tcp/81 there, or a rule rejects it>"
    )
    assert repr(a.reaches("198.51.100.1")) == "<a -> 198.51.100.1: network is unreachable>"
    b.run(["nft", "add table t; add chain t i { type filter hook input priority 0; policy drop; }"])
    assert repr(a.reaches(b, within=0.2)) == "<a -> b: no answer>"
    assert server.poll() is None


def test_popen_returns_when_it_is_ready_or_says_why_not(lab: Lab) -> None:
    """One that ends before, one that never listens; neither stays."""
    a = lab.netns("a")
    with pytest.raises(NotReady, match=r"`false` in `a` ended with status 1"):
        a.popen(["false"], ready="tcp/80")
    lab.timeout = 0.1
    with pytest.raises(NotReady, match=r"`sleep` in `a` is running, but nothing listens on tcp/80"):
        a.popen(["sleep", "1000"], ready="tcp/80")
    with pytest.raises(Unavailable, match="cannot be waited for"):
        a.popen(["true"], ready="log/x")
    assert "sleep" not in a.run(["ip", "netns", "pids", "a"], text=True, capture_output=True).stdout


def test_coroutines() -> None:
    """The standard library's names, by asyncio; and an `async with`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def talk() -> None:
        async with Lab() as made:
            a, b = made.netns("a", "b")
            made.wire(a, b)
            server = await b.start_server(serve, 9000)
            reader, writer = await a.open_connection("b", 9000)
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            server.close()
            pipe = subprocess.PIPE
            command = await a.create_subprocess_exec("ls", "/sys/class/net", stdout=pipe)
            assert (await command.communicate())[0].split() == [b"b", b"lo"]
            assert await a.to_thread(os.listdir, "/sys/class/net")

    asyncio.run(talk())


def test_commands_of_the_lab(lab: Lab) -> None:
    """`run` with `ready`: the call returns when it is, and `wait_ready` knows it."""
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    command = [sys.executable, "-c", SERVER]
    lab.netns("c", run={"command": command, "ready": "tcp/80"})
    lab.wire(b, "c")
    lab.wait_ready()
    assert b.reaches("c", 80)
    assert lab.snapshot().netns["c"].commands


def test_what_sets_something_up_has_done_it_when_the_call_returns(lab: Lab, tmp_path: Path) -> None:
    """`ready: exit`; no later word of the program runs it again."""
    log = tmp_path / "log"
    a = lab.netns("a", run={"command": f"echo set up >> {log}", "ready": "exit"})
    assert log.read_text() == "set up\n"
    lab.netns("b")
    lab.wire(a, "b")
    lab.wait_ready()
    assert log.read_text() == "set up\n"

    with pytest.raises(NotReady, match="`exit` in `c` ended with status 3\n"):
        lab.netns("c", run={"command": "exit 3", "ready": "exit"})
    with pytest.raises(Unavailable, match="its end is not waited for"):
        a.popen(["true"], ready="exit")


def test_commands_start_in_their_order(lab: Lab, tmp_path: Path) -> None:
    """`after` a namespace that is there already; what was not started yet `wait_ready` starts."""
    log, go = tmp_path / "log", tmp_path / "go"
    lab.netns("db", run={"name": "pg", "command": f"echo pg >> {log}", "ready": "exit"})
    web = {"name": "web", "command": f"echo web >> {log}", "ready": "exit", "after": ["db", "late"]}
    late = {"name": "late", "command": f"until [ -e {go} ]; do sleep 0.01; done", "ready": "exit"}
    lab.timeout = 0.1
    with pytest.raises(NotReady, match="`web` in `web` was not started: it comes after `web/late`"):
        lab.netns("web", run=[web, late])
    assert log.read_text() == "pg\n"
    go.touch()
    lab.wait_ready(30)
    assert log.read_text() == "pg\nweb\n"


def test_a_command_that_fails_at_once_is_no_lab(lab: Lab) -> None:
    """Without `ready`, too: the caller hears its status and its last words."""
    with pytest.raises(NotReady, match=r"`echo` in `a` ended with status 7\n.*\n    oops$"):
        lab.netns("a", run="echo oops; exit 7")


# ── nothing stays ─────────────────────────────────────────────────────────────────────────────────


def counted() -> tuple[int, int, int]:
    """Return how many threads and descriptors this process has, and how many mounts."""
    mounts = Path("/proc/self/mountinfo").read_text().count("\n")
    return threading.active_count(), len(os.listdir("/proc/self/fd")), mounts


def asleep(*numbers: int) -> list[int]:
    """Return those of these seconds for which a process of ours sleeps."""
    return [number for number in numbers if pids(f"^sleep {number}$")]


def test_whatever_it_forked_ends_with_the_lab() -> None:
    """A daemon in a session of its own, one that ignores SIGTERM, one that `call` left behind."""
    before = counted()
    text = "trap '' TERM; (setsid sleep 4711 &); exec sleep 4712"
    with Lab() as lab:
        a = lab.netns("a")
        process = a.popen(["sh", "-c", text])
        a.run(["sh", "-c", "sleep 4713 & "])
    assert process.wait(10) == -signal.SIGKILL
    assert asleep(4711, 4712, 4713) == []
    assert counted() == before


def test_what_lives_in_a_namespace_goes_with_it() -> None:
    """And what that has forked."""
    with Lab() as lab:
        a = lab.netns("a")
        process = a.popen(["sh", "-c", "(setsid sleep 4722 &) ; exec sleep 4723"], ready=None)
        lab.remove(a)
        assert process.wait(10) == -signal.SIGTERM
        assert asleep(4722, 4723) == []


def test_a_name_without_a_namespace_spares_nobody() -> None:
    """As an `up` leaves it that is killed between the two."""
    with Lab() as lab:
        process = lab.netns("a").popen(["sleep", "4719"])
        lab.runtime.context.call(Path("/run/netns/half").touch)
    assert process.returncode == -signal.SIGTERM


def test_an_error_in_the_block_leaves_nothing() -> None:
    """It is raised as it is."""
    before = counted()

    def wrong(lab: Lab) -> None:
        lab.netns("a").popen(["sleep", "4714"])
        msg = "mine"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="mine"), Lab() as lab:
        wrong(lab)
    assert not asleep(4714)
    assert counted() == before


def test_a_lab_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """Refused as `netloom up` refuses it."""
    before = counted()
    path = tmp_path / "bad.yaml"
    path.write_text("namespaces: {a: {networks: [lan]}}\nnetworks: {lan: {from: nobr}}\n")
    with pytest.raises(TopologyError, match="the host has no bridge `nobr`"), Lab(path):
        pass
    assert counted() == before


def test_commands_that_are_not_ready_leave_a_lab_to_look_at() -> None:
    """What is there is known: it can be asked, and taken out."""
    with Lab(timeout=0.1) as lab:
        with pytest.raises(NotReady, match="nothing listens on tcp/80"):
            lab.netns("a", run={"command": "exec sleep 4724", "ready": "tcp/80"})
        assert asleep(4724)
        lab.remove(lab["a"])
        assert "a" not in lab
        assert not asleep(4724)


def test_a_lab_that_nobody_closes_is_told() -> None:
    """And gone, as soon as nobody knows it any more."""
    before = counted()
    lab = Lab().__enter__()
    lab.netns("a").popen(["sleep", "4725"])
    lab.itself = lab  # type: ignore[attr-defined] # so that only the collector finds it
    del lab
    with pytest.warns(
        ResourceWarning
    ) as told:  # Python's own of the command, too, if it comes first
        gc.collect()
    assert any("unclosed <Lab lab: a>" in str(one.message) for one in told)
    assert counted() == before
    assert not asleep(4725)


def test_a_cancelled_coroutine_leaves_nothing(tmp_path: Path) -> None:
    """At whatever moment: a lab that was being made then is let go of."""
    path = tmp_path / "l.yaml"
    path.write_text("links: [[a, b]]\nnamespaces: {a: {run: exec sleep 4726}, b: }\n")

    async def cancelled(after: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(after), Lab(path):
                await asyncio.sleep(1000)

    asyncio.run(cancelled(0.001))
    before = counted()
    for number in range(8):
        asyncio.run(cancelled(number * 0.01))
    assert counted() == before
    assert not asleep(4726)


INTERRUPTED = """
import signal, sys, threading, time
from netloom import Lab
after, sleeps = float(sys.argv[1]), sys.argv[2:]
def interrupt():
    time.sleep(after)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
try:
    threading.Thread(target=interrupt, daemon=True).start()
    with Lab() as lab:
        a, b = lab.netns("a", "b")
        lab.wire(a, b)
        a.popen(["sleep", sleeps[0]])
        lab.netns("c", run=f"exec sleep {sleeps[1]}")
        b.run(["sleep", sleeps[2]])
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.parametrize("after", [0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.4])
def test_ctrl_c_at_any_moment_leaves_nothing(after: float) -> None:
    """It comes as `KeyboardInterrupt`, and what was begun is over by then."""
    paths = [str(SRC), *LIBRARIES]
    code = f"import sys; sys.path[:0] = {paths}\n{INTERRUPTED}"
    sleeps = [f"472{n}{int(after * 100):02}" for n in (7, 8, 9)]
    done = subprocess.run(
        [sys.executable, "-c", code, str(after), *sleeps],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 7, done.stderr
    assert asleep(*map(int, sleeps)) == []


FORKING = """
import os, sys
from netloom import Lab
with Lab() as lab:
    a = lab.netns("a")
    process = a.popen(["sleep", "4730"])
    if os.fork() == 0:
        sys.exit(0)  # out of the block, and through all that a program does at its end
    os.wait()
    assert process.poll() is None
    assert a.run(["true"]).returncode == 0
    if os.fork() == 0:
        os.setsid()
        sys.stdin.read()
        os._exit(0)
    print("forked", flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_fork_in_the_middle() -> None:
    """A child that leaves ends nothing; one that stays keeps nothing alive when the parent dies."""
    paths = [str(SRC), *LIBRARIES]
    argv = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{FORKING}"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        assert program.stdout.readline() == "forked\n"
        for pid in pids("^sleep 4730$"):  # it may have ended by now
            with suppress(ProcessLookupError):
                end = os.pidfd_open(pid)
                assert _ended(end)
                os.close(end)


def test_at_the_very_end_of_a_program_it_is_closed() -> None:
    """By `atexit`, when no thread can be started any more."""
    code = (
        "import atexit\nfrom netloom import Lab\nlab = Lab().__enter__()\n"
        "atexit.register(lab.close)\nlab.netns('a').popen(['sleep', '4731'])\n"
    )
    argv = [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(SRC), *LIBRARIES]}\n{code}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    for pid in pids("^sleep 4731$"):
        with suppress(ProcessLookupError):
            end = os.pidfd_open(pid)
            assert _ended(end)
            os.close(end)


def test_many_labs_one_after_the_other_and_at_once() -> None:
    """The same names and subnets; each its own network; nothing is left of any."""
    before = counted()

    def make(number: int) -> None:
        with Lab() as lab:
            a, b = lab.netns("a", "b")
            lab.wire("a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24")
            with b.listen(7000) as listener, a.create_connection(("10.0.0.2", 7000)) as near:
                near.sendall(b"%d" % number)
                near.shutdown(socket.SHUT_WR)
                far = listener.accept()[0]
                assert far.recv(100) == b"%d" % number
                far.close()

    for _ in range(10):
        threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counted() == before


KILLED = """
import subprocess, sys
from netloom import Lab
lab = Lab().__enter__()
a, b = lab.netns("a", "b")
lab.wire(a, b)
a.popen(["sh", "-c", "(setsid sleep 4715 &) ; exec sleep 4716"])
lab.netns("c", run="exec sleep 4717")
print(a.run(["readlink", "/proc/self/ns/net"], text=True, capture_output=True).stdout, flush=True)
sys.stdin.read()
"""


def test_a_program_that_is_killed_leaves_nothing() -> None:
    """SIGKILL: what it had started is ended, too, wherever that went."""
    paths = [str(SRC), *LIBRARIES]
    argv = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{KILLED}"]
    pipe = subprocess.PIPE
    program = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)
    assert program.stdout
    assert program.stdout.readline().startswith("net:[")
    assert asleep(4715, 4716, 4717) == [4715, 4716, 4717]
    ends = [os.pidfd_open(pid) for pid in pids("^sleep 471[567]$")]
    program.kill()
    program.communicate()
    for end in ends:
        assert _ended(end)
        os.close(end)


def _ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 20)[0])


PERSISTENT = """
import os, subprocess, sys
from netloom import Lab

def labs():
    code = f"import sys; sys.path[:0] = {sys.path}; from netloom.__main__ import main; main()"
    return subprocess.check_output([sys.executable, "-c", code, "labs"], text=True)

with Lab(name="keep", persistent=True) as lab:
    lab.netns("kept-a")
    assert labs().startswith("keep "), labs()
    assert lab["kept-a"].run(["true"]).returncode == 0
assert labs() == "", labs()
"""


def test_a_persistent_lab_is_one_of_netloom_up(tmp_path: Path) -> None:
    """Seen by every command of whoever made it, and gone at the end of the block."""
    paths = [str(SRC), *LIBRARIES]
    argv = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{PERSISTENT}"]
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=False, env=env)
    done = within(a_machine, lambda: run(argv)) if os.geteuid() == 0 else run(argv)
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == []


ANOTHERS = """
import os, subprocess, sys
from pathlib import Path
import netloom
from netloom import Lab, Unavailable

def cli(*words):
    code = f"import sys; sys.path[:0] = {sys.path}; from netloom.__main__ import main; main()"
    return subprocess.check_output([sys.executable, "-c", code, *words], text=True)

for name in "one", "two":
    Path(name).mkdir()
    Path(name, "shop.yaml").write_text(f"namespaces: [{name}]\\n")
cli("up", "-q", "one/shop.yaml")
with Lab("two/shop.yaml") as own:  # in a place of its own it is in nobody's way
    assert "two" in own
for lab in Lab("two/shop.yaml", persistent=True), Lab(name="shop", persistent=True):
    try:
        with lab:
            lab.netns("x")
    except Unavailable as error:
        assert "the lab `shop` is up from " in str(error), error
    else:
        raise AssertionError(lab)
assert cli("ls") == "one  shop\\n"
with Lab(persistent=True) as first:
    first.netns("a")
    first.netns("b")
    try:
        with Lab(persistent=True) as second:
            second.netns("c")
    except Unavailable as error:
        assert error.remedy == "a name of its own: Lab(name='lab-2')", error
    assert cli("ls") == "a    lab\\nb    lab\\none  shop\\n"
with Lab("one/shop.yaml", persistent=True):
    pass
assert cli("ls") == ""
"""


def test_a_persistent_lab_takes_nobody_s_place(tmp_path: Path) -> None:
    """Neither in making it nor at its end; a lab that no other sees meets none."""
    (tmp_path / "run").mkdir()
    argv = python(ANOTHERS)
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    run = functools.partial(
        subprocess.run, capture_output=True, text=True, check=False, env=env, cwd=tmp_path
    )
    done = within(a_machine, lambda: run(argv)) if os.geteuid() == 0 else run(argv)
    assert done.returncode == 0, done.stderr


# ── parting and checking ──────────────────────────────────────────────────────────────────────────

RAFT = """
networks: {mesh: {subnets: [10.20.0.0/24, "fd00:20::/64"]}}
namespaces: {n: {count: 5, networks: [mesh]}}
expect:
  - n -> n
  - n1 -/> n5 tcp/7000
  - n1 <-> n2 ip6
"""


def test_sides_are_parted_and_healed() -> None:
    """Both ways, for connections that are open, too; within a side all goes on."""
    with Lab(netloom.parse(RAFT)) as lab:
        n1, n3, n4 = lab["n1"], lab["n3"], lab["n4"]
        with n4.listen(7000) as listener, n1.create_connection((n4, 7000), 5) as near:
            far = listener.accept()[0]
            far.settimeout(0.2)
            with lab.partition(["n1", "n2"], ["n3", "n4", "n5"]):
                assert n1.reaches(n4, within=0.2).cause == "no answer"
                assert not n4.reaches("fd00:20::1", within=0.2)
                assert n3.reaches(n4)
                assert n1.reaches("n2")
                near.sendall(b"late")
                with pytest.raises(TimeoutError):
                    far.recv(4)
            far.settimeout(10)
            assert far.recv(4) == b"late"
            far.close()
        alone = lab.partition(n1)
        assert not n1.reaches("n5", within=0.2)
        assert n3.reaches("n5")
        lab.partition(n3, n4)
        lab.heal()
        alone.undo()
        assert all(lab.check())


ROUTED = """
links: [[a:r 10.1.0.2/24, r:a 10.1.0.1/24], [b:r 10.2.0.2/24, r:b 10.2.0.1/24]]
namespaces: {a: {routes: default via r}, b: {routes: default via r}, r: {}}
"""


def test_a_router_between_parted_namespaces_still_forwards() -> None:
    """Who is parted from a router is not parted from those behind it."""
    with Lab(netloom.parse(ROUTED)) as lab:
        a, b, r = lab["a"], lab["b"], lab["r"]
        with lab.partition(a, r):
            assert not a.reaches(r, within=0.2)
            assert a.reaches(b)
        with lab.partition(a, b):
            assert a.reaches(r)
            assert not a.reaches(b, within=0.2)


def test_expectations_are_probed() -> None:
    """Each with what was found; a port that must not be reached is, once somebody listens."""
    with Lab(netloom.parse(RAFT)) as lab:
        outcomes = lab.check()
        assert [bool(one) for one in outcomes] == [True, True, True]
        assert len(outcomes[0].probes) == 20
        assert outcomes[2].text == "n1 <-> n2 ip6"
        with lab["n5"].listen(7000):
            assert [bool(one) for one in lab.check()] == [True, False, True]
        with lab.partition("n1"):
            assert [bool(one) for one in lab.check(within=0.1)] == [False, True, False]
