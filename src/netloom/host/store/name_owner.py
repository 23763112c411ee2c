"""Whose a namespace's name is, by what labs remember."""

from contextlib import suppress

from netloom.errors import Unavailable
from netloom.host.store.journal import Journal, labs
from netloom.model.objects import is_kept


def lab_with(netns: str, *, but: str) -> str | None:
    """Return which other lab than `but` has or makes a namespace of this name, None if none.

    By what they remember: a name that is just being made bears no mark yet.
    """
    return next((lab for lab in labs() if lab != but and netns in _namespaces(lab)), None)


def _namespaces(lab: str) -> set[str]:
    found = set()
    with suppress(Unavailable):  # its memory cannot be read
        journal = Journal(lab)
        for state in (journal.record(), journal.pending()):
            every = state.desired.netns.items() if state else ()
            found |= {name for name, netns in every if not is_kept(name, netns)}
    return found
