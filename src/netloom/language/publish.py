"""`publish:` as Docker has it: `[IP:]PORT:PORT[/udp]`, the host's first; or two ranges of ports."""

import re

from netloom import values
from netloom.language.topology import Publish

_FORM = r"(?:(\[[^\]]*\]|[^:\[\]]*):)?([^:/]*):([^:/]*)(?:/(.*))?"
_LAST_PORT = 65535
_MOST = 1000
"""Ports that one text publishes at the most: each has rules of its own."""


def publish(text: str) -> Publish:
    """Return what a text publishes; raises `ValueError` saying what is wrong."""
    parts = re.fullmatch(_FORM, text)
    if not parts:
        msg = f"`{text}` is no pair of ports, such as `8080:80` or `127.0.0.1:53:53/udp`"
        if text.count(":") > 2 and "[" not in text:
            msg = f"{msg}; an IPv6 address stands in brackets: `[::1]:8080:80`"
        raise ValueError(msg)
    address, outer, inner, protocol = parts.groups()
    if protocol is not None and protocol.lower() not in {"tcp", "udp"}:
        msg = f"`{protocol}` is no protocol with ports: tcp or udp"
        raise ValueError(msg)
    (port, number), (to, inside) = _ports(outer), _ports(inner)
    if number != inside:
        msg = f"`{outer}` are {number} ports, and `{inner}` {inside}: each leads to one"
        raise ValueError(msg)
    return Publish(
        address=values.ip(address.strip("[]")) if address is not None else "",
        port=port,
        to=to,
        protocol="udp" if (protocol or "").lower() == "udp" else "tcp",
        number=number,
    )


def publish_text(value: Publish) -> str:
    """Return what `publish` reads as this value."""
    address = f"[{value.address}]:" if ":" in value.address else f"{value.address}:"
    protocol = "/udp" if value.protocol == "udp" else ""
    outer, inner = (_range(first, value.number) for first in (value.port, value.to))
    return f"{address if value.address else ''}{outer}:{inner}{protocol}"


def _range(first: int, number: int) -> str:
    return str(first) if number == 1 else f"{first}-{first + number - 1}"


def _ports(text: str) -> tuple[int, int]:
    """Return the first port of a text, and how many they are."""
    first, dash, last = text.partition("-")
    low, high = _port(first), _port(last if dash else first)
    if not low <= high < low + _MOST:
        msg = f"`{text}` is no range of 1 to {_MOST} ports, such as `8000-8010`"
        raise ValueError(msg)
    return low, high - low + 1


def _port(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= _LAST_PORT:
        msg = f"`{text}` is no port number: 1 to {_LAST_PORT}"
        raise ValueError(msg)
    return int(text)
