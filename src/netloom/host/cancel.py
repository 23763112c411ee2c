"""Ctrl-C while the kernel is being changed: noticed between two batches, never in the middle.

Should: surround every plan that is carried out.
Mustn't: swallow an interrupt: whoever has the `Cancel` asks it afterwards, and undoes.
"""

import os
import signal
import threading
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that ask to stop."""


class Cancel:
    """Whether somebody wants to stop."""

    def __init__(self) -> None:
        """Nobody does yet."""
        self.caught: list[int] = []
        self._event = -1

    def cancel(self, number: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a handler's shape
        """Ask for a stop."""
        self.caught.append(number)
        if self._event >= 0:
            os.eventfd_write(self._event, 1)

    def fileno(self) -> int:
        """Return what becomes readable (poll(2)) when a stop is asked for, or was already."""
        if self._event < 0:
            self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            if self.caught:
                os.eventfd_write(self._event, 1)
        return self._event

    def close(self) -> None:
        """Let go of that."""
        event, self._event = self._event, -1
        if event >= 0:
            with suppress(OSError):
                os.close(event)

    @property
    def cancelled(self) -> bool:
        """Whether a stop was asked for."""
        return bool(self.caught)


class cancellable:  # noqa: N801 - a context manager that reads as a verb
    """Catch the signals that ask to stop, while the block runs; only a main thread gets any."""

    only_handled = False
    """Whether only those are caught for which the program has a handler of its own."""

    def __init__(self) -> None:
        """Catch nothing yet."""
        self.handle = self._own = Cancel()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Cancel:
        """Return what is told of them; inside another such block, what that one is told."""
        if threading.current_thread() is not threading.main_thread():
            return self.handle
        for number in SIGNALS:
            handler = signal.getsignal(number)
            outer = getattr(handler, "__self__", None)
            if isinstance(outer, Cancel):
                self.handle = outer
            elif callable(handler) or (handler is not signal.SIG_IGN and not self.only_handled):
                self._before[number] = handler
        for number in self._before:
            with suppress(OSError):
                signal.signal(number, self.handle.cancel)
        return self.handle

    def __exit__(self, *_: object) -> None:
        """Leave all signals to whom they were; the one that raises, Ctrl-C, comes last."""
        self._own.close()
        for number, handler in reversed(self._before.items()):
            with suppress(OSError):  # what was done is done
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


class deferred_signals(cancellable):  # noqa: N801
    """Catch the signals that ask to stop, as `cancellable`; deliver them when the block is done.

    For what a program must not be torn out of: Ctrl-C then comes right after it. A signal that ends
    the process at once still does, unless `deadly`: then it does so afterwards.
    """

    def __init__(self, *, deadly: bool = False) -> None:
        """Catch nothing yet."""
        super().__init__()
        self.only_handled = not deadly

    def __exit__(self, *_: object) -> None:
        """Deliver what came."""
        try:
            super().__exit__()
        finally:
            with ExitStack() as stack:
                for number in reversed(self._before):
                    if number in self.handle.caught:
                        stack.callback(signal.raise_signal, number)  # each, whatever another raises
