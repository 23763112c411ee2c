"""Doing: a plan, carried out on this machine.

One throwaway thread works through the steps. Neighbouring steps for one namespace become one batch
of netlink messages, sent when the next step is for another namespace or is no netlink message; so
what a batch costs is the kernel's own work. Index numbers of links in namespaces made here are
chosen here, so that a message may speak of a link that an earlier message of the same batch makes.

Rule 1: no decisions. What to do is `plan/diff.py`, what becomes of a refusal is the caller's.
Rule 2: the kernel goes on with a batch after a refused message, so after a refusal nothing is known
of the steps of that batch: whoever undoes must look again, and does.

Should: run after the journal is on disk.
Mustn't: match anything by name that the plan does not name.
"""

import errno
import os
import resource
from collections.abc import Callable
from functools import singledispatchmethod
from itertools import count

from netloom.errors import KernelError, Refused, Unavailable
from netloom.host import etc, sysctl
from netloom.host.machine import Orders
from netloom.host.rooms import OPEN, Rooms
from netloom.model.objects import Bridge, End, Link, Route, Veth
from netloom.netns import names as registry
from netloom.netns.enter import aside, hop
from netloom.plan import steps
from netloom.plan.steps import Plan, Step
from netloom.render.shell import command
from netloom.render.text import line
from netloom.wire.rtnetlink import (
    Message,
    Peer,
    addr_add,
    addr_del,
    altname_add,
    altname_del,
    bridge_mtu,
    dump_addrs,
    get_link,
    link_add,
    link_del,
    link_del_group,
    link_group,
    link_set,
    read_addrs,
    read_links,
    route_add,
    route_del,
    route_replace,
    rule_add,
    rule_del,
)

_BATCH = 256
"""Steps in a batch at the most, so that progress and Ctrl-C are noticed."""

_GROUP = 0x6E6C6D
"""The group (IFLA_GROUP) of links that are deleted together: one wait for RCU, not many."""

_REMOVALS = steps.LinkDel | steps.AltnameDel | steps.AddrDel | steps.RouteDel | steps.RuleDel
_GONE = {errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL}
_IFAPROT_KERNEL_LL = 3  # linux/if_addr.h


class _Worker:
    """Carries out a plan; lives on one thread."""

    def __init__(self, plan: Plan, orders: Orders) -> None:
        self.plan = plan
        self.orders = orders
        self.refused: list[Refused] = []
        self.rooms = Rooms(sum(isinstance(step, steps.NetnsAdd) for step in plan))
        self.indexes = {end: given.index for end, given in orders.snapshot.given.items()}
        self.fresh: dict[str, count[int]] = {}
        self.batch: list[tuple[Step, Message]] = []
        self.where = ""
        self.steps_in_batch = 0
        self.done = 0
        self.etc = etc.Etc(orders.lab)

    def work(self) -> list[Refused]:
        """Carry out all steps; stop at the first refusal unless told to go on."""
        try:
            for step in _grouped(self.plan):
                if self.orders.stopped():
                    break
                self.carry_or_note(step)
                if self.refused and not self.orders.go_on:
                    return self.refused
            self.flush_or_note()
            return self.refused
        finally:
            self.rooms.close()

    def carry_or_note(self, step: Step | tuple[steps.LinkDel, ...]) -> None:
        """Carry out a step, or note that it was refused."""
        try:
            if isinstance(step, tuple):
                self.delete_together(step)
            else:
                self.carry(step)
        except KernelError as error:
            first = step[0] if isinstance(step, tuple) else step
            self.note(first, error)
        except Unavailable as error:
            self.note(step[0] if isinstance(step, tuple) else step, _as_kernel_error(error))

    def note(self, step: Step, error: KernelError) -> None:
        """Note a refusal; that what shall go is gone already is none.

        The kernel takes namespaces apart in its own time: the far end of a wire may vanish between
        our look and our word.
        """
        if isinstance(step, _REMOVALS) and error.errno in _GONE:
            return
        if self.orders.go_on or not self.refused:
            self.refused.append(Refused(line(step), error, asked=command(step)))

    def flush_or_note(self) -> None:
        """Send what has been gathered; note what is refused."""
        batch, self.batch = self.batch, []
        self.steps_in_batch = 0
        if batch:
            rt = self.rooms[self.where].rt
            for error in rt.batch_all([message for _, message in batch]):
                self.note(batch[error.index][0], error)

    # ── batches and indexes ───────────────────────────────────────────────────────────────────

    def send(self, name: str, step: Step, *messages: Message) -> None:
        """Put messages into the batch for a namespace."""
        if name != self.where or self.steps_in_batch >= _BATCH:
            self.turn_to(name)
        self.steps_in_batch += 1
        self.batch += [(step, message) for message in messages]

    def turn_to(self, name: str) -> None:
        """Send the batch that is gathered, and begin one for another namespace."""
        self.done += self.steps_in_batch
        if self.batch:
            self.flush_or_note()
            self.orders.progress(self.done)
        self.where = name
        self.steps_in_batch = 0

    def index(self, end: End) -> int:
        """Return the index of a link: known, chosen by us, or asked for."""
        index = self.indexes.get(end, 0)
        if not index:
            self.turn_to(self.where)
            answer = self.rooms[end.netns].rt.ask(get_link(end.link))
            index = self.indexes[end] = read_links([answer])[0].index
        return index

    def choose_index(self, end: End, *, beside: int = 1) -> int:
        """Choose the index of a link to be made, in a namespace that we made just now; else 0.

        A far end's is looked at only `beside` a near one (veth_newlink). Where the kernel
        has chosen one, we choose no more: it takes the lowest that is free, and we would
        meet it.
        """
        numbers = self.fresh.get(end.netns)
        if numbers is None or not beside:
            self.fresh.pop(end.netns, None)
            self.indexes.pop(end, None)
            return 0
        index = self.indexes[end] = next(numbers)
        return index

    # ── namespaces ────────────────────────────────────────────────────────────────────────────

    @singledispatchmethod
    def carry(self, step: Step) -> None:
        """Carry out one step."""
        raise NotImplementedError(step)

    @carry.register
    def _(self, step: steps.NetnsAdd) -> None:
        self.turn_to("")
        room = self.rooms.new(step.netns)
        room.rt.batch(link_set(1, alias=step.alias, up=True))
        registry.attach(step.netns, f"/proc/self/fd/{room.handle.fd}")
        self.indexes[End(step.netns, "lo")] = 1
        self.fresh[step.netns] = count(self.orders.snapshot.newborn_links + 1)
        self.done += 1

    @carry.register
    def _(self, step: steps.NetnsDel) -> None:
        self.turn_to("")
        self.rooms.forget(step.netns)
        registry.remove(step.netns)
        self.done += 1

    @carry.register
    def _(self, step: steps.NameDel) -> None:
        registry.remove(step.netns)

    @carry.register
    def _(self, step: steps.HostsSet) -> None:
        self.etc.set_hosts(step.netns, step.digest)

    @carry.register
    def _(self, step: steps.HostsDel) -> None:
        self.etc.del_hosts(step.netns)

    @carry.register
    def _(self, step: steps.SysctlSet) -> None:
        self.turn_to(step.netns)
        hop(self.rooms[step.netns].handle)
        sysctl.write(step.key, step.value)

    # ── links ─────────────────────────────────────────────────────────────────────────────────

    @carry.register
    def _(self, step: steps.LinkAdd) -> None:
        end, link = step.end, step.link
        if isinstance(link.kind, Bridge):
            self.send(end.netns, step, *self.new_bridge(end, link))
            return
        assert isinstance(link.kind, Veth)
        assert step.peer is not None
        far = link.kind.peer
        fd = -1 if far.netns == end.netns else self.rooms[far.netns].handle.fd
        master = self.index(End(end.netns, link.master)) if link.master else 0
        index = self.choose_index(end)
        peer = Peer(far.link, step.peer, self.choose_index(far, beside=index), fd)
        self.send(end.netns, step, link_add(end.link, link, index=index, master=master, peer=peer))

    def new_bridge(self, end: End, link: Link) -> tuple[Message, ...]:
        """Return the messages that make a bridge and hold its MTU."""
        index = self.choose_index(end)
        born = link_add(end.link, link, index=index)
        return born, *bridge_mtu(index, link.mtu, name=end.link)

    @carry.register
    def _(self, step: steps.LinkDel) -> None:
        self.send(step.end.netns, step, link_del(self.index(step.end)))
        self.indexes.pop(step.end, None)

    def delete_together(self, doomed: tuple[steps.LinkDel, ...]) -> None:
        """Delete many links of one namespace at once, as a group of their own."""
        where = doomed[0].end.netns
        for step in doomed:
            self.send(where, step, link_group(self.index(step.end), _GROUP))
            self.indexes.pop(step.end, None)
        self.send(where, doomed[0], link_del_group(_GROUP))

    @carry.register
    def _(self, step: steps.LinkSet) -> None:
        end = step.end
        master = None
        if step.master is not None:
            master = self.index(End(end.netns, step.master)) if step.master else 0
        live = step.ipv6_ll is not None and end in self.orders.snapshot.given
        messages = link_set(
            self.index(end),
            up=step.up,
            mtu=step.mtu,
            mac=step.mac,
            master=master,
            alias=step.alias,
            ipv6_ll=None if live else step.ipv6_ll,
            stp=step.stp,
        )
        self.send(end.netns, step, *messages)
        if live:
            self.switch_ll(end, on=bool(step.ipv6_ll))

    def switch_ll(self, end: End, *, on: bool) -> None:
        """Give a link that may be up its IPv6 link-local address, or take it away.

        Netlink changes no more than the mode (inet6_set_link_af), the sysctl gives the address, too
        (addrconf_sysctl_addr_gen_mode); neither takes it away.
        """
        self.turn_to(end.netns)
        room = self.rooms[end.netns]
        hop(room.handle)
        key = f"net.ipv6.conf.{end.link.replace('.', '/')}.addr_gen_mode"
        sysctl.write(key, "0" if on else "1")
        if not on:
            index = self.index(end)
            seen = read_addrs(room.rt.dump(dump_addrs()))
            mine = (s.addr for s in seen if s.index == index and s.proto == _IFAPROT_KERNEL_LL)
            room.rt.batch([addr_del(index, addr) for addr in mine])

    @carry.register
    def _(self, step: steps.AltnameAdd) -> None:
        self.send(step.end.netns, step, altname_add(self.index(step.end), step.altname))

    @carry.register
    def _(self, step: steps.AltnameDel) -> None:
        self.send(step.end.netns, step, altname_del(self.index(step.end), step.altname))

    # ── addresses, routes, rules ──────────────────────────────────────────────────────────────

    @carry.register
    def _(self, step: steps.AddrAdd) -> None:
        self.send(step.end.netns, step, addr_add(self.index(step.end), step.addr))

    @carry.register
    def _(self, step: steps.AddrDel) -> None:
        self.send(step.end.netns, step, addr_del(self.index(step.end), step.addr))

    @carry.register
    def _(self, step: steps.RouteAdd) -> None:
        self.route(step.netns, step, step.route, route_add)

    @carry.register
    def _(self, step: steps.RouteReplace) -> None:
        self.route(step.netns, step, step.route, route_replace)

    @carry.register
    def _(self, step: steps.RouteDel) -> None:
        self.route(step.netns, step, step.route, route_del)

    def route(
        self,
        netns: str,
        step: Step,
        route: Route,
        build: Callable[[Route, dict[str, int]], Message],
    ) -> None:
        """Put a message about a route into the batch."""
        indexes = {hop.dev: self.index(End(netns, hop.dev)) for hop in route.nexthops}
        self.send(netns, step, build(route, indexes))

    @carry.register
    def _(self, step: steps.RuleAdd) -> None:
        self.send(step.netns, step, rule_add(step.rule))

    @carry.register
    def _(self, step: steps.RuleDel) -> None:
        self.send(step.netns, step, rule_del(step.rule))


def _grouped(plan: Plan) -> list[Step | tuple[steps.LinkDel, ...]]:
    """Return the steps, neighbouring deletions of links of one namespace taken together."""
    found: list[Step | tuple[steps.LinkDel, ...]] = []
    run: list[steps.LinkDel] = []
    for step in (*plan, None):
        if isinstance(step, steps.LinkDel) and (not run or run[0].end.netns == step.end.netns):
            run.append(step)
            continue
        if run:
            found.append(run[0] if len(run) == 1 else tuple(run))
        run = [step] if isinstance(step, steps.LinkDel) else []
        if step is not None and not run:
            found.append(step)
    return found


def apply(plan: Plan, orders: Orders) -> list[Refused]:
    """Carry out a plan; return what was refused, at most one unless told to go on."""
    first = next((step for step in plan if isinstance(step, steps.NetnsAdd)), None)
    if first:
        try:
            registry.prepare()
        except Unavailable as error:
            return [Refused(line(first), _as_kernel_error(error), asked=command(first))]
    _raise_limit()
    refused = aside(lambda: _Worker(plan, orders).work())
    etc.tidy()
    return refused


def _as_kernel_error(error: Unavailable) -> KernelError:
    """Return what was behind a refusal; with none behind it, it was a name that is taken."""
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) and cause.errno else errno.EEXIST
    return KernelError(number, "", error.reason.removesuffix(f": {os.strerror(number)}"))


def _raise_limit() -> None:
    """Raise the soft limit of open files as far as the hard one allows (getrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and soft < 4 * OPEN:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * OPEN), hard))
