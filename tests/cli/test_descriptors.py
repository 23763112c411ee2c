"""Standard input, output or error closed, as daemons and cron wrappers leave them: /dev/null then.

Each call does what it does, and ends with its own status; so does the command of `exec`.
"""

import os
import subprocess
from itertools import cycle
from pathlib import Path

from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, write

WHOLE = os.environ.get("NETLOOM_WALK") == "whole"
CLOSED = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")
LAB = """\
name: lab
links: [[a, b]]
namespaces: {a: {run: {name: it, command: "echo said; exec sleep 1001", ready: log/said}}, b: }
"""
CALLS = (
    ("--help", 0),
    ("--version", 0),
    ("up --help", 0),
    ("nonsense", 2),
    ("schema", 0),
    ("completion bash", 0),
    ("doctor", 2),
    ("init new.yaml", 0),
    ("plan lab.yaml", 0),
    ("up lab.yaml", 0),
    ("up lab.yaml", 0),
    ("labs", 0),
    ("verify lab", 0),
    ("logs a", 0),
    ("ls --json", 0),
    ("identify a", 0),
    ("pids --fds a", 0),
    ("exec a true", 0),
    ("exec a sh -c 'echo one; echo two >&2; cat; exit 7'", 7),
    ("exec nobody true", 125),
    ("run sh -c 'echo one; exit 9'", 9),
    ("shell a", 0),
    ("netns list", 0),
    ("netns exec a sh -c 'exit 5'", 5),
    ("capture --packets a:lo --for 0 -o out", 0),
    ("undo --list lab", 0),
    ("down lab", 0),
    ("down nobody", 2),
)

LOOK = """\
exec 3> seen
for fd in 0 1 2; do
  case $(sed -n 's/flags:.*\\(.\\)/\\1/p' /proc/$$/fdinfo/$fd) in 0) way=r ;; 1) way=w ;; esac
  echo $way $(readlink /proc/$$/fd/$fd) >&3
done
"""


def closed(words: str, how: str) -> int:
    """Return how netloom ends that was started with descriptors closed."""
    argv = ["sh", "-c", f'exec "$@" {words} {how}', "sh", *command()]
    return subprocess.run(argv, capture_output=True, check=False, timeout=60).returncode


@on_a_host
def test_what_is_closed_changes_no_status() -> None:
    """Each of the three, and all; `up` has made the lab, and the log is no other's output."""
    write("lab.yaml", LAB)
    turns = cycle(CLOSED)
    for how in CLOSED if WHOLE else ["each"]:
        for words, status in CALLS:
            closing = how if WHOLE else next(turns)
            assert closed(words, closing) == status, (words, closing)
            if words == "up lab.yaml":
                assert Path("/run/netns/a").exists()
                log = Path("/run/netloom/labs/lab/logs/a:it.log")
                assert log.read_text().split()[1:] == ["said"]
        for made in ("new.yaml", "out"):
            Path(made).unlink()


@on_a_host
def test_a_command_has_all_three() -> None:
    """Open for what each is for, so that no file of its own is taken for one of them."""
    write("look", LOOK)
    closed("netns add a", CLOSED[-1])
    for words in ("run", "netns exec a", "exec a"):
        assert closed(f"{words} sh look", CLOSED[-1]) == 0
        assert Path("seen").read_text() == "r /dev/null\nw /dev/null\nw /dev/null\n", words
