"""How links are born: what of a wanted link is there once the kernel has made it."""

from netloom.model.objects import Link, Loopback
from netloom.plan.mutable import IPV6_MIN_MTU


def new_lo(alias: str) -> Link:
    """Return `lo` as `NetnsAdd` leaves it: marked, and up."""
    return Link(kind=Loopback(), mac="", mtu=65536, alias=alias)


def new_link(link: Link, *, near: bool, ipv6: bool) -> Link:
    """Return a link as `NetnsAdd` or `LinkAdd` leaves it; raises ValueError if no lab makes it.

    What `LinkAdd` makes is in place, but down, unmarked and without addresses.
    """
    if isinstance(link.kind, Loopback):
        return new_lo(link.alias)
    if link.kind.word is None:
        raise ValueError(f"no lab makes {link.kind}")
    return Link(
        kind=link.kind,
        mac=link.mac,
        mtu=link.mtu,
        up=False,
        master=link.master if near else "",
        ipv6_ll=ipv6 and link.mtu >= IPV6_MIN_MTU,
    )
