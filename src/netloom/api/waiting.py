"""Waiting until what a program has started listens: the kernel tells nobody, so it is asked."""

import os
import select
import time
from subprocess import Popen  # noqa: TC003 - what is waited for
from typing import Any

from netloom.errors import NotReady
from netloom.host.commands.wait_ready import FIRST, LONGEST, SLOWER, listens
from netloom.kernel.netlink import Rtnetlink
from netloom.model.ready import Ready


def wait_for(
    process: "Popen[Any]", wanted: Ready, diag: Rtnetlink, *, name: str, timeout: float
) -> None:
    """Return when something listens as `wanted` says, where `diag` can be asked for it.

    Raises `NotReady` when the process ends before that, or after seconds of `timeout`.
    """
    began = time.monotonic()
    pause = FIRST
    ended = os.pidfd_open(process.pid)
    try:
        while not listens(wanted, diag, process.pid):
            if select.select([ended], [], [], pause)[0]:
                status = process.wait()
                reason = f"{name} ended with status {status}, and nothing listens on {wanted}"
                raise NotReady(reason, round(time.monotonic() - began, 2))
            if time.monotonic() > began + timeout:
                raise NotReady(f"{name} is running, but nothing listens on {wanted}", timeout)
            pause = min(pause * SLOWER, LONGEST)
    finally:
        os.close(ended)
