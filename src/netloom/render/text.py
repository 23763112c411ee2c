"""Values for people: a step is one line, with a glyph for what it does.

+ makes something    - removes something    ~ changes something in place
"""

import shlex
from collections.abc import Iterable, Iterator
from typing import assert_never

from netloom.model.objects import (
    HOST,
    End,
    Nexthop,
    Route,
    Rule,
)
from netloom.plan import steps
from netloom.plan.exception_commands import closing, opening
from netloom.plan.steps import Plan, Step

_TABLES = {253: "default", 254: "main", 255: "local"}
_PROTOCOLS = {2: "kernel", 3: "boot", 4: "static", 9: "ra", 11: "zebra", 12: "bird", 16: "dhcp"}


def line(step: Step) -> str:
    """Return a step as a line: `+ addr web:eth0 10.0.0.1/24`."""
    return _on_link(step) if isinstance(step, steps.OnLink) else _in_netns(step)


def _on_link(step: steps.LinkStep) -> str:  # noqa: PLR0911 - a table
    match step:
        case steps.LinkAdd():
            return f"+ link {_new_link(step)}"
        case steps.LinkDel():
            return f"- link {step.end}"
        case steps.LinkSet():
            return f"~ link {step.end} {' '.join(_changes(step))}"
        case steps.AddrAdd():
            return f"+ addr {step.end} {step.addr}"
        case steps.AddrDel():
            return f"- addr {step.end} {step.addr}"
        case steps.AltnameAdd():
            return f"+ altname {step.end} {step.altname}"
        case steps.AltnameDel():
            return f"- altname {step.end} {step.altname}"
        case steps.PortAdd():
            return f"+ port {step.end} of {step.link.master}"
        case steps.PortDel():
            return f"- port {step.end}"
        case _:
            assert_never(step)


def _in_netns(step: steps.NetnsStep) -> str:  # noqa: C901, PLR0911, PLR0912 - a table
    match step:
        case steps.NetnsAdd():
            return f"+ netns {step.netns}"
        case steps.NetnsDel():
            return f"- netns {step.netns}"
        case steps.NameDel():
            return f"- name {step.netns} (left by an `up` that was killed)"
        case steps.RouteAdd():
            return f"+ route {step.netns} {route_words(step.route)}"
        case steps.RouteReplace():
            return f"~ route {step.netns} {route_words(step.route)}{_was(step)}"
        case steps.RouteDel():
            return f"- route {step.netns} {route_words(step.route)}"
        case steps.RuleAdd():
            return f"+ rule {step.netns} {rule_words(step.rule)}"
        case steps.RuleDel():
            return f"- rule {step.netns} {rule_words(step.rule)}"
        case steps.SysctlSet():
            return f"~ sysctl {step.netns} {step.key}={step.value}"
        case steps.EtcSet():
            return f"~ etc {step.netns}"
        case steps.EtcDel():
            return f"- etc {step.netns}"
        case steps.RulesetSet():
            return f"~ rules {step.netns} {step.ruleset}"
        case steps.RulesetDel():
            return f"- rules {step.netns} {step.ruleset}"
        case steps.ClaimAdd():
            setting = f"{step.netns} {step.key}={step.value}"
            return f"~ sysctl {setting} (shared; the last lab restores it)"
        case steps.ClaimDel():
            return f"- sysctl {step.netns} {step.key} (this lab's share in it)"
        case steps.ExceptionAdd():
            words = shlex.join(step.command or opening(step.exception))
            why = f"# else it drops {step.exception.dropped}"
            return f"+ exception {step.netns} {step.exception.owner}: {words}  {why}"
        case steps.ExceptionDel():
            words = shlex.join(closing(step.exception))
            return f"- exception {step.netns} {step.exception.owner}: {words}"
        case steps.RunStart():
            return f"+ run {step.netns} {step.name}: {_words(step.command.argv)}"
        case steps.RunStop():
            return f"- run {step.netns} {step.name}"
        case _:
            assert_never(step)


def _was(step: steps.RouteReplace) -> str:
    """Return what somebody put in a route's place, and who by its protocol."""
    if step.was is None or step.was.protocol == step.route.protocol:
        return ""
    words = route_words(step.was).removeprefix(route_words(step.was).split(" ")[0]).strip()
    return f" (was {words} proto {protocol_word(step.was.protocol)})"


def _words(argv: tuple[str, ...]) -> str:
    """Return a command as a person writes it, on one line."""
    text = argv[2] if argv[:2] == ("sh", "-c") else " ".join(argv)
    return " ".join(text.split())


def _new_link(step: steps.LinkAdd) -> str:
    link = step.link
    if not link.peer:
        return f"{step.end} ({link.kind.word})"
    mtu = f" mtu {link.mtu}" if link.mtu != 1500 else ""
    port = f" on {link.master}" if link.master else ""
    return f"{step.end} = {link.peer}{port}{mtu}"


_TRUTH = {True: "on", False: "off"}


def _changes(step: steps.LinkSet) -> Iterator[str]:
    if step.up is not None:
        yield "up" if step.up else "down"
    if step.mtu is not None:
        yield f"mtu {step.mtu}"
    if step.mac is not None:
        yield f"address {step.mac}"
    if step.master is not None:
        yield f"master {step.master}" if step.master else "nomaster"
    if step.alias is not None:
        yield "marked"
    if step.ipv6_ll is not None:
        yield "with IPv6 link-local" if step.ipv6_ll else "without IPv6 link-local"
    if step.kind is not None:
        for fact in step.kind.in_place:
            value = getattr(step.kind, fact)
            yield f"{fact} {_TRUTH.get(value, value)}"


def shown_steps(plan: Plan) -> list[tuple[Step, str]]:
    """Return the steps worth telling, without those that only finish a thing just made."""
    made: set[End] = set()
    for step in plan:
        if isinstance(step, steps.LinkAdd):
            made.add(step.end)
            if step.link.peer:
                made.add(step.link.peer)
    new = {step.netns for step in plan if isinstance(step, steps.NetnsAdd)}
    gone = {step.netns for step in plan if isinstance(step, steps.NetnsDel)}
    found = []
    for step in plan:
        match step:
            case steps.LinkSet() if step.end in made:
                continue
            case steps.SysctlSet() | steps.EtcSet() if step.netns in new:
                continue
            case steps.EtcDel() if step.netns in gone:
                continue
        found.append((step, line(step)))
    return found


def plan_text(plan: Plan) -> str:
    """Return a plan for people; what it does to the host stands apart, under `host:`."""
    pairs = shown_steps(plan)
    lines = [text for step, text in pairs if not touches_host(step)]
    on_host = [f"  {text}" for step, text in pairs if touches_host(step)]
    if on_host:
        lines += ["host:", *on_host]
    return "\n".join([*lines, changes(len(pairs))])


def touches_host(step: Step) -> bool:
    """Return whether a step changes the host's own namespace, or lays a wire into it."""
    far = step.link.peer if isinstance(step, steps.LinkAdd) else None
    return step.netns == HOST or (far is not None and far.netns == HOST)


def changes(number: int) -> str:
    """Return `no changes`, `1 change`, `5 changes`."""
    return "no changes" if not number else f"{number} change{'s' if number > 1 else ''}"


def listed(things: Iterable[str]) -> str:
    """Return `a, b, c`."""
    return ", ".join(things)


# ── iproute2's words, shared with shell.py ────────────────────────────────────────────────────────


def table_word(table: int) -> str:
    """Return a routing table by its name in iproute2, or its number."""
    return _TABLES.get(table, str(table))


def protocol_word(protocol: int) -> str:
    """Return who made a route by its name in iproute2 (rt_protos), or its number."""
    return _PROTOCOLS.get(protocol, str(protocol))


def route_words(route: Route) -> str:
    """Return a route as what follows `ip route add` (ip-route(8))."""
    words = [route.type] if route.type != "unicast" else []
    ways = () if route.nexthop_id else route.nexthops
    told = any(hop.via for hop in ways)  # a gateway tells the family
    default = {"0.0.0.0/0": "default", "::/0": "default" if told else "::/0"}
    words.append(default.get(route.dst, route.dst))
    words += ["nhid", str(route.nexthop_id)] if route.nexthop_id else []
    if len(ways) == 1 and ways[0].weight == 1:
        words += _hop_words(ways[0], route)
    if route.src:
        words += ["src", route.src]
    if route.table != 254:
        words += ["table", table_word(route.table)]
    if route.metric and not (":" in route.dst and route.metric == 1024):
        words += ["metric", str(route.metric)]
    words += ["tos", f"{route.tos:#x}"] if route.tos else []
    for word, value in (("mtu", route.mtu), ("advmss", route.advmss)):
        if value:
            words += [word, str(value)]
    if len(ways) > 1 or (ways and ways[0].weight > 1):
        for hop in ways:
            words += ["nexthop", *_hop_words(hop, route), "weight", str(hop.weight)]
    return " ".join(words)


def _hop_words(hop: Nexthop, route: Route) -> list[str]:
    words = []
    if hop.via:
        inet6 = ["inet6"] if ":" in hop.via and ":" not in route.dst else []
        words += ["via", *inet6, hop.via]
    words += ["dev", hop.dev]
    return [*words, "onlink"] if hop.onlink else words


def rule_words(rule: Rule) -> str:
    """Return a rule as what follows `ip rule add` (ip-rule(8))."""
    words = ["not"] if rule.invert else []
    words += ["priority", str(rule.priority), "from", rule.src or "all"]
    if rule.dst:
        words += ["to", rule.dst]
    if rule.fwmask:
        mask = f"/{rule.fwmask:#x}" if rule.fwmask != 0xFFFFFFFF else ""
        words += ["fwmark", f"{rule.fwmark:#x}{mask}"]
    for word, text in (("iif", rule.iif), ("oif", rule.oif)):
        if text:
            words += [word, text]
    if rule.tos:
        words += ["tos", f"{rule.tos:#x}"]
    if rule.ipproto:
        words += ["ipproto", str(rule.ipproto)]
    words += _range_words(rule)
    if rule.action == "lookup":
        words += ["lookup", table_word(rule.table)]
    else:
        words.append(rule.action)
    if rule.suppress_prefixlength >= 0:
        words += ["suppress_prefixlength", str(rule.suppress_prefixlength)]
    return " ".join(words)


def _range_words(rule: Rule) -> list[str]:
    words: list[str] = []
    for word, span in (("sport", rule.sport), ("dport", rule.dport)):
        if span != (0, 0):
            low, high = span
            words += [word, str(low) if low == high else f"{low}-{high}"]
    if rule.uidrange is not None:
        words += ["uidrange", f"{rule.uidrange[0]}-{rule.uidrange[1]}"]
    return words
