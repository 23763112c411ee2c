"""Segments that exist, each by its bridge: the host's, Docker's networks, those of other labs."""

import socket
from collections.abc import Collection
from contextlib import suppress

import msgspec
from msgspec import Struct, field

from netloom.datapath.ways_out import is_default
from netloom.errors import KernelError, Unavailable, printable
from netloom.host.store import elsewhere
from netloom.host.store.journal import Journal, labs
from netloom.host.store.remake import up_command
from netloom.host.store.rundir import Anothers
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.procfs import boot_id
from netloom.language.parse import parse
from netloom.language.suggest import did_you_mean
from netloom.model.facts import Joined, Nic
from netloom.model.names import short_name, switch_of
from netloom.model.objects import HOST, Route
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import NoSuchNetns, open_name, open_self
from netloom.wire.rtnetlink import (
    SeenAddr,
    SeenLink,
    dump_addrs,
    dump_links,
    dump_routes,
    get_link,
    read_addrs,
    read_links,
    read_routes,
)

DOCKER_SOCKET = "/var/run/docker.sock"
_SECONDS = 5.0
_BRIDGE_NAME = "com.docker.network.bridge.name"
_OK = 200
_BORN = 2  # RTPROT_KERNEL: they come with an address, or with the link


class _DockerNetwork(Struct):
    """What Docker tells of a network; of one that there is not, only why."""

    id: str = field(name="Id", default="")
    driver: str = field(name="Driver", default="")
    options: dict[str, str] | None = field(name="Options", default=None)


def joined(text: str) -> Joined:
    """Return what is known of a segment; raises `Unavailable` where there is none of that name."""
    lab, slash, network = text.partition("/")
    if slash:
        return _of_lab(lab, network)
    owner, colon, name = text.partition(":")
    return _on_host(_docker_bridge(name) if colon and owner == "docker" else text)


def nics() -> dict[str, Nic]:
    """Return the interfaces of the host, as those that could be a port of a network."""
    links, addrs, routes = _look()
    names = {link.index: link.name for link in links}
    own: dict[int, list[str]] = {}
    for each in addrs:
        if not each.addr.ip.startswith("fe80:"):
            own.setdefault(each.index, []).append(str(each.addr))
    leading: dict[str, list[Route]] = {}
    for route in routes:
        for hop in route.nexthops:
            leading.setdefault(hop.dev, []).append(route)
    return {
        link.name: Nic(
            mac=link.mac,
            kind=link.kind,
            up=link.up,
            alias=link.alias,
            master=names.get(link.master, ""),
            addresses=tuple(own.get(link.index, ())),
            routes=tuple(r.dst for r in leading.get(link.name, ()) if r.protocol != _BORN),
            way_out=any(map(is_default, leading.get(link.name, ()))),
        )
        for link in links
    }


def _look() -> tuple[list[SeenLink], list[SeenAddr], list[Route]]:
    """Return the links of the host, its addresses, its routes."""
    with Rtnetlink() as rt:
        links = read_links(rt.dump(dump_links()))
        addrs = read_addrs(rt.dump(dump_addrs()))
        names = {link.index: link.name for link in links}
        routes = read_routes(rt.dump(dump_routes()), names, protocols=None)
    return links, addrs, routes


def _on_host(bridge: str) -> Joined:
    links, addrs, routes = _look()
    found = next((link for link in links if link.name == bridge), None)
    bridges = [link.name for link in links if link.kind == "bridge"]
    if found is None:
        hint = did_you_mean(bridge, bridges)
        raise Unavailable(f"the host has no bridge `{bridge}`", hint)
    if found.kind != "bridge":
        known = ", ".join(f"`{name}`" for name in bridges)
        raise Unavailable(f"`{bridge}` of the host is no bridge", known and f"there is {known}")
    subnets = tuple(
        each.addr.subnet
        for each in addrs
        if each.index == found.index and not each.addr.ip.startswith("fe80:")
    )
    return Joined(
        bridge,
        subnets,
        found.mtu,
        way_out=any(hop.dev == bridge for r in routes if is_default(r) for hop in r.nexthops),
    )


def _of_lab(lab: str, network: str) -> Joined:
    """Return a network of another lab that is up: as it was applied there."""
    record = None
    with suppress(Anothers):
        record = Journal(lab).record()
    if record is None and (user := elsewhere.owner_of_lab(lab)):
        raise elsewhere.refused(lab, user)
    if record is None or record.boot != boot_id():
        others = [other for other in labs() if other != lab]
        raise Unavailable(
            f"the lab `{printable(lab)}` is not up", did_you_mean(lab, others) or "netloom labs"
        )
    networks = parse(record.text, file=record.source, name=lab).topology.networks
    spec = networks.get(network)
    if spec is None:
        raise Unavailable(f"the lab `{lab}` has no network `{network}`", _known(network, networks))
    if spec.joins:
        reason = f"`{network}` of `{lab}` is not its own"
        raise Unavailable(reason, f"join what it joins: `from: {spec.joins}`")
    bridge = spec.bridge or short_name(network)
    where = HOST if spec.bridge else switch_of(lab)
    mtu = _mtu_of(bridge, where)
    if not mtu:
        reason = f"`{network}` of the lab `{lab}` is not there now"
        raise Unavailable(reason, f"{up_command(record)} makes it again")
    subnets = spec.subnets if spec.subnets is not None else record.held.subnets.get(network, ())
    return Joined(bridge, subnets, mtu, where)


def _mtu_of(link: str, where: str) -> int:
    """Return the MTU of a link in a namespace, 0 where it is not there."""
    try:
        with open_self() if where == HOST else open_name(where) as netns:
            rt = enter(netns, Rtnetlink)
        with rt:
            return read_links([rt.ask(get_link(link))])[0].mtu
    except (NoSuchNetns, KernelError):
        return 0


def _known(name: str, networks: Collection[str]) -> str:
    known = ", ".join(f"`{each}`" for each in networks)
    return did_you_mean(name, networks) or (known and f"it has {known}")


def _docker_bridge(network: str) -> str:
    """Return the bridge of a network (Docker Engine API, `GET /networks/NAME`)."""
    try:
        status, body = _asked_docker(f"/networks/{network}")
        spec = msgspec.json.decode(body, type=_DockerNetwork)
    except (OSError, msgspec.DecodeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        reason = f"cannot ask Docker for its network `{network}` at {DOCKER_SOCKET}: {why}"
        raise Unavailable(reason, "is dockerd running, and its socket ours to read?") from error
    if status != _OK:
        raise Unavailable(f"Docker has no network `{network}`", "docker network ls")
    if spec.driver != "bridge":
        raise Unavailable(f"Docker's network `{network}` is no bridge, but `{spec.driver}`")
    return (spec.options or {}).get(_BRIDGE_NAME) or f"br-{spec.id[:12]}"


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
