"""The prefixes that the host sees already, and whose they are."""

from netloom.kernel.netlink import Rtnetlink
from netloom.model.marks import lab_of
from netloom.topology.allocate import HostSubnet
from netloom.values import network_of
from netloom.wire.rtnetlink import dump_addrs, dump_links, read_addrs, read_links


def host_subnets(lab: str) -> tuple[HostSubnet, ...]:
    """Return the prefixes connected to interfaces of the host that are not the lab's."""
    with Rtnetlink() as rt:
        links = {link.index: link for link in read_links(rt.dump(dump_links()))}
        addrs = read_addrs(rt.dump(dump_addrs()))
    found = []
    for entry in addrs:
        link = links.get(entry.index)
        if link is None or lab_of(link.alias) == lab or entry.addr.ip.startswith("fe80:"):
            continue
        prefix = network_of(entry.addr.ip, entry.addr.prefixlen)
        owner = f"the lab `{lab_of(link.alias)}`" if lab_of(link.alias) else ""
        found.append(HostSubnet(prefix, link.name, owner))
    return tuple(found)
