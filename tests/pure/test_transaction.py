"""The table of `engine/state.py`: every cell, every refusal, every death, on a fake machine."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.engine.report import Report
from netloom.engine.state import TABLE, Back, Goal, LabNotes, State, Verb, known
from netloom.errors import Refused, TopologyError, Unavailable
from netloom.host.store.journal import Record
from netloom.model.objects import NetnsState
from netloom.testing import Died, FakeMachine

PAIR = "links: [[red 10.0.0.1/24, blue 10.0.0.2/24]]\n"
TRIO = """
networks: {lan: {subnet: 10.1.0.0/24, uplink: nat}}
namespaces:
  red: {networks: [lan], run: {command: serve, name: s}}
  blue: {networks: [lan], sysctls: {net.ipv4.tcp_ecn: 1}}
  green:
links: [[red 10.0.0.1/24, blue 10.0.0.2/24], [green 10.2.0.1/24, host 10.2.0.2/24]]
"""
OTHER = "name: other\nnetworks: {wan: {uplink: nat}}\nnamespaces: {web: {networks: [wan]}}\n"
CELLS = sorted(TABLE, key=lambda cell: (cell[0].value, cell[1]))

STRIDE = 1 if os.environ.get("NETLOOM_WALK") == "whole" else 4
"""How far apart the steps are at which something happens: else the shelf would take a minute."""

World = Mapping[str, NetnsState]


class Before(NamedTuple):
    """A lab in a state: what is there, and what is remembered as applied."""

    there: World
    record: World


def brought_to(state: State, machine: FakeMachine) -> None:
    """Bring the lab into a state, as its life would."""
    match state:
        case State.ABSENT:
            pass
        case State.UP:
            machine.up(PAIR)
        case State.BEGUN:
            dies(machine, 7, lambda: machine.up(PAIR))
        case State.CHANGING:
            machine.up(PAIR)
            dies(machine, 9, lambda: machine.up(TRIO))
        case State.UNREADABLE:
            machine.up(PAIR)
            machine.write("lab", "record", b"")
    machine.forget_events()
    assert known(machine.journal("lab")).state is state


def dies(machine: FakeMachine, at: int, act: Callable[[], object]) -> bool:
    """Do something of which the process dies before an event; return whether it came to that."""
    machine.forget_events()
    machine.dies_at = at
    try:
        act()
    except Died:
        return True
    finally:
        machine.dies_at = 0
    return False


def refusal(act: Callable[[], object]) -> Refused | None:
    """Return how an act was refused, None if it was not."""
    try:
        act()
    except Refused as error:
        return error
    return None


def verbs(machine: FakeMachine) -> dict[Verb, Callable[[], object]]:
    """Return what each verb does here: `up` makes a larger lab than was there."""
    return {"up": lambda: machine.up(TRIO), "undo": machine.undo, "down": machine.down}


def made(text: str) -> World:
    """Return what a topology comes to on a machine of its own."""
    machine = FakeMachine()
    machine.up(OTHER)
    machine.up(text)
    return machine.netns()


def led_to(goal: Goal, before: Before) -> World:
    """Return what there shall be when a verb has come to its end."""
    match goal:
        case Goal.FILE:
            return made(TRIO)
        case Goal.RECORD:
            return before.record
        case Goal.PAST | Goal.NOTHING:
            return {}


def back_to(back: Back, before: Before) -> World:
    """Return what there shall be when a verb was refused."""
    match back:
        case Back.SEEN:
            return before.there
        case Back.RECORD:
            return before.record
        case Back.NOTHING | Back.ON:
            return {}


def prepared(state: State) -> tuple[FakeMachine, Before, World]:
    """Return a machine with a lab in a state, what that is, and what another lab there is."""
    machine = FakeMachine()
    machine.up(OTHER)
    other = dict(machine.netns("other"))
    brought_to(state, machine)
    record = made(PAIR) if state in {State.UP, State.CHANGING} else {}
    return machine, Before(dict(machine.netns()), record), other


def test_the_table_has_a_cell_for_each_state_and_verb() -> None:
    """Nothing can be forgotten in it."""
    assert set(TABLE) == {(state, verb) for state in State for verb in get_args(Verb)}


@pytest.mark.parametrize(("state", "verb"), CELLS)
def test_a_verb_leads_where_the_table_says(state: State, verb: Verb) -> None:
    """And no further: another lab is as it was, and what follows is a lab that is up or absent."""
    machine, before, other = prepared(state)
    row = TABLE[state, verb]

    if row is None and state is State.UNREADABLE:
        with pytest.raises(Unavailable, match="netloom down lab"):
            verbs(machine)[verb]()
    else:
        verbs(machine)[verb]()

    assert machine.netns() == (led_to(row.goal, before) if row else before.there)
    assert machine.netns("other") == other
    if row:
        after = known(machine.journal("lab")).state
        assert after is (State.UP if machine.netns() else State.ABSENT)


@pytest.mark.parametrize(("state", "verb"), CELLS)
def test_a_refusal_at_any_step_leads_back_to_where_the_table_says(state: State, verb: Verb) -> None:
    """Whichever step is refused: all that was done before it is undone, and so it is told."""
    row = TABLE[state, verb]
    at = 1 - STRIDE
    while row:
        at += STRIDE
        machine, before, other = prepared(state)
        machine.refuses_at = at
        refused = refusal(verbs(machine)[verb])
        if refused:
            assert refused.left if row.back is Back.ON else refused.undone
            if row.back is Back.ON:
                machine.forget_events()
                machine.down()
            assert machine.netns() == back_to(row.back, before), machine.events
            assert machine.netns("other") == other
            recorded = row.back is not Back.ON and bool(before.record)
            assert known(machine.journal("lab")).state is (State.UP if recorded else State.ABSENT)
        if at >= len(machine.events):
            break


@pytest.mark.parametrize("then", get_args(Verb))
@pytest.mark.parametrize(("state", "verb"), CELLS)
def test_a_death_at_any_step_is_a_state_of_the_table(state: State, verb: Verb, then: Verb) -> None:
    """Before any step or write the process may die: the next verb leads where its cell says."""
    at = 1 - STRIDE + CELLS.index((state, verb)) % STRIDE
    while TABLE[state, verb]:
        at += STRIDE
        machine, before, other = prepared(state)
        if not dies(machine, at, verbs(machine)[verb]):
            break
        left = known(machine.journal("lab"))
        row = TABLE[left.state, then]
        record = dict(left.record.desired.netns) if left.record else {}
        machine.forget_events()
        if left.state is State.UNREADABLE and then != "down":
            with pytest.raises(Unavailable):
                verbs(machine)[then]()
            continue
        verbs(machine)[then]()
        if row and row.goal is Goal.PAST:  # nothing, the pair, or whatever was there
            assert machine.verify() in {(), None}
        elif row:
            goal = led_to(row.goal, Before(before.there, {}))
            if row.goal is Goal.RECORD:
                assert machine.verify() == ()
                assert set(machine.netns()) == {
                    n for n, one in record.items() if one != NetnsState()
                }
            else:
                assert machine.netns() == goal
        assert machine.netns("other") == other


# ── any life ──────────────────────────────────────────────────────────────────────────────


class Act(NamedTuple):
    """What somebody does to a lab, by a file of it."""

    lab: str
    verb: Verb
    file: str = ""

    def __call__(self, machine: FakeMachine) -> object:
        """Do it."""
        if self.verb == "up":
            return machine.up(self.file)
        return machine.down(self.lab) if self.verb == "down" else machine.undo(self.lab)

    def goal(self, there: LabNotes, past: Record | None) -> set[str] | None:
        """Return the namespaces that it leads to by the table, None where it is to do nothing."""
        row = TABLE[there.state, self.verb]
        if row is None or (row.goal is Goal.PAST and past is None):
            return None
        if row.goal is Goal.FILE:
            machine = FakeMachine()
            machine.up(self.file)
            return set(machine.netns(self.lab))
        return _names({Goal.PAST: past, Goal.RECORD: there.record}.get(row.goal))

    def back(self, there: LabNotes) -> set[str] | None:
        """Return the namespaces that a refusal leads back to, None for those there were."""
        row = TABLE[there.state, self.verb]
        if row is None or row.back is Back.SEEN:
            return None
        return _names(there.record if row.back is Back.RECORD else None)


def _names(record: Record | None) -> set[str]:
    every = record.desired.netns.items() if record else ()
    return {name for name, netns in every if netns != NetnsState()}


ACTS = [
    *(Act("lab", "up", PAIR), Act("lab", "up", TRIO), Act("lab", "undo"), Act("lab", "down")),
    *(Act("other", "up", OTHER), Act("other", "down")),
]
LIVES = st.lists(
    st.tuples(st.sampled_from(ACTS), st.none() | st.integers(1, 40), st.booleans()), max_size=8
)


@given(LIVES)
def test_any_life_of_a_lab_goes_by_the_table(life: list[tuple[Act, int | None, bool]]) -> None:
    """Each act leads where the table says, or back where it says; others are as they were."""
    machine = FakeMachine()
    for act, at, kills in life:
        there, before = known(machine.journal(act.lab)), set(machine.netns(act.lab))
        _, past = next(machine.journal(act.lab).pasts(), (0, None))
        others = "lab" if act.lab == "other" else "other"
        untouched, notes = dict(machine.netns(others)), known(machine.journal(others))
        answer = ended(machine, act, at or 0, kills=kills)
        if answer is None or (isinstance(answer, Refused) and answer.undone):
            leads = act.back(there) if answer else act.goal(there, past)
            assert set(machine.netns(act.lab)) == (before if leads is None else leads)
            assert machine.verify(act.lab) in {(), None}
        else:
            assert isinstance(answer, Died) or act.verb == "down"
        assert machine.netns(others) == untouched
        assert known(machine.journal(others)) == notes
    for lab in ("lab", "other"):
        machine.forget_events()
        machine.down(lab)
        assert machine.netns(lab) == {}
    assert machine.labs() == []


def ended(machine: FakeMachine, act: Act, at: int, *, kills: bool) -> Refused | Died | None:
    """Return by what an act ended that is killed or refused at an event, None if all went well."""
    machine.forget_events()
    if kills:
        machine.dies_at = at
    else:
        machine.refuses_at = at
    try:
        act(machine)
    except (Refused, Died) as error:
        return error
    finally:
        machine.forget_events()
    return None


RESIDENTS = {"red": ["somebody lives in `red`"], "blue": ["somebody lives in `blue`"]}


@pytest.mark.parametrize("verb", get_args(Verb))
def test_a_wire_between_two_kept_namespaces_is_cut(verb: Verb) -> None:
    """Whatever takes their names away, and it is told who keeps them."""
    machine = FakeMachine()
    machine.up(PAIR)
    machine.residents = RESIDENTS
    acts = verbs(machine) | {"up": lambda: machine.up("namespaces: [green]\n")}
    report = acts[verb]()

    assert isinstance(report, Report)
    assert machine.wires_kept == []
    assert "somebody lives in `red`" in report.notes


def test_what_leads_back_cuts_it_too() -> None:
    """Also where somebody has entered two namespaces of an `up` that is refused at its end."""
    machine = FakeMachine()
    machine.residents = RESIDENTS
    machine.up(PAIR)
    last = max(n for n, event in enumerate(machine.events, 1) if event[0] in "+~")
    machine = FakeMachine()
    machine.residents = RESIDENTS
    machine.refuses_at = last

    with pytest.raises(Refused, match="has been undone") as caught:
        machine.up(PAIR)

    assert machine.netns() == {}
    assert machine.wires_kept == []
    assert "somebody lives in `blue`" in caught.value.__notes__


# ── beside others ─────────────────────────────────────────────────────────────────────────

SHOP = """
name: shop
networks: {wan: {uplink: nat}}
namespaces: {web: {networks: [wan], publish: "8080:80"}}
"""
OFFICE = SHOP.replace("shop", "office").replace("web", "desk")


@pytest.mark.parametrize("at", [2, 5])
def test_what_died_before_it_was_made_is_no_other_lab_s(at: int) -> None:
    """Its subnet, its interface and its port count from its note on, until it is led back."""
    machine = FakeMachine()
    dies(machine, at, lambda: machine.up(SHOP))
    machine.forget_events()

    with pytest.raises(TopologyError, match="8080 of the host is taken: the lab `shop` publishes"):
        machine.up(OFFICE)
    machine.up(OFFICE.replace(', publish: "8080:80"', ""))
    beside = machine.netns("office")["host"].links
    machine.down("office")
    machine.down("shop")
    machine.up(OFFICE)
    alone = machine.netns("office")["host"].links

    assert [(name, link.addrs[0].ip) for name, link in beside.items()] == [
        ("wan.office", "10.64.1.1")
    ]
    assert [(name, link.addrs[0].ip) for name, link in alone.items()] == [("wan", "10.64.0.1")]


def test_undo_does_not_go_back_to_what_another_lab_has_by_now() -> None:
    """It is told whose that is, and nothing is touched."""
    machine = FakeMachine()
    machine.up(SHOP)
    machine.up("name: shop\nnamespaces: [web]\n")
    machine.up(OFFICE)
    before = machine.netns("shop")

    with pytest.raises(Unavailable, match=r"10.64.0.0/24 overlaps .* \(the lab `office`\)"):
        machine.undo("shop")
    assert machine.netns("shop") == before
    machine.down("office")
    machine.undo("shop")
    assert "wan" in machine.netns("shop")["host"].links
