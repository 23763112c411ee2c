"""What the namespace `host` has by now, and whose it is: as it is seen, and as labs have noted."""

from netloom.datapath.ways_out import routed_prefixes
from netloom.host import sysctl
from netloom.host.store import reservations
from netloom.kernel.netlink import Rtnetlink
from netloom.model.facts import HostSubnet, Occupied
from netloom.model.objects import HOST
from netloom.model.owner import lab_of
from netloom.plan.fence import Fence
from netloom.plan.sysctls import NO_IPV6
from netloom.wire.rtnetlink import (
    dump_addrs,
    dump_links,
    dump_routes,
    read_addrs,
    read_links,
    read_routes,
)


def occupied(fence: Fence) -> Occupied:
    """Return what the host has that is not the lab's, and what other labs have reserved there."""
    with Rtnetlink() as rt:
        links = read_links(rt.dump(dump_links()))
        addrs = read_addrs(rt.dump(dump_addrs()))
        told = read_routes(rt.dump(dump_routes()), {link.index: link.name for link in links}, None)
        others = dict(reservations.others(fence.lab, rt.cookie))
        ours = fence.links(HOST, rt.cookie, links)
    subnets = [HostSubnet(*each, other) for other, has in others.items() for each in has.subnets]
    names: dict[str, str | None] = {
        name: other for other, has in others.items() for name in has.links
    }
    foreign = {link.index: link for link in links if link.index not in ours}
    for link in foreign.values():
        marked = None if fence.is_marked(link) else lab_of(link.alias)  # a forged one is nobody's
        owner = marked or names.get(link.name)
        names |= dict.fromkeys((link.name, *link.altnames), owner)
    for index, addr in ((seen.index, seen.addr) for seen in addrs if seen.index in foreign):
        if not addr.ip.startswith("fe80:"):
            link_name = foreign[index].name
            prefix = addr.subnet
            subnets.append(HostSubnet(prefix, link_name, names[link_name]))
    routed = tuple(routed_prefixes(told, [link.name for link in foreign.values()]))
    routes = {key: other for other, has in others.items() for key in has.routes}
    ipv6 = sysctl.read((NO_IPV6,)).get(NO_IPV6) == "0"
    return Occupied(tuple(subnets), names, routes, routed, ipv6)
