"""Ctrl-C while the kernel is being changed: noticed between two batches, never in the middle.

Should: surround every plan that is carried out.
Mustn't: swallow an interrupt: whoever holds the brake asks it afterwards, and undoes.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Brake:
    """Whether somebody wants to stop."""

    def __init__(self) -> None:
        """Nobody does yet."""
        self._pulled = threading.Event()

    def pull(self, number: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a handler's shape
        """Ask for a stop."""
        self._pulled.set()

    @property
    def pulled(self) -> bool:
        """Whether a stop was asked for."""
        return self._pulled.is_set()


@contextmanager
def brake() -> Iterator[Brake]:
    """Catch the signals that ask to stop, while the block runs; only a main thread gets any."""
    handle = Brake()
    if threading.current_thread() is not threading.main_thread():
        yield handle
        return
    before = {number: signal.signal(number, handle.pull) for number in _SIGNALS}
    try:
        yield handle
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
