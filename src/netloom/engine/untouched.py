"""What any error means before a change begins: that there is none."""

from collections.abc import Iterator
from contextlib import contextmanager

from netloom.errors import FAILURES, prevented


@contextmanager
def untouched() -> Iterator[None]:
    """Have whatever is met in the block, or in the function, be told as what prevents it.

    Raises `Unavailable` in place of any of `FAILURES`.

    Mustn't: be around a change: from its journal on, `transaction.carry_out` tells what it meets.
    """
    try:
        yield
    except FAILURES as error:
        raise prevented(error) from error
