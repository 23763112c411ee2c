"""Names that somebody else chose: no terminal obeys them, and none makes a line of its own.

Any user may call a process, an interface or a file as they like, and what they print is in a log.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.hosts.host import on_a_host
from tests.hosts.netloom import Ended, ended, netloom, write
from tests.hosts.programs import python, says

EVIL = "a\x1b[2Jb\nfake x"
SHOWN = r"a\x1b[2Jb\nfake x"
BE_EVIL = f"""
import socket, sys
from netloom.kernel import process
process.rename({EVIL!r})
sock = socket.socket()
sock.bind(("", 8080))
sock.listen()
print("here", flush=True)
sys.stdin.read()
"""


@contextmanager
def evil(*enter: str) -> Iterator[int]:
    """Have a process of that name live, which listens on a port; yield its number."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*enter, *python(BE_EVIL)], stdin=pipe, stdout=pipe) as living:
        assert living.stdout
        assert living.stdout.readline() == b"here\n"
        yield living.pid
        assert living.stdin
        living.stdin.close()


def harmless(*words: str) -> Ended:
    """Return how netloom ended, which has printed nothing that a terminal obeys."""
    done = ended(*words)
    assert all(line.isprintable() for line in (done.stdout + done.stderr).split("\n")), done
    assert "fake x" not in [line.strip() for line in done.shown.splitlines()]
    return done


@on_a_host
def test_the_name_of_a_process() -> None:
    """Who has a port, holds a namespace, lives on in one, or is ended."""
    write(
        "lab.yaml",
        "networks: {n: {uplink: nat}}\nnamespaces: {a: {networks: [n], publish: 8080:80}}\n",
    )
    write("plain.yaml", "namespaces: [b]\n")
    with evil() as pid:
        assert (
            f"port 8080 of the host is taken: `{SHOWN}` (pid {pid})"
            in harmless("up", "lab.yaml").stderr
        )
    netloom("up", "-q", "plain.yaml").status(0)
    with evil("nsenter", "--net=/run/netns/b"):
        assert SHOWN in harmless("pids", "--fds", "b").stdout
        assert f"`{SHOWN}`" in harmless("down", "plain").stderr
    says("ip", "netns", "add", "c")
    with evil("nsenter", "--net=/run/netns/c") as pid:
        assert f"process {pid} ({SHOWN}) ended by SIGTERM" in harmless("del", "--kill", "c").stderr


@on_a_host
def test_the_name_of_an_interface_and_of_a_namespace() -> None:
    """Of a link that would be lost; in lists, and where it is perhaps meant."""
    write("lab.yaml", "namespaces: [red]\n")
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "netns", "add", "theirs")
    wire = ("type", "veth", "peer", "name", "x", "netns", "theirs")
    says("ip", "-n", "red", "link", "add", "\x1b[41mX", *wire)
    assert r"red:\x1b[41mX" in harmless("down", "lab").stderr
    netloom("down", "--force", "-q", "lab").status(0)
    says("ip", "netns", "del", "theirs")

    for name in (EVIL, "\u202eabc"):
        says("ip", "netns", "add", name)
    assert harmless("ls").stdout == f"{SHOWN}\n\\u202eabc\n"
    assert f"did you mean `{SHOWN}`?" in harmless("exec", EVIL[:-1], "true").stderr
    assert harmless("identify", f"/run/netns/{EVIL}").stdout.startswith(f"{SHOWN}  ")
    forged = "netloom:ab\ncd/e"
    subprocess.run(["ip", "-n", EVIL, "link", "set", "lo", "alias", forged], check=True)
    assert f"{SHOWN}  ab\\ncd" in harmless("ls").stdout


@on_a_host
def test_the_end_of_a_log() -> None:
    """What a command printed before it failed."""
    command = r"printf '\033]0;title\007\033[2Jfirst\rsecond\n'; exit 7"
    write("lab.yaml", f"namespaces: {{a: {{run: {{command: {command!r}, ready: tcp/80}}}}}}\n")
    assert r"\x1b]0;title\x07\x1b[2Jfirst" in harmless("up", "lab.yaml").stderr
    netloom("down", "-q", "lab").status(0)
