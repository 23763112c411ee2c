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
        self.caught: list[int] = []

    def pull(self, number: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a handler's shape
        """Ask for a stop."""
        self.caught.append(number)
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
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def held_back() -> Iterator[Brake]:
    """Catch the signals that ask to stop, as `brake`, and deliver them when the block is done.

    For what a program must not be torn out of: Ctrl-C then comes right after it.
    """
    caught: list[int] = []
    try:
        with brake() as handle:
            caught = handle.caught
            yield handle
    finally:
        for number in dict.fromkeys(caught):
            signal.raise_signal(number)
