"""The dialect in which the tests of the command line are written.

    netloom("up").stdout("…").stderr("…").status(0)

says all: what is not said to be printed must not be printed, and the status is always said, last.
A number of milliseconds is written `N ms`, since it is never the same.
"""

import json
import os
import re
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.hosts.forkserver import Fork
from tests.hosts.programs import MAIN, python


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def shown(self) -> str:
        """All of it in one text, so that what differs can be read."""
        return f"{self.stdout}--- on standard error:\n{self.stderr}--- status {self.returncode}"


class Netloom:
    """One run of netloom, and what must be true of it; `status` comes last, and checks."""

    def __init__(self, ended: Ended) -> None:
        """Keep what is to be checked."""
        self.ended = ended
        self._stdout = ""
        self._stderr = ""

    def stdout(self, text: str) -> Self:
        """Expect this answer."""
        self._stdout = text
        return self

    def stderr(self, text: str) -> Self:
        """Expect this talk."""
        self._stderr = text
        return self

    def status(self, status: int) -> None:
        """Compare all: status, standard output, standard error."""
        seen, expected = self.ended, Ended(status, self._stdout, self._stderr)
        assert timeless(seen.shown) == expected.shown


def timeless(text: str) -> str:
    """Return a text without the time that something took."""
    return re.sub(r"\b\d+ ms\b", "N ms", text)


def command(*words: str) -> list[str]:
    """Return the command that runs netloom from this source tree."""
    return python(MAIN, *words)


def netloom(*words: str, stdin: str = "") -> Netloom:
    """Run netloom, whose end is then described."""
    run = _forked(words, stdin.encode())
    assert "Traceback" not in run.stderr, run.stderr
    assert "netloom has a bug" not in run.stderr, run.stderr
    return Netloom(run)


def _forked(words: Sequence[str], stdin: bytes) -> Ended:
    """Return how a command ended that was forked, not started."""
    reads, writes = os.pipe()
    with open(os.memfd_create("out")) as out, open(os.memfd_create("err")) as err:
        fork = Fork((reads, out.fileno(), err.fileno()), argv=words)
        os.close(reads)
        assert os.write(writes, stdin) == len(stdin)  # which a pipe holds, to 64 KiB
        os.close(writes)
        status = fork.status(timeout=60)
        out.seek(0)
        err.seek(0)
        return Ended(status, out.read(), err.read())


def ended(*words: str, stdin: str = "") -> Ended:
    """Return how netloom ended, where a test looks at it by itself."""
    return netloom(*words, stdin=stdin).ended


def write(name: str, text: str) -> Path:
    """Write a file into the working folder."""
    path = Path(name)
    path.write_text(text)
    return path


class Warm:
    """A netloom that is not started anew each time, and can be killed at a chosen call."""

    def __init__(self, server: str = "tests.hosts.warm") -> None:
        """Start it on the calling thread's machine."""
        ours, theirs = socket.socketpair()
        self._fork = Fork((theirs.fileno(), theirs.fileno(), 2), module=server)
        theirs.close()
        self._orders = ours.makefile("rw")
        ours.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._orders.close()
        self._fork.status(timeout=60)

    def ask(self, argv: Sequence[str], *, check: bool = True, **keys: object) -> dict[str, Any]:
        """Return how a run ended; without `check`, also where it ended by a bug."""
        print(json.dumps({"argv": argv, **keys}), file=self._orders, flush=True)
        answer: dict[str, Any] = json.loads(self._orders.readline())
        if check:
            assert "Traceback" not in answer["stderr"], answer["stderr"]
            assert "netloom has a bug" not in answer["stderr"], answer["stderr"]
        return answer

    def __call__(self, *argv: str, status: int = 0) -> dict[str, Any]:
        """Run netloom to its end, which must have this status."""
        answer = self.ask(argv)
        assert answer["status"] == status, answer
        return answer

    def calls(self, *argv: str) -> list[str]:
        """Run netloom, and return the calls by which it changed something."""
        answer = self.ask(argv, follow=True)
        assert answer["status"] == 0, answer
        return list(answer["calls"])

    def kill(self, at: int, *argv: str) -> str:
        """Run netloom, and kill it at a call, counted from 1; return what it was about to do.

        A run may have a call or two less than the one before, and end: a folder that is still in
        use is removed at the second try.
        """
        answer = self.ask(argv, follow=True, at=at)
        ended = answer["status"] == 0 and 0 < at - len(answer["calls"]) <= 2
        assert answer["status"] == -9 or ended, f"{argv}: no call {at}: {answer}"
        return str(answer["calls"][-1])

    def interrupt(self, at: int, *argv: str) -> dict[str, Any]:
        """Run netloom, and press Ctrl-C at the call of this number; return how it ended."""
        return self.ask(argv, follow=True, at=at, signal=int(signal.SIGINT))

    def refuse(self, at: int, number: int, *argv: str) -> dict[str, Any]:
        """Run netloom, and have its call of this number fail with an errno; return how it ended."""
        return self.ask(argv, follow=True, at=at, errno=number)

    def meanwhile(self, about: str, command: Sequence[str], *argv: str) -> dict[str, Any]:
        """Run netloom, and a command of somebody else's before its first call about something."""
        calls = self.calls(*argv)
        at = next(number for number, call in enumerate(calls, 1) if about in call)
        self("down", argv[-1])
        return self.ask(argv, follow=True, at=at, meanwhile=list(command))
