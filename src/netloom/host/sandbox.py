"""The machine that the lab of a Python program has for itself (`namespaces/context.py`).

Nobody else is there, and at first nothing is: so what was not made yet need not be looked for. Its
namespace `host` is looked at where it has more interfaces than it was born with.
"""

from msgspec.structs import replace

from netloom.host.apply.executor import count_netns_add
from netloom.host.apply.netns_pool import Preallocator
from netloom.host.apply.options import Applied, ApplyOptions
from netloom.host.local import LocalMachine
from netloom.host.observe.lab_links import FALLBACK
from netloom.host.observe.observer import observe_lab
from netloom.host.observe.scope import Scope
from netloom.host.store.in_memory import MemoryJournal
from netloom.host.store.journal import Journal
from netloom.kernel.procfs import interfaces
from netloom.model.facts import Occupied
from netloom.model.lab_state import LabState
from netloom.plan.fence import Fence
from netloom.plan.steps import Plan


def _is_bare() -> bool:
    """Whether the namespace of the calling thread has no interfaces but those of its birth."""
    return set(interfaces()) - FALLBACK == {"lo"}


class SandboxMachine(LocalMachine):
    """The machine of one lab; its `host` is the network namespace of the process or thread.

    `empty`: nothing was made yet.

    Mustn't: remember (`in_memory`) where changes are made in children, in whom it is a copy.
    """

    def __init__(self, lab: str, *, in_memory: bool) -> None:
        """Know that nothing is there."""
        self.empty = True
        self._in_memory = in_memory
        self._journal = MemoryJournal(lab) if in_memory else Journal(lab)
        self._preallocator: Preallocator | None = None

    def expect(self, number: int) -> None:
        """Begin to make namespaces, as many as the next plan will ask for, while that is found out.

        Should: be followed by `apply`, or by `dismiss` where it does not come to that.
        """
        if number and self._in_memory:
            self._preallocator = Preallocator(number)

    def dismiss(self) -> None:
        """Let go of what was begun for a plan that does not come."""
        super().dismiss()
        preallocator, self._preallocator = self._preallocator, None
        if preallocator:
            preallocator.close()

    @property
    def is_own(self) -> bool:
        """Whether nobody but this program comes into the namespaces that are made here."""
        return True

    def journal(self, lab: str) -> Journal:  # noqa: ARG002 - there is one
        """Return the memory of the lab."""
        return self._journal

    def occupied(self, fence: Fence) -> Occupied:
        """Return what the namespace `host` has that is not the lab's."""
        return Occupied() if _is_bare() else super().occupied(fence)

    def observe(self, scope: Scope) -> LabState:
        """Return what is there within a scope."""
        bare = _is_bare()  # asked, since whoever was in there need not have told
        return observe_lab(scope, empty=self.empty and bare, bare=bare)

    def apply(self, plan: Plan, options: ApplyOptions) -> Applied:
        """Carry out a plan; what is refused is at most one step, unless told to go on."""
        self.empty = False
        if self._preallocator and self._preallocator.number == count_netns_add(plan):
            options, self._preallocator = replace(options, preallocator=self._preallocator), None
        return super().apply(plan, options)
