"""A namespace, as a Python program sees it: run in it, call in it, listen and connect.

What the standard library names is named so: `run` and `popen` are subprocess's, `socket`, `listen`
and `create_connection` socket's, `open_connection` and the like asyncio's.
"""

import asyncio
import os
import socket as sockets
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    Unpack,
    overload,
)

from netloom.api.probes import Journey, probe
from netloom.api.process_keys import Argv, ProcessKeys
from netloom.api.waiting import wait_for
from netloom.errors import Unavailable
from netloom.kernel.sockets import diag_socket
from netloom.language import scalars
from netloom.model.objects import Loopback
from netloom.model.ready import EXIT, parse_ready
from netloom.values import contains, family, is_ip

if TYPE_CHECKING:
    from ssl import SSLContext

    from netloom.model.objects import Link
    from netloom.namespaces.context import NetnsContext

_P = ParamSpec("_P")
_T = TypeVar("_T")

Serve: TypeAlias = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]"
_Probed = Literal["ping", "tcp", "udp"]


class NetnsOwner(Protocol):
    """What a namespace is in, and asks about itself and others: a lab, or the machine."""

    timeout: float
    """Seconds that a command may take to become ready."""

    def __getitem__(self, name: str) -> "Netns":
        """Return the namespace of a name."""

    def links_of(self, name: str) -> "Mapping[str, Link]":
        """Return the links of a namespace."""

    def address_of(self, target: str, viewer: "Netns") -> str:
        """Return the address of a namespace, or of its `NS:IF`, for a viewer; else the text."""

    def context_of(self, name: str) -> "NetnsContext":
        """Return a namespace with what is seen in it."""

    def probed(self, name: str, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
        """Return what a call returns that needs the network of a namespace, and leaves nothing."""

    def spawns(self) -> None:
        """Note that a process is about to be started."""

    def start(self, name: str, argv: list[str], **keys: Any) -> "subprocess.Popen[Any]":
        """Start a process in a namespace."""


class Netns:
    """A namespace of a lab (`Lab.netns`, `lab["web"]`), or of the machine (`netloom.netns`)."""

    def __init__(self, lab: NetnsOwner, name: str) -> None:
        """Stand for the namespace of this name."""
        self.lab = lab
        self.name = name

    def __repr__(self) -> str:
        """Return `<Netns web>`."""
        return f"<Netns {self.name}>"

    # ── addresses ─────────────────────────────────────────────────────────────────────────────

    @property
    def ips(self) -> tuple[str, ...]:
        """All addresses that the lab gave it, without their lengths; IPv4 first.

        Of a namespace that is no lab's, all that it has, without link-local ones and those that
        `lo` is born with.
        """
        links = self.lab.links_of(self.name).values()
        found = [addr.ip for link in links for addr in link.addrs]
        return tuple(sorted(found, key=family))

    @property
    def ip(self) -> str:
        """Its only IPv4 address, or, where it has none, its only IPv6 address.

        Raises `ValueError` where there is no single one: `ip_for` picks the shared one.
        """
        for version in (4, 6):
            found = [address for address in self.ips if family(address) == version]
            if len(found) == 1:
                return found[0]
            if found:
                msg = f"`{self.name}` has several addresses: {', '.join(found)}; say for whom"
                raise ValueError(msg)
        msg = f"`{self.name}` has no address"
        raise ValueError(msg)

    def ip_for(self, other: "Netns | str") -> str:
        """Return the address by which another namespace reaches this one: on a subnet of both.

        IPv4 comes first. Where they share none it is `ip`.
        """
        viewer = other if isinstance(other, Netns) else self.lab[other]
        return next(filter(viewer.is_beside, self.ips), None) or self.ip

    def is_beside(self, address: str) -> bool:
        """Whether an address is on a subnet of this namespace."""
        links = self.lab.links_of(self.name).values()
        return any(
            contains(addr.subnet, address)
            for link in links
            if not isinstance(link.kind, Loopback)
            for addr in link.addrs
        )

    # ── inside ────────────────────────────────────────────────────────────────────────────────

    @property
    def _context(self) -> "NetnsContext":
        return self.lab.context_of(self.name)

    def call(self, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
        """Return what a function returns or raises, called inside on a thread of its own.

        It sees the network, /sys and /etc of the namespace, and everything of this process. Where
        a plain user's process may not move a thread, it is called in a child: then what it changes
        in memory is not seen here, and it returns what can be pickled, or a socket.
        """
        return self._context.call(call, *args, **keys)

    async def to_thread(self, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
        """Await a function that is called inside (asyncio.to_thread)."""
        return await asyncio.to_thread(lambda: self.call(call, *args, **keys))

    def socket(
        self,
        kind: sockets.AddressFamily = sockets.AF_INET,
        type: sockets.SocketKind = sockets.SOCK_STREAM,  # noqa: A002 - the standard library's word
        proto: int = 0,
    ) -> sockets.socket:
        """Return a socket that belongs to the namespace, and may be used from anywhere."""
        return self.call(sockets.socket, kind, type, proto)

    def listen(self, port: int, host: str = "") -> sockets.socket:
        """Return a socket that listens for TCP; without a `host` on all addresses of both families.

        Port 0 lets the kernel choose.
        """
        if host:
            kind = sockets.AF_INET6 if ":" in host else sockets.AF_INET
            return self.call(sockets.create_server, (host, port), family=kind)
        return self.call(
            sockets.create_server, ("", port), family=sockets.AF_INET6, dualstack_ipv6=True
        )

    def create_connection(
        self, address: "tuple[str | Netns, int]", timeout: float | None = None
    ) -> sockets.socket:
        """Return a TCP connection from here to (name or address, port); seconds of `timeout`."""
        host, port = address
        return self.call(sockets.create_connection, (self._resolve(host), port), timeout)

    async def open_connection(
        self,
        host: "str | Netns",
        port: int,
        *,
        limit: int = 2**16,
        ssl: "SSLContext | None" = None,
        server_hostname: str | None = None,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return the streams of a TCP connection from here (asyncio.open_connection)."""
        sock = await self.to_thread(sockets.create_connection, (self._resolve(host), port))
        return await asyncio.open_connection(
            sock=sock, limit=limit, ssl=ssl, server_hostname=server_hostname
        )

    async def start_server(
        self,
        serve: Serve,
        port: int,
        host: str = "",
        *,
        limit: int = 2**16,
        ssl: "SSLContext | None" = None,
    ) -> asyncio.Server:
        """Serve TCP from here by coroutines (asyncio.start_server)."""
        sock = await asyncio.to_thread(self.listen, port, host)
        return await asyncio.start_server(serve, sock=sock, limit=limit, ssl=ssl)

    def _resolve(self, target: "str | Netns") -> str:
        """Return an address: of a namespace the one that is reached from here, else as it is."""
        if isinstance(target, Netns):
            return target.ip_for(self)
        return target if is_ip(target) else self.lab.address_of(target, self)

    # ── processes ─────────────────────────────────────────────────────────────────────────────

    @overload
    def run(
        self,
        argv: Argv,
        *,
        text: Literal[True],
        input: str | None = None,
        capture_output: bool = False,
        check: bool = False,
        timeout: float | None = None,
        **keys: Unpack[ProcessKeys],
    ) -> "subprocess.CompletedProcess[str]": ...
    @overload
    def run(
        self,
        argv: Argv,
        *,
        text: Literal[False] = False,
        input: bytes | None = None,
        capture_output: bool = False,
        check: bool = False,
        timeout: float | None = None,
        **keys: Unpack[ProcessKeys],
    ) -> "subprocess.CompletedProcess[bytes]": ...
    @overload
    def run(
        self,
        argv: Argv,
        *,
        text: bool,
        input: str | bytes | None = None,
        capture_output: bool = False,
        check: bool = False,
        timeout: float | None = None,
        **keys: Unpack[ProcessKeys],
    ) -> "subprocess.CompletedProcess[Any]": ...
    def run(  # noqa: PLR0913 - those of subprocess.run
        self,
        argv: Argv,
        *,
        text: bool = False,
        input: str | bytes | None = None,  # noqa: A002 - the standard library's word
        capture_output: bool = False,
        check: bool = False,
        timeout: float | None = None,
        **keys: Unpack[ProcessKeys],
    ) -> "subprocess.CompletedProcess[Any]":
        """Run a command inside to its end (subprocess.run), in the working directory of this one.

        It sees the network, /sys and /etc of the namespace. `timeout` is in seconds.
        """
        words = _words(argv)
        self.lab.spawns()
        options: dict[str, Any] = {"text": text, "check": check, "timeout": timeout, **keys}
        if input is not None:
            options["input"] = input
        return self._context.spawn(subprocess.run, words, capture_output=capture_output, **options)

    @overload
    def popen(
        self,
        argv: Argv,
        *,
        text: Literal[True],
        ready: str | None = None,
        **keys: Unpack[ProcessKeys],
    ) -> "subprocess.Popen[str]": ...
    @overload
    def popen(
        self,
        argv: Argv,
        *,
        text: Literal[False] = False,
        ready: str | None = None,
        **keys: Unpack[ProcessKeys],
    ) -> "subprocess.Popen[bytes]": ...
    @overload
    def popen(
        self,
        argv: Argv,
        *,
        text: bool,
        ready: str | None = None,
        **keys: Unpack[ProcessKeys],
    ) -> "subprocess.Popen[Any]": ...
    def popen(
        self,
        argv: Argv,
        *,
        text: bool = False,
        ready: str | None = None,
        **keys: Unpack[ProcessKeys],
    ) -> "subprocess.Popen[Any]":
        """Start a command inside (subprocess.Popen); it ends with its lab at the latest.

        With `ready` (`tcp/80`, `udp/53`, `unix/PATH`) return only when that listens; raises
        `NotReady` when the command ends before, or the lab's `timeout` is over, and `Unavailable`
        for `log/TEXT` and `exit`.
        """
        words = _words(argv)
        wanted = parse_ready(ready) if ready else None
        if wanted and wanted.kind == "log":
            reason = "what a command prints is not read here, so `log/…` cannot be waited for"
            raise Unavailable(reason, "ready=`tcp/PORT`, or run it by `run:` of the namespace")
        if wanted and wanted.kind == EXIT:
            reason = "`popen` returns while the command runs, so its end is not waited for"
            raise Unavailable(reason, "run(argv, check=True) waits for it")
        process = self.lab.start(self.name, words, text=text, **keys)
        if wanted:
            with ExitStack() as stack:
                stack.callback(process.wait)
                stack.callback(process.kill)
                name = f"`{words[0]}` in `{self.name}`"
                with self.call(diag_socket) as diag:
                    wait_for(process, wanted, diag, name=name, timeout=self.lab.timeout)
                stack.pop_all()
        return process

    async def create_subprocess_exec(
        self,
        program: "str | os.PathLike[str]",
        *args: "str | os.PathLike[str]",
        limit: int = 2**16,
        **keys: Unpack[ProcessKeys],
    ) -> asyncio.subprocess.Process:
        """Start a command inside (asyncio.create_subprocess_exec)."""
        options: dict[str, Any] = {**keys}
        await asyncio.to_thread(self.lab.spawns)
        context = await asyncio.to_thread(lambda: self._context)
        return await asyncio.create_subprocess_exec(
            program, *args, limit=limit, preexec_fn=context.enter, **options
        )

    # ── probes ────────────────────────────────────────────────────────────────────────────────

    def reaches(
        self, dst: "Netns | str", port: int | str | None = None, *, within: float = 1.0
    ) -> Journey:
        """Return whether something answers from `dst`, by real packets; true if it does.

        `port` is 80 or `tcp/80` (a connection), `udp/53` (a datagram that is answered), None for a
        ping. `within` is in seconds.
        """
        protocol, number = _port(port)
        target = dst.name if isinstance(dst, Netns) else dst
        asked = f"{self.name} -> {target}" + (f" {protocol}/{number}" if number else "")
        address = self._resolve(dst)
        if not is_ip(address):  # a name that its own /etc may know
            return self.call(probe, asked, address, protocol, number, within)
        return self.lab.probed(self.name, probe, asked, address, protocol, number, within)


def _words(argv: Argv) -> list[str]:
    """Return a command as its words; raises `TypeError` for one text, `ValueError` for none."""
    if isinstance(argv, str):
        msg = f"a command is a list of words: {argv.split()!r}"
        raise TypeError(msg)
    if not argv:
        msg = "a command has one word at least"
        raise ValueError(msg)
    return [os.fspath(word) for word in argv]


def _port(port: int | str | None) -> tuple[_Probed, int]:
    if port is None or port == "icmp":
        return "ping", 0
    text = scalars.port(f"tcp/{port}" if isinstance(port, int) else port)
    protocol, _, number = text.partition("/")
    return ("udp" if protocol == "udp" else "tcp"), int(number)
