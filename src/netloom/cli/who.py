"""`identify` and `pids`: whose a namespace is, and who lives in it or holds it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from netloom.cli.grammar import Argument, Option, Verb, verb
from netloom.cli.named import namespaces, reason
from netloom.cli.output import NO, REFUSED, Stop, answer, tell, write
from netloom.errors import KernelError, NetloomError, Unavailable, printable, quoted
from netloom.namespaces.handle import NETNS_DIR, Handle, open_name, open_path, open_pid

if TYPE_CHECKING:
    from netloom.namespaces.ownership import Owner
    from netloom.namespaces.references import Reference


@contextmanager
def opened(what: str) -> Iterator[Handle]:
    """Open the namespace of a process id, a path or a name; raises `Stop` for what is none."""
    try:
        if what.isascii() and what.isdigit():
            netns = open_pid(int(what))
        elif "/" in what:
            netns = open_path(what)
        else:
            netns = open_name(what)
    except NetloomError as error:
        raise Stop(reason(error), REFUSED) from error
    with netns:
        yield netns


def tell_traps(names: list[str]) -> None:
    """Tell of each name that is only a symbolic link, and what to do instead."""
    from netloom.namespaces.symlinks import trap

    for name in names:
        if found := trap(name, f"{NETNS_DIR}/{name}"):
            worth, remedy = found
            tell(f"note: {worth}\nhint: {remedy}")


@verb(
    "identify",
    Option("--json", key="as_json", says="Print JSON."),
    Argument("what", "[PID|NAME|PATH]", default="", complete=namespaces),
)
def identify_command(what: str, as_json: bool) -> None:
    """Print all names of a namespace, and whose it is; without an argument, of this one."""
    from netloom.namespaces.ownership import names_of, owner
    from netloom.namespaces.references import identity

    with opened(what or str(os.getpid())) as netns:
        wanted = identity(netns.fd)
        names = names_of(wanted)
        whose = owner(netns)
    if as_json:
        facts = {"names": names, "inode": wanted.inode, "owner": _facts(whose)}
        import json

        write(json.dumps(facts, indent=2) + "\n")
    for name in [] if as_json else names:
        answer(f"{printable(name)}  {_words(whose)}")
    tell_traps(names)
    if not names:
        what = what or "this"
        whole = f"the namespace of process {what}" if what.isdigit() else f"`{what}`"
        whole = "this namespace" if what == "this" else whole
        remedy = f"netloom attach NAME {os.getppid() if what == 'this' else quoted(what)}"
        message = f"{whole} has no name: {_words(whose)}\nhint: {remedy}"
        raise Stop(message, NO)


def _words(whose: "Owner") -> str:
    match whose.kind:
        case "lab":
            return f"lab {printable(whose.lab)}"
        case "host":
            return "where netloom runs"
        case "process" | "holder":
            within = f", {whose.group}" if whose.group else ""
            return (whose.how or f"process {whose.pid} ({whose.command})") + within
        case "hidden":
            return "one may not look inside"
        case _:
            return "nobody but its name holds it"


def _facts(whose: "Owner") -> dict[str, object]:
    return {key: value for key, value in whose._asdict().items() if value}


@verb(
    "pids",
    Option("--threads", says="Also threads that moved there alone."),
    Option("--fds", says="Also who holds it open by a descriptor."),
    Option("--sockets", says="Also who has sockets in it, wherever they live."),
    Option("--json", key="as_json", says="Print JSON, with the commands' names."),
    Argument("ns", "NAME", complete=namespaces),
)
def pids_command(ns: str, threads: bool, fds: bool, sockets: bool, as_json: bool) -> None:
    """Print the ids of the processes in a namespace; with options, all that hold it, in words."""
    from netloom.namespaces.enter import enter
    from netloom.namespaces.references import identity, references

    try:
        with open_name(ns) as netns:
            enter(netns, _nothing)  # else it is nobody's to see who is in there
            wanted = identity(netns.fd)
            found = list(references({wanted}, threads=threads, fds=fds, sockets=sockets))
    except KernelError as error:
        refused = Unavailable(f"may not look into `{printable(ns)}`: {error}", "run it as root")
        raise Stop(reason(refused), REFUSED) from error
    except NetloomError as error:
        raise Stop(reason(error), REFUSED) from error
    asked = [
        key for key, flag in (("threads", threads), ("fds", fds), ("sockets", sockets)) if flag
    ]
    if as_json:
        import json

        write(json.dumps([_row(holder, asked) for holder in found], indent=2) + "\n")
        return
    for holder in found:
        answer(_line(holder) if asked else str(holder.pid))


def _nothing() -> None:
    """Do nothing, where one may be."""


def _row(holder: "Reference", asked: list[str]) -> dict[str, object]:
    row: dict[str, object] = {"pid": holder.pid, "command": holder.command}
    if asked:
        row["inside"] = holder.inside
    return row | {key: sorted(getattr(holder, key)) for key in asked}


def _line(holder: "Reference") -> str:
    ways = ["lives there"] if holder.inside else []
    kinds = (("thread", holder.threads), ("fd", holder.fds), ("socket fd", holder.sockets))
    ways += [f"{word} {' '.join(map(str, sorted(found)))}" for word, found in kinds if found]
    return f"{holder.pid:7}  {holder.command:15}  {', '.join(ways)}"


COMMANDS: tuple[Verb, ...] = (identify_command, pids_command)
"""The verbs of this file, to be hung into the command line."""
