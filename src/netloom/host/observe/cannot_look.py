"""Why the machine cannot be looked at, in words for whoever asked."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from netloom.errors import FAILURES, KernelError, Unavailable, failure, prevented
from netloom.namespaces.private_run import REMEDY

_MOVES = ("unshare", "nsenter")
"""How what is asked begins where even a nameless namespace could not be made or entered."""


@contextmanager
def looking() -> Iterator[None]:
    """Raise `Unavailable` where looking, which the block does, meets one of `FAILURES`."""
    try:
        yield
    except FAILURES as error:
        raise cannot_look(error) from error


def cannot_look(error: BaseException) -> Unavailable:
    """Return the refusal for one of `FAILURES` that came of looking."""
    refused = failure(error)
    if refused.asked.startswith(_MOVES) and (known := _of_namespaces(refused)):
        return known
    return Unavailable(f"cannot look: {refused}", prevented(error).remedy)


def _of_namespaces(error: KernelError) -> Unavailable | None:
    if error.errno == errno.EPERM:
        return Unavailable(f"needs root: {error.asked}: {error.strerror}", REMEDY)
    if error.errno == errno.ENOSPC:
        limit = "user.max_net_namespaces"
        reason = f"no more network namespaces are allowed ({limit}, user_namespaces(7))"
        return Unavailable(reason, f"sysctl -w {limit}=…, or take labs down")
    if error.errno in {errno.EINVAL, errno.ENOSYS}:
        reason = f"this kernel has no network namespaces (CONFIG_NET_NS): {error}"
        return Unavailable(reason, "boot a kernel that has them")
    return None
