"""What `apply` is told besides the plan, and what it answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from netloom.errors import Refused
from netloom.model.identity import Identities
from netloom.model.lab_state import LabState

if TYPE_CHECKING:
    from netloom.host.apply.netns_pool import Preallocator
    from netloom.kernel.libnftables import Library


class ApplyOptions(Struct, frozen=True):
    """How a plan shall be carried out.

    `go_on`: after a refusal, go on and report all (teardown); else stop at the first. `progress` is
    told how many steps are done; `stopped` says whether to stop early. `inside` are prefixes that
    the lab leaves: whatever the plan says, the host forgets their connections at the end.
    `ordered`: commands that come after others are left to who waits for those (`wait_ready`); else
    all start at once. `preallocator` has as many namespaces as the plan makes, and is closed at its
    end; so is `library`, one of nftables, if the plan needs it.
    """

    lab: str
    snapshot: LabState
    go_on: bool = False
    progress: Callable[[int], None] = lambda done: None  # noqa: ARG005 - the shape of a progress call
    stopped: Callable[[], bool] = lambda: False
    inside: frozenset[str] = frozenset()
    ordered: bool = False
    preallocator: "Preallocator | None" = None
    library: "Library | None" = None


class Applied(Struct, frozen=True):
    """What became of a plan: what was refused, and what that is known by which was made."""

    refused: list[Refused]
    made: Identities = {}
