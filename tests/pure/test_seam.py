"""Verbs reach a machine, its memory included, through `Machine` alone (`host/machine.py`)."""

import errno
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from netloom.engine import front as engine
from netloom.errors import Refused, Unavailable
from netloom.host.local import LocalMachine
from netloom.language.parse import parse
from netloom.testing import FakeMachine
from netloom.testing.store import FakeJournal

PAIR = "links: [[red 10.0.0.1/24, blue 10.0.0.2/24]]\n"
TRIO = """
networks: {lan: {uplink: nat}}
namespaces: {red: {networks: [lan], publish: "8080:80"}, blue: {networks: [lan]}, green: }
links: [[red, blue], [green, host]]
"""

CHANGING: dict[str, Callable[[FakeMachine], object]] = {
    "up": lambda machine: machine.up(TRIO),
    "up of what is up": lambda machine: machine.up(PAIR),
    "undo": lambda machine: machine.undo(),
    "down": lambda machine: machine.down(),
    "down of no lab": lambda machine: machine.down("none"),
}
LOOKING: dict[str, Callable[[FakeMachine], object]] = {
    "plan": lambda machine: engine.plan(parse(TRIO, name="lab"), machine),
    "verify": lambda machine: engine.verify("lab", machine),
    "labs": engine.labs,
    "what undo goes back to": lambda machine: engine.pasts("lab", machine),
    "who else has a port": lambda machine: engine.shared("lab", machine),
    "whether the way out moved": lambda machine: engine.moved("lab", machine),
}


class Broken(FakeMachine):
    """A machine whose disk fails: at the call of a number from when that is set, or from it on."""

    def __init__(self) -> None:
        """Make one whose disk works."""
        super().__init__()
        self.calls: list[str] = []
        self.fails_at = 0
        self.for_good = False

    def journal(self, lab: str) -> FakeJournal:
        """Return the memory of a lab, of which each call may fail."""
        return _Failing(lab, self)

    def call(self, name: str) -> None:
        """Note a call; raises `OSError` where it is to fail."""
        self.calls.append(name)
        number = len(self.calls)
        if number == self.fails_at or (self.for_good and 0 < self.fails_at < number):
            raise OSError(errno.EIO, "Input/output error", "/run/netloom")

    @property
    def whole(self) -> tuple[object, object]:
        """All that there is, and all that is noted."""
        notes = {lab: dict(notes) for lab, notes in self._disk.notes.items()}
        return {lab: dict(netns) for lab, netns in self._netns.items()}, notes


class _Failing(FakeJournal):
    def __init__(self, lab: str, machine: Broken) -> None:
        super().__init__(lab, machine._disk)
        self.machine = machine


def _may_fail(name: str) -> None:
    whole = getattr(FakeJournal, name)

    def call(self: _Failing, *args: object, **keys: object) -> object:
        self.machine.call(name)
        return whole(self, *args, **keys)

    setattr(_Failing, name, call)


CALLS = [name for name in vars(FakeJournal) if name == "__enter__" or not name.startswith("_")]
"""All that a memory is asked; to let go of its lock cannot fail."""
for each in CALLS:
    _may_fail(each)


def broken(at: int, *, for_good: bool) -> Broken:
    """Return a machine with a lab, of which the disk fails from now on."""
    machine = Broken()
    machine.up("name: other\nlinks: [[a, b]]\n")
    machine.up(PAIR)
    machine.up(PAIR.replace("blue", "green"))
    machine.up(PAIR)
    machine.calls.clear()
    machine.fails_at, machine.for_good = at, for_good
    return machine


@pytest.mark.parametrize("act", (CHANGING | LOOKING).values(), ids=CHANGING | LOOKING)
def test_where_the_memory_fails_nothing_is_touched(act: Callable[[Broken], object]) -> None:
    """Each call of it raises: a verb that opened the disk by itself would go on, or die of it."""
    machine = broken(1, for_good=True)
    before = machine.whole
    with pytest.raises(Unavailable, match=r"the machine refused: .*Input/output error"):
        act(machine)
    assert machine.whole == before


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("act", CHANGING.values(), ids=CHANGING)
def test_wherever_the_memory_fails_it_is_told_what_became_of_it(
    act: Callable[[Broken], object], *, for_good: bool
) -> None:
    """Nothing was touched, all was undone, or what is left is said; others are as they were."""
    for at in range(1, 99):
        machine = broken(at, for_good=for_good)
        before, others = machine.whole, machine.netns("other")
        answer = told(act, machine)
        if isinstance(answer, Unavailable):
            assert machine.whole == before
        elif answer and answer.undone:
            assert machine.whole[0] == before[0]
        assert machine.netns("other") == others
        ended = len(machine.calls) < at
        machine.fails_at = 0
        for lab in ("lab", "none"):
            machine.down(lab)
        assert machine.labs() == ["other"]
        if ended:
            return


def told(act: Callable[[Broken], object], machine: Broken) -> Refused | Unavailable | None:
    """Return what an act was refused for, None if it was not."""
    try:
        act(machine)
    except (Refused, Unavailable) as error:
        return error
    return None


# ── what is opened ────────────────────────────────────────────────────────────────────────

_HEARD: list[list[str]] = []


def _hear(event: str, args: tuple[object, ...]) -> None:
    if _HEARD and event.startswith(("open", "os.", "socket.", "fcntl.", "subprocess.")):
        _HEARD[-1].append(f"{event} {args}")


@functools.cache
def _begin_to_hear() -> None:
    sys.addaudithook(_hear)  # for good: Python knows no other way


@contextmanager
def heard() -> Iterator[list[str]]:
    """Yield what is opened, listed, made or removed in the block, as Python audits it."""
    _begin_to_hear()
    _HEARD.append([])
    try:
        yield _HEARD[-1]
    finally:
        _HEARD.clear()


def test_no_verb_opens_anything_of_the_machine_that_python_runs_on() -> None:
    """Once its modules are there: no file, no folder, no socket."""
    for _ in range(2):
        machine = FakeMachine()
        machine.up(PAIR)
        with heard() as opened:
            for act in (*LOOKING.values(), *CHANGING.values()):
                act(machine)
    assert opened == []

    with heard() as opened:
        engine.labs(LocalMachine())
    assert opened == ["os.listdir ('/run/netloom/labs',)"]
