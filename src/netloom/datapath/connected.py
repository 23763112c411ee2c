"""The routes that the kernel makes of the addresses of links by itself.

fib_add_ifaddr (net/ipv4/fib_frontend.c), addrconf_prefix_route and addrconf_dst_alloc
(net/ipv6/addrconf.c).
"""

from collections.abc import Iterator, Mapping

from netloom.datapath.fib import LOCAL_TABLE, RTPROT_KERNEL, SCOPE_LINK
from netloom.model.objects import LOOPBACK, Addr, Link, Loopback, Nexthop, Route
from netloom.values import bounds, from_int, link_local

_SCOPE_HOST = 254
_METRIC6 = 256  # IP6_RT_PRIO_ADDRCONF


def connected(links: Mapping[str, Link]) -> Iterator[Route]:
    """Yield the routes of all links that are up, as they are a moment after that."""
    for name, link in links.items():
        if link.up and isinstance(link.kind, Loopback):
            yield from _ipv4(name, link, LOOPBACK)
            yield _own(name, "::1/128", "local")
        for addr in (*link.addrs, *_link_local(link)) if link.up else ():
            yield from _ipv4(name, link, addr) if addr.family == 4 else _ipv6(name, addr)


def _link_local(link: Link) -> tuple[Addr, ...]:
    return (Addr(link_local(link.mac), 64),) if link.ipv6_ll and link.mac else ()


def _ipv4(name: str, link: Link, addr: Addr) -> Iterator[Route]:
    lo = isinstance(link.kind, Loopback)
    yield _own(name, f"{addr.ip}/32", "local", src=addr.ip)
    if addr.secondary or addr.prefixlen == 32:
        return
    if lo:
        yield _own(name, addr.subnet, "local", src=addr.ip)
    else:
        yield _subnet(name, addr, scope=SCOPE_LINK, src=addr.ip)
    if addr.prefixlen < 31:
        last = from_int(bounds(addr.subnet)[1], addr.ip)
        yield _own(name, f"{last}/32", "broadcast", src=addr.ip)


def _ipv6(name: str, addr: Addr) -> Iterator[Route]:
    yield _own(name, f"{addr.ip}/128", "local")
    yield _subnet(name, addr, metric=_METRIC6)


def _subnet(name: str, addr: Addr, **facts: int | str) -> Route:
    return Route(addr.subnet, (Nexthop(name),), protocol=RTPROT_KERNEL, **facts)  # type: ignore[arg-type]


def _own(name: str, dst: str, kind: str, *, src: str = "") -> Route:
    scope = 0 if ":" in dst else _SCOPE_HOST if kind == "local" else SCOPE_LINK
    return Route(dst, (Nexthop(name),), kind, LOCAL_TABLE, 0, 0, src, scope, protocol=RTPROT_KERNEL)
