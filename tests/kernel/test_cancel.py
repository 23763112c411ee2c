"""Signals that ask to stop while the kernel is changed: caught, and delivered afterwards."""

import signal

from netloom.host.cancel import cancellable, deferred_signals


def test_signals_are_told_to_whom_they_are_for() -> None:
    """One that is ignored stays so, each other is delivered; a block within one adds nothing."""
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: heard.append(number))
        with deferred_signals() as outer, cancellable() as inner:
            assert outer is inner
            for number in numbers:
                signal.raise_signal(number)
            assert outer.cancelled
            assert heard == []
        assert sorted(heard) == [signal.SIGINT, signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        with cancellable() as alone:
            signal.raise_signal(signal.SIGHUP)
            assert not alone.cancelled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
