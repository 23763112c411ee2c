"""Sysctls that a file asks for, made to agree with themselves and with what is derived.

The kernel sets some along with others: a file that says one says the other too, and what is derived
gives way. Where a file contradicts itself no kernel could obey, so that is a mistake.

A value is brought to the form in which the kernel tells it, so that what was asked for and what is
there can be compared as text. What only the kernel can judge it judges while it is set.
"""

import re
from collections.abc import Container, Iterator, Mapping

from netloom.language.scalars import TRUTH

_PARTS = 5
"""`net`, `ipv4`, `conf`, interface, name."""

_SWAPPED = str.maketrans("./", "/.")
_OF_LINKS = frozenset({"conf", "neigh"})
_NO_LINKS = frozenset({"all", "default"})
_FORWARD = "net.ipv4.ip_forward"
_FORWARD_ALL = "net.ipv4.conf.all.forwarding"
_NO_IPV6_ALL = "net.ipv6.conf.all.disable_ipv6"
_NO_IPV6 = "net.ipv6.conf.default.disable_ipv6"

_BLANKS = r"[ \t]+"
_NUMBER = r"-?(?:0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,19}|[1-9][0-9]{0,19})"
"""What strtoul_lenient(kernel/sysctl.c) reads in base 0; a number has at most 21 characters."""
_PORT = "(?:0[xX][0-9a-fA-F]{1,4}|0[0-7]{0,6}|[1-9][0-9]{0,4})"
_RANGES = f"{_PORT}(?:-{_PORT})?(?:,{_PORT}(?:-{_PORT})?)*"
_SETS = frozenset({"net.ipv4.ip_local_reserved_ports", "net.ipv6.icmp.ratemask"})
"""Sets of numbers (proc_do_large_bitmap), `80,90-99`."""
_MASKS = frozenset({"net.core.rps_default_mask"})
"""Sets of processors (bitmap_parse): hexadecimal without `0x`, and told with zeros before."""
_LENGTHS = {
    "net.ipv4.ip_local_port_range": 2,
    "net.ipv4.ping_group_range": 2,
    "net.ipv4.tcp_rmem": 3,
    "net.ipv4.tcp_wmem": 3,
}
"""Numbers that a vector has; where fewer are written, the kernel leaves the others as they are."""
_TEXTS = ("congestion_control", "scheduler", "path_manager")
"""Ends of the names of settings whose values are names of what somebody may have written."""


def settings(asked: Mapping[str, str]) -> dict[str, str]:
    """Return what a file says, as the kernel will tell it, and what it sets along with that."""
    values = {dotted(key): normal(dotted(key), value) for key, value in asked.items()}
    if _FORWARD_ALL in values:  # two names of one variable (devinet.c)
        values.setdefault(_FORWARD, values[_FORWARD_ALL])
    if _NO_IPV6_ALL in values:
        values.setdefault(_NO_IPV6, values[_NO_IPV6_ALL])
    return values


def normal(key: str, value: str) -> str:
    """Return a value as the kernel tells it: numbers decimal, sets in order, one blank between.

    The kernel reads `0x10` and `020` as C does (proc_get_long); text stays as it is.
    """
    words = re.sub(_BLANKS, " ", value).strip(" ").split(" ")
    text = " ".join(words)
    if key in _SETS:
        return _merged(text) if re.fullmatch(_RANGES, text) else text
    if key in _MASKS or not all(re.fullmatch(_NUMBER, word) for word in words):
        return text
    return " ".join(str(_number(word)) for word in words)


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    if digits[:2] in {"0x", "0X"}:
        return int(text, 16)
    return int(text, 8 if digits.startswith("0") else 10)


def _merged(text: str) -> str:
    """Return a set of numbers in order, neighbours as one range."""
    runs: list[tuple[int, int]] = []
    pairs = (part.partition("-") for part in text.split(","))
    for low, high in sorted((_number(low), _number(high or low)) for low, _, high in pairs):
        if high < low:
            return text  # which the kernel refuses
        if runs and low <= runs[-1][1] + 1:
            runs[-1] = runs[-1][0], max(runs[-1][1], high)
        else:
            runs.append((low, high))
    return ",".join(f"{low}-{high}" if high > low else f"{low}" for low, high in runs)


def contradictions(asked: Mapping[str, str], links: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield keys that cannot have their value in a namespace with these links, and why."""
    values = settings(asked)
    for key, value in asked.items():
        name = dotted(key)
        link = link_of(name)
        if link and link != "lo" and link not in links:
            slash = f"; with `/` for its dots it is `{name}`" if "." in link else ""
            yield key, f"no link or network makes an interface `{link}`{slash}"
        elif values[name] != normal(name, value):
            yield key, f"`{name}` is given twice, with two values"
        elif why := _no_value(name, values[name]):
            yield key, why
    if _FORWARD_ALL in values and values[_FORWARD] != values[_FORWARD_ALL]:
        key = next(key for key in asked if dotted(key) == _FORWARD_ALL)
        yield key, f"`{_FORWARD_ALL}` and `{_FORWARD}` are one setting, with two values"


def _no_value(key: str, value: str) -> str | None:
    """Return why a value is none that the kernel takes whole, None where that is for it to say."""
    if not value:
        return f"`{key}` has no value: leave it out, and it is as in a new namespace"
    if value in TRUTH and not key.endswith(_TEXTS):
        return f"`{value}` is no value of a setting: write `{int(TRUTH[value])}`"
    numbers, wanted = len(value.split(" ")), _LENGTHS.get(key, 0)
    if wanted and numbers != wanted:
        return f"`{key}` is {wanted} numbers, and here {'is' if numbers == 1 else 'are'} {numbers}"
    return None


def link_of(key: str) -> str | None:
    """Return the interface whose setting a key is, None if it is no interface's own."""
    parts = key.split(".")
    if len(parts) != _PARTS or parts[2] not in _OF_LINKS or parts[3] in _NO_LINKS:
        return None
    return parts[3].replace("/", ".")


def ipv6_off(asked: Mapping[str, str], link: str) -> str | None:
    """Return the setting by which a file takes IPv6 from a link, None if none does."""
    values = settings(asked)
    for which in ("all", "default", link.replace(".", "/")):
        key = f"net.ipv6.conf.{which}.disable_ipv6"
        if values.get(key, "0") != "0":
            return key
    return None


def dotted(key: str) -> str:
    """Return a key with dots between its parts, and `/` for those of an interface's name.

    sysctl(8) takes what separates the first two. No setting of an interface has a dot in its own
    name, so what stands before that is the interface's.
    """
    if key.startswith("net/"):
        return key.translate(_SWAPPED)
    parts = key.split(".")
    if len(parts) > _PARTS and parts[2] in _OF_LINKS:
        parts[3:-1] = ["/".join(parts[3:-1])]
    return ".".join(parts)
