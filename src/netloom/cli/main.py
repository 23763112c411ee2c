"""The command line: a table of verbs in groups, help on one screen, and no traceback ever.

A verb's code is imported when it is called: `netloom --help` and `netloom exec` pay for nothing
else.
"""

import os
import sys
from importlib import import_module

import click

from netloom import __version__
from netloom.cli.suggest import meant
from netloom.errors import FAILURES, failure

VERBS: dict[str, dict[str, tuple[str, str]]] = {
    "Labs": {
        "up": ("netloom.cli.labs", "make it so; twice does nothing"),
        "down": ("netloom.cli.labs", "take a lab down, and leave nothing"),
        "plan": ("netloom.cli.labs", "what would `up` change?"),
        "verify": ("netloom.cli.labs", "is it still what was applied?"),
        "undo": ("netloom.cli.labs", "back to before netloom's last change"),
        "labs": ("netloom.cli.labs", "the labs that are up"),
        "logs": ("netloom.cli.logs", "what the commands of a namespace printed"),
        "enable": ("netloom.cli.enable", "start a lab at boot"),
        "disable": ("netloom.cli.enable", "start it no more"),
    },
    "Look": {
        "ls": ("netloom.cli.byhand", "all names of namespaces, and whose they are"),
        "identify": ("netloom.cli.who", "which names has a namespace, and whose is it?"),
        "pids": ("netloom.cli.who", "who lives in a namespace, or holds it?"),
        "capture": ("netloom.cli.capture", "packets of many interfaces in one pcapng"),
    },
    "Explain": {
        "doctor": ("netloom.cli.doctor", "may labs be made without root, and if not, why?"),
    },
    "Enter": {
        "exec": ("netloom.cli.inside", "run a command in a namespace"),
        "shell": ("netloom.cli.inside", "a shell in a namespace"),
        "run": ("netloom.cli.inside", "run a command in a throw-away namespace"),
    },
    "Wires": {
        "wire": ("netloom.cli.wires", "make a wire between two namespaces"),
        "move": ("netloom.cli.wires", "move an interface, with all it has"),
    },
    "By hand": {
        "add": ("netloom.cli.byhand", "make namespaces, with `lo` up"),
        "attach": ("netloom.cli.byhand", "give a process's namespace a name"),
        "del": ("netloom.cli.byhand", "delete namespaces, and stale names"),
        "netns": ("netloom.cli.byhand", "word for word what `ip netns` does"),
    },
    "Other": {
        "init": ("netloom.cli.labs", "write a commented starter file"),
        "schema": ("netloom.cli.labs", "the JSON Schema of topology files"),
        "completion": ("netloom.cli.completion", "a completion script for bash, zsh or fish"),
    },
}
"""Group, verb, the module that has it in its COMMANDS, and one line of help."""

_ALSO = {"connect": "netloom.cli.wires"}
"""Other words for a verb, which the help does not show."""

_MODULES = {verb: place for group in VERBS.values() for verb, (place, _) in group.items()} | _ALSO


class _Verbs(click.Group):
    """The verbs, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        place = _MODULES.get(cmd_name)
        if place is None:
            return None
        found: tuple[click.Command, ...] = import_module(place).COMMANDS
        return next(command for command in found if command.name == cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _MODULES and not name.startswith("-"):
            hint = meant(name, _MODULES)
            message = f"unknown command `{name}`" + (f": {hint}" if hint else "")
            raise click.UsageError(message)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        formatter.write("netloom: networks of Linux network namespaces\n\n")
        formatter.write("usage: netloom VERB …        netloom VERB --help tells more\n")
        for group, verbs in VERBS.items():
            formatter.write(f"\n{group}\n")
            for verb, (_, text) in verbs.items():
                formatter.write(f"  {verb:11} {text}\n")
        formatter.write("\nFILE is netloom.yaml unless named; LAB is a name or a FILE.\n")


@click.command(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="netloom %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Make, see and use networks of Linux network namespaces."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run the command line; every end has its exit status and its sentence."""
    if _is_for_ip(sys.argv[1:]):
        from netloom.cli.netns import main as like_ip

        sys.exit(like_ip(sys.argv[1:], named=False))
    try:
        status = cli.main(prog_name="netloom", standalone_mode=False)
    except click.UsageError as error:
        _say(_usage(error))
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except FAILURES as error:
        _say(f"the machine refused: {failure(error)}")
        sys.exit(1)
    except Exception as error:
        if os.environ.get("NETLOOM_TRACEBACK"):
            raise
        _say(f"netloom has a bug: {type(error).__name__}: {error}")
        _say("hint: NETLOOM_TRACEBACK=1 shows where; please report it")
        sys.exit(70)
    sys.exit(status if isinstance(status, int) else 0)


def _is_for_ip(words: list[str]) -> bool:
    """Whether it is `netloom OPTIONS netns …`, the options being those of `ip OPTIONS netns …`."""
    own = {"-h", "--help", "--version"}
    return "netns" in words and words[0].startswith("-") and words[0] not in own


def _usage(error: click.UsageError) -> str:
    message = error.format_message()
    message = message[:1].lower() + message[1:].rstrip(".")
    path = error.ctx.command_path if error.ctx else "netloom"
    return f"{message}\nhint: {path} --help"


def _say(text: str) -> None:
    from netloom.cli.output import tell

    tell(text)
