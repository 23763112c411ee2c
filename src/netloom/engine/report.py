"""What the verbs of a lab tell."""

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
