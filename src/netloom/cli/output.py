"""What a person sees while and after a verb works: answers on stdout, talk on stderr."""

import os
import sys
import time
from contextlib import contextmanager, suppress

from netloom.errors import (
    Interrupted,
    NetloomError,
    NotReady,
    Problem,
    Refused,
    TopologyError,
    Unavailable,
    harmless,
    printable,
    quoted,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from netloom.engine.transaction import Progress

TRIED = 1
"""Exit status: tried, refused, undone."""

REFUSED = 2
"""Exit status: refused before anything was touched."""

NO = 3
"""Exit status: the answer is no."""

INTERRUPTED = 130
"""Exit status: a signal asked to stop; a shell gives it to what one has ended, too."""

_RUN_AS = "run it as "
"""How a remedy begins that is shown as a whole command of sudo(8): a user follows."""

_PATIENCE = 0.2
"""Seconds before progress is shown."""


class Stop(Exception):
    """The end of a verb: its reason, told on standard error, and an exit status."""

    def __init__(self, message: str, status: int) -> None:
        """Keep both."""
        super().__init__(message)
        self.message = message
        self.status = status


def tell(line: str) -> None:
    """Print talk, on standard error."""
    print(harmless(line), file=sys.stderr, flush=True)  # noqa: T201


def answer(text: str) -> None:
    """Print an answer, on standard output; raises `Stop` where it cannot be written."""
    write(f"{harmless(text)}\n")


def write(text: str) -> None:
    """Print what programs read, on standard output, as it is; raises `Stop` as `answer` does."""
    try:
        print(text, end="", flush=True)  # noqa: T201
    except BrokenPipeError:
        raise
    except OSError as error:  # what was asked for is done: this is about nothing else
        message = f"cannot write on standard output: {error.strerror}"
        raise Stop(message, TRIED) from error


def from_here(path: str) -> str:
    """Return a path as it is called from here; whole where it does not lie below."""
    try:
        below = os.path.relpath(path) if path else ""
    except FileNotFoundError:  # the folder that we are in
        return path
    return path if below.startswith("../") else below


@contextmanager
def refusals() -> "Iterator[None]":
    """Turn what netloom refuses into its sentence and its exit status: raises `Stop`."""
    try:
        yield
    except TopologyError as error:
        raise Stop(_mistakes(error), REFUSED) from error
    except Refused as error:
        raise Stop(_with_notes(error), TRIED) from error
    except NotReady as error:
        message = f"{error}\nthe lab stays up, as it is"
        raise Stop(message, TRIED) from error
    except Interrupted as error:
        raise Stop(_with_notes(error), INTERRUPTED) from error
    except Unavailable as error:
        message = f"{error.reason}{_remedy(error)}\nnothing was touched"
        raise Stop(message, REFUSED) from error
    except NetloomError as error:
        message = f"{error}\nnothing was touched"
        raise Stop(message, REFUSED) from error


def _with_notes(error: NetloomError) -> str:
    """Return what is said of an error, and what was noted with it."""
    return "\n".join([str(error), *(f"note: {note}" for note in getattr(error, "__notes__", ()))])


def _remedy(error: Unavailable) -> str:
    """Return the hint of a refusal, and what else is to say of it."""
    remedy = remedy_of(error)
    hint = f"\nhint: {remedy}" if remedy else ""
    return hint + _own_host(error.reason)


def words_of(error: NetloomError) -> str:
    """Return what is said of an error, its hint too."""
    remedy = remedy_of(error) if isinstance(error, Unavailable) else ""
    return (
        f"{error.reason}\nhint: {remedy}"
        if isinstance(error, Unavailable) and remedy
        else str(error)
    )


def remedy_of(error: Unavailable) -> str:
    """Return what to do; where it is to be another user, the whole command: sudo knows no venv."""
    from netloom.namespaces import rights
    from netloom.namespaces.userns_session import is_plain_user

    if not error.remedy.startswith(_RUN_AS):
        return error.remedy
    words = error.remedy.removeprefix(_RUN_AS)
    user = words.split(",")[0].split()[0]
    if user == "root" and not is_plain_user():
        lacks = rights.lacking()
        return f"{(why := rights.refused(lacks)).reason}: {why.remedy}" if lacks else error.remedy
    return _with_sudo(user) + words.removeprefix(user)


def _with_sudo(user: str = "root") -> str:
    script = os.path.abspath(sys.argv[0])
    own = [sys.executable, "-m", "netloom"] if script.endswith("__main__.py") else [script]
    words = ["sudo", *([] if user == "root" else ["-u", user]), *own, *sys.argv[1:]]
    return " ".join(map(quoted, words))


def _own_host(said: str) -> str:
    """Return what to add where a plain user asks for what only the machine's host has."""
    from netloom.namespaces import userns_session

    asked = "the host" in said or "`host`" in said
    if not asked or not userns_session.is_held():
        return ""
    return f"\nwithout root the host is one of your own, with `lo` alone: {_with_sudo()}"


def _is_of_own_host(problem: Problem) -> bool:
    """Whether a mistake is about the user's own host; ways out of that are the machine's."""
    outward = not {"uplink", "publish"}.isdisjoint(problem.path)
    return not outward or "the host is not the machine's" in problem.message


def _mistakes(error: TopologyError) -> str:
    number = len(error.problems)
    files = {problem.mark.file for problem in error.problems if problem.mark}
    where = f" in {printable(files.pop())}" if len(files) == 1 else ""
    own = _own_host(" ".join(one.message for one in error.problems if _is_of_own_host(one)))
    if number == 1:
        return f"{error}{own}\nnothing was touched"
    return f"{error}{own}\n{number} mistakes{where}; nothing was touched"


@contextmanager
def progress(verb: str) -> "Iterator[Progress | None]":
    """Show how far a long change has got, on a terminal and after a fifth of a second."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(verb)
    try:
        yield bar
    finally:
        bar.close()


class _Bar:
    """One line that is written over."""

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.begun = time.monotonic()
        self.shown = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.begun > _PATIENCE and now - self.shown > _PATIENCE / 4:
            self.shown = now
            part = done / total if total else 1
            self._show(f"{self.verb} {'█' * int(part * 30):30} {done} of {total} steps")

    def close(self) -> None:
        if self.shown:
            self._show("\x1b[K")

    def _show(self, line: str) -> None:
        """Write over the line; a terminal that is gone is no reason to stop."""
        with suppress(OSError):
            print(f"\r{line}", end="", file=sys.stderr, flush=True)  # noqa: T201
