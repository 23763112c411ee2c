"""A throw-away network with more than `lo`: what `netloom run` is given on request.

What is asked for is found out, and refused, before anything is made; all of it ends with the
command, which this process becomes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from netloom.errors import KernelError, Unavailable
from netloom.host import sysctl
from netloom.host.isolated.lab_port import LabPort
from netloom.host.isolated.pasta import Pasta
from netloom.host.isolated.tunnel import Birth, Inside, read, wireguard
from netloom.host.observe.uplinks import resolvers
from netloom.host.rootless.entry import Session
from netloom.language.topology import Publish
from netloom.namespaces import mounts
from netloom.namespaces.isolate import isolate
from netloom.namespaces.run import become
from netloom.namespaces.userns_session import is_needed, keep_machines_run
from netloom.wire.wgquick import Tunnel

if TYPE_CHECKING:
    from typing import NoReturn

_LABEL = "netloom"
_HOSTS = "/etc/hosts"


class RunOptions(NamedTuple):
    """What a network for one command shall have; `hosts` are names with their addresses."""

    uplink: bool = False
    network: str = ""
    vpn: str = ""
    publish: tuple[Publish, ...] = ()
    dns: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


def run_with(
    argv: Sequence[str], asked: RunOptions, birth: Callable[[Tunnel], Birth] = wireguard
) -> "NoReturn":
    """Become a command in a new network that has what is asked for.

    `birth` is how the link of a tunnel is made.

    Should: be the last thing that a process does.
    Mustn't: be called in a process with threads, which cannot make itself a user namespace.
    """
    with ExitStack() as stack:
        pasta = stack.enter_context(Pasta(asked.publish)) if asked.uplink else None
        place: Inside | LabPort | None = None
        if asked.vpn:
            tunnel = read(asked.vpn)
            place = stack.enter_context(Inside(tunnel, birth(tunnel)))
        elif asked.network:
            stack.enter_context(_among_labs())
            place = stack.enter_context(LabPort(asked.network, leads_out=not pasta))
        files = _files(asked, place.etc if place else {})
        isolate()
        # Addresses are not tried first: that would be a second in which IPv6 does not answer.
        with suppress(KernelError):  # there is no IPv6, or /proc/sys cannot be written
            sysctl.write("net.ipv6.conf.default.accept_dad", "0")
        _lay(files)
        if place:
            _enter(place, asked.vpn or asked.network)
        if pasta:
            pasta.open()
    become(argv, {})


@contextmanager
def _among_labs() -> Iterator[None]:
    """Move into the namespaces that a plain user's labs are in, for good."""
    holder = Session() if is_needed() else None
    if holder:
        keep_machines_run()
        holder.enter(start=False)
    try:
        yield
    finally:
        if holder:
            holder.tidy()


def _enter(place: Inside | LabPort, said: str) -> None:
    try:
        place.enter()
    except KernelError as error:
        raise Unavailable(f"cannot join `{said}`: {error}") from error


def _files(asked: RunOptions, etc: Mapping[str, str]) -> dict[str, str]:
    """Return what the command shall see in files of /etc; `etc` is what belongs to a place."""
    found = dict(etc)
    own = "".join(f"nameserver {address}\n" for address in asked.dns)
    if servers := own or (resolvers() if asked.uplink else None):
        found["resolv.conf"] = servers
    if asked.hosts:
        lines = "".join(f"{ip}\t{name}\n" for name, ip in asked.hosts)
        found["hosts"] = lines + found["hosts"] if "hosts" in found else _with_hosts(lines)
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
        lines = mounts.lay_texts(_LABEL, files)
    except KernelError as error:
        raise Unavailable(f"cannot lay files over those in /etc: {error}") from error
    if lines:
        raise Unavailable(lines[0], "have root make an empty one")
