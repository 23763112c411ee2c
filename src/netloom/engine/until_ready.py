"""The end of a change: its commands get ready, and those that come after others start."""

import time

from msgspec.structs import replace

from netloom.engine.report import Report
from netloom.errors import FAILURES, Interrupted, NotReady, Unavailable
from netloom.host.cancel import Cancel
from netloom.host.machine import Machine

TIMEOUT = 30.0
"""Seconds that commands may take to become ready."""


def until_ready(report: Report, machine: Machine, timeout: float, stop: Cancel) -> Report:
    """Wait until the commands of a lab are ready, `timeout` seconds at the most.

    Raises `NotReady`, or `Interrupted`: then the lab stays as it is.
    """
    lab, desired = report.lab, report.desired
    begun = time.monotonic()
    try:
        machine.wait_ready(lab, desired, timeout, stop)
    except Interrupted:
        left = f"`{lab}` stays up, with commands that are not ready yet"
        where = next((name for name, one in desired.netns.items() if one.commands), "NS")
        raise Interrupted(f"interrupted; {left} (netloom logs {where})") from None
    except (Unavailable, *FAILURES) as error:  # the change is over: nothing is led back
        waited = round(time.monotonic() - begun, 2)
        late = any(command.after for command in desired.commands.values())
        rest = "; whoever comes after others was perhaps not started (netloom up)" if late else ""
        raise NotReady(f"it cannot be waited for: {error}{rest}", waited) from error
    return replace(report, seconds=report.seconds + time.monotonic() - begun)
