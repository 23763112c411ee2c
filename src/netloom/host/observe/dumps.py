"""One namespace as the kernel tells of it: links, addresses, routes and rules, by four dumps."""

from collections.abc import Iterable

from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import Addr, Route, Rule
from netloom.wire.routes import ASKED_FOR
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

_BY_ADVERTISEMENT = 0x101  # IFA_F_MANAGETEMPADDR, IFA_F_TEMPORARY
_KERNELS = frozenset({1, 2, 3})  # IFAPROT_KERNEL_LO, _RA, _LL (linux/if_addr.h)
_BORN = frozenset({"127.0.0.1", "::1"})


class Dumps:
    """The answers to the four dumps; of routes those of some `protocols`, None for all.

    Routes are not asked for where no protocols are.
    """

    def __init__(self, rt: Rtnetlink, protocols: frozenset[int] | None = ASKED_FOR) -> None:
        """Ask the namespace that a conversation was begun in."""
        self.links: list[SeenLink] = read_links(rt.dump(dump_links()))
        self.addrs: list[SeenAddr] = read_addrs(rt.dump(dump_addrs()))
        names = {link.index: link.name for link in self.links}
        self.names = names
        asked = rt.dump(dump_routes()) if protocols is None or protocols else ()
        self.routes: list[Route] = read_routes(asked, names, protocols)
        self.rules: list[Rule] = read_rules(rt.dump(dump_rules()))
        self.cookie = rt.cookie

    @property
    def mark(self) -> str:
        """The alias of `lo`."""
        return next((link.alias for link in self.links if link.index == 1), "")


def asked_addrs(seen: Iterable[SeenAddr]) -> dict[int, list[Addr]]:
    """Return the addresses that somebody asked for, and not the kernel.

    Those of a router's advertisement (RFC 4862) bear a flag by which others are made of them
    (RFC 8981), also before Linux 5.18. Any other with a lifetime is somebody's: a lease, or one of
    the lab's that somebody gave another.
    """
    return _by_link(
        entry
        for entry in seen
        if entry.proto not in _KERNELS
        and (entry.addr.family == 4 or not entry.flags & _BY_ADVERTISEMENT)
    )


def all_addrs(seen: Iterable[SeenAddr]) -> dict[int, list[Addr]]:
    """Return all addresses but those that every link is born with: of `lo`, and link-local ones."""
    return _by_link(entry for entry in seen if not entry.addr.ip.startswith("fe80:"))


def _by_link(seen: Iterable[SeenAddr]) -> dict[int, list[Addr]]:
    found: dict[int, list[Addr]] = {}
    for entry in seen:
        if entry.index != 1 or entry.addr.ip not in _BORN:
            found.setdefault(entry.index, []).append(entry.addr)
    for addrs in found.values():
        addrs.sort()
    return found
