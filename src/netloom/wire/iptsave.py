"""The text of iptables-save(8) to tables, chains and rules.

A rule is a line of options. The few that say something of interfaces, addresses, protocols, ports
and connection tracking are understood; whatever else stands in it leaves the rule unclear, which
is kept as a fact and never guessed at.
"""

import shlex
from collections.abc import Iterator

from msgspec import structs

from netloom.model.firewall import FirewallChain, FirewallRule, FirewallTable, Match, Tool, Verdict
from netloom.values import Family, ip, network_of, width

PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp", "icmpv6": "ipv6-icmp"}
"""Other spellings of a protocol."""

_HOOKS = {"INPUT": "input", "FORWARD": "forward", "OUTPUT": "output"}
_PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_VERDICTS: dict[str, Verdict] = {
    "ACCEPT": "accept",
    "DROP": "drop",
    "REJECT": "drop",
    "RETURN": "return",
    "QUEUE": "accept",  # a program decides, and of that nothing is known
    "NFQUEUE": "accept",
}
_KEYS = {
    "-i": "iif",
    "-o": "oif",
    "-s": "src",
    "-d": "dst",
    "-p": "proto",
    "--dport": "dport",
    "--dports": "dport",
    "--ctstate": "state",
    "--state": "state",
    "--icmp-type": "icmp",
    "--icmpv6-type": "icmp",
    "--dst-type": "dsttype",
}
_MODULES = {"addrtype", "comment", "conntrack", "icmp", "icmp6", "multiport", "state", "tcp", "udp"}
"""Matches (`-m`) all of whose options are understood, or make a rule unclear by themselves."""


def tables(text: str, tool: Tool, family: Family) -> tuple[FirewallTable, ...]:
    """Return the tables that a text of iptables-save or ip6tables-save holds, without `nat`."""
    found = []
    for name, lines in _sections(text):
        if name != "nat":
            found.append(FirewallTable(tool, family, name, _chains(name, lines)))
    return tuple(found)


def parted(saved: FirewallTable, native: FirewallTable) -> tuple[FirewallTable, FirewallTable]:
    """Return one table as iptables-nft has it, and what else is in it that nft(8) made.

    iptables-nft-save prints its own chains with the policy ACCEPT where they are not there at all,
    and leaves those of others out (iptables 1.8, "contains incompatible base-chains").
    """
    own = {name: chain for name, chain in saved.chains.items() if name in native.chains}
    rest = {name: chain for name, chain in native.chains.items() if name not in own}
    return structs.replace(saved, chains=own), structs.replace(native, chains=rest)


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    name, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith("*"):
            name, lines = line[1:].strip(), []
        elif line.strip() == "COMMIT" and name:
            yield name, lines
            name = ""
        elif line.startswith((":", "-A ", "[")):
            lines.append(line)


def _chains(table: str, lines: list[str]) -> dict[str, FirewallChain]:
    policies: dict[str, str] = {}
    rules: dict[str, list[FirewallRule]] = {}
    for line in lines:
        words = _words(line)
        if line.startswith(":") and len(words) > 1:
            policies[words[0][1:]] = words[1]
        elif len(words) > 1 and words[0] == "-A":
            rules.setdefault(words[1], []).append(_rule(words, line))
    return {
        name: FirewallChain(
            rules=tuple(rules.get(name, ())),
            hook=_HOOKS.get(name, "") if policy != "-" else "",
            priority=_PRIORITIES.get(table, 0),
            policy="drop" if policy == "DROP" else "accept",
        )
        for name, policy in policies.items()
    }


def _words(line: str) -> list[str]:
    """Return the words of a line, without the counters that `-c` puts before a rule."""
    if line.startswith("["):
        line = line.partition("] ")[2]
    try:
        return shlex.split(line)
    except ValueError:  # an open quotation mark
        return line.split()


def _rule(words: list[str], line: str) -> FirewallRule:
    matches: list[Match] = []
    clear, comment = True, ""
    verdict: Verdict = ""
    target = ""
    for option, values, negated in _options(words[2:]):
        value = " ".join(values)
        if option in {"-j", "-g"}:
            verdict, target = _verdict(option, value)
            break  # what follows are the target's own options
        if option == "--comment":
            comment = value
        elif match := _match(option, value, negated=negated):
            matches += match
        elif option != "-m" or value not in _MODULES:
            clear = clear and (option, value) == ("--icmp-type", "any")
    return FirewallRule(verdict, target, tuple(matches), clear, comment, line[line.find("-A ") :])


def _options(words: list[str]) -> Iterator[tuple[str, list[str], bool]]:
    """Yield each option with its values, none to many, and whether it is negated."""
    at, end = 0, len(words)
    while at < end:
        negated = words[at] == "!"
        at += negated
        stop = at + 2 if words[at : at + 1] == ["--comment"] else at + 1
        while stop < end and words[stop] != "!" and not words[stop].startswith("-"):
            stop += 1
        if at < end:
            yield words[at], words[at + 1 : stop], negated
        at = stop


def _verdict(option: str, target: str) -> tuple[Verdict, str]:
    """Return what a target does; a name that is none of the kernel's may be a chain or go on."""
    if target in _VERDICTS:
        return _VERDICTS[target], ""
    return ("goto" if option == "-g" else "jump"), target


def _match(option: str, value: str, *, negated: bool) -> list[Match]:
    """Return the conditions of an option, none where it is not understood."""
    key = _KEYS.get(option, "")
    try:
        values = tuple(_value(key, word) for word in _listed(key, value)) if key else ()
    except ValueError:
        return []
    return [Match(key, values, negated)] if values else []


def _listed(key: str, value: str) -> list[str]:
    return value.split(",") if key in {"dport", "state", "dsttype"} else [value]


def _value(key: str, word: str) -> str:
    match key:
        case "iif" | "oif":
            return f"{word[:-1]}*" if word.endswith("+") else word
        case "src" | "dst":
            return prefix_of(word)
        case "proto":
            return PROTOCOLS.get(word, word)
        case "dport":
            return word.replace(":", "-")
        case "icmp":
            if "/" in word or not word.isdecimal():  # with a code, or `any`
                raise ValueError(word)
            return word
        case _:
            return word.lower()


def prefix_of(word: str) -> str:
    """Return an address or prefix in canonical form, 10.0.0.1 as 10.0.0.1/32.

    A mask such as 255.0.255.0 is refused: raises `ValueError`.
    """
    address, _, length = word.partition("/")
    canonical = ip(address)
    number = int(length) if length else width(canonical)
    if number > width(canonical):
        raise ValueError(word)
    return network_of(canonical, number)
