"""The law of what others set: it stays through every change, and what the file says is there."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from netloom.model.lab_state import LabState, Others
from netloom.model.objects import Desired, can_become
from netloom.plan.diff import diff
from netloom.plan.mutable import IPV6_MIN_MTU
from netloom.plan.others import with_others, without_others
from netloom.plan.simulate import is_same
from netloom.plan.sysctls import is_ipv6_off
from tests.pure.byhand import carried_out, done, seen
from tests.pure.worlds import Change, bare, changes, made


@given(changes(), st.randoms(use_true_random=False))
def test_what_others_set_stays_and_what_the_file_says_is_there(
    change: Change, random: Random
) -> None:
    """Through another `up`, through a change, and back."""
    first, second = change.first.desired, change.second.desired
    up = made(first, bare(first, second))
    lived_in = seen(carried_out(done(first, random), up), first, first)
    assert without_others(lived_in).asked_by(first).netns == first.netns
    assert diff(first, lived_in) == ()

    before = seen(lived_in, first, second)
    # What cannot stay goes with what it hangs on, or is left as the kernel leaves it: no step of
    # the plan speaks of it.
    _, of_concern = with_others(second, before)
    changed = seen(made(second, of_concern), second, second)

    assert diff(second, changed) == ()
    assert without_others(changed).asked_by(second).netns == second.netns
    assert lost(before, changed, second) == []
    back = made(without_others(before).asked, replace(changed, others=before.others))
    assert diff(first, seen(back, first, first)) == ()


def lost(before: LabState, now: LabState, wanted: Desired) -> list[str]:
    """Return what others set before and is not there now, though what it hangs on is."""
    return [
        f"{name}: {what}"
        for name, others in before.others.items()
        if name in wanted.netns
        for what in _lost(name, others, before, now, wanted)
    ]


def _lost(name: str, others: Others, before: LabState, now: LabState, wanted: Desired) -> list[str]:
    had, have, want = before.netns[name], now.netns[name], wanted.netns[name]
    found = [str(rule) for rule in others.rules - have.rules]
    for link, addrs in others.addrs.items():
        if link not in want.links or not can_become(had.links[link].kind, want.links[link].kind):
            continue
        there = {str(addr) for addr in have.links[link].addrs}
        ipv6 = want.links[link].mtu >= IPV6_MIN_MTU and not is_ipv6_off(want.sysctls, link)
        said = want.links[link].addrs
        found += [
            f"{link} {addr}"
            for addr in addrs
            if (ipv6 or addr.family == 4) and not any(is_same(addr, one) for one in said)
            if str(addr) not in there
        ]
    dead_ends = {route for route in others.routes if not route.nexthops}
    keys = {route.key for route in want.routes}
    return found + [route.dst for route in dead_ends - have.routes if route.key not in keys]
