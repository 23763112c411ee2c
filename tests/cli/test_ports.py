"""An interface of the host as a port of a network: lent, and given back as it was."""

import json
from collections.abc import Callable

import pytest

from tests.cli.test_no_trace import WALKS, by_down, by_up, walk_lab
from tests.hosts.host import on_a_host, wait_carrier
from tests.hosts.internet import (
    HOST4,
    WEB4,
    ask,
    on_the_internet,
    pings,
    says_in,
    server,
    set_sysctl,
)
from tests.hosts.netloom import Warm, ended, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

LAB = """\
networks:
  sw: {subnet: 10.70.0.0/24}
namespaces:
  host: {interfaces: {eth2: {network: sw}}}
  a: {networks: {sw: 10.70.0.10}}
"""
CARD = """
ip netns add box
ip link add eth2 type veth peer name card netns box
ip link set eth2 addrgenmode none alias "to the bench"
ip -n box link set card addrgenmode none
ip -n box link set card up
ip -n box address add 10.70.0.200/24 dev card
ip link set eth2 up
ip link set eth2 down
"""
"""A second card of the host, down (and up once), and on its cable a box with an address."""

BRIDGE = """
ip link add br0 type bridge
ip link set br0 addrgenmode none
ip link set br0 up
ip link add t0 type veth peer name t1
ip link set t1 addrgenmode none
ip link set t1 up
ip link set t0 addrgenmode none
ip link set t0 master br0 up
"""


def card() -> dict[str, object]:
    """Return what the witness says of the card."""
    found = json.loads(says("ip", "-j", "link", "show", "eth2"))[0]
    return {key: found.get(key) for key in ("operstate", "master", "ifalias", "flags")}


@pytest.mark.parametrize("bridge", ["", "bridge: br7, ", "from: br0, "])
@on_a_host
def test_a_card_of_the_host_is_a_port(bridge: str) -> None:
    """The box at its cable is a neighbour; the card stays where it is, and is down as before."""
    says("sh", "-ec", CARD + BRIDGE)
    wait_carrier("t0", "t1", "br0")
    write("lab.yaml", LAB.replace("subnet", f"{bridge}subnet"))
    found = card()
    with no_trace():
        netloom("up", "-q", "lab.yaml").status(0)
        assert card()["ifalias"] == "netloom:lab port of sw"
        assert ended("exec", "a", "ping", "-qc2", "-i0.2", "-w3", "10.70.0.200").returncode == 0
        netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)

        says("ip", "link", "set", "eth2", "nomaster")
        missing = ended("verify", "lab")
        assert (missing.returncode, "eth2" in missing.stdout) == (3, True), missing
        netloom("up", "-q", "lab.yaml").status(0)
        netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)

        write("lab.yaml", LAB.replace("  host: {interfaces: {eth2: {network: sw}}}\n", ""))
        netloom("up", "-q", "lab.yaml").status(0)
        assert card() == found
        assert ended("undo", "lab").returncode == 0
        assert card()["ifalias"] == "netloom:lab port of sw"
        netloom("down", "-q", "lab").status(0)
    assert card() == found


@pytest.mark.parametrize("change", ["alias x", "alias ''", "name eth9"])
@on_a_host
def test_a_card_that_was_changed_by_hand_while_it_is_lent_is_given_back(change: str) -> None:
    """It is known by its index; its alias is set right again, and at the end it is as it was."""
    says("sh", "-ec", CARD)
    write("lab.yaml", LAB)
    found = card()
    netloom("up", "-q", "lab.yaml").status(0)
    says("sh", "-ec", f"ip link set eth2 {change}")

    assert ended("verify", "lab").returncode == 3
    if "alias" in change:
        netloom("up", "-q", "lab.yaml").status(0)
        netloom("verify", "lab").stdout("lab  is as it was applied\n").status(0)
        says("sh", "-ec", f"ip link set eth2 {change}")
    netloom("down", "-q", "lab").status(0)
    if "name" in change:
        says("ip", "link", "set", "eth9", "name", "eth2")
    assert card() == found


@on_a_host
def test_a_card_that_somebody_took_for_himself_is_his() -> None:
    """Its mark erased, and on a bridge of his own: it is lent no more, and `down` leaves it."""
    says("sh", "-ec", CARD + BRIDGE)
    wait_carrier("t0", "t1", "br0")
    write("lab.yaml", LAB)
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "link", "set", "eth2", "alias", "mine")
    says("ip", "link", "set", "eth2", "master", "br0")
    his = card()

    assert ended("verify", "lab").returncode == 3
    assert ended("up", "lab.yaml").returncode == 2
    netloom("down", "-q", "lab").status(0)
    assert card() == his


@on_a_host
def test_a_card_is_a_port_of_another_lab_s_network() -> None:
    """The other lab's member reaches the box, by a bridge that this lab hangs on its network."""
    says("sh", "-ec", CARD)
    write("shop.yaml", "networks: {sw: 10.70.0.0/24}\nnamespaces: {web: {networks: [sw]}}\n")
    write(
        "bench.yaml",
        "networks: {far: {from: shop/sw}}\n"
        "namespaces: {host: {interfaces: {eth2: {network: far}}}}\n",
    )
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("up", "-q", "bench.yaml").status(0)
        assert ended("exec", "web", "ping", "-qc2", "-i0.2", "-w3", "10.70.0.200").returncode == 0
        netloom("down", "-q", "bench").status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_what_cannot_be_lent_is_refused() -> None:
    """The way out, a bridge, a bridge's port, one with an address, one that there is not."""
    says("sh", "-ec", CARD + BRIDGE)
    wait_carrier("t0", "t1", "br0")
    says("ip", "link", "set", "eth2", "master", "br0")
    says("sh", "-ec", "ip link add eth3 type veth peer name x; ip addr add 10.1.0.1/24 dev eth3")
    with no_trace():
        for link, said in (
            ("eth0", "the host's default route leads out of `eth0`, and would be cut off"),
            ("br0", "`br0` is a bridge itself"),
            ("eth2", "`eth2` is a port of `br0`"),
            ("eth3", "`eth3` has the address 10.1.0.1/24, which would be cut off"),
            ("eth9", "the host has no interface `eth9`"),
            ("lo", "`lo` cannot be the port of a bridge"),
        ):
            write("bad.yaml", LAB.replace("eth2", link))
            refused = ended("up", "bad.yaml")
            assert refused.returncode == 2, refused
            assert refused.stderr.startswith(f"bad.yaml:4:23: {said}"), refused.stderr
            assert refused.stderr.endswith("nothing was touched\n")


@on_a_host
def test_a_bridge_that_is_the_host_s_only_way_out_is_told() -> None:
    """It gets ports and loses nothing; members stand beside the host on its LAN."""
    says("sh", "-ec", BRIDGE + "ip address add 198.51.100.2/24 dev br0")
    says("ip", "route", "replace", "default", "via", "198.51.100.1", "dev", "br0")
    write(
        "lab.yaml",
        "networks: {lan: {from: br0, range: 198.51.100.32/29}}\n"
        "namespaces:\n  a: {networks: [lan]}\n",
    )
    with no_trace():
        told = ended("up", "lab.yaml")
        assert (told.returncode, "note: `br0` is the host's own way out" in told.stderr) == (
            0,
            True,
        )
        says("ping", "-qc1", "-W2", "198.51.100.32")
        netloom("down", "-q", "lab").status(0)


WAY_OUT = """\
networks: {lan: {subnet: 10.100.0.0/24, uplink: nat}}
namespaces:
  host: {interfaces: {eth2: {network: lan}}}
  web: {networks: [lan]}
"""
BOX = """
ip netns add box
ip link add eth2 type veth peer name card netns box
ip -n box link set card up
ip -n box address add 10.100.0.200/24 dev card
ip -n box route add default via 10.100.0.1
"""


@on_the_internet()
def test_what_is_on_a_lent_cable_gets_out_as_the_host() -> None:
    """By the gateway on the network, not by the bridge that the card is a port of."""
    says("sh", "-ec", BOX)
    write("lab.yaml", WAY_OUT)
    with Warm() as netloom, server("beyond", 80):
        for forwards in ("0", "1"):
            set_sysctl("net.ipv4.ip_forward", forwards)
            netloom("up", "lab.yaml")
            for where in ("web", "box"):
                assert ask(where, WEB4) == HOST4, (where, forwards)
            assert pings("web", "10.100.0.200")
            arp = says_in("box", "ip", "neigh", "show", "10.100.0.1")
            own = json.loads(says("ip", "-j", "link", "show", "lan"))[0]["address"]
            assert own in arp
            netloom("down", "lab.yaml")


@on_a_host
def test_a_card_that_somebody_needs_by_now_is_not_borrowed_again() -> None:
    """`undo` looks at it as `up` does, and what it gives back is what it found then."""
    says("sh", "-ec", CARD)
    without = LAB.replace("  host: {interfaces: {eth2: {network: sw}}}\n", "")
    write("lab.yaml", LAB)
    netloom("up", "-q", "lab.yaml").status(0)
    write("lab.yaml", without)
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "link", "set", "eth2", "up", "alias", "mine")
    found = card()
    says("ip", "address", "add", "10.6.0.1/24", "dev", "eth2")
    refused = ended("undo", "lab")
    assert refused.returncode == 2
    assert refused.stderr.startswith("`eth2` has the address 10.6.0.1/24, which would be cut off")
    says("ip", "address", "flush", "dev", "eth2")
    assert ended("undo", "lab").returncode == 0
    netloom("down", "-q", "lab").status(0)
    assert card() == found


@on_a_host
def test_a_card_taken_from_its_bridge_spoils_no_undo() -> None:
    """What was no port any more is not gone back to."""
    says("sh", "-ec", CARD)
    write("lab.yaml", LAB)
    netloom("up", "-q", "lab.yaml").status(0)
    says("ip", "link", "set", "eth2", "nomaster")
    write("lab.yaml", LAB.replace("  host: {interfaces: {eth2: {network: sw}}}\n", ""))
    netloom("up", "-q", "lab.yaml").status(0)
    assert ended("undo", "lab").returncode == 0
    netloom("down", "-q", "lab").status(0)


@on_a_host
def test_somebody_s_bridge_keeps_its_address_beside_a_card() -> None:
    """A bridge takes the lowest of its ports': the card is a port of one of ours."""
    says("sh", "-ec", CARD + BRIDGE)
    wait_carrier("t0", "t1", "br0")
    says("ip", "link", "set", "eth2", "address", "02:00:00:00:00:01")
    write("lab.yaml", LAB.replace("subnet", "from: br0, subnet"))
    before = says("ip", "-br", "link", "show", "br0")
    netloom("up", "-q", "lab.yaml").status(0)
    assert says("ip", "-br", "link", "show", "br0") == before
    netloom("down", "-q", "lab").status(0)
    assert says("ip", "-br", "link", "show", "br0") == before


@on_a_host
def test_a_way_out_and_the_lab_s_own_veth_are_no_cards() -> None:
    """Refused with its place before anything is touched."""
    says("sh", "-ec", CARD)
    way = LAB.replace("networks:\n", "networks:\n  o: {uplink: {mode: nat, via: eth2}}\n")
    says("ip", "link", "set", "eth2", "up")
    write("way.yaml", way)
    refused = ended("up", "way.yaml")
    assert (refused.returncode, "`eth2` is the way out of a network" in refused.stderr) == (2, True)
    write("lab.yaml", LAB.replace("interfaces: {eth2: {network: sw}}", "networks: [sw]"))
    netloom("up", "-q", "lab.yaml").status(0)
    write("lab.yaml", LAB.replace("eth2", "sw"))
    refused = ended("up", "lab.yaml")
    assert (refused.returncode, "`sw` is the lab `lab`'s own" in refused.stderr) == (2, True)
    netloom("down", "-q", "lab").status(0)


FIRST = """\
name: shop
networks:
  sw: {subnet: none}
  far: {from: other/lan, range: 10.71.0.64/28}
namespaces:
  host: {interfaces: {eth2: {network: sw}}}
  a: {networks: [sw, far]}
"""
SECOND = """\
name: shop
networks:
  far: {from: other/lan, range: 10.71.0.64/28}
namespaces:
  host: {interfaces: {eth2: {network: far}}}
  a: {networks: [far]}
"""


@pytest.mark.parametrize("verb", WALKS)
@pytest.mark.parametrize("recover", [by_down, by_up])
@on_a_host
def test_what_is_borrowed_is_given_back_after_every_kill(
    verb: str, recover: Callable[[Warm, str], None]
) -> None:
    """A card and another lab's switch namespace are as before; every eighth call."""
    says("nft", "delete", "table", "inet", "filter")
    says("sh", "-ec", CARD)
    write("first.yaml", FIRST)
    write("second.yaml", SECOND)
    write("other.yaml", "networks: {lan: 10.71.0.0/24}\nnamespaces: {z: {networks: [lan]}}\n")
    with Warm() as netloom:
        netloom("up", "other.yaml")
        walk_lab(netloom, WALKS[verb], recover, every=8)
        netloom("down", "other")


@on_a_host
def test_a_card_stays_where_down_was_killed_as_it_forgot_the_lab() -> None:
    """What is left then is its index in a note that says no more of it, and whose it is no more."""
    says("sh", "-ec", CARD)
    write(
        "shop.yaml", "networks: {sw: }\nnamespaces: {host: {interfaces: {eth2: {network: sw}}}}\n"
    )
    with Warm() as netloom:
        netloom("up", "shop.yaml")
        at = netloom.calls("down", "shop").index("unlink /run/netloom/labs/shop/pending") + 1
        for verb in ("down", "up"):
            netloom("up", "shop.yaml")
            netloom.kill(at, "down", "shop")
            netloom(verb, "shop.yaml")
            assert "eth2@" in says("ip", "-br", "link")
