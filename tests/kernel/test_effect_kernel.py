"""What the kernel does along with a step, as `ip` shows it: what `plan/effect.py` states."""

import pytest

from tests.kernel.conftest import Netns

pytestmark = pytest.mark.needs("netns", "ip", "veth", "bridge")


@pytest.fixture
def wired(netns: Netns) -> Netns:
    """Make a namespace with a wire `x` = `y`, both up, and `lo` up."""
    netns.run("ip", "link", "set", "lo", "up")
    netns.run("ip", "link", "add", "name", "x", "type", "veth", "peer", "name", "y")
    for link in ("x", "y"):
        netns.run("ip", "link", "set", link, "up")
    return netns


def asked_routes(netns: Netns, version: int = 4) -> list[str]:
    """Return the destinations of the routes that somebody asked for."""
    found = netns.ip(f"-{version}", "route", "show", "table", "all")
    return sorted(route["dst"] for route in found if route.get("protocol") in {None, "boot"})


def addresses(netns: Netns, link: str) -> list[str]:
    """Return the addresses of a link, link-local ones left out."""
    infos = netns.ip("addr", "show", "dev", link)[0]["addr_info"]
    return [info["local"] for info in infos if info["scope"] != "link"]


def refused(netns: Netns, *command: str) -> str:
    """Return what the kernel says against a command."""
    with pytest.raises(AssertionError) as refusal:
        netns.run(*command)
    return str(refusal.value)


def do(netns: Netns, *commands: str) -> None:
    """Carry out some `ip` commands."""
    for command in commands:
        netns.run("ip", *command.split())


def test_the_last_ipv4_address_takes_the_routes_of_its_link_along(wired: Netns) -> None:
    """`fib_inetaddr_event`: as long as there is another, they stay."""
    do(wired, "addr add 10.0.0.1/24 dev x", "addr add 10.1.0.1/24 dev x")
    do(wired, "route add 10.8.0.0/16 via 10.0.0.9", "route add 10.9.0.0/16 dev x")
    do(wired, "addr add fd00::1/64 dev x nodad", "-6 route add fd09::/64 via fd00::9")

    do(wired, "addr del 10.0.0.1/24 dev x")
    assert asked_routes(wired) == ["10.8.0.0/16", "10.9.0.0/16"]

    do(wired, "addr del 10.1.0.1/24 dev x")
    assert asked_routes(wired) == []
    assert asked_routes(wired, 6) == ["fd09::/64"]


def test_the_loopback_keeps_its_routes(wired: Netns) -> None:
    """It still has 127.0.0.1."""
    do(wired, "addr add 10.0.0.1/32 dev lo", "route add 10.9.0.0/16 dev lo")
    do(wired, "addr del 10.0.0.1/32 dev lo")

    assert asked_routes(wired) == ["10.9.0.0/16"]


def test_a_link_set_down_loses_routes_and_ipv6_addresses(wired: Netns) -> None:
    """`addrconf_ifdown`; IPv4 addresses stay."""
    do(wired, "addr add 10.0.0.1/24 dev x", "route add 10.9.0.0/16 dev x")
    do(wired, "addr add fd00::1/64 dev x nodad", "-6 route add fd09::/64 dev x")

    do(wired, "link set x down")

    assert addresses(wired, "x") == ["10.0.0.1"]
    assert asked_routes(wired) == asked_routes(wired, 6) == []


def test_a_route_with_another_way_out_stays_half_dead(wired: Netns) -> None:
    """Nobody asked for that, so `diff` deletes such a route before it sets a link down."""
    do(wired, "addr add 10.0.0.1/24 dev x", "addr add 10.1.0.1/24 dev y")
    do(wired, "route add 10.9.0.0/16 nexthop via 10.0.0.9 nexthop via 10.1.0.9")

    do(wired, "link set x down")

    (route,) = wired.ip("route", "show", "10.9.0.0/16")
    assert route["nexthops"][0]["flags"] == ["dead", "linkdown"]


def test_below_1280_bytes_a_link_has_no_ipv6(wired: Netns) -> None:
    """IPV6_MIN_MTU; addresses and routes do not come back with the MTU, but IPv6 itself does."""
    do(wired, "addr add fd00::1/64 dev x nodad", "-6 route add fd09::/64 dev x")

    do(wired, "link set x mtu 1279")
    assert addresses(wired, "x") == []
    assert asked_routes(wired, 6) == []
    assert refused(wired, "ip", "addr", "add", "fd00::1/64", "dev", "x")

    do(wired, "link set x mtu 1280")
    assert addresses(wired, "x") == []
    do(wired, "addr add fd00::1/64 dev x nodad")


def test_the_second_address_of_a_subnet_is_secondary_and_falls_with_the_first(
    wired: Netns,
) -> None:
    """Unless promote_secondaries is set: so secondaries go first."""
    wired.run("sysctl", "-qw", "net.ipv4.conf.x.promote_secondaries=0")
    wired.run("sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=0")
    do(
        wired,
        "addr add 10.0.0.9/24 dev x",
        "addr add 10.0.0.1/24 dev x",
        "addr add 10.0.0.2/25 dev x",
    )
    infos = wired.ip("-4", "addr", "show", "dev", "x")[0]["addr_info"]
    assert {info["local"] for info in infos if info.get("secondary")} == {"10.0.0.1"}

    do(wired, "addr del 10.0.0.9/24 dev x")

    assert addresses(wired, "x") == ["10.0.0.2"]


def test_an_address_takes_the_ipv4_routes_with_it_as_their_source_along(wired: Netns) -> None:
    """Out of whatever link; `diff` deletes them before, or they would be missed."""
    do(wired, "addr add 10.0.0.1/24 dev x", "addr add 10.1.0.1/32 dev lo")
    do(wired, "route add 10.9.0.0/16 via 10.0.0.9 src 10.1.0.1", "route add 10.8.0.0/16 dev x")

    do(wired, "addr del 10.1.0.1/32 dev lo")

    assert asked_routes(wired) == ["10.8.0.0/16"]


def test_a_bridge_follows_its_ports_mtu_until_its_own_was_changed(wired: Netns) -> None:
    """BROPT_MTU_SET_BY_USER: so a bridge is born with another MTU, and set to its own."""
    do(
        wired,
        "link add name follows mtu 1500 type bridge",
        "link add name holds mtu 1499 type bridge",
    )
    do(wired, "link set holds mtu 1500", "link set x mtu 1400", "link set y mtu 1400")

    do(wired, "link set x master follows", "link set y master holds")

    assert [wired.ip("link", "show", name)[0]["mtu"] for name in ("follows", "holds")] == [
        1400,
        1500,
    ]


def test_a_deleted_bridge_frees_its_ports(wired: Netns) -> None:
    """They stay up, on no bridge."""
    do(wired, "link add name br0 type bridge", "link set x master br0", "link del br0")

    (link,) = wired.ip("link", "show", "x")
    assert "master" not in link
    assert "UP" in link["flags"]


def test_a_deleted_end_takes_the_other_along(wired: Netns) -> None:
    """At once; in other namespaces too, as the laws show."""
    do(wired, "link del x")

    assert {link["ifname"] for link in wired.ip("link")} == {"lo"}


@pytest.mark.parametrize("version", [4, 6])
def test_forwarding_of_all_is_forwarding_of_each(wired: Netns, version: int) -> None:
    """And of those to come; one that is set alone stays alone."""
    keys = [f"net.ipv{version}.conf.{which}.forwarding" for which in ("all", "default", "x", "y")]

    wired.run("sysctl", "-qw", f"{keys[2]}=1")
    assert wired.run("sysctl", "-n", *keys).split() == ["0", "0", "1", "0"]

    wired.run("sysctl", "-qw", f"{keys[0]}=1")
    assert wired.run("sysctl", "-n", *keys).split() == ["1"] * 4


def test_ip_forward_is_another_name_for_forwarding_of_all(wired: Netns) -> None:
    """One variable (devinet.c)."""
    wired.run("sysctl", "-qw", "net.ipv4.conf.all.forwarding=1")
    assert wired.run("sysctl", "-n", "net.ipv4.ip_forward") == "1\n"

    wired.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    assert wired.run("sysctl", "-n", "net.ipv4.conf.x.forwarding") == "0\n"


def test_ipv6_switched_off_takes_addresses_and_routes_along(wired: Netns) -> None:
    """Those that lead nowhere too, since they hang on `lo`; links to come begin without."""
    do(wired, "addr add fd00::1/64 dev x nodad", "-6 route add fd09::/64 dev x")
    do(wired, "-6 route add blackhole fd08::/64", "route add blackhole 10.8.0.0/16")

    wired.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")

    assert addresses(wired, "x") == asked_routes(wired, 6) == []
    assert asked_routes(wired) == ["10.8.0.0/16"]
    assert wired.run("sysctl", "-n", "net.ipv6.conf.default.disable_ipv6") == "1\n"
    assert refused(wired, "ip", "addr", "add", "fd00::1/64", "dev", "x")


def test_an_ipv6_route_has_no_device_alone_among_its_next_hops(wired: Netns) -> None:
    """So `lower` refuses it."""
    do(wired, "addr add fd00::1/64 dev x nodad")
    command = "ip -6 route add fd09::/64 nexthop dev x nexthop via fd00::9 dev x"

    assert "Device only routes can not be added for IPv6" in refused(wired, *command.split())
