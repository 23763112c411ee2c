"""A wire made by hand: a veth between two namespaces, whole or not at all.

Both ends are born in place by one message, down; what the kernel does not take at birth follows:
altnames, addresses, and that they are up. It is nobody's lab: no end bears a mark.

Rule: after the first message there is one thing to undo, the wire; deleting one end deletes both.
It is noted before, with the MAC of its near end, so it is known whatever became of the one who
made it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple

from msgspec.structs import replace

from netloom.errors import (
    FAILURES,
    Interrupted,
    KernelError,
    NetloomError,
    Refused,
    Unavailable,
    failure,
)
from netloom.host.byhand.endpoint import conversation, is_taken
from netloom.host.byhand.undo_log import EndpointId, UndoLog, WireNote
from netloom.host.cancel import Cancel, cancellable
from netloom.host.observe.cannot_look import looking
from netloom.kernel.netlink import Rtnetlink
from netloom.model.objects import Addr, End, Link, Veth
from netloom.namespaces.targets import Target
from netloom.wire.rtnetlink import (
    Message,
    VethPeer,
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


class NewWireEnd(NamedTuple):
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


def make(near: NewWireEnd, far: NewWireEnd, mtu: int) -> None:
    """Make a wire; raises `Unavailable` before anything is touched, `Refused` when it is undone."""
    with ExitStack() as stack:
        with looking():
            here, there = (stack.enter_context(conversation(end.target)) for end in (near, far))
            for rt, end in ((here, near), (there, far)):
                _check_free(rt, end)
            wire = WireNote(
                EndpointId(near.target.text, here.cookie, near.link), far.name, _random_mac()
            )
            stop = stack.enter_context(cancellable())
            log = stack.enter_context(UndoLog())
        number = log.begin(wire)
        try:
            _create(here, near, far, mtu, wire.mac)
            _finish(here, near, stop)
            _finish(there, far, stop)
            log.forget(number)
        except (NetloomError, *FAILURES) as error:
            left = _undone(log, number, here, wire)
            raise _refusal(error, wire, left) from error


def _random_mac() -> str:
    """Return an address that tells a wire of ours from any other of its name."""
    first, *rest = os.urandom(6)
    return bytes([first & 0xFC | 2, *rest]).hex(":")  # a station's, and given by nobody


def _undone(log: UndoLog, number: int, rt: Rtnetlink, wire: WireNote) -> tuple[str, ...]:
    """Remove what was made of a wire; return what is left."""
    try:
        cut(rt, wire)
        log.forget(number)
    except FAILURES as error:
        return (f"{wire.near} -- {wire.far}: {failure(error)}",)
    return ()


def cut(rt: Rtnetlink, wire: WireNote) -> None:
    """Delete a wire by its near end, if it is there; raises `OSError`, not at the first try."""
    with suppress(*FAILURES):
        return _cut(rt, wire)
    return _cut(rt, wire)


def _cut(rt: Rtnetlink, wire: WireNote) -> None:
    try:
        [seen] = read_links([rt.ask(get_link(wire.near.link))])
    except KernelError as error:
        if error.errno != errno.ENODEV:
            raise
        return
    if seen.mac == wire.mac:
        rt.batch([link_del(seen.index)])


def _refusal(error: Exception, wire: WireNote, left: tuple[str, ...]) -> NetloomError:
    """Return a refusal that also says what became of the wire."""
    remedy = "netloom undo removes it"
    if isinstance(error, Interrupted) and left:
        return Interrupted(f"interrupted; left behind: {left[0]} ({remedy})")
    if isinstance(error, Refused) and left:
        step, cause, asked = error.step, error.cause, error.asked
        return Refused(step, cause, asked=asked, remedy=remedy, undone=False, left=left)
    if isinstance(error, NetloomError):
        return error
    step, undone = f"wire {wire.near} -- {wire.far}", not left
    return Refused(step, failure(error), remedy=remedy if left else "", undone=undone, left=left)


def _check_free(rt: Rtnetlink, end: NewWireEnd) -> None:
    for name in filter(None, (end.link, end.altname)):
        if is_taken(rt, name):
            reason = f"there is an interface `{name}` in `{end.target.text}` already"
            raise Unavailable(reason, f"name another: {end.target.text}:NAME")


def _create(rt: Rtnetlink, near: NewWireEnd, far: NewWireEnd, mtu: int, mac: str) -> None:
    ends = [End(end.target.label, end.link) for end in (near, far)]
    link, peer = (Link(kind=Veth(peer=other), mac="", mtu=mtu) for other in reversed(ends))
    link = replace(link, mac=mac)
    there = VethPeer(far.link, peer, netns_fd=far.target.netns.fd)
    command = f"{near.target.ip} link add {near.link} mtu {mtu} type veth peer {far.link} …"
    try:
        rt.batch([link_add(near.link, link, peer=there)])
    except KernelError as error:
        if error.errno == errno.EPERM:
            reason = f"needs root: {command}: {error.strerror}"
            raise Unavailable(reason, _ROOT) from error
        raise Refused(f"wire {near.name} -- {far.name}", error, asked=command) from error


def _finish(rt: Rtnetlink, end: NewWireEnd, stop: Cancel) -> None:
    for step in _rest(end, read_links([rt.ask(get_link(end.link))])[0].index):
        try:
            rt.batch([step.message])
        except KernelError as error:
            command = f"{end.target.ip} {step.command}"
            remedy = _remedy(step, error)
            raise Refused(step.words, error, asked=command, remedy=remedy) from error
        if stop.cancelled:
            raise Interrupted(_INTERRUPTED)


def _rest(end: NewWireEnd, index: int) -> Iterator[_Step]:
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
