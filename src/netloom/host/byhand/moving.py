"""Moving an interface into another namespace, with what the kernel takes from it on the way.

Rule 1: moving, and setting up where it was up, are done or undone. An address or a route that the
other namespace refuses is told, and the move stands.
Rule 2: all that it had is noted before it leaves. Whatever comes then, an error, a signal, a kill,
`lead_back` looks where it is, and gives it what it lacks: that is how a move is undone, too.
Rule 3: an interface is known by the namespace, its index there, and what else of it is the same.
"""

import errno
import os
from contextlib import ExitStack, suppress

from netloom.datapath.ways_out import is_default
from netloom.errors import FAILURES, Interrupted, KernelError, Refused, Unavailable, failure, quoted
from netloom.host.byhand.endpoint import Endpoint, free_index, is_taken
from netloom.host.byhand.saved_link import Restored, SavedLink, missing_from, restore, save
from netloom.host.byhand.undo_log import EndpointId, MoveNote, UndoLog, WireNote, entries
from netloom.host.cancel import Cancel, cancellable
from netloom.host.observe.cannot_look import looking
from netloom.kernel.files import exists
from netloom.model.owner import lab_of
from netloom.namespaces.handle import open_self
from netloom.namespaces.references import identity
from netloom.namespaces.targets import Target, open_target
from netloom.wire.relocate import link_move, may_move
from netloom.wire.rtnetlink import SeenLink, dump_links, get_link, read_links, read_routes

_UNDO = "netloom undo"


def move(origin: Endpoint, goal: Endpoint, *, force: bool = False) -> Restored:
    """Move an interface; raises `Unavailable` before anything is touched, `Refused` when undone.

    `force` moves one of a lab, too, and the one that leads out of the host.
    """
    with ExitStack() as stack:
        with looking():
            _check_apart(origin, goal)
            stop = stack.enter_context(cancellable())
            log = stack.enter_context(UndoLog())
            note = _planned(origin, goal, force=force)
        return _carry_out(log, note, origin, goal, stop)


def _check_apart(home: Endpoint, away: Endpoint) -> None:
    if home.rt.cookie != away.rt.cookie:
        return
    (here, link, _), (there, name, _) = home, away
    reason = f"`{here.text}` and `{there.text}` are one namespace"
    rename = f"to rename: {here.ip} link set dev {quoted(link)} name {quoted(name)}"
    raise Unavailable(reason, rename if name != link else "")


def _planned(home: Endpoint, away: Endpoint, *, force: bool) -> MoveNote:
    """Return what is to be noted of a move; raises `Unavailable` for one that must not be."""
    link = _checked(home)
    had = save(home)
    if not force:
        check_lab(home, link.alias, ", or netloom move --force …")
        check_way_out(home, had, "netloom move --force, if you do not sit behind it")
    check_free(away, link, f"name it otherwise there: {away.target.text}:NAME")
    index = free_index(away.rt, link.index)
    return MoveNote(_known_as(home, link.index), _known_as(away, index), had)


def _known_as(end: Endpoint, index: int) -> EndpointId:
    word = end.target.text
    path = os.path.abspath(word) if word.startswith(".") else word
    return EndpointId(path, end.rt.cookie, end.link, index)


def _checked(end: Endpoint) -> SeenLink:
    """Return the link, which is there and may leave."""
    links = {link.name: link for link in read_links(end.rt.dump(dump_links()))}
    link = links.get(end.link)
    if link is None:
        reason = f"no interface `{end.link}` in `{end.target.text}`"
        raise Unavailable(reason, f"there is {', '.join(f'`{name}`' for name in links)}")
    if not may_move(end.rt.ask(get_link(index=link.index))):
        raise Unavailable(f"`{end}` cannot leave its namespace", _why_not(link))
    return link


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


def check_lab(origin: Endpoint, alias: str, hint: str) -> None:
    """Raise `Unavailable` for an interface that bears the mark of a lab."""
    if lab := lab_of(alias):
        reason = f"`{origin}` belongs to lab `{lab}`, which would be broken"
        raise Unavailable(reason, f"netloom down {lab}{hint}")


def check_free(goal: Endpoint, link: SeenLink, hint: str) -> None:
    """Raise `Unavailable` where a name that a link brings along is taken."""
    for name in (goal.link, *link.altnames):
        if is_taken(goal.rt, name):
            where = goal.target.text
            raise Unavailable(f"there is an interface `{name}` in `{where}` already", hint)


def check_way_out(origin: Endpoint, had: SavedLink, hint: str) -> None:
    """Raise `Unavailable` for the interface that the host leads out by."""
    payloads = [payload for _, payload in had.routes]
    routes = read_routes(payloads, {}, None)
    if any(map(is_default, routes)) and _is_own(origin.target):
        reason = f"the default route of this machine leads through `{origin}`"
        raise Unavailable(reason, hint)


def _is_own(target: Target) -> bool:
    with open_self() as own:
        return identity(own.fd) == identity(target.netns.fd)


# ── there ─────────────────────────────────────────────────────────────────────────────────


def _carry_out(
    log: UndoLog, note: MoveNote, home: Endpoint, goal: Endpoint, stop: Cancel
) -> Restored:
    """Carry out a move with a note around it; lead the interface back if it is not done."""
    error: Exception | None = None
    number = log.begin(note)
    try:
        if not stop.cancelled:
            _depart(note, home, goal)
        if not stop.cancelled:
            given = restore(note.had, goal, note.goal.index)
        if not stop.cancelled:
            _check_still_there(goal.target)
            _remember(log, number, note)
            return given
    except (Refused, Unavailable, *FAILURES) as refused:
        error = refused
    left, remedy = _undone(log, number, note, home, goal)
    if error is None:
        done = f"left behind: {'; '.join(left)}" if left else f"`{home}` is back where it was"
        raise Interrupted(f"interrupted; {done}" + (f" ({remedy})" if remedy else ""))
    if isinstance(error, Unavailable) and not left:
        raise error
    raise _refusal(error, note, left, remedy) from error


def _depart(note: MoveNote, home: Endpoint, goal: Endpoint) -> None:
    where, link = goal.target.text.removeprefix("pid:"), goal.link
    command = f"{home.target.ip} link set dev {quoted(home.link)} netns {where} name {quoted(link)}"
    netns = goal.target.netns.fd
    try:
        home.rt.batch([link_move(note.origin.index, netns, link, note.goal.index)])
    except KernelError as error:
        if error.errno == errno.EPERM:
            reason = f"needs root: {command}: {error.strerror}"
            raise Unavailable(reason, "run it as root") from error
        remedy = _why_not(note.had.link) if error.errno == errno.EINVAL else ""
        raise Refused(_step(note), error, asked=command, remedy=remedy) from error


def _step(note: MoveNote) -> str:
    return f"move {note.origin} -> {note.goal}"


def _check_still_there(target: Target) -> None:
    """Raise `KernelError` where a namespace has lost what we know it by: it may go when we do."""
    with suppress(Unavailable), open_target(target.text) as found:
        if identity(found.netns.fd) == identity(target.netns.fd):
            return
    raise KernelError(errno.ENOENT, "", f"`{target.text}` is gone, or another by now")


def _remember(log: UndoLog, number: int, note: MoveNote) -> None:
    """Note that a move is done; one that leads straight back leaves nothing to be undone."""
    inverse = [one.number for one in entries() if one.done and _is_inverse(one.what, note)]
    if inverse:
        log.forget(number)
        log.forget(inverse[0])
    else:
        log.done(number)


def _is_inverse(before: MoveNote | WireNote, note: MoveNote) -> bool:
    if not isinstance(before, MoveNote):
        return False
    came, went = before.goal, before.origin
    is_same = (came.cookie, came.index) == (note.origin.cookie, note.origin.index)
    return is_same and (went.cookie, went.link) == (note.goal.cookie, note.goal.link)


# ── back ──────────────────────────────────────────────────────────────────────────────────


def _undone(
    log: UndoLog, number: int, note: MoveNote, home: Endpoint, away: Endpoint
) -> tuple[tuple[str, ...], str]:
    """Lead an interface back; return what is left to be done, in words and as a command."""
    try:
        given = lead_back(note, home, away)
        log.forget(number)
    except FAILURES as error:
        where = whereabouts(note, home, away)
        return (f"{where} ({failure(error)})",), f"{_UNDO} leads it back"
    if given is None:
        return (lost(note),), ""
    missing = tuple(f"`{home}` without {lack.what}: {lack.why}" for lack in given.missing)
    return missing, " && ".join(lack.command for lack in given.missing if lack.command)


def lost(note: MoveNote) -> str:
    """Return in words that an interface is no more where it should be."""
    here, there = note.origin.netns, note.goal.netns
    return f"`{note.had.link.name}` is neither in `{here}` nor in `{there}` any more"


def whereabouts(note: MoveNote, home: Endpoint, away: Endpoint | None) -> str:
    """Return in words where an interface is that could not be led back, and what it lacks."""
    for end, known in ((away, note.goal), (home, note.origin)):
        with suppress(*FAILURES):
            if end and (seen := seen_at(end, known, note.had.link)):
                found = end._replace(link=seen.name)
                missing = missing_from(note.had, save(found))
                return f"`{found}`" + (f" without {', '.join(missing)}" if missing else "")
    return f"`{note.had.link.name}`, in `{note.origin.netns}` or in `{note.goal.netns}`"


def lead_back(note: MoveNote, home: Endpoint, away: Endpoint | None) -> Restored | None:
    """Bring an interface to where a move took it from, whole; None where it is no more.

    Where it is in between, and what it has again by then, is no matter. Raises `OSError`, but for
    what the machine lacked for a moment only.
    """
    with suppress(*FAILURES):
        return _lead_back(note, home, away)
    return _lead_back(note, home, away)


def _lead_back(note: MoveNote, home: Endpoint, away: Endpoint | None) -> Restored | None:
    link, netns = note.had.link, home.target.netns.fd
    if away and (seen := seen_at(away, note.goal, link)):
        index = free_index(home.rt, note.origin.index)
        away.rt.batch([link_move(seen.index, netns, home.link, index)])
    else:
        back = seen_at(home, note.origin, link)
        if back is None:
            return None
        index = back.index
        if back.name != home.link:  # so the kernel names one that returns by itself
            home.rt.batch([link_move(index, netns, home.link)])
    return restore(note.had, home, index, home=True)


def seen_at(end: Endpoint, known: EndpointId, link: SeenLink) -> SeenLink | None:
    """Return an interface where it should be, be it under another name, MAC or index.

    An index alone proves nothing: the kernel gives one that was chosen to others later.
    """
    alike = [seen for seen in read_links(end.rt.dump(dump_links())) if seen.kind == link.kind]
    for seen in alike:
        if seen.index == known.index and (seen.name == known.link or _marks(seen) & _marks(link)):
            return seen
    twins = (seen for seen in alike if seen.name == known.link and link.mac)
    return next((seen for seen in twins if seen.mac == link.mac), None)


def _marks(link: SeenLink) -> set[str | int]:
    """Return what a link keeps on its way, and is seldom given to another."""
    found: set[str | int] = {link.mac, link.alias, link.link_index, *link.altnames}
    return found - {"", 0}


def _refusal(error: Exception, note: MoveNote, left: tuple[str, ...], remedy: str) -> Refused:
    """Return a refusal that also says what became of the interface."""
    undone = not left
    if not isinstance(error, Refused):
        cause = failure(error)
        return Refused(_step(note), cause, remedy=remedy, undone=undone, left=left)
    asked, remedy = error.asked, remedy or error.remedy
    return Refused(error.step, error.cause, asked=asked, remedy=remedy, undone=undone, left=left)
