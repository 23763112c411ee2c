"""Namespace ids: the small numbers by which one namespace speaks of another (ip-netns(8)).

An id is relative: it is what the namespace of the *socket* calls another one. It is given once,
never changed, and goes when the namespace that it stands for dies.
"""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netloom.errors import KernelError
from netloom.kernel.netlink import Rtnetlink
from netloom.namespaces.handle import NETNS_DIR
from netloom.wire.attributes import number, offsets, u32
from netloom.wire.constants import NETNSA_FD, NETNSA_NSID, NLM_F_DUMP, RTM_GETNSID, RTM_NEWNSID
from netloom.wire.message import Message
from netloom.wire.nsid import nsid_get, read_nsid

NETNSA_TARGET_NSID = 4
NETNSA_CURRENT_NSID = 5

AUTO = -1
"""An id of the kernel's choice, the smallest that is free."""

_RTGENMSG = b"\0\0\0\0"  # struct rtgenmsg, padded: AF_UNSPEC
_NONE = 0xFFFF_FFFF
_AT_ONCE = 32  # so many names are open at a time


class KnownIds(NamedTuple):
    """A namespace that has an id; `current` is what ours calls one that was listed in another.

    `current` is None where ours has no id for it, and -1 where no other namespace was asked.
    """

    nsid: int
    current: int | None


def assign(route: Rtnetlink, fd: int, nsid: int = AUTO) -> None:
    """Give the namespace that `fd` is open on an id; raises `KernelError` (EEXIST: it has one)."""
    body = _RTGENMSG + u32(NETNSA_FD, fd) + u32(NETNSA_NSID, nsid & _NONE)
    route.batch((Message(RTM_NEWNSID, 0, body),))


def ids(route: Rtnetlink, names: Sequence[str]) -> Iterator[int | KernelError | None]:
    """Yield the id of each name: None where it has none or cannot be opened, or the refusal."""
    for begin in range(0, len(names), _AT_ONCE):
        fds = [_opened(name) for name in names[begin : begin + _AT_ONCE]]
        try:
            there = [fd for fd in fds if fd is not None]
            answers = iter(route.ask_each([nsid_get(fd) for fd in there]))
        finally:
            for held in there:
                os.close(held)
        for fd in fds:
            answer = None if fd is None else next(answers)
            yield read_nsid(answer) if isinstance(answer, bytes) else answer


def _opened(name: str) -> int | None:
    try:
        return os.open(f"{NETNS_DIR}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def known(route: Rtnetlink, target: int = AUTO) -> list[KnownIds]:
    """Return all that have an id, in our namespace or in the one that we call `target`."""
    request = Message(RTM_GETNSID, NLM_F_DUMP, _RTGENMSG + _target(target))
    return [_read(payload) for payload in route.dump(request)]


def known_as(route: Rtnetlink, nsid: int, target: int = AUTO) -> KnownIds:
    """Return the one that we call `nsid`, and what `target` calls it."""
    body = _RTGENMSG + u32(NETNSA_NSID, nsid) + _target(target)
    return _read(route.ask(Message(RTM_GETNSID, 0, body)))


def _target(target: int) -> bytes:
    return b"" if target < 0 else u32(NETNSA_TARGET_NSID, target)


def _read(payload: bytes) -> KnownIds:
    at = offsets(payload, 4, len(payload))
    nsid = _signed(number(payload, at, NETNSA_NSID, _NONE))
    if NETNSA_CURRENT_NSID not in at:
        return KnownIds(nsid, -1)
    current = _signed(number(payload, at, NETNSA_CURRENT_NSID))
    return KnownIds(nsid, None if current < 0 else current)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value
