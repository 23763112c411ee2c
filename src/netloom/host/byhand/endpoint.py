"""An interface in a namespace, as people say it, and what it takes to speak of it."""

import errno
from typing import NamedTuple, Self

from netloom.errors import KernelError, Unavailable
from netloom.host.observe.cannot_look import looking
from netloom.kernel.netlink import Rtnetlink
from netloom.namespaces.enter import enter
from netloom.namespaces.targets import Target
from netloom.values import IFNAMSIZ
from netloom.wire.relocate import get_altname
from netloom.wire.rtnetlink import dump_links, get_link, read_links


class Endpoint(NamedTuple):
    """An interface in a namespace, there or to be there, and a conversation with that."""

    target: Target
    link: str
    rt: Rtnetlink

    def __str__(self) -> str:
        """Return it as people write it: `red:eth0`."""
        return f"{self.target.text}:{self.link}"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the conversation."""
        self.rt.close()


def open_endpoint(target: Target, link: str) -> Endpoint:
    """Begin to speak of an interface; raises `Unavailable` where that is not possible."""
    with looking():
        return Endpoint(target, link, conversation(target))


def conversation(target: Target) -> Rtnetlink:
    """Open a conversation with a namespace; raises `Unavailable` where it may not be entered."""
    try:
        return enter(target.netns, Rtnetlink)
    except KernelError as error:
        reason = f"cannot enter `{target.text}`: {error.strerror}"
        raise Unavailable(reason, "run it as root" if error.errno == errno.EPERM else "") from error


def is_taken(rt: Rtnetlink, name: str) -> bool:
    """Whether an interface of this name or altname is there."""
    try:
        rt.ask(get_link(name) if len(name.encode()) < IFNAMSIZ else get_altname(name))
    except KernelError as error:
        if error.errno == errno.ENODEV:
            return False
        raise
    return True


def free_index(rt: Rtnetlink, wanted: int) -> int:
    """Return an index that no interface has, `wanted` if that is free."""
    taken = {link.index for link in read_links(rt.dump(dump_links()))}
    return wanted if wanted not in taken else max(taken) + 1
