"""A lab that a Python program makes, changes and lets go of: `with Lab() as lab`.

It stands in a place of its own (`netns/place.py`): a network and mounts that nobody else sees, held
by two open files. So it needs no name that is free on the machine, labs of several processes do not
meet, and whoever is killed leaves nothing. With `persistent` it is a lab as `netloom up` makes it.

Every change is the whole topology, changed by a word, and `up`.
"""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from msgspec.structs import replace

from netloom.errors import NetloomError, Unavailable
from netloom.host.scope import scope_of
from netloom.host.this import ThisMachine
from netloom.kernel.closing import Closing
from netloom.lab.building import Building
from netloom.lab.change import TIMEOUT, up
from netloom.lab.expectations import Outcome, check
from netloom.lab.files import load
from netloom.lab.member import Netns
from netloom.lab.partitions import Change, Partitions
from netloom.lab.stand import Stand, not_open
from netloom.model.objects import HOST, Desired
from netloom.model.objects import Netns as Facts
from netloom.model.snapshot import Snapshot
from netloom.netns.place import Place
from netloom.topology.expand import expand
from netloom.topology.parse import Source, parse
from netloom.topology.topology import Topology
from netloom.topology.unparse import unparse


class Lab(Building, Closing):
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
        said = topology or Topology()
        self.name = name or said.name or "lab"
        self.topology = replace(said, name=self.name)
        if self._source and self._source.topology != self.topology:
            self._source = None
        self._fabric = expand(self.topology)
        self._stand: Stand | None = None
        self._partitions = Partitions()
        self._desired = Desired()
        self.lock = threading.RLock()

    def __repr__(self) -> str:
        """Return `<Lab shop: a, b>`."""
        names = ", ".join(self.topology.namespaces or {})
        return f"<Lab {self.name}{': ' if names else ''}{names}>"

    # ── life ──────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        """Make the lab; raises what `netloom up` refuses, and leaves nothing then."""
        with self.lock, ExitStack() as stack:
            if self._stand is not None:
                msg = f"the lab `{self.name}` is open already"
                raise Unavailable(msg)
            self._stand = Stand(self.name, persistent=self.persistent)
            self._partitions = Partitions()
            stack.callback(self.close)
            if self.topology != Topology(name=self.name):
                self.make(self.topology)
            stack.pop_all()
        return self

    async def __aenter__(self) -> Self:
        """Make the lab, on a thread."""
        import asyncio

        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        """Let go of the lab, on a thread."""
        import asyncio

        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End what runs in the lab, and let go of it; twice is no harm."""
        with self.lock:
            stand, self._stand = self._stand, None
            if stand is not None:
                stand.close()

    @property
    def stand(self) -> Stand:
        """Where the lab stands, for its members; raises `Unavailable` if it is not open."""
        if self._stand is None:
            raise not_open(self.name)
        return self._stand

    def make(self, topology: Topology) -> None:
        """Make the lab as a topology says, or leave it as it was."""
        stand = self.stand
        source = self._source if topology is self.topology else None
        try:
            source = source or parse(unparse(topology), file=self._file, name=self.name)
            if any(said.run for said in (topology.namespaces or {}).values()):
                stand.spawns()
            report = stand.home.call(up, source, timeout=self.timeout)
        except NetloomError as error:
            raise error.with_traceback(None) from error.__cause__
        self.topology, self._fabric = topology, expand(topology)
        before, self._desired = self._desired, report.desired
        for name in stand.opened:
            if self._desired.netns.get(name, Facts()).etc != before.netns[name].etc:
                stand.forget(name)

    # ── finding ───────────────────────────────────────────────────────────────────────────────

    def __getitem__(self, name: str) -> Netns:
        """Return the namespace of a name; raises `KeyError`."""
        if name not in self:
            raise KeyError(name)
        return Netns(self, name)

    def __contains__(self, name: object) -> bool:
        """Whether there is a namespace of this name."""
        return name in self._fabric.members

    def members(self, name: str) -> tuple[Netns, ...]:
        """Return the namespaces of a network, or of a `count` group, in the file's order."""
        fabric = self._fabric
        if name in fabric.groups:
            return tuple(Netns(self, each) for each in fabric.groups[name])
        for segment in fabric.segments:
            if segment.network is not None and segment.key == name:
                inside = dict.fromkeys(port.end.netns for port in segment.ports)
                return tuple(Netns(self, each) for each in inside if each in fabric.members)
        raise KeyError(name)

    def all(self) -> tuple[Netns, ...]:
        """Return all namespaces that the topology names, in the file's order."""
        return tuple(Netns(self, name) for name in self._fabric.members if name != HOST)

    # ── changing, live ────────────────────────────────────────────────────────────────────────

    def partition(self, *sides: Netns | str | Sequence[Netns | str]) -> Change:
        """Part namespaces as if there were no way between them; a `with` block heals it at its end.

        One side is parted from all others, several from each other; a name may be that of a
        network or a `count` group.
        """
        found = [self._side(side) for side in sides]
        if len(found) == 1:
            inside = {one.name for one in found[0]}
            found.append([one for one in self.all() if one.name not in inside])
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

    def snapshot(self) -> Snapshot:
        """Return what there is of the lab, as the kernel tells it."""
        scope = scope_of(self.name, [self._desired], making=self._desired)
        return self.stand.home.call(ThisMachine().observe, scope)

    def check(self, *, within: float = 1.0, wait: float = 0) -> list[Outcome]:
        """Return what becomes of each expectation (`expect`), by real packets.

        A probe is answered `within` so many seconds; what does not hold is tried again for seconds
        of `wait`.
        """
        return check(self, within, wait)

    def wait_ready(self, timeout: float | None = None) -> None:
        """Return when all commands (`run`) are ready; raises `NotReady` after `timeout` seconds."""
        seconds = self.timeout if timeout is None else timeout
        self.stand.home.call(ThisMachine().wait_ready, self.name, self._desired, seconds)

    # ── for its members ───────────────────────────────────────────────────────────────────────

    def desired_of(self, name: str) -> Facts:
        """Return what is asked of a namespace; raises `KeyError`."""
        return self._desired.netns[name]

    def address_of(self, name: str, link: str) -> str:
        """Return the first address of an interface; raises `KeyError`."""
        return self.desired_of(name).links[link].addrs[0].ip

    def place_of(self, name: str) -> Place:
        """Return a namespace with what is seen in it; raises `KeyError`."""
        stand = self.stand
        if name not in self._desired.netns:
            raise KeyError(name)
        return stand.place_of(name)
