"""`list`, `list-id` and `set` of `netloom netns`: what needs a socket."""

import os
from collections.abc import Sequence

from netloom.cli.netns_words import (
    NetnsExit,
    NetnsRequest,
    complain,
    entries,
    invalid,
    listing,
    say,
    small_number,
    usage,
)
from netloom.errors import KernelError
from netloom.kernel.netlink import Rtnetlink
from netloom.namespaces.handle import NETNS_DIR
from netloom.namespaces.ids import KnownIds, assign, ids, known, known_as


def show(asked: NetnsRequest, words: Sequence[str]) -> int:  # noqa: ARG001 - a verb
    """List all names, each with its id if it has one."""
    try:
        names = os.listdir(NETNS_DIR)
    except OSError:
        return 0
    with Rtnetlink() as route:
        nsids = _ids(asked, route, names)
    lines = []
    items: list[dict[str, str | int]] = []
    for name, nsid in zip(names, nsids, strict=True):
        if isinstance(nsid, KernelError):
            complain(_refusal(nsid))
        has = isinstance(nsid, int)
        lines.append(f"{name} (id: {nsid})\n" if has else f"{name}\n")
        items.append({"name": name, "id": nsid} if isinstance(nsid, int) else {"name": name})
    say(listing(items, pretty=asked.pretty) if asked.json else "".join(lines))
    return 0


def _ids(
    asked: NetnsRequest, route: Rtnetlink, names: Sequence[str]
) -> list[int | KernelError | None]:
    """Return the id of each name; on the first look ip complains of each stale one."""
    found = list(ids(route, names))
    if not asked.looked:
        asked.looked = True
        for nsid in found:
            if isinstance(nsid, KernelError):
                complain(_refusal(nsid))
    return found


def _refusal(error: KernelError) -> str:
    if not error.extack:
        return f"RTNETLINK answers: {error.strerror}"
    return f"Error: {error.extack}" + ("" if error.extack.endswith(".") else ".")


def set_id(asked: NetnsRequest, words: Sequence[str]) -> int:  # noqa: ARG001 - a verb
    """Give the namespace of a name an id; raises `NetnsExit` for what is no id."""
    if not words:
        complain("No netns name specified")
        return 1
    if len(words) < 2:
        complain("No nsid specified")
        return 1
    name, word = words[:2]
    nsid = -1 if word == "auto" else small_number(word)
    if nsid is None:
        raise invalid(word, 'Invalid "netnsid" value')
    if nsid < 0 and word != "auto":
        raise invalid(word, '"netnsid" value should be >= 0')
    try:
        fd = os.open(f"{NETNS_DIR}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        complain(f'Cannot open network namespace "{name}": {error.strerror}')
        return 1
    try:
        return _assign(fd, nsid)
    finally:
        os.close(fd)


def _assign(fd: int, nsid: int) -> int:

    with Rtnetlink() as route:
        try:
            assign(route, fd, nsid)
        except KernelError as error:
            complain(_refusal(error))
            return 2
    return 0


def show_ids(asked: NetnsRequest, words: Sequence[str]) -> int:
    """List all that have an id, here or in the namespace that is `target-nsid` here."""
    with Rtnetlink() as route:
        there = entries()
        nsids = _ids(asked, route, there)
        wanted = _wanted(list(words))
        target, nsid = wanted.get("target-nsid", -1), wanted.get("nsid", -1)
        names = {
            found: name
            for found, name in zip(reversed(nsids), reversed(there), strict=True)
            if isinstance(found, int)
        }
        try:
            rows = [known_as(route, nsid, target)] if nsid >= 0 else known(route, target)
        except KernelError as error:
            complain(_refusal(error))
            if nsid >= 0:
                return 2
            complain("Dump terminated")
            return 1
    said = listing([_item(row, names) for row in rows], pretty=asked.pretty)
    say(said if asked.json else "".join(_line(row, names) for row in rows))
    return 0


def _wanted(words: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    while words:
        key = words.pop(0)
        if key not in {"target-nsid", "nsid"}:
            raise NetnsExit(usage(NetnsRequest(), ()))
        if key in found:
            complain(f'Error: duplicate "{key}": "{key}" is the second value.')
            raise NetnsExit(255)
        if not words:
            complain('Command line is not complete. Try option "help"')
            raise NetnsExit(255)
        word = words.pop(0)
        number = small_number(word)
        if number is None:
            raise invalid(word, f'"{key}" value is invalid')
        if number < 0:  # of the word behind it; so ip says
            raise invalid(words[0] if words else "(null)", f'"{key}" value should be >= 0')
        found[key] = number
    return found


def _name_of(row: KnownIds, names: dict[int, str]) -> str | None:
    nsid = row.nsid if row.current == -1 else row.current
    return None if nsid is None else names.get(nsid)


def _line(row: KnownIds, names: dict[int, str]) -> str:
    text = f"nsid {row.nsid} "
    if row.current != -1:
        text += f"current-nsid {'unassigned' if row.current is None else row.current} "
    name = _name_of(row, names)
    return f"{text}\n" if name is None else f"{text}(iproute2 netns name: {name})\n"


def _item(row: KnownIds, names: dict[int, str]) -> dict[str, str | int]:
    item: dict[str, str | int] = {"nsid": row.nsid}
    if row.current is not None and row.current >= 0:
        item["current-nsid"] = row.current
    name = _name_of(row, names)
    return item if name is None else {**item, "name": name}
