"""What `netloom del` does beyond taking names away: ends, waits, and tells who holds what is left.

Should: look at everything before the first name goes.
Mustn't: end a process of a namespace that stays: the one that netloom runs in, or one that has
another name or is mounted somewhere else (a container's).
"""

from contextlib import ExitStack
from typing import NamedTuple

from netloom.cli.named import reason
from netloom.cli.output import REFUSED, TRIED, Stop, tell
from netloom.errors import NetloomError
from netloom.netns import names
from netloom.netns.belonging import names_of
from netloom.netns.handle import NETNS_DIR, Handle, open_name, open_self
from netloom.netns.holding import Identity, holders, identity, mounts

_SHOWN = 5


class _Live(NamedTuple):
    name: str
    netns: Handle
    identity: Identity


def delete(wanted: tuple[str, ...], *, kill: bool, timeout: float | None) -> None:
    """Take names away; `kill` who lives there; wait `timeout` seconds for their ends if any."""
    with ExitStack() as stack:
        live = _live(wanted, stack)
        if kill:
            _check_killable(live, wanted)
            _kill(live)
        gone = None
        if timeout is not None and live:
            from netloom.netns.gone import Gone

            gone = stack.enter_context(Gone([each.netns for each in live]))
        for name in wanted:
            try:
                names.remove(name)
            except NetloomError as error:
                raise Stop(reason(error), TRIED) from error
        own = _own()
        if gone is None:
            for each in live:  # still open: its inode can be nobody else's
                _tell_why(each, own)
            return
        for each in live:
            each.netns.close()
        left = gone.wait(timeout or 0)
        for place in sorted(left):
            _tell_why(live[place], own, wholly=True)
        if left:
            message = (
                f"not gone after {timeout:g} s: {', '.join(live[at].name for at in sorted(left))}"
            )
            raise Stop(message, TRIED)


def _live(wanted: tuple[str, ...], stack: ExitStack) -> list[_Live]:
    """Open the namespaces of names, each once; a stale name has none."""
    found: dict[Identity, _Live] = {}
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


def _own() -> Identity:
    with open_self() as netns:
        return identity(netns.fd)


def _check_killable(live: list[_Live], wanted: tuple[str, ...]) -> None:
    going = {f"{NETNS_DIR}/{name}" for name in wanted}
    own = _own()
    for each in live:
        if each.identity == own:
            message = f"`{each.name}` is the namespace that netloom runs in: nobody there is ended"
            raise Stop(f"{message}\nhint: netloom del {each.name}", REFUSED)
        here = {mount.path for mount in mounts(each.identity) if mount.here}
        if others := sorted(here - going):
            message = f"`{each.name}` is also mounted on {others[0]}: nobody there is ended"
            raise Stop(f"{message}\nhint: netloom del {each.name}, without --kill", REFUSED)


def _kill(live: list[_Live]) -> None:
    from netloom.netns.ending import end

    for pid, command, signal, gone in end({each.identity for each in live}):
        word = "ended" if gone else "could not be ended"
        tell(f"process {pid} ({command}) {word} by {signal}")


def _tell_why(each: _Live, own: Identity, *, wholly: bool = False) -> None:
    """Say who holds a namespace that has lost its name; `wholly` looks for sockets and mounts."""
    if each.identity == own:
        tell(f"note: what was `{each.name}` is the namespace that netloom runs in")
        return
    found = [f"it is also named `{name}`" for name in names_of(each.identity)]
    found += [str(holder) for holder in holders(each.identity, sockets=wholly)]
    if wholly:
        found += [str(mount) for mount in mounts(each.identity)]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    for line in [*found[:_SHOWN], *more]:
        tell(f"note: what was `{each.name}` lives on: {line}")
    if wholly and not found:
        tell(
            f"note: what was `{each.name}` lives on: nobody who can be seen holds it, perhaps a "
            "descriptor on its way between processes, or a connection that is still closing"
        )
