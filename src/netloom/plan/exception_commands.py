"""The commands that open and close an exception, each its owner's own tool.

Never raw nft into the chains of iptables-nft: it prints what it does not know as an error, and then
`iptables -S` fails for everybody.
"""

import shlex

from netloom.model.firewall import FirewallException, FirewallRule, Traffic

Command = tuple[str, ...]

_NUMBERS = {"icmp": "1", "ipv6-icmp": "58"}
"""libnftables looks names of protocols up in /etc/protocols, which not every host has."""

_REPLIES = "RELATED,ESTABLISHED"


def opening(
    exception: FirewallException, at: tuple[int, FirewallRule | None] = (0, None)
) -> Command:
    """Return the command that opens an exception, at a place in its chain (`place`)."""
    flow, comment = exception.flow, exception.comment
    match exception.tool:
        case "ufw":
            return (*_ufw(flow, "allow"), "comment", comment)
        case "firewall-cmd":
            return ("firewall-cmd", f"--zone={exception.chain}", f"--add-interface={flow.iif}")
        case "nft":
            before = at[1]
            verb = ("insert", "rule") if before else ("add", "rule")
            where = (*exception.table.split(), exception.chain)
            handle = ("handle", before.place) if before else ()
            rule = (*_nft(flow, exception.table), "accept", "comment", f'"{comment}"')
            return ("nft", *verb, *where, *handle, *rule)
        case _:
            number, _ = at
            where = ("-I", exception.chain, str(number)) if number else ("-A", exception.chain)
            marked = ("-m", "comment", "--comment", comment, "-j", "ACCEPT")
            return (*_iptables(exception), *where, *_xtables(flow), *marked)


def closing(exception: FirewallException, standing: FirewallRule | None = None) -> Command:
    """Return the command that closes an exception; `standing` is the rule that it is."""
    match exception.tool:
        case "ufw":
            return _ufw(exception.flow, "delete", "allow")
        case "firewall-cmd":
            gone = f"--remove-interface={exception.flow.iif}"
            return ("firewall-cmd", f"--zone={exception.chain}", gone)
        case "nft":
            handle = standing.place if standing else "HANDLE"
            where = (*exception.table.split(), exception.chain)
            return ("nft", "delete", "rule", *where, "handle", handle)
        case _:
            if standing:
                return (*_iptables(exception), "-D", *shlex.split(standing.place)[1:])
            marked = ("-m", "comment", "--comment", exception.comment, "-j", "ACCEPT")
            return (
                *_iptables(exception),
                "-D",
                exception.chain,
                *_xtables(exception.flow),
                *marked,
            )


def program(exception: FirewallException) -> str:
    """Return the program that an exception is opened by."""
    return opening(exception)[0]


def _iptables(exception: FirewallException) -> Command:
    word = "ip6tables" if exception.flow.family == 6 else "iptables"
    flavour = exception.tool.removeprefix("iptables")
    return (f"{word}{flavour}", "-w", "-t", exception.table)


def _xtables(flow: Traffic) -> Command:
    """Return the conditions of iptables-extensions(8) that a flow is."""
    words = _options(("-i", flow.iif), ("-o", flow.oif), ("-s", flow.src), ("-d", flow.dst))
    words += _options(("-p", flow.proto))
    if flow.port:
        words += ("-m", flow.proto, "--dport", str(flow.port))
    if flow.established:
        words += ("-m", "conntrack", "--ctstate", _REPLIES)
    return words


def _nft(flow: Traffic, table: str) -> Command:
    """Return the conditions of nft(8) that a flow is; a table of `inet` sees both families."""
    ip = "ip6" if flow.family == 6 else "ip"
    words: Command = ()
    if table.startswith("inet ") and not (flow.src or flow.dst or flow.proto):
        words = ("meta", "nfproto", f"ipv{flow.family}")
    for key, name in (("iifname", flow.iif), ("oifname", flow.oif)):
        words += (key, f'"{name}"') if name else ()
    words += _options((f"{ip} saddr", flow.src), (f"{ip} daddr", flow.dst))
    if flow.port:
        words += (flow.proto, "dport", str(flow.port))
    elif flow.proto:
        words += ("meta", "l4proto", _NUMBERS.get(flow.proto, flow.proto))
    if flow.established:
        words += ("ct", "state", "established,related")
    return words


def _ufw(flow: Traffic, *verb: str) -> Command:
    """Return the words of ufw(8); addresses are needed to say which family is meant."""
    both = bool(flow.iif and flow.oif)
    words: Command = ("ufw", "route", *verb) if both else ("ufw", *verb)
    words += _options(("in on", flow.iif), ("out on", flow.oif))
    words += ("from", flow.src or "any", "to", flow.dst or "any")
    if flow.port:
        words += ("port", str(flow.port))
    return words + _options(("proto", flow.proto))


def _options(*pairs: tuple[str, str]) -> Command:
    """Return option and value of those that have a value."""
    return tuple(word for key, value in pairs if value for word in (*key.split(), value))
