"""The laws of plans, on worlds of every shape: they converge, once is enough, any step leads back.

The same worlds are made on the real kernel in `tests/kernel/test_laws_kernel.py`.
"""

from hypothesis import given
from hypothesis import strategies as st

from netloom.model.objects import HOST, NOTHING, NetnsState
from netloom.plan.diff import diff, teardown
from netloom.plan.simulate import after
from netloom.render.script import commands
from netloom.render.text import line
from tests.pure.worlds import Change, bare, changes, made

INHERITED = st.sampled_from(("0", "1"))


@given(changes(), INHERITED)
def test_a_plan_leads_to_what_is_desired(change: Change, inherited: str) -> None:
    """From nothing, and from another world: `asked(after(diff(d, s), s)) == d`."""
    first, second = change.first.desired, change.second.desired
    nothing = bare(first, second, value=inherited)

    one = made(first, nothing)
    two = made(second, one)

    assert one.asked_by(first).netns == first.netns
    assert two.asked_by(second).netns == second.netns


@given(changes())
def test_what_is_as_desired_needs_no_plan(change: Change) -> None:
    """Twice does nothing."""
    first, second = change.first.desired, change.second.desired
    one = made(first, bare(first, second))
    two = made(second, one)

    assert diff(first, one) == ()
    assert diff(second, two) == ()


@given(changes())
def test_undo_leads_back(change: Change) -> None:
    """The plan from what is there now to what was there before is the inverse step."""
    one = made(change.first.desired, bare(change.first.desired, change.second.desired))
    two = made(change.second.desired, one)

    back = made(one.asked, two)

    assert back.asked_by(one.asked).netns == one.netns


@given(changes(), st.data())
def test_an_interrupted_plan_can_be_finished_undone_or_taken_down(
    change: Change, data: st.DataObject
) -> None:
    """After any prefix: on to the one state, back to the other, and down to nothing."""
    first, second = change.first.desired, change.second.desired
    one = made(first, bare(first, second))
    plan = diff(second, one)
    somewhere = after(plan[: data.draw(st.integers(0, len(plan)), "steps")], one)

    assert made(second, somewhere).asked_by(second).netns == second.netns
    assert made(first, somewhere).asked_by(first).netns == first.netns
    assert made(NOTHING, somewhere).asked_by(NOTHING).netns == {HOST: NetnsState()}


@given(changes())
def test_a_teardown_leaves_an_empty_host(change: Change) -> None:
    """Nothing is left but the host, and on it nothing of ours."""
    first, second = change.first.desired, change.second.desired
    for state in (first, second):
        snapshot = made(state, bare(first, second))

        left = after(teardown(snapshot), snapshot)

        assert left.asked_by(NOTHING).netns == {HOST: NetnsState()}


@given(changes())
def test_every_step_can_be_told_and_said_as_a_command(change: Change) -> None:
    """No step is without words, and no command has more than one line."""
    first, second = change.first.desired, change.second.desired
    nothing = bare(first, second)
    one = made(first, nothing)
    for step in (*diff(first, nothing), *diff(second, one), *teardown(one)):
        words = (line(step), *commands(step))
        assert all(words)
        assert all("\n" not in text for text in words)
