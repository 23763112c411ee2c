"""What a namespace's own programs set is theirs: it stays through every change, and is no drift."""

import re
from pathlib import Path

from pyroute2 import IPRoute

from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from tests.hosts.host import on_a_host
from tests.hosts.machine import etc_file
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

PAIR = "links: [[a:e0 10.0.0.1/24, b:e0 10.0.0.2/24]]\n"
BY_HAND = """
ip -n a address add 10.0.0.50/24 dev e0
ip -n a address add 10.63.0.100/32 dev e0
ip -n a address add fd00:1::5/64 dev e0 nodad
ip -n a address add 192.0.2.1/32 dev lo
ip -n a address add 10.0.0.60/24 dev e0 valid_lft 3000 preferred_lft 3000
ip -n a route add 10.9.0.0/16 via 10.0.0.2
ip -n a route add 10.8.0.0/16 dev e0 src 10.0.0.50 proto static
ip -n a route add default via 10.0.0.2 dev e0 table 51820
ip -n a route add blackhole 10.7.0.0/16 proto zebra
ip -n a -6 route add fd00:2::/64 via fd00:1::1 dev e0
ip -n a rule add not fwmark 51820 table 51820
ip -n a rule add table main suppress_prefixlength 0
ip -n a link property add dev e0 altname uplink
ip -n b link add br0 type bridge
ip -n b link set dev e0 master br0
ip netns exec a sysctl -qw net.ipv4.ip_forward=1
ip -n a link set dev lo mtu 9000
"""
LISTED = """\
set by others in a:
  addr e0 10.0.0.50/24
  addr e0 10.0.0.60/24
  addr e0 10.63.0.100/32
  addr e0 fd00:1::5/64
  addr lo 192.0.2.1/32
  altname e0 uplink
  route 10.8.0.0/16 dev e0 src 10.0.0.50 proto static
  route 10.9.0.0/16 via 10.0.0.2 dev e0 proto boot
  route default via 10.0.0.2 dev e0 table 51820 proto boot
  route fd00:2::/64 via fd00:1::1 dev e0 proto boot
  rule not priority 32765 from all fwmark 0xca6c lookup 51820
  rule priority 32764 from all lookup main suppress_prefixlength 0
set by others in b:
  link br0
  master e0 br0
"""
AGAIN = """
ip -n a route replace default via 10.0.0.2 dev e0 proto dhcp
ip -n a address replace 10.0.0.1/24 dev e0
ip -n a rule del pref 100
ip -n a rule add pref 100 lookup 7 protocol 99
"""
LOOKS = ("address", "route show table all", "rule", "-6 rule", "link")


def state(name: str) -> dict[str, str]:
    """Return what `ip` tells of a namespace, but for lifetimes."""
    found = {words: says("ip", "-n", name, "-o", *words.split()) for words in LOOKS}
    found["address"] = re.sub(r" dynamic|valid_lft.*", "", found["address"])
    found["forwarding"] = says("ip", "netns", "exec", name, "sysctl", "-n", "net.ipv4.ip_forward")
    return {words: "\n".join(sorted(text.splitlines())) for words, text in found.items()}


@on_a_host
def test_what_was_set_by_hand_stays_through_up_and_is_no_drift() -> None:
    """Addresses, routes, rules, altnames, masters, forwarding, `lo`'s MTU; all goes with `down`."""
    write("lab.yaml", PAIR)
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        ran("sh", "-ec", BY_HAND)
        before = state("a"), state("b")

        netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
        netloom("verify", "-v", "lab").stdout(f"lab  is as it was applied\n{LISTED}").status(0)
        netloom("up", "lab.yaml").stdout("lab  is up; nothing to do\n").status(0)
        write("lab.yaml", PAIR.replace("]]", "], [a, c]]"))
        netloom("up", "-q", "lab.yaml").status(0)
        write("lab.yaml", PAIR)
        netloom("up", "-q", "lab.yaml").status(0)

        assert (state("a"), state("b")) == before
        netloom("down", "lab").stdout(
            "lab  down: 2 namespaces, 1 wire; the host is as it was\n"
        ).stderr("note: gone with the lab `lab`, made by somebody in it: b:br0\n").status(0)


@on_a_host
def test_others_addresses_and_routes_stay_where_the_lab_s_own_address_changes() -> None:
    """The kernel takes along what hangs on an address that goes: it comes again."""
    write("lab.yaml", PAIR)
    netloom("up", "-q", "lab.yaml").status(0)
    ran("sh", "-ec", BY_HAND)
    before = state("a")

    write("lab.yaml", PAIR.replace("10.0.0.1/", "10.0.0.7/"))
    netloom("up", "-q", "lab.yaml").status(0)
    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
    assert "10.0.0.7/24" in state("a")["address"]
    assert ended("undo", "lab").returncode == 0

    assert state("a") == before
    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)


@on_a_host
def test_what_stands_in_the_place_of_the_file_s_is_drift_and_is_told_with_its_protocol() -> None:
    """A VPN that replaced the default route; `up` puts the file's back."""
    write("lab.yaml", "namespaces: {a: {routes: default via 10.0.0.2}, b: }\n" + PAIR)
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "-n", "a", "route", "replace", "default", "via", "10.0.0.99", "proto", "zebra")

    netloom("verify", "lab").stdout(
        "~ route a default via 10.0.0.2 dev e0 (was via 10.0.0.99 dev e0 proto zebra)\n1 change\n"
    ).stderr("lab  is not as it was applied; `netloom up lab.yaml` would do the above\n").status(3)
    netloom("up", "-q", "lab.yaml").status(0)

    assert (
        says("ip", "-n", "a", "route", "show", "default")
        == "default via 10.0.0.2 dev e0 proto static \n"
    )


@on_a_host
def test_a_protocol_decides_nothing() -> None:
    """`ip route replace` by a program, a rule made again: they are the file's as before."""
    said = "{a: {routes: default via 10.0.0.2, rules: priority 100 lookup 7}, b: }"
    write("lab.yaml", f"namespaces: {said}\n" + PAIR)
    netloom("up", "-q", "lab.yaml").status(0)
    ran("sh", "-ec", AGAIN)

    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
    write("lab.yaml", "namespaces: {a: , b: }\n" + PAIR)
    netloom("up", "-q", "lab.yaml").status(0)

    assert "default" not in says("ip", "-n", "a", "route")
    assert "100:" not in says("ip", "-n", "a", "rule")


@on_a_host
def test_who_reads_sees_whose_it_is() -> None:
    """Routes and rules of the file are `proto static`, addresses of protocol 110 (IFA_PROTO)."""
    said = "{a: {routes: default via 10.0.0.2, rules: priority 100 lookup 7}, b: }"
    write("lab.yaml", f"namespaces: {said}\n" + PAIR)
    netloom("up", "-q", "lab.yaml").status(0)
    ran("sh", "-ec", "ip -n a addr add 10.0.0.9/24 dev e0; ip -n a route add 10.9.0.0/16 dev e0")

    routes = says("ip", "-n", "a", "route").splitlines()
    assert routes[0].split() == ["default", "via", "10.0.0.2", "dev", "e0", "proto", "static"]
    assert "10.9.0.0/16 dev e0 scope link" in [line.strip() for line in routes]
    assert "100:\tfrom all lookup 7 proto static" in says("ip", "-n", "a", "rule")
    with open_name("a") as handle:
        assert enter(handle, protocols) == {"10.0.0.1": 110, "10.0.0.9": None}


def protocols() -> dict[str, int | None]:
    """Return the protocols of the addresses of `e0`, as another reader has them."""
    with IPRoute() as route:
        return {a.get("IFA_LOCAL"): a.get("IFA_PROTO") for a in route.get_addr(label="e0")}


@on_a_host
def test_an_address_on_the_lab_s_link_of_the_host_stays_and_goes_with_it() -> None:
    """What hangs on that link there is as inside."""
    wire = "links: [[host:h0 10.0.0.1/24, a:e0 10.0.0.2/24]]\n"
    write("lab.yaml", wire)
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        ran("sh", "-ec", "ip addr add 10.0.0.50/24 dev h0; ip addr add 192.0.2.77/32 dev h0")

        netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
        write("lab.yaml", wire.replace("10.0.0.1/24", "10.0.0.7/24"))
        netloom("up", "-q", "lab.yaml").status(0)

        told = says("ip", "-br", "-4", "addr", "show", "h0").split()[2:]
        assert sorted(told) == ["10.0.0.50/24", "10.0.0.7/24", "192.0.2.77/32"]
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_addresses_beside_127_0_0_1_are_secondary_whoever_gives_them() -> None:
    """Those of the file, and those set by hand: twice does nothing."""
    write("lab.yaml", "namespaces: {a: {interfaces: {lo: {addresses: 127.0.0.5/8}}}}\n")
    netloom("up", "-q", "lab.yaml").status(0)
    netloom("up", "lab.yaml").stdout("lab  is up; nothing to do\n").status(0)
    says("ip", "-n", "a", "addr", "add", "127.0.0.9/8", "dev", "lo")

    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
    write("lab.yaml", "namespaces: {a: }\n")
    netloom("up", "-q", "lab.yaml").status(0)
    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
    there = says("ip", "-n", "a", "-br", "-4", "addr", "show", "lo").split()[2:]
    assert there == ["127.0.0.1/8", "127.0.0.9/8"]


@on_a_host
def test_an_address_with_a_far_end_is_told_by_it_and_stays() -> None:
    """`peer`: another key than the plain one's; in the file's place it goes, and comes no more."""
    write("lab.yaml", PAIR)
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "-n", "a", "addr", "add", "10.7.0.1", "peer", "10.7.0.2/32", "dev", "e0")
    says("ip", "-n", "a", "addr", "add", "fd07::1", "peer", "fd07::2/128", "dev", "e0", "nodad")
    before = state("a")

    netloom("verify", "-v", "lab").stdout(
        "lab  is as it was applied\nset by others in a:\n"
        "  addr e0 10.7.0.1 peer 10.7.0.2/32\n  addr e0 fd07::1 peer fd07::2/128\n"
    ).status(0)
    says("ip", "-n", "a", "addr", "del", "10.0.0.1/24", "dev", "e0")
    says("ip", "-n", "a", "addr", "add", "10.0.0.1", "peer", "10.0.0.9/24", "dev", "e0")
    netloom("verify", "lab").stdout(
        "- addr a:e0 10.0.0.1 peer 10.0.0.9/24\n+ addr a:e0 10.0.0.1/24\n2 changes\n"
    ).stderr("lab  is not as it was applied; `netloom up lab.yaml` would do the above\n").status(3)
    netloom("up", "-q", "lab.yaml").status(0)
    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
    assert sorted(state("a")["address"].splitlines()) == sorted(before["address"].splitlines())

    write("lab.yaml", PAIR.replace("10.0.0.1/", "10.0.0.7/"))
    netloom("up", "-q", "lab.yaml").status(0)
    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
    expected = before["address"].replace("10.0.0.1/24", "10.0.0.7/24")
    assert sorted(state("a")["address"].splitlines()) == sorted(expected.splitlines())


@on_a_host
def test_an_address_of_the_file_s_that_was_given_a_lifetime_is_the_file_s() -> None:
    """As keepalived (deprecated) and DHCPv6 clients do; another's with a lifetime is its own."""
    pair = "links: [[a:e0 fd00::1/64, b:e0 fd00::2/64]]\n"
    write("lab.yaml", pair)
    netloom("up", "-q", "lab.yaml").status(0)
    lived = ["valid_lft", "3000", "preferred_lft", "0", "dev", "e0", "nodad"]
    says("ip", "-n", "a", "addr", "replace", "fd00::1/64", *lived)
    says("ip", "-n", "a", "addr", "add", "fd00::9/64", *lived)

    netloom("verify", "-v", "lab").stdout(
        "lab  is as it was applied\nset by others in a:\n  addr e0 fd00::9/64\n"
    ).status(0)
    netloom("up", "lab.yaml").stdout("lab  is up; nothing to do\n").status(0)
    write("lab.yaml", pair.replace("fd00::1/", "fd00::7/"))
    netloom("up", "-q", "lab.yaml").status(0)
    there = says("ip", "-n", "a", "-br", "-6", "addr", "show", "e0", "scope", "global").split()[2:]
    assert sorted(there) == ["fd00::7/64", "fd00::9/64"]


@on_a_host
def test_what_others_set_is_listed_also_where_a_file_of_the_lab_is_not_seen() -> None:
    """`verify -v` lists it whatever else there is to tell."""
    write("lab.yaml", PAIR)
    etc_file("a", "hosts", "")
    netloom("up", "-q", "lab.yaml")
    says("ip", "-n", "b", "link", "add", "br0", "type", "bridge")

    told = ended("verify", "-v", "lab")
    assert (told.returncode, told.stdout) == (3, "set by others in b:\n  link br0\n")
    assert told.stderr.startswith("/etc/netns/a/hosts is somebody else's")


@on_a_host
def test_the_file_s_address_with_another_length_is_another_s() -> None:
    """The kernel has both, so nothing is in the place of the file's."""
    write("lab.yaml", PAIR)
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "-n", "a", "addr", "add", "10.0.0.1/32", "dev", "e0")

    netloom("verify", "-v", "lab").stdout(
        "lab  is as it was applied\nset by others in a:\n  addr e0 10.0.0.1/32\n"
    ).status(0)
    write("lab.yaml", PAIR.replace("10.0.0.1/", "10.0.0.7/"))
    netloom("up", "-q", "lab.yaml").status(0)
    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
    there = says("ip", "-n", "a", "-br", "-4", "addr", "show", "e0").split()[2:]
    assert sorted(there) == ["10.0.0.1/32", "10.0.0.7/24"]

    assert ended("undo", "lab").returncode == 0
    there = says("ip", "-n", "a", "-br", "-4", "addr", "show", "e0").split()[2:]
    assert sorted(there) == ["10.0.0.1/24", "10.0.0.1/32"]


BY_OBJECTS = """
ip -n a nexthop add id 5 via 10.0.0.2 dev e0
ip -n a nexthop add id 6 via 10.0.0.9 dev e0
ip -n a nexthop add id 7 group 5/6
ip -n a nexthop add id 15 via fd00::2 dev e0
ip -n a nexthop add id 16 via fd00::9 dev e0
ip -n a nexthop add id 17 group 15/16
ip -n a route add 10.85.0.0/16 nhid 5
ip -n a route add 10.86.0.0/16 nhid 7
ip -n a -6 route add fd85::/64 nhid 17
"""


@on_a_host
def test_routes_by_nexthop_objects_stay_and_make_way_for_the_file_s() -> None:
    """As FRR has them: the kernel keeps them where the last address of their link goes."""
    pair = "links: [[a:e0 10.0.0.1/24 fd00::1/64, b:e0 10.0.0.2/24 fd00::2/64]]\n"
    said = f"namespaces: {{a: {{routes: default via b}}, b: }}\n{pair}"
    write("lab.yaml", said)
    netloom("up", "-q", "lab.yaml").status(0)
    ran("sh", "-ec", BY_OBJECTS)
    ran("sh", "-ec", "ip -n a route replace default nhid 7; ip -n a -6 route del default")
    ran("sh", "-ec", "ip -n a -6 route add default nhid 17")

    write("lab.yaml", said.replace("10.0.0.1/", "10.0.0.7/"))
    netloom("up", "-q", "lab.yaml").status(0)
    netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
    routes = says("ip", "-n", "a", "route"), says("ip", "-n", "a", "-6", "route")
    assert "10.85.0.0/16 nhid 5" in routes[0]
    assert "10.86.0.0/16 nhid 7" in routes[0]
    assert "fd85::/64 nhid 17" in routes[1]
    assert [each.count("default") for each in routes] == [1, 1]
    assert "default nhid" not in "".join(routes)


@on_a_host
def test_where_a_program_switched_ipv6_off_it_is_told_how_to_switch_it_on() -> None:
    """The setting is its own, the address the file's: who reads the refusal can have both ends."""
    write("lab.yaml", "links: [[a:e0 fd00::1/64, b:e0 fd00::2/64]]\n")
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "netns", "exec", "a", "sysctl", "-w", "net.ipv6.conf.e0.disable_ipv6=1")

    told = ended("up", "lab.yaml")
    hint = "netloom exec a sysctl -w net.ipv6.conf.e0.disable_ipv6=0"
    assert told.returncode == 1
    assert told.stderr.endswith(f"hint: {hint}, then netloom up\n")
    assert ended(*hint.split()[1:]).returncode == 0
    netloom("up", "-q", "lab.yaml").status(0)


@on_a_host
def test_a_route_from_an_address_that_cannot_stay_goes_first_and_is_told() -> None:
    """A file switches IPv6 off where somebody has an address of it, and a route from that."""
    write("lab.yaml", PAIR)
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "-n", "a", "address", "add", "fd99::1/64", "dev", "lo")
    says("ip", "-n", "a", "route", "add", "fd97::/64", "dev", "lo", "src", "fd99::1", "metric", "7")
    off = "{sysctls: {net.ipv6.conf.all.disable_ipv6: 1}}"
    write("lab.yaml", f"namespaces: {{a: {off}, b: }}\n{PAIR}")

    told = ended("plan", "lab.yaml").stdout
    route, addr = "- route a fd97::/64 dev lo src fd99::1 metric 7\n", "- addr a:lo fd99::1/64\n"
    assert told.startswith(route + addr)
    netloom("up", "-q", "lab.yaml").status(0)
    netloom("verify", "-v", "lab").stdout("lab  is as it was applied\n").status(0)


@on_a_host
def test_what_others_set_outlives_the_notes_of_the_lab() -> None:
    """Who lost the record takes no VPN's rule and route for a remainder of the lab's."""
    write("lab.yaml", PAIR)
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        ran("sh", "-ec", BY_HAND)
        before = state("a"), state("b")
        Path("/run/netloom/labs/lab/record").unlink()

        netloom("up", "-q", "lab.yaml").status(0)

        assert (state("a"), state("b")) == before
        netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
        netloom("down", "-q", "lab").status(0)
