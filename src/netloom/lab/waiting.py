"""Waiting until what a program has started listens: the kernel tells nobody, so it is asked."""

import os
import select
import time
from subprocess import Popen  # noqa: TC003 - what is waited for
from typing import Any

from netloom.errors import NotReady
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.sockets import file_at, listeners, unix_listeners
from netloom.model.ready import Ready

_FIRST, _SLOWER, _LONGEST = 0.001, 1.5, 0.05
"""Seconds between two questions: the first pause, how much longer each is, and the longest."""


def wait_for(
    process: "Popen[Any]", wanted: Ready, diag: Rtnetlink, *, name: str, timeout: float
) -> None:
    """Return when something listens as `wanted` says, where `diag` can be asked for it.

    Raises `NotReady` when the process ends before that, or after seconds of `timeout`.
    """
    began = time.monotonic()
    pause = _FIRST
    ended = os.pidfd_open(process.pid)
    try:
        while not _listens(wanted, diag):
            if select.select([ended], [], [], pause)[0]:
                status = process.wait()
                reason = f"{name} ended with status {status}, and nothing listens on {wanted}"
                raise NotReady(reason, round(time.monotonic() - began, 2))
            if time.monotonic() > began + timeout:
                raise NotReady(f"{name} is running, but nothing listens on {wanted}", timeout)
            pause = min(pause * _SLOWER, _LONGEST)
    finally:
        os.close(ended)


def _listens(wanted: Ready, diag: Rtnetlink) -> bool:
    if wanted.kind in {"tcp", "udp"}:
        return any(each.port == wanted.port for each in listeners(diag, wanted.kind))
    file = None if wanted.text[0] == "@" else file_at(wanted.text)
    return any(
        each.name == wanted.text or (file is not None and each.file == file)
        for each in unix_listeners(diag)
    )
