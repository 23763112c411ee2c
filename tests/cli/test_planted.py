"""An escape is planted wherever others choose a name: no verb prints it, whatever it speaks of.

And no file but a few prints by itself: what is told goes through one function.
"""

import ast
import os
import pty
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netloom.errors import (
    KernelError,
    Mark,
    NotReady,
    Problem,
    Refused,
    TopologyError,
    Unavailable,
    quoted,
)
from tests.cli.test_hostile_names import BE_EVIL
from tests.hosts.host import on_a_host
from tests.hosts.machine import etc_file
from tests.hosts.netloom import Ended, command, ended, netloom, write
from tests.hosts.programs import SRC, python, ran, says
from tests.house.trees import parsed

EVIL = "e\x1b[2Jb\nfake x"
LINK = "\x1b[41mX"
LAB = r"""
networks: {n: {subnet: 10.71.0.0/24, uplink: nat}}
namespaces:
  a:
    networks: [n]
    publish: 8081:80
    run: {command: "printf '\\033[2Jfirst\\rsecond\\n'; exec sleep 1000", name: s}
    etc: {motd: {file: "f"}}
  b: {run: {command: "printf '\\033[2Jthird\\n'; exit 7", ready: tcp/80}}
"""
FOLDER = "d\x1b[2Je\nfake x"


@contextmanager
def planted() -> Iterator[None]:
    """Have a machine on which everything bears a name that a terminal would obey."""
    Path(FOLDER).mkdir()
    write(f"{FOLDER}/lab.yaml", LAB)
    write(f"{FOLDER}/f", "text")
    write(f"{FOLDER}/bad.yaml", 'namespaces: {"\\e[2Ja": , b: {networks: ["\\e[2Jn"]}}\n')
    write(f"{FOLDER}/{EVIL}.yaml", "namespaces: [z]\n")
    write("lab.yaml", LAB.replace("subnet", "subnet"))
    write("f", "text")
    for name in (EVIL, "\u202eabc"):
        says("ip", "netns", "add", name)
    Path(f"/run/netns/st{EVIL}").touch()
    os.symlink(f"/proc/1/{EVIL}", f"/run/netns/ln{EVIL}")
    says("ip", "-n", EVIL, "link", "add", LINK, "type", "bridge")
    says("ip", "link", "add", LINK, "type", "bridge")
    says("ip", "-n", EVIL, "link", "set", LINK, "alias", EVIL)
    says("ip", "link", "set", "eth0", "alias", f"netloom:{EVIL}")
    etc_file("a", EVIL, "x")
    etc_file("a", "hosts", "x")
    pipe = subprocess.PIPE
    argv = ["nsenter", f"--net=/run/netns/{EVIL}", *python(BE_EVIL)]
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe) as living:
        assert living.stdout
        assert living.stdout.readline() == b"here\n"
        yield
        assert living.stdin
        living.stdin.close()


def harmless(words: tuple[str, ...], done: Ended) -> None:
    """Check that nothing was printed that a terminal obeys, nor a line that is a name's."""
    assert "netloom has a bug" not in done.stderr, (words, done)
    lines = (done.stdout + done.stderr).split("\n")
    assert all(line.isprintable() for line in lines), (words, done)
    assert not [line for line in lines if line.strip().startswith("fake x")], (words, done)


MEANT = f"{EVIL[:-1]}"
BEFORE: list[tuple[str, ...]] = [
    ("plan", f"{FOLDER}/lab.yaml"),
    ("plan", "--as", "ip", "lab.yaml"),
    ("plan", f"{FOLDER}/bad.yaml"),
    ("plan", f"{FOLDER}/{EVIL}.yaml"),
    ("plan", f"{FOLDER}/none.yaml"),
    ("plan", EVIL),
    ("up", "--name", EVIL, "lab.yaml"),
    ("init", f"{FOLDER}/lab.yaml"),
    ("enable", f"{FOLDER}/{EVIL}.yaml"),
    ("disable", EVIL),
    ("up", f"{FOLDER}/lab.yaml"),
]
WHILE: list[tuple[str, ...]] = [
    ("up", f"{FOLDER}/lab.yaml"),
    ("up", "lab.yaml"),
    ("plan", "lab.yaml"),
    ("labs",),
    ("verify", "lab"),
    ("verify", f"{FOLDER}/lab.yaml"),
    ("verify", EVIL),
    ("down", EVIL),
    ("down", "lab.yaml"),
    ("undo", EVIL),
    ("undo", "--list", "lab"),
    ("logs", EVIL),
    ("logs", "a", EVIL),
    ("ls",),
    ("ls", "--json"),
    ("identify", EVIL),
    ("identify", f"/run/netns/{EVIL}"),
    ("identify", f"/none/{EVIL}"),
    ("pids", "--fds", "--threads", "--sockets", EVIL),
    ("pids", MEANT),
    ("exec", MEANT, "true"),
    ("exec", EVIL, EVIL),
    ("exec", "a", "true"),
    ("shell", f"st{EVIL}"),
    ("run", EVIL),
    ("run", "--network", f"lab/{EVIL}", "true"),
    ("run", "--network", f"{EVIL}/n", "true"),
    ("run", "--hosts", EVIL, "true"),
    ("run", "--vpn", EVIL, "true"),
    ("wire", EVIL, "a:q"),
    ("wire", f"{EVIL}:{LINK}", "a:r"),
    ("wire", f"/run/netns/{EVIL}", "host:t"),
    ("wire", f"docker:{EVIL}", "host:t"),
    ("move", f"{EVIL}:{LINK}", "a"),
    ("move", f"{EVIL}:nix", "a"),
    ("move", f"host:{LINK}", "b"),
    ("capture", "--packets", "1", f"{EVIL}:nix", "x.pcapng"),
    ("add", EVIL),
    ("attach", f"st{EVIL}", "1"),
    ("attach", "new", f"/none/{EVIL}"),
    ("del", f"ln{EVIL}"),
    ("del", "--wait", "--kill", "--timeout", "1", f"no{EVIL}"),
    ("completion", EVIL),
    (EVIL,),
    (f"--{EVIL}",),
    ("up", f"--{EVIL}"),
    ("up", "--timeout", EVIL),
    ("down", "lab"),
    ("down", "--force", "lab"),
    ("del", "--kill", EVIL, f"st{EVIL}"),
]


@on_a_host
def test_no_verb_prints_what_a_terminal_obeys() -> None:
    """Names of files, folders, namespaces, interfaces, processes, aliases, logs, words."""
    with planted():
        for words in (*BEFORE, *WHILE):
            harmless(words, ended(*words))
        netloom("labs").status(0)


@on_a_host
def test_what_a_command_printed_is_shown_on_a_terminal_and_not_obeyed() -> None:
    """`logs` gives a program what was printed, and a terminal what can be printed."""
    write("lab.yaml", LAB)
    write("f", "")
    ended("up", "lab.yaml")
    assert "\x1b[2Jfirst" in ended("logs", "a").stdout
    ours, theirs = pty.openpty()
    subprocess.run(command("logs"), stdout=theirs, check=True, timeout=60)
    os.close(theirs)
    seen = b""
    while b"third" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    assert b"\x1b" not in seen
    assert rb"\x1b[2Jfirst\rsecond" in seen
    netloom("down", "-q", "lab").status(0)


@on_a_host
def test_a_hint_is_a_command_of_a_shell() -> None:
    """Of a namespace with a blank in its name, and of a file."""
    for name in ("a b", "a$b"):
        says("ip", "netns", "add", name)
        hint = f"netloom exec '{name}' COMMAND, or netloom shell '{name}'"
        assert ended("add", name).stderr.endswith(f"hint: netloom del '{name}'\n")
        assert ended("exec", name).stderr.endswith(f"hint: {hint}\n")
    made = ended("wire", "a$b:x", "host:y").stdout.splitlines()
    assert made[2] == "remove: ip -n 'a$b' link del dev x"
    ran("sh", "-c", made[2].removeprefix("remove: "))
    Path("my folder").mkdir()
    write("my folder/x.yaml", "namespaces: [q]\n")
    netloom("up", "-q", "my folder/x.yaml").status(0)
    says("ip", "-n", "q", "link", "set", "lo", "down")
    told = ended("verify", "x").stderr
    words = shlex.split(told[told.index("`netloom ") + 1 : told.rindex("` would do")])
    netloom(*words[1:], "-q").status(0)
    netloom("down", "-q", "x").status(0)


WORDS = [
    "",
    "a",
    "a b",
    "it's",
    '"',
    "$x",
    "`id`",
    "a\nb",
    "\x1b[2J",
    "\\x41",
    "ü",
    "\u202e",
    "\udcff",
    "-n",
]


def test_a_quoted_word_is_that_word() -> None:
    """As bash reads it, whatever is in it; and no terminal obeys it."""
    for word in WORDS:
        text = quoted(word)
        assert text.isprintable(), word
        done = subprocess.run(["bash", "-c", f"printf %s {text}"], capture_output=True, check=True)
        assert os.fsdecode(done.stdout) == word


def test_what_is_raised_is_harmless_as_well() -> None:
    """A program's report shows it: names from the kernel are in it."""
    refused = Refused(f"+ link {LINK}", KernelError(1, f"ip link {LINK}"), asked=LINK, left=(LINK,))
    for error in (
        Unavailable(LINK, LINK),
        refused,
        NotReady(LINK, 1),
        TopologyError(
            [Problem(LINK, (LINK,), LINK), Problem("", (), LINK, Mark(LINK, 1, 1, 1, ""))]
        ),
    ):
        assert str(error).replace("\n", "").isprintable(), error


PRINTS = {
    "cli/output.py": "what the others call",
    "cli/main.py": "help, and what cannot even be told by that",
    "cli/short.py": "`exec`, which loads nothing else",
    "cli/netns.py": "word for word as `ip netns`",
    "cli/netns_words.py": "word for word as `ip netns`",
    "cli/netns_verbs.py": "word for word as `ip netns`",
    "host/rootless/daemon.py": "to whoever has started it",
}
"""Files that print by themselves, each with the reason."""


def _prints(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    text = ast.unparse(node.func)
    if text == "os.write":
        return ast.unparse(node.args[0]) in {"1", "2"}
    return text == "print" or (text.startswith(("sys.stdout.", "sys.stderr.")) and "write" in text)


def test_nobody_else_prints() -> None:
    """What is told goes through `tell`, `answer` and `write`, or is listed with the reason."""
    inner = {"kernel", "commands", "outer_agent.py", "api", "emit.py"}  # to pipes of our own
    found = set()
    for path in (SRC / "netloom").rglob("*.py"):
        place = path.relative_to(SRC / "netloom")
        if inner.isdisjoint(place.parts) and any(map(_prints, ast.walk(parsed(path)))):
            found.add(str(place))
    assert found <= PRINTS.keys(), found - PRINTS.keys()
