"""Which exceptions a network with an uplink needs in the firewalls of its host, and which it has.

Nothing is opened where nothing drops: each kind of packets that must pass is followed through each
base chain that it meets, and only where it certainly ends there (`verdicts.py`) is an exception
asked for, in the chain that drops, of the one whose chain it is. What is asked for does not depend
on what was opened already: exceptions, ours and other labs', are looked through.
"""

from collections.abc import Collection, Iterable, Iterator

from msgspec import structs

from netloom.model.firewall import (
    BridgeNeed,
    FirewallException,
    FirewallRule,
    FirewallState,
    FirewallTable,
    ForwardNeed,
    Traffic,
    comment_of,
    families,
    is_ours,
)
from netloom.model.lab_state import LabState
from netloom.model.objects import HOST, Desired
from netloom.plan.verdicts import DOCKER_USER, POLICY, Drop, Ours, dropped, place_for, probes
from netloom.values import Family

OWN_TABLE = "inet netloom-"
"""How the names of our own tables begin: what they drop is meant."""

ZONES = ("nm-shared", "trusted")
"""Zones of firewalld that forward what they are given, the narrower first.

`nm-shared` comes with NetworkManager and is made for this very thing: it forwards, and opens no
more of the host than DHCP, DNS, SSH and ICMP. `trusted` is always there, and opens all of it.
"""

_IN_NM_SHARED = {("udp", 53), ("tcp", 53), ("udp", 67), ("tcp", 22)}
_ICMP = {4: "icmp", 6: "ipv6-icmp"}


# ── what must pass ────────────────────────────────────────────────────────────────────────


def flows(
    through: ForwardNeed | BridgeNeed, bridged: Collection[Family] = ()
) -> tuple[Traffic, ...]:
    """Return the kinds of packets of a network that its host must let pass, each once.

    `bridged` are the families in which the host's firewalls see what crosses a bridge.
    """
    if isinstance(through, BridgeNeed):
        return tuple(_across(through, bridged))
    found = (
        flow
        for family, subnet in families(through)
        for flow in (
            *_forwarded(through, family, subnet),
            *_to_host(through, family, subnet),
            Traffic(family, oif=through.link, dst=subnet),
        )
    )
    return tuple(dict.fromkeys(found))


def _across(across: BridgeNeed, bridged: Collection[Family]) -> Iterator[Traffic]:
    """Yield what crosses a bridge; neighbours are asked for from other addresses, too."""
    bridge = across.bridge
    for family in sorted(bridged):
        if not across.addresses:
            yield Traffic(family, iif=bridge, oif=bridge)
            continue
        for address in across.addresses:
            if (":" in address) == (family == 6):
                one = f"{address}/{128 if family == 6 else 32}"
                yield Traffic(family, iif=bridge, oif=bridge, src=one)
                yield Traffic(family, iif=bridge, oif=bridge, dst=one)
        if family == 6 and any(":" in address for address in across.addresses):
            yield Traffic(family, iif=bridge, oif=bridge, proto=_ICMP[family])


def _forwarded(through: ForwardNeed, family: Family, subnet: str) -> Iterator[Traffic]:
    """Yield what is forwarded; members come by a published port of the host's, too, and return."""
    lan, out = through.link, through.uplink
    yield Traffic(family, iif=lan, oif=out, src=subnet)
    yield Traffic(family, iif=out, oif=lan, dst=subnet, established=True)
    for ip, proto, port in through.published:
        if (":" in ip) == (family == 6):
            dst = f"{ip}/{128 if family == 6 else 32}"
            yield Traffic(family, iif=out, oif=lan, dst=dst, proto=proto, port=port)
            yield Traffic(family, iif=lan, oif=lan, dst=dst, proto=proto, port=port)
            yield Traffic(family, iif=lan, oif=lan, dst=subnet, established=True)


def _to_host(through: ForwardNeed, family: Family, subnet: str) -> Iterator[Traffic]:
    """Yield what members say to the host; IPv6 asks for neighbours from other addresses, too."""
    lan = through.link
    yield Traffic(family, iif=lan, src=subnet, established=True)
    yield Traffic(family, iif=lan, src="" if family == 6 else subnet, proto=_ICMP[family])
    for proto, port in through.services:
        yield Traffic(family, iif=lan, src=subnet, proto=proto, port=port)
    if family == 6:
        yield Traffic(family, oif=lan, proto=_ICMP[family])


# ── what is needed ────────────────────────────────────────────────────────────────────────


def exceptions(
    firewall: FirewallState, through: ForwardNeed | BridgeNeed
) -> tuple[FirewallException, ...]:
    """Return the exceptions that a network needs on this host, open already or not, each once.

    A zone of firewalld opens the host to an interface, too: no bridge is put into one for the sake
    of what crosses it, and by itself firewalld lets that pass (firewalld.zone(5), `forward`).
    """
    comment = comment_of(through.lab)
    zone, link = (
        ("", "") if isinstance(through, BridgeNeed) else (_zone(firewall, through), through.link)
    )
    found = {
        exception: None
        for flow in flows(through, firewall.bridged)
        for table in firewall.tables
        if table.family in {0, flow.family} and not table.name.startswith(OWN_TABLE)
        for drop in _drops(firewall, table, flow)
        for exception in _exceptions(table, flow, drop, zone, comment)
        if exception.tool != "firewall-cmd" or flow.iif == link
    }
    return tuple(found)


def with_exceptions(
    desired: Desired, through: Iterable[BridgeNeed | ForwardNeed], snapshot: LabState
) -> Desired:
    """Return what is desired, with the exceptions that the host's firewalls make necessary now."""
    if snapshot.firewall is None or HOST not in desired.netns:
        return desired
    found = {exception for each in through for exception in exceptions(snapshot.firewall, each)}
    host = structs.replace(desired.netns[HOST], exceptions=frozenset(found))
    return structs.replace(desired, netns={**desired.netns, HOST: host})


def _drops(firewall: FirewallState, table: FirewallTable, flow: Traffic) -> dict[Drop, None]:
    """Return where a table drops a flow."""
    ours = _is_open(firewall, table)
    bases = [name for name, chain in table.chains.items() if chain.hook == flow.hook]
    ends = (dropped(table, name, probe, ours) for name in bases for probe in probes(flow))
    return {end: None for end in ends if end is not None}


def _is_open(firewall: FirewallState, table: FirewallTable) -> Ours:
    """Return what tells the rules of a table that are exceptions, ours or another lab's."""
    noted = {said_to_ufw(note.flow) for note in firewall.ufw if is_ours(note.comment)}

    def ours(chain: str, rule: FirewallRule) -> bool:
        if is_ours(rule.comment):
            return True
        if chain.startswith(("ufw-user-", "ufw6-user-")):
            return bool(noted) and said_to_ufw(flow_of(rule, table.family)) in noted
        return bool(zone_of(firewall, table, rule))

    return ours


def _exceptions(
    table: FirewallTable, flow: Traffic, drop: Drop, zone: str, comment: str
) -> Iterator[FirewallException]:
    """Yield the exception for a flow that ends somewhere, if its owner has a word for it."""
    if is_firewalld(table):
        # A zone decides about what comes in by an interface; replies and DNATed packets pass.
        yield FirewallException("firewall-cmd", "", zone, Traffic(0, iif=flow.iif), comment)
    elif _is_ufw(table, drop):
        # ufw has no words for ICMP and for replies; both pass by its own rules (before.rules).
        if not flow.established and flow.proto not in _ICMP.values():
            yield FirewallException("ufw", "", "", said_to_ufw(flow), comment)
    else:
        chain = DOCKER_USER if drop.through_user else drop.chain
        yield FirewallException(table.tool, table.name, chain, flow, comment)


def said_to_ufw(flow: Traffic) -> Traffic:
    """Return a flow as ufw has words for it: without an address it is of both families."""
    return flow if flow.src or flow.dst else structs.replace(flow, family=0)


def is_firewalld(table: FirewallTable) -> bool:
    """Whether a table is firewalld's: its own of nftables, or one of iptables that it fills."""
    return table.name.endswith(" firewalld") or "INPUT_ZONES" in table.chains


def _is_ufw(table: FirewallTable, drop: Drop) -> bool:
    hooked = "ufw-before-forward" in table.chains or "ufw6-before-forward" in table.chains
    is_base = drop.rule == POLICY and bool(table.chains[drop.chain].hook)
    return hooked and (is_base or drop.chain.startswith(("ufw-", "ufw6-")))


def _zone(firewall: FirewallState, through: ForwardNeed) -> str:
    narrow = firewall.zones.issuperset(ZONES[:1]) and _IN_NM_SHARED.issuperset(through.services)
    return ZONES[0] if narrow else ZONES[1]


# ── what is there ─────────────────────────────────────────────────────────────────────────


def there(
    firewall: FirewallState, lab: str, links: Collection[str] = ()
) -> tuple[FirewallException, ...]:
    """Return the exceptions of a lab that there are, with those that are behind a drop.

    firewalld has no comments: there the `links` tell, which are the lab's interfaces on the host.
    """
    comment = comment_of(lab)
    found = dict.fromkeys(_commented(firewall, comment))
    for table in firewall.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                if (zone := zone_of(firewall, table, rule)) and rule.matches[0].values[0] in links:
                    flow = Traffic(0, iif=rule.matches[0].values[0])
                    found[FirewallException("firewall-cmd", "", zone, flow, comment)] = None
    return tuple(found)


def _commented(firewall: FirewallState, comment: str) -> Iterator[FirewallException]:
    yield from (
        FirewallException("ufw", "", "", said_to_ufw(note.flow), comment)
        for note in firewall.ufw
        if note.comment == comment
    )
    for table in firewall.tables:
        if table.name.startswith(OWN_TABLE):
            continue
        ours = _is_open(firewall, table)
        for name, chain in table.chains.items():
            for number, rule in enumerate(chain.rules):
                if rule.comment == comment:
                    flow = flow_of(rule, table.family)
                    end = place_for(table, name, flow, ours)
                    behind = POLICY < end < number
                    yield FirewallException(table.tool, table.name, name, flow, comment, behind)


def zone_of(firewall: FirewallState, table: FirewallTable, rule: FirewallRule) -> str | None:
    """Return the zone that a rule of firewalld gives an interface to, None if we choose no such.

    One of its lasting configuration is not ours.
    """
    if not rule.target or len(rule.matches) != 1 or not is_firewalld(table):
        return None
    match = rule.matches[0]
    if match.key != "iif" or len(match.values) != 1 or match.values[0] in firewall.bound:
        return None
    zone = rule.target.rpartition("_")[2]
    return zone if zone in ZONES and rule.target.startswith(("filter_", "FWD", "IN_")) else None


def flow_of(rule: FirewallRule, family: int) -> Traffic:
    """Return the flow that a rule speaks of, as far as it can be told."""
    said = {match.key: match.values for match in rule.matches if not match.negated}
    one = {key: values[0] for key, values in said.items() if len(values) == 1}
    addressed = one.get("src", "") + one.get("dst", "")
    six = family == 6 or ":" in addressed or one.get("proto") == "ipv6-icmp"
    six = six or one.get("family") == "6"
    port = one.get("dport", "")
    return Traffic(
        6 if six else 4,
        iif=one.get("iif", ""),
        oif=one.get("oif", ""),
        src=one.get("src", ""),
        dst=one.get("dst", ""),
        proto=one.get("proto", ""),
        port=int(port) if port.isdecimal() else 0,
        established=set(said.get("state", ())) == {"established", "related"},
    )


def missing(
    wanted: Iterable[FirewallException], found: Iterable[FirewallException]
) -> tuple[FirewallException, ...]:
    """Return the exceptions that are asked for and not open."""
    has = set(found)
    return tuple(exception for exception in wanted if exception not in has)


def place(
    firewall: FirewallState, exception: FirewallException
) -> tuple[int, FirewallRule | None] | None:
    """Return where in its chain an exception goes: before a rule, with its number from 1.

    (0, None) is the end of the chain; None says that there is no such chain.
    """
    for table in firewall.tables:
        if (table.tool, table.name) == (exception.tool, exception.table) and _sees(
            table, exception
        ):
            chain = table.chains.get(exception.chain)
            if chain is None:
                continue
            number = place_for(table, exception.chain, exception.flow, _is_open(firewall, table))
            return (0, None) if number == POLICY else (number + 1, chain.rules[number])
    return None


def standing(firewall: FirewallState, exception: FirewallException) -> tuple[FirewallRule, ...]:
    """Return the rules that are this exception, by comment and meaning."""
    return tuple(
        rule
        for table in firewall.tables
        if (table.tool, table.name) == (exception.tool, exception.table) and _sees(table, exception)
        for rule in (table.chains[exception.chain].rules if exception.chain in table.chains else ())
        if rule.comment == exception.comment and flow_of(rule, table.family) == exception.flow
    )


def _sees(table: FirewallTable, exception: FirewallException) -> bool:
    return table.family in {0, exception.flow.family}
