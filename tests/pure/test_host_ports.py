"""Interfaces of the host as ports of a network: which can be one, and what they were before."""

import pytest

from netloom.compile.host_ports import hindrances
from netloom.compile.lower import HostFacts, lower
from netloom.errors import TopologyError
from netloom.language.parse import parse
from netloom.model.facts import Nic
from netloom.model.objects import HOST, Borrowed, Link

CARD = "02:00:00:00:00:01"
LAB = "name: red\nnetworks: {lan: none}\nnamespaces: {host: {interfaces: {eth2: {network: lan}}}}\n"


@pytest.mark.parametrize(
    ("name", "nic", "why", "remedy"),
    [
        ("eth2", Nic(CARD), "", ""),
        ("eth2", Nic(CARD, up=False, alias="mine", kind="veth"), "", ""),
        ("eth2", Nic(CARD, alias="netloom:blue to a:b"), "lab `blue`'s own", "name a network card"),
        ("eth2", Nic(CARD, alias="netloom:blue port of lan"), "lab `blue`'s", "netloom down blue"),
        ("br0", Nic(CARD, kind="bridge"), "is a bridge itself", "`from: br0`"),
        ("lo", Nic(), "`lo` cannot be the port", "name a network card"),
        ("eth2", Nic(CARD, master="br0"), "is a port of `br0`", "`from: br0`"),
        ("eth2", Nic(CARD, way_out=True), "default route leads out of `eth2`", "`from: br0`"),
        ("tun0", Nic(), "carries no Ethernet frames", ""),
        ("eth2", Nic(CARD, routes=("10.0.0.0/8",)), "(10.0.0.0/8)", "ip route flush dev eth2"),
        ("eth2", Nic(CARD, addresses=("10.0.0.1/8",)), "address 10.0.0.1/8", "ip address flush"),
    ],
)
def test_what_stands_in_the_way_of_borrowing(name: str, nic: Nic, why: str, remedy: str) -> None:
    """Whatever would be cut off, and what is no card; one reason, the worst, with its remedy."""
    told = list(hindrances(name, nic))

    assert len(told) == bool(why)
    for message, hint in told:
        assert why in message
        assert remedy in hint


def borrowed(nic: Nic, known: Link | None = None) -> Borrowed:
    """Return what is remembered of the card of the lab, which is found so."""
    around = HostFacts(nics={"eth2": nic}, borrowed={"eth2": known} if known else {})
    link = lower(parse(LAB).topology, around).desired.netns[HOST].links["eth2"]
    assert isinstance(link.kind, Borrowed)
    return link.kind


def test_what_a_card_was_before_is_remembered() -> None:
    """As it is found, as long as it is no port of ours; then as it was found."""
    was = Link(Borrowed(up=False, alias="mine"), mac="", mtu=0, master="red.lan")
    port = Nic(CARD, alias="netloom:red port of lan", master="red.lan")

    assert borrowed(Nic(CARD, up=False, alias="mine")) == Borrowed(up=False, alias="mine")
    assert borrowed(port, was) == Borrowed(up=False, alias="mine")
    assert borrowed(port) == Borrowed(up=True)
    erased = Nic(CARD, alias="", master="red.lan")
    assert borrowed(erased, was) == Borrowed(up=False, alias="mine")


def test_a_card_that_somebody_else_has_taken_is_not_ours_by_memory() -> None:
    """A port of another bridge, or of none with another lab's mark."""
    was = Link(Borrowed(up=False, alias="mine"), mac="", mtu=0, master="red.lan")

    for nic in (Nic(CARD, master="br0"), Nic(CARD, alias="netloom:blue port of lan")):
        with pytest.raises(TopologyError):
            borrowed(nic, was)
    assert borrowed(Nic(CARD, alias="theirs"), was) == Borrowed(up=True, alias="theirs")


def test_the_way_out_of_a_network_is_no_port() -> None:
    """It would be cut off by the very lab that needs it."""
    text = LAB.replace("lan: none", "lan: none, out: {uplink: {mode: nat, via: eth2}}")

    with pytest.raises(TopologyError, match="`eth2` is the way out of a network") as refusal:
        lower(parse(text).topology, HostFacts(nics={"eth2": Nic(CARD)}))
    assert all(problem.at_key for problem in refusal.value.problems if "way out of" in str(problem))
