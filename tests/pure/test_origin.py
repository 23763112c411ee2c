"""Whose a lab is (`engine/origin.py`): each verb and each place, as a table, on a fake machine."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from netloom.engine.draft import plan
from netloom.engine.front import down, undo, up, verify
from netloom.engine.origin import lab_name
from netloom.errors import Unavailable
from netloom.host.store.remake import STDIN
from netloom.language.parse import Source, parse
from netloom.testing import FakeMachine

FIRST, SECOND = "namespaces: [a]\n", "namespaces: [b]\n"
HOME = "/srv/one/lab/netloom.yaml"


class Asked(NamedTuple):
    """What a verb is asked for, beside a lab that `HOME` or a text made."""

    where: str
    text: str = SECOND
    said: bool = False
    """Whether the text, or `--name`, says the lab's name."""


class Case(NamedTuple):
    """A lab that is up from somewhere, what is asked for, and whether that is another."""

    made: str
    asked: Asked
    files: dict[str, int]
    another: bool


SAME, LINK, OTHER = HOME, "/srv/current/netloom.yaml", "/srv/two/lab/netloom.yaml"
TABLE = {
    "same path": Case(HOME, Asked(SAME), {HOME: 1}, another=False),
    "same path, which is gone": Case(HOME, Asked(SAME), {}, another=False),
    "other path": Case(HOME, Asked(OTHER), {HOME: 1, OTHER: 2}, another=True),
    "other path, same text": Case(HOME, Asked(OTHER, FIRST), {HOME: 1, OTHER: 2}, another=True),
    "other path, which says the name": Case(
        HOME, Asked(OTHER, said=True), {HOME: 1, OTHER: 2}, another=True
    ),
    "recorded path gone": Case(HOME, Asked(OTHER), {OTHER: 2}, another=False),
    "moved folder": Case(HOME, Asked(OTHER, FIRST), {OTHER: 1}, another=False),
    "symlinked path": Case(HOME, Asked(LINK), {HOME: 1, LINK: 1}, another=False),
    "stdin beside a file": Case(HOME, Asked(STDIN, said=True), {HOME: 1}, another=True),
    "stdin, the file's text": Case(HOME, Asked(STDIN, FIRST), {HOME: 1}, another=False),
    "stdin, the file gone": Case(HOME, Asked(STDIN), {}, another=True),
    "stdin, the file gone, name said": Case(HOME, Asked(STDIN, said=True), {}, another=False),
    "stdin twice": Case(STDIN, Asked(STDIN), {}, another=True),
    "stdin twice, same text": Case(STDIN, Asked(STDIN, FIRST), {}, another=False),
    "stdin twice, name said": Case(STDIN, Asked(STDIN, said=True), {}, another=False),
    "file beside stdin": Case(STDIN, Asked(OTHER, said=True), {OTHER: 2}, another=True),
    "file of the text": Case(STDIN, Asked(OTHER, FIRST), {OTHER: 2}, another=False),
    "program beside stdin": Case(STDIN, Asked("<lab>", said=True), {}, another=True),
    "program beside a file": Case(HOME, Asked("<lab>", said=True), {HOME: 1}, another=True),
    "program twice": Case("<lab>", Asked("<lab>"), {}, another=True),
    "program twice, name said": Case("<lab>", Asked("<lab>", said=True), {}, another=False),
}


def source(where: str, text: str, *, said: bool) -> Source:
    """Return a text as that of the lab `lab`."""
    read = parse(text, file=where)
    return read.named("lab") if said else read.called("lab")


def a_machine(case: Case) -> FakeMachine:
    """Return a machine on which the first lab is up."""
    machine = FakeMachine()
    machine.up(source(case.made, FIRST, said=True))
    machine.files = case.files
    return machine


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
@pytest.mark.parametrize("verb", [up, plan], ids=["up", "plan"])
def test_up_and_plan_refuse_another_file_s_lab(case: Case, verb: Callable[..., object]) -> None:
    """And touch nothing; with `--replace` they do it."""
    machine = a_machine(case)
    wanted = source(case.asked.where, case.asked.text, said=case.asked.said)
    if case.another:
        with pytest.raises(Unavailable, match="the lab `lab` is up from "):
            verb(wanted, machine)
        assert set(machine.netns()) == {"a"}
    verb(wanted, machine, replacing=case.another)
    expected = "b" if case.asked.text == SECOND and verb is up else "a"
    assert set(machine.netns()) == {expected}


FILES = {name: case for name, case in TABLE.items() if case.asked.where.startswith("/")}


@pytest.mark.parametrize("case", FILES.values(), ids=FILES)
@pytest.mark.parametrize("verb", [down, undo, verify], ids=["down", "undo", "verify"])
def test_other_verbs_take_no_file_for_another_s(
    case: Case, verb: Callable[..., object], tmp_path: Path
) -> None:
    """FILE means the lab that was made from it, and never one of its name that was not."""
    machine, text = a_machine(case), case.asked.text
    path = tmp_path / f"{len(case.asked.where)}/lab/netloom.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    here = {
        where: str(path) if where == case.asked.where else where for where in (HOME, OTHER, LINK)
    }
    if case.made == case.asked.where:  # it was made from the very file
        machine = FakeMachine()
        machine.up(source(str(path), FIRST, said=True))
    machine.files = {here[where]: number for where, number in case.files.items()}
    if case.another:
        with pytest.raises(Unavailable, match="not from this file"):
            lab_name(str(path), machine)
    else:
        assert lab_name(str(path), machine) == "lab"
        assert verb("lab", machine)


def test_what_went_with_a_reboot_is_nobody_s() -> None:
    """Where /run is no tmpfs the record is there, and the lab is not: a unit may start another."""
    machine = a_machine(TABLE["other path"])
    machine.boot = "later"
    assert lab_name(OTHER, machine) is None  # there is no such file here
    up(source(OTHER, SECOND, said=False), machine)
    assert set(machine.netns()) == {"b"}
