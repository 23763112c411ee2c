"""A port on a lab's network for one command, which dies with the command.

The port stands in the lab's switch namespace, its far end in the network of the command, and
nobody removes it: it goes with that network. Its name is made from the address, so the kernel
sees to it that no two commands have the same one: a name that is taken is the next one's turn.

Addresses are taken from the end of the subnet, where a lab that grows comes last.
"""

import errno
from collections.abc import Iterable, Iterator
from contextlib import suppress

from netloom.errors import KernelError, Unavailable
from netloom.host.byhand.endpoint import conversation
from netloom.host.observe.segments import joined
from netloom.host.store.journal import Journal, labs
from netloom.kernel import process
from netloom.kernel.closing import Closing
from netloom.kernel.netlink import Rtnetlink
from netloom.model.marks import run_mark
from netloom.model.names import short_name
from netloom.model.objects import HOST, Addr, Desired, End, Link, Nexthop, Route, Veth
from netloom.namespaces.handle import open_self
from netloom.namespaces.targets import open_target
from netloom.values import bounds, contains, from_int, length_of
from netloom.wire.rtnetlink import (
    VethPeer,
    addr_add,
    get_link,
    link_add,
    link_set,
    read_links,
    route_add,
)

_DEFAULTS = frozenset({"0.0.0.0/0", "::/0"})
_SEEN = ("hosts", "resolv.conf")
_MOST = 1 << 16
"""How many addresses are looked at, of a subnet that has more."""


class LabPort(Closing):
    """A place on a network that was found and is not taken yet; `etc` are the lab's files.

    `leads_out`: whether the routes of the network's members are its own, too.
    """

    def __init__(self, text: str, *, leads_out: bool) -> None:
        """Look; raises `Unavailable` where there is no such network, or none with addresses."""
        lab, slash, network = text.partition("/")
        if not slash:
            reason = f"`{text}` is no network of a lab, such as `shop/lan`"
            raise Unavailable(reason, "netloom labs")
        self.joined = joined(text)
        if self.joined.netns == HOST:
            reason = f"`{text}` is a bridge of the host's"
            raise Unavailable(reason, "only a network in a lab's own namespace can be joined")
        if not self.joined.subnets:
            raise Unavailable(f"`{text}` has no subnet, so no address for a command")
        self.link = short_name(network)
        record = Journal(lab).record()
        desired = record.desired if record else Desired()
        self.used = frozenset(_addresses())
        self.gateways = _gateways(desired, self.joined.subnets) if leads_out else {}
        self.etc = _files(desired, self.joined.subnets)
        with open_target(self.joined.netns) as target:
            self.switch = conversation(target)

    def close(self) -> None:
        """Let go of the lab's switch."""
        self.switch.close()

    def enter(self) -> None:
        """Have the port made, and its far end here with addresses and routes.

        Should: be called in the network of the command, by the process that becomes it.
        """
        there = self.switch
        with Rtnetlink() as here, open_self() as own:
            bridge = read_links([there.ask(get_link(self.joined.bridge))])[0].index
            addrs, port = self._create(there, bridge, own.fd)
            index = read_links([here.ask(get_link(self.link))])[0].index
            ways = self.gateways.items()
            routes = [Route(dst, (Nexthop(self.link, via),)) for dst, via in ways]
            here.batch(
                [
                    *(addr_add(index, addr) for addr in addrs),
                    *link_set(index, up=True),
                    *(route_add(route, {self.link: index}) for route in routes),
                ]
            )
            # To be asked makes the kernel see to a carrier that came late; until then the port
            # sends nothing, and whoever asks for a neighbour asks again after a second.
            there.ask(get_link(index=port))

    def _create(self, there: Rtnetlink, bridge: int, own: int) -> tuple[list[Addr], int]:
        me = process.process("self")
        mark = run_mark(me.pid, me.start) if me else ""
        for number, addrs in self._free():
            name = f"run{bridge}.{number}"
            near = Link(kind=Veth(peer=End("", self.link)), mac="", mtu=self.joined.mtu)
            far = Link(kind=Veth(peer=End("", name)), mac="", mtu=self.joined.mtu)
            birth = link_add(
                name, near, master=bridge, up=True, peer=VethPeer(self.link, far, netns_fd=own)
            )
            try:
                there.batch([birth])
            except KernelError as error:
                if error.errno == errno.EEXIST:
                    continue
                raise
            port = read_links([there.ask(get_link(name))])[0].index
            there.batch(link_set(port, alias=mark))
            return addrs, port
        where = ", ".join(self.joined.subnets)
        raise Unavailable(f"no address is left in {where}")

    def _free(self) -> Iterator[tuple[int, list[Addr]]]:
        """Yield addresses that nobody has, one in each subnet, and the number that they share."""
        sizes = [bounds(prefix) for prefix in self.joined.subnets]
        most = min(_MOST, *(last - first for first, last in sizes))
        for number in range(most - 1, 0, -1):
            found = []
            for prefix, (first, _) in zip(self.joined.subnets, sizes, strict=True):
                ip = from_int(first + number, prefix)
                found.append(Addr(ip, length_of(prefix)))
            if self.used.isdisjoint(addr.ip for addr in found):
                yield number, found


def _addresses() -> Iterator[str]:
    """Yield the addresses that any lab asked for, other labs on the network included."""
    for lab in labs():
        with suppress(Unavailable):
            record = Journal(lab).record()
            for netns in record.desired.netns.values() if record else ():
                for link in netns.links.values():
                    yield from (addr.ip for addr in link.addrs)


def _gateways(desired: Desired, subnets: Iterable[str]) -> dict[str, str]:
    """Return the default routes that members of the network have through it."""
    found: dict[str, str] = {}
    prefixes = list(subnets)
    for name in sorted(desired.netns):
        for route in desired.netns[name].routes:
            if route.dst in _DEFAULTS:
                for hop in route.nexthops:
                    if hop.via and any(contains(prefix, hop.via) for prefix in prefixes):
                        found.setdefault(route.dst, hop.via)
    return found


def _files(desired: Desired, subnets: Iterable[str]) -> dict[str, str]:
    """Return what a member of the network sees in /etc/hosts and /etc/resolv.conf."""
    prefixes = list(subnets)
    for _, netns in sorted(desired.netns.items()):
        addrs = (addr.ip for link in netns.links.values() for addr in link.addrs)
        if netns.etc and any(contains(prefix, ip) for ip in addrs for prefix in prefixes):
            files = desired.folders.get(netns.etc, {})
            seen = {name: files[name] for name in _SEEN if name in files}
            return {n: f.text for n, f in seen.items() if f.is_for_all and not f.is_copy}
    return {}
