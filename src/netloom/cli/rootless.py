"""The command line of a plain user: carried out in namespaces of that user's own.

They are made for the first command, and end with the last that has left nothing in them, be it
by a signal: whoever is interrupted in there tidies up and then dies of it.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from netloom.cli.output import tell, words_of
from netloom.errors import Unavailable
from netloom.host.cancel import SIGNALS, deferred_signals
from netloom.host.rootless.entry import Session
from netloom.namespaces.userns_session import is_needed, keep_machines_run


def enter(*, start: bool) -> Callable[[], None] | None:
    """Move into the user's namespaces, made first if told; None where that is not needed.

    What is returned ends them, if nothing is left there.
    """
    if not is_needed():
        return None
    try:
        keep_machines_run()
        holder = Session()
        _tidy_on_signals(holder)
        with deferred_signals(deadly=True):
            entered = holder.enter(start=start)
    except Unavailable as error:
        why = words_of(error)
    except OSError as error:
        why = f"cannot keep namespaces of your own: {error}"
    else:
        return (lambda: _tidy(holder)) if entered else None
    tell(f"{why}\nnothing was touched")
    sys.exit(2)


def _tidy(holder: Session) -> None:
    with deferred_signals(deadly=True):
        holder.tidy()


def _tidy_on_signals(holder: Session) -> None:
    """Have a signal that asks to stop end the namespaces, too, if nothing is left there."""
    own = os.getpid()

    def die(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's shape
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if os.getpid() == own:  # not in a child that has become no command yet
            holder.tidy()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:  # else it is ignored
            signal.signal(number, die)
