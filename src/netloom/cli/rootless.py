"""The command line of a plain user: carried out in namespaces of that user's own."""

import sys

from netloom.errors import Unavailable
from netloom.host.rootless.holder import Holder
from netloom.namespaces.holder import is_needed


def enter(*, start: bool) -> Holder | None:
    """Move into the user's namespaces, made first if told; None where that is not needed."""
    if not is_needed():
        return None
    try:
        holder = Holder()
        return holder if holder.enter(start=start) else None
    except Unavailable as error:
        why = str(error)
    except OSError as error:
        why = f"cannot keep namespaces of your own: {error}"
    print(f"{why}\nnothing was touched", file=sys.stderr)  # noqa: T201
    sys.exit(2)
