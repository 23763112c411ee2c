"""Looking at all of a machine: the namespace `host`, and every one that has a name.

Nothing is fenced off, and nobody's mark is asked for: this is for reading alone. Of what the kernel
does by itself, routes and temporary addresses are told as well, since packets go by them.

The two ends of a wire name each other's index, which several pairs may have alike; so the kernel is
asked which namespace an end means (RTM_GETNSID).

Rule: looking changes nothing. A namespace without a name is not visited, nor one that may not be
entered: `foreign.names` has the names of those, `foreign.stale` those that lead nowhere.
"""

from collections.abc import Iterable, Iterator

from netloom.errors import KernelError, Unavailable
from netloom.host.observe.dumps import Dumps, all_addrs
from netloom.kernel.netlink import Rtnetlink
from netloom.model.lab_state import Foreign, GivenLink, LabState
from netloom.model.marks import far_of
from netloom.model.objects import (
    HOST,
    UNKNOWN,
    Addr,
    End,
    Kind,
    Link,
    Loopback,
    NetnsState,
    Veth,
)
from netloom.namespaces import registry
from netloom.namespaces.enter import in_thread, setns
from netloom.namespaces.handle import Handle, NoSuchNetns, Stale, open_name, open_self
from netloom.namespaces.ids import ids
from netloom.wire.nsid import nsid_get, read_nsid
from netloom.wire.rtnetlink import SeenLink


def observe_host() -> LabState:
    """Return what there is in the namespace `host` and in every one that has a name."""
    return in_thread(_survey)


def observe_here() -> NetnsState:
    """Return what there is in the namespace of the calling thread; no wire has a far end."""
    with Rtnetlink() as rt:
        return _netns(HOST, Dumps(rt, None), {})


def _survey() -> LabState:
    with open_self() as host:
        seen = _Survey(host)
        seen.visit_all()
        peers = seen.peers()
    dumps_of = seen.dumps_of
    return LabState(
        netns={name: _netns(name, dumps, peers) for name, dumps in dumps_of.items()},
        given={
            end: given for name, dumps in dumps_of.items() for end, given in _given(name, dumps)
        },
        foreign=Foreign(names=frozenset(seen.refused | seen.stale), stale=frozenset(seen.stale)),
        cookies={name: dumps.cookie for name, dumps in dumps_of.items()},
    )


class _Survey:
    """What was seen, and what could not be; goes from namespace to namespace on its thread."""

    def __init__(self, host: Handle) -> None:
        self.host = host
        self.dumps_of: dict[str, Dumps] = {}
        self.refused: set[str] = set()
        self.stale: set[str] = set()

    def visit_all(self) -> None:
        with Rtnetlink() as rt:
            self.dumps_of[HOST] = Dumps(rt, None)
        for name in registry.names():
            try:
                self.visit(name)
            except Stale:
                self.stale.add(name)
            except NoSuchNetns:  # removed meanwhile
                continue
            except (Unavailable, KernelError):
                self.refused.add(name)

    def visit(self, name: str) -> None:
        if name == HOST:  # whoever has called it so: here that word means another
            self.refused.add(name)
            return
        with open_name(name) as netns:
            if netns.inode == self.host.inode:  # a name of the one that we are in
                return
            setns(netns)
            with Rtnetlink() as rt:
                self.dumps_of[name] = Dumps(rt, None)

    def conversation(self, name: str) -> Rtnetlink:
        if name == HOST:
            setns(self.host)
            return Rtnetlink()
        with open_name(name) as netns:
            setns(netns)
            return Rtnetlink()

    # ── wires ─────────────────────────────────────────────────────────────────────────────────

    def peers(self) -> dict[End, End]:
        """Return the far end of every end of a wire, if that is where we have looked."""
        ends: dict[tuple[int, int], list[End]] = {}
        for name, dumps in self.dumps_of.items():
            for seen in _wires(dumps):
                pair = seen.index, seen.link_index
                ends.setdefault(pair, []).append(End(name, seen.name))
        found: dict[End, End] = {}
        for name, dumps in self.dumps_of.items():
            across: list[tuple[SeenLink, list[End]]] = []
            for seen in _wires(dumps):
                facing = ends.get((seen.link_index, seen.index), [])
                if seen.link_netnsid is None:
                    found |= {End(name, seen.name): far for far in facing if far.netns == name}
                elif End(name, seen.name) not in found:
                    across.append((seen, [far for far in facing if far not in found]))
            for seen, far in self.asked(name, across):
                near = End(name, seen.name)
                found |= {near: far, far: near}
        return found

    def asked(
        self, name: str, across: list[tuple[SeenLink, list[End]]]
    ) -> Iterator[tuple[SeenLink, End]]:
        """Yield which of the ends that may face it each link does face, as its namespace has it."""
        if not across:
            return
        try:
            rt = self.conversation(name)
        except (Unavailable, KernelError):  # removed meanwhile
            return
        with rt:
            numbers = _Numbers(rt, self.host)
            for seen, facing in across:
                facing.sort(key=lambda far: far != far_of(seen.alias))
                far = next((far for far in facing if numbers[far.netns] == seen.link_netnsid), None)
                if far:
                    yield seen, far


class _Numbers(dict[str, int | None]):
    """What one namespace calls others (ip-netns(8), nsid), asked for when it is first needed."""

    def __init__(self, rt: Rtnetlink, host: Handle) -> None:
        super().__init__()
        self.rt = rt
        self.host = host

    def __missing__(self, name: str) -> int | None:
        if name == HOST:
            answer = self.rt.ask_each([nsid_get(self.host.fd)])[0]
            found = read_nsid(answer) if isinstance(answer, bytes) else None
        else:
            said = next(ids(self.rt, [name]))
            found = said if isinstance(said, int) else None
        self[name] = found
        return found


def _wires(dumps: Dumps) -> Iterator[SeenLink]:
    return (seen for seen in dumps.links if seen.info.peer)


# ── as the model has it ───────────────────────────────────────────────────────────────────


def _given(name: str, dumps: Dumps) -> Iterator[tuple[End, GivenLink]]:
    for seen in dumps.links:
        yield End(name, seen.name), GivenLink(seen.index, seen.carrier, seen.link_index)


def _netns(name: str, dumps: Dumps, peers: dict[End, End]) -> NetnsState:
    addrs = all_addrs(dumps.addrs)
    return NetnsState(
        links={
            seen.name: _link(End(name, seen.name), seen, dumps, addrs.get(seen.index, ()), peers)
            for seen in dumps.links
        },
        routes=frozenset(dumps.routes),
        rules=frozenset(dumps.rules),
    )


def _link(
    end: End, seen: SeenLink, dumps: Dumps, addrs: Iterable[Addr], peers: dict[End, End]
) -> Link:
    return Link(
        kind=_kind(end, seen, peers),
        mac=seen.mac,
        mtu=seen.mtu,
        up=seen.up,
        master=dumps.names.get(seen.master, ""),
        alias=seen.alias,
        ipv6_ll=seen.ipv6_ll,
        altnames=seen.altnames,
        addrs=tuple(addrs),
    )


def _kind(end: End, seen: SeenLink, peers: dict[End, End]) -> Kind:
    if seen.index == 1:
        return Loopback()
    return Veth(peers.get(end, UNKNOWN)) if seen.info.peer else seen.info
