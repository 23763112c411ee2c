"""Plans are as small as what changed, and in an order that a person can follow."""

import pytest
from msgspec.structs import replace

from netloom.compile.lower import HostFacts, lower
from netloom.language.parse import parse
from netloom.model.facts import Joined, Nic
from netloom.model.lab_state import Foreign, LabState
from netloom.model.objects import NOTHING, Desired, End, NetnsState, Veth
from netloom.plan.diff import diff, teardown
from netloom.plan.simulate import after
from netloom.render.text import line
from tests.pure.worlds import bare, made

LAB = """
networks:
  lan: {subnet: 10.1.0.0/24, bridge: br0}
namespaces:
  a: {networks: {lan: 10.1.0.2}, routes: 10.7.0.0/16 via b:lan}
  b: {networks: {lan: 10.1.0.3}}
links:
  - [a:w 10.9.0.1/24, b:w 10.9.0.2/24]
"""


def desired(text: str) -> Desired:
    """Return what a file desires."""
    return lower(parse(text, name="lab").topology).desired


def snapshot() -> LabState:
    """Return the lab, up."""
    return made(desired(LAB), bare(desired(LAB)))


def lines(state: Desired, found: LabState) -> list[str]:
    """Return a plan, as it is told."""
    return [line(step) for step in diff(state, found)]


EDITS = {
    "nothing": ("", "", []),
    "an address": (
        "a:w 10.9.0.1/24",
        "a:w 10.9.0.7/24",
        ["- addr a:w 10.9.0.1/24", "~ etc a", "~ etc b", "+ addr a:w 10.9.0.7/24"],
    ),
    "an address with a route behind it": (
        "lan: 10.1.0.2}",
        "lan: 10.1.0.9}",
        [
            "- addr a:lan 10.1.0.2/24",
            "+ addr a:lan 10.1.0.9/24",
            "+ route a 10.7.0.0/16 via 10.1.0.3 dev lan",
            "~ etc a",
            "~ etc b",
        ],
    ),
    "one more address": ("a:w 10.9.0.1/24", "a:w 10.9.0.1/24 fd00::1/64", None),
    "a gateway": (
        "10.7.0.0/16 via b:lan",
        "10.7.0.0/16 via 10.1.0.4",
        ["~ route a 10.7.0.0/16 via 10.1.0.4 dev lan"],
    ),
    "the kind of a route": (
        "10.7.0.0/16 via b:lan",
        "blackhole 10.7.0.0/16",
        ["~ route a blackhole 10.7.0.0/16", "~ sysctl b net.ipv4.ip_forward=0"],
    ),
    "an MTU": (
        "b:w 10.9.0.2/24]",
        "b:w 10.9.0.2/24, {mtu: 1400}]",
        ["~ link a:w mtu 1400", "~ link b:w mtu 1400"],
    ),
    "the far end of a wire": (
        "b:w 10.9.0.2/24]",
        "host:w 10.9.0.2/24]",
        [
            "- link a:w",
            "+ link host:w = a:w",
            "+ addr host:w 10.9.0.2/24",
            "+ addr a:w 10.9.0.1/24",
        ],
    ),
    "spanning tree": ("bridge: br0", "bridge: br0, stp: true", ["~ link host:br0 stp on"]),
    "a member": (
        "\n  b: {networks: {lan: 10.1.0.3}}",
        "\n  b: {networks: {lan: 10.1.0.3}}\n  c: {networks: {lan: 10.1.0.4}}",
        ["+ netns c", "+ link host:c.lan = c:lan on br0", "+ addr c:lan 10.1.0.4/24"],
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_changes_what_it_says_and_nothing_else(what: str) -> None:
    """No link is made anew for an address, no address for a route."""
    old, new, expected = EDITS[what]

    told = lines(desired(LAB.replace(old, new, 1)), snapshot())

    if expected is None:
        assert [text for text in told if text.startswith("-")] == []
    else:
        assert [text for text in told if text in expected] == sorted(expected, key=told.index)
        assert not [t for t in told if t[0] in "-+" and t not in expected]


GUEST = """
name: lab
networks:
  far: {from: shop/lan, subnet: 10.2.0.0/24}
namespaces:
  host: {interfaces: {eth2: {network: far}}}
  a: {networks: {far: 10.2.0.7}}
"""


def test_what_is_borrowed_is_there_before_and_after() -> None:
    """Another lab's namespace gets a wire and loses it; so does the host with a card of its own."""
    around = HostFacts(
        joined={"shop/lan": Joined("lan", netns="shop.switch")},
        nics={"eth2": Nic("02:00:00:00:00:01", up=False)},
    )
    state = lower(parse(GUEST).topology, around).desired
    switch = NetnsState(borrowed=True)
    found = replace(
        bare(state),
        netns={**bare(state).netns, "shop.switch": switch},
        foreign=Foreign(links={"host": ("eth2",), "shop.switch": ("lan",)}),
    )
    there = after(diff(state, found), found)

    assert diff(state, there) == ()
    assert "+ port host:eth2 of lab.far" in lines(state, found)
    assert lines(NOTHING, there) == [
        "- etc a",
        "- link host:lab.far",
        "- link host:lab.far.up",
        "- port host:eth2",
        "- link shop.switch:a.far",
        "- netns a",
    ]
    assert after(teardown(there), there) == found


def test_removing_comes_first_and_from_the_outside_in() -> None:
    """Rules, routes, addresses, links, namespaces: nothing is deleted that went with another."""
    text = LAB.replace("links:\n  - [a:w 10.9.0.1/24, b:w 10.9.0.2/24]\n", "")

    told = lines(desired(text.replace(", routes: 10.7.0.0/16 via b:lan", "")), snapshot())

    assert [text for text in told if text[0] == "-"] == [
        "- route a 10.7.0.0/16 via 10.1.0.3 dev lan",
        "- link a:w",
    ]


def test_a_teardown_lets_namespaces_take_what_is_in_them() -> None:
    """On the host each thing is deleted, inside nothing but the hosts file, which lies outside."""
    told = [line(step) for step in teardown(snapshot())]

    assert sorted(told) == [
        "- etc a",
        "- etc b",
        "- link host:a.lan",
        "- link host:b.lan",
        "- link host:br0",
        "- netns a",
        "- netns b",
    ]


def test_a_namespace_is_made_marked_and_set_before_links_come_into_it() -> None:
    """Its settings hold from the first packet."""
    told = lines(desired(LAB), bare(desired(LAB), value="1"))

    first_link = next(i for i, text in enumerate(told) if text.startswith("+ link"))
    inside = ("~ sysctl a", "~ sysctl b")
    settings = [i for i, text in enumerate(told) if text.startswith(inside)]
    assert told[0] == "+ netns a"
    assert max(settings) < first_link


def test_a_wire_to_nowhere_is_made_anew() -> None:
    """Whoever moved its far end away has broken it; it cannot be put back."""
    found = snapshot()
    netns = dict(found.netns)
    for name in ("a", "b"):
        torn = replace(netns[name].links["w"], kind=Veth(End("", "")))
        netns[name] = replace(netns[name], links={**netns[name].links, "w": torn})
    broken = replace(found, netns=netns)

    plan = diff(desired(LAB), broken)

    assert [text for text in map(line, plan) if text[0] == "-"] == ["- link a:w", "- link b:w"]
    assert after(plan, broken).asked_by(desired(LAB)).netns == desired(LAB).netns


def test_what_a_killed_up_left_is_tidied() -> None:
    """A name without a namespace, a hosts file without a name."""
    found = LabState(unnamed=frozenset({"a"}), stray_etc=frozenset({"b"}))

    plan = diff(NOTHING, found)

    assert [line(step).partition(" (")[0] for step in plan] == ["- name a", "- etc b"]
    left = after(plan, found)
    assert (left.unnamed, left.stray_etc) == (frozenset(), frozenset())


def test_ipv6_that_is_switched_on_makes_no_link_speak_by_itself() -> None:
    """What a link would do was hidden while IPv6 was off, so it is said before."""
    text = (
        "namespaces: {a: {sysctls: {net.ipv6.conf.all.disable_ipv6: 1}}, b: }\nlinks: [[a:w, b:w, "
    )
    off, on = (
        desired(text + "{subnet: none}]]"),
        desired(text.replace("disable_ipv6: 1", "disable_ipv6: 0") + "{subnet: none}]]"),
    )

    told = lines(on, made(off, bare(off)))

    assert told[0] == "~ link a:w without IPv6 link-local"
    assert told[1:] == ["~ sysctl a net.ipv6.conf.all.disable_ipv6=0"]


def test_a_link_without_addresses_loses_no_routes() -> None:
    """The kernel takes those of IPv4 with the last address: where none was, none goes."""
    text = """
links: [[a:v fd00::1/64, b:v fd00::2/64], [a:w fd01::1/64, b:w fd01::2/64]]
namespaces: {a: {routes: [10.7.0.0/16 nexthop dev v nexthop dev w]}, b: }
"""
    found = made(desired(text), bare(desired(text)))

    assert lines(desired(text.replace("dev w]", "dev w, 10.8.0.0/16 dev w]")), found) == [
        "+ route a 10.8.0.0/16 dev w"
    ]
