"""The words inside the strings of a topology: NAME, NS:IF, END, PORT, FLOW and the small scalars.

The same functions read the file, the command line and the arguments of the Python API. Each takes
text and returns a value, or raises a `ValueError` whose text is a clause, as in `values.py`; where
it knows what would be right, the clause ends in ``: write `…` ``.

The inverse of a word is `…_text`: reading what it wrote gives the same value.
"""

import re
from typing import Literal, cast

from msgspec import structs

from netloom.language.topology import Flow, WireEndSpec
from netloom.model.objects import HOST, End
from netloom.values import NO_LABS, RESERVED, if_name, ip, ip_and_length, name

PLACES = frozenset({HOST, "internet", "all"})
"""Reserved words that stand for something in a FLOW."""

MAX_COUNT = 10_000
"""Most namespaces that one `count` makes."""

TRUTH = {
    spelling: word in {"true", "yes", "on"}
    for word in ("true", "yes", "on", "false", "no", "off")
    for spelling in (word, word.capitalize(), word.upper())
}
"""Every spelling of a boolean, those of YAML 1.1 (tag `bool`) without `y` and `n`."""

_FLOW = r"(.*?)(<->|-/>|->)(.*)"
_COMMA = r" ?, ?"
_QUANTITY = r"([0-9]+(?:\.[0-9]+)?) ?(\S*)"
_NUMBER = r"[0-9]{1,9}"
_SYSCTL = r"net([./][^\s./]+)+"
_PROTOCOLS = ("tcp", "udp")


def free_name(text: str) -> str:
    """Return `text` as a name, but for words of the language; raises `ValueError`."""
    if text in RESERVED:
        msg = f"`{text}` is a word of the language, nothing may be named so"
        raise ValueError(msg)
    return name(text)


def lab_name(text: str) -> str:
    """Return `text` as the name of a lab; raises `ValueError`."""
    if text in NO_LABS:
        msg = f"`{text}` is a word of the command line, no lab may be named so"
        raise ValueError(msg)
    return name(text)


def netns_name(text: str) -> str:
    """Return `text` as the name of a namespace: a free name, or `host`."""
    return text if text == HOST else free_name(text)


def outside_name(text: str) -> str:
    """Return `text` as the name of something outside of the lab: a free name, or `internet`."""
    return text if text == "internet" else free_name(text)


def interface(text: str) -> End:
    """Return an interface from `web:eth0`; raises `ValueError`."""
    netns, colon, link = text.partition(":")
    if not colon:
        msg = f"`{text}` names no interface, such as `{text}:eth0`"
        raise ValueError(msg)
    return End(netns_name(netns), if_name(link))


def end(text: str) -> WireEndSpec:
    """Return one end of a link from `NS[:IF] [ADDRESS/LEN …]`."""
    who, *addresses = text.split() or [""]
    netns, colon, link = who.partition(":")
    return WireEndSpec(
        netns=netns_name(netns),
        interface=if_name(link) if colon else "",
        addresses=tuple(interface_address(address) for address in addresses),
    )


def end_text(written: WireEndSpec) -> str:
    """Return an end as it is written."""
    who = f"{written.netns}:{written.interface}" if written.interface else written.netns
    return " ".join((who, *written.addresses))


DYNAMIC = "dynamic"
"""Said in place of addresses: a program gives them (DHCP, a routing daemon)."""
_DHCP = {"dhcp", "dhcp4", "dhcp6", "auto"}
"""Other tools' words for it."""


def interface_address(text: str) -> str:
    """Return an address with its length, in canonical form, or `dynamic`; raises `ValueError`."""
    if text == DYNAMIC:
        return text
    if text in _DHCP:
        msg = f"`{text}` is no address: write `{DYNAMIC}`, and have a client in `run`"
        raise ValueError(msg)
    address, length = ip_and_length(text)
    return f"{address}/{length}"


def member_address(text: str) -> str:
    """Return an address on a network: `10.0.0.1/24`, or `10.0.0.1` with the subnet's length."""
    word = text == DYNAMIC or text in _DHCP
    return interface_address(text) if "/" in text or word else ip(text)


def place(text: str) -> str:
    """Return what can stand in a FLOW or as a gateway: a name, an interface, or an address."""
    if _like_ip(text):
        return ip(text)
    if ":" in text:
        return str(interface(text))
    return text if text in PLACES else free_name(text)


def _like_ip(text: str) -> bool:
    """Whether a word can only be meant as an address: `10.0.0.300` is a bad one, and no name."""
    if ":" in text:
        return "::" in text or text.count(":") > 2
    return "." in text and not text.strip(".0123456789")


def port(text: str) -> str:
    """Return a PORT as `tcp/80`, `udp/53` or `icmp`; `tcp:80` is read too; raises `ValueError`."""
    if text == "icmp":
        return text
    protocol, separator, number = text.replace(":", "/", 1).partition("/")
    if not separator:
        right = (
            f": write `tcp/{text}`" if re.fullmatch(_NUMBER, text) else ", such as `tcp/80`, `icmp`"
        )
        msg = f"`{text}` is no port{right}"
        raise ValueError(msg)
    if protocol not in _PROTOCOLS:
        msg = f"`{protocol}` is no protocol with ports: tcp or udp"
        raise ValueError(msg)
    if not re.fullmatch(_NUMBER, number) or not 1 <= int(number) <= 65535:
        msg = f"`{number}` is no port number: 1 to 65535"
        raise ValueError(msg)
    return f"{protocol}/{int(number)}"


def flow(text: str) -> Flow:
    """Return an expectation; raises `ValueError`.

    It is written `SRC[,SRC…] ARROW DST[,DST…] [PORT] [ip4|ip6]`.
    """
    parts = re.fullmatch(_FLOW, re.sub(_COMMA, ",", " ".join(text.split())))
    if not parts:
        msg = f"`{text}` has no arrow, such as `web -> db tcp/5432` (also `<->` and `-/>`)"
        raise ValueError(msg)
    destinations, *qualifiers = parts[3].split() or [""]
    family = qualifiers.pop() if qualifiers and qualifiers[-1] in {"ip4", "ip6"} else ""
    if len(qualifiers) > 1:
        msg = f"`{qualifiers[1]}` is too much: after the destinations, one port and `ip4` or `ip6`"
        raise ValueError(msg)
    read = Flow(
        sources=_places(parts[1], "source"),
        arrow=cast("Literal['->', '<->', '-/>']", parts[2]),
        destinations=_places(destinations, "destination"),
        port=port(qualifiers[0]) if qualifiers else "",
        family=4 if family == "ip4" else 6 if family == "ip6" else 0,
    )
    return structs.replace(read, text=flow_text(read))


def flow_text(wanted: Flow) -> str:
    """Return an expectation as it is printed."""
    words = [", ".join(wanted.sources), wanted.arrow, ", ".join(wanted.destinations)]
    if wanted.port:
        words.append(wanted.port)
    if wanted.family:
        words.append(f"ip{wanted.family}")
    return " ".join(words)


def _places(text: str, role: str) -> tuple[str, ...]:
    if not text.strip():
        msg = f"there is no {role}"
        raise ValueError(msg)
    return tuple(place(word) for word in text.strip().split(","))


def truth(text: str) -> bool:
    """Return a boolean from a word of `TRUTH`; raises `ValueError`."""
    if text not in TRUTH:
        msg = f"`{text}` is neither `true` nor `false`"
        raise ValueError(msg)
    return TRUTH[text]


def count(text: str) -> int:
    """Return how many namespaces are meant, 1 to 10,000; raises `ValueError`."""
    if not re.fullmatch(_NUMBER, text) or not 1 <= int(text) <= MAX_COUNT:
        msg = f"`{text}` is no count: 1 to {MAX_COUNT}"
        raise ValueError(msg)
    return int(text)


def route(text: str) -> str:
    """Return what follows `ip route add` or `ip rule add`; raises `ValueError`."""
    words = text.split()
    if words[:2] in (["ip", "route"], ["ip", "rule"]):
        msg = f"`{text}` begins too early: only what follows `add` is written"
        raise ValueError(msg)
    if not words:
        msg = "this is empty"
        raise ValueError(msg)
    return " ".join(words)


def sysctl(text: str) -> str:
    """Return the name of a sysctl of a network namespace; raises `ValueError`."""
    if not re.fullmatch(_SYSCTL, text):
        msg = f"`{text}` is no setting of a network namespace, such as `net.ipv4.ip_forward`"
        raise ValueError(msg)
    return text


def setting(text: str) -> str:
    """Return the value of a sysctl, one line of text; raises `ValueError`."""
    if "\n" in text:
        msg = "the value of a sysctl is one line"
        raise ValueError(msg)
    return text


def quantity(text: str, units: tuple[str, ...]) -> str:
    """Return a number with one of `units`, `10ms`; raises `ValueError`, without a unit too."""
    parts = re.fullmatch(_QUANTITY, text)
    if not parts:
        msg = f"`{text}` is no number with a unit, such as `10{units[0]}`"
        raise ValueError(msg)
    if not parts[2]:
        msg = f"`{text}` has no unit: write `{text.strip()}{units[0]}`"
        raise ValueError(msg)
    if parts[2] not in units:
        msg = f"`{parts[2]}` is no unit here: {', '.join(units)}"
        raise ValueError(msg)
    return parts[1] + parts[2]


def delay(text: str) -> str:
    """Return a time of the wire, in tc's words: `10ms`."""
    return quantity(text, ("ms", "us", "s"))


def rate(text: str) -> str:
    """Return a rate, in tc's words: `100mbit`."""
    return quantity(text, ("mbit", "kbit", "gbit", "bit"))


def share(text: str) -> str:
    """Return a share of the packets: `1%`."""
    return quantity(text, ("%",))


def etc_path(text: str) -> str:
    """Return a path below /etc; raises `ValueError`."""
    parts = text.removeprefix("/etc/").split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in text:
        msg = f"`{text}` is no path below /etc, such as `motd` or `nginx/nginx.conf`"
        raise ValueError(msg)
    return "/".join(parts)


def restart(text: str) -> int:
    """Return how often a command is started again, -1 for without end; raises `ValueError`."""
    if text in {"no", "on-failure"}:
        return -1 if text == "on-failure" else 0
    policy, _, number = text.partition(":")
    if policy != "on-failure":
        msg = f"`{text}` is no policy here, a command that ended with 0 is done: write `on-failure`"
        raise ValueError(msg)
    if not re.fullmatch(_NUMBER, number) or not int(number):
        msg = f"`{number}` is no number of times: write `on-failure:3`"
        raise ValueError(msg)
    return int(number)


def restart_text(times: int) -> str:
    """Return how that is written."""
    return "no" if not times else "on-failure" if times < 0 else f"on-failure:{times}"


def after(text: str) -> str:
    """Return the name of a command, `NS/NAME`, or a namespace; raises `ValueError`."""
    first, slash, rest = text.partition("/")
    return f"{free_name(first)}/{name(rest)}" if slash else name(text)


def segment(text: str) -> str:
    """Return a segment: a bridge, `docker:NETWORK` or `LAB/NETWORK`; raises `ValueError`."""
    lab, slash, network = text.partition("/")
    if slash:
        return f"{name(lab)}/{free_name(network)}"
    owner, colon, of_docker = text.partition(":")
    if not colon:
        return if_name(text)
    if owner != "docker" or not of_docker:
        msg = f"`{text}` is no segment, such as `virbr0`, `docker:NETWORK` or `LAB/NETWORK`"
        raise ValueError(msg)
    return text
