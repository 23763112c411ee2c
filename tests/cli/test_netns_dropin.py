"""`netloom netns` beside the installed `ip netns`: the same words on equal states, case by case.

Each case runs on two machines of its own that were prepared alike, by ip on one and by netloom on
the other; what is printed, the status and what is left behind must be the same.
"""

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from netloom.netns import names
from netloom.netns.enter import aside
from tests.cli.host import command
from tests.kernel.machines import (
    LIBRARIES,
    SRC,
    become_a_machine,
    etc_file,
    on_a_machine,
)

FAST = "from netloom.cli.netns import main; sys.exit(main(sys.argv[1:], named=False))"
"""The way without click, which the program takes for `netloom netns …` and `netloom -j netns …`."""


class Ended(NamedTuple):
    """How a command ended, as bytes: names need be no text."""

    status: int
    stdout: bytes
    stderr: bytes


def run(argv: Sequence[str], stdin: str = "") -> Ended:
    """Run a command to its end."""
    done = subprocess.run(argv, input=os.fsencode(stdin), capture_output=True, timeout=60)
    return Ended(done.returncode, done.stdout, done.stderr)


def by_ip(*words: str, stdin: str = "") -> Ended:
    """Run ip, the oracle."""
    return run(("ip", *words), stdin)


def by_netloom(*words: str, stdin: str = "") -> Ended:
    """Run netloom with the same words."""
    paths = [str(SRC), *LIBRARIES]
    code = f"import sys; sys.path[:0] = {paths}\n{FAST}"
    return run((sys.executable, "-S", "-c", code, *words), stdin)


def nothing() -> None:
    """A machine without names."""


def names_of_all_kinds() -> None:
    """Two with ids, one without, one that knows others itself, and one that is no text."""
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
    """One that leads nowhere, between two that do."""
    by_ip("netns", "add", "red")
    Path("/run/netns/old").touch(mode=0)
    by_ip("netns", "add", "blue")
    by_ip("netns", "set", "red", "4")


def odd_files() -> None:
    """A folder and a link that leads nowhere among the names, and files for /etc."""
    by_ip("netns", "add", "red")
    Path("/run/netns/folder").mkdir()
    Path("/run/netns/link").symlink_to("/nowhere")
    etc_file("red", "hosts", "of red\n")
    etc_file("red", "nowhere", "")


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
        -fa
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
    (nothing, f"netns attach me {os.getpid()}"),
    (nothing, f"netns attach me {os.getpid():#x} more"),
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
    folder = Path(names.NETNS_DIR)
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
    return [*files, *mounts, *ids]


def on_another(prepare: Callable[[], None], body: Callable[[], object]) -> object:
    """Return what `body` returns on a machine of its own."""

    def inside() -> object:
        become_a_machine()
        prepare()
        return body()

    return aside(inside)


def both(prepare: Callable[[], None], options: str, stdin: str = "") -> tuple[object, object]:
    """Return how ip and netloom ended with the same words, and what each left."""
    words = shlex.split(options)
    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(on_another, prepare, lambda tool=tool: (tool(*words, stdin=stdin), left()))
            for tool in (by_ip, by_netloom)
        ]
    its, ours = (future.result() for future in done)
    return ours, its


@pytest.mark.parametrize("prepare", LOOKS)
@on_a_machine
def test_what_looks_looks_alike(prepare: Callable[[], None]) -> None:
    """Right and wrong words alike, their output, their complaints and their statuses."""
    prepare()
    lines = [shlex.split(line) for line in LOOKS[prepare].strip().splitlines()]

    its = [by_ip(*words) for words in lines]
    ours = [by_netloom(*words) for words in lines]

    differ = [row for row in zip(lines, ours, its, strict=True) if row[1] != row[2]]
    assert differ == [], "\n".join(map(str, differ))


@pytest.mark.needs("netns", "ip")
@pytest.mark.parametrize(("prepare", "words"), CHANGES)
def test_what_changes_something_leaves_the_same(prepare: Callable[[], None], words: str) -> None:
    """The same files, mounts and ids, and the same words about them."""
    ours, its = both(prepare, words)

    assert ours == its


@pytest.mark.needs("netns", "ip")
@pytest.mark.parametrize(("prepare", "options", "lines"), BATCHES)
def test_a_batch_is_read_alike(prepare: Callable[[], None], options: str, lines: str) -> None:
    """Quotes, comments, joined lines, what fails and what ends it."""
    ours, its = both(prepare, f"{options} -b - netns", stdin=lines)

    assert ours == its
