"""Threads whose start is refused where there is no room for one, and never waited for in vain."""

import threading
from collections.abc import Callable
from errno import EAGAIN, ENOMEM

from netloom.errors import KernelError


class Thread(threading.Thread):
    """A thread that a program does not wait for at its end."""

    def __init__(self, name: str, target: Callable[[], None] | None = None) -> None:
        """Have a name, and not begin yet."""
        super().__init__(name=name, target=target, daemon=True)
        self.has_failed = False

    def start(self) -> None:
        """Begin; raises `KernelError` where the machine allows no more threads (clone(2))."""
        try:
            super().start()
        except RuntimeError as error:
            if "start new thread" not in str(error):  # a program's very end is no refusal
                raise
            raise KernelError(EAGAIN, "clone", "no thread can be started") from error
        if self.has_failed:
            _has_begun(self).clear()  # to whoever lists threads it is one that was not started
            raise KernelError(ENOMEM, "clone", "a thread ended before its first step")

    @property
    def _bootstrap(self) -> "_FirstStep":
        """What CPython calls on the new thread, and lets go of when that ends, however it ends."""
        return _FirstStep(self, super()._bootstrap)  # type: ignore[misc] # its own


class _FirstStep:
    """What a thread begins with; the last reference to it is the thread's.

    `threading.Thread.start` waits for a word of the new thread. One that has no memory to come to
    that word ends without it, and CPython waits for ever.
    """

    def __init__(self, thread: Thread, call: Callable[[], None]) -> None:
        self._thread = thread
        self._call = call

    def __call__(self) -> None:
        self._call()

    def __del__(self) -> None:
        has_begun = _has_begun(self._thread)
        if not has_begun.is_set():
            self._thread.has_failed = True
            has_begun.set()


def _has_begun(thread: Thread) -> threading.Event:
    """Return what `threading.Thread.start` waits for."""
    return thread._started  # type: ignore[attr-defined,no-any-return] # noqa: SLF001 - CPython's
