"""A wire made by hand: a veth between two namespaces, whole or not at all.

Both ends are born in place by one message, down; what the kernel does not take at birth follows:
altnames, addresses, and that they are up. It is nobody's lab: no end bears a mark.

Rule: after the first message there is one thing to undo, the wire; deleting one end deletes both.
"""

import errno
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from netloom.errors import Interrupted, KernelError, NetloomError, Refused, Unavailable
from netloom.host.brake import Brake, brake
from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import Addr, End, Link, Veth
from netloom.namespaces.enter import enter
from netloom.namespaces.targets import Target
from netloom.values import IFNAMSIZ
from netloom.wire.moved import get_altname
from netloom.wire.rtnetlink import (
    Message,
    Peer,
    addr_add,
    altname_add,
    get_link,
    link_add,
    link_del,
    link_set,
    read_links,
)

_ROOT = "run it as root"
_INTERRUPTED = "interrupted; the wire is gone again"


class WireEnd(NamedTuple):
    """One end to be made: where, its name, its longer name if any, its addresses."""

    target: Target
    link: str
    altname: str
    addrs: tuple[Addr, ...]

    @property
    def name(self) -> str:
        """The end as people write it: `red:blue`."""
        return f"{self.target.text}:{self.link}"


class _Step(NamedTuple):
    """What is to be done at an end: in words, as a command, and the message that does it."""

    words: str
    command: str
    message: Message


def conversation(target: Target) -> Rtnetlink:
    """Open a conversation with a namespace; raises `Unavailable` where it may not be entered."""
    try:
        return enter(target.netns, Rtnetlink)
    except KernelError as error:
        reason = f"cannot enter `{target.text}`: {error.strerror}"
        raise Unavailable(reason, _ROOT if error.errno == errno.EPERM else "") from error


def is_taken(rt: Rtnetlink, name: str) -> bool:
    """Whether an interface of this name or altname is there."""
    try:
        rt.ask(get_link(name) if len(name.encode()) < IFNAMSIZ else get_altname(name))
    except KernelError as error:
        if error.errno == errno.ENODEV:
            return False
        raise
    return True


def make(near: WireEnd, far: WireEnd, mtu: int) -> None:
    """Make a wire; raises `Unavailable` before anything is touched, `Refused` when it is undone."""
    with conversation(near.target) as here, conversation(far.target) as there:
        for rt, end in ((here, near), (there, far)):
            _check_free(rt, end)
        with brake() as stop:
            _bear(here, near, far, mtu)
            try:
                _finish(here, near, stop)
                _finish(there, far, stop)
            except (NetloomError, KernelError):
                with suppress(KernelError):
                    here.batch([link_del(name=near.link)])
                raise


def _check_free(rt: Rtnetlink, end: WireEnd) -> None:
    for name in filter(None, (end.link, end.altname)):
        if is_taken(rt, name):
            reason = f"there is an interface `{name}` in `{end.target.text}` already"
            raise Unavailable(reason, f"name another: {end.target.text}:NAME")


def _bear(rt: Rtnetlink, near: WireEnd, far: WireEnd, mtu: int) -> None:
    ends = [End(end.target.label, end.link) for end in (near, far)]
    link, peer = (Link(kind=Veth(peer=other), mac="", mtu=mtu) for other in reversed(ends))
    there = Peer(far.link, peer, netns_fd=far.target.netns.fd)
    command = f"{near.target.ip} link add {near.link} mtu {mtu} type veth peer {far.link} …"
    try:
        rt.batch([link_add(near.link, link, peer=there)])
    except KernelError as error:
        if error.errno == errno.EPERM:
            reason = f"needs root: {command}: {error.strerror}"
            raise Unavailable(reason, _ROOT) from error
        raise Refused(f"wire {near.name} -- {far.name}", error, asked=command) from error


def _finish(rt: Rtnetlink, end: WireEnd, stop: Brake) -> None:
    for step in _rest(end, read_links([rt.ask(get_link(end.link))])[0].index):
        try:
            rt.batch([step.message])
        except KernelError as error:
            command = f"{end.target.ip} {step.command}"
            remedy = _remedy(step, error)
            raise Refused(step.words, error, asked=command, remedy=remedy) from error
        if stop.pulled:
            raise Interrupted(_INTERRUPTED)


def _rest(end: WireEnd, index: int) -> Iterator[_Step]:
    name, link = end.name, end.link
    if end.altname:
        command = f"link property add dev {link} altname {end.altname}"
        yield _Step(f"altname {end.altname} of {name}", command, altname_add(index, end.altname))
    for addr in end.addrs:
        message = addr_add(index, addr)
        yield _Step(f"address {addr} of {name}", f"addr add {addr} dev {link}", message)
    yield _Step(f"{name} up", f"link set dev {link} up", *link_set(index, up=True))


def _remedy(step: _Step, error: KernelError) -> str:
    if "address" in step.words and ":" in step.command.partition(" dev ")[0]:
        if error.errno in {errno.EACCES, errno.EPERM}:
            return "IPv6 is off there (net.ipv6.conf.all.disable_ipv6)"
        if error.errno in {errno.EINVAL, errno.ENODEV}:
            return "IPv6 needs an MTU of 1280 bytes at least"
    return ""
