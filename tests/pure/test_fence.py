"""The fence by tables: what is remembered, what is seen, whose it is."""

import pytest
from msgspec import Struct
from msgspec.structs import replace

from netloom.model.firewall import FirewallException, Traffic
from netloom.model.identity import Identities, Identity
from netloom.model.lab_state import GivenLink, LabState
from netloom.model.marks import HOST_PROTOCOL, link_mark, port_mark
from netloom.model.objects import (
    HOST,
    UNKNOWN,
    Borrowed,
    Bridge,
    Desired,
    End,
    Link,
    NetnsState,
    Nexthop,
    Route,
    Veth,
)
from netloom.plan.fence import Fence

MINE, OTHERS = 101, 202
MAC, PORT_MAC = "02:00:00:00:00:01", "52:54:00:00:00:09"
MARK = link_mark("lab", End("web", "lan"))
PORT_MARK = port_mark("lab", "lan")


class SeenLink(Struct, frozen=True):
    """A link, as far as the fence looks at it."""

    index: int
    name: str
    mac: str = MAC
    alias: str = MARK
    master: int = 0
    link_index: int = 0


def veth(peer: End, mac: str = MAC) -> Link:
    """Return one end of a wire."""
    return Link(kind=Veth(peer), mac=mac, mtu=1500, alias=link_mark("lab", peer))


CARD = Link(kind=Borrowed(up=True), mac="", mtu=0, master="br0", alias=PORT_MARK)
STATE = Desired(
    netns={
        HOST: NetnsState(links={"lan": veth(End("web", "lan")), "eth2": CARD}),
        "web": NetnsState(links={"lan": veth(End(HOST, "lan"), "02:00:00:00:00:02")}),
    }
)
KNOWN: Identities = {
    HOST: Identity(MINE, {"lan": (7, 2), "eth2": (3, 0)}),
    "web": Identity(11, {"lan": (2, 7)}),
}
UP = Fence("lab", (STATE,), KNOWN, by_mark=False)
KILLED = Fence("lab", (STATE,), {HOST: Identity(MINE)}, frozenset({"web"}), by_mark=False)
FORGETTING = Fence("lab", (Desired(),), KNOWN, by_mark=False)
LOST = Fence("lab")

LAN = SeenLink(7, "lan", link_index=2)


# ── links ─────────────────────────────────────────────────────────────────────────────────────────

WHOSE = {
    "as it was made": (UP, LAN, "lan"),
    "another alias": (UP, replace(LAN, alias="x"), "lan"),
    "no alias": (UP, replace(LAN, alias=""), "lan"),
    "another lab's mark": (UP, replace(LAN, alias="netloom:other"), "lan"),
    "another MAC": (UP, replace(LAN, mac="02:ff:00:00:00:00"), "lan"),
    "another alias and MAC": (UP, replace(LAN, mac="02:ff:00:00:00:00", alias=""), "lan"),
    "another name": (UP, replace(LAN, name="uplink0"), "lan"),
    "another name and MAC": (UP, replace(LAN, name="u", mac="02:ff:00:00:00:00"), "lan"),
    "another name and alias": (UP, replace(LAN, name="u", alias=""), "lan"),
    "its index and nothing else": (UP, replace(LAN, name="u", alias="", mac="02:ff::"), None),
    "made again, with name and mark": (UP, SeenLink(9, "lan", "02:ff::", link_index=10), None),
    "made again, with name and MAC": (UP, SeenLink(9, "lan", alias=""), "lan"),
    "its far end went elsewhere": (UP, replace(LAN, link_index=44), "lan"),
    "the mark alone": (UP, SeenLink(9, "nlx", "02:ff::"), None),
    "the mark alone, after a kill": (KILLED, SeenLink(9, "nlx", "02:ff::"), None),
    "the mark alone, nothing remembered": (LOST, SeenLink(9, "nlx", "02:ff::"), "nlx"),
    "another lab's mark, nothing remembered": (LOST, replace(LAN, alias="netloom:other"), None),
    "made before a kill, not marked": (KILLED, SeenLink(9, "lan", alias=""), "lan"),
    "the name alone, after a kill": (KILLED, SeenLink(9, "lan", "02:ff::", ""), None),
    "somebody's": (UP, SeenLink(9, "eth0", PORT_MAC, ""), None),
    "`lo`": (UP, SeenLink(1, "lo", "", ""), None),
    "a port": (UP, SeenLink(3, "eth2", PORT_MAC, PORT_MARK, 5), "eth2"),
    "a port, its mark erased": (UP, SeenLink(3, "eth2", PORT_MAC, "", 5), "eth2"),
    "a port, off its bridge": (UP, SeenLink(3, "eth2", PORT_MAC, PORT_MARK), "eth2"),
    "a port, renamed": (UP, SeenLink(3, "eth9", PORT_MAC, PORT_MARK, 5), "eth2"),
    "a port, given back": (UP, SeenLink(3, "eth2", PORT_MAC, "to the bench"), None),
    "a port of somebody's by now": (UP, SeenLink(3, "eth2", PORT_MAC, "", 6), None),
    "another card of its name": (UP, SeenLink(4, "eth2", PORT_MAC, ""), None),
    "a port, after a kill": (KILLED, SeenLink(3, "eth2", PORT_MAC, PORT_MARK, 5), "eth2"),
    "a port, given back, killed while forgetting": (
        FORGETTING,
        SeenLink(3, "eth2", PORT_MAC, ""),
        None,
    ),
    "a port, killed before it was one": (KILLED, SeenLink(3, "eth2", PORT_MAC, ""), None),
}
BRIDGES = (SeenLink(5, "br0", "02::5", ""), SeenLink(6, "br1", "02::6", ""))


@pytest.mark.parametrize("what", WHOSE)
def test_a_link_is_the_lab_s_by_what_is_remembered_of_it(what: str) -> None:
    """No single change loses one; a mark is enough only where nothing is remembered."""
    fence, link, name = WHOSE[what]

    found = fence.links(HOST, MINE, (link, *BRIDGES))

    assert found == ({} if name is None else {link.index: name})


def test_a_namespace_of_another_cookie_has_none_of_the_links_that_are_remembered_by_index() -> None:
    """`host` is where netloom runs: in another network the same indexes are somebody else's."""
    assert UP.links(HOST, OTHERS, [replace(LAN, alias="", mac="02:ff::")]) == {}
    assert UP.links(HOST, OTHERS, [replace(LAN, index=9)]) == {9: "lan"}


def test_what_is_known_by_its_index_leaves_no_room_for_another_of_its_name_and_mac() -> None:
    """Name and MAC count where the index is gone."""
    renamed, forged = replace(LAN, name="old"), SeenLink(9, "lan", alias="")

    assert UP.links(HOST, MINE, [renamed, forged]) == {7: "lan"}


def test_two_links_that_swapped_their_names_are_told_apart() -> None:
    """Each is remembered by the name that it had."""
    state = Desired(
        netns={HOST: NetnsState(links={"a": veth(UNKNOWN, "02::a"), "b": veth(UNKNOWN, "02::b")})}
    )
    fence = Fence(
        "lab", (state,), {HOST: Identity(MINE, {"a": (7, 2), "b": (8, 3)})}, by_mark=False
    )
    seen = [SeenLink(7, "b", "02::a", link_index=2), SeenLink(8, "a", "02::b", link_index=3)]

    assert fence.links(HOST, MINE, seen) == {7: "a", 8: "b"}


def test_a_link_that_was_made_with_the_index_of_one_that_went_is_itself() -> None:
    """The kernel gives the lowest index that is free, and a kill may come before it is noted."""
    state = Desired(
        netns={HOST: NetnsState(links={"a": veth(UNKNOWN, "02::a"), "b": veth(UNKNOWN, "02::b")})}
    )
    fence = Fence(
        "lab", (state,), {HOST: Identity(MINE, {"a": (7, 2), "b": (8, 2)})}, by_mark=False
    )
    seen = [SeenLink(9, "a", "02::a", link_index=2), SeenLink(7, "b", "02::b", link_index=2)]

    assert fence.links(HOST, MINE, seen) == {9: "a", 7: "b"}


# ── namespaces ────────────────────────────────────────────────────────────────────────────────────

OWNED = {
    "as it was made": (UP, 11, "netloom:lab/web", True),
    "its `lo` lost the mark": (UP, 11, "", True),
    "made again by somebody": (UP, 12, "", False),
    "made again, with a forged mark": (UP, 12, "netloom:lab/web", False),
    "made before a kill": (KILLED, 12, "netloom:lab/web", True),
    "made by somebody after a kill": (KILLED, 12, "", False),
    "nothing remembered": (LOST, 12, "netloom:lab/web", True),
    "nothing remembered, another name": (LOST, 12, "netloom:lab/db", False),
    "nothing remembered, another lab's": (LOST, 12, "netloom:labb/web", False),
}


@pytest.mark.parametrize("what", OWNED)
def test_a_namespace_is_the_lab_s_by_its_cookie(what: str) -> None:
    """Or by its mark, where it was about to be made, or nothing is remembered."""
    fence, cookie, mark, ours = OWNED[what]

    assert fence.owns("web", cookie, mark) is ours


# ── wires ─────────────────────────────────────────────────────────────────────────────────────────


def wired(near: str, far: str, peer: End, back: End) -> dict[str, NetnsState]:
    """Return two namespaces with a wire between them, each end with what it says of the other."""
    return {
        HOST: NetnsState(links={near: veth(peer)}),
        "web": NetnsState(links={far: veth(back)}),
    }


GIVEN = {"near": GivenLink(7, link_index=2), "far": GivenLink(2, link_index=7)}


def peers(netns: dict[str, NetnsState]) -> set[End | None]:
    """Return where all wires lead."""
    return {link.peer for one in netns.values() for link in one.links.values()}


def test_a_wire_leads_where_the_indexes_of_both_ends_say() -> None:
    """Whatever an alias says, and whatever either is called by now."""
    near, far = End(HOST, "lan"), End("web", "lan")
    given = {near: GIVEN["near"], far: GIVEN["far"]}
    assert peers(UP.joined(wired("lan", "lan", far, near), given, {})) == {near, far}
    lying = wired("lan", "lan", End("db", "x"), End("db", "y"))
    assert peers(UP.joined(lying, given, {})) == {near, far}

    now = End("web", "eth0")
    given = {near: GIVEN["near"], now: GIVEN["far"]}
    moved = UP.joined(wired("lan", "eth0", far, near), given, {far: now})
    assert peers(moved) == {near, now}

    given = {near: GIVEN["near"], far: GivenLink(2, link_index=9)}
    assert peers(UP.joined(wired("lan", "lan", far, near), given, {})) == {UNKNOWN}


def test_a_wire_into_a_namespace_that_is_trusted_is_taken_for_whole() -> None:
    """There nobody looked, so there are no indexes; nor is there one that leads to nowhere."""
    near, far = End(HOST, "lan"), End("web", "lan")
    netns = wired("lan", "lan", far, near)

    assert peers(UP.joined(netns, {near: GIVEN["near"]}, {}, {"web"})) == {near, far}
    assert peers(UP.joined(netns, {near: GIVEN["near"]}, {})) == {UNKNOWN, near}


# ── routes of the host ────────────────────────────────────────────────────────────────────────────

ROUTE = Route("10.7.0.0/16", (Nexthop("lan", "10.1.0.2"),), protocol=HOST_PROTOCOL)
WITH_ROUTE = Desired(
    netns={HOST: NetnsState(links={"lan": veth(End("web", "lan"))}, routes=frozenset({ROUTE}))}
)
ROUTES = {
    "as it was made": (ROUTE, True, True),
    "another protocol": (replace(ROUTE, protocol=3), False, False),
    "another gateway": (replace(ROUTE, nexthops=(Nexthop("lan", "10.1.0.3"),)), False, True),
    "another table": (replace(ROUTE, table=77), False, True),
    "another metric": (replace(ROUTE, metric=9), False, True),
    "another MTU": (replace(ROUTE, mtu=1400), False, True),
    "another lab's": (
        Route("10.8.0.0/16", (Nexthop("lan2"),), protocol=HOST_PROTOCOL),
        False,
        False,
    ),
    "of IPv6": (Route("fd00::/64", (Nexthop("eth0"),), protocol=HOST_PROTOCOL), False, False),
    "leads nowhere": (Route("10.9.0.0/16", type="blackhole", protocol=HOST_PROTOCOL), False, False),
    "half through ours": (
        replace(ROUTE, nexthops=(Nexthop("eth0", "10.2.0.1"), Nexthop("lan", "10.1.0.2"))),
        False,
        False,
    ),
}


@pytest.mark.parametrize("what", ROUTES)
def test_a_route_of_the_host_is_the_lab_s_if_it_is_what_is_remembered(what: str) -> None:
    """In full; where nothing is remembered, those that go with the lab's links are."""
    route, remembered, lost = ROUTES[what]
    links = {"lan": "lan"}

    assert bool(Fence("lab", (WITH_ROUTE,), by_mark=False).routes([route], links)) is remembered
    assert bool(LOST.routes([route], links)) is lost


def test_a_route_out_of_a_link_that_was_renamed_is_still_the_lab_s() -> None:
    """The kernel knows it by the link's index."""
    seen = replace(ROUTE, nexthops=(Nexthop("old", "10.1.0.2"),))
    fence = Fence("lab", (WITH_ROUTE,), by_mark=False)

    assert fence.routes([seen], {"old": "lan"}) == {seen}
    assert fence.routes([seen], {}) == frozenset()


# ── exceptions in firewalls ───────────────────────────────────────────────────────────────────────


def test_an_exception_is_the_lab_s_if_it_is_remembered_and_bears_its_comment() -> None:
    """What bears the comment alone is somebody's rule, but where nothing is remembered."""
    one = FirewallException(
        "iptables-nft", "filter", "FORWARD", Traffic(4, iif="lan", oif="eth0"), "netloom:lab"
    )
    hidden = replace(one, behind=True)
    forged = replace(one, flow=Traffic(4, src="10.70.0.0/24"))
    state = Desired(netns={HOST: NetnsState(exceptions=frozenset({one}))})
    fence = Fence("lab", (state,), by_mark=False)

    assert fence.exceptions([one, hidden, forged]) == {one, hidden}
    assert LOST.exceptions([one, forged]) == {one, forged}


# ── what a change leaves behind ───────────────────────────────────────────────────────────────────


def test_what_was_made_is_known_by_its_new_indexes_and_the_rest_as_it_was_seen() -> None:
    """And what is not desired any more is not known any more."""
    snapshot = LabState(
        given={End(HOST, "lan"): GivenLink(7, link_index=2), End(HOST, "br0"): GivenLink(9)},
        identities={
            HOST: Identity(MINE, {"lan": (7, 2), "was": (9, 0)}),
            "web": Identity(11, {"lan": (2, 7)}),
            "gone": Identity(12, {"lan": (2, 8)}),
        },
    )
    bridge = Link(kind=Bridge(), mac=MAC, mtu=1500)
    lo = {"lo": bridge}
    desired = Desired(
        netns={
            HOST: NetnsState(links={"lan": bridge, "br0": bridge, "new": bridge}),
            "web": NetnsState(links={**lo, "lan": bridge}),
            "db": NetnsState(links={**lo, "lan": bridge}),
        }
    )
    made = {HOST: Identity(MINE, {"new": (10, 3)}), "db": Identity(13, {"lan": (3, 10)})}

    assert snapshot.identified(desired, made) == {
        HOST: Identity(MINE, {"lan": (7, 2), "br0": (9, 0), "new": (10, 3)}),
        "web": Identity(11, {"lan": (2, 7)}),
        "db": Identity(13, {"lan": (3, 10)}),
    }
