"""What the verbs of a lab tell."""

from typing import NamedTuple

from msgspec import Struct

from netloom.model.objects import Desired
from netloom.plan.steps import Plan


class Report(Struct, frozen=True):
    """What a verb did. `seconds` is how long it took, `notes` what the user should know besides."""

    lab: str
    plan: Plan
    desired: Desired
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


class Past(NamedTuple):
    """A state that `undo` can go back to."""

    number: int
    command: str
    namespaces: int


ANOTHERS = "another user's"
"""The state of a lab of which the name is told, and no more."""


class Running(Struct, frozen=True):
    """A lab that is remembered.

    `state`: `up`, `interrupted`, `gone` with a reboot, `unreadable`, or `ANOTHERS`.
    """

    lab: str
    state: str
    source: str
    namespaces: int
