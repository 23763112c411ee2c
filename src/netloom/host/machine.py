"""The seam: all that the verbs of a lab need of a machine.

`LocalMachine` (`local.py`) is the real one, `netloom.testing.FakeMachine` one without a kernel.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from netloom.host.apply.options import Applied, ApplyOptions
from netloom.host.observe.scope import Scope
from netloom.model.facts import Joined, Nic, Occupied, UplinkFacts
from netloom.model.firewall import FirewallState
from netloom.model.lab_state import LabState
from netloom.model.objects import Desired
from netloom.plan.fence import Fence
from netloom.plan.steps import Plan

if TYPE_CHECKING:
    from netloom.errors import KernelError
    from netloom.host.cancel import Cancel
    from netloom.host.firewall.rulesets import DryRuns, RulesetText
    from netloom.host.observe.holders import Holders
    from netloom.host.observe.try_sysctls import Settings
    from netloom.host.store.journal import Journal


FileId = tuple[int, int]
"""What tells a file from all others while it is there: its device and its inode."""


class Facts(Protocol):
    """What a machine is, and what lies around the namespace `host`; to ask changes nothing."""

    @property
    def boot(self) -> str:
        """The name of this boot."""

    @property
    def ipv6(self) -> bool:
        """Whether the kernel has IPv6."""

    @property
    def hostname(self) -> str:
        """What the machine calls itself (gethostname(2))."""

    @property
    def is_own(self) -> bool:
        """Whether nobody but this program comes into the namespaces that are made here."""

    def check_place(self) -> None:
        """Raise `Unavailable` where labs are not made, or looked at.

        That is inside a namespace of a lab, and where the rights for it are lacking.
        """

    def check_plan(self, plan: Plan) -> None:
        """Raise `Unavailable` for a plan with steps that this machine takes from nobody."""

    def check_lasting(self) -> None:
        """Raise `Unavailable` where what is made would be gone with this process."""

    def file_at(self, path: str) -> FileId | None:
        """Return what tells a file from all others, None where a path leads to none (any more)."""

    def occupied(self, fence: Fence) -> Occupied:
        """Return what the namespace `host` has that is not the lab's, or is to be another's."""

    def uplink_facts(self, fence: Fence, ports: Collection[tuple[str, int]] = ()) -> UplinkFacts:
        """Return what lies around the namespace `host`, without the lab's own.

        `ports` are protocols and ports of which it shall be known whether they are taken.
        """

    def joined(self, segment: str) -> Joined:
        """Return what is known of a segment that is not a lab's; raises `Unavailable`."""

    def nics(self) -> Mapping[str, Nic]:
        """Return the interfaces of the namespace `host`, as those that could be a port."""

    def dry_run(self, lab: str, texts: "Iterable[RulesetText]", links: Iterable[str]) -> "DryRuns":
        """Return, for each text of firewall rules, how it will be listed, or its mistakes.

        `links` are names of interfaces that the texts may speak of. Raises `Unavailable` where the
        machine has no nftables.
        """

    def refused_sysctls(
        self, asked: "Iterable[Settings]"
    ) -> "Mapping[Settings, Mapping[str, KernelError]]":
        """Return what of each of some sets of settings a namespace does not take here."""

    def check(self, desired: Desired, firewall: FirewallState | None) -> None:
        """Raise `Unavailable` for what could not be started, or not be opened, here."""

    def notes(self, desired: Desired) -> tuple[str, ...]:
        """Return what a lab may run into on this machine."""


class Observer(Protocol):
    """Looks at what is there; that changes nothing."""

    def observe(self, scope: Scope) -> LabState:
        """Return what is there within a scope; raises `Unavailable` where that may not be seen."""

    def marked(self, lab: str) -> frozenset[str]:
        """Return the names of all namespaces that bear the mark of a lab, wherever it was noted."""

    def lab_with(self, netns: str, *, but: str) -> str | None:
        """Return which other lab than `but` has or makes a namespace of this name, None if none."""

    def holders(self, names: Iterable[str]) -> "Holders":
        """Return who keeps namespaces of these names, in a sentence for each."""

    def unaddressed(self, desired: Desired) -> list[str]:
        """Return a sentence for each interface that waits for a program to give it an address."""

    def uncovered(self, lab: str) -> list[str]:
        """Return why commands that run shall be started anew: files in /etc that were replaced."""


class Applier(Protocol):
    """Changes what is there."""

    def apply(self, plan: Plan, options: ApplyOptions) -> Applied:
        """Carry out a plan; what is refused is at most one step, unless told to go on."""

    def dismiss(self) -> None:
        """Let go of what was begun for `apply` and is not needed; twice is no harm."""

    def wait_ready(
        self, lab: str, desired: Desired, timeout: float, stop: "Cancel | None" = None
    ) -> None:
        """Return when all commands are ready, and start those that come after others meanwhile.

        Raises `NotReady` after `timeout` seconds, `Interrupted` when asked to `stop`.
        """


class Store(Protocol):
    """Remembers what was applied, and what is being changed."""

    def journal(self, lab: str) -> "Journal":
        """Return the memory of a lab."""

    def labs(self) -> list[str]:
        """Return the names of the labs that something is remembered of."""


class Machine(Facts, Observer, Applier, Store, Protocol):
    """A machine with network namespaces."""
