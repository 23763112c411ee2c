"""`wire` and `move`: one wire, one interface, by hand, between whatever has a namespace.

What they make belongs to no lab: they say how to take it away.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from netloom.cli.grammar import Argument, Option, Verb, verb
from netloom.cli.named import namespaces, reason
from netloom.cli.output import REFUSED, TRIED, Stop, answer, refusals, tell
from netloom.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from netloom.host.byhand.saved_link import Restored
    from netloom.host.byhand.undoing import Undone
    from netloom.host.byhand.wiring import NewWireEnd
    from netloom.namespaces.targets import Target

_MTU = 1500
_LIKE_ADDRESS = re.compile(r"[0-9.]+/\w*|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(/\w*)?|[0-9.]+")
_NOTHING = "nothing was touched"
_WORDS = "NS[:IF] [ADDRESS/LEN ...]"


class _Asked(NamedTuple):
    """One end as it was asked for: where, the interface if said, addresses."""

    text: str
    link: str
    addresses: tuple[str, ...]


def _stop(message: str) -> Stop:
    return Stop(f"{message}\n{_NOTHING}", REFUSED)


def _complete(before: Sequence[str], incomplete: str) -> list[str]:
    return [
        *namespaces(before, incomplete),
        *(["host"] if "host".startswith(incomplete) else []),
    ]


# ── wire ──────────────────────────────────────────────────────────────────────────────────


@verb(
    "wire",
    Argument("words", "A B", many=True, complete=_complete),
    Option("--mtu", value="BYTES", default=str(_MTU), says=f"The MTU of both ends ({_MTU})."),
)
def wire_command(words: tuple[str, ...], mtu: str) -> None:
    """Make a wire between two namespaces, each end being `NS[:IF] [ADDRESS/LEN ...]`.

    NS is a name in /run/netns, `host`, `pid:1234`, `/path/to/ns`, `docker:web` or
    `unit:sshd.service`. An interface without a name bears that of what is on its other side.
    """
    from netloom.host.byhand.wiring import make
    from netloom.values import mtu as checked

    try:
        size = checked(mtu)
        ends = _ends(words)
    except ValueError as error:
        raise _stop(str(error)) from error
    _finish()
    with refusals(), _near(ends[0].text) as near, _near(ends[1].text) as far:
        made = (_end(ends[0], near, far), _end(ends[1], far, near))
        if near.netns.inode == far.netns.inode and made[0].link == made[1].link:
            raise _stop(f"both ends would be `{made[0].name}`\nhint: name them: {near.text}:IF")
        labs = _lab(near), _lab(far)
        make(*made, size)
    for end in made:
        answer("  ".join([end.name, *map(str, end.addrs)]))
    gone = next((end for end in made if end.target.ip.startswith("ip")), made[0])
    remedy = f"{gone.target.ip} link del dev {quoted(gone.link)}"
    answer(f"remove: {remedy}")
    for end, lab in zip(made, labs, strict=True):
        if lab:
            tell(f"note: `{end.target.text}` is of lab `{lab}`: {remedy} before netloom down {lab}")


def _ends(words: tuple[str, ...]) -> tuple[_Asked, _Asked]:
    """Return the two ends; addresses may stand in the same word as their end, or behind it."""
    from netloom.namespaces.targets import split
    from netloom.values import if_name, ip_and_length

    ends: list[_Asked] = []
    for word in words:
        first, *rest = word.split() or [""]
        if _LIKE_ADDRESS.fullmatch(first) and ends:
            rest = [first, *rest]
        else:
            target, link = split(first)
            if not target:
                message = f"`{word}` is no end of a wire: {_WORDS}"
                raise ValueError(message)
            ends.append(_Asked(target, if_name(link) if link or first.endswith(":") else "", ()))
        checked = tuple("{}/{}".format(*ip_and_length(address)) for address in rest)
        ends[-1] = ends[-1]._replace(addresses=(*ends[-1].addresses, *checked))
    if len(ends) != 2:
        found = ", ".join(f"`{end.text}`" for end in ends)
        message = f"a wire has two ends, not {len(ends)}: {found}\nhint: netloom wire A B"
        raise ValueError(message)
    return ends[0], ends[1]


def _near(text: str) -> "Target":
    """Open a target; a name that is not there is told with what was perhaps meant."""
    from netloom.namespaces.handle import NoSuchNetns
    from netloom.namespaces.targets import open_target

    try:
        return open_target(text)
    except NoSuchNetns as error:
        raise _stop(reason(error)) from error


def _end(asked: _Asked, here: "Target", there: "Target") -> "NewWireEnd":
    from netloom.host.byhand.wiring import NewWireEnd
    from netloom.model.names import short_name
    from netloom.model.objects import Addr
    from netloom.values import if_name, ip_and_length

    link = asked.link or short_name(there.label)
    try:
        if_name(link)
    except ValueError as error:
        raise _stop(f"{error}\nhint: name it: {here.text}:IF") from error
    longer = "" if asked.link or link == there.label else there.label
    addrs = tuple(Addr(*ip_and_length(address)) for address in asked.addresses)
    return NewWireEnd(here, link, longer, addrs)


def _lab(target: "Target") -> str | None:
    """Return the lab that a namespace belongs to, None for nobody's."""
    from netloom.host.byhand.endpoint import conversation
    from netloom.host.observe.cannot_look import looking
    from netloom.model.owner import lab_of
    from netloom.wire.rtnetlink import get_link, read_links

    with looking(), conversation(target) as rt:
        return lab_of(read_links([rt.ask(get_link("lo"))])[0].alias)


# ── move ──────────────────────────────────────────────────────────────────────────────────


@verb(
    "move",
    Argument("origin", "NS:IF", complete=_complete),
    Argument("goal", "NS[:IF]", complete=_complete),
    Option("--force", says="Also one of a lab, or that leads out of this machine."),
)
def move_command(origin: str, goal: str, force: bool) -> None:
    """Move an interface into another namespace, with its addresses, routes, MTU and state."""
    from netloom.host.byhand.endpoint import open_endpoint
    from netloom.host.byhand.moving import move

    here, link = _place(origin)
    there, name = _place(goal)
    if not link:
        raise _stop(f"`{origin}` names no interface, such as `{origin}:eth0`")
    led = _finish()
    if led and (led.came, led.went) == (f"{here}:{link}", f"{there}:{name or link}"):
        return
    with refusals(), _near(here) as source, _near(there) as target:
        lab = _lab(target)
        with open_endpoint(source, link) as came, open_endpoint(target, name or link) as went:
            given = move(came, went, force=force)
    answer(f"{came} is {went}  {_kept(given)}")
    answer(f"back: netloom move {quoted(str(went))} {quoted(str(came))}")
    for lack in given.missing:
        tell(f"note: not kept: {lack.what}: {lack.why}")
    if lab:
        tell(f"note: `{there}` is of lab `{lab}`: move it back before netloom down {lab}")


def _kept(given: "Restored") -> str:
    parts = [
        "up" if given.up else "down",
        *([_counted(given.addrs, "address", "addresses")] if given.addrs else []),
        *([_counted(given.routes, "route", "routes")] if given.routes else []),
    ]
    return ", ".join(parts)


def _place(text: str) -> tuple[str, str]:
    from netloom.namespaces.targets import split
    from netloom.values import if_name

    target, link = split(text)
    try:
        return target, if_name(link) if link or text.endswith(":") else ""
    except ValueError as error:
        raise _stop(str(error)) from error


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


# ── undo ──────────────────────────────────────────────────────────────────────────────────


def begun() -> bool:
    """Whether somebody was killed over a wire or a move."""
    from netloom.host.byhand.undo_log import entries

    with refusals():
        return any(not entry.done for entry in entries())


def undo_last() -> bool:
    """Take the last move back, and tell; return whether there was any."""
    from netloom.host.byhand.undoing import undo

    with refusals():
        undone = undo()
    if undone:
        _tell_undone(undone, answer)
    return undone is not None


def list_moves() -> None:
    """Print the moves that can be taken back, the latest first."""
    from netloom.host.byhand.undo_log import entries

    with refusals():
        found = entries()
    for entry in found:
        answer(f"{entry.number}  {entry.what}{'' if entry.done else ', interrupted'}")


def _finish() -> "Undone | None":
    """Take back what somebody was killed over, before anything else is done; return what."""
    from netloom.host.byhand.undoing import finish

    with refusals():
        undone = finish()
    if undone:
        tell("note: an earlier command was interrupted; first, what it left is led back:")
        _tell_undone(undone, tell)
    return undone


def _tell_undone(undone: "Undone", say: "Callable[[str], None]") -> None:
    if not undone.given:
        say(f"{undone.came} is gone again")
        return
    say(f"{undone.came} is {undone.went}  {_kept(undone.given)}")
    missing = undone.given.missing
    if missing:
        lines = [f"`{undone.went}` does not have {lack.what} again: {lack.why}" for lack in missing]
        lines += [f"  as a command: {lack.command}" for lack in missing if lack.command]
        raise Stop("\n".join(lines), TRIED)


COMMANDS: tuple[Verb, ...] = (
    wire_command,
    Verb("connect", wire_command.call, [*wire_command.options, *wire_command.arguments]),
    move_command,
)
"""The verbs of this file, to be hung into the command line."""
