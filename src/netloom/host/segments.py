"""Segments that exist: bridges of the host, and Docker's networks, by their bridges."""

import socket

import msgspec
from msgspec import Struct, field

from netloom.errors import Unavailable
from netloom.kernel.netlink import Rtnetlink
from netloom.topology.expand import Joined
from netloom.topology.suggest import did_you_mean
from netloom.values import network_of
from netloom.wire.rtnetlink import dump_addrs, dump_links, read_addrs, read_links

DOCKER_SOCKET = "/var/run/docker.sock"
_SECONDS = 5.0
_BRIDGE_NAME = "com.docker.network.bridge.name"
_OK = 200


class _DockerNetwork(Struct):
    """What Docker tells of a network; of one that there is not, only why."""

    id: str = field(name="Id", default="")
    driver: str = field(name="Driver", default="")
    options: dict[str, str] | None = field(name="Options", default=None)


def joined(text: str) -> Joined:
    """Return what is known of a segment; raises `Unavailable` where there is none of that name."""
    owner, colon, name = text.partition(":")
    bridge = _docker_bridge(name) if colon and owner == "docker" else text
    with Rtnetlink() as rt:
        links = read_links(rt.dump(dump_links()))
        addrs = read_addrs(rt.dump(dump_addrs()))
    found = next((link for link in links if link.name == bridge), None)
    bridges = [link.name for link in links if link.kind == "bridge"]
    if found is None:
        hint = did_you_mean(bridge, bridges)
        raise Unavailable(f"the host has no bridge `{bridge}`", hint)
    if found.kind != "bridge":
        known = ", ".join(f"`{name}`" for name in bridges)
        raise Unavailable(f"`{bridge}` of the host is no bridge", known and f"there is {known}")
    subnets = tuple(
        network_of(each.addr.ip, each.addr.prefixlen)
        for each in addrs
        if each.index == found.index and not each.addr.ip.startswith("fe80:")
    )
    return Joined(bridge, subnets, found.mtu)


def _docker_bridge(network: str) -> str:
    """Return the bridge of a network (Docker Engine API, `GET /networks/NAME`)."""
    try:
        status, body = _asked_docker(f"/networks/{network}")
        said = msgspec.json.decode(body, type=_DockerNetwork)
    except (OSError, msgspec.DecodeError) as error:
        reason = f"cannot ask Docker for its network `{network}`: {error}"
        raise Unavailable(reason, "is dockerd running, and its socket ours to read?") from error
    if status != _OK:
        raise Unavailable(f"Docker has no network `{network}`", "docker network ls")
    if said.driver != "bridge":
        raise Unavailable(f"Docker's network `{network}` is no bridge, but `{said.driver}`")
    return (said.options or {}).get(_BRIDGE_NAME) or f"br-{said.id[:12]}"


def _asked_docker(path: str) -> tuple[int, bytes]:
    """Return status and body of an answer; HTTP/1.0, so it ends where the connection does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_SECONDS)
        sock.connect(DOCKER_SOCKET)
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0, body
