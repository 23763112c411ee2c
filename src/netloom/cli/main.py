"""The command line: words to a verb, every end to an exit status and a sentence, no traceback ever.

Should: import what a verb needs when it is called, since most of a small command is its start.
"""

import os
import sys

from netloom import __version__, kernel
from netloom.cli.grammar import HELP, MISTAKE, UsageError
from netloom.cli.verbs import MODULES, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COMPLETING = "_NETLOOM_COMPLETE"
"""Is in the environment where a shell asks what a word may become."""


def main() -> None:
    """Run the command line; every end has its exit status and its sentence."""
    kernel.in_program = False
    try:  # noqa: SIM105 - contextlib is not loaded yet
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # it is ours
    except OSError:  # what is printed will say so
        pass
    words = sys.argv[1:]
    if COMPLETING in os.environ:
        from netloom.cli.completion import answer

        sys.exit(answer())
    if _is_for_ip(words):
        from netloom.cli.netns import main as like_ip

        sys.exit(like_ip(words, named=False))
    try:
        status = _run(words)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except Exception as error:  # noqa: BLE001 - this is where all of them end
        status = _failed(error)
    sys.exit(status)


def _failed(error: Exception) -> int:
    """Tell what ended a verb, and return the exit status; raises it where that is asked for."""
    try:
        from netloom.cli.output import Stop
        from netloom.errors import FAILURES, REINSTALL, failure, not_whole
    except (ImportError, OSError, MemoryError):  # what would tell of it cannot be loaded, either
        os.write(2, f"netloom cannot go on: {error}\n".encode(errors="backslashreplace"))
        return 1
    if isinstance(error, Stop):
        return _end(error.message, error.status)
    if isinstance(error, FAILURES) and not not_whole(error):
        return _end(f"the machine refused: {failure(error)}", 1)
    if os.environ.get("NETLOOM_TRACEBACK"):
        raise error
    if isinstance(error, ImportError):
        return _end(f"{failure(error)}\nhint: {REINSTALL}", 70)
    hint = "hint: NETLOOM_TRACEBACK=1 shows where; please report it"
    return _end(f"netloom has a bug: {type(error).__name__}: {error}\n{hint}", 70)


def _run(words: "Sequence[str]") -> int:
    """Do what the words say, and return the exit status."""
    if not words or words[0] in HELP:
        from netloom.cli.help import overview

        return _print(overview())
    if words[0] == "--version":
        return _print(f"netloom {__version__}\n")
    if words[0] not in MODULES:
        return _end(_unknown(words[0]), MISTAKE)
    verb = command(words[0])
    try:
        given = verb.read(words[1:])
        if given is not None:
            return verb.call(**given) or 0
    except UsageError as error:
        from netloom.errors import printable

        return _end(f"{printable(str(error))}\nhint: netloom {verb.name} --help", verb.mistake)
    from netloom.cli.help import help_on

    return _print(help_on(verb))


def _is_for_ip(words: list[str]) -> bool:
    """Whether it is `netloom OPTIONS netns …`, the options being those of `ip OPTIONS netns …`."""
    own = {*HELP, "--version"}
    return "netns" in words and words[0].startswith("-") and words[0] not in own


def _unknown(word: str) -> str:
    from netloom.cli.did_you_mean import meant
    from netloom.errors import printable

    shown = printable(word)
    if word.startswith("-"):
        return f"no such option `{shown}`\nhint: netloom --help"
    hint = meant(word, MODULES)
    message = f"unknown command `{shown}`" + (f": {hint}" if hint else "")
    return f"{message}\nhint: netloom --help"


def _print(text: str) -> int:
    print(text, end="", flush=True)  # noqa: T201
    return 0


def _end(text: str, status: int) -> int:
    """Tell why it ends; one that has nothing to say ends without a word."""
    from netloom.cli.output import tell

    tell(text)
    return status
