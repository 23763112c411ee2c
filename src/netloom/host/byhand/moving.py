"""Moving an interface into another namespace, with what the kernel takes from it on the way.

The kernel sets it down and flushes it, so all is read before and made again after: addresses,
routes, neighbours that somebody set, the mode of IPv6 address generation, that it is up. Name, MAC,
MTU, altnames and alias go with the link. Settings below /proc/sys/net and queueing disciplines are
those of the new namespace.

Rule 1: moving, and setting up where it was up, are done or undone. An address or a route that the
other namespace refuses is told, and the move stands.
Rule 2: undoing is the same move, backwards, with the same list.
"""

import errno
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from netloom.errors import Interrupted, KernelError, Refused, Unavailable
from netloom.host.brake import brake
from netloom.host.byhand.wiring import conversation, is_taken
from netloom.kernel.files import exists
from netloom.kernel.netlink import Rtnetlink
from netloom.model.marks import lab_of
from netloom.namespaces.handle import open_self
from netloom.namespaces.holding import identity
from netloom.namespaces.targets import Target
from netloom.render.text import route_words
from netloom.wire.constants import AF_INET
from netloom.wire.moved import (
    addr_again,
    dump_neighbours,
    is_near,
    leads_through,
    link_move,
    may_move,
    neighbour_again,
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

_DEFAULTS = {"0.0.0.0/0", "::/0"}


class Place(NamedTuple):
    """An interface in a namespace, there or to be there."""

    target: Target
    link: str

    def __str__(self) -> str:
        """Return it as people write it: `red:eth0`."""
        return f"{self.target.text}:{self.link}"


class Moved(NamedTuple):
    """What came along, and in words what did not."""

    up: bool
    addrs: int
    routes: int
    notes: tuple[str, ...]


class _Before(NamedTuple):
    """An interface as it was read; addresses, routes and neighbours as the kernel told them."""

    link: SeenLink
    addrs: tuple[bytes, ...]
    routes: tuple[bytes, ...]
    neighbours: tuple[bytes, ...]
    names: dict[int, str]


def move(origin: Place, goal: Place, *, force: bool = False) -> Moved:
    """Move an interface; raises `Unavailable` before anything is touched, `Refused` when undone.

    `force` moves one of a lab, too, and the one that leads out of the host.
    """
    with conversation(origin.target) as here, conversation(goal.target) as there:
        if here.cookie == there.cookie:
            reason = f"`{origin.target.text}` and `{goal.target.text}` are one namespace"
            rename = f"{origin.target.ip} link set dev {origin.link} name {goal.link}"
            other = goal.link != origin.link
            raise Unavailable(reason, f"to rename: {rename}" if other else "")
        before = _read(here, origin)
        _check(there, before, origin, goal, force=force)
        return _move(here, there, before, (origin, goal))


def _read(rt: Rtnetlink, place: Place) -> _Before:
    links = {link.name: link for link in read_links(rt.dump(dump_links()))}
    link = links.get(place.link)
    if link is None:
        reason = f"no interface `{place.link}` in `{place.target.text}`"
        raise Unavailable(reason, f"there is {', '.join(f'`{name}`' for name in links)}")
    if not may_move(rt.ask(get_link(index=link.index))):
        raise Unavailable(f"`{place}` cannot leave its namespace", _why_not(link))
    addrs = [
        addr
        for addr in rt.dump(dump_addrs())
        if any(seen.index == link.index for seen in read_addrs([addr]))
    ]
    routes = [route for route in rt.dump(dump_routes()) if leads_through(route, link.index)]
    neighbours = [n for n in rt.dump(dump_neighbours()) if neighbour_again(n, link.index, 1)]
    names = {link.index: link.name for link in links.values()}
    return _Before(
        link,
        (
            *(addr for addr in addrs if addr[0] == AF_INET),
            # The kernel lists the latest IPv6 address first (ipv6_link_dev_addr).
            *(addr for addr in reversed(addrs) if addr[0] != AF_INET),
        ),
        tuple(sorted(routes, key=lambda route: not is_near(route))),
        tuple(neighbours),
        names,
    )


def _why_not(link: SeenLink) -> str:
    """Return what to do with a link that the kernel keeps where it is (netns_immutable)."""
    if link.name == "lo":
        return "every namespace has a `lo` of its own"
    phy = f"/sys/class/net/{link.name}/phy80211/name"
    if not link.kind and exists(phy):
        with open(phy, encoding="utf-8") as file:
            radio = file.read().strip()
        return f"a Wi-Fi card moves as a whole: iw phy {radio} set netns PID, or name NAME"
    kind = f"a {link.kind}" if link.kind else "such a device"
    made = f": ip -n NAME link add {link.name} type {link.kind}" if link.kind else ""
    return f"{kind} stays where it was made; make one there{made}"


def _check(there: Rtnetlink, before: _Before, origin: Place, goal: Place, *, force: bool) -> None:
    lab = lab_of(before.link.alias)
    if lab and not force:
        reason = f"`{origin}` belongs to lab `{lab}`, which would be broken"
        raise Unavailable(reason, f"netloom down {lab}, or netloom move --force …")
    for name in (goal.link, *before.link.altnames):
        if is_taken(there, name):
            reason = f"there is an interface `{name}` in `{goal.target.text}` already"
            raise Unavailable(reason, f"name it otherwise there: {goal.target.text}:NAME")
    routes = read_routes(before.routes, before.names, None)
    if not force and any(route.dst in _DEFAULTS for route in routes) and _is_own(origin.target):
        reason = f"the default route of this machine leads through `{origin}`"
        raise Unavailable(reason, "netloom move --force, if you do not sit behind it")


def _is_own(target: Target) -> bool:
    with open_self() as own:
        return identity(own.fd) == identity(target.netns.fd)


def _move(here: Rtnetlink, there: Rtnetlink, before: _Before, way: tuple[Place, Place]) -> Moved:
    origin, goal = way
    with brake() as stop:
        _depart(here, before, origin, goal)
        try:
            moved = Moved(up=False, addrs=0, routes=0, notes=())
            if not stop.pulled:
                moved = _settle(there, before, goal)
        except KernelError as error:
            left = _back(here, there, before, way)
            command = f"{goal.target.ip} link set dev {goal.link} up"
            undone = not left
            raise Refused(f"{goal} up", error, asked=command, left=left, undone=undone) from error
        if stop.pulled:
            left = _back(here, there, before, way)
            lost = "".join(f"\n  left behind: {thing}" for thing in left)
            raise Interrupted(f"interrupted; `{origin}` is back where it was{lost}")
    return moved


def _depart(rt: Rtnetlink, before: _Before, origin: Place, goal: Place) -> None:
    where = goal.target.text.removeprefix("pid:")
    command = f"{origin.target.ip} link set dev {origin.link} netns {where} name {goal.link}"
    try:
        rt.batch([link_move(before.link.index, goal.target.netns.fd, goal.link)])
    except KernelError as error:
        if error.errno == errno.EPERM:
            reason = f"needs root: {command}: {error.strerror}"
            raise Unavailable(reason, "run it as root") from error
        remedy = _why_not(before.link) if error.errno == errno.EINVAL else ""
        raise Refused(f"move {origin} -> {goal}", error, asked=command, remedy=remedy) from error


def _back(
    here: Rtnetlink, there: Rtnetlink, before: _Before, way: tuple[Place, Place]
) -> tuple[str, ...]:
    """Undo a move; return what could not be undone."""
    origin, goal = way
    try:
        index = read_links([there.ask(get_link(goal.link))])[0].index
        there.batch([link_move(index, origin.target.netns.fd, origin.link)])
        return _settle(here, before, origin).notes
    except KernelError as error:
        return (f"{before.link.name}, now {goal}: {error}",)


# ── making it again ───────────────────────────────────────────────────────────────────────


def _settle(rt: Rtnetlink, before: _Before, goal: Place) -> Moved:
    """Give a link that has just moved what it had; raises `KernelError` if it cannot be set up."""
    link = before.link
    seen = read_links([rt.ask(get_link(goal.link))])[0]
    if not link.ipv6_ll and seen.ipv6_ll:
        with suppress(KernelError):  # no IPv6 there
            rt.batch(link_set(seen.index, ipv6_ll=False))
    notes: list[str] = []
    if link.master:
        notes.append(f"it is no port of `{before.names.get(link.master, '?')}` any more")
    addrs = _again(rt, _addrs(before, seen.index, goal.link), notes)
    if link.up:
        rt.batch(link_set(seen.index, up=True))
    routes = _again(rt, _routes(before, seen.index), notes)
    _again(rt, _neighbours(before, seen.index), notes)
    return Moved(link.up, addrs, routes, tuple(notes))


_Thing = tuple[str, Message | None]
"""What is made again, in words; None where it cannot be."""


def _again(rt: Rtnetlink, things: Iterator[_Thing], notes: list[str]) -> int:
    """Make things again; note what is refused; return how many are there."""
    made = 0
    for words, message in things:
        if message is None:
            notes.append(f"not kept: {words}: its other hops, or its nexthop object, stay behind")
            continue
        try:
            rt.batch([message])
        except KernelError as error:
            if error.errno == errno.EEXIST and not words.startswith("route"):
                made += 1  # the kernel's own, made as the link came up
                continue
            notes.append(f"not kept: {words}: {error.extack or error.strerror}")
        else:
            made += 1
    return made


def _addrs(before: _Before, index: int, name: str) -> Iterator[_Thing]:
    for payload in before.addrs:
        message = addr_again(payload, index, before.link.name, name)
        if message is not None:
            yield f"address {read_addrs([payload])[0].addr}", message


def _routes(before: _Before, index: int) -> Iterator[_Thing]:
    for payload in before.routes:
        for route in read_routes([payload], before.names, None):
            yield f"route {route_words(route)}", route_again(payload, before.link.index, index)


def _neighbours(before: _Before, index: int) -> Iterator[_Thing]:
    for payload in before.neighbours:
        found = neighbour_again(payload, before.link.index, index)
        if found is not None:
            yield f"neighbour {found[0]}", found[1]
