"""A machine without a kernel: what a plan would do is predicted (`plan/simulate.py`), and done.

On it the verbs of labs run in milliseconds, as on a real one: they look, plan, note, apply. It can
refuse a step, and a process can die before any step or write, as by SIGKILL.
"""

import errno
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from netloom.datapath.fib import BASE_RULES
from netloom.engine import front as engine
from netloom.engine.report import Report
from netloom.errors import KernelError, Refused, Unavailable
from netloom.host.apply.options import Applied, ApplyOptions
from netloom.host.cancel import Cancel
from netloom.host.firewall.rulesets import DryRun, Ruleset, RulesetText
from netloom.host.machine import FileId
from netloom.host.observe.holders import Holders
from netloom.host.observe.scope import Scope
from netloom.host.observe.try_sysctls import Settings
from netloom.language.parse import Source, parse
from netloom.model.facts import HostSubnet, Joined, Nic, Occupied, TakenPort, UplinkFacts
from netloom.model.firewall import FirewallState
from netloom.model.lab_state import Foreign, LabState
from netloom.model.objects import HOST, Desired, NetnsState, Nexthop, Route, command_key, is_kept
from netloom.model.ready import EXIT
from netloom.model.reservation import Reservation, RouteKey
from netloom.plan.fence import Fence
from netloom.plan.mutable import Illegal
from netloom.plan.simulate import after
from netloom.plan.steps import NetnsDel, Plan, RunStop, Step
from netloom.plan.sysctls import NEWBORN, default_of, link_of
from netloom.render.text import line
from netloom.testing.store import FakeDisk, FakeJournal

_NEWBORN = NEWBORN | {
    f"net.{family}.conf.{which}.{setting}": "0"
    for family, setting in (
        ("ipv4", "forwarding"),
        ("ipv6", "forwarding"),
        ("ipv6", "disable_ipv6"),
    )
    for which in ("all", "default")
}
_OUTSIDE = UplinkFacts(
    links={"eth0": ""},
    routes=tuple(Route(dst, (Nexthop("eth0"),)) for dst in ("0.0.0.0/0", "::/0")),
    rules=BASE_RULES,
)


class Died(BaseException):
    """The process that was changing something on a fake machine died, as by SIGKILL."""


class FakeMachine:
    """A machine with network namespaces, all of it in memory.

    `events` are the steps and writes that it has seen, in words. With `dies_at` a process dies
    before that event (counted from 1, from when it is set), with `refuses_at` the step that is that
    event is refused. `residents` are those who keep a namespace alive when its name goes, by that
    name, in a sentence for each. `files` has a number for each path that leads to a file.
    """

    boot = "fake"
    hostname = "fake"
    is_own = False

    def __init__(
        self,
        *,
        outside: UplinkFacts = _OUTSIDE,
        nics: Mapping[str, Nic] | None = None,
        segments: Mapping[str, Joined] | None = None,
        ipv6: bool = True,
    ) -> None:
        """Make a machine; `outside`, `nics` and `segments` (for `from:`) are what stands around."""
        self.ipv6 = ipv6
        self.events: list[str] = []
        self.dies_at = 0
        self.refuses_at = 0
        self.residents: Holders = {}
        self.kept: list[NetnsState] = []
        self.files: dict[str, int] = {}
        self._outside = outside
        self._nics = dict(nics or {})
        self._segments = dict(segments or {})
        self._disk = FakeDisk(self._event)
        self._netns: dict[str, dict[str, NetnsState]] = {}
        self._done: dict[str, set[tuple[str, str]]] = {}

    # ── for tests ─────────────────────────────────────────────────────────────────────────────

    def up(self, topology: Source | str) -> Report:
        """Make a lab as `netloom up` does, of what `netloom.load` gave, or of a text."""
        source = parse(topology, name="lab") if isinstance(topology, str) else topology
        return engine.up(source, self)

    def down(self, lab: str = "lab") -> Report | None:
        """Take a lab down as `netloom down` does."""
        return engine.down(lab, self)

    def undo(self, lab: str = "lab") -> Report | None:
        """Lead a lab back as `netloom undo` does."""
        return engine.undo(lab, self)

    def verify(self, lab: str = "lab") -> Plan | None:
        """Return what `netloom verify` tells."""
        found = engine.verify(lab, self)
        return found.plan if found else None

    def netns(self, lab: str = "lab") -> Mapping[str, NetnsState]:
        """Return the namespaces of a lab, and under `host` its part of that, as they are now.

        Of their sysctls those that are not as in a newborn namespace.
        """
        return self._netns.get(lab, {})

    def end(self, netns: str, name: str, status: int = 0, *, lab: str = "lab") -> None:
        """Have a command end by itself, with a status."""
        if status == 0:
            self._done.setdefault(lab, set()).add((netns, name))
        else:
            there = self._netns[lab]
            commands = {**there[netns].commands, name: ""}
            there[netns] = replace(there[netns], commands=commands)

    def forget_events(self) -> None:
        """Count from 1 again, and neither die nor refuse."""
        self.events.clear()
        self.dies_at = self.refuses_at = 0

    # ── facts ─────────────────────────────────────────────────────────────────────────────────

    def check_place(self) -> None:
        """All verbs come from the host, and have all rights."""

    def check_plan(self, plan: Plan) -> None:
        """All can be set here."""

    def check_lasting(self) -> None:
        """All lasts as long as the machine."""

    def file_at(self, path: str) -> FileId | None:
        """Return what tells a file from all others, None where no file was given."""
        return (1, self.files[path]) if path in self.files else None

    def occupied(self, fence: Fence) -> Occupied:
        """Return what was given, and what other labs have of the host or are about to have."""
        links: dict[str, str | None] = dict.fromkeys((*self._outside.links, *self._nics))
        subnets: list[HostSubnet] = []
        routes: dict[RouteKey, str] = {}
        for other, has in self._reserved(fence.lab):
            links |= dict.fromkeys(has.links, other)
            subnets += [HostSubnet(*each, other) for each in sorted(has.subnets)]
            routes |= dict.fromkeys(has.routes, other)
        return Occupied(tuple(subnets), links, routes)

    def _reserved(self, lab: str) -> Iterator[tuple[str, Reservation]]:
        """Yield what the other labs have of the host by their notes."""
        others = (other for other in self.labs() if other != lab)
        return ((other, self.journal(other).reserved()) for other in others)

    def uplink_facts(self, fence: Fence, ports: Collection[tuple[str, int]] = ()) -> UplinkFacts:
        """Return what lies around the host, other labs' interfaces and ports too."""
        others = self._host_links(fence.lab)
        links = {**self._outside.links, **dict.fromkeys(others, "")}
        taken = [
            TakenPort(port.protocol, port.address, port.port, f"the lab `{other}` publishes it")
            for other, has in self._reserved(fence.lab)
            for port in has.ports
            if (port.protocol, port.port) in ports
        ]
        return replace(self._outside, links=links, of_labs=frozenset(others), taken=tuple(taken))

    def joined(self, segment: str) -> Joined:
        """Return a segment that was given; raises `Unavailable` for others."""
        if segment not in self._segments:
            raise Unavailable(f"the host has no bridge `{segment}`")
        return self._segments[segment]

    def nics(self) -> Mapping[str, Nic]:
        """Return the interfaces that were given."""
        return self._nics

    def dry_run(
        self,
        lab: str,  # noqa: ARG002
        texts: Iterable[RulesetText],
        links: Iterable[str],  # noqa: ARG002
    ) -> Mapping[RulesetText, DryRun]:
        """Return each text as its own listing: nobody checks it here."""
        return {text: Ruleset(text.text, str(hash(text.text))) for text in texts}

    def refused_sysctls(
        self,
        asked: Iterable[Settings],  # noqa: ARG002
    ) -> Mapping[Settings, Mapping[str, KernelError]]:
        """All can be set here."""
        return {}

    def check(self, desired: Desired, firewall: FirewallState | None) -> None:
        """All can be started here."""

    def notes(self, desired: Desired) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing is short here."""
        return ()

    # ── looking ───────────────────────────────────────────────────────────────────────────────

    def observe(self, scope: Scope) -> LabState:
        """Return what is there within a scope."""
        mine = self._netns.get(scope.lab, {})
        others = {
            name
            for lab, netns in self._netns.items()
            if lab != scope.lab
            for name, one in netns.items()
            if not is_kept(name, one)
        }
        seen = {
            name: _within(one, scope.sysctls.get(name, ()))
            for name, one in mine.items()
            if name in scope.names
        }
        nics = (name for name in self._nics if name not in mine.get(HOST, NetnsState()).links)
        foreign = Foreign(
            links={HOST: (*self._host_links(scope.lab), *nics)},
            names=frozenset(others & scope.names),
        )
        return LabState(
            netns={HOST: NetnsState(), **seen},
            defaults=dict.fromkeys(scope.fresh, "0") | _NEWBORN,
            foreign=foreign,
            firewall=FirewallState() if scope.firewall else None,
            done=frozenset(self._done.get(scope.lab, ())),
        )

    def _host_links(self, lab: str) -> list[str]:
        """Return the interfaces of all other labs on the host."""
        others = (netns for other, netns in self._netns.items() if other != lab)
        return [name for netns in others for name in netns.get(HOST, NetnsState()).links]

    def marked(self, lab: str) -> frozenset[str]:
        """Return the names of a lab's namespaces."""
        netns = self._netns.get(lab, {})
        return frozenset(name for name, one in netns.items() if not is_kept(name, one))

    def lab_with(self, netns: str, *, but: str) -> str | None:
        """Return which other lab than `but` has a namespace of this name, None if none."""
        others = (lab for lab in self._netns if lab != but)
        return next((lab for lab in others if netns in self.marked(lab)), None)

    def holders(self, names: Iterable[str]) -> Holders:
        """Return who keeps namespaces of these names, in a sentence for each."""
        return {name: self.residents[name] for name in names if name in self.residents}

    def unaddressed(self, desired: Desired) -> list[str]:  # noqa: ARG002
        """No program runs here, and none is waited for."""
        return []

    def uncovered(self, lab: str) -> list[str]:  # noqa: ARG002
        """Nothing is replaced here."""
        return []

    # ── changing ──────────────────────────────────────────────────────────────────────────────

    def apply(self, plan: Plan, options: ApplyOptions) -> Applied:
        """Carry out a plan; what is refused is at most one step, unless told to go on.

        After a refusal also steps are refused that stand on the one that was.
        """
        refused: list[Refused] = []
        for number, step in enumerate(plan, 1):
            if options.stopped() or (refused and not options.go_on):
                break
            if self._event(line(step)):
                refused.append(Refused(line(step), KernelError(errno.EPERM, "")))
                continue
            try:
                self._carry_out(step, options)
            except Illegal:
                if not refused:
                    raise
                refused.append(Refused(line(step), KernelError(errno.EBUSY, "")))
            options.progress(number)
        return Applied(refused)

    def _carry_out(self, step: Step, options: ApplyOptions) -> None:
        before = self._netns.get(options.lab, {})
        if isinstance(step, RunStop):
            self._done.get(options.lab, set()).discard((step.netns, step.name))
        if isinstance(step, NetnsDel) and step.netns in self.residents:
            self.kept.append(before[step.netns])
        whole = {name: _within(one, (*_NEWBORN, *one.sysctls)) for name, one in before.items()}
        there = replace(options.snapshot, netns={HOST: NetnsState(), **whole})
        left = {name: _settled(one) for name, one in after([step], there).netns.items()}
        self._netns[options.lab] = {
            n: one for n, one in left.items() if n != HOST or one != NetnsState()
        }
        if not self._netns[options.lab]:
            del self._netns[options.lab]

    @property
    def wires_kept(self) -> list[str]:
        """The wires that still lead from one namespace without a name to another."""
        return [
            f"{name} to {link.peer}"
            for one in self.kept
            for name, link in one.links.items()
            if link.peer and self._is_kept(link.peer.netns)
        ]

    def _is_kept(self, name: str) -> bool:
        return name in self.residents and not any(name in netns for netns in self._netns.values())

    def dismiss(self) -> None:
        """Nothing is begun before its time here."""

    def wait_ready(
        self,
        lab: str,
        desired: Desired,
        timeout: float,  # noqa: ARG002
        stop: Cancel | None = None,  # noqa: ARG002
    ) -> None:
        """Everything is ready at once: what is to end has ended."""
        for netns, one in desired.netns.items():
            for name in one.commands:
                if desired.commands[command_key(netns, name)].ready == EXIT:
                    self.end(netns, name, lab=lab)

    # ── remembering ───────────────────────────────────────────────────────────────────────────

    def journal(self, lab: str) -> FakeJournal:
        """Return the memory of a lab."""
        return FakeJournal(lab, self._disk)

    def labs(self) -> list[str]:
        """Return the labs that something is remembered of."""
        return self._disk.labs()

    def write(self, lab: str, name: str, data: bytes) -> None:
        """Put bytes in the place of a note (`record`, `pending`), as somebody else might."""
        self._disk.notes.setdefault(lab, {})[name] = data

    def _event(self, words: str) -> bool:
        """Note what is about to be done; return whether it is refused."""
        self.events.append(words)
        if len(self.events) == self.dies_at:
            raise Died(words)
        return len(self.events) == self.refuses_at


def _within(netns: NetnsState, keys: Iterable[str]) -> NetnsState:
    """Return a namespace with the sysctls that are asked for: each has a value."""
    known = {**_NEWBORN, **netns.sysctls}
    there = (key for key in keys if not link_of(key) or link_of(key) in netns.links)
    values = {key: known.get(key, known.get(default_of(key), "0")) for key in there}
    return replace(netns, sysctls=values)


def _settled(netns: NetnsState) -> NetnsState:
    """Return a namespace without the sysctls that it was born with."""
    own = {key: value for key, value in netns.sysctls.items() if value != _NEWBORN.get(key, "0")}
    return replace(netns, sysctls=own)
