"""A throw-away network with more than `lo`: what `netloom run` is given on request.

What is asked for is found out, and refused, before anything is made; all of it ends with the
command, which this process becomes.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from netloom.errors import KernelError, Unavailable
from netloom.host.outlet import Outlet
from netloom.host.outside import resolvers
from netloom.netns import view
from netloom.netns.isolate import isolate
from netloom.netns.run import become
from netloom.topology.topology import Publish

if TYPE_CHECKING:
    from typing import NoReturn

_LABEL = "netloom"
_HOSTS = "/etc/hosts"


class Asked(NamedTuple):
    """What a network for one command shall have; `hosts` are names with their addresses."""

    uplink: bool = False
    publish: tuple[Publish, ...] = ()
    dns: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


def run_with(argv: Sequence[str], asked: Asked) -> "NoReturn":
    """Become a command in a new network that has what is asked for.

    Should: be the last thing that a process does.
    Mustn't: be called in a process with threads, which cannot make itself a user namespace.
    """
    with ExitStack() as stack:
        outlet = None
        if asked.uplink:
            outlet = stack.enter_context(Outlet(asked.publish))
        files = _files(asked)
        isolate()
        _lay(files)
        if outlet:
            outlet.open()
    become(argv, {})


def _files(asked: Asked) -> dict[str, str]:
    """Return what the command shall see in files of /etc."""
    found = {}
    servers = "".join(f"nameserver {address}\n" for address in asked.dns)
    if servers or (asked.uplink and (servers := resolvers())):
        found["resolv.conf"] = servers
    if asked.hosts:
        found["hosts"] = _with_hosts("".join(f"{ip}\t{name}\n" for name, ip in asked.hosts))
    return found


def _with_hosts(lines: str) -> str:
    """Return the machine's own hosts file with lines before it: the first that fits is taken."""
    try:
        with open(_HOSTS, encoding="utf-8", errors="surrogateescape") as file:
            return lines + file.read()
    except OSError:
        return lines


def _lay(files: dict[str, str]) -> None:
    try:
        lines = view.lay_texts(_LABEL, files)
    except KernelError as error:
        raise Unavailable(f"cannot lay files over those in /etc: {error}") from error
    if lines:
        raise Unavailable(lines[0], "have root make an empty one")
