"""The host as a router of a lab: of what leaves it, and of what goes from one part to another."""

from tests.hosts.internet import (
    HOST4,
    HOST6,
    WEB4,
    WEB6,
    ask,
    on_the_internet,
    pings,
    server,
)
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran
from tests.hosts.witness import no_trace

DMZ = """\
name: dmz
routing: static
networks:
  front: {subnets: [10.1.0.0/24, "fd00:1::/64"], uplink: nat}
  mid: {subnets: [10.2.0.0/24, "fd00:2::/64"]}
  deep: {subnets: [10.3.0.0/24, "fd00:3::/64"]}
namespaces:
  fw: {networks: [front, mid]}
  web: {networks: [front]}
  app: {networks: [mid]}
  r: {networks: [mid, deep]}
  db: {networks: [deep]}
"""


@on_the_internet()
def test_what_is_behind_a_router_of_a_lab_with_a_way_out_reaches_and_is_reached() -> None:
    """The servers beside the host, those behind the firewall, the host, and the internet."""
    write("dmz.yaml", DMZ)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "dmz.yaml")
        for where, there in (("web", "10.2.0.2"), ("web", "fd00:3::2"), ("db", "10.1.0.3")):
            assert pings(where, there), (where, there)
        assert pings("host", "10.3.0.2")
        for where in ("web", "app", "db", "r"):
            assert (ask(where, WEB4), ask(where, WEB6)) == (HOST4, HOST6), where
        netloom("verify", "dmz")
        assert "nothing to do" in netloom("up", "dmz.yaml")["stdout"]
        netloom("down", "dmz.yaml")


@on_the_internet()
def test_a_route_of_the_host_in_the_place_of_a_derived_one_is_told() -> None:
    """It is somebody else's, and stays; nothing is touched."""
    write("dmz.yaml", DMZ)
    ran("ip", "route", "add", "10.2.0.0/24", "via", "192.0.2.1")
    with Warm() as netloom, no_trace():
        said = netloom("up", "dmz.yaml", status=2)["stderr"]
    assert said.startswith("dmz.yaml:2:")
    assert "10.2.0.0/24" in said
