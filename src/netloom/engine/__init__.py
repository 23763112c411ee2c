"""The front door: the verbs that users call.

    up      apply(diff(desired, now))           plan, verify   diff(desired, now), shown
    down    apply(diff(nothing, owned now))     undo           apply(diff(before, now))

One algorithm; what differs is what is desired, and what follows a refusal. `up` stops at the first,
undoes, and says so; `down` goes on and tells all that it could not remove.
"""

from netloom.engine.change import TIMEOUT, Progress, undo, up
from netloom.engine.dependents import guests_first
from netloom.engine.down import down
from netloom.engine.draft import Draft, draft, plan
from netloom.engine.files import DEFAULT_FILE, default_name, lab_name, load
from netloom.engine.report import Past, Report, Running
from netloom.engine.verify import labs, moved, pasts, uncovered, verify

__all__ = [
    "DEFAULT_FILE",
    "TIMEOUT",
    "Draft",
    "Past",
    "Progress",
    "Report",
    "Running",
    "default_name",
    "down",
    "draft",
    "guests_first",
    "lab_name",
    "labs",
    "load",
    "moved",
    "pasts",
    "plan",
    "uncovered",
    "undo",
    "up",
    "verify",
]
