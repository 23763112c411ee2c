"""The front door: the verbs that users call.

    up      apply(diff(desired, now))           plan, verify   diff(desired, now), shown
    down    apply(diff(nothing, owned now))     undo           apply(diff(before, now))

One algorithm; what differs is what is desired, and what follows a refusal. `up` stops at the first,
undoes, and says so; `down` goes on and tells all that it could not remove.
"""

from netloom.lab.change import TIMEOUT, Progress, undo, up
from netloom.lab.drafts import Draft, draft, plan
from netloom.lab.end import down
from netloom.lab.files import DEFAULT_FILE, default_name, lab_name, load
from netloom.lab.guests import guests_first
from netloom.lab.look import labs, moved, pasts, uncovered, verify
from netloom.lab.report import Past, Report, Running

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
