"""Every step as the command it equals, and a plan as a shell script that one could run.

The script stands on iproute2, sysctl(8), mkdir and ln alone; run on a machine in the state that the
plan was made for, it leads to the state that netloom would lead to.
"""

import shlex
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import assert_never

from msgspec.structs import replace

from netloom.model.marks import IPTABLES, nft_text
from netloom.model.objects import (
    HOST,
    Borrowed,
    Bridge,
    End,
    File,
    Kind,
    Link,
    Loopback,
    Other,
    Route,
    Veth,
    etc_entries,
)
from netloom.model.ready import EXIT
from netloom.plan import steps
from netloom.plan.exception_commands import closing, opening
from netloom.plan.steps import Plan, Step
from netloom.render.text import protocol_word, route_words, rule_words

_END = "END-OF-FILE"


def command(step: Step) -> str:
    """Return the command, or the commands, that a step equals."""
    return "; ".join(commands(step))


def script(plan: Plan, folders: Mapping[str, Mapping[str, File]]) -> str:
    """Return a plan as a script for sh; `folders` are files for /etc, by digest."""
    lines = ["#!/bin/sh", "set -e"]
    for step in plan:
        if isinstance(step, steps.EtcSet):
            lines += _etc(step, folders.get(step.digest, {}))
        else:
            lines += commands(step)
    lines += _outliving(plan, folders)
    return "\n".join(lines) + "\n"


def _etc(step: steps.EtcSet, files: Mapping[str, File]) -> Iterator[str]:
    folder = shlex.quote(f"/etc/netns/{step.netns}")
    # What netloom put there is a link to a text that others share: it is not written through.
    yield f"[ ! -L {folder} ] || rm {folder}"
    for path, file in sorted(files.items(), key=itemgetter(0)):
        place = shlex.quote(f"/etc/netns/{step.netns}/{path}")
        if path.endswith("/"):
            yield f"install -d {_facts_of(file)} {place}"
            continue
        yield f"mkdir -p $(dirname {place}); rm -f {place}"
        if file.is_copy:
            yield f"cp {shlex.quote(f'/etc/{path}')} {place}"
            continue
        if file != File(file.text, own=file.own):
            yield f"install {_facts_of(file)} /dev/null {place}"
        yield _filled(place, file.text)


def _outliving(plan: Plan, folders: Mapping[str, Mapping[str, File]]) -> Iterator[str]:
    """Yield how to remove what is not gone with its namespace."""
    places: list[str] = []
    for step in plan:
        if isinstance(step, steps.EtcSet):
            entries = sorted(etc_entries(folders.get(step.digest, {})))
            places += [shlex.quote(f"/etc/netns/{step.netns}/{entry}") for entry in entries]
    if places:
        dirs = dict.fromkeys(place.rpartition("/")[0] for place in places)
        yield "# What is in /etc outlives its namespace. When that is gone:"
        yield f"# rm -rf {' '.join(places)}"
        yield f"# rmdir --ignore-fail-on-non-empty {' '.join([*dirs, '/etc/netns'])}"


def _facts_of(file: File) -> str:
    user, group = file.owner
    return f"-m {file.mode:o}" + (f" -o {user} -g {group}" if any(file.owner) else "")


def _filled(place: str, text: str) -> str:
    if _END in text or (text and not text.endswith("\n")):  # which no here-document can say
        return f"printf %s {shlex.quote(text)} >{place}"
    return f"cat >{place} <<'{_END}'\n{text}{_END}"


def commands(step: Step) -> Iterator[str]:
    """Yield the commands that a step equals."""
    return _on_link(step) if isinstance(step, steps.OnLink) else _in_netns(step)


def _on_link(step: steps.LinkStep) -> Iterator[str]:
    match step:
        case steps.LinkAdd():
            yield from _link_add(step)
        case steps.LinkDel():
            yield f"{_ip(step.end.netns)} link del {_dev(step.end)}"
        case steps.LinkSet():
            yield from _link_set(step)
        case steps.AddrAdd():
            nodad = " nodad" if ":" in step.addr.ip else ""
            yield f"{_ip(step.end.netns)} addr add {step.addr} {_dev(step.end)}{nodad}"
        case steps.AddrDel():
            yield f"{_ip(step.end.netns)} addr del {step.addr} {_dev(step.end)}"
        case steps.AltnameAdd():
            yield f"{_ip(step.end.netns)} link property add {_dev(step.end)} {_alt(step.altname)}"
        case steps.AltnameDel():
            yield f"{_ip(step.end.netns)} link property del {_dev(step.end)} {_alt(step.altname)}"
        case steps.PortAdd():
            yield _port_add(step)
        case steps.PortDel():
            yield _port_del(step)
        case _:
            assert_never(step)


def _in_netns(step: steps.NetnsStep) -> Iterator[str]:  # noqa: C901, PLR0912 - a table
    match step:
        case steps.NetnsAdd():
            yield from _netns_add(step)
        case steps.NetnsDel():
            yield f"ip netns del {shlex.quote(step.netns)}"
        case steps.NameDel():
            yield f"rm {shlex.quote(f'/run/netns/{step.netns}')}"
        case steps.RouteAdd():
            yield _route("add", step.netns, step)
        case steps.RouteReplace():
            yield _route("replace", step.netns, step)
        case steps.RouteDel():
            yield _route("del", step.netns, step)
        case steps.RuleAdd():
            yield _rule("add", step)
        case steps.RuleDel():
            yield _rule("del", step)
        case steps.SysctlSet():
            setting = shlex.quote(f"{step.key}={step.value}")
            yield f"{_inside(step.netns)}sysctl -qw {setting}"
        case steps.EtcSet():
            yield f"ln -s /run/netloom/… /etc/netns/{shlex.quote(step.netns)}"
        case steps.EtcDel():
            folder = shlex.quote(f"/etc/netns/{step.netns}")
            yield f"rm -rf {folder}"
        case steps.RulesetSet():
            yield _ruleset_set(step)
        case steps.RulesetDel():
            yield _ruleset_del(step)
        case steps.ClaimAdd():
            yield f"sysctl -qw {shlex.quote(f'{step.key}={step.value}')}"
        case steps.ClaimDel():
            yield f": {step.key} is left as it is, others may rely on it"
        case steps.ExceptionAdd():
            yield shlex.join(step.command or opening(step.exception))
        case steps.ExceptionDel():
            yield shlex.join(closing(step.exception))
        case steps.RunStart():
            yield _run_start(step)
        case steps.RunStop():
            yield f": end {shlex.quote(step.name)} in {shlex.quote(step.netns)}"
        case _:
            assert_never(step)


def _netns_add(step: steps.NetnsAdd) -> Iterator[str]:
    name = shlex.quote(step.netns)
    yield f"ip netns add {name}"
    yield f"ip -n {name} link set lo up alias {shlex.quote(step.alias)}"


def _link_add(step: steps.LinkAdd) -> Iterator[str]:
    ip, dev, link = _ip(step.end.netns), _dev(step.end), step.link
    holds_mtu = link.kind.takes_ports  # once it was set, not by its birth
    if holds_mtu:
        link = replace(link, mtu=link.mtu - 1 if link.mtu > 1280 else link.mtu + 1)
    words = f"{_facts(link)} type {_type(link.kind)}{_peer(step)}"
    yield f"{ip} link add name {shlex.quote(step.end.link)} {words}"
    if holds_mtu:
        yield f"{ip} link set {dev} mtu {step.link.mtu}"
    if link.master:
        yield f"{ip} link set {dev} master {shlex.quote(link.master)}"


def _type(kind: Kind) -> str:
    """Return what stands behind `type`: the kernel's word for a kind, and its facts."""
    match kind:
        case Bridge():
            return f"bridge stp_state {int(kind.stp)} mcast_snooping 0"
        case Veth():
            return "veth"
        case Loopback() | Borrowed() | Other():
            raise ValueError(f"no lab makes {kind}")
        case _:
            assert_never(kind)


def _peer(step: steps.LinkAdd) -> str:
    far = step.link.peer
    if far is None:
        return ""
    assert step.peer is not None
    there = "" if far.netns == step.end.netns else f" netns {_netns(far.netns)}"
    return f" peer name {shlex.quote(far.link)}{there} {_facts(step.peer)}"


def _facts(link: Link) -> str:
    return f"address {link.mac} mtu {link.mtu}"


def _link_set(step: steps.LinkSet) -> Iterator[str]:
    ip, dev = _ip(step.end.netns), _dev(step.end)
    words = []
    if step.mtu is not None:
        words.append(f"mtu {step.mtu}")
    if step.mac is not None:
        words.append(f"address {step.mac}")
    if step.master is not None:
        words.append(f"master {shlex.quote(step.master)}" if step.master else "nomaster")
    if step.alias is not None:
        words.append(f"alias {shlex.quote(step.alias)}")
    if step.ipv6_ll is not None:
        words.append(f"addrgenmode {'eui64' if step.ipv6_ll else 'none'}")
    if words:
        yield f"{ip} link set {dev} {' '.join(words)}"
    if step.kind is not None:
        yield f"{ip} link set {dev} type {_type(step.kind)}"
    if step.link_local:
        yield f"{ip} addr add {step.link_local}/64 {dev} nodad"
    if step.up is not None:
        yield f"{ip} link set {dev} {'up' if step.up else 'down'}"


def _port_add(step: steps.PortAdd) -> str:
    link = step.link
    words = f"master {shlex.quote(link.master)} alias {shlex.quote(link.alias)}"
    return f"{_ip(step.end.netns)} link set {_dev(step.end)} up {words}"


def _port_del(step: steps.PortDel) -> str:
    state = "up" if step.found.up else "down"
    words = f"nomaster alias {shlex.quote(step.found.alias)}"
    return f"{_ip(step.end.netns)} link set {_dev(step.end)} {state} {words}"


def _ruleset_set(step: steps.RulesetSet) -> str:
    if step.ruleset in IPTABLES:
        program, text = f"{step.ruleset}-restore", step.text
    else:
        program, text = "nft -f -", nft_text(step.ruleset, step.text)
    return f"{_inside(step.netns)}{program} <<'END-OF-RULES'\n{text}END-OF-RULES"


def _ruleset_del(step: steps.RulesetDel) -> str:
    if step.ruleset in IPTABLES:
        return f"{_inside(step.netns)}{step.ruleset} -F"
    return f"{_inside(step.netns)}nft delete table {step.ruleset}"


def _run_start(step: steps.RunStart) -> str:
    run = step.command
    env = [f"{key}={value}" for key, value in sorted(run.env.items())]
    user = ["setpriv", f"--reuid={run.user}", "--init-groups"] if run.user else []
    words = shlex.join([*user, *(["env", *env] if env else []), *run.argv])
    beside = "" if run.ready == EXIT else " &"
    line = f"(cd {shlex.quote(run.cwd)} && exec {_inside(step.netns)}{words}) </dev/null{beside}"
    told = [f"when ready: {', '.join(run.after)}"] if run.after else []
    told += ["started again when it fails"] if run.restart else []
    return f"{line}  # {'; '.join(told)}" if told else line


def _rule(verb: str, step: steps.RuleAdd | steps.RuleDel) -> str:
    rule = step.rule
    # Said always: ip-rule(8) gives a rule no protocol, where ip-route(8) gives a route `boot`.
    words = f"{_quoted(rule_words(rule))} protocol {rule.protocol}"
    return f"{_ip(step.netns)} -{rule.family} rule {verb} {words}"


def _route(
    verb: str, netns: str, step: steps.RouteAdd | steps.RouteReplace | steps.RouteDel
) -> str:
    route = step.route
    head, several, hops = _quoted(route_words(route)).partition(" nexthop ")  # they come last
    protocol = f" proto {protocol_word(route.protocol)}" if route.protocol != 3 else ""
    scope = "" if route.scope == _usual_scope(route) else f" scope {route.scope or 'global'}"
    # Without a metric any would do for IPv6 (ip6_route_del), and the wrong one would go.
    metric = " metric 1024" if (verb, route.family, route.metric) == ("del", 6, 1024) else ""
    words = f"{head}{metric}{protocol}{scope}{several}{hops}"
    return f"{_ip(netns)} -{route.family} route {verb} {words}"


def _usual_scope(route: Route) -> int:
    """Return the scope that `ip route add` gives a route: `link` where it leads straight out."""
    hops = route.nexthops
    direct = len(hops) == 1 and not hops[0].via and hops[0].weight == 1
    return 253 if direct and route.family == 4 else 0


def _quoted(words: str) -> str:
    """Return iproute2's words for a shell: a name of an interface may have any sign but a space."""
    return shlex.join(words.split())


def _inside(netns: str) -> str:
    return "" if netns == HOST else f"ip netns exec {shlex.quote(netns)} "


def _ip(netns: str) -> str:
    return "ip" if netns == HOST else f"ip -n {shlex.quote(netns)}"


def _netns(name: str) -> str:
    """Return a namespace as `ip link … netns` wants it; the host by the script's own process."""
    return "$$" if name == HOST else shlex.quote(name)


def _dev(end: End) -> str:
    return f"dev {shlex.quote(end.link)}"


def _alt(name: str) -> str:
    return f"altname {shlex.quote(name)}"
