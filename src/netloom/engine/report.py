"""What the verbs of a lab tell."""

from collections.abc import Iterator

from msgspec import Struct

from netloom.model.lab_state import LabState
from netloom.model.objects import Desired
from netloom.plan.steps import Plan


class Report(Struct, frozen=True):
    """What a verb did. `seconds` is how long it took, `notes` what the user should know besides."""

    lab: str
    plan: Plan
    desired: Desired
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


class Verified(Struct, frozen=True):
    """What `up` would do so that all is as it was applied; nothing, if it is."""

    plan: Plan
    notes: tuple[str, ...] = ()


def forged_notes(lab: str, snapshot: LabState) -> Iterator[str]:
    """Yield what to say of things that bear the mark of a lab, and are not its own."""
    for thing in snapshot.foreign.forged:
        yield f"{thing} bears the mark of the lab `{lab}`, and is not its own: left alone"
