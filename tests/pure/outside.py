"""Hosts by their default routes, for what is asked of a way out without a host."""

from netloom.model.objects import Nexthop, Route
from netloom.values import Family


def default(link: str, version: Family = 4) -> Route:
    """Return a default route out of an interface, through a gateway."""
    if version == 6:
        return Route("::/0", (Nexthop(link, "fe80::1"),), metric=1024)
    return Route("0.0.0.0/0", (Nexthop(link, "192.0.2.1"),))
