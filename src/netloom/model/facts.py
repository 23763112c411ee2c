"""What is found out before a topology is lowered: what a lab holds already, what the host has."""

from collections.abc import Mapping

from msgspec import Struct, field


class Held(Struct, frozen=True):
    """What a running lab holds: derived subnets by segment, derived addresses by interface.

    `baseline` are the inherited sysctls that had to be set, since a new namespace begins otherwise.
    `names` are the texts from which interfaces of the host have derived names, by the network or
    namespace that each leads to; `closed` is what an exit must not newly forward to, by the exit.
    `guarded` are interfaces of the host that its own firewall would let in anything by. `secret` is
    drawn at the beginning, in hexadecimal digits: what only the lab knows.
    """

    subnets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    baseline: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    closed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guarded: tuple[str, ...] = ()
    secret: str = ""


class HostSubnet(Struct, frozen=True):
    """A prefix that is connected to an interface of the host; `owner` is the lab that it is of.

    `leads_out`: whether a default route leads out of it.
    """

    prefix: str
    link: str
    owner: str | None = None
    leads_out: bool = False
