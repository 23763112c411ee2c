"""Forking where the program may have threads: the child does only what it is here for, and ends."""

import os
import sys
import threading
import warnings
from contextlib import suppress

_QUIET = threading.Lock()
"""Filters of warnings are the process's: one thread at a time puts them aside and back."""


def fork() -> int:
    """Fork, with nothing in the streams that both would print; 0 in the child.

    That the program may have threads is known, and meant: the child only does what it is here for.
    Raises `OSError` where the machine allows no more processes.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
