"""The laws of plans on the real kernel, with the worlds of `tests/pure/test_laws.py`.

There `after` proves itself; here it is held against what the kernel did.
"""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netloom.engine import front as engine
from netloom.engine.state import known
from netloom.engine.transaction import is_empty
from netloom.host.apply.options import ApplyOptions
from netloom.host.store.journal import Journal, Record, pending_change
from netloom.model.lab_state import LabState
from netloom.model.objects import Desired
from netloom.plan.diff import diff
from netloom.plan.simulate import after
from netloom.plan.steps import Plan
from netloom.render.text import line
from tests.kernel.worlds_made import MACHINE, MADE, alone, differing, host, scope, seen, source
from tests.pure.worlds import LAB, Change, changes

pytestmark = pytest.mark.needs("netns", "veth", "bridge", "ip")

FEW = settings(MADE, max_examples=max(25, settings().max_examples // 5))


def wanted(change: Change) -> tuple[Desired, Desired]:
    """Make the first of two worlds; return what either desires of this machine."""
    first = engine.up(source(change.topologies[0]), MACHINE).desired
    return first, engine.plan(source(change.topologies[1]), MACHINE).lowered.desired


def apply(plan: Plan, snapshot: LabState) -> None:
    """Carry out a plan, of which no step may be refused."""
    refused = MACHINE.apply(plan, ApplyOptions(lab=LAB, snapshot=snapshot)).refused
    assert not refused, refused[0]


def interrupted(change: Change, steps: int) -> tuple[engine.Draft, Plan]:
    """Begin to lead a lab to its second world, and stop after some steps, as if killed."""
    with Journal(LAB) as journal:
        draft = engine.draft(source(change.topologies[1]), known(journal), MACHINE)
        desired = draft.lowered.desired
        goal = Record(LAB, MACHINE.boot, desired)
        pending = pending_change(draft.plan, goal, None, draft.snapshot.identities)
        journal.begin(pending, desired.folders)
        begun = draft.plan[: steps % (len(draft.plan) + 1)]
        apply(begun, draft.snapshot)
    return draft, begun


def disagreements(predicted: LabState, *states: Desired) -> list[str]:
    """Return what is seen otherwise than predicted, and does not come about soon.

    The far ends of the wires of a deleted namespace go when the kernel gets to them.
    """
    deadline = time.monotonic() + 5
    while words := differing(predicted, seen(*states), scope(*states)):
        if time.monotonic() > deadline:
            break
    return words


@FEW
@given(changes(), st.integers(0, 999))
def test_the_kernel_does_what_was_predicted(change: Change, steps: int) -> None:
    """After a whole plan, and after any part of the next: `after(plan, s)` is what is seen."""

    def check() -> None:
        first = engine.plan(source(change.topologies[0]), MACHINE)
        desired = engine.up(source(change.topologies[0]), MACHINE).desired
        predicted = after(first.plan, first.snapshot)
        assert differing(predicted, seen(desired), scope(desired)) == []

        draft, begun = interrupted(change, steps)
        states = desired, draft.lowered.desired
        predicted = after(begun, draft.snapshot)
        assert disagreements(predicted, *states) == [], list(map(line, begun))

    alone(check)


@FEW
@given(changes(), st.integers(0, 999), st.sampled_from(("finish", "undo", "down")))
def test_from_any_step_on_a_plan_is_finished_undone_or_taken_down(
    change: Change, steps: int, way: str
) -> None:
    """Whoever was killed leaves nothing that the next `up`, or `down`, does not set right."""

    def check() -> None:
        before = host()
        first, _ = wanted(change)
        draft, _ = interrupted(change, steps)
        if way == "finish":
            second = engine.up(source(change.topologies[1]), MACHINE).desired
            assert diff(second, seen(second)) == ()
        elif way == "undo":
            back = draft.snapshot.asked
            found = seen(first, draft.lowered.desired, back)
            apply(diff(back, found), found)
            assert diff(first, seen(first)) == ()
        engine.down(LAB, MACHINE)
        assert host() == before

    alone(check)


@FEW
@given(changes())
def test_up_leaves_nothing_to_do_and_down_leaves_nothing(change: Change) -> None:
    """`diff` is empty after each `up`; after `down` the host is as it was, says `ip -j`.

    A lab of nothing at all is not remembered, so it is not up.
    """

    def check() -> None:
        before = host()
        for topology in change.topologies:
            desired = engine.up(source(topology), MACHINE).desired
            assert diff(desired, seen(desired)) == ()
            assert engine.plan(source(topology), MACHINE).plan == ()
            known = None if is_empty(desired) else engine.Verified(())
            assert engine.verify(LAB, MACHINE) == known
        engine.down(LAB, MACHINE)
        assert host() == before

    alone(check)
