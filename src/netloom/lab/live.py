"""A lab that a Python program makes, changes and lets go of: `with Lab() as lab`.

It stands in a place of its own (`netns/place.py`): a network and mounts that nobody else sees, held
by two open files. So it needs no name that is free on the machine, labs of several processes do not
meet, and whoever is killed leaves nothing. With `persistent` it is a lab as `netloom up` makes it.

Every change is the whole topology, changed by a word, and `up`.
"""

import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, overload

from msgspec.structs import replace

from netloom.errors import NetloomError, Unavailable
from netloom.host.scope import scope_of
from netloom.host.this import ThisMachine
from netloom.lab import words
from netloom.lab.change import TIMEOUT, up
from netloom.lab.files import load
from netloom.lab.member import Netns
from netloom.lab.stand import Stand, not_open
from netloom.lab.words import Words
from netloom.model.objects import Desired
from netloom.model.objects import Netns as Facts
from netloom.model.snapshot import Snapshot
from netloom.netns.place import Place
from netloom.topology.expand import expand
from netloom.topology.parse import Source, parse
from netloom.topology.topology import Topology
from netloom.topology.topology import Wire as SaidWire
from netloom.topology.unparse import unparse


class Network(NamedTuple):
    """A network of a lab."""

    name: str


class Wire(NamedTuple):
    """A wire of a lab: its two ends as they were said."""

    ends: tuple[str, str]
    said: SaidWire


class Lab:
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
        self._topology = replace(said, name=self.name)
        if self._source and self._source.topology != self._topology:
            self._source = None
        self._stand: Stand | None = None
        self._desired = Desired()
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        """Return `<Lab shop: a, b>`."""
        names = ", ".join(self._topology.namespaces or {})
        return f"<Lab {self.name}{': ' if names else ''}{names}>"

    # ── life ──────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        """Make the lab; raises what `netloom up` refuses, and leaves nothing then."""
        with self._lock, ExitStack() as stack:
            if self._stand is not None:
                msg = f"the lab `{self.name}` is open already"
                raise Unavailable(msg)
            self._stand = Stand(self.name, persistent=self.persistent)
            stack.callback(self.close)
            if self._topology != Topology(name=self.name):
                self._make(self._topology)
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the lab."""
        self.close()

    async def __aenter__(self) -> Self:
        """Make the lab, on a thread."""
        import asyncio

        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the lab, on a thread."""
        import asyncio

        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End what runs in the lab, and let go of it; twice is no harm."""
        with self._lock:
            stand, self._stand = self._stand, None
            if stand is not None:
                stand.close()

    @property
    def stand(self) -> Stand:
        """Where the lab stands, for its members; raises `Unavailable` if it is not open."""
        if self._stand is None:
            raise not_open(self.name)
        return self._stand

    def _make(self, topology: Topology) -> None:
        """Make the lab as a topology says, or leave it as it was."""
        stand = self.stand
        source = self._source if topology is self._topology else None
        try:
            source = source or parse(unparse(topology), file=self._file, name=self.name)
            if any(said.run for said in (topology.namespaces or {}).values()):
                stand.spawns()
            report = stand.home.call(up, source, timeout=self.timeout)
        except NetloomError as error:
            raise error.with_traceback(None) from error.__cause__
        self._topology = topology
        before, self._desired = self._desired, report.desired
        for name in stand.opened:
            if self._desired.netns.get(name, Facts()).etc != before.netns[name].etc:
                stand.forget(name)

    # ── building ──────────────────────────────────────────────────────────────────────────────

    @overload
    def netns(
        self,
        name: str,
        /,
        *,
        count: int | None = None,
        networks: Words = None,
        interfaces: Words = None,
        routes: Words = None,
        rules: Words = None,
        forwarding: bool | None = None,
        sysctls: Words = None,
        firewall: Words = None,
        iptables: Words = None,
        ip6tables: Words = None,
        dns: Words = None,
        hosts: Words = None,
        etc: Words = None,
        publish: Words = None,
        run: Words = None,
    ) -> Netns: ...
    @overload
    def netns(
        self,
        name: str,
        other: str,
        /,
        *names: str,
        count: int | None = None,
        networks: Words = None,
        interfaces: Words = None,
        routes: Words = None,
        rules: Words = None,
        forwarding: bool | None = None,
        sysctls: Words = None,
        firewall: Words = None,
        iptables: Words = None,
        ip6tables: Words = None,
        dns: Words = None,
        hosts: Words = None,
        etc: Words = None,
        publish: Words = None,
        run: Words = None,
    ) -> tuple[Netns, ...]: ...
    def netns(  # noqa: PLR0913 - the keys of a namespace
        self,
        *names: str,
        count: int | None = None,
        networks: Words = None,
        interfaces: Words = None,
        routes: Words = None,
        rules: Words = None,
        forwarding: bool | None = None,
        sysctls: Words = None,
        firewall: Words = None,
        iptables: Words = None,
        ip6tables: Words = None,
        dns: Words = None,
        hosts: Words = None,
        etc: Words = None,
        publish: Words = None,
        run: Words = None,
    ) -> Netns | tuple[Netns, ...]:
        """Add namespaces, all alike; the keywords are those of a namespace in a topology file.

        One name gives one `Netns`, several a tuple. Raises `TopologyError`, or `Refused` with all
        undone.
        """
        keys: dict[str, Words] = {
            "count": count,
            "networks": networks,
            "interfaces": interfaces,
            "routes": routes,
            "rules": rules,
            "forwarding": forwarding,
            "sysctls": sysctls,
            "firewall": firewall,
            "iptables": iptables,
            "ip6tables": ip6tables,
            "dns": dns,
            "hosts": hosts,
            "etc": etc,
            "publish": publish,
            "run": run,
        }
        with self._lock:
            more = words.namespaces_of(names, keys)
            self._make(words.with_namespaces(self._topology, more))
            found = tuple(Netns(self, name) for name in names)
        return found[0] if len(found) == 1 else found

    def network(  # noqa: PLR0913 - the keys of a network
        self,
        name: str,
        *,
        subnet: Words = None,
        subnets: Words = None,
        range: Words = None,  # noqa: A002 - the file's word
        from_: str | None = None,
        bridge: str | None = None,
        uplink: Words = None,
        gateway: str | None = None,
        dns: Words = None,
        mtu: int | None = None,
        stp: bool | None = None,
    ) -> Network:
        """Add a network; the keywords are those of one in a topology file (`from_` is `from`).

        Raises `TopologyError`, or `Refused` with all undone.
        """
        keys: dict[str, Words] = {
            "subnet": subnet,
            "subnets": subnets,
            "range": range,
            "from": from_,
            "bridge": bridge,
            "uplink": uplink,
            "gateway": gateway,
            "dns": dns,
            "mtu": mtu,
            "stp": stp,
        }
        with self._lock:
            if name in self._topology.networks or name in (self._topology.namespaces or {}):
                msg = f"`{name}` is in the lab already"
                raise Unavailable(msg)
            said = words.network_of(name, keys)
            networks = {**self._topology.networks, name: said}
            self._make(replace(self._topology, networks=networks))
        return Network(name)

    def wire(
        self,
        a: Netns | str,
        b: Netns | str,
        *,
        subnet: Words = None,
        subnets: Words = None,
        mtu: int | None = None,
    ) -> Wire:
        """Join two namespaces by a wire; an end is a `Netns`, or the file's `a:eth0 10.0.0.1/24`.

        Raises `TopologyError`, or `Refused` with all undone.
        """
        ends = tuple(end.name if isinstance(end, Netns) else end for end in (a, b))
        pair = (ends[0], ends[1])
        with self._lock:
            said = words.wire_of(pair, {"subnet": subnet, "subnets": subnets, "mtu": mtu})
            links = (*self._topology.links, said)
            self._make(replace(self._topology, links=links))
        return Wire(pair, said)

    connect = wire

    def remove(self, thing: Netns | Network | Wire) -> None:
        """Take a thing out of the lab; with a namespace its wires go, too."""
        with self._lock:
            topology = self._topology
            if isinstance(thing, Netns):
                there = dict(topology.namespaces or {})
                if there.pop(thing.name, None) is None:
                    raise KeyError(thing.name)
                kept = (w for w in topology.links if thing.name not in {e.netns for e in w.ends})
                topology = replace(topology, namespaces=there, links=tuple(kept))
            elif isinstance(thing, Network):
                left = {n: v for n, v in topology.networks.items() if n != thing.name}
                topology = replace(topology, networks=left)
            else:
                links = list(topology.links)
                links.remove(thing.said)
                topology = replace(topology, links=tuple(links))
            self._make(topology)

    # ── finding ───────────────────────────────────────────────────────────────────────────────

    def __getitem__(self, name: str) -> Netns:
        """Return the namespace of a name; raises `KeyError`."""
        if name not in self:
            raise KeyError(name)
        return Netns(self, name)

    def __contains__(self, name: object) -> bool:
        """Whether there is a namespace of this name."""
        return name in expand(self._topology).members

    def members(self, name: str) -> tuple[Netns, ...]:
        """Return the namespaces of a network, or of a `count` group, in the file's order."""
        fabric = expand(self._topology)
        if name in fabric.groups:
            return tuple(Netns(self, each) for each in fabric.groups[name])
        for segment in fabric.segments:
            if segment.network is not None and segment.key == name:
                inside = dict.fromkeys(port.end.netns for port in segment.ports)
                return tuple(Netns(self, each) for each in inside if each in fabric.members)
        raise KeyError(name)

    @property
    def topology(self) -> Topology:
        """The topology as it is by now."""
        return self._topology

    # ── looking ───────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> Snapshot:
        """Return what there is of the lab, as the kernel tells it."""
        scope = scope_of(self.name, [self._desired], making=self._desired)
        return self.stand.home.call(ThisMachine().observe, scope)

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
