"""The verbs that lead inside: `exec shell run`.

They become the command, so its status is theirs; trouble of our own is 125, as docker and env have
it.
"""

from collections.abc import Callable
from typing import NoReturn

from netloom.cli.grammar import Argument, Option, Verb, verb
from netloom.cli.named import namespaces, reason
from netloom.cli.output import Stop, tell
from netloom.errors import NetloomError, printable, quoted
from netloom.kernel.files import lexists
from netloom.namespaces.handle import path_of
from netloom.namespaces.run import HOST, TROUBLE, NotStarted, exec_at

_NS = Argument("ns", complete=namespaces)
_CMD = Argument("cmd", "[CMD]...", many=True, default="")


def _become(how: Callable[[], NoReturn]) -> NoReturn:
    try:
        how()
    except NotStarted as error:
        raise Stop(reason(error), error.status) from error
    except NetloomError as error:
        raise Stop(reason(error), TROUBLE) from error


def _command(words: tuple[str, ...], usage: str) -> tuple[str, ...]:
    """Return the command without the `--` that may stand before it, which belongs to nobody."""
    argv = words[1:] if words[:1] == ("--",) else words
    if not argv:
        message = f"no command was given\nhint: {usage}"
        raise Stop(message, TROUBLE)
    return argv


def _check_host(ns: str) -> None:
    """Raise `Stop` for a plain user who has no lab: the machine's network is not the user's own."""
    from netloom.namespaces.userns_session import is_needed

    if ns == HOST and is_needed() and not lexists(path_of(ns)):
        message = "you have no lab here, so there is no `host` of your own"
        raise Stop(f"{message}\nhint: netloom up FILE makes it, with its first lab", TROUBLE)


@verb("exec", _NS, _CMD, passes_on=True, mistake=TROUBLE)
def exec_command(ns: str, cmd: tuple[str, ...]) -> None:
    """Run a command in namespace NS, or in `host`, and end with its status."""
    argv = _command(cmd, f"netloom exec {quoted(ns)} COMMAND, or netloom shell {quoted(ns)}")
    _check_host(ns)
    _become(lambda: exec_at(ns, argv, tell=tell))


@verb("shell", _NS, mistake=TROUBLE)
def shell_command(ns: str) -> None:
    """Open a shell in namespace NS, or in `host`; its prompt shows where it is."""
    from netloom.namespaces.shell import shell_in

    _check_host(ns)
    _become(lambda: shell_in(ns, tell=tell))


# ── run ───────────────────────────────────────────────────────────────────────────────────


@verb(
    "run",
    Option("--uplink", says="A way out, by pasta(1), with nothing changed here."),
    Option(
        "--publish",
        value="[IP:]PORT:PORT[/udp]",
        several=True,
        says="A port here that leads inwards, with the way out.",
    ),
    Option("--network", value="LAB/NET", says="A place on a network of a lab."),
    Option("--vpn", value="FILE", says="All through this tunnel of WireGuard's."),
    Option(
        "--dns",
        value="ADDRESS",
        several=True,
        says="A resolver; with --uplink the host's otherwise.",
    ),
    Option(
        "--hosts",
        value="NAME=ADDRESS",
        several=True,
        says="A name, before those of /etc/hosts.",
    ),
    _CMD,
    passes_on=True,
    mistake=TROUBLE,
)
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
    from netloom.host.isolated.command import RunOptions, run_with
    from netloom.language.publish import publish
    from netloom.values import ip

    try:
        asked = RunOptions(
            uplink=uplink or bool(several["publish"]),
            publish=tuple(port for text in several["publish"] for port in publish(text).each()),
            network=network,
            vpn=vpn,
            dns=tuple(map(ip, several["dns"])),
            hosts=tuple(map(_host, several["hosts"])),
        )
    except ValueError as error:
        raise Stop(printable(str(error)), TROUBLE) from error
    _become(lambda: run_with(argv, asked))


def _host(text: str) -> tuple[str, str]:
    """Return the name and the address of `NAME=ADDRESS`."""
    from netloom.values import ip, name

    first, equals, second = text.partition("=")
    if not equals:
        message = f"`{text}` is no name with its address, such as `db=10.0.0.2`"
        raise ValueError(message)
    return name(first), ip(second)


COMMANDS: tuple[Verb, ...] = (
    exec_command,
    shell_command,
    run_command,
)
"""The verbs of this file, to be hung into the command line."""
