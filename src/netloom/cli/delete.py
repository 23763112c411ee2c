"""What `netloom del` does beyond taking names away: ends, waits, and tells who holds what is left.

Should: look at everything before the first name goes.
Mustn't: end a process of a namespace that stays: the one that netloom runs in, or one that has
another name or is mounted somewhere else (a container's).
"""

from contextlib import ExitStack
from typing import NamedTuple

from netloom.cli.named import reason
from netloom.cli.output import REFUSED, TRIED, Stop, tell
from netloom.errors import FAILURES, NetloomError, failure, quoted
from netloom.host.cancel import deferred_signals
from netloom.kernel.open_files import make_room
from netloom.namespaces import registry
from netloom.namespaces.handle import NETNS_DIR, Handle, open_name, open_self
from netloom.namespaces.ownership import named
from netloom.namespaces.references import NetnsInode, identity, mounts, references

_SHOWN = 5
_UNSEEN = (
    "nobody who can be seen holds it, perhaps a descriptor on its way between processes, or a "
    "connection that is still closing"
)


class _Live(NamedTuple):
    name: str
    netns: Handle
    identity: NetnsInode


def delete(wanted: tuple[str, ...], *, kill: bool, timeout: float | None) -> None:
    """Take names away; `kill` who lives there; wait `timeout` seconds if any; raises `Stop`."""
    make_room(len(wanted))
    with ExitStack() as stack:
        live = _live(wanted, stack)
        if kill:
            _check_killable(live, wanted)
            _kill(live)
        if timeout is None or not live:
            _remove(wanted)
            _tell_why(live)  # they are open still: their inodes are nobody else's
            return
        from netloom.namespaces.deletion import DeletionWatch

        gone = stack.enter_context(DeletionWatch([each.netns for each in live]))
        _remove(wanted)
        for each in live:
            each.netns.close()
        left = [live[place] for place in sorted(gone.wait(timeout))]
        if left:
            _tell_why(left, wholly=True)
            names_left = ", ".join(each.name for each in left)
            raise Stop(f"not gone after {timeout:g} s: {names_left}", TRIED)


def _remove(wanted: tuple[str, ...]) -> None:
    """Take all names away that can be; raises `Stop` with those that stay, and why."""
    refused = []
    for name in wanted:
        try:
            with deferred_signals(deadly=True):
                registry.remove(name)
        except NetloomError as error:
            refused.append(reason(error))
    if refused:
        raise Stop("\n".join(refused), TRIED)


def _live(wanted: tuple[str, ...], stack: ExitStack) -> list[_Live]:
    """Open the namespaces of names, each once; a stale name has none."""
    found: dict[NetnsInode, _Live] = {}
    for name in wanted:
        try:
            netns = stack.enter_context(open_name(name))
        except NetloomError:  # stale
            continue
        which = identity(netns.fd)
        if which in found:
            netns.close()
        else:
            found[which] = _Live(name, netns, which)
    return list(found.values())


def _own() -> NetnsInode:
    with open_self() as netns:
        return identity(netns.fd)


def _check_killable(live: list[_Live], wanted: tuple[str, ...]) -> None:
    going = {f"{NETNS_DIR}/{name}" for name in wanted}
    own = _own()
    staying = {
        mount.netns: mount.path
        for mount in mounts({each.identity for each in live})
        if mount.here and mount.path not in going
    }
    for each in live:
        if each.identity == own:
            message = f"`{each.name}` is the namespace that netloom runs in: nobody there is ended"
            raise Stop(f"{message}\nhint: netloom del {quoted(each.name)}", REFUSED)
        if path := staying.get(each.identity):
            message = f"`{each.name}` is also mounted on {path}: nobody there is ended"
            raise Stop(f"{message}\nhint: netloom del {quoted(each.name)}, without --kill", REFUSED)


def _kill(live: list[_Live]) -> None:
    from netloom.namespaces.terminate import end

    for pid, command, signal, gone in end({each.identity for each in live}):
        word = "ended" if gone else "could not be ended"
        tell(f"process {pid} ({command}) {word} by {signal}")


def _tell_why(live: list[_Live], *, wholly: bool = False) -> None:
    """Say who holds what has lost its name; `wholly` looks for sockets and mounts, too."""
    try:
        _look_why(live, wholly=wholly)
    except FAILURES as error:  # they are gone all the same
        tell(f"note: who holds what was deleted cannot be seen: {failure(error)}")


def _look_why(live: list[_Live], *, wholly: bool) -> None:
    own = _own()
    for each in live:
        if each.identity == own:
            tell(f"note: what was `{each.name}` is the namespace that netloom runs in")
    wanted = {each.identity for each in live} - {own}
    why: dict[NetnsInode, list[str]] = {which: [] for which in wanted}
    if not wanted:
        return
    for which, still in named().items():
        if which in why:
            why[which] += [f"it is also named `{name}`" for name in still]
    for holder in references(wanted, sockets=wholly):
        why[holder.netns].append(str(holder))
    for mount in mounts(wanted) if wholly else ():
        why[mount.netns].append(str(mount))
    for each in live:
        if each.identity in why:
            _tell(each.name, why[each.identity] or ([_UNSEEN] if wholly else []))


def _tell(name: str, why: list[str]) -> None:
    more = [f"and {len(why) - _SHOWN} more"] if len(why) > _SHOWN else []
    for line in [*why[:_SHOWN], *more]:
        tell(f"note: what was `{name}` lives on: {line}")
