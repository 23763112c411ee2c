"""Subnets that are derived fit the host: one without IPv6, one with routes to a company."""

import json

import pytest

from tests.hosts.internet import HOST4, NEAR4, WEB4, ask, on_the_internet, pings, server, set_sysctl
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran
from tests.hosts.witness import no_trace

SHOP = """\
name: shop
networks: {lan: {uplink: nat}, inner: }
namespaces: {web: {networks: [lan, inner]}, db: {networks: [inner]}, coke: }
links: [[host, coke], [db, coke]]
"""


def no_ipv6() -> None:
    """Switch IPv6 off, as many a how-to has it."""
    for which in ("all", "default"):
        set_sysctl(f"net.ipv6.conf.{which}.disable_ipv6", "1")


def addresses(where: str, link: str) -> list[str]:
    """Return the addresses of an interface in a namespace, in the host by an empty name."""
    said = ran("ip", *(["-n", where] if where else []), "-j", "address", "show", "dev", link).stdout
    return [f"{each['local']}/{each['prefixlen']}" for each in json.loads(said)[0]["addr_info"]]


@on_the_internet(ipv6=False)
def test_a_host_without_ipv6_gets_labs_of_ipv4() -> None:
    """Where it takes part, on a network and a wire; elsewhere both families are derived."""
    no_ipv6()
    write("shop.yaml", SHOP)
    with Warm() as netloom, server("beyond", 80), no_trace():
        said = netloom("up", "shop.yaml")
        assert "IPv6" not in said["stderr"]
        assert addresses("", "lan") == ["10.64.0.1/24"]
        assert [":" in each for each in addresses("db", "inner")] == [False, True, True]
        assert ask("web", WEB4) == HOST4
        assert pings("coke", addresses("", "coke")[0].partition("/")[0])
        netloom("verify", "shop")
        assert "nothing to do" in netloom("up", "shop.yaml")["stdout"]
        netloom("down", "shop.yaml")


NETWORK = """networks: {lan: {subnets: [10.1.0.0/24, "fd00:1::/64"], uplink: nat}}
namespaces: {a: {networks: [lan]}}
"""
WIRE = "links: [[host fd00:1::1/64, a fd00:1::2/64]]\n"


@pytest.mark.parametrize("text", [NETWORK, WIRE], ids=["network", "wire"])
@on_the_internet(ipv6=False)
def test_ipv6_that_the_host_forbids_is_a_mistake_in_its_line(text: str) -> None:
    """Before anything is touched; it was refused by the kernel in the middle of `up`."""
    no_ipv6()
    write("lab.yaml", text)
    with Warm() as netloom, no_trace():
        said = netloom("up", "lab.yaml", status=2)["stderr"]
    assert said.startswith("lab.yaml:1:")
    assert "the host's own `net.ipv6.conf.default.disable_ipv6` forbids" in said
    assert said.endswith("nothing was touched\n")


@on_the_internet(ipv6=False)
def test_derived_subnets_keep_clear_of_what_the_host_has_routes_to() -> None:
    """A company's 10.0.0.0/8 and 172.16.0.0/12; what a lab has already it keeps."""
    write("shop.yaml", SHOP)
    ran("ip", "route", "add", "10.0.0.0/8", "via", NEAR4)
    ran("ip", "route", "add", "172.16.0.0/13", "via", NEAR4, "table", "7")
    with Warm() as netloom, no_trace():
        netloom("up", "shop.yaml")
        assert addresses("", "lan")[0] == "172.24.0.1/24"
        ran("ip", "route", "add", "172.16.0.0/12", "via", NEAR4)
        assert "nothing to do" in netloom("up", "shop.yaml")["stdout"]
        netloom("down", "shop.yaml")
        ran("ip", "route", "del", "172.16.0.0/12")
    ran("ip", "route", "add", "172.16.0.0/12", "via", NEAR4)
    with Warm() as netloom, no_trace():
        netloom("up", "shop.yaml")
        assert addresses("", "lan")[0] == "192.168.0.1/24"
        netloom("down", "shop.yaml")


@on_the_internet(ipv6=False)
def test_where_all_of_the_pool_is_routed_some_of_it_is_taken() -> None:
    """A lab must have something; its routes are nearer than any through a gateway."""
    write("shop.yaml", SHOP)
    for prefix in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"):
        ran("ip", "route", "add", prefix, "via", NEAR4)
    with Warm() as netloom, server("beyond", 80), no_trace():
        netloom("up", "shop.yaml")
        assert addresses("", "lan")[0] == "10.64.0.1/24"
        assert ask("web", WEB4) == HOST4
        netloom("down", "shop.yaml")
