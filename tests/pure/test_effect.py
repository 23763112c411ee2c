"""What the kernel does along with a step, and which steps it refuses.

That it really does is shown in `tests/kernel/test_effect_kernel.py`.
"""

import pytest
from msgspec.structs import replace

from netloom.model.objects import (
    Addr,
    Borrowed,
    Bridge,
    End,
    Link,
    Loopback,
    Netns,
    Nexthop,
    Route,
    Rule,
    Veth,
)
from netloom.model.snapshot import Foreign, Snapshot
from netloom.plan import steps
from netloom.plan.effect import after
from netloom.plan.scratch import Illegal

LAN, W = End("a", "lan"), End("a", "w")
FAR = End("b", "w")
VIA = Route("10.7.0.0/16", (Nexthop("lan", "10.1.0.9"),))
OUT = Route("10.8.0.0/16", (Nexthop("lan"),), scope=253)
SOURCED = Route("10.6.0.0/16", (Nexthop("w"),), src="10.1.0.1", scope=253)
SIX = Route("fd07::/64", (Nexthop("lan", "fd00::9"),), metric=1024)
BOTH = Route("10.5.0.0/16", (Nexthop("lan", "10.1.0.9"), Nexthop("w", "10.9.0.9")))
HOLE6 = Route("fd08::/64", type="blackhole", metric=1024)


def link(kind: Bridge | Veth | Loopback, *addrs: Addr, **facts: object) -> Link:
    """Return a link with usual facts."""
    return Link(kind, mac="02:00:00:00:00:01", mtu=1500, addrs=addrs, **facts)  # type: ignore[arg-type]


def world(*routes: Route, **sysctls: str) -> Snapshot:
    """Return two namespaces: `a` with a bridge `lan` and its port `w`, wired to `b`."""
    lan = link(Bridge(), Addr("10.1.0.1", 24), Addr("fd00::1", 64), ipv6_ll=True)
    wire = link(Veth(FAR), Addr("10.9.0.1", 24), master="lan", ipv6_ll=True)
    here = {"lo": link(Loopback(), Addr("10.255.0.1", 32)), "lan": lan, "w": wire}
    there = {"lo": link(Loopback()), "w": link(Veth(W), ipv6_ll=True)}
    keys = {f"net.{key.replace('__', '.')}": value for key, value in sysctls.items()}
    return Snapshot(
        netns={
            "a": Netns(links=here, routes=frozenset(routes), sysctls=keys),
            "b": Netns(links=there),
        },
        foreign=Foreign(names=frozenset({"docker"}), links={"a": ("eth0",)}),
        newborn={"net.ipv4.ip_forward": "1"},
    )


def left(step: steps.Step, *routes: Route, **sysctls: str) -> Netns:
    """Return what is left of `a` after one step."""
    return after([step], world(*routes, **sysctls)).netns["a"]


# ── what goes along ───────────────────────────────────────────────────────────────────────────────


def test_a_deleted_end_takes_the_other_along() -> None:
    """With the addresses and routes of both."""
    snapshot = after([steps.LinkDel(FAR)], world(OUT, SOURCED))

    assert "w" not in snapshot.netns["a"].links
    assert "w" not in snapshot.netns["b"].links
    assert snapshot.netns["a"].routes == {OUT}


def test_a_deleted_namespace_takes_the_far_ends_of_its_wires_along() -> None:
    """And all that is in it."""
    snapshot = after([steps.NetnsDel("b")], world())

    assert set(snapshot.netns) == {"host", "a"}
    assert set(snapshot.netns["a"].links) == {"lo", "lan"}


def test_a_deleted_bridge_frees_its_ports() -> None:
    """They stay, on no bridge."""
    assert left(steps.LinkDel(LAN)).links["w"].master == ""


def test_settings_of_a_link_go_with_it() -> None:
    """Its folder below /proc/sys is gone."""
    keys = {"ipv4__conf__w__rp_filter": "1", "ipv4__conf__all__rp_filter": "1"}

    assert set(left(steps.LinkDel(W), **keys).sysctls) == {"net.ipv4.conf.all.rp_filter"}


def test_the_last_ipv4_address_takes_the_routes_of_its_link_along() -> None:
    """Those of IPv4 alone; while there is another, none goes."""
    step = steps.AddrDel(LAN, Addr("10.1.0.1", 24))

    assert left(step, VIA, OUT, SIX).routes == {SIX}
    more = after([steps.AddrAdd(LAN, Addr("10.2.0.1", 24))], world(VIA, OUT, SIX))
    assert after([step], more).netns["a"].routes == {VIA, OUT, SIX}


def test_the_loopback_keeps_its_routes() -> None:
    """It has 127.0.0.1 besides."""
    route = Route("10.8.0.0/16", (Nexthop("lo"),), scope=253)

    assert left(steps.AddrDel(End("a", "lo"), Addr("10.255.0.1", 32)), route).routes == {route}


def test_a_link_set_down_loses_routes_and_ipv6_addresses() -> None:
    """IPv4 addresses stay."""
    netns = left(steps.LinkSet(LAN, up=False), VIA, SIX)

    assert netns.links["lan"].addrs == (Addr("10.1.0.1", 24),)
    assert netns.routes == frozenset()


def test_below_1280_bytes_a_link_has_no_ipv6() -> None:
    """It comes back with the MTU, without addresses."""
    small = steps.LinkSet(LAN, mtu=1000)

    netns = left(small, VIA, SIX)

    assert netns.links["lan"].addrs == (Addr("10.1.0.1", 24),)
    assert not netns.links["lan"].ipv6_ll
    assert netns.routes == {VIA}
    again = after([small, steps.LinkSet(LAN, mtu=1500)], world()).netns["a"].links["lan"]
    assert again.ipv6_ll
    assert again.addrs == (Addr("10.1.0.1", 24),)


def test_forwarding_of_all_is_forwarding_of_each() -> None:
    """And `ip_forward` another name for it."""
    keys = {
        "ipv4__ip_forward": "0",
        "ipv4__conf__all__forwarding": "0",
        "ipv4__conf__default__forwarding": "0",
        "ipv4__conf__w__forwarding": "0",
        "ipv4__conf__w__rp_filter": "0",
    }

    changed = left(steps.SysctlSet("a", "net.ipv4.ip_forward", "1"), **keys).sysctls

    assert {key for key, value in changed.items() if value == "0"} == {"net.ipv4.conf.w.rp_filter"}


def test_ipv6_switched_off_takes_addresses_and_routes_along() -> None:
    """Those that lead nowhere, too: they hang on `lo`."""
    off = steps.SysctlSet("a", "net.ipv6.conf.all.disable_ipv6", "1")

    netns = left(off, VIA, SIX, HOLE6, ipv6__conf__default__disable_ipv6="0")

    assert netns.routes == {VIA}
    assert not any(":" in addr.ip for link in netns.links.values() for addr in link.addrs)
    assert not any(link.ipv6_ll for link in netns.links.values())


def test_a_new_namespace_begins_as_this_machine_makes_them() -> None:
    """With a marked `lo`, up, and the settings that it inherits."""
    netns = after([steps.NetnsAdd("c", "netloom:lab/c")], world()).netns["c"]

    assert (netns.links["lo"].up, netns.links["lo"].alias) == (True, "netloom:lab/c")
    assert netns.sysctls == {"net.ipv4.ip_forward": "1"}


# ── what is refused ───────────────────────────────────────────────────────────────────────────────

NEW = link(Veth(End("b", "new")))
CARD = Link(Borrowed(up=False, alias="mine"), mac="", mtu=0, master="lan")
ETH0 = End("a", "eth0")
HALF = link(Veth(End("a", "new")))

ILLEGAL: dict[str, tuple[steps.Step, str]] = {
    "a name that is taken": (steps.NetnsAdd("a", ""), "the name is taken"),
    "a name that others have": (steps.NetnsAdd("docker", ""), "the name is taken"),
    "no namespace": (steps.NetnsDel("z"), "no such namespace of ours"),
    "the host": (steps.NetnsDel("host"), "no such namespace of ours"),
    "no leftover": (steps.NameDel("a"), "no such leftover"),
    "a link in no namespace": (steps.LinkDel(End("z", "x")), "no namespace `z`"),
    "no link": (steps.LinkDel(End("a", "x")), "no link `a:x`"),
    "the loopback": (steps.LinkDel(End("a", "lo")), "`lo` cannot be deleted"),
    "a link that exists": (steps.LinkAdd(W, NEW, HALF), "`a:w` exists"),
    "a link that others have": (steps.LinkAdd(End("a", "eth0"), NEW, HALF), "`a:eth0` exists"),
    "half a wire": (steps.LinkAdd(End("a", "new"), NEW), "a veth has two ends"),
    "no bridge": (steps.LinkSet(W, master="x"), "no bridge `x`"),
    "a bridge that is none": (steps.LinkSet(LAN, master="w"), "no bridge `w`"),
    "a second altname": (steps.AltnameAdd(LAN, "w"), "the name `w` is taken"),
    "an interface that nobody has": (
        steps.PortAdd(End("a", "eth9"), CARD),
        "no interface `a:eth9` to borrow",
    ),
    "an interface of ours": (steps.PortAdd(W, CARD), "no interface `a:w` to borrow"),
    "a port of no bridge": (steps.PortAdd(ETH0, replace(CARD, master="x")), "no bridge `x`"),
    "what was never borrowed": (steps.PortDel(W, Borrowed()), "it is not borrowed"),
    "no altname": (steps.AltnameDel(LAN, "x"), "no altname `x`"),
    "an address twice": (steps.AddrAdd(LAN, Addr("10.1.0.1", 24)), "the address exists"),
    "a second primary": (
        steps.AddrAdd(LAN, Addr("10.1.0.2", 24)),
        "the kernel decides otherwise which address is the primary one",
    ),
    "no address": (steps.AddrDel(LAN, Addr("10.1.0.2", 24)), "no such address"),
    "a source in use": (
        steps.AddrDel(LAN, Addr("10.1.0.1", 24)),
        "a route has it as its source, which must go first",
    ),
    "a gateway beyond": (
        steps.RouteAdd("a", Route("10.0.0.0/8", (Nexthop("lan", "10.9.0.9"),))),
        "the gateway 10.9.0.9 is not on `lan`",
    ),
    "a device that is not there": (
        steps.RouteAdd("a", Route("10.0.0.0/8", (Nexthop("x"),))),
        "`x` is not there or not up",
    ),
    "an alien source": (
        steps.RouteReplace("a", Route("10.0.0.0/8", (Nexthop("lan"),), src="10.1.0.2")),
        "the source 10.1.0.2 is no address of the namespace",
    ),
    "a route twice": (
        steps.RouteAdd("a", Route("10.6.0.0/16", type="blackhole")),
        "a route with this destination, table and metric exists",
    ),
    "no route": (steps.RouteDel("a", OUT), "no such route"),
    "no rule": (steps.RuleDel("a", Rule(4, 1)), "no such rule"),
    "a link down with half a route on it": (
        steps.LinkSet(LAN, up=False),
        "a route to 10.5.0.0/16 has other ways, and must go first",
    ),
}


@pytest.mark.parametrize("what", ILLEGAL)
def test_what_the_kernel_refuses_is_illegal(what: str) -> None:
    """Or what nobody could foretell."""
    step, reason = ILLEGAL[what]

    with pytest.raises(Illegal) as refusal:
        left(step, SOURCED, BOTH)

    assert refusal.value.reason == reason


def test_what_is_borrowed_is_given_back_and_never_deleted() -> None:
    """A bridge that goes lets it free, and it is still the lab's to give back."""
    borrow, back = steps.PortAdd(ETH0, CARD), steps.PortDel(ETH0, Borrowed())
    lent = after([borrow], world())

    assert lent.netns["a"].links["eth0"] == CARD
    with pytest.raises(Illegal, match="it is not the lab's"):
        after([steps.LinkDel(ETH0)], lent)
    free = after([steps.LinkDel(LAN)], lent)
    assert free.netns["a"].links["eth0"] == replace(CARD, master="")
    assert "eth0" not in after([back], free).netns["a"].links


def test_the_host_has_addresses_that_we_do_not_know() -> None:
    """So any source may be right there."""
    snapshot = Snapshot(netns={"host": Netns(links={"v": link(Veth(FAR))})})
    route = Route("10.0.0.0/8", (Nexthop("v"),), src="192.0.2.1", scope=253)

    assert after([steps.RouteAdd("host", route)], snapshot).netns["host"].routes == {route}


def test_a_primary_address_is_not_deleted_before_its_secondaries() -> None:
    """What becomes of them depends on promote_secondaries."""
    two = [steps.AddrAdd(LAN, Addr("10.1.0.2", 24, secondary=True))]

    with pytest.raises(Illegal, match="secondary addresses, which must go first"):
        after([*two, steps.AddrDel(LAN, Addr("10.1.0.1", 24))], world())


def test_a_namespace_is_not_deleted_before_its_hosts_file() -> None:
    """It lies outside of it, and would be left behind."""
    with pytest.raises(Illegal, match="would be left behind"):
        after([steps.EtcSet("b", "digest"), steps.NetnsDel("b")], world())
