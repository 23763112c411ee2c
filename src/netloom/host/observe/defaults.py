"""What a namespace begins with on this machine, and which links its kernel can make.

Mustn't: be called on a thread that is needed elsewhere: it stays in the namespace that it makes.
"""

from collections.abc import Iterable
from errno import EINVAL

from netloom.errors import KernelError, Unavailable
from netloom.host import sysctl
from netloom.kernel import syscalls
from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import Word
from netloom.wire.rtnetlink import dump_links, kind_add, read_links

_MADE: set[Word] = set()
"""Kinds of links that this kernel was seen to make: that does not change while a program runs."""


def is_made(kinds: Iterable[Word]) -> bool:
    """Whether these kinds of links are known to be made here."""
    return _MADE.issuperset(kinds)


def observe_defaults(keys: Iterable[str], kinds: Iterable[Word]) -> tuple[dict[str, str], int]:
    """Make a nameless namespace; return its sysctls `keys`, and the highest index of its links.

    `kinds` of links are tried there; raises `Unavailable` for one that this kernel lacks.
    """
    syscalls.unshare(syscalls.CLONE_NEWNET)
    values = sysctl.read(keys)
    with Rtnetlink() as rt:
        links = max(link.index for link in read_links(rt.dump(dump_links())))
        for kind in sorted(set(kinds) - _MADE):
            _try_kind(rt, kind)
            _MADE.add(kind)
    return values, links


def _try_kind(rt: Rtnetlink, kind: Word) -> None:
    """Make a link of a kind, so that a kernel without it is known before anything is touched.

    No more than the kind is said; that this does not do (EINVAL) only a kernel says that has it.
    """
    try:
        rt.batch([kind_add(f"a-{kind}", kind)])  # a wire's far end becomes `veth0`
    except KernelError as error:
        if error.errno == EINVAL:
            return
        reason = f"this kernel makes no links of the kind `{kind}`: {error.strerror}"
        raise Unavailable(reason, f"modprobe {kind}, or CONFIG_{kind.upper()}") from error
