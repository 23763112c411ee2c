"""`uplink:`: members reach the internet by the host, nothing reaches them, and all goes again."""

import json
import socket
from pathlib import Path

from tests.cli.host import Warm, no_trace, write
from tests.cli.internet import (
    HOST4,
    HOST6,
    MISSED,
    NEAR4,
    WEB4,
    WEB6,
    ask,
    ask_udp,
    command,
    connect,
    download,
    echo,
    inside,
    on_the_internet,
    pings,
    pour,
    server,
    swallow,
    upload,
)
from tests.kernel.machines import ran, says

SHOP = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces: {web: {networks: [lan]}, db: {networks: [lan]}}
"""
OFFICE = """\
name: office
networks:
  floor: {subnets: [10.100.1.0/24, "fd00:100:1::/64"], uplink: nat}
namespaces: {desk: {networks: [floor]}}
"""


def sysctl(key: str) -> str:
    """Return a sysctl of the host."""
    return Path("/proc/sys", key.replace(".", "/")).read_text().strip()


@on_the_internet()
def test_members_reach_the_internet_as_the_host() -> None:
    """By ping, TCP and UDP, in IPv4 and IPv6; and `down` leaves nothing."""
    write("shop.yaml", SHOP)
    with Warm() as netloom, server("beyond", 80):
        with no_trace():
            netloom("up", "shop.yaml")
            netloom("verify", "shop.yaml")

            assert pings("web", WEB4)
            assert pings("web", WEB6)
            assert ask("web", WEB4) == ask_udp("web", WEB4) == HOST4
            assert ask("web", WEB6) == ask_udp("web", WEB6) == HOST6

            netloom("down", "shop.yaml")


@on_the_internet()
def test_routed_members_keep_their_addresses_and_are_reached() -> None:
    """`routed` hides nothing, and opens the way inwards."""
    write("shop.yaml", SHOP.replace("nat", "routed"))
    with Warm() as netloom, server("beyond", 80):
        netloom("up", "shop.yaml")
        assert ask("web", WEB4) == "10.100.0.2"
        assert ask("web", WEB6) == "fd00:100::2"
        with server("web", 80):
            assert ask("beyond", "10.100.0.2") == NEAR4
            assert ask_udp("beyond", "fd00:100::2")
        netloom("down", "shop.yaml")
