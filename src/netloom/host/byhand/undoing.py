"""Taking back what was done by hand: the last move, and what somebody was killed over.

Rule: what is begun is led back wherever it stands; what is done is looked at before it is touched,
since others may have come to need it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple

from netloom.errors import FAILURES, KernelError, Refused, Unavailable, failure, quoted
from netloom.host.byhand import moving, wiring
from netloom.host.byhand.endpoint import Endpoint, conversation, is_taken, open_endpoint
from netloom.host.byhand.saved_link import Restored, restore, save
from netloom.host.byhand.undo_log import (
    EndpointId,
    MoveNote,
    UndoEntry,
    UndoLog,
    WireNote,
    entries,
    is_kept,
    latest,
    tidy,
)
from netloom.host.cancel import cancellable
from netloom.host.observe.cannot_look import looking
from netloom.model.objects import HOST
from netloom.namespaces import registry
from netloom.namespaces.enter import cookie
from netloom.namespaces.references import identity
from netloom.namespaces.targets import Target, open_target


class Undone(NamedTuple):
    """What was taken back: an interface, from where to where, and what it has got again.

    A wire that was half made is nowhere now, and has got nothing.
    """

    came: str
    went: str | None = None
    given: Restored | None = None


def undo() -> Undone | None:
    """Take back the last move, or what was begun after it; None where there is nothing.

    Raises `Unavailable` before anything is touched, and `Refused`.
    """
    return _undo(begun_alone=False)


def finish() -> Undone | None:
    """Take back what was begun by somebody who was killed, as `undo` does; None for nothing."""
    return _undo(begun_alone=True)


def _undo(*, begun_alone: bool) -> Undone | None:
    if not is_kept():
        if not begun_alone:
            tidy()  # whoever was killed may have made a folder
        return None
    with cancellable(), UndoLog() as log:
        entry = next(iter(entries()), None) if begun_alone else latest()
        if entry is None or (begun_alone and entry.done):
            return None
        if isinstance(entry.what, WireNote):
            return _cut(log, entry.number, entry.what)
        return _take_back(log, entry, entry.what)


def _cut(log: UndoLog, number: int, wire: WireNote) -> Undone:
    """Remove a wire that was half made; where its namespace is gone, it is, too."""
    try:
        if near := found_again(wire.near):
            with near, conversation(near) as rt:
                wiring.cut(rt, wire)
        log.forget(number)
    except FAILURES as error:
        step, left = f"remove {wire.near}", (f"{wire.near} -- {wire.far}",)
        raise Refused(step, failure(error), undone=False, left=left) from error
    return Undone(f"the wire {wire.near} -- {wire.far}")


# ── moves ─────────────────────────────────────────────────────────────────────────────────


def _take_back(log: UndoLog, entry: UndoEntry, note: MoveNote) -> Undone:
    with ExitStack() as stack:
        with looking():
            home, away = (_opened_again(known, stack) for known in (note.origin, note.goal))
            away = away or (home and _first_process(note, home, stack))
            if home:
                _check(note, home, away, done=entry.done)
        if home is None:
            return _without_home(log, entry, note, away)
        try:
            if entry.done:
                log.reopen(entry.number)
            given = moving.lead_back(note, home, away)
            log.forget(entry.number)
        except FAILURES as error:
            raise _unfinished(note, moving.whereabouts(note, home, away), error) from error
    if given is None:
        raise Unavailable(moving.lost(note))
    return Undone(str(note.goal), str(home), given)


def _unfinished(note: MoveNote, where: str, error: Exception) -> Refused:
    step, remedy = f"move {note.goal} -> {note.origin}", "netloom undo goes on with it"
    return Refused(step, failure(error), remedy=remedy, undone=False, left=(where,))


def _check(note: MoveNote, home: Endpoint, away: Endpoint | None, *, done: bool) -> None:
    """Raise `Unavailable` where the name is taken, or others have come to need what was moved."""
    back = f"{home.target.text}:NAME"
    link = moving.seen_at(away, note.goal, note.had.link) if away else None
    if away is None or link is None:
        _check_name(note, home)
        return
    there = away._replace(link=link.name)
    moving.check_free(
        home, link, f"rename that one, or netloom move {quoted(str(there))} {quoted(str(back))}"
    )
    if done:
        if link.alias != note.had.link.alias:
            moving.check_lab(there, link.alias, "")
        moving.check_way_out(there, save(there), f"netloom move --force {there} {home}")


def _check_name(note: MoveNote, home: Endpoint) -> None:
    """Raise `Unavailable` where what is at home already cannot have its name there."""
    link = moving.seen_at(home, note.origin, note.had.link)
    if link and link.name != home.link and is_taken(home.rt, home.link):
        where = home.target.text
        reason = f"`{where}:{link.name}` cannot be called `{home.link}`: that name is taken"
        raise Unavailable(reason, "rename that one")


def _without_home(log: UndoLog, entry: UndoEntry, note: MoveNote, away: Endpoint | None) -> Undone:
    """Leave an interface where it went, whole, since where it came from is no more."""
    where = f"`{note.origin.netns}`, where `{note.origin}` came from, is no more"
    with looking():
        seen = away and not entry.done and moving.seen_at(away, note.goal, note.had.link)
    if not away or not seen:
        log.forget(entry.number)
        raise Unavailable(where)
    at = away._replace(link=seen.name)
    try:
        given = restore(note.had, at, seen.index)
        log.forget(entry.number)
    except (Refused, *FAILURES) as error:
        raise _unfinished(note, f"`{at}`", getattr(error, "cause", error)) from error
    return Undone(str(note.origin), str(at), given)


# ── namespaces ────────────────────────────────────────────────────────────────────────────


def _opened_again(known: EndpointId, stack: ExitStack) -> Endpoint | None:
    target = found_again(known)
    if target is None:
        return None
    stack.enter_context(target)
    return stack.enter_context(open_endpoint(target, known.link))


def _first_process(note: MoveNote, home: Endpoint, stack: ExitStack) -> Endpoint | None:
    """Return where a network card goes whose namespace goes: to that of process 1, perhaps."""
    with suppress(Unavailable):
        target = stack.enter_context(open_target("pid:1"))
        end = stack.enter_context(open_endpoint(target, note.goal.link))
        if end.rt.cookie != home.rt.cookie:
            return end
    return None


def found_again(known: EndpointId) -> Target | None:
    """Open a namespace by the words that it was known by, or by any that lead there now."""
    tried = set()
    for word in _words(known):
        with suppress(Unavailable, KernelError), ExitStack() as stack:
            target = stack.enter_context(open_target(word))
            which = identity(target.netns.fd)
            if which not in tried and cookie(target.netns) == known.cookie:
                stack.pop_all()
                return target
            tried.add(which)
    return None


def _words(known: EndpointId) -> Iterator[str]:
    yield from (known.netns, HOST)
    yield from registry.names()
    yield from (f"pid:{pid}" for pid in os.listdir("/proc") if pid.isdecimal())
