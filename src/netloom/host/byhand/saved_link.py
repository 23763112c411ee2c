"""An interface with all that the kernel takes from it when it moves, to be given to it again.

The kernel sets it down and flushes it (dev_change_net_namespace): addresses, routes, neighbours
that somebody set, the mode of IPv6 address generation, that it is up. Name, MAC, MTU, altnames and
alias go with the link. At home, which is where it was read, it also gets back what another
namespace has no place for: the bridge that it was a port of, its settings below /proc/sys/net,
routes of which other links are a part, and such with one of its addresses as their source.

Rule: things are made one by one, in order, and one that is there already is no harm. So whoever was
interrupted may begin again.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from netloom.errors import KernelError, Refused
from netloom.host import sysctl
from netloom.host.byhand.endpoint import Endpoint
from netloom.namespaces.enter import enter
from netloom.render.text import route_words
from netloom.wire.constants import AF_INET, NLM_F_APPEND, RTM_NEWROUTE
from netloom.wire.relocate import (
    addr_again,
    addr_words,
    dump_neighbours,
    has_source,
    is_near,
    leads_through,
    neighbour_again,
    qdisc_of,
    route_again,
)
from netloom.wire.rtnetlink import (
    Message,
    SeenLink,
    dump_addrs,
    dump_links,
    dump_routes,
    get_link,
    link_set,
    read_addrs,
    read_links,
    read_routes,
)

_KINDS = ("ipv4.conf", "ipv6.conf", "ipv4.neigh", "ipv6.neigh")
_FIRST = "disable_ipv6"
_SHOWN = 5
_SHORTAGES = {errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EINTR}
"""Answers of a kernel that lacks something just now: no refusal of what was asked."""


class Dumped(NamedTuple):
    """A thing as the kernel told of it, and in words of iproute2, empty where there are none."""

    words: str
    payload: bytes


class SavedLink(Struct, frozen=True):
    """An interface as it was read, with what it has.

    `beside` are routes of other links with one of its addresses as their source, `master` is the
    name of the bridge that it is a port of, `settings` are its sysctls by family, kind and key
    (`ipv4.conf.rp_filter`).
    """

    told: bytes
    addrs: tuple[Dumped, ...] = ()
    routes: tuple[Dumped, ...] = ()
    beside: tuple[Dumped, ...] = ()
    neighbours: tuple[bytes, ...] = ()
    master: str | None = None
    settings: dict[str, str] = {}

    @property
    def link(self) -> SeenLink:
        """The link itself."""
        return read_links([self.told])[0]


class Missing(NamedTuple):
    """What an interface did not get again: the thing, why, and the command that gives it."""

    what: str
    why: str
    command: str | None = None


class Restored(NamedTuple):
    """What an interface has got again, and what not."""

    up: bool
    addrs: int
    routes: int
    missing: tuple[Missing, ...]


# ── reading ───────────────────────────────────────────────────────────────────────────────


def save(at: Endpoint) -> SavedLink:
    """Return an interface with all that it has; raises `OSError`."""
    rt = at.rt
    told = rt.ask(get_link(at.link))
    [link] = read_links([told])
    names = {one.index: one.name for one in read_links(rt.dump(dump_links()))}
    addrs = [
        p for p in rt.dump(dump_addrs()) if any(a.index == link.index for a in read_addrs([p]))
    ]
    own = {seen.addr.ip for seen in read_addrs(addrs)}
    every = rt.dump(dump_routes())
    through = [route for route in every if leads_through(route, link.index)]
    beside = [r for r in every if has_source(r, own) and not leads_through(r, link.index)]
    return SavedLink(
        told,
        tuple(Dumped(addr_words(payload), payload) for payload in _as_given(addrs)),
        _routes(through, names),
        _routes(beside, names),
        tuple(n for n in rt.dump(dump_neighbours()) if neighbour_again(n, link.index, 1)),
        names.get(link.master, f"if{link.master}") if link.master else None,
        enter(at.target.netns, _settings, link.name),
    )


def _as_given(addrs: list[bytes]) -> list[bytes]:
    """Return addresses in the order in which they were given, IPv4 first.

    The kernel lists the latest IPv6 address first (ipv6_link_dev_addr).
    """
    ipv4 = [addr for addr in addrs if addr[0] == AF_INET]
    return ipv4 + [addr for addr in reversed(addrs) if addr[0] != AF_INET]


def _routes(payloads: list[bytes], names: dict[int, str]) -> tuple[Dumped, ...]:
    """Return routes with their words, neighbours first: gateways are among them."""
    return tuple(
        Dumped(
            " ".join(route_words(route) for route in read_routes([payload], names, None)), payload
        )
        for payload in sorted(payloads, key=lambda payload: not is_near(payload))
    )


def _settings(name: str) -> dict[str, str]:
    """Return the sysctls of an interface in the namespace of the calling thread."""
    keys = {f"{kind}.{key}": _key(kind, name, key) for kind in _KINDS for key in _keys(kind, name)}
    values = sysctl.read(keys.values())
    return {short: values[key] for short, key in keys.items() if key in values}


def _key(kind: str, name: str, key: str) -> str:
    return f"net.{kind}.{name.replace('.', '/')}.{key}"


def _keys(kind: str, name: str) -> list[str]:
    try:
        found = os.listdir(os.path.dirname(sysctl.path_of(_key(kind, name, "_"))))
    except FileNotFoundError:  # it has no IPv6
        return []
    return sorted(found, key=lambda key: (key != _FIRST, key))


def missing_from(had: SavedLink, now: SavedLink) -> list[str]:
    """Return in words what an interface had and has not now."""
    kinds = (("address", had.addrs, now.addrs), ("route", had.routes, now.routes))
    missing = [
        f"{kind} {each.words}"
        for kind, before, after in kinds
        for each in before
        if each.words not in {one.words for one in after}
    ]
    more = [f"{len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
    down = ["the state `up`"] if had.link.up and not now.link.up else []
    return [*down, *missing[:_SHOWN], *more]


# ── giving ────────────────────────────────────────────────────────────────────────────────


def restore(had: SavedLink, at: Endpoint, index: int, *, home: bool = False) -> Restored:
    """Give an interface, now `at`, all that it had; raises `OSError`.

    What the namespace refuses is told. `home`: it is the one where the interface was read.
    """
    return _Restorer(had, at, index, home=home).all()


class _Thing(NamedTuple):
    """What is made again: in words, the command that makes it, the message; None: it cannot be."""

    words: str
    command: str | None
    message: Message | None


class _Restorer:
    """One interface that gets things again, and what it lacks so far."""

    def __init__(self, had: SavedLink, at: Endpoint, index: int, *, home: bool) -> None:
        self.rt = at.rt
        self.had = had
        self.at = at
        self.index = index
        self.home = home
        self.missing: list[Missing] = []

    def all(self) -> Restored:
        """Give it all, in the order in which the kernel takes it."""
        had, link = self.had, self.had.link
        if self.home:
            self.missing += enter(self.at.target.netns, self.set_sysctls)
        if not link.ipv6_ll and read_links([self.now()])[0].ipv6_ll:
            with suppress(KernelError):  # no IPv6 there
                self.rt.batch(link_set(self.index, ipv6_ll=False))
        if had.master:
            self.plug_in()
        addrs = self.make(self.addrs())
        if link.up:
            self.set_up()
        routes = self.make(self.routes(had.routes))
        self.make(self.routes(had.beside) if self.home else ())
        self.make(self.neighbours())
        self.look_at_qdisc()
        return Restored(link.up, addrs, routes, tuple(self.missing))

    def now(self) -> bytes:
        """Return the link as the kernel tells of it now."""
        return self.rt.ask(get_link(index=self.index))

    def make(self, things: Iterable[_Thing]) -> int:
        """Make things again; return how many are there."""
        return sum(self.is_made(thing) for thing in things)

    def is_made(self, thing: _Thing) -> bool:
        """Make a thing again; note it if it is refused."""
        if thing.message is None:
            why = "its other hops, or its nexthop object, stay behind"
            self.missing.append(
                Missing(thing.words, "its nexthop object went" if self.home else why)
            )
            return False
        try:
            self.rt.batch([thing.message])
        except KernelError as error:
            if error.errno in _SHORTAGES:
                raise
            if error.errno == errno.EEXIST and self.is_there(thing.message):
                return True
            self.lack(thing.words, error, thing.command)
            return False
        return True

    def is_there(self, message: Message) -> bool:
        """Whether what exists already is that very thing; elsewhere it is somebody else's route."""
        if message.kind != RTM_NEWROUTE or message.flags & NLM_F_APPEND:
            return True
        return self.home and message in self.found

    @cached_property
    def found(self) -> list[Message | None]:
        """The routes that there are, each as the message that adds it."""
        routes = self.rt.dump(dump_routes())
        return [route_again(route, self.index, self.index, home=True) for route in routes]

    def lack(self, what: str, error: KernelError, command: str | None) -> None:
        """Note what was refused."""
        why = error.extack or str(error.strerror)
        self.missing.append(Missing(what, why, command and f"{self.at.target.ip} {command}"))

    # ── things ────────────────────────────────────────────────────────────────────────────────

    def addrs(self) -> Iterator[_Thing]:
        old, name = self.had.link.name, self.at.link
        for words, payload in self.had.addrs:
            message = addr_again(payload, self.index, old, name)
            if message is not None:
                yield _Thing(f"address {words}", f"addr add {words} dev {name}", message)

    def routes(self, routes: Iterable[Dumped]) -> Iterator[_Thing]:
        old = self.had.link.index
        for words, payload in routes:
            message = route_again(payload, old, self.index, home=self.home)
            command = f"route add {words}" if words else None
            yield _Thing(f"route {words}".rstrip(), command, message)

    def neighbours(self) -> Iterator[_Thing]:
        for payload in self.had.neighbours:
            found = neighbour_again(payload, self.had.link.index, self.index)
            if found is not None:
                command = f"neighbour add {found[0]} nud permanent dev {self.at.link}"
                yield _Thing(f"neighbour {found[0]}", command, found[1])

    # ── the link itself ───────────────────────────────────────────────────────────────────────

    def plug_in(self) -> None:
        """Make it a port again; elsewhere it is none."""
        master = self.had.master
        if not self.home:
            self.missing.append(
                Missing(f"its place as a port of `{master}`", "the bridge stays behind")
            )
            return
        try:
            [bridge] = read_links([self.rt.ask(get_link(index=self.had.link.master))])
            if read_links([self.now()])[0].master != bridge.index:
                self.rt.batch(link_set(self.index, master=bridge.index))
        except KernelError as error:
            if error.errno in _SHORTAGES:
                raise
            command = f"link set dev {self.at.link} master {master}"
            self.lack(f"its place as a port of `{master}`", error, command)

    def set_up(self) -> None:
        """Set it up; where it cannot be, a move is undone, and what goes home is told."""
        command = f"link set dev {self.at.link} up"
        try:
            self.rt.batch(link_set(self.index, up=True))
        except KernelError as error:
            if error.errno in _SHORTAGES:
                raise
            if not self.home:
                asked = f"{self.at.target.ip} {command}"
                raise Refused(f"{self.at} up", error, asked=asked) from error
            self.lack("the state `up`", error, command)

    def look_at_qdisc(self) -> None:
        """Note a queueing discipline that went: what it was set to, nobody told us."""
        before, now = qdisc_of(self.had.told), qdisc_of(self.now())
        if self.had.link.up and before != now:
            self.missing.append(
                Missing(f"its queueing discipline `{before}`", f"it is `{now}` now")
            )

    def set_sysctls(self) -> list[Missing]:
        """Set those settings that differ from what they were; on a thread that is there."""
        found, missing = _settings(self.at.link), []
        for short, value in self.had.settings.items():
            if found.get(short, value) != value:
                kind, _, key = short.rpartition(".")
                try:
                    sysctl.write(_key(kind, self.at.link, key), value)
                except KernelError as error:
                    if error.errno in _SHORTAGES:
                        raise
                    missing.append(Missing(f"its setting {error.asked}", str(error.strerror)))
        return missing
