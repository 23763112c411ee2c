"""A tunnel for one command: its link, and nothing else, leads out of the command's network.

The link is born in the command's network by a message from outside: there the tunnel's own packets
come and go (WireGuard's socket is where it was asked for, wg_newlink), and nowhere else is a way
to there. So whatever the command does, and whatever becomes of the link, nothing passes by it: a
link that is down, or gone, is no way at all. Nothing is outside that would have to be removed.
"""

import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator

from netloom.errors import KernelError, Unavailable, printable
from netloom.kernel import inputs
from netloom.kernel.closing import Closing
from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import Addr, Nexthop, Route
from netloom.namespaces.handle import open_self
from netloom.values import family, ip_and_length
from netloom.wire.rtnetlink import (
    Message,
    addr_add,
    get_link,
    kind_add,
    link_set,
    read_links,
    route_add,
)
from netloom.wire.wgquick import Tunnel, WireGuardPeer, read_tunnel

LINK = "wg0"
"""What the link is called inside."""

_SCOPE_LINK = 253  # RT_SCOPE_LINK
_RESOLV_CONF = "resolv.conf"

Birth = Callable[[Rtnetlink, int], None]
"""Makes the link in the network behind a descriptor, asked for in a conversation outside."""


class Inside(Closing):
    """A link that will be in the network that this process is going to make for itself."""

    def __init__(self, tunnel: Tunnel, birth: Birth) -> None:
        """Keep a foot outside."""
        self.tunnel = tunnel
        self._birth = birth
        self._outside = Rtnetlink()

    def close(self) -> None:
        """Draw the foot in."""
        self._outside.close()

    def enter(self) -> None:
        """Have the link born here, with addresses and routes, and up.

        Should: be called in the network of the command, by the process that becomes it.
        """
        with open_self() as own, Rtnetlink() as here:
            self._birth(self._outside, own.fd)
            index = read_links([here.ask(get_link(LINK))])[0].index
            here.batch([*self._furniture(index)])

    @property
    def etc(self) -> dict[str, str]:
        """The resolv.conf of the tunnel; without resolvers an empty one, for no other counts."""
        lines = [f"nameserver {address}" for address in self.tunnel.resolvers]
        if self.tunnel.search:
            lines.append(f"search {' '.join(self.tunnel.search)}")
        return {_RESOLV_CONF: "".join(f"{line}\n" for line in lines)}

    def _furniture(self, index: int) -> Iterator[Message]:
        if self.tunnel.mtu:
            yield from link_set(index, mtu=self.tunnel.mtu)
        for address in self.tunnel.addresses:
            yield addr_add(index, Addr(*ip_and_length(address)))
        yield from link_set(index, up=True)
        for prefix in self.tunnel.routes:
            scope = _SCOPE_LINK if family(prefix) == 4 else 0
            yield route_add(Route(prefix, (Nexthop(LINK),), scope=scope), {LINK: index})


def read(path: str) -> Tunnel:
    """Return the tunnel of a file; raises `Unavailable` if it cannot be read."""
    try:
        text = inputs.read(path)[0].decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Unavailable(f"cannot read `{printable(path)}`: {why}") from error
    return read_tunnel(text, path)


# ── WireGuard ─────────────────────────────────────────────────────────────────────────────


def wireguard(tunnel: Tunnel) -> Birth:
    """Return what makes a WireGuard link; raises `Unavailable` if it could not be told its keys.

    Where the other sides are is looked up now, outside.
    """
    if os.geteuid() != 0:
        reason = "the link of a tunnel is made from the host: that needs root"
        raise Unavailable(reason, "run it as root")
    program = shutil.which("wg")
    if not program:
        reason = "no `wg` is here, which sets keys"
        raise Unavailable(reason, "apt-get install wireguard-tools")
    conf = _setconf(tunnel)

    def create(outside: Rtnetlink, netns: int) -> None:
        try:
            outside.batch([kind_add(LINK, "wireguard", netns)])
        except KernelError as error:
            if error.errno == errno.EOPNOTSUPP:
                reason = "this kernel has no WireGuard"
                raise Unavailable(reason, "modprobe wireguard") from error
            raise
        done = subprocess.run(
            [program, "setconf", LINK, "/dev/stdin"],
            input=conf,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"wg setconf {LINK}: {done.stderr.strip()}")

    return create


def _setconf(tunnel: Tunnel) -> str:
    """Return what `wg setconf` reads: keys, ports, and where others are, by numbers."""
    lines = ["[Interface]", *(f"{key} = {value}" for key, value in tunnel.settings)]
    for peer in tunnel.peers:
        lines += ["[Peer]", *(f"{key} = {value}" for key, value in peer.settings)]
        if peer.allowed:
            lines.append(f"AllowedIPs = {', '.join(peer.allowed)}")
        if peer.endpoint:
            lines.append(f"Endpoint = {_numeric(peer)}")
    return "".join(f"{line}\n" for line in lines)


def _numeric(peer: WireGuardPeer) -> str:
    host, _, port = peer.endpoint.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
    except OSError as error:
        raise Unavailable(f"cannot look up `{host}`: {error.strerror}") from error
    address = found[0][4][0]
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
