"""What the verbs of a lab tell."""

from collections.abc import Iterator

from msgspec import Struct

from netloom.model.lab_state import LabState
from netloom.model.objects import Desired
from netloom.plan.steps import Plan


class Report(Struct, frozen=True):
    """What a verb did. `seconds` is how long it took, `notes` what the user should know besides.

    `left`: the host is not as it was before the lab, and a note says of what nobody knows it.
    """

    lab: str
    plan: Plan
    desired: Desired
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    left: bool = False


class Verified(Struct, frozen=True):
    """What `up` would do so that all is as it was applied; nothing, if it is."""

    plan: Plan
    notes: tuple[str, ...] = ()


def found_notes(lab: str, snapshot: LabState) -> Iterator[str]:
    """Yield what to say of what was found beside a lab: forged marks, and notes that are lost."""
    for key in snapshot.foreign.lost:
        yield (
            f"what `{key}` was before is not known any more, its note could not be read: "
            "no lab restores it"
        )
    for thing in snapshot.foreign.forged:
        yield f"{thing} bears the mark of the lab `{lab}`, and is not its own: left alone"
