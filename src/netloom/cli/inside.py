"""The verbs that lead inside: `exec shell run`.

They become the command, so its status is theirs; trouble of our own is 125, as docker and env have
it.
"""

from collections.abc import Callable
from typing import NoReturn, TypeVar

import click

from netloom.cli.named import namespaces, reason
from netloom.cli.output import Stop, tell
from netloom.errors import NetloomError
from netloom.namespaces.run import TROUBLE, NotStarted, exec_in

_Decorated = TypeVar("_Decorated", bound=Callable[..., object])

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
    from netloom.namespaces.shell import shell_in

    _become(lambda: shell_in(ns, tell=tell))


# ── run ───────────────────────────────────────────────────────────────────────────────────


class _Run(click.Command):
    """`run`, whose mistakes are trouble of our own: 2 may be the status of its command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            said = error.format_message().rstrip(".")
            message = f"{said[:1].lower()}{said[1:]}\nhint: netloom run --help"
            raise Stop(message, TROUBLE) from error


def _several(name: str, metavar: str, help_text: str) -> Callable[[_Decorated], _Decorated]:
    return click.option(name, metavar=metavar, multiple=True, help=help_text)


@click.command("run", cls=_Run, context_settings={"allow_interspersed_args": False})
@click.option("--uplink", is_flag=True, help="A way out, by pasta(1), with nothing changed here.")
@_several("--publish", "[IP:]PORT:PORT[/udp]", "A port here that leads inwards, with the way out.")
@click.option("--network", metavar="LAB/NET", default="", help="A place on a network of a lab.")
@click.option("--vpn", metavar="FILE", default="", help="All through this tunnel of WireGuard's.")
@_several("--dns", "ADDRESS", "A resolver; with --uplink the host's otherwise.")
@_several("--hosts", "NAME=ADDRESS", "A name, before those of /etc/hosts.")
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
def run_command(
    uplink: bool, network: str, vpn: str, cmd: tuple[str, ...], **several: tuple[str, ...]
) -> None:
    """Run a command in a throw-away namespace, with nothing but `lo` and what options add."""
    argv = _command(cmd, "netloom run COMMAND")
    if not (uplink or network or vpn or any(several.values())):
        from netloom.namespaces.isolate import run_isolated

        _become(lambda: run_isolated(argv))
    if vpn and (uplink or network or several["publish"]):
        message = "with --vpn its link is the only one: no --uplink, --publish or --network beside"
        raise Stop(message, TROUBLE)
    from netloom.host.isolated.run import Asked, run_with
    from netloom.topology.publish import publish
    from netloom.values import ip

    try:
        asked = Asked(
            uplink=uplink or bool(several["publish"]),
            publish=tuple(map(publish, several["publish"])),
            network=network,
            vpn=vpn,
            dns=tuple(map(ip, several["dns"])),
            hosts=tuple(map(_host, several["hosts"])),
        )
    except ValueError as error:
        raise Stop(str(error), TROUBLE) from error
    _become(lambda: run_with(argv, asked))


def _host(text: str) -> tuple[str, str]:
    """Return the name and the address of `NAME=ADDRESS`."""
    from netloom.values import ip, name

    first, equals, second = text.partition("=")
    if not equals:
        message = f"`{text}` is no name with its address, such as `db=10.0.0.2`"
        raise ValueError(message)
    return name(first), ip(second)


COMMANDS: tuple[click.Command, ...] = (
    exec_command,
    shell_command,
    run_command,
)
"""The verbs of this file, to be hung into the command line."""
