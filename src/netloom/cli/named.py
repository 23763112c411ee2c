"""What the verbs about names share: completion, what was perhaps meant, and whose a name is."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from netloom.cli.output import Stop, words_of
from netloom.errors import KernelError, NetloomError, Unavailable, printable
from netloom.namespaces.handle import NoSuchNetns, Stale, open_name, path_of


def namespaces(before: Sequence[str], incomplete: str) -> list[str]:  # noqa: ARG001 - a completion
    """Return the names that a word may become."""
    from netloom.namespaces import registry

    return [name for name in registry.names() if name.startswith(incomplete) and name.isprintable()]


def reason(error: NetloomError) -> str:
    """Return what went wrong, with the name that was perhaps meant, or whose it is."""
    from netloom.host.store.elsewhere import owner_of_netns, whose
    from netloom.language.suggest import did_you_mean
    from netloom.namespaces import registry

    if not isinstance(error, NoSuchNetns) or isinstance(error, Stale):
        return words_of(error)
    if user := owner_of_netns(error.name):
        theirs = f"{error.reason} here: `{printable(error.name)}` is {whose(user)}"
        return words_of(Unavailable(theirs, f"run it as {user}"))
    meant = did_you_mean(error.name, registry.names())
    return f"{error.reason}: {meant}" if meant else words_of(error)


def or_stop(call: Callable[[], object], status: int) -> None:
    """Make a call; raises `Stop` with `status` for what it refuses."""
    try:
        call()
    except NetloomError as error:
        raise Stop(reason(error), status) from error


class NamedRow(NamedTuple):
    """A name, its lab (empty for none, None where one may not look inside), whether it is stale."""

    name: str
    lab: str | None
    stale: bool


def rows(wanted: Iterable[str]) -> list[NamedRow]:
    """Look at each namespace, all on one thread that hops from one to the next."""
    from netloom.namespaces.enter import in_thread

    return in_thread(lambda: [_row(name) for name in wanted])


def _row(name: str) -> NamedRow:
    from netloom.namespaces.enter import setns
    from netloom.namespaces.lab_here import lab_here
    from netloom.namespaces.symlinks import link_of

    try:
        with open_name(name) as netns:
            setns(netns)
    except Stale:
        return NamedRow(name, "", stale=True)
    except NoSuchNetns:
        return NamedRow(name, "", stale=bool(link_of(path_of(name))))
    except (Unavailable, KernelError):
        return NamedRow(name, None, stale=False)
    return NamedRow(name, lab_here() or "", stale=False)
