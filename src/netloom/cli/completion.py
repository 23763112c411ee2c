"""Completion for bash, zsh and fish, by click's own scripts."""

import click
from click.shell_completion import get_completion_class

from netloom.cli.output import REFUSED, Stop

_HINTS = {
    "bash": 'eval "$(netloom completion bash)"    in ~/.bashrc',
    "zsh": 'eval "$(netloom completion zsh)"    in ~/.zshrc',
    "fish": "netloom completion fish | source    in ~/.config/fish/config.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(sorted(_HINTS)))
def completion_command(shell: str) -> None:
    """Print the completion script of a shell."""
    from netloom.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        message = f"no completion for `{shell}`"
        raise Stop(message, REFUSED)
    click.echo(f"# {_HINTS[shell]}")
    click.echo(found(cli, {}, "netloom", "_NETLOOM_COMPLETE").source())


COMMANDS: tuple[click.Command, ...] = (completion_command,)
"""The verbs of this file, to be hung into the command line."""
