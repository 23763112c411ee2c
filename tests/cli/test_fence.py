"""Whose things are: a lab changes what is remembered of it, compared exactly, and nothing else."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.machine import wait_for
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import differences, look, no_trace

LA = """\
name: la
networks: {na: {subnet: 10.71.0.0/24}}
namespaces:
  ra: {networks: [na]}
  host: {networks: [na], routes: [10.171.0.0/24 via ra, blackhole 10.99.1.0/24]}
"""
LB = """\
name: lb
networks: {nb: {subnet: 10.72.0.0/24}}
namespaces:
  rb: {networks: [nb]}
  host: {networks: [nb], routes: [10.172.0.0/24 via rb, blackhole 10.99.2.0/24]}
"""
SIX = """\
name: six
networks: {ns: {subnets: [10.73.0.0/24, "fd00:73::/64"]}}
namespaces:
  rs: {networks: [ns]}
  host: {networks: [ns], routes: ["fd00:173::/64 via rs", 10.173.0.0/24 via rs table 77]}
"""
FOREIGN = (
    "10.200.0.0/24 via 192.0.2.1 proto 110",
    "10.201.0.0/24 via 192.0.2.1 proto 110 table 77",
    "2001:db8:7::/64 via 2001:db8::1 proto 110 metric 1024",
    "blackhole 10.202.0.0/24 proto 110 metric 7",
)
"""Routes of somebody who uses the same number."""
FL = """\
name: fl
networks: {lan: {subnet: 10.70.0.0/24, uplink: nat}}
namespaces:
  fa: {networks: [lan]}
  fb: {networks: [lan]}
links:
  - [host:wire 10.74.0.1/24, fa:wire 10.74.0.2/24]
"""


def routes(*words: str) -> list[str]:
    """Return the routes of the host that bear our number, as `ip route` prints them."""
    said = says("ip", *(words or ("-4",)), "route", "show", "table", "all", "proto", "110")
    return sorted(" ".join(line.split()) for line in said.splitlines())


def add_foreign_routes() -> None:
    """Make the routes of somebody else."""
    for route in FOREIGN:
        says("ip", "-6" if ":" in route else "-4", "route", "add", *route.split())


# ── routes of the host ────────────────────────────────────────────────────────────────────────────


@on_a_host
def test_each_of_two_labs_has_its_routes_on_the_host_whatever_the_other_does() -> None:
    """Neither `up`, `plan`, `verify` nor `down` of one lab sees those of the other as its own."""
    write("A.yaml", LA)
    write("B.yaml", LB)
    netloom("up", "-q", "A.yaml").status(0)
    of_la = routes()
    netloom("up", "-q", "B.yaml").status(0)

    both = routes()
    assert (len(of_la), len(both)) == (2, 4)
    assert set(of_la) < set(both)
    netloom("verify", "la").stdout("la  is as it was applied\n").status(0)
    netloom("plan", "A.yaml").stdout("no changes\n").status(0)
    netloom("up", "A.yaml").stdout("la  is up; nothing to do\n").status(0)
    assert routes() == both
    netloom("down", "-q", "lb").status(0)
    assert routes() == of_la
    netloom("verify", "la").stdout("la  is as it was applied\n").status(0)
    netloom("down", "-q", "la").status(0)
    assert routes() == []


@pytest.mark.parametrize("text", [FL, LA, SIX], ids=["uplink", "routes", "IPv6 and a table"])
@on_a_host
def test_routes_of_somebody_who_uses_the_same_number_survive(text: str) -> None:
    """In any table, of IPv4 and IPv6: no verb touches them, and no plan lists them."""
    add_foreign_routes()
    theirs = routes(), routes("-6")
    assert [len(found) for found in theirs] == [3, 1]
    write("lab.yaml", text)
    lab = text.split()[1]

    with no_trace():
        planned = ended("plan", "lab.yaml").stdout
        assert "10.20" not in planned
        assert "2001:db8:7" not in planned
        netloom("up", "-q", "lab.yaml").status(0)
        assert all(set(a) <= set(b) for a, b in zip(theirs, (routes(), routes("-6")), strict=True))
        netloom("verify", lab).stdout(f"{lab}  is as it was applied\n").status(0)
        netloom("down", "-q", lab).status(0)
    assert (routes(), routes("-6")) == theirs


@on_a_host
def test_a_route_that_another_lab_has_is_a_mistake_of_the_second_with_the_first_one_s_name() -> (
    None
):
    """The kernel has one route of a key; it stays with who had it first."""
    write("A.yaml", LA)
    write("B.yaml", LB.replace("10.172.0.0/24 via rb", "10.171.0.0/24 via rb"))
    netloom("up", "-q", "A.yaml").status(0)

    with no_trace():
        netloom("up", "B.yaml").stderr(
            "B.yaml:5:35: the host has a route to 10.171.0.0/24, which is the lab `la`'s\n"
            "  5 |   host: {networks: [nb], routes: [10.171.0.0/24 via rb, "
            "blackhole 10.99.2.0/24]}\n"
            "    |                                   ^^^^^^^^^^^^^^^^^^^^ "
            "with another `metric` or `table` it is a route of its own\n"
            "nothing was touched\n"
        ).status(2)
    write("B.yaml", LB.replace("10.172.0.0/24 via rb", "10.171.0.0/24 via rb metric 5"))
    netloom("up", "-q", "B.yaml").status(0)
    netloom("down", "-q", "lb").status(0)
    netloom("verify", "la").stdout("la  is as it was applied\n").status(0)


@pytest.mark.parametrize(
    "theirs", ["via 192.0.2.1", "via 192.0.2.1 proto 110", "dev eth0 proto 186"]
)
@on_a_host
def test_a_route_that_somebody_has_is_refused_before_anything_is_touched(theirs: str) -> None:
    """Whatever its protocol: that it would be taken over nobody has asked for."""
    says("ip", "route", "add", "10.171.0.0/24", *theirs.split())
    write("A.yaml", LA)

    with no_trace():
        status, said, talk = ended("up", "A.yaml")
    assert (status, said) == (2, "")
    assert "A.yaml:5:" in talk
    assert "the host has a route to 10.171.0.0/24, which is not this lab's: 10.171.0.0/24" in talk
    assert "nothing was touched" in talk


@on_a_host
def test_a_route_of_ours_that_somebody_has_replaced_is_his() -> None:
    """`verify` misses ours, `up` says what to do, `down` leaves his."""
    write("A.yaml", LA)
    netloom("up", "-q", "A.yaml").status(0)
    says("ip", "route", "replace", "10.171.0.0/24", "via", "192.0.2.1")

    status, said, _ = ended("verify", "la")
    assert status == 3
    assert "+ route host 10.171.0.0/24 via 10.71.0.1 dev na" in said
    status, _, talk = ended("up", "A.yaml")
    assert status == 2
    assert (
        "the host's route to 10.171.0.0/24 was replaced by somebody: "
        "10.171.0.0/24 via 192.0.2.1 dev eth0 proto boot" in talk
    )
    assert "ip -4 route del 10.171.0.0/24" in talk
    netloom("down", "-q", "la").status(0)
    assert "10.171.0.0/24 via 192.0.2.1" in says("ip", "route", "show")

    says("ip", "route", "del", "10.171.0.0/24")
    with no_trace():
        netloom("up", "-q", "A.yaml").status(0)
        netloom("down", "-q", "la").status(0)


@on_a_host
def test_where_the_record_is_lost_routes_go_with_the_lab_s_links_and_others_are_told() -> None:
    """A route has no room for a mark; what no lab remembers may be anybody's."""
    write("A.yaml", LA)
    write("B.yaml", LB)
    netloom("up", "-q", "A.yaml").status(0)
    netloom("up", "-q", "B.yaml").status(0)
    says("rm", "-rf", "/run/netloom/labs/la")

    netloom("down", "la").stdout("la  down: 1 namespace, 1 network, 2 wires\n").stderr(
        "note: the host has a route of a lab that nobody remembers, and keeps it: "
        "ip -4 route del blackhole 10.99.1.0/24 proto 110\n"
    ).status(0)
    left = [[word for word in route.split() if "/" in word] for route in routes()]
    assert left == [["10.172.0.0/24"], ["10.99.1.0/24"], ["10.99.2.0/24"]]
    netloom("verify", "lb").stdout("lb  is as it was applied\n").status(0)


@pytest.mark.parametrize("lose", ["rm -rf DIR", "echo x > DIR/record"])
@on_a_host
def test_a_lab_with_a_way_out_whose_record_is_lost_leaves_nothing_on_the_host(lose: str) -> None:
    """Its table of nft bears its mark, and so do its links; its shared settings have notes."""
    write("fl.yaml", FL)
    with no_trace():
        netloom("up", "-q", "fl.yaml").status(0)
        says("sh", "-ec", lose.replace("DIR", "/run/netloom/labs/fl"))
        netloom("down", "-q", "fl").status(0)


@on_a_host
def test_up_takes_a_lab_whose_record_is_lost_over_with_the_routes_through_its_links() -> None:
    """Those go with the links in any case, so they are as good as marked."""
    write("A.yaml", LA.replace(", blackhole 10.99.1.0/24", ""))
    with no_trace():
        netloom("up", "-q", "A.yaml").status(0)
        says("rm", "-rf", "/run/netloom")
        netloom("up", "-q", "A.yaml").status(0)
        netloom("verify", "la").stdout("la  is as it was applied\n").status(0)
        netloom("down", "-q", "la").status(0)


@on_a_host
def test_a_lab_whose_record_is_lost_outlives_a_change_that_is_refused() -> None:
    """What `up` found of it by its marks is what it is led back to."""
    write("A.yaml", LA)
    netloom("up", "-q", "A.yaml").status(0)
    says("rm", "-rf", "/run/netloom")
    write("A.yaml", LA.replace("ra: {networks: [na]}", "ra: {networks: [na], sysctls: {net.x: 1}}"))

    assert ended("up", "A.yaml").returncode in {1, 2}
    assert "1 received" in says("ip", "netns", "exec", "ra", "ping", "-c1", "10.71.0.2")
    assert ended("down", "-q", "la").returncode == 0
    assert not [*Path("/run/netns").iterdir()]


# ── one change loses no link ──────────────────────────────────────────────────────────────────────

CHANGES = {
    "alias": "link set DEV alias x",
    "no alias": "link set DEV alias ''",
    "another lab's": "link set DEV alias netloom:other",
    "MAC": "link set DEV address 02:00:5e:00:01:07",
    "name": "link set DEV name other0",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "where", ["host:wire", "host:lan", "fa:wire", "fl.switch:lan", "fl.switch:fa.lan"]
)
@on_a_host
def test_a_link_that_was_changed_by_hand_stays_the_lab_s(where: str, change: str) -> None:
    """It is told, `up` sets it right, and `down` leaves no trace."""
    netns, _, link = where.partition(":")
    into = ("-n", netns) if netns != "host" else ()
    write("fl.yaml", FL)
    before = look()
    netloom("up", "-q", "fl.yaml").status(0)
    change_it = f"ip {' '.join(into)} {CHANGES[change].replace('DEV', link)}"
    says("sh", "-ec", change_it)

    status, said, talk = ended("verify", "fl")
    assert status == 3, said
    assert "mark of the lab" not in talk
    netloom("up", "-q", "fl.yaml").status(0)
    netloom("verify", "fl").stdout("fl  is as it was applied\n").status(0)
    says("sh", "-ec", change_it)
    netloom("down", "-q", "fl").status(0)
    assert differences(before, look()) == ""


@pytest.mark.parametrize(
    "change", [("set", "{}", "alias"), ("set", "{}", "name"), ("property", "add", "{}", "altname")]
)
@on_a_host
def test_a_link_of_ours_may_have_any_bytes_for_a_name(change: tuple[str, ...]) -> None:
    """As the kernel takes them: a change can be made, and undone, and its plan shown."""
    with no_trace():
        write("pair.yaml", "links: [[red, blue]]\n")
        netloom("up", "-q", "pair.yaml").status(0)
        says("ip", "-n", "red", "link", "set", "blue", "down")
        dev = [word for part in change for word in (("dev", "blue") if part == "{}" else (part,))]
        says("ip", "-n", "red", "link", *dev, os.fsdecode(b"z\xff"))

        assert ended("plan", "--json", "pair.yaml").returncode == 0
        write("pair.yaml", "links: [[red, blue], [red, green]]\n")
        netloom("up", "-q", "pair.yaml").status(0)
        netloom("verify", "pair").stdout("pair  is as it was applied\n").status(0)
        assert ended("undo", "pair").returncode == 0
        seen = subprocess.run(["ip", "-n", "red", "link"], capture_output=True, check=True).stdout
        assert b"z\xff" in seen
        netloom("down", "-q", "pair").status(0)


@on_a_host
def test_a_namespace_whose_lo_lost_its_mark_stays_the_lab_s() -> None:
    """It is told, and marked again; without it, too, `down` removes it."""
    write("fl.yaml", FL)
    before = look()
    netloom("up", "-q", "fl.yaml").status(0)
    says("ip", "-n", "fa", "link", "set", "lo", "alias", "mine")

    status, said, _ = ended("verify", "fl")
    assert (status, said) == (3, "~ link fa:lo marked\n1 change\n")
    netloom("up", "-q", "fl.yaml").status(0)
    assert (
        json.loads(says("ip", "-n", "fa", "-j", "link", "show", "lo"))[0]["ifalias"]
        == "netloom:fl/fa"
    )
    says("ip", "-n", "fa", "link", "set", "lo", "alias", "mine")
    netloom("down", "-q", "fl").status(0)
    assert differences(before, look()) == ""


# ── a mark alone is not enough ────────────────────────────────────────────────────────────────────


@pytest.mark.needs("iptables")
@on_a_host
def test_what_bears_a_forged_mark_is_left_alone_and_told() -> None:
    """A link, a rule of iptables, a namespace: none is remembered, so none is the lab's."""
    says("ip", "link", "add", "nlx", "type", "veth", "peer", "name", "nly")
    says("ip", "netns", "add", "forged")
    write("fl.yaml", FL)
    netloom("up", "-q", "fl.yaml").status(0)
    says("ip", "link", "set", "nlx", "alias", "netloom:fl to fa:lan")
    says("ip", "link", "set", "nly", "alias", "netloom:other")
    says("ip", "-n", "forged", "link", "set", "lo", "alias", "netloom:fl/forged")
    rule = "FORWARD -s 10.70.0.0/24 -m comment --comment netloom:fl -j ACCEPT"
    says("iptables", "-A", *rule.split())
    rules = says("iptables", "-S")
    note = "note: `host:nlx` bears the mark of the lab `fl`, and is not its own: left alone\n"

    status, said, talk = ended("verify", "fl")
    assert (status, said) == (0, "fl  is as it was applied\n")
    assert note in talk
    assert "an exception in iptables" in talk
    status, _, talk = ended("up", "fl.yaml")
    assert status == 0
    assert note in talk
    status, _, talk = ended("down", "fl")
    assert status == 0
    assert note in talk

    assert {"nlx", "nly"} <= {one["ifname"] for one in json.loads(says("ip", "-j", "link"))}
    assert Path("/run/netns/forged").exists()
    assert says("iptables", "-S") == rules


@on_a_host
def test_links_of_somebody_who_uses_the_same_group_survive() -> None:
    """Links of a lab are deleted as a group, whose number is nobody's mark."""
    says("ip", "link", "add", "theirs", "type", "bridge")
    says("ip", "link", "set", "theirs", "group", "7236717")
    write("fl.yaml", FL)

    with no_trace():
        netloom("up", "-q", "fl.yaml").status(0)
        netloom("down", "-q", "fl").status(0)
    assert "theirs" in says("ip", "link")


@on_a_host
def test_a_link_that_was_made_again_by_hand_under_our_name_and_mark_is_foreign() -> None:
    """`up` refuses it by name; `down` leaves it where it is."""
    write("fl.yaml", FL)
    netloom("up", "-q", "fl.yaml").status(0)
    says("ip", "link", "del", "wire")
    says("ip", "link", "add", "wire", "type", "veth", "peer", "name", "far")
    says("ip", "link", "set", "wire", "alias", "netloom:fl to fa:wire")

    status, said, talk = ended("verify", "fl")
    assert status == 3
    assert "+ link host:wire = fa:wire" in said
    assert "`host:wire` bears the mark of the lab `fl`, and is not its own" in talk
    status, _, talk = ended("up", "fl.yaml")
    assert status == 2
    assert "an interface `host:wire` exists, and is not this lab's" in talk
    netloom("down", "-q", "fl").status(0)
    assert "far@wire" in says("ip", "link")


@on_a_host
def test_a_namespace_made_again_by_somebody_survives_even_with_our_mark() -> None:
    """Its cookie is another's: the record names it no more."""
    write("fl.yaml", FL)
    netloom("up", "-q", "fl.yaml").status(0)
    says("ip", "netns", "del", "fa")
    says("ip", "netns", "add", "fa")
    says("ip", "-n", "fa", "link", "set", "lo", "alias", "netloom:fl/fa")
    says("ip", "-n", "fa", "link", "add", "treasure", "type", "bridge")

    status, said, talk = ended("verify", "fl")
    assert status == 3
    assert "+ netns fa" in said
    assert "the namespace `fa` bears the mark of the lab `fl`, and is not its own" in talk
    status, _, talk = ended("up", "fl.yaml")
    assert status == 2
    assert "a namespace `fa` exists, and is not this lab's" in talk
    netloom("down", "-q", "fl").status(0)
    assert "treasure" in says("ip", "-n", "fa", "link")
    assert [path.name for path in Path("/run/netns").iterdir()] == ["fa"]


@on_a_host
def test_swapped_records_of_two_labs_lead_neither_to_the_other_s_things() -> None:
    """A record says whose it is; by the marks each `down` finds its own lab."""
    write("A.yaml", LA)
    write("B.yaml", LB)
    before = look()
    netloom("up", "-q", "A.yaml").status(0)
    netloom("up", "-q", "B.yaml").status(0)
    ours, theirs = Path("/run/netloom/labs/la/record"), Path("/run/netloom/labs/lb/record")
    swapped = ours.read_bytes(), theirs.read_bytes()
    ours.write_bytes(swapped[1])
    theirs.write_bytes(swapped[0])

    assert ended("up", "A.yaml").returncode == 2
    netloom("down", "-q", "la").status(0)
    assert sorted(path.name for path in Path("/run/netns").iterdir()) == ["lb.switch", "rb"]
    ping = says("ip", "netns", "exec", "rb", "ping", "-c1", "10.72.0.1")
    assert "1 received" in ping
    theirs.write_bytes(swapped[1])
    netloom("verify", "lb").stdout("lb  is as it was applied\n").status(0)
    netloom("down", "-q", "lb").status(0)
    wait_for(lambda: "nb" not in says("ip", "link"))
    assert [
        line for line in differences(before, look()).splitlines() if "10.99.1" not in line
    ] == []


@on_a_host
def test_a_change_that_was_undone_leaves_what_it_made_again_the_lab_s() -> None:
    """A wire that was deleted and made again on the way back has other indexes: they are noted."""
    write("fl.yaml", FL)
    before = look()
    netloom("up", "-q", "fl.yaml").status(0)
    was = json.loads(says("ip", "-j", "link", "show", "wire"))[0]["ifindex"]
    moved = FL.replace("fa:wire 10.74.0.2/24", "fb:wire 10.74.0.2/24").replace(
        "  fb: {networks: [lan]}",
        "  fb: {networks: [lan], sysctls: {net.ipv6.conf.wire.mtu: 9000}}",
    )
    write("fl.yaml", moved)
    assert ended("up", "fl.yaml").returncode == 1
    write("fl.yaml", FL)
    assert json.loads(says("ip", "-j", "link", "show", "wire"))[0]["ifindex"] != was

    netloom("verify", "fl").stdout("fl  is as it was applied\n").status(0)
    says("ip", "link", "set", "wire", "alias", "x")
    says("ip", "link", "set", "wire", "address", "02:00:5e:00:01:07")
    assert ended("verify", "fl").returncode == 3
    netloom("down", "-q", "fl").status(0)
    assert differences(before, look()) == ""
