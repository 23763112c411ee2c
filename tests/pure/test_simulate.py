"""What the kernel does along with a step, and which steps it refuses: `after` says it, too.

The table is that of `effects.py`; `test_simulate_kernel.py` holds the kernel against it.
"""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from netloom.model.lab_state import Foreign, LabState
from netloom.model.objects import HOST, Borrowed, End, Link, NetnsState, Nexthop, Route
from netloom.plan import steps
from netloom.plan.mutable import Illegal
from netloom.plan.simulate import after
from tests.pure.effects import DOES, FAR, LAN, OTHERS, REFUSES, WORLD, W, veth

EMPTY = LabState(foreign=Foreign(names=frozenset(OTHERS) - {"a"}, links=OTHERS))
MADE = after(WORLD, EMPTY)


def facts(snapshot: LabState) -> set[str]:
    """Return what a snapshot holds, in the words of the table."""
    return {
        fact
        for name, netns in snapshot.netns.items()
        if name != HOST
        for fact in _in_netns(name, netns)
    }


def _in_netns(name: str, netns: NetnsState) -> Iterator[str]:
    yield name
    for link_name, link in netns.links.items():
        yield from (f"{name}: {link_name}{fact}" for fact in _of_link(link))
    yield from (f"{name}: to {route.dst}" for route in netns.routes)
    yield from (f"{name}: rule {rule.priority}" for rule in netns.rules)
    yield from (f"{name}: {key}={value}" for key, value in netns.sysctls.items())


def _of_link(link: Link) -> Iterator[str]:
    yield from ("", f" mtu {link.mtu}")
    yield from [" up"] * link.up
    yield from [f" on {link.master}"] * bool(link.master)
    yield from [" ipv6"] * link.ipv6_ll
    yield from (f" altname {altname}" for altname in link.altnames)
    yield from (f" {addr}{' secondary' * addr.secondary}" for addr in link.addrs)


@pytest.mark.parametrize("what", DOES)
def test_what_the_kernel_does_along_with_a_step_is_predicted(what: str) -> None:
    """What the table says, and nothing else."""
    case = DOES[what]
    first = after(case.before, MADE)
    before, then = facts(first), facts(after(case.steps, first))

    assert (before - then, then - before) == (case.gone, case.new)


@pytest.mark.parametrize("what", REFUSES)
def test_what_the_kernel_refuses_is_illegal(what: str) -> None:
    """Or what nobody could predict."""
    case = REFUSES[what]
    before = after(case.before, MADE)

    with pytest.raises(Illegal) as refusal:
        after([case.step], before)

    assert refusal.value.reason == case.reason


def test_a_new_namespace_begins_as_this_machine_makes_them() -> None:
    """With a marked `lo`, up, and the settings that it inherits."""
    netns = after(
        [steps.NetnsAdd("c", "netloom:lab/c")], replace(MADE, defaults={"net.ipv4.ip_forward": "1"})
    ).netns["c"]

    assert (netns.links["lo"].up, netns.links["lo"].alias) == (True, "netloom:lab/c")
    assert netns.sysctls == {"net.ipv4.ip_forward": "1"}


# ── what has no counterpart in the kernel ─────────────────────────────────────────────────────────

CARD = Link(Borrowed(up=False, alias="mine"), mac="", mtu=0, master="lan")
ETH0 = End("a", "eth0")

ILLEGAL: dict[str, tuple[steps.Step, str]] = {
    "half a wire": (
        steps.LinkAdd(End("a", "new"), veth(End("b", "new"))),
        "a veth has two ends",
    ),
    "an interface that nobody has": (
        steps.PortAdd(End("a", "eth9"), CARD),
        "no interface `a:eth9` to borrow",
    ),
    "an interface of ours": (steps.PortAdd(W, CARD), "no interface `a:w` to borrow"),
    "a port of no bridge": (steps.PortAdd(ETH0, replace(CARD, master="x")), "no bridge `x`"),
    "what was never borrowed": (steps.PortDel(W, Borrowed()), "it is not borrowed"),
}


@pytest.mark.parametrize("what", ILLEGAL)
def test_what_makes_no_sense_is_illegal(what: str) -> None:
    """The kernel is not even asked."""
    step, reason = ILLEGAL[what]

    with pytest.raises(Illegal) as refusal:
        after([step], MADE)

    assert refusal.value.reason == reason


def test_what_is_borrowed_is_given_back_and_never_deleted() -> None:
    """A bridge that goes lets it free, and it is still the lab's to give back."""
    borrow, back = steps.PortAdd(ETH0, CARD), steps.PortDel(ETH0, Borrowed())
    lent = after([borrow], MADE)

    assert lent.netns["a"].links["eth0"] == CARD
    with pytest.raises(Illegal, match="it is not the lab's"):
        after([steps.LinkDel(ETH0)], lent)
    free = after([steps.LinkDel(LAN)], lent)
    assert free.netns["a"].links["eth0"] == replace(CARD, master="")
    assert "eth0" not in after([back], free).netns["a"].links


def test_the_host_has_addresses_that_we_do_not_know() -> None:
    """So any source may be right there."""
    snapshot = LabState(netns={"host": NetnsState(links={"v": replace(veth(FAR), up=True)})})
    route = Route("10.0.0.0/8", (Nexthop("v"),), src="192.0.2.1", scope=253)

    assert after([steps.RouteAdd("host", route)], snapshot).netns["host"].routes == {route}


def test_a_namespace_is_not_deleted_before_its_hosts_file() -> None:
    """It lies outside of it, and would be left behind."""
    with pytest.raises(Illegal, match="would be left behind"):
        after([steps.EtcSet("b", "digest"), steps.NetnsDel("b")], MADE)
