"""What people write, as values: the nouns of a topology file.

A `Topology` is what remains of the file when spelling is forgotten: the four rules of the language
(nothing is the default, a list of names is a map, one item is a list, text is the first key) are
already applied, every value has its type, every END and FLOW is taken apart. Names are not looked
up yet and nothing is derived: that is `lower.py`.

`None` means "derive it", an empty tuple "none, on purpose".
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.model.ready import Ready

Addresses = tuple[str, ...] | None
"""`10.0.0.1/24` or, on a network, `10.0.0.1`; canonical. None: derived; (): no address."""


class Membership(Struct, frozen=True, kw_only=True):
    """How a namespace takes part in a network. Addresses may lack a length: the subnet's holds."""

    addresses: Addresses = None
    interface: str = ""
    mac: str = ""
    mtu: int = 0


class InterfaceSpec(Struct, frozen=True, kw_only=True):
    """What is said of one interface under `namespaces.NS.interfaces`; None and 0: not said.

    `network` is the one that it is a port of.
    """

    addresses: Addresses = None
    mac: str = ""
    mtu: int = 0
    up: bool = True
    network: str = ""


class Uplink(Struct, frozen=True, kw_only=True):
    """How a network reaches beyond the host; `via` are interfaces of the host, empty: derived."""

    mode: Literal["nat", "routed", "user"] = "nat"
    via: tuple[str, ...] = ()


class Publish(Struct, frozen=True, kw_only=True):
    """A port of the host that leads inwards, or a `number` of them, each to the next.

    `address` empty: any of the host's.
    """

    address: str = ""
    port: int
    to: int
    protocol: Literal["tcp", "udp"] = "tcp"
    number: int = 1

    def each(self) -> Iterator["Publish"]:
        """Yield the ports one by one."""
        for n in range(self.number):
            yield replace(self, port=self.port + n, to=self.to + n, number=1)


class TextSpec(Struct, frozen=True, kw_only=True):
    """A text: as it stands in the topology, or in a file (or folder) beside it."""

    text: str = ""
    file: str = ""


class RunSpec(Struct, frozen=True, kw_only=True):
    """A command of a namespace: one text for `sh -c`, or several arguments."""

    command: tuple[str, ...]
    ready: Ready | None = None
    after: tuple[str, ...] = ()
    restart: int = 0
    name: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    cwd: str = ""


class NetworkSpec(Struct, frozen=True, kw_only=True):
    """One L2 segment; `bridge` names its device on the host, empty: in the switch namespace.

    `joins` is an existing segment: a bridge of the host, `docker:NETWORK`, or `LAB/NETWORK`.
    """

    subnets: Addresses = None
    range: tuple[str, ...] = ()
    bridge: str = ""
    joins: str = ""
    uplink: Uplink | None = None
    gateway: str = ""
    dns: tuple[str, ...] | None = None
    mtu: int = 0
    stp: bool = False


class NamespaceSpec(Struct, frozen=True, kw_only=True):
    """One namespace, or `count` of them. `routes` and `rules` are iproute2's words, as text."""

    count: int | None = None
    networks: Mapping[str, Membership] = field(default_factory=dict)
    interfaces: Mapping[str, InterfaceSpec] = field(default_factory=dict)
    routes: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    forwarding: bool | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    firewall: TextSpec | None = None
    iptables: TextSpec | None = None
    ip6tables: TextSpec | None = None
    dns: tuple[str, ...] | None = None
    etc: Mapping[str, TextSpec] = field(default_factory=dict)
    publish: tuple[Publish, ...] = ()
    run: tuple[RunSpec, ...] = ()


class WireEndSpec(Struct, frozen=True, kw_only=True):
    """One end of a link: `NS[:IF] [ADDRESS/LEN …]`."""

    netns: str
    interface: str = ""
    addresses: tuple[str, ...] = ()


class WireSpec(Struct, frozen=True, kw_only=True):
    """A link: always two ends. `subnets` None: derived where no end has an address."""

    ends: tuple[WireEndSpec, WireEndSpec]
    subnets: Addresses = None
    mtu: int = 0


class Flow(Struct, frozen=True, kw_only=True):
    """An expectation: `SRC[,SRC…] ARROW DST[,DST…] [PORT] [ip4|ip6]`; `text` is canonical."""

    sources: tuple[str, ...]
    arrow: Literal["->", "<->", "-/>"]
    destinations: tuple[str, ...]
    port: str = ""
    family: Literal[0, 4, 6] = 0
    text: str = ""


INTERNET = ("1.1.1.1", "2606:4700:4700::1111")
"""What `internet` stands for unless `hosts:` says otherwise."""

POOL = (
    *("10.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
    "fd6e:6574:6c6f::/48",
)
"""Where derived subnets are cut from unless `pool:` says otherwise; the ULA spells `netlo`."""


class Topology(Struct, frozen=True, kw_only=True):
    """A whole lab, as written."""

    name: str = ""
    networks: Mapping[str, NetworkSpec] = field(default_factory=dict)
    namespaces: Mapping[str, NamespaceSpec] | None = None
    """None: not said, the links declare them."""
    links: tuple[WireSpec, ...] = ()
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    expect: tuple[Flow, ...] = ()
    pool: tuple[str, ...] = POOL
    routing: Literal["", "static"] = ""
