"""`netloom` and `python -m netloom`.

`netloom exec NS CMD…`, `netloom run CMD…` and `netloom netns …` take a short way that imports no
more than it needs: they are typed a hundred times a day, and written into loops.

A command lives for a moment, so nothing is spent on memory: the collector of cycles is off, and at
the end the process goes without taking itself apart (10 ms of the 70 that a start costs).

Ctrl-C ends it as it ends `ip`: by the signal itself, not by an exception that may come up anywhere.
What must not be torn apart catches it meanwhile (`host/cancel.py`).
"""

# The C half of `signal`, which Python has loaded by now; the other half costs 4 ms.
import _signal  # type: ignore[import-not-found] # typeshed does not tell of it

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # else it is ignored
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


_MAKING = frozenset({"up", "plan", "undo", "add"})
_USING = frozenset(
    "down verify labs logs exec shell ls del attach identify pids wire connect move capture".split()  # noqa: SIM905
)
"""Verbs of a plain user that are carried out in namespaces of that user's own."""

_NAMING = ("add", "attach", "-batch", "--batch")
"""Words of `netloom netns …` that make names; ip takes any beginning of them."""


def main() -> None:
    """Run the command line."""
    gc.disable()
    if "NETLOOM_TRACEBACK" not in os.environ:
        # What a thread without memory dies of is told as a refusal. In C: it takes no memory.
        sys.unraisablehook = id
    _have_streams()
    arguments = sys.argv[1:]
    leave: Callable[[], None] | None = None
    try:
        if os.geteuid() != 0 and (makes := _makes(arguments)) is not None:
            from netloom.cli.rootless import enter

            leave = enter(start=makes)
        _run(arguments)
        code: object = 0
    except SystemExit as end:
        code = end.code
    if leave:
        leave()
    _leave(code)


def _have_streams() -> None:
    """Open /dev/null on each of the three descriptors that whoever started us has closed.

    Else the next file that is opened would be standard output, for us and for a command.
    """
    for fd, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)  # gets the lowest free
            os.set_inheritable(fd, True)  # noqa: FBT003 - the only parameter it has
        if getattr(sys, name) is None:  # so Python leaves one that was closed
            stream = open(fd, mode, errors="backslashreplace", closefd=False)  # noqa: SIM115 - it stays
            setattr(sys, name, stream)


def _makes(arguments: list[str]) -> bool | None:
    """Whether a command may make namespaces; None where it is not about any."""
    verb = arguments[0] if arguments else ""
    if verb == "netns" or (verb.startswith("-") and "netns" in arguments):
        return any(len(w) > w.count("-") and n.startswith(w) for w in arguments for n in _NAMING)
    return verb in _MAKING if verb in _MAKING | _USING else None


def _run(arguments: list[str]) -> None:
    if len(arguments) > 2 and arguments[0] == "exec" and not arguments[1].startswith("-"):
        from netloom.cli.short import exec_shortly

        exec_shortly(arguments[1], arguments[2:])
    elif len(arguments) > 1 and arguments[0] == "run" and not arguments[1].startswith("-"):
        from netloom.cli.short import run_shortly

        run_shortly(arguments[1:])
    elif len(arguments) > 1 and arguments[0] == "netns" and arguments[1] not in {"-h", "--help"}:
        from netloom.cli.netns import main as like_ip

        sys.exit(like_ip(arguments[1:]))
    from netloom.cli.main import main as whole

    whole()


def _leave(code: object) -> "NoReturn":
    """End the process now, with what Python would have made of `code` (sys.exit)."""
    status = code if isinstance(code, int) else int(code is not None)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads it, or the disk is full
        status = status or 1
    os._exit(status)


if __name__ == "__main__":
    main()
