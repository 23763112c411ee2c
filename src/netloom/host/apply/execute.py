"""How each step is carried out: one function for each kind, and nothing is decided in it.

Mustn't: match anything by name that the step does not name.
"""

import errno
from collections.abc import Callable, Mapping
from itertools import count
from typing import assert_never

from msgspec.structs import replace

from netloom.errors import KernelError
from netloom.host import sysctl
from netloom.host.apply.executor import Executor
from netloom.model.marks import HOST_PROTOCOL, kind_of
from netloom.model.objects import (
    HOST,
    Addr,
    End,
    Link,
    Route,
)
from netloom.namespaces import registry
from netloom.namespaces.enter import setns
from netloom.plan import steps
from netloom.plan.steps import Step
from netloom.wire.rtnetlink import (
    Message,
    VethPeer,
    addr_add,
    addr_del,
    altname_add,
    altname_del,
    bridge_mtu,
    dump_addrs,
    link_add,
    link_del,
    link_del_group,
    link_group,
    link_set,
    read_addrs,
    route_add,
    route_del,
    route_replace,
    rule_add,
    rule_del,
)

_GROUP = 0x6E6C6D
"""The group (IFLA_GROUP) of links that are deleted together: one wait for RCU, not many.

Where somebody's links are in it, it is the next.
"""

_IFAPROT_KERNEL_LL = 3  # linux/if_addr.h


def execute(step: Step, executor: Executor) -> None:
    """Carry out one step."""
    if isinstance(step, steps.OnLink):
        _on_link(step, executor)
    else:
        _in_netns(step, executor)


def _on_link(step: steps.LinkStep, executor: Executor) -> None:
    match step:
        case steps.LinkAdd():
            _link_add(step, executor)
        case steps.LinkDel():
            _link_del(step, executor)
        case steps.LinkSet():
            _link_set(step, executor)
        case steps.AddrAdd():
            message = addr_add(executor.index(step.end), step.addr, proto=HOST_PROTOCOL)
            executor.send(step.end.netns, step, message)
        case steps.AddrDel():
            executor.send(step.end.netns, step, addr_del(executor.index(step.end), step.addr))
        case steps.AltnameAdd():
            executor.send(step.end.netns, step, altname_add(executor.index(step.end), step.altname))
        case steps.AltnameDel():
            executor.send(step.end.netns, step, altname_del(executor.index(step.end), step.altname))
        case steps.PortAdd():
            _port_add(step, executor)
        case steps.PortDel():
            _port_del(step, executor)
        case _:
            assert_never(step)


def _in_netns(step: steps.NetnsStep, executor: Executor) -> None:  # noqa: C901, PLR0912 - a table
    match step:
        case steps.NetnsAdd():
            _netns_add(step, executor)
        case steps.NetnsDel():
            _netns_del(step, executor)
        case steps.NameDel():
            registry.remove(step.netns)
        case steps.RouteAdd():
            _route(step, executor, route_add)
        case steps.RouteReplace():
            _route(step, executor, route_replace)
        case steps.RouteDel():
            _route(step, executor, route_del if step.netns == HOST else _route_del)
        case steps.RuleAdd():
            executor.send(step.netns, step, rule_add(step.rule))
        case steps.RuleDel():
            executor.send(step.netns, step, rule_del(replace(step.rule, protocol=0)))
        case steps.SysctlSet():
            _sysctl_set(step, executor)
        case steps.EtcSet():
            executor.etc.set_etc(step.netns, step.digest)
        case steps.EtcDel():
            executor.etc.del_etc(step.netns)
        case steps.RulesetSet():
            _ruleset_set(step, executor)
        case steps.RulesetDel():
            _ruleset_del(step, executor)
        case steps.ClaimAdd():
            _claim_add(step, executor)
        case steps.ClaimDel():
            _claim_del(step, executor)
        case steps.ExceptionAdd():
            _exception_add(step, executor)
        case steps.ExceptionDel():
            _exception_del(step, executor)
        case steps.RunStart():
            start_together((step,), executor)
        case steps.RunStop():
            stop_together((step,), executor)
        case _:
            assert_never(step)


def _netns_add(step: steps.NetnsAdd, executor: Executor) -> None:
    executor.turn_to("")
    netns = executor.pool.new(step.netns)
    netns.rt.batch(link_set(1, alias=step.alias, up=True))
    try:
        registry.attach(step.netns, f"/proc/self/fd/{netns.handle.fd}")
    except registry.NameTaken as error:
        from netloom.host.store.name_owner import lab_with

        if lab := lab_with(step.netns, but=executor.options.lab):
            reason = f"{error.reason} by the lab `{lab}`"
            raise registry.NameTaken(reason, "choose another name") from error.__cause__
        raise
    executor.made.netns(step.netns, netns.rt.cookie)
    executor.indexes[End(step.netns, "lo")] = 1
    executor.fresh[step.netns] = count(executor.options.snapshot.default_index + 1)


def _netns_del(step: steps.NetnsDel, executor: Executor) -> None:
    executor.turn_to("")
    executor.pool.forget(step.netns)
    registry.remove(step.netns)


def _ruleset_set(step: steps.RulesetSet, executor: Executor) -> None:
    from netloom.host.firewall.rulesets import RulesetText

    executor.turn_to(step.netns)
    setns(executor.pool[step.netns].handle)
    executor.rulesets.put(RulesetText(kind_of(step.ruleset), step.text))


def _ruleset_del(step: steps.RulesetDel, executor: Executor) -> None:
    executor.turn_to(step.netns)
    setns(executor.pool[step.netns].handle)
    executor.rulesets.remove(kind_of(step.ruleset))


def _exception_add(step: steps.ExceptionAdd, executor: Executor) -> None:
    from netloom.host.firewall import exceptions

    executor.turn_to(step.netns)
    setns(executor.pool[step.netns].handle)
    exceptions.put(step.exception)


def _exception_del(step: steps.ExceptionDel, executor: Executor) -> None:
    from netloom.host.firewall import exceptions

    executor.turn_to(step.netns)
    setns(executor.pool[step.netns].handle)
    exceptions.remove(step.exception)


def _claim_add(step: steps.ClaimAdd, executor: Executor) -> None:
    from netloom.host.firewall import shared_sysctls

    executor.turn_to(step.netns)
    setns(executor.pool[step.netns].handle)
    shared_sysctls.add(executor.options.lab, step.key, step.value)


def _claim_del(step: steps.ClaimDel, executor: Executor) -> None:
    from netloom.host.firewall import shared_sysctls

    executor.turn_to(step.netns)
    setns(executor.pool[step.netns].handle)
    shared_sysctls.remove(executor.options.lab, step.key)


def _sysctl_set(step: steps.SysctlSet, executor: Executor) -> None:
    executor.turn_to(step.netns)
    setns(executor.pool[step.netns].handle)
    sysctl.write(step.key, step.value)


# ── links ─────────────────────────────────────────────────────────────────────────────────


def _link_add(step: steps.LinkAdd, executor: Executor) -> None:
    end, link = step.end, step.link
    if link.peer:
        assert step.peer is not None
        executor.send(end.netns, step, _new_veth(end, link, link.peer, step.peer, executor))
    else:
        executor.send(end.netns, step, *_new_link(end, link, executor))


def _new_veth(end: End, link: Link, far: End, peer_link: Link, executor: Executor) -> Message:
    """Return the message that makes a wire, its far end in the namespace that it lies in."""
    executor.peers[end], executor.peers[far] = far, end
    fd = -1 if far.netns == end.netns else executor.pool[far.netns].handle.fd
    master = executor.index(End(end.netns, link.master)) if link.master else 0
    index = executor.choose_index(end)
    far_index = executor.choose_index(far, beside=index)
    executor.made.link(end, index, far, far_index)
    peer = VethPeer(far.link, peer_link, far_index, fd)
    return link_add(end.link, link, index=index, master=master, peer=peer)


def _new_link(end: End, link: Link, executor: Executor) -> tuple[Message, ...]:
    """Return the messages that make a link that is no wire, and hold the MTU of a bridge."""
    index = executor.choose_index(end)
    executor.made.link(end, index)
    new = link_add(end.link, link, index=index)
    return (new, *bridge_mtu(index, link.mtu, name=end.link)) if link.kind.takes_ports else (new,)


def _link_del(step: steps.LinkDel, executor: Executor) -> None:
    executor.send(step.end.netns, step, link_del(executor.index(step.end)))
    executor.indexes.pop(step.end, None)


def stop_together(stops: tuple[steps.RunStop, ...], executor: Executor) -> None:
    """End commands, all at once; raises `KernelError` where something of them is left."""
    from netloom.host.commands import stop

    which = frozenset((step.netns, step.name) for step in stops)
    left = stop.stop(executor.options.lab, which)
    if left:
        those = ", ".join(f"{one.command} (pid {one.pid})" for one in left)
        raise KernelError(errno.EBUSY, "kill", f"still there after SIGKILL: {those}")


def start_together(starts: tuple[steps.RunStart, ...], executor: Executor) -> None:
    """Start commands, all at once, but those for which somebody else's readiness is waited."""
    from netloom.host.commands import launch, processes

    executor.turn_to(HOST)
    setns(executor.pool[HOST].handle)
    lab, ordered = executor.options.lab, executor.options.ordered
    now = [step for step in starts if not (ordered and step.command.after)]
    launch.start(lab, [(processes.run_command(s.netns, s.name, s.command), s.digest) for s in now])


def delete_together(doomed: tuple[steps.LinkDel, ...], executor: Executor) -> None:
    """Delete many links of one namespace at once, as a group of their own."""
    where = doomed[0].end.netns
    taken = executor.options.snapshot.foreign.groups
    group = next(number for number in count(_GROUP) if number not in taken)
    for step in doomed:
        executor.send(where, step, link_group(executor.index(step.end), group))
        executor.indexes.pop(step.end, None)
    executor.send(where, doomed[0], link_del_group(group))


def _link_set(step: steps.LinkSet, executor: Executor) -> None:
    end = step.end
    master = None
    if step.master is not None:
        master = executor.index(End(end.netns, step.master)) if step.master else 0
    live = step.ipv6_ll is not None and end in executor.options.snapshot.given
    messages = link_set(
        executor.index(end),
        up=step.up,
        mtu=step.mtu,
        mac=step.mac,
        master=master,
        alias=step.alias,
        ipv6_ll=None if live else step.ipv6_ll,
        kind=step.kind,
    )
    if step.link_local:
        index, addr = executor.index(end), Addr(step.link_local, 64)
        messages = (*messages[:-1], addr_add(index, addr, proto=_IFAPROT_KERNEL_LL), messages[-1])
    executor.send(end.netns, step, *messages)
    if step.up:
        executor.note_up(end)
    if live:
        _switch_ll(end, executor, on=bool(step.ipv6_ll))


def _switch_ll(end: End, executor: Executor, *, on: bool) -> None:
    """Give a link that may be up its IPv6 link-local address, or take it away.

    Netlink changes no more than the mode (inet6_set_link_af), the sysctl gives the address, too
    (addrconf_sysctl_addr_gen_mode); neither takes it away.
    """
    executor.turn_to(end.netns)
    netns = executor.pool[end.netns]
    setns(netns.handle)
    key = f"net.ipv6.conf.{end.link.replace('.', '/')}.addr_gen_mode"
    sysctl.write(key, "0" if on else "1")
    if not on:
        index = executor.index(end)
        seen = read_addrs(netns.rt.dump(dump_addrs()))
        mine = (s.addr for s in seen if s.index == index and s.proto == _IFAPROT_KERNEL_LL)
        netns.rt.batch([addr_del(index, addr) for addr in mine])


def _port_add(step: steps.PortAdd, executor: Executor) -> None:
    end, link = step.end, step.link
    master = executor.index(End(end.netns, link.master))
    _port(step, executor, up=link.up, master=master, alias=link.alias)
    executor.made.port(end)


def _port_del(step: steps.PortDel, executor: Executor) -> None:
    _port(step, executor, up=step.found.up, master=0, alias=step.found.alias)
    executor.indexes.pop(step.end, None)


def _port(
    step: steps.PortAdd | steps.PortDel, executor: Executor, *, up: bool, master: int, alias: str
) -> None:
    index = executor.index(step.end)
    executor.send(step.end.netns, step, *link_set(index, up=up, master=master, alias=alias))


# ── addresses, routes, rules ──────────────────────────────────────────────────────────────


def _route(
    step: steps.RouteAdd | steps.RouteReplace | steps.RouteDel,
    executor: Executor,
    build: Callable[[Route, dict[str, int]], Message],
) -> None:
    netns, route = step.netns, step.route
    indexes = {hop.dev: executor.index(End(netns, hop.dev)) for hop in route.nexthops}
    executor.send(netns, step, build(route, indexes))


def _route_del(route: Route, indexes: Mapping[str, int]) -> Message:
    """Delete a route of the lab, whoever wrote it last: protocol 0 is not compared."""
    return route_del(replace(route, protocol=0), indexes)
