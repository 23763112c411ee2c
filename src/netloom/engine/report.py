"""What the verbs of a lab tell."""

from collections.abc import Iterator

from msgspec import Struct

from netloom.errors import quoted
from netloom.model.lab_state import LabState
from netloom.model.objects import Desired, etc_entries
from netloom.plan.steps import Plan
from netloom.render.counted import counted


class Report(Struct, frozen=True):
    """What a verb did. `seconds` is how long it took, `notes` what the user should know besides.

    `left`: the host is not as it was before the lab, and a note says of what nobody knows it.
    `published` tells ports of the host that lead inwards.
    """

    lab: str
    plan: Plan
    desired: Desired
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    left: bool = False
    published: tuple[str, ...] = ()


class Verified(Struct, frozen=True):
    """What `up` would do so that all is as it was applied; nothing, if it is.

    `hidden` tells what of the lab is not seen, and no `up` can mend; `others` what others set in
    its namespaces, a line for each.
    """

    plan: Plan
    notes: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


_SHOWN = 3


def hidden_files(desired: Desired, snapshot: LabState) -> Iterator[str]:
    """Yield which files for /etc a lab's namespaces do not see, since others have some there."""
    every = {name: _in_place(name, snapshot, desired) for name in sorted(snapshot.foreign.files)}
    found = [(name, paths) for name, paths in every.items() if paths]
    for name, paths in found[:_SHOWN]:
        which = " and ".join(paths)
        what = "are" if len(paths) > 1 else "is"
        yield (
            f"{which} {what} somebody else's, so `{name}` does not see the lab's; "
            f"rm {' '.join(map(quoted, paths))}, and `netloom up` again"
        )
    more = len(found) - _SHOWN
    if more > 0:
        yield f"and so it is with {counted(more, 'more namespace')}"


def _in_place(name: str, snapshot: LabState, desired: Desired) -> list[str]:
    """Return the paths of others in the place of files that a namespace has from its lab."""
    netns = desired.netns.get(name)
    entries = etc_entries(desired.folders.get(netns.etc, ())) if netns else frozenset[str]()
    paths = snapshot.foreign.files[name]
    return [path for path in paths if entries and path.rpartition("/")[2] in {name, *entries}]


def staying_files(snapshot: LabState) -> Iterator[str]:
    """Yield the files of others that stay in /etc/netns when a lab goes."""
    paths = [path for found in snapshot.foreign.files.values() for path in found]
    if paths:
        more = f", and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        what = "stay: they are" if len(paths) > 1 else "stays: it is"
        yield f"{', '.join(paths[:_SHOWN])}{more} {what} not the lab's"


def found_notes(lab: str, snapshot: LabState) -> Iterator[str]:
    """Yield what to say of what was found beside a lab: forged marks, and notes that are lost."""
    for key in snapshot.foreign.lost:
        yield (
            f"what `{key}` was before is not known any more, its note could not be read: "
            "no lab restores it"
        )
    for thing in snapshot.foreign.forged:
        yield f"{thing} bears the mark of the lab `{lab}`, and is not its own: left alone"
