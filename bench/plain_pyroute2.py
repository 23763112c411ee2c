"""The star as one writes it with pyroute2, by its documentation: `plain_pyroute2.py up|down N`."""

import sys

from pyroute2 import IPRoute, NetNS, netns

from bench.star import GATEWAY, address


def up(n: int) -> None:
    """Make a bridge, and for each member a namespace, a wire, an address and a default route."""
    with IPRoute() as here:
        here.link("add", ifname="br0", kind="bridge")
        bridge = here.link_lookup(ifname="br0")[0]
        here.link("set", index=bridge, state="up")
        for i in range(n):
            add_member(here, bridge, i)


def add_member(here: IPRoute, bridge: int, i: int) -> None:
    """Make one member and plug it in."""
    name = f"p{i}"
    netns.create(name)
    here.link("add", ifname=f"v{i}", kind="veth", peer={"ifname": "lan", "net_ns_fd": name})
    port = here.link_lookup(ifname=f"v{i}")[0]
    here.link("set", index=port, master=bridge, state="up")
    with NetNS(name) as there:
        lan = there.link_lookup(ifname="lan")[0]
        there.link("set", index=1, state="up")
        there.addr("add", index=lan, address=address(i), prefixlen=16)
        there.link("set", index=lan, state="up")
        there.route("add", dst="default", gateway=GATEWAY)


def down(n: int) -> None:
    """Remove the namespaces, and then the bridge."""
    for i in range(n):
        netns.remove(f"p{i}")
    with IPRoute() as here:
        here.link("del", ifname="br0")


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]](int(sys.argv[2]))
