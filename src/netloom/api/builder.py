"""How a Python program builds: a word more of the topology, and the lab is made so at once."""

import threading
from typing import NamedTuple, assert_never, overload

from netloom.api import coerce
from netloom.api.coerce import Words
from netloom.api.namespace import Netns
from netloom.language.topology import Topology, WireSpec


class Network(NamedTuple):
    """A network of a lab."""

    name: str


class Wire(NamedTuple):
    """A wire of a lab: its two ends as they were said."""

    ends: tuple[str, str]
    spec: WireSpec


class LabBuilder:
    """The words of a lab that add things to it, and take them away."""

    topology: Topology
    """The topology as it is by now."""
    lock: threading.RLock

    def make(self, topology: Topology) -> None:
        """Make the lab as a topology says, or leave it as it was."""
        raise NotImplementedError

    def __getitem__(self, name: str) -> Netns:
        """Return the namespace of a name; raises `KeyError`."""
        raise NotImplementedError

    def members(self, name: str) -> tuple[Netns, ...]:
        """Return the namespaces of a network, or of a `count` group, in the file's order."""
        raise NotImplementedError

    @overload
    def netns(
        self,
        name: str,
        /,
        *,
        count: None = None,
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
        /,
        *,
        count: int,
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

        One name gives one `Netns`, several a tuple, and so does `count`. Raises `TopologyError`, or
        `Refused` with all undone.
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
        with self.lock:
            more = coerce.namespaces_of(names, keys)
            self.make(coerce.with_namespaces(self.topology, more))
            if count is not None:
                return tuple(one for name in names for one in self.members(name))
            found = tuple(self[name] for name in names)
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
        with self.lock:
            spec = coerce.network_of(name, keys)
            self.make(coerce.with_network(self.topology, name, spec))
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
        with self.lock:
            spec = coerce.wire_of(pair, {"subnet": subnet, "subnets": subnets, "mtu": mtu})
            self.make(coerce.with_wire(self.topology, spec))
        return Wire(pair, spec)

    def remove(self, thing: Netns | Network | Wire | str) -> None:
        """Take a thing out of the lab; with a namespace its wires go, too, and who lives in it.

        A name is that of a namespace, a `count` group or a network. Raises `KeyError` for what is
        not in the lab, and for one of a `count`; `Refused` with all undone.
        """
        with self.lock:
            match thing:
                case Wire():
                    left = coerce.without_wire(self.topology, thing.spec)
                case Network():
                    left = coerce.without_network(self.topology, thing.name)
                case Netns():
                    left = coerce.without_namespace(self.topology, thing.name)
                case str() if thing in self.topology.networks:
                    left = coerce.without_network(self.topology, thing)
                case str():
                    left = coerce.without_namespace(self.topology, thing)
                case _:
                    assert_never(thing)
            self.make(left)
