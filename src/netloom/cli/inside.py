"""The verbs that lead inside (`exec shell run`), and namespaces made by hand (`ls add del`).

`exec`, `shell` and `run` become the command, so its status is theirs; trouble of our own is 125, as
docker and env have it. The others end with 2 before anything is touched, with 1 after undoing.
"""

from collections.abc import Callable, Iterable
from typing import NoReturn

import click

from netloom.cli.output import REFUSED, TRIED, Stop, printable, tell
from netloom.errors import KernelError, NetloomError, Unavailable
from netloom.netns.handle import NoSuchNetns, Stale, open_name, path_of
from netloom.netns.run import TROUBLE, NotStarted, exec_in

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def _reason(error: NetloomError) -> str:
    """Return what went wrong, with the name that was perhaps meant."""
    from netloom.netns import names
    from netloom.topology.suggest import did_you_mean

    if not isinstance(error, NoSuchNetns) or isinstance(error, Stale):
        return str(error)
    meant = did_you_mean(error.name, names.names())
    return f"{error.reason}: {meant}" if meant else str(error)


def _become(how: Callable[[], NoReturn]) -> NoReturn:
    try:
        how()
    except NotStarted as error:
        raise Stop(_reason(error), error.status) from error
    except NetloomError as error:
        raise Stop(_reason(error), TROUBLE) from error


def _command(words: tuple[str, ...], usage: str) -> tuple[str, ...]:
    """Return the command without the `--` that may stand before it, which click leaves there."""
    argv = words[1:] if words[:1] == ("--",) else words
    if not argv:
        message = f"no command was given\nhint: {usage}"
        raise Stop(message, TROUBLE)
    return argv


def _namespaces(
    ctx: click.Context,  # noqa: ARG001 - the shape of a completion
    param: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[str]:
    """Return the names that a word may become."""
    from netloom.netns import names

    return [name for name in names.names() if name.startswith(incomplete)]


@click.command("exec", context_settings=_PASS_ON)
@click.argument("ns", shell_complete=_namespaces)
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
def exec_command(ns: str, cmd: tuple[str, ...]) -> None:
    """Run a command in namespace NS, and end with its status."""
    argv = _command(cmd, f"netloom exec {ns} COMMAND, or netloom shell {ns}")
    _become(lambda: exec_in(ns, argv, tell=tell))


@click.command("shell")
@click.argument("ns", shell_complete=_namespaces)
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


@click.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls_command(as_json: bool) -> None:
    """List the names of namespaces, each with the lab that it belongs to, or `stale`."""
    import json

    from netloom.netns import names

    rows = _rows(names.names())
    if as_json:
        keys = ("name", "lab", "stale")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return
    width = max((len(printable(name)) for name, _, _ in rows), default=0)
    for name, lab, stale in rows:
        note = "stale" if stale else lab or ""
        click.echo(f"{printable(name):{width}}  {note}".rstrip())


@click.command("add")
@click.argument("wanted", metavar="NAME...", nargs=-1, required=True)
def add_command(wanted: tuple[str, ...]) -> None:
    """Make namespaces as `ip netns add` does, but with `lo` up."""
    from netloom.netns import names

    for name in wanted:
        _check_free(name, wanted)
    _or_stop(names.prepare, REFUSED)
    made: list[str] = []
    for name in wanted:
        try:
            names.create(name)
        except (NetloomError, KernelError) as error:
            for done in made:
                names.remove(done)
            message = f"cannot make namespace `{name}`: {error}"
            raise Stop(message, TRIED) from error
        made.append(name)
    if names.private():
        tell(f"note: {names.NETNS_DIR} is not shared with the machine: seen from here only")


def _check_free(name: str, wanted: tuple[str, ...]) -> None:
    from netloom.netns import names
    from netloom.values import RESERVED

    message = ""
    _or_stop(lambda: path_of(name), REFUSED)
    if name in RESERVED:
        message = f"`{name}` is a word of netloom's own language, not a name"
    elif wanted.count(name) > 1:
        message = f"`{name}` is named twice"
    elif name in names.names():
        there = "a namespace" if names.is_netns(path_of(name)) else "a stale name"
        message = f"there is {there} `{name}` already\nhint: netloom del {name}"
    if message:
        raise Stop(message, REFUSED)


@click.command("del")
@click.option("--force", is_flag=True, help="Delete a namespace of a lab, too.")
@click.argument("wanted", metavar="NAME...", nargs=-1, required=True, shell_complete=_namespaces)
def del_command(wanted: tuple[str, ...], force: bool) -> None:
    """Delete namespaces by name, as `ip netns del` does; stale names, too."""
    from netloom.netns import names

    there = set(names.names())
    for name in wanted:
        if name not in there:
            raise Stop(_reason(NoSuchNetns(name, f"no namespace `{name}`")), REFUSED)
    if not force:
        _check_no_labs(wanted)
    for name in dict.fromkeys(wanted):
        try:
            names.remove(name)
        except NetloomError as error:
            raise Stop(_reason(error), TRIED) from error


def _check_no_labs(wanted: Iterable[str]) -> None:
    for name, lab, _ in _rows(wanted):
        if lab:
            hint = f"netloom down {lab}, or netloom del --force {name}"
            message = f"`{name}` belongs to lab `{lab}`\nhint: {hint}"
            raise Stop(message, REFUSED)


def _or_stop(call: Callable[[], object], status: int) -> None:
    try:
        call()
    except NetloomError as error:
        raise Stop(_reason(error), status) from error


Row = tuple[str, str | None, bool]
"""A name, its lab (empty for none, None where one may not look inside), and whether it is stale."""


def _rows(wanted: Iterable[str]) -> list[Row]:
    """Look at each namespace, all on one thread that hops from one to the next."""
    from netloom.netns.enter import aside

    return aside(lambda: [_row(name) for name in wanted])


def _row(name: str) -> Row:
    from netloom.kernel.netlink import Rtnetlink
    from netloom.model.marks import lab_of
    from netloom.netns.enter import hop
    from netloom.wire.rtnetlink import get_link, read_links

    try:
        with open_name(name) as netns:
            hop(netns)
    except Stale:
        return name, "", True
    except (Unavailable, KernelError):
        return name, None, False
    with Rtnetlink() as route:
        return name, lab_of(read_links([route.ask(get_link("lo"))])[0].alias), False


COMMANDS: tuple[click.Command, ...] = (
    exec_command,
    shell_command,
    run_command,
    ls_command,
    add_command,
    del_command,
)
"""The verbs of this file, to be hung into the command line."""
