"""A lab that a Python program makes, changes and lets go of: `with Lab() as lab`.

It stands in a context of its own (`namespaces/context.py`): a network and mounts that nobody else
sees, held by two open files. So it needs no name that is free on the machine, labs of several
processes do not meet, and whoever is killed leaves nothing. With `persistent` it is as `netloom up`
makes it.

Every change is the whole topology, changed by a word, and `up`.
"""

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from msgspec.structs import replace

from netloom.api.builder import LabBuilder
from netloom.api.expectations import Outcome, check
from netloom.api.namespace import Netns
from netloom.api.partitions import Change, Partitions
from netloom.api.runtime import Runtime, not_open
from netloom.compile.expand import Expanded, expand
from netloom.engine.topology_file import load
from netloom.engine.until_ready import TIMEOUT
from netloom.engine.up import make
from netloom.engine.verify import observed
from netloom.errors import NetloomError, Unavailable
from netloom.host.cancel import deferred_signals
from netloom.kernel.closing import Closing
from netloom.language.parse import Source, parse
from netloom.language.synthetic import SyntheticSource
from netloom.language.topology import Topology
from netloom.language.unparse import unparse
from netloom.model.lab_state import LabState
from netloom.model.names import switch_of
from netloom.model.objects import HOST, Desired, Link
from netloom.namespaces.context import NetnsContext

if TYPE_CHECKING:
    from netloom.api.recording import Recording


_P = ParamSpec("_P")
_T = TypeVar("_T")


class Lab(LabBuilder, Closing):
    """Namespaces, networks and wires; gone at the end of its `with` block, or with the process.

    Methods may be called from several threads; changes come one after the other.
    """

    def __init__(
        self,
        topology: "Path | str | Topology | Source | None" = None,
        *,
        name: str | None = None,
        persistent: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        """Read a topology: a file's path, what `netloom.parse` or `load` gave, or nothing yet.

        `timeout` is in seconds: how long commands may take to become ready. Nothing is made before
        the `with` block begins. Raises `TopologyError`, or `Unavailable` where there is no file.
        """
        self.timeout = timeout
        self.persistent = persistent
        self._file = "<lab>"
        self._source: Source | None = None
        if isinstance(topology, str | Path):
            topology = load(topology)
        if isinstance(topology, Source):
            self._source, self._file = topology, topology.file
            topology = topology.topology
        spec = topology or Topology()
        self.name = name or spec.name or "lab"
        self.topology = replace(spec, name=self.name)
        self._has_name = bool(name or spec.name)
        if self._source and name in {None, spec.name}:
            if not spec.name:
                self._source = self._source.called(self.name)
        elif topology or name:  # which nobody has read yet
            self._source = None
            parse(unparse(self.topology), file=self._file)
        self._expanded = expand(self.topology)
        self._runtime: Runtime | None = None
        self._partitions = Partitions()
        self._desired = Desired()
        self.recordings: list[Recording] = []
        self.lock = threading.RLock()

    def __repr__(self) -> str:
        """Return `<Lab shop: a, b>`."""
        names = ", ".join(self.topology.namespaces or {})
        return f"<Lab {self.name}{': ' if names else ''}{names}>"

    # ── life ──────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        """Make the lab; raises what `netloom up` refuses, and leaves nothing then."""
        with self.lock, ExitStack() as stack:
            if self._runtime is not None:
                msg = f"the lab `{self.name}` is open already"
                raise Unavailable(msg)
            stack.callback(self.close)
            with deferred_signals():
                self._runtime = Runtime(self.name, persistent=self.persistent)
                self._partitions = Partitions()
                if self.persistent:
                    self._runtime.context.call(self._runtime.machine.check_place)
                    self._runtime.context.call(self._runtime.machine.check_lasting)
            if self.topology != Topology(name=self.name):
                self.make(self.topology)
            stack.pop_all()
        return self

    async def __aenter__(self) -> Self:
        """Make the lab, on a thread; one that is cancelled meanwhile is let go of again."""
        import asyncio

        making = asyncio.ensure_future(asyncio.to_thread(self.__enter__))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            await asyncio.wait([making])
            await asyncio.to_thread(self.close)
            raise

    async def __aexit__(self, *_: object) -> None:
        """Let go of the lab, on a thread, whoever is cancelled."""
        import asyncio

        closing = asyncio.ensure_future(asyncio.to_thread(self.close))
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait([closing])
            raise

    def __del__(self) -> None:
        """Let go of a lab that nobody knows any more, and complain (`ResourceWarning`)."""
        if getattr(self, "_runtime", None) is not None:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.close()

    def close(self) -> None:
        """End what runs in the lab, and let go of it; twice is no harm."""
        with self.lock, deferred_signals():
            runtime, self._runtime = self._runtime, None
            if runtime is not None:
                with runtime:
                    for one in [*self.recordings]:
                        one.end()

    @property
    def runtime(self) -> Runtime:
        """Where the lab stands, for its members; raises `Unavailable` if it is not open."""
        if self._runtime is None:
            raise not_open(self.name)
        return self._runtime

    def make(self, topology: Topology) -> None:
        """Make the lab as a topology says, or leave it as it was.

        Raises `NotReady` where its commands are not ready in time; then it is made all the same.
        """
        runtime = self.runtime
        runtime.check_whose()
        source = self._source if topology is self.topology else None
        expanded = self._expanded if topology is self.topology else expand(topology)
        there = self._desired.netns
        gone = [
            name
            for name in self._expanded.members
            if name in there and name not in expanded.members
        ]
        for one in self.recordings:
            one.take()
        try:
            source = source or SyntheticSource(topology, file=self._file, has_name=self._has_name)
            with deferred_signals() as stop:
                if any(spec.run for spec in (topology.namespaces or {}).values()):
                    runtime.spawns()
                if any(network.uplink for network in topology.networks.values()):
                    runtime.leads_out()
                if runtime.has_spawned:
                    for name in gone:
                        runtime.context_of(name)  # held, so that whoever lives there can be found
                with runtime.expecting(self._unborn(expanded)):
                    report = runtime.changing(make, source, runtime.machine, stop)
                self._adopt(topology, expanded, report.desired)
                runtime.clear(gone)
            if report.desired.commands:
                self.wait_ready()
        except NetloomError as error:
            raise error.with_traceback(None) from error.__cause__

    def _unborn(self, expanded: Expanded) -> int:
        """Return how many namespaces a change makes, as far as is known by now."""
        there = self._desired.netns
        switched = any(one.network and not one.joined for one in expanded.segments)
        names = [*expanded.members, *([switch_of(self.name)] if switched else [])]
        return sum(name not in there and name != HOST for name in names)

    def _adopt(self, topology: Topology, expanded: Expanded, desired: Desired) -> None:
        """Take note of what is there now."""
        self.topology, self._expanded = topology, expanded
        before, self._desired = self._desired, desired
        for name in self.runtime.opened:
            now, then = desired.netns.get(name), before.netns.get(name)
            if now and then and now.etc != then.etc:
                self.runtime.forget(name)
        for one in self.recordings:
            one.follow()

    # ── finding ───────────────────────────────────────────────────────────────────────────────

    def __getitem__(self, name: str) -> Netns:
        """Return the namespace of a name (`host` is the lab's own host); raises `KeyError`."""
        self._check_known(name)
        return Netns(self, name)

    def __contains__(self, name: object) -> bool:
        """Whether there is a namespace of this name."""
        return name in self._expanded.members

    def members(self, name: str) -> tuple[Netns, ...]:
        """Return the namespaces of a network or a `count` group in order; raises `KeyError`."""
        expanded = self._expanded
        if name in expanded.groups:
            return tuple(Netns(self, each) for each in expanded.groups[name])
        for segment in expanded.segments:
            if segment.network is not None and segment.key == name:
                inside = dict.fromkeys(port.end.netns for port in segment.ports)
                return tuple(Netns(self, each) for each in inside if each in expanded.members)
        msg = f"no network and no `count` group `{name}` in the lab `{self.name}`"
        raise KeyError(msg)

    def all(self) -> tuple[Netns, ...]:
        """Return all namespaces that the topology names, in the file's order."""
        return tuple(Netns(self, name) for name in self._expanded.members if name != HOST)

    # ── changing, live ────────────────────────────────────────────────────────────────────────

    def partition(self, *sides: Netns | str | Sequence[Netns | str]) -> Change:
        """Part namespaces as if there were no way between them; a `with` block heals it at its end.

        One side is parted from all others, several from each other; a name may be that of a
        network or a `count` group. Raises `ValueError` for an empty side, and for who is on two.
        """
        found = [self._side(side) for side in sides]
        names = [one.name for side in found for one in side]
        if not names or not all(found):
            msg = "a side of a partition has nobody in it"
            raise ValueError(msg)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"on two sides of a partition: {', '.join(twice)}"
            raise ValueError(msg)
        if len(found) == 1:
            found.append([one for one in self.all() if one.name not in names])
        return self._partitions.part(found)

    def _side(self, side: Netns | str | Sequence[Netns | str]) -> list[Netns]:
        if isinstance(side, Netns):
            return [side]
        if isinstance(side, str):
            return [self[side]] if side in self else list(self.members(side))
        return [one for each in side for one in self._side(each)]

    def heal(self) -> None:
        """Take back every partition."""
        self._partitions.heal()

    # ── looking ───────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> LabState:
        """Return what there is of the lab, as the kernel tells it."""
        return self.runtime.context.call(observed, self.name, self.runtime.machine)

    def check(self, *, within: float = 1.0, wait: float = 0) -> list[Outcome]:
        """Return what becomes of each expectation (`expect`), by real packets.

        A probe is answered `within` so many seconds; what does not hold is tried again for seconds
        of `wait`.
        """
        return check(self, within, wait)

    def wait_ready(self, timeout: float | None = None) -> None:
        """Return when all commands (`run`) are ready; raises `NotReady` after `timeout` seconds."""
        seconds = self.timeout if timeout is None else timeout
        self.runtime.context.call(
            self.runtime.machine.wait_ready, self.name, self._desired, seconds
        )

    def capture_packets(self, path: Path | str) -> Change:
        """Write what goes over all links from now on to a pcapng file, until that is taken back.

        Links that are made meanwhile are in it, too. Raises `Unavailable` where `path` cannot be
        written; at the end warns (`RuntimeWarning`) of links that were not heard, and of packets
        that were lost.
        """
        from netloom.api.packet_file import Capture

        with self.lock:
            self.runtime  # noqa: B018 - raises where the lab is not open
            return Change(Capture(self, path).end)

    # ── for its members ───────────────────────────────────────────────────────────────────────

    def links_of(self, name: str) -> Mapping[str, Link]:
        """Return the links that a namespace shall have; raises `KeyError`."""
        self._check_known(name)
        return self._desired.netns[name].links

    def address_of(self, target: str, viewer: Netns) -> str:
        """Return the address of `NS` that a viewer reaches, or the first of `NS:IF`.

        What is no name of the lab is returned as it is; raises `KeyError` for an interface there.
        """
        name, _, link = target.partition(":")
        if link:
            self._check_known(name)
            return self.links_of(name)[link].addrs[0].ip
        return self[name].ip_for(viewer) if name in self else target

    def context_of(self, name: str) -> NetnsContext:
        """Return a namespace with what is seen in it; raises `KeyError`."""
        self._check_known(name)
        return self.runtime.context_of(name)

    def probed(self, name: str, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
        """Return what a call returns that needs the network of a namespace, and leaves nothing."""
        self._check_known(name)
        return self.runtime.probed(name, call, *args, **keys)

    def spawns(self) -> None:
        """Note that a process is about to be started in the lab."""
        with deferred_signals():
            self.runtime.spawns()

    def start(self, name: str, argv: list[str], **keys: Any) -> "Popen[Any]":
        """Start a process in a namespace, which ends with the lab at the latest."""
        with deferred_signals():
            self.runtime.spawns()
            process: Popen[Any] = self.context_of(name).spawn(Popen, argv, **keys)
            self.runtime.adopt(process)
        return process

    def _check_known(self, name: str) -> None:
        """Raise `KeyError` for a name that no namespace of the lab has."""
        if name not in self and name != HOST:
            msg = f"no namespace `{name}` in the lab `{self.name}`"
            raise KeyError(msg)
