"""Threads: one that cannot begin is refused, and never waited for."""

import errno
import sys
import threading

import pytest

from netloom.errors import KernelError
from netloom.kernel.threads import Thread, _FirstStep


class WithoutMemory(Thread):
    """A thread that ends before it comes to any code of its own, as one without memory does."""

    @property
    def _bootstrap(self) -> _FirstStep:
        return _FirstStep(self, [].__getitem__)  # type: ignore[arg-type] # in C: it lacks an index


def test_a_thread_runs_and_ends() -> None:
    """As any, and a program does not wait for it."""
    names: list[str] = []
    thread = Thread("netloom-test", lambda: names.append(threading.current_thread().name))
    thread.start()
    thread.join()
    assert names == ["netloom-test"]
    assert thread.daemon


def test_a_thread_that_ends_before_its_first_step_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CPython waits for it for ever; afterwards it is one that was not started."""
    monkeypatch.setattr(sys, "unraisablehook", id)
    thread = WithoutMemory("netloom-test")
    with pytest.raises(KernelError, match="ended before its first step") as refused:
        thread.start()
    assert refused.value.errno == errno.ENOMEM
    assert not thread.is_alive()
    assert all(repr(one) for one in threading.enumerate())


def test_a_thread_for_which_there_is_no_room_is_refused() -> None:
    """What clone(2) refuses: here a stack larger than the memory."""
    before = threading.stack_size(1 << 46)
    try:
        with pytest.raises(KernelError, match="no thread can be started") as refused:
            Thread("netloom-test").start()
    finally:
        threading.stack_size(before)
    assert refused.value.errno == errno.EAGAIN
