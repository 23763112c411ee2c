"""Namespaces made by hand: `ls add attach del`, and `netns` for scripts that speak to `ip netns`.

They end with 2 before anything is touched, with 1 after undoing.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netloom.cli.grammar import Argument, Option, Verb, seconds, verb
from netloom.cli.named import namespaces, or_stop, reason, rows
from netloom.cli.output import INTERRUPTED, REFUSED, TRIED, Stop, answer, tell, words_of, write
from netloom.errors import FAILURES, KernelError, NetloomError, failure, printable, quoted
from netloom.namespaces.handle import NoSuchNetns, path_of

if TYPE_CHECKING:
    from netloom.host.cancel import Cancel

_WORDS = ("add", "attach", "delete", "exec", "help", "identify", "list", "list-id", "monitor")


@verb("ls", Option("--json", key="as_json", says="Print JSON."))
def ls_command(as_json: bool) -> None:
    """List the names of namespaces, each with the lab that it belongs to, or `stale`."""
    from netloom.cli.who import tell_traps
    from netloom.namespaces import registry

    found = rows(registry.names())
    if as_json:
        import json

        write(json.dumps([row._asdict() for row in found], indent=2) + "\n")
    else:
        width = max((len(printable(row.name)) for row in found), default=0)
        for name, lab, stale in found:
            note = "stale" if stale else printable(lab or "")
            answer(f"{printable(name):{width}}  {note}".rstrip())
    tell_traps([row.name for row in found])


@verb("add", Argument("wanted", "NAME...", many=True))
def add_command(wanted: tuple[str, ...]) -> None:
    """Make namespaces as `ip netns add` does, but with `lo` up."""
    from netloom.host.cancel import cancellable
    from netloom.namespaces import registry

    for name in wanted:
        _check_free(name, wanted)
    with cancellable() as stop:
        or_stop(registry.prepare, REFUSED)
        _make(wanted, stop)
    _tell_private()


def _make(wanted: Iterable[str], stop: "Cancel") -> None:
    """Make all namespaces, or none."""
    from netloom.namespaces import registry

    made: list[str] = []
    try:
        for name in wanted:
            registry.create(name)
            made.append(name)
            if stop.cancelled:
                raise Stop(f"interrupted; {_unmade(made)}", INTERRUPTED)
    except (NetloomError, *FAILURES) as error:
        message = f"cannot make namespace `{printable(name)}`: {_words_of(error)}\n{_unmade(made)}"
        raise Stop(message, TRIED) from error


def _words_of(error: Exception) -> str:
    from netloom.namespaces import rights

    if isinstance(error, KernelError):
        explained = rights.explained(error)
        return words_of(explained) if isinstance(explained, NetloomError) else str(error)
    return words_of(error) if isinstance(error, NetloomError) else str(failure(error))


def _unmade(made: list[str]) -> str:
    """Take names away again, and return what became of them."""
    from netloom.namespaces import registry

    left = []
    for name in made:
        try:
            registry.remove(name)
        except NetloomError:
            left.append(name)
    if left:
        told = ", ".join(map(printable, left))
        return f"left behind: {told}\nhint: netloom del {' '.join(map(quoted, left))}"
    return "all that was done has been undone"


@verb("attach", Argument("name"), Argument("what", "PID|PATH"))
def attach_command(name: str, what: str) -> None:
    """Give the namespace of a process, or one at a path, a name that stays when they go."""
    from netloom.cli.who import opened
    from netloom.host.cancel import deferred_signals
    from netloom.namespaces import registry
    from netloom.namespaces.symlinks import trap

    or_stop(lambda: path_of(name), REFUSED)
    if found := trap(name, path_of(name)):
        message = "\nhint: ".join(found)
        raise Stop(message, REFUSED)
    _check_free(name, (name,))
    with opened(what) as netns, deferred_signals(deadly=True):
        or_stop(registry.prepare, REFUSED)
        try:
            registry.attach(name, f"/proc/thread-self/fd/{netns.fd}")
        except (NetloomError, *FAILURES) as error:
            message = f"cannot attach `{printable(name)}` to {printable(what)}: {_words_of(error)}"
            raise Stop(message, TRIED) from error
    _tell_private()


def _tell_private() -> None:
    from netloom.namespaces import registry, userns_session

    with suppress(*FAILURES):  # it is done, whatever cannot be seen now
        if registry.private() and not userns_session.is_held():
            tell(f"note: {registry.NETNS_DIR} is not shared with the machine: seen from here only")


def _check_free(name: str, wanted: tuple[str, ...]) -> None:
    from netloom.namespaces import registry
    from netloom.values import RESERVED

    message = ""
    or_stop(lambda: path_of(name), REFUSED)
    if name in RESERVED:
        message = f"`{name}` is a word of netloom's own language, not a name"
    elif wanted.count(name) > 1:
        message = f"`{name}` is named twice"
    elif name in registry.names():
        there = "a namespace" if registry.is_netns(path_of(name)) else "a stale name"
        message = f"there is {there} `{printable(name)}` already\nhint: netloom del {quoted(name)}"
    if message:
        raise Stop(message, REFUSED)


@verb(
    "del",
    Option("--force", says="Delete a namespace of a lab, too."),
    Option("--kill", says="End the processes that live there, and tell which."),
    Option("--wait", says="Return when the namespace itself is gone."),
    Option(
        "--timeout",
        value="SECONDS",
        read=seconds,
        default=10.0,
        says="How long --wait waits (10).",
    ),
    Argument("wanted", "NAME...", many=True, complete=namespaces),
)
def del_command(
    wanted: tuple[str, ...], force: bool, kill: bool, wait: bool, timeout: float
) -> None:
    """Delete namespaces by name, as `ip netns del` does, stale names too; tell who holds them."""
    from netloom.cli.delete import delete
    from netloom.namespaces import registry

    there = set(registry.names())
    for name in wanted:
        if name not in there:
            raise Stop(reason(NoSuchNetns(name, f"no namespace `{printable(name)}`")), REFUSED)
    if not force:
        _check_no_labs(wanted)
    delete(tuple(dict.fromkeys(wanted)), kill=kill, timeout=timeout if wait else None)


def _check_no_labs(wanted: Iterable[str]) -> None:
    for name, lab, _ in rows(wanted):
        if lab:
            hint = f"netloom down {quoted(lab)}, or netloom del --force {quoted(name)}"
            message = f"`{printable(name)}` belongs to lab `{printable(lab)}`\nhint: {hint}"
            raise Stop(message, REFUSED)


def _words(before: Sequence[str], incomplete: str) -> list[str]:
    """Return what a word of `netns` may become: a verb, then names."""
    if any(not word.startswith("-") for word in before):
        return namespaces(before, incomplete)
    return [word for word in (*_WORDS, "pids", "set") if word.startswith(incomplete)]


@verb("netns", Argument("words", "[COMMAND]", many=True, complete=_words), verbatim=True)
def netns_command(words: Sequence[str]) -> int:
    """Do word for word what `ip [OPTIONS] netns [COMMAND]` does, for scripts written for it."""
    from netloom.cli.netns import main

    return main(words)


COMMANDS: tuple[Verb, ...] = (
    ls_command,
    add_command,
    attach_command,
    del_command,
    netns_command,
)
"""The verbs of this file, to be hung into the command line."""
