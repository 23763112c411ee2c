"""What lies around the namespace `host`: its interfaces, and the ways that lead out of it."""

import errno
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from msgspec.structs import replace

from netloom.compile.exits import Exits
from netloom.errors import KernelError
from netloom.host import outer_client, sysctl
from netloom.host.commands.stop import members
from netloom.host.firewall.shared_sysctls import Claim, claims
from netloom.host.store import reservations
from netloom.kernel.files import exists
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.sockets import diag_socket, listeners
from netloom.model.facts import HostSubnet, TakenPort, UplinkFacts
from netloom.model.objects import HOST, Route
from netloom.model.owner import lab_of
from netloom.model.reservation import Reservation
from netloom.namespaces.references import command_of
from netloom.plan.fence import Fence
from netloom.values import family
from netloom.wire.rtnetlink import (
    SeenAddr,
    SeenLink,
    dump_addrs,
    dump_links,
    dump_routes,
    dump_rules,
    read_addrs,
    read_links,
    read_routes,
    read_rules,
)

_RTPROT_RA = 9  # linux/rtnetlink.h
_PERMANENT = 0x80  # IFA_F_PERMANENT
_RESOLV_CONFS = (
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
)
"""The machine's own file, and those behind the resolvers that may run on its loopback."""

_TUN = "/dev/net/tun"
_PROGRAMS = ("pasta", "slirp4netns")

_IP_FORWARD = "net.ipv4.ip_forward"
_ALL_IPV6 = "net.ipv6.conf.all.forwarding"
_FIRST_PORT = "net.ipv4.ip_unprivileged_port_start"


def uplink_facts(fence: Fence, ports: Collection[tuple[str, int]] = ()) -> UplinkFacts:
    """Return the interfaces of the host that are not the lab's, and its routes and rules.

    `ports` are protocols and ports of the host of which it shall be known whether they are taken.
    Where the host has a machine around it, these are the machine's.
    """
    if outer_client.is_here():
        return replace(outer_client.uplink_facts(fence.lab, ports), is_apart=True)
    return uplink_facts_here(fence, ports)


def uplink_facts_here(
    fence: Fence, ports: Collection[tuple[str, int]] = (), machine: str = ""
) -> UplinkFacts:
    """Return what `uplink_facts` tells, of the network that the calling thread is in.

    `machine` is the path of the /run that belongs to this network, where ours is another.
    """
    lab = fence.lab
    with Rtnetlink() as rt:
        noted = list(reservations.others("" if machine else lab, rt.cookie, machine or "/run"))
        links = read_links(rt.dump(dump_links()))
        names = {link.index: link.name for link in links}
        routes = read_routes(rt.dump(dump_routes()), names, protocols=None, local=True)
        rules = read_rules(rt.dump(dump_rules()), base=True)
        addrs = read_addrs(rt.dump(dump_addrs()))
        ours = fence.links(HOST, rt.cookie, links)
    others = [link for link in links if link.index not in ours]
    # One that another lab has just made bears no mark yet, and stands in its note.
    of_labs = {name for _, has in noted for name in has.links}
    of_labs |= {link.name for link in others if lab_of(link.alias)}
    free = [link.name for link in others if link.name not in of_labs]
    held = claims()
    forwarding = _Forwarding(held)
    facts = UplinkFacts(
        links={link.name: _trouble(link) for link in others},
        resolvers=resolvers(),
        of_labs=frozenset(of_labs),
        bridges=frozenset(link.name for link in others if link.kind == "bridge"),
        tunnels=frozenset(link.name for link in others if not link.asks_neighbours),
        groups={link.name: link.group for link in others if link.group},
        routes=tuple(routes),
        rules=tuple(rules),
        forwards=frozenset(name for name in free if forwarding.of(name)),
        forwards_ipv6=forwarding.of_ipv6(),
        learners=frozenset(_learners(free, routes, addrs, names, held)),
        taken=(*_published(lab, ports, noted, machine), *_listening(lab, ports)),
        program=next((path for name in _PROGRAMS if (path := _found(name))), None),
        no_tun=_no_tun(),
        first_port=_first_port(ports),
    )
    return replace(facts, subnets=tuple(_beside(facts, addrs, names)))


def _found(program: str) -> str | None:
    """Return where a program is, None if it is not installed."""
    places = (f"{folder}/{program}" for folder in os.get_exec_path())
    return next((path for path in places if os.access(path, os.X_OK)), None)


def _no_tun() -> str | None:
    """Return why nobody like us can make a tap, None if one can."""
    if not exists(_TUN):
        return os.strerror(errno.ENOENT)
    return None if os.access(_TUN, os.R_OK | os.W_OK) else os.strerror(errno.EACCES)


def _trouble(link: SeenLink) -> str | None:
    if not link.up:
        return "is down"
    return None if link.carrier else "has no carrier"


# ── resolvers ─────────────────────────────────────────────────────────────────────────────


def resolvers() -> str | None:
    """Return a resolv.conf that is of use in another namespace, None if none is to be had.

    A resolver on the machine's loopback (systemd-resolved, dnsmasq) is out of reach there: what it
    asks itself stands in a file of its own. resolv.conf(5)
    """
    for path in _RESOLV_CONFS:
        with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split("#")[0].split() for line in file]
            servers = [words[1] for words in lines if words[:1] == ["nameserver"] and words[1:]]
            useful = [server for server in servers if not _is_here(server)]
            if useful:
                others = [words for words in lines if words[:1] in (["search"], ["options"])]
                said = [*(["nameserver", server] for server in useful), *others]
                return "".join(f"{' '.join(words)}\n" for words in said)
    return None


def _is_here(server: str) -> bool:
    return server.startswith("127.") or server == "::1" or "%" in server


# ── routes and forwarding ─────────────────────────────────────────────────────────────────


def _beside(
    facts: UplinkFacts, addrs: Iterable[SeenAddr], names: dict[int, str]
) -> Iterator[HostSubnet]:
    """Yield the subnets on the interfaces that lead out."""
    out = {link for ways in Exits(facts).of_host().values() for link in ways}
    for addr, link in ((seen.addr, names.get(seen.index, "")) for seen in addrs):
        if link in out and not addr.ip.startswith("fe80:"):
            yield HostSubnet(addr.subnet, link, leads_out=True)


class _Forwarding:
    """What the host forwards without any lab."""

    def __init__(self, held: dict[str, Claim]) -> None:
        """Look at the switches that are for all interfaces."""
        self.held = held
        self.whole = sysctl.read((_IP_FORWARD, _ALL_IPV6))

    def of(self, link: str) -> bool:
        """Whether an interface forwards IPv4: it did before us, or somebody wants it by now."""
        key = f"net.ipv4.conf.{link.replace('.', '/')}.forwarding"
        claim = self.held.get(key)
        if claim is None:
            return sysctl.read((key,)).get(key) == "1"
        return claim.found == "1" or claim.is_relied_on(self.whole.get(_IP_FORWARD, ""))

    def of_ipv6(self) -> bool:
        """Whether all interfaces forward IPv6."""
        claim = self.held.get(_ALL_IPV6)
        return (claim.found if claim else self.whole.get(_ALL_IPV6)) == "1"


def _learners(
    links: Iterable[str],
    routes: Iterable[Route],
    addrs: Iterable[SeenAddr],
    names: dict[int, str],
    held: dict[str, Claim],
) -> Iterator[str]:
    """Yield the interfaces whose routes or addresses come from router advertisements.

    Where a program of the host's listens to them in the kernel's place, `accept_ra` is 0, and
    stays.
    """
    learned = {hop.dev for r in routes if r.protocol == _RTPROT_RA for hop in r.nexthops}
    for seen in addrs:
        if not seen.flags & _PERMANENT and family(seen.addr.ip) == 6:
            learned.add(names.get(seen.index, ""))
    for link in links:
        key = f"net.ipv6.conf.{link.replace('.', '/')}.accept_ra"
        if key in held or (link in learned and sysctl.read((key,)).get(key) == "1"):
            yield link


# ── ports that are taken ──────────────────────────────────────────────────────────────────


_Ports = Collection[tuple[str, int]]


def _first_port(ports: _Ports) -> int:
    """Return the lowest port that we may open, 0 where that is for nobody to refuse (ip(7))."""
    from socket import AF_INET, SOCK_STREAM, socket

    start = int(sysctl.read((_FIRST_PORT,)).get(_FIRST_PORT, "0"))
    low = [port for _, port in ports if port < start]
    with socket(AF_INET, SOCK_STREAM) as sock:
        try:
            for port in low[:1]:
                sock.bind(("127.0.0.1", port))
        except OSError as error:
            return start if error.errno == errno.EACCES else 0
    return 0


def _published(
    lab: str, ports: _Ports, noted: Iterable[tuple[str, Reservation]], machine: str
) -> Iterator[TakenPort]:
    """Yield those of the ports that another lab publishes, be it root's or one of the same user."""
    word = "root's lab" if machine else "the lab"
    found = [(f"{word} `{other}`", has) for other, has in noted]
    if machine:
        found += [(f"the lab `{other}`", has) for other, has in reservations.others(lab, None)]
    for owner, has in found:
        for port in has.ports:
            if (port.protocol, port.port) in ports:
                yield TakenPort(port.protocol, port.address, port.port, f"{owner} publishes it")


def _listening(lab: str, ports: _Ports) -> Iterator[TakenPort]:
    """Yield those of the ports that somebody listens on, but for whom the lab itself runs."""
    kinds = sorted({protocol for protocol, _ in ports})
    if not kinds:
        return
    with suppress(KernelError), diag_socket() as diag:
        for kind in kinds:
            for seen in listeners(diag, kind):
                if (kind, seen.port) not in ports:
                    continue
                pid, who = _process_of(seen.inode)
                if pid not in members(lab):
                    owner = f"{who} listens on {_spot(seen.address, seen.port)}"
                    yield TakenPort(kind, seen.address, seen.port, owner)


def _spot(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _process_of(inode: int) -> tuple[int, str]:
    """Return who has a socket open: the number, and a word for people."""
    wanted = f"socket:[{inode}]"
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == wanted:
                    return int(pid), f"`{command_of(int(pid))}` (pid {pid})"
    return 0, "somebody"
