"""What the kernel will do: `after(plan, snapshot)` predicts the state that a plan leads to.

The kernel cascades, and this file is where netloom knows it:

* deleting one end of a veth deletes the other, with the addresses and routes of both;
* deleting a namespace deletes all in it, and the far ends of its wires (a little later: whoever
  needs them gone at once must delete them first, and `diff` does);
* deleting a bridge sets its ports free;
* the last IPv4 address of a link takes all IPv4 routes of that link along (fib_inetaddr_event), an
  address takes the IPv4 routes that have it as their `src`;
* a link set down loses its routes, and its IPv6 addresses (addrconf_ifdown); a route with another
  way out would stay, half dead;
* below an MTU of 1280 bytes a link has no IPv6 (IPV6_MIN_MTU);
* forwarding and disable_ipv6 of `all` rewrite every interface's.

Rule 1: a step that the kernel would refuse raises `Illegal`, so "every prefix is legal" is a law
that tests can state. Where the kernel's answer depends on more than we know (the primary address
deleted before its secondaries: it depends on promote_secondaries), or leads to what no words here
say (a route half dead), the step is illegal too.
Rule 2: asked facts only; carrier, DAD and learned entries are the kernel's, in its own time.
"""

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from netloom.model.lab_state import LabState
from netloom.model.objects import (
    HOST,
    Addr,
    End,
    Link,
    Loopback,
    NetnsState,
    can_become,
)
from netloom.plan import steps
from netloom.plan.mutable import IPV6_MIN_MTU, Illegal, MutableNetns
from netloom.plan.new_link import new_link, new_lo
from netloom.plan.sysctls import link_of
from netloom.values import family


def after(plan: Iterable[steps.Step], snapshot: LabState) -> LabState:
    """Return the snapshot that carrying out `plan` leads to; raises `Illegal` at a step refused."""
    world = _Simulator(snapshot)
    for step in plan:
        world.apply(step)
    return world.frozen()


def is_secondary(addr: Addr, others: Iterable[Addr]) -> bool:
    """Whether the kernel makes an IPv4 address secondary beside `others` (inet_insert_ifa)."""
    if family(addr.ip) == 6:
        return False
    net = addr.subnet
    return any(
        other.prefixlen == addr.prefixlen and family(other.ip) == 4 and other.subnet == net
        for other in others
    )


def is_same(one: Addr, other: Addr) -> bool:
    """Whether a link can have but one of two addresses; of IPv4 it is known with its subnet."""
    return one.ip == other.ip and (one.family == 6 or is_secondary(one, [other]))


class _Simulator:
    """A snapshot while it is being changed; only the namespaces that are touched are copied."""

    def __init__(self, snapshot: LabState) -> None:
        self.snapshot = snapshot
        self.netns: dict[str, NetnsState | MutableNetns] = {HOST: NetnsState(), **snapshot.netns}
        self.unnamed = set(snapshot.unnamed)
        self.stray_etc = set(snapshot.stray_etc)
        self.stray_commands = set(snapshot.stray_commands)
        self.done = set(snapshot.done)

    def frozen(self) -> LabState:
        return replace(
            self.snapshot,
            netns={
                name: netns.frozen() if isinstance(netns, MutableNetns) else netns
                for name, netns in self.netns.items()
            },
            unnamed=frozenset(self.unnamed),
            stray_etc=frozenset(self.stray_etc),
            stray_commands=frozenset(self.stray_commands),
            done=frozenset(self.done),
        )

    def inside(self, name: str, step: steps.Step) -> MutableNetns:
        """Return a namespace, to be changed."""
        netns = self.netns.get(name)
        if netns is None:
            raise Illegal(step, f"no namespace `{name}`")
        if not isinstance(netns, MutableNetns):
            netns = self.netns[name] = MutableNetns(netns)
        return netns

    def link(self, end: End, step: steps.Step) -> tuple[MutableNetns, Link]:
        """Return a link and the namespace it is in."""
        netns = self.inside(end.netns, step)
        link = netns.links.get(end.link)
        if link is None:
            raise Illegal(step, f"no link `{end}`")
        return netns, link

    def apply(self, step: steps.Step) -> None:
        """Do what a step does."""
        if isinstance(step, steps.OnLink):
            self.on_link(step)
        else:
            self.in_netns(step)

    def on_link(self, step: steps.LinkStep) -> None:
        match step:
            case steps.LinkAdd():
                self.link_add(step)
            case steps.LinkDel():
                self.link_del(step)
            case steps.LinkSet():
                self.link_set(step)
            case steps.AddrAdd():
                self.addr_add(step)
            case steps.AddrDel():
                self.addr_del(step)
            case steps.AltnameAdd():
                self.altname_add(step)
            case steps.AltnameDel():
                self.altname_del(step)
            case steps.PortAdd():
                self.port_add(step)
            case steps.PortDel():
                self.port_del(step)
            case _:
                assert_never(step)

    def in_netns(self, step: steps.NetnsStep) -> None:  # noqa: C901, PLR0912 - a table
        match step:
            case steps.NetnsAdd():
                self.netns_add(step)
            case steps.NetnsDel():
                self.netns_del(step)
            case steps.NameDel():
                self.name_del(step)
            case steps.RouteAdd():
                self.route_add(step)
            case steps.RouteReplace():
                self.inside(step.netns, step).route_replace(step)
            case steps.RouteDel():
                self.inside(step.netns, step).route_del(step)
            case steps.RuleAdd():
                self.inside(step.netns, step).rule_add(step)
            case steps.RuleDel():
                self.inside(step.netns, step).rule_del(step)
            case steps.SysctlSet():
                self.inside(step.netns, step).sysctl_set(step)
            case steps.EtcSet():
                self.inside(step.netns, step).etc = step.digest
            case steps.EtcDel():
                self.etc_del(step)
            case steps.RulesetSet():
                self.inside(step.netns, step).rulesets[step.ruleset] = step.digest
            case steps.RulesetDel():
                self.ruleset_del(step)
            case steps.ClaimAdd():
                self.inside(step.netns, step).claims[step.key] = step.value
            case steps.ClaimDel():
                self.claim_del(step)
            case steps.ExceptionAdd():
                self.inside(step.netns, step).exceptions.add(step.exception)
            case steps.ExceptionDel():
                self.exception_del(step)
            case steps.RunStart():
                self.run_start(step)
            case steps.RunStop():
                self.run_stop(step)
            case _:
                assert_never(step)

    # namespaces

    def netns_add(self, step: steps.NetnsAdd) -> None:
        taken = step.netns in self.snapshot.foreign.names or step.netns in self.unnamed
        if step.netns in self.netns or taken:
            raise Illegal(step, "the name is taken")
        self.netns[step.netns] = NetnsState(
            links={"lo": new_lo(step.alias)}, sysctls=dict(self.snapshot.defaults)
        )

    def netns_del(self, step: steps.NetnsDel) -> None:
        netns = self.netns.get(step.netns)
        if netns is None or step.netns == HOST or netns.borrowed:
            raise Illegal(step, "no such namespace of ours")
        if netns.etc:
            raise Illegal(step, "its files in /etc would be left behind")
        if netns.commands:
            raise Illegal(step, "its commands would live on")
        for link in netns.links.values():
            if link.peer and link.peer.netns != step.netns:
                self.remove_link(link.peer, step)
        del self.netns[step.netns]

    def name_del(self, step: steps.NameDel) -> None:
        if step.netns not in self.unnamed:
            raise Illegal(step, "no such leftover")
        self.unnamed.discard(step.netns)

    def etc_del(self, step: steps.EtcDel) -> None:
        if step.netns in self.stray_etc:
            self.stray_etc.discard(step.netns)
        else:
            self.inside(step.netns, step).etc = ""

    def ruleset_del(self, step: steps.RulesetDel) -> None:
        if self.inside(step.netns, step).rulesets.pop(step.ruleset, None) is None:
            raise Illegal(step, "no such firewall rules")

    def claim_del(self, step: steps.ClaimDel) -> None:
        if self.inside(step.netns, step).claims.pop(step.key, None) is None:
            raise Illegal(step, "no such claim")

    def exception_del(self, step: steps.ExceptionDel) -> None:
        exceptions = self.inside(step.netns, step).exceptions
        if step.exception not in exceptions:
            raise Illegal(step, "no such exception")
        exceptions.discard(step.exception)

    def run_start(self, step: steps.RunStart) -> None:
        netns = self.inside(step.netns, step)
        if step.name in netns.commands:
            raise Illegal(step, "it is there already")
        netns.commands[step.name] = step.digest

    def run_stop(self, step: steps.RunStop) -> None:
        self.done.discard((step.netns, step.name))
        if (step.netns, step.name) in self.stray_commands:
            self.stray_commands.discard((step.netns, step.name))
        elif self.inside(step.netns, step).commands.pop(step.name, None) is None:
            raise Illegal(step, "no such command")

    def route_add(self, step: steps.RouteAdd) -> None:
        others = self.snapshot.foreign.routes if step.netns == HOST else ()
        if any(route.key == step.route.key for route in others):
            raise Illegal(step, "somebody else has a route with this destination")
        self.inside(step.netns, step).route_add(step)

    # links

    def link_add(self, step: steps.LinkAdd) -> None:
        netns = self.inside(step.end.netns, step)
        self.claim(step.end, netns, step)
        if step.link.master:
            self.enslave(netns, step.link.master, step)
        netns.links[step.end.link] = new_link(step.link, near=True, ipv6=netns.ipv6)
        if far := step.link.peer:
            if step.peer is None:
                raise Illegal(step, "a veth has two ends")
            there = self.inside(far.netns, step)
            self.claim(far, there, step)
            there.links[far.link] = new_link(step.peer, near=False, ipv6=there.ipv6)

    def claim(self, end: End, netns: MutableNetns, step: steps.Step) -> None:
        """Make sure that a name is free for a link."""
        if end.link in netns.links or end.link in self.snapshot.foreign.links.get(end.netns, ()):
            raise Illegal(step, f"`{end}` exists")

    def enslave(self, netns: MutableNetns, master: str, step: steps.Step) -> None:
        """Make sure that a bridge can take one more port."""
        bridge = netns.links.get(master)
        if bridge is None and master in self.snapshot.foreign.links.get(step.netns, ()):
            return
        if bridge is None or not bridge.kind.takes_ports:
            raise Illegal(step, f"no bridge `{master}`")

    def link_del(self, step: steps.LinkDel) -> None:
        _, link = self.link(step.end, step)
        if link.kind.why_kept:
            raise Illegal(step, link.kind.why_kept)
        self.remove_link(step.end, step)
        if link.peer:
            self.remove_link(link.peer, step)

    def remove_link(self, end: End, step: steps.Step) -> None:
        """Take a link out of its namespace, with what hangs on it."""
        if end.netns not in self.netns:
            return
        netns = self.inside(end.netns, step)
        link = netns.links.pop(end.link, None)
        if link is None:
            return
        netns.drop_routes(end.link, link)
        for key in [key for key in netns.sysctls if link_of(key) == end.link]:
            del netns.sysctls[key]
        if link.kind.takes_ports:
            for name, port in netns.links.items():
                if port.master == end.link:
                    netns.links[name] = replace(port, master="")

    def link_set(self, step: steps.LinkSet) -> None:
        netns, link = self.link(step.end, step)
        name = step.end.link
        if step.master:
            self.enslave(netns, step.master, step)
        if step.kind is not None and not can_become(link.kind, step.kind):
            raise Illegal(step, "a link that is there cannot become one of that kind")
        facts = {
            fact: value
            for fact in ("up", "mtu", "mac", "master", "alias", "ipv6_ll", "kind")
            if (value := getattr(step, fact)) is not None
        }
        netns.links[name] = replace(link, **facts)
        if step.up is False:
            netns.drop_routes_of(name, 4, step)
            netns.drop_ipv6(name, step)
        if step.mtu is not None and step.ipv6_ll is None:
            netns.cross_ipv6_mtu(name, link.mtu, step)

    def port_add(self, step: steps.PortAdd) -> None:
        netns = self.inside(step.end.netns, step)
        there = self.snapshot.foreign.links.get(step.end.netns, ())
        if step.end.link in netns.links or step.end.link not in there:
            raise Illegal(step, f"no interface `{step.end}` to borrow")
        self.enslave(netns, step.link.master, step)
        netns.links[step.end.link] = step.link

    def port_del(self, step: steps.PortDel) -> None:
        netns, link = self.link(step.end, step)
        if not link.borrowed:
            raise Illegal(step, "it is not borrowed")
        del netns.links[step.end.link]

    def altname_add(self, step: steps.AltnameAdd) -> None:
        netns, link = self.link(step.end, step)
        if step.altname in netns.links or step.altname in link.altnames:
            raise Illegal(step, f"the name `{step.altname}` is taken")
        names = tuple(sorted({*link.altnames, step.altname}))
        netns.links[step.end.link] = replace(link, altnames=names)

    def altname_del(self, step: steps.AltnameDel) -> None:
        netns, link = self.link(step.end, step)
        if step.altname not in link.altnames:
            raise Illegal(step, f"no altname `{step.altname}`")
        left = tuple(name for name in link.altnames if name != step.altname)
        netns.links[step.end.link] = replace(link, altnames=left)

    # addresses

    def addr_add(self, step: steps.AddrAdd) -> None:
        netns, link = self.link(step.end, step)
        if any(is_same(addr, step.addr) for addr in link.addrs):
            raise Illegal(step, "the address exists")
        if family(step.addr.ip) == 6 and link.mtu < IPV6_MIN_MTU:
            raise Illegal(step, f"no IPv6 below an MTU of {IPV6_MIN_MTU} bytes")
        if step.addr.secondary != is_secondary(step.addr, (*link.born_with, *link.addrs)):
            raise Illegal(step, "the kernel decides otherwise which address is the primary one")
        addrs = tuple(sorted((*link.addrs, step.addr)))
        netns.links[step.end.link] = replace(link, addrs=addrs)

    def addr_del(self, step: steps.AddrDel) -> None:
        netns, link = self.link(step.end, step)
        if step.addr not in link.addrs:
            raise Illegal(step, "no such address")
        left = tuple(addr for addr in link.addrs if addr != step.addr)
        if not step.addr.secondary and is_secondary(step.addr, left):
            raise Illegal(step, "it has secondary addresses, which must go first")
        if any(route.src == step.addr.ip for route in netns.routes):
            raise Illegal(step, "a route has it as its source, which must go first")
        netns.links[step.end.link] = replace(link, addrs=left)
        lo = isinstance(link.kind, Loopback)  # which has 127.0.0.1 besides
        if family(step.addr.ip) == 4 and not lo and all(":" in addr.ip for addr in left):
            netns.drop_routes_of(step.end.link, 4, step)
