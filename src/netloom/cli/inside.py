"""The verbs that lead inside: `exec shell run`.

They become the command, so its status is theirs; trouble of our own is 125, as docker and env have
it.
"""

from collections.abc import Callable
from typing import NoReturn

import click

from netloom.cli.named import namespaces, reason
from netloom.cli.output import Stop, tell
from netloom.errors import NetloomError
from netloom.netns.run import TROUBLE, NotStarted, exec_in

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def _become(how: Callable[[], NoReturn]) -> NoReturn:
    try:
        how()
    except NotStarted as error:
        raise Stop(reason(error), error.status) from error
    except NetloomError as error:
        raise Stop(reason(error), TROUBLE) from error


def _command(words: tuple[str, ...], usage: str) -> tuple[str, ...]:
    """Return the command without the `--` that may stand before it, which click leaves there."""
    argv = words[1:] if words[:1] == ("--",) else words
    if not argv:
        message = f"no command was given\nhint: {usage}"
        raise Stop(message, TROUBLE)
    return argv


@click.command("exec", context_settings=_PASS_ON)
@click.argument("ns", shell_complete=namespaces)
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
def exec_command(ns: str, cmd: tuple[str, ...]) -> None:
    """Run a command in namespace NS, and end with its status."""
    argv = _command(cmd, f"netloom exec {ns} COMMAND, or netloom shell {ns}")
    _become(lambda: exec_in(ns, argv, tell=tell))


@click.command("shell")
@click.argument("ns", shell_complete=namespaces)
def shell_command(ns: str) -> None:
    """Open a shell in namespace NS; its prompt shows where it is."""
    from netloom.netns.shell import shell_in

    _become(lambda: shell_in(ns, tell=tell))


@click.command("run", context_settings=_PASS_ON)
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
def run_command(cmd: tuple[str, ...]) -> None:
    """Run a command in a throw-away namespace with nothing but `lo`."""
    from netloom.netns.isolate import run_isolated

    argv = _command(cmd, "netloom run COMMAND")
    _become(lambda: run_isolated(argv))


COMMANDS: tuple[click.Command, ...] = (
    exec_command,
    shell_command,
    run_command,
)
"""The verbs of this file, to be hung into the command line."""
