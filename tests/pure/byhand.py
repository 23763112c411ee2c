"""What programs and people do inside of a world that is up, as steps that the kernel takes."""

from collections.abc import Iterator
from random import Random

from msgspec.structs import replace

from netloom.model.lab_state import LabState
from netloom.model.objects import Addr, Desired, End, Nexthop, Route, Rule, is_kept
from netloom.plan import steps
from netloom.plan.mutable import Illegal
from netloom.plan.others import told_apart
from netloom.plan.simulate import after, is_secondary
from netloom.plan.steps import Step
from netloom.plan.sysctls import is_ipv6_off
from netloom.values import from_int, network_of, to_int

ADDRS = (
    Addr("10.250.0.1", 24),
    Addr("10.250.0.2", 24),
    Addr("192.0.2.7", 32),
    Addr("127.0.0.9", 8),
    Addr("fd99::1", 64),
)
RULES = (
    Rule(4, 1000, table=51820, fwmark=51820, fwmask=0xFFFFFFFF, invert=True),
    Rule(4, 999, table=254, suppress_prefixlength=0),
    Rule(6, 1001, table=7, src="fd99::/64"),
)


def done(desired: Desired, random: Random) -> list[Step]:
    """Return what is done in the namespaces of a state, in an order; the kernel may refuse some."""
    found: list[Step] = []
    for name, netns in desired.netns.items():
        if is_kept(name, netns):
            continue
        for _ in range(random.randint(0, 4)):
            link = random.choice(sorted(netns.links))
            addrs = (*ADDRS, *_beside(netns.links[link].addrs))
            ipv6 = not is_ipv6_off(netns.sysctls, link)
            addr = random.choice([one for one in addrs if ipv6 or one.family == 4])
            found.append(steps.AddrAdd(End(name, link), addr))
            found += random.sample(_routes(name, link, addr), random.randint(0, 3))
        found += [steps.RuleAdd(name, one) for one in random.sample(RULES, random.randint(0, 3))]
    return found


def _beside(addrs: tuple[Addr, ...]) -> Iterator[Addr]:
    """Yield addresses in the subnets of others, and the same with another length."""
    for addr in addrs:
        if addr.family == 4 and addr.prefixlen < 32:
            yield Addr(addr.ip, 32)
        prefix = network_of(addr.ip, addr.prefixlen)
        for far in (9, 10):
            ip = from_int(to_int(addr.ip) ^ far, prefix)
            if network_of(ip, addr.prefixlen) == prefix:
                yield Addr(ip, addr.prefixlen)


def _routes(name: str, link: str, addr: Addr) -> list[Step]:
    near = from_int(to_int(addr.ip) ^ 3, network_of(addr.ip, addr.prefixlen))
    six = addr.family == 6
    metric = 1024 if six else 0
    routes = (
        Route("fd98::/64" if six else "10.98.0.0/16", (Nexthop(link, near),), metric=metric),
        Route("::/0" if six else "0.0.0.0/0", (Nexthop(link, near),), table=51820, metric=metric),
        Route("::/1" if six else "0.0.0.0/1", (Nexthop(link, near),), metric=metric, protocol=3),
        Route("fd97::/64" if six else "10.97.0.0/16", (Nexthop(link),), metric=7, src=addr.ip),
        Route("fd96::/64" if six else "10.96.0.0/16", type="blackhole", metric=metric or 5),
    )
    return [steps.RouteAdd(name, route) for route in routes]


def carried_out(byhand: list[Step], state: LabState) -> LabState:
    """Return the state that some steps lead to, of which the kernel refuses what it must."""
    for step in byhand:
        try:
            state = after([_as_the_kernel_has_it(step, state)], state)
        except Illegal:
            continue
    return state


def _as_the_kernel_has_it(step: Step, state: LabState) -> Step:
    if not isinstance(step, steps.AddrAdd):
        return step
    link = state.netns[step.netns].links[step.end.link]
    there = (*link.born_with, *link.addrs)
    return replace(step, addr=replace(step.addr, secondary=is_secondary(step.addr, there)))


def seen(state: LabState, before: Desired, wanted: Desired) -> LabState:
    """Return a state with what others set told apart, as the one who looks has it."""
    netns, others = dict(state.netns), {}
    for name, one in state.netns.items():
        if name in before.netns and not is_kept(name, one):
            now = wanted.netns.get(name, type(one)())
            netns[name], others[name] = told_apart(one, [before.netns[name]], now)
    return replace(state, netns=netns, others=others)
