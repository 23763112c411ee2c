"""`publish:` as Docker has it: `[IP:]PORT:PORT[/udp]`, the host's first."""

import re

from netloom import values
from netloom.language.topology import Publish

_FORM = r"(?:(\[[^\]]*\]|[^:\[\]]*):)?([^:/]*):([^:/]*)(?:/(.*))?"
_LAST_PORT = 65535


def publish(text: str) -> Publish:
    """Return what a text publishes; raises `ValueError` saying what is wrong."""
    parts = re.fullmatch(_FORM, text)
    if not parts:
        msg = f"`{text}` is no pair of ports, such as `8080:80` or `127.0.0.1:53:53/udp`"
        raise ValueError(msg)
    address, outer, inner, protocol = parts.groups()
    if protocol not in {None, "tcp", "udp"}:
        msg = f"`{protocol}` is no protocol with ports: tcp or udp"
        raise ValueError(msg)
    return Publish(
        address=values.ip(address.strip("[]")) if address is not None else "",
        port=_port(outer),
        to=_port(inner),
        protocol="udp" if protocol == "udp" else "tcp",
    )


def publish_text(value: Publish) -> str:
    """Return what `publish` reads as this value."""
    address = f"[{value.address}]:" if ":" in value.address else f"{value.address}:"
    protocol = "/udp" if value.protocol == "udp" else ""
    return f"{address if value.address else ''}{value.port}:{value.to}{protocol}"


def _port(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= _LAST_PORT:
        msg = f"`{text}` is no port number: 1 to {_LAST_PORT}"
        raise ValueError(msg)
    return int(text)
