"""What conntrack remembers of a lab on the host, and how it is made to forget.

A connection outlives the lab by up to five days (nf_conntrack_tcp_timeout_established): a new lab
with the same addresses would meet the old one's.
"""

import errno
from collections.abc import Iterable

from netloom.kernel.netlink import Rtnetlink, netlink_socket
from netloom.model.objects import HOST, Desired
from netloom.values import contains, family
from netloom.wire.conntrack import Connection, dump_flows, flow_del, read_flow

_NETLINK_NETFILTER = 12

_LACKING = {errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP}
"""What a kernel says that has no conntrack, or has not loaded it: then it remembers nothing."""


def left(states: Iterable[Desired], wanted: Desired) -> frozenset[str]:
    """Return the prefixes that some states of a lab lead to by the host, and the wanted does not.

    They are told by what was asked for, not by what is there: a kill may have left nothing of it
    but what conntrack remembers.
    """
    found = frozenset[str]().union(*(_inside(state) for state in states))
    return found - _inside(wanted)


def _inside(state: Desired) -> frozenset[str]:
    """Return the prefixes of the host's links in a lab, and of what lies behind them."""
    host = state.netns.get(HOST)
    if host is None or not host.rulesets:
        return frozenset()
    addrs = (addr for link in host.links.values() for addr in link.addrs)
    behind = (route.dst for route in host.routes if not route.dst.endswith("/0"))
    return frozenset((*(addr.subnet for addr in addrs), *behind))


def forget(prefixes: Iterable[str]) -> None:
    """Forget the connections from and to some prefixes, in the calling thread's namespace.

    Raises `OSError` where one of them may still be remembered.
    """
    try:
        with Rtnetlink(netlink_socket(_NETLINK_NETFILTER)) as ct:
            _forget(ct, list(prefixes))
    except OSError as error:
        if error.errno not in _LACKING:
            raise


def _forget(ct: Rtnetlink, wanted: list[str]) -> None:
    flows = [flow for data in ct.dump(dump_flows()) if (flow := read_flow(data))]
    refused = ct.batch_all([flow_del(flow) for flow in flows if _concerns(flow, wanted)])
    for error in refused:
        if error.errno != errno.ENOENT:  # it was over by then
            raise error


def _concerns(flow: Connection, prefixes: list[str]) -> bool:
    return any(
        family(prefix) == family(address) and contains(prefix, address)
        for prefix in prefixes
        for address in flow.addresses
        if address
    )
