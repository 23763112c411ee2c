"""The real `Machine`: the one that netloom runs on."""

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netloom.errors import Unavailable
from netloom.host.store.journal import Journal, labs
from netloom.kernel.files import exists, file_id
from netloom.kernel.procfs import boot_id
from netloom.model.objects import HOST, command_key

if TYPE_CHECKING:
    from netloom.errors import KernelError
    from netloom.host.apply.options import Applied, ApplyOptions
    from netloom.host.cancel import Cancel
    from netloom.host.commands.processes import RunCommand
    from netloom.host.firewall.rulesets import DryRuns, RulesetText
    from netloom.host.machine import FileId
    from netloom.host.observe.holders import Holders
    from netloom.host.observe.scope import Scope
    from netloom.host.observe.try_sysctls import Settings
    from netloom.kernel.libnftables import Library
    from netloom.model.facts import Joined, Nic, Occupied, UplinkFacts
    from netloom.model.firewall import FirewallState
    from netloom.model.lab_state import LabState
    from netloom.model.objects import Desired
    from netloom.plan.fence import Fence
    from netloom.plan.steps import Plan


class LocalMachine:
    """The machine that netloom runs on; `host` is the network namespace of the process."""

    _library: "Library | None" = None
    """A library of nftables, to predict by and then to carry out."""

    @property
    def boot(self) -> str:
        """The kernel's name for this boot."""
        return boot_id()

    @property
    def ipv6(self) -> bool:
        """Whether the kernel has IPv6."""
        return exists("/proc/sys/net/ipv6")

    @property
    def hostname(self) -> str:
        """What the machine calls itself (gethostname(2))."""
        return os.uname().nodename

    def journal(self, lab: str) -> Journal:
        """Return the memory of a lab, on disk."""
        return Journal(lab)

    def labs(self) -> list[str]:
        """Return the names of the labs that something is remembered of."""
        return labs()

    @property
    def is_own(self) -> bool:
        """Whether nobody but this program comes into the namespaces that are made here."""
        return False

    def check_place(self) -> None:
        """Raise `Unavailable` where labs are not made, or looked at.

        That is inside a namespace of a lab, and where root lacks the capabilities for it.
        """
        from netloom.namespaces import rights
        from netloom.namespaces.lab_here import check_outside

        rights.check(rights.NET_ADMIN, rights.SYS_ADMIN)
        check_outside()

    def check_plan(self, plan: "Plan") -> None:
        """Raise `Unavailable` for a plan with steps that this machine takes from nobody."""
        from netloom.namespaces.rights import read_only_sysctls
        from netloom.plan.steps import ClaimAdd, SysctlSet

        step = next((step for step in plan if isinstance(step, ClaimAdd | SysctlSet)), None)
        if step and (refused := read_only_sysctls(step.key)):
            raise refused

    def check_lasting(self) -> None:
        """Raise `Unavailable` where what is made would be gone with this process."""
        from netloom.namespaces import registry

        registry.check_lasting()

    def file_at(self, path: str) -> "FileId | None":
        """Return what tells a file from all others, None where a path leads to none (any more)."""
        return file_id(path)

    def occupied(self, fence: "Fence") -> "Occupied":
        """Return what the namespace `host` has that is not the lab's, or is to be another's."""
        from netloom.host.observe import occupied

        return occupied.occupied(fence)

    def uplink_facts(
        self, fence: "Fence", ports: Collection[tuple[str, int]] = ()
    ) -> "UplinkFacts":
        """Return what lies around the namespace `host`, and which of these ports are taken."""
        from netloom.host.observe import uplinks

        return uplinks.uplink_facts(fence, ports)

    def dry_run(self, lab: str, texts: "Iterable[RulesetText]", links: Iterable[str]) -> "DryRuns":
        """Return, for each text of firewall rules, how it will be listed, or its mistakes."""
        from netloom.host.firewall import rulesets
        from netloom.kernel import nft

        texts = tuple(texts)
        if not all(text.own for text in texts):
            return rulesets.dry_run(lab, texts, links)
        if self._library is None or self._library.is_over:
            self._library = nft.begin()
        return rulesets.dry_run(lab, texts, links, self._library)

    def refused_sysctls(
        self, asked: "Iterable[Settings]"
    ) -> "Mapping[Settings, Mapping[str, KernelError]]":
        """Return what of each of some sets of settings a namespace does not take here."""
        from netloom.host.observe import try_sysctls

        return try_sysctls.refused_sysctls(asked)

    def joined(self, segment: str) -> "Joined":
        """Return what is known of a segment that is not a lab's; raises `Unavailable`."""
        from netloom.host.observe import segments

        return segments.joined(segment)

    def nics(self) -> "Mapping[str, Nic]":
        """Return the interfaces of the namespace `host`, as those that could be a port."""
        from netloom.host.observe import segments

        return segments.nics()

    def check(self, desired: "Desired", firewall: "FirewallState | None") -> None:
        """Raise `Unavailable` for what could not be started, or not be opened, here."""
        if desired.commands:
            from netloom.host.commands import launch

            launch.check(list(_commands(desired)))
        if firewall:
            from netloom.host.firewall import exceptions

            exceptions.check(firewall, desired.netns[HOST].exceptions)

    def notes(self, desired: "Desired") -> tuple[str, ...]:
        """Return what a lab may run into on this machine."""
        from netloom.host import etc, limits

        return (*limits.notes(desired), *etc.notes(desired))

    def wait_ready(
        self, lab: str, desired: "Desired", timeout: float, stop: "Cancel | None" = None
    ) -> None:
        """Return when all commands are ready, and start those that come after others meanwhile.

        Raises `NotReady` after `timeout` seconds, `Interrupted` when asked to `stop`, `Unavailable`
        where the lab is another by the time at which one of them is to start.
        """
        from netloom.model.names import out_of

        began = time.monotonic()
        if desired.commands:
            from netloom.host.commands import wait_ready

            def start(due: "list[RunCommand]") -> bool:
                return self._start(lab, desired, due)

            wait_ready.wait_ready(lab, list(_commands(desired)), timeout, stop, start)
        if desired.dynamic:
            from netloom.host import wait_address

            left = max(0.0, timeout - (time.monotonic() - began))
            wait_address.wait_addresses(desired.dynamic, left, stop)
        if out_of(lab) in desired.netns:
            from netloom.host import wait_uplink

            wait_uplink.wait_way_out(out_of(lab), timeout, stop)

    def _start(self, lab: str, desired: "Desired", due: "list[RunCommand]") -> bool:
        """Start commands that are not started yet; false where another netloom has the lab."""
        from netloom.host.commands import launch, processes
        from netloom.host.store.lablock import Busy

        try:
            with self.journal(lab) as journal:
                record = journal.record()
                if record is None or record.desired != desired:
                    raise Unavailable(f"the lab `{lab}` was changed meanwhile")
                begun = {run.key for run in processes.runs(lab)}
                now = [one for one in due if (one.netns, one.name) not in begun]
                digests = {name: one.commands for name, one in desired.netns.items()}
                launch.start(lab, [(one, digests[one.netns][one.name]) for one in now])
        except Busy:
            return False
        return True

    def observe(self, scope: "Scope") -> "LabState":
        """Return what is there within a scope."""
        from netloom.host.observe import observer

        return observer.observe_lab(scope)

    def apply(self, plan: "Plan", options: "ApplyOptions") -> "Applied":
        """Carry out a plan; what is refused is at most one step, unless told to go on."""
        from netloom.host.apply import apply

        if self._library and not self._library.is_over:
            options = replace(options, library=self._library)
        return apply.apply(plan, options)

    def dismiss(self) -> None:
        """Let go of what was begun for a plan that does not come."""
        library, self._library = self._library, None
        if library:
            library.close()

    def unaddressed(self, desired: "Desired") -> list[str]:
        """Return a sentence for each interface that waits for a program to give it an address."""
        if not desired.dynamic:
            return []
        from netloom.host import wait_address

        return wait_address.unaddressed(desired.dynamic)

    def uncovered(self, lab: str) -> list[str]:
        """Return why commands that run shall be started anew: files in /etc that were replaced."""
        from netloom.host.commands import processes

        return [
            f"`{name}` in `{netns}` sees the host's {', '.join(paths)}, which was replaced: what "
            "lay over it is gone"
            for (netns, name), run in processes.running(lab).items()
            if (paths := processes.uncovered(netns, run))
        ]

    def marked(self, lab: str) -> frozenset[str]:
        """Return the names of all namespaces that bear the mark of a lab, or have files of it."""
        from netloom.host import etc
        from netloom.host.observe import owners

        return owners.marked(lab) | etc.linked(lab)

    def lab_with(self, netns: str, *, but: str) -> str | None:
        """Return which other lab than `but` has or makes a namespace of this name, None if none."""
        from netloom.host.store import name_owner

        return name_owner.lab_with(netns, but=but)

    def holders(self, names: Iterable[str]) -> "Holders":
        """Return who keeps namespaces of these names, in a sentence for each."""
        from netloom.host.observe import holders

        return holders.holders(names)


def _commands(desired: "Desired") -> "Iterator[RunCommand]":
    from netloom.host.commands import processes

    for netns, one in desired.netns.items():
        for name in one.commands:
            yield processes.run_command(netns, name, desired.commands[command_key(netns, name)])
