"""The commands of a namespace (`run:`), each with a name of its own."""

import re
from collections.abc import Iterator

from msgspec import json

from netloom.language.topology import RunSpec
from netloom.model.objects import Command
from netloom.values import blake2b

_PLAIN = r"-{0,2}[\w/][\w./@=+-]*"
_PROGRAM = r"(?:\S*/)?(\w[\w.-]*)"
_BEFORE = frozenset({"exec", "env", "nohup", "setsid"})
_NAMELESS = "run"


def commands(runs: tuple[RunSpec, ...], folder: str) -> dict[str, Command]:
    """Return the commands by their names; `folder` is where those begin that say nothing else."""
    found: dict[str, Command] = {}
    for run in runs:
        argv = run.command if len(run.command) > 1 else ("sh", "-c", *run.command)
        cwd = run.cwd if run.cwd.startswith("/") else f"{folder}/{run.cwd}".rstrip("/")
        command = Command(
            argv=argv,
            ready=str(run.ready or ""),
            env=run.env,
            user=run.user,
            cwd=cwd or "/",
            restart=run.restart,
        )
        wanted = run.name or _program(run.command[0])
        names = (wanted, *(f"{wanted}{number}" for number in range(2, len(runs) + 2)))
        found[next(name for name in names if name not in found)] = command
    return found


def twice(runs: tuple[RunSpec, ...]) -> Iterator[int]:
    """Yield the numbers of commands whose name an earlier one has."""
    names = [run.name for run in runs]
    return (n for n, name in enumerate(names) if name and name in names[:n])


def option(runs: tuple[RunSpec, ...]) -> tuple[int, str] | None:
    """Return the number of the first command that is an option of the one before it, and a hint.

    `run: [python3, -m, http.server]` is how others write one command with its arguments.
    """
    number = next((n for n, run in enumerate(runs) if run.command[0].startswith("-")), None)
    if number is None:
        return None
    if number == 0 or any(len(run.command) > 1 for run in runs):
        return number, "the program comes first"
    words = ", ".join(_quoted(run.command[0]) for run in runs)
    return number, f"write `run: {{command: [{words}]}}`"


def _quoted(word: str) -> str:
    """Return an argument as it may stand in a list of YAML."""
    return word if re.fullmatch(_PLAIN, word) else json.encode(word).decode()


def _program(text: str) -> str:
    """Return the name of the program that a text runs first."""
    for word in text.split():
        program = re.fullmatch(_PROGRAM, word)
        if program and program[1] not in _BEFORE:
            return program[1]
        if not program and "=" not in word:
            break
    return _NAMELESS


def command_digest(command: Command) -> str:
    """Return by what a command is known: all but what it is ready by, and when it starts."""
    env = sorted(command.env.items())
    whole = (command.argv, env, command.user, command.cwd, command.restart)
    return blake2b(repr(whole).encode(), digest_size=12).hexdigest()
