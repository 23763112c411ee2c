"""The front door: all verbs, for whoever calls several.

    up      apply(diff(desired, now))           plan, verify   diff(desired, now), shown
    down    apply(diff(nothing, owned now))     undo           apply(diff(before, now))

One algorithm, and one transaction around it (`transaction.py`).
"""

from netloom.engine.dependents import dependents_first
from netloom.engine.down import down
from netloom.engine.draft import Draft, draft, plan
from netloom.engine.origin import lab_name
from netloom.engine.remembered import ANOTHERS, Past, Running, labs, pasts
from netloom.engine.report import Report, Verified
from netloom.engine.topology_file import DEFAULT_FILE, default_name, load, load_stdin
from netloom.engine.transaction import Progress
from netloom.engine.undo import undo
from netloom.engine.until_ready import TIMEOUT
from netloom.engine.up import up
from netloom.engine.verify import moved, shared, verify

__all__ = [
    "ANOTHERS",
    "DEFAULT_FILE",
    "TIMEOUT",
    "Draft",
    "Past",
    "Progress",
    "Report",
    "Running",
    "Verified",
    "default_name",
    "dependents_first",
    "down",
    "draft",
    "lab_name",
    "labs",
    "load",
    "load_stdin",
    "moved",
    "pasts",
    "plan",
    "shared",
    "undo",
    "up",
    "verify",
]
