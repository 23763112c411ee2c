"""`netloom netns` beside the installed `ip netns`: the same words on equal states, case by case.

Each case runs on two machines of its own that were prepared alike, by ip on one and by netloom on
the other; what is printed, the status and what is left behind must be the same.
"""

import ctypes
import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.cli.netns_words import whole_number
from netloom.namespaces import registry
from tests.hosts.machine import a_machine, etc_file, mount_points, on_a_machine, within
from tests.hosts.netloom import command
from tests.hosts.programs import LIBRARIES, SRC, in_own_root, living, python, ran

FAST = "from netloom.cli.netns import main; sys.exit(main(sys.argv[1:], named=False))"
"""The way without click, which the program takes for `netloom netns …` and `netloom -j netns …`."""


class Ended(NamedTuple):
    """How a command ended, as bytes: names need be no text."""

    status: int
    stdout: bytes
    stderr: bytes


def run(argv: Sequence[str], stdin: str = "") -> Ended:
    """Run a command to its end."""
    text = os.fsencode(stdin)
    done = subprocess.run(argv, input=text, capture_output=True, check=False, timeout=60)
    return Ended(done.returncode, done.stdout, done.stderr)


def by_ip(*words: str, stdin: str = "") -> Ended:
    """Run ip, the oracle."""
    return run(("ip", *words), stdin)


def by_netloom(*words: str, stdin: str = "") -> Ended:
    """Run netloom with the same words."""
    paths = [str(SRC), *LIBRARIES]
    code = f"import sys; sys.path[:0] = {paths}\n{FAST}"
    return run((sys.executable, "-S", "-c", code, *words), stdin)


SERVE = """
import json, os, sys, tempfile
from netloom.cli.netns import main
for line in sys.stdin.buffer:
    files = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        os._exit(main(json.loads(line), named=False))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = [file.seek(0) or file.read().hex() for file in files]
    print(json.dumps([status, *said]), flush=True)
"""


def all_by_netloom(lines: Sequence[Sequence[str]]) -> list[Ended]:
    """Run netloom with the words of each line, all forked off one process that has started."""
    asked = "".join(f"{json.dumps(words)}\n" for words in lines)
    said = ran(*python(SERVE), stdin=asked).stdout.splitlines()
    return [
        Ended(status, bytes.fromhex(out), bytes.fromhex(err))
        for status, out, err in map(json.loads, said)
    ]


def nothing() -> None:
    """Prepare a machine without names."""


def names_of_all_kinds() -> None:
    """Make two with ids, one without, one that knows others itself, and one that is no text."""
    batch = """
    netns add red
    netns add blue
    netns add green
    netns add -x
    netns set red 7
    netns set blue auto
    """
    by_ip("-b", "-", stdin=batch)
    by_ip("netns", "add", "a b\t\"c'\\")
    by_ip("netns", "add", os.fsdecode(b"\xff\x01"))
    by_ip("-n", "red", "netns", "set", "blue", "5")
    by_ip("-n", "red", "netns", "set", "green", "6")


def a_stale_name() -> None:
    """Make one that leads nowhere, between two that do."""
    by_ip("netns", "add", "red")
    Path("/run/netns/old").touch(mode=0)
    by_ip("netns", "add", "blue")
    by_ip("netns", "set", "red", "4")


def odd_files() -> None:
    """Put a folder and a dead link among the names, and files for /etc."""
    by_ip("netns", "add", "red")
    Path("/run/netns/folder").mkdir()
    Path("/run/netns/link").symlink_to("/nowhere")
    etc_file("red", "hosts", "of red\n")
    etc_file("red", "nowhere", "")


def a_batch() -> None:
    """Make two names, and a file of lines for `-batch`, one of which is refused."""
    by_ip("netns", "add", "red")
    by_ip("netns", "add", "blue")
    Path("/run/batch").write_text("netns add x # one more\nnetns add red\nnetns del blue\nnetns\n")


LOOKS = {
    nothing: """
        netns
        netns list
        -j netns
        netns identify
        netns identify 1
        netns pids red
        netns del red
        netns exec red true
        netns set red 3
        -all netns del
        -all netns exec true
        -n red netns
        netns list-id
        -j netns list-id
        -j -p netns list-id
    """,
    names_of_all_kinds: """
        net
        netn l
        netns lst
        netns sho
        netns s
        -j netns
        -js -p netns list
        -pretty netns list
        --json netns
        -s -d -r -o -t -ts -4 -6 -0 -M -B -h -iec -N -c -br -echo -color=never netns
        -f inet6 -l 3 -rc 0x10 netns
        -a netns list
        -n red netns
        -netns red -j netns list-id
        netns list-id
        -j netns list-id
        -j -p netns list-id target-nsid 7
        netns list-id target-nsid 7
        netns list-
        netns list-id nsid 7
        netns list-id nsid 0x7
        netns list-id nsid 99
        netns list-id target-nsid 7 nsid 0
        netns list-id target-nsid 99
        netns list-id nsid
        netns list-id nsid seven
        netns list-id nsid -1
        netns list-id nsid 1 nsid 2
        netns list-id target-nsid -1 nsid 3
        netns list-id target-nsid ''
        netns list-id seven
        netns pids red
        netns pids red blue
        netns p
        netns identify self
        netns identify 1 2
        netns identify 99999999
        netns i
        netns exec
        netns exec red
        netns exec red no-such-command
        netns exec red /etc
        netns exec red sh -c 'echo out; echo err >&2; exit 7'
        netns exec red sh -c 'ls /sys/class/net; cat /proc/net/dev | wc -l'
        netns e red true
        -all netns exec sh -c 'ip link | wc -l; exit 3'
        -all netns exec
        -all netns exec no-such-command
        netns help
        netns he me
        netns list ..
        -all netns list ..
        netns monitor a/b
        netns zzz
        netns zzz /
        netns ''
        netns -h
        netns ls
        netns remove red
        netns attach
        netns at x
        netns attach x 0
        netns attach x -0
        netns attach x 1x
        netns attach x 99999999999
        netns attach x 99999999
        netns attach . 1
        netns a
        netns se
        netns set red
        netns set red seven
        netns set red -1
        netns set red 1
        netns set red ''
        netns set green 0
        netns set no-such 1
        netns d
        netns deletee red
        netns del no-such
        netns add red
        netns add a/b
        netns add ''
        -n no-such netns
        -n
        -zz netns
        -I netns
        -e netns
        -f any netns
        -rc ten netns
        -color=pink netns
        -b /no-such-file netns
        -b / netns
        -- netns identify
        foo
    """,
    a_stale_name: """
        netns
        -j netns
        netns list-id
        netns list-id nsid 4
        netns list-id nsid 5
        netns list-id five
        netns exec old true
        netns pids old
        netns set old 3
        netns set old auto
        -n old netns
        netns add old
        netns identify
    """,
    odd_files: """
        netns pids folder
        netns pids link
        netns exec link true
        netns exec folder true
        netns set link 3
        netns del folder
        netns add folder
        netns add link
        netns exec red cat /etc/hosts
        -n red netns identify
    """,
}
"""What changes nothing, by the state that it is asked in."""

CHANGES = (
    (nothing, "netns add red"),
    (nothing, "netns add red blue green"),
    (nothing, "netns ad -x"),
    (nothing, f"netns add {'x' * 255}"),
    (nothing, f"netns add {'x' * 256}"),
    (nothing, "netns add 'ö ü'"),
    (nothing, "netns attach me {pid}"),
    (nothing, "netns attach me {pid:#x} more"),
    (names_of_all_kinds, "netns set green auto"),
    (names_of_all_kinds, "netns set green 0x10 more"),
    (names_of_all_kinds, "netns del red blue"),
    (names_of_all_kinds, "netns dele -x"),
    (names_of_all_kinds, "-all netns del"),
    (names_of_all_kinds, "-al netns d red"),
    (a_stale_name, "netns del old"),
    (a_stale_name, "-a netns delete"),
    (odd_files, "netns del link"),
    (odd_files, "-all netns del"),
    (names_of_all_kinds, "-n red netns set -x 9"),
    (a_batch, "-b /run/batch netns"),
    (a_batch, "-force -batch /run/batch netns"),
)
"""What changes something, each in a state of its own."""

BATCHES = (
    (nothing, "", "netns add x\nnetns add y\nnetns\n"),
    (nothing, "", "# a comment\n\n  netns add x # and one more\nnet\n"),
    (nothing, "", "netns add x\nnetns add x\nnetns add y\n"),
    (nothing, "-force", "netns add x\nnetns add x\nnetns add y\n"),
    (nothing, "-force", "netns add a/b\nnetns add y\n"),
    (nothing, "-force", "netns help\nnetns add y\n"),
    (nothing, "", 'netns add "q r"\nnetns add \'s t\'\nnetns add u"v\nnetns add h#x\nnetns\n'),
    (nothing, "", 'netns add "open\nnetns\n'),
    (nothing, "", "netns \\\nadd \\\n x\nnetns li\\\nst\nnetns zzz\n"),
    (nothing, "", "netns list\\\n"),
    (nothing, "", "netns list\\"),
    (nothing, "", "netns " + "x " * 600),
    (nothing, "-force", "foo bar\nnets list\nnetns add x\n"),
    (names_of_all_kinds, "-j", "netns\nnetns list-id\n"),
    (names_of_all_kinds, "", "netns exec red echo hi\nnetns exec blue sh -c 'exit 3'\nnetns\n"),
    (names_of_all_kinds, "-force", "netns exec red no-such\nnetns exec red echo hi\n"),
    (names_of_all_kinds, "-force", "netns exec red sh -c 'kill -9 $$'\nnetns set red 1\nnetns\n"),
    (names_of_all_kinds, "", "netns set green 3\nnetns list-id\nnetns del red\nnetns list\n"),
    (names_of_all_kinds, "-n red", "netns set -x 8\nnetns exec blue true\nnetns list-id\n"),
    (names_of_all_kinds, "", "netns list-id nsid 99\nnetns\n"),
)
"""Lines of `-batch`, with the options before it."""


def left() -> list[object]:
    """Return what there is afterwards: files in their order, mounts, and ids here and inside."""
    folder = Path(registry.NETNS_DIR)
    if not folder.exists():
        return []
    files = [(os.fsencode(path.name), oct(path.lstat().st_mode)) for path in folder.iterdir()]
    lines = Path("/proc/thread-self/mountinfo").read_bytes().splitlines()
    mounts = [
        (words[4], words[6][:7], words[words.index(b"-") + 1])
        for words in map(bytes.split, lines)
        if words[4].startswith(b"/run/netns")
    ]
    ids = [by_ip("netns", "list-id"), by_ip("-n", "red", "netns", "list-id")]
    named = [line for end in ids for line in end.stdout.splitlines() if b"name:" in line]
    return [*files, *mounts, *named]  # an id without a name is of one that is dying


def on_another(prepare: Callable[[], None], body: Callable[[], object]) -> object:
    """Return what `body` returns on a machine of its own."""

    def prepared() -> object:
        prepare()
        return body()

    return within(a_machine, prepared)


def both(prepare: Callable[[], None], options: str, stdin: str = "") -> tuple[object, object]:
    """Return how ip and netloom ended with the same words, and what each left."""
    words = shlex.split(options)
    with ThreadPoolExecutor(2) as pool:
        its, ours = (
            pool.submit(on_another, prepare, partial(_done, tool, words, stdin))
            for tool in (by_ip, by_netloom)
        )
        return ours.result(), its.result()


def _done(tool: Callable[..., Ended], words: Sequence[str], stdin: str) -> tuple[Ended, object]:
    return tool(*words, stdin=stdin), left()


@pytest.mark.parametrize("prepare", LOOKS)
@on_a_machine
def test_what_looks_looks_alike(prepare: Callable[[], None]) -> None:
    """Right and wrong words alike, their output, their complaints and their statuses."""
    prepare()
    lines = [shlex.split(line) for line in LOOKS[prepare].strip().splitlines()]

    its = [by_ip(*words) for words in lines]
    ours = all_by_netloom(lines)

    differ = [row for row in zip(lines, ours, its, strict=True) if row[1] != row[2]]
    assert differ == [], "\n".join(map(str, differ))


@on_a_machine
def test_who_lives_somewhere_is_told_alike() -> None:
    """The processes of a namespace, and the name of a process's: its only one, one of two, none."""
    by_ip("netns", "add", "red")
    by_ip("netns", "add", "blue")
    with ExitStack() as stack:
        inside = ("ip", "netns", "exec")
        pids = [
            stack.enter_context(living(*argv))
            for argv in ((*inside, "red"), (*inside, "red"), (*inside, "blue"), ("unshare", "-n"))
        ]
        by_ip("netns", "attach", "also", str(pids[2]))
        lines = [["netns", "pids", name] for name in ("red", "blue", "also")]
        lines += [["netns", "identify", str(pid)] for pid in pids]

        its = [by_ip(*words) for words in lines]

        assert all_by_netloom(lines) == its
        assert [len(end.stdout.split()) for end in its] == [2, 1, 1, 1, 1, 1, 0]


@pytest.mark.needs("netns", "ip")
@pytest.mark.parametrize(("prepare", "words"), CHANGES)
def test_what_changes_something_leaves_the_same(prepare: Callable[[], None], words: str) -> None:
    """The same files, mounts and ids, and the same words about them."""
    ours, its = both(prepare, words.format(pid=os.getpid()))

    assert ours == its


@pytest.mark.needs("netns", "ip")
@pytest.mark.parametrize(("prepare", "options", "lines"), BATCHES)
def test_a_batch_is_read_alike(prepare: Callable[[], None], options: str, lines: str) -> None:
    """Quotes, comments, joined lines, what fails and what ends it."""
    ours, its = both(prepare, f"{options} -b - netns", stdin=lines)

    assert ours == its


def whole(*words: str, stdin: str = "") -> Ended:
    """Run netloom as its users do."""
    return run(command(*words), stdin)


@on_a_machine
def test_options_stand_where_ip_has_them_or_behind_netns() -> None:
    """`ip -j netns` becomes `netloom -j netns`, and `netloom netns -j` is the same."""
    names_of_all_kinds()
    its = by_ip("-j", "netns", "list-id", "nsid", "7")

    assert whole("-j", "netns", "list-id", "nsid", "7") == its
    assert whole("netns", "-j", "list-id", "nsid", "7") == its
    assert whole("netns", "-j", "-b", "-", stdin="netns list-id nsid 7\n") == its
    assert whole("netns", "pids", "no-such") == by_ip("netns", "pids", "no-such")
    assert whole("netns", "list", "..").status == 255


@on_a_machine
def test_what_is_not_alike_is_so_on_purpose() -> None:
    """Help and version are netloom's, other objects are ip's, a usage speaks of netns only."""
    assert whole("netns", "--help").stdout.startswith(b"Usage: netloom netns")
    assert b"netloom" in by_netloom("-V", "netns").stdout
    assert b"Usage: netloom" in by_netloom("-f").stderr
    assert by_netloom("-f").status == by_ip("-f").status
    its_alone = by_netloom("-b", "-", "netns", stdin="link show\n")
    words = b'Object "link" is of ip alone, not of netloom.'
    assert its_alone == (1, b"", words + b"\nCommand failed -:1\n")


@on_a_machine
def test_a_stale_name_makes_nothing_run_twice() -> None:
    """In ip the child that could not enter goes on with the rest, beside its parent."""
    a_stale_name()
    words = ("-all", "netns", "exec", "echo", "run")
    lines = "netns exec old true\nnetns exec red echo run\n"

    its, ours = by_ip(*words), by_netloom(*words)
    batched = by_netloom("-force", "-b", "-", "netns", stdin=lines)

    assert (ours.status, ours.stderr) == (its.status, its.stderr)
    assert its.stdout.count(b"run") == 3
    assert ours.stdout == b"\nnetns: blue\nrun\n\nnetns: old\n\nnetns: red\nrun\n"
    assert (batched.status, batched.stdout) == (1, b"run\n")


@on_a_machine
def test_what_one_makes_the_other_deletes() -> None:
    """Freely mixed: names, ids and processes of one are the other's."""
    # Another id each time: that of a deleted namespace is free when the kernel has tidied up.
    for maker, user, nsid in ((by_ip, by_netloom, "12"), (by_netloom, by_ip, "13")):
        assert maker("netns", "add", "red") == (0, b"", b"")
        assert maker("netns", "attach", "me", str(os.getpid())) == (0, b"", b"")
        assert user("netns", "set", "red", nsid) == (0, b"", b"")
        listed = f"nsid {nsid} (iproute2 netns name: red)\n"
        assert listed in maker("netns", "list-id").stdout.decode()
        assert user("netns", "exec", "red", "ip", "netns", "identify").stdout == b"red\n"
        assert user("netns", "add", "red").status == 1
        assert user("netns", "del", "red") == (0, b"", b"")
        assert user("-all", "netns", "del") == (0, b"", b"")
        assert maker("netns") == (0, b"", b"")


@pytest.mark.needs("userns")
def test_in_a_user_namespace_it_does_what_ip_refuses() -> None:
    """There /run belongs to somebody else: one of our own is laid over it, as by `netloom add`."""
    script = '"$@" netns add web && "$@" netns exec web "$@" netns identify && "$@" netns del web'

    done = ran(*in_own_root(["sh", "-c", script, "sh", *command()]))

    assert done.stdout == "web\n"


@on_a_machine
def test_an_answer_that_cannot_be_written_is_told() -> None:
    """A reader that went is no trouble; a full disk is."""
    a_stale_name()
    gone = subprocess.Popen(command("netns", "monitor"), stdout=subprocess.PIPE, stderr=-1)
    assert gone.stdout is not None
    gone.stdout.close()
    while gone.poll() is None:
        by_ip("netns", "add", "more")
        by_ip("netns", "del", "more")
    full = run(["sh", "-c", '"$@" >/dev/full', "sh", *command("netns", "identify")])

    assert gone.wait() == 141
    assert gone.communicate()[1] == b""
    assert (full.status, full.stderr) == (1, b"[Errno 28] No space left on device\n")


@on_a_machine
def test_first_users_at_once_mount_the_directory_once() -> None:
    """Both hold the same lock, so /run/netns is mounted on itself once."""
    before = mount_points("/run/netns ")  # that of the real machine, hidden below
    words = [command("netns", "add", "a"), ["ip", "netns", "add", "b"]] * 2
    started = [
        subprocess.Popen([*argv[:-1], f"{argv[-1]}{at}"], stderr=subprocess.DEVNULL)
        for at, argv in enumerate(words)
    ]

    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    assert mount_points("/run/netns ") == [*before, "/run/netns tmpfs"]
    assert registry.names() == ["a0", "a2", "b1", "b3"]


@on_a_machine
def test_monitors_tell_the_same_of_both_tools() -> None:
    """A name made or deleted by either, a link, a folder; a new name for a file is not told."""
    watchers = [Watcher(("ip", "netns", "monitor")), Watcher(command("netns", "monitor"))]
    for watcher in watchers:
        watcher.wait_until_it_watches()

    by_ip("netns", "add", "red")
    by_netloom("netns", "add", "ö ü")
    by_netloom("netns", "del", "red")
    by_ip("netns", "del", "ö ü")
    Path("/run/netns/link").symlink_to("/nowhere")
    Path("/run/netns/link").rename("/run/netns/other")
    Path("/run/netns/folder").mkdir()
    told = [watcher.told_until("add folder") for watcher in watchers]

    expected = ["add red", "add ö ü", "delete red", "delete ö ü", "add link", "add folder"]
    assert told == [expected, expected]


class Watcher:
    """A monitor on a terminal: into a pipe, ip would keep what it has to tell to itself."""

    def __init__(self, argv: Sequence[str]) -> None:
        """Start it."""
        self._terminal, end = pty.openpty()
        self._process = subprocess.Popen(argv, stdout=end, stdin=end)
        os.close(end)
        self._read = ""

    def wait_until_it_watches(self) -> None:
        """Make and remove a file until it is told of: there is no other sign."""
        probe = Path("/run/netns/probe")
        while not select.select([self._terminal], [], [], 0.01)[0]:
            probe.parent.mkdir(exist_ok=True)
            probe.touch()
            probe.unlink()

    def told_until(self, last: str) -> list[str]:
        """Return the lines up to one, those about the probe left out; and end it."""
        while last not in self._lines():
            assert select.select([self._terminal], [], [], 30)[0], self._read
            self._read += os.read(self._terminal, 4096).decode()
        self._process.terminate()
        assert self._process.wait(30) == -signal.SIGTERM
        os.close(self._terminal)
        return [line for line in self._lines() if line and not line.endswith("probe")]

    def _lines(self) -> list[str]:
        return self._read.split("\r\n")


@given(st.text("0123456789abxX+- \t_fé", max_size=12))
def test_numbers_are_read_as_strtol_reads_them(text: str) -> None:
    """Blanks before, a sign, 0x and 0; and nothing behind."""
    end = ctypes.c_char_p()
    strtol = ctypes.CDLL(None).strtol
    strtol.restype = ctypes.c_long
    number = strtol(text.encode(), ctypes.byref(end), 0)
    whole = bool(text) and not end.value and any(sign.isalnum() for sign in text)

    assert whole_number(text) == (number if whole else None)


def test_it_starts_with_little() -> None:
    """What needs no socket imports none: neither click nor msgspec."""
    ours = "netloom.cli.netns, netloom.namespaces.mounts, netloom.namespaces.run"
    code = f"import {ours}\nprint(*sys.modules)"
    paths = [str(SRC), *LIBRARIES]
    done = run((sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {paths}\n{code}"))

    assert {"click", "msgspec", "socket", "threading", "typing"} & {
        *done.stdout.decode().split()
    } == set()
