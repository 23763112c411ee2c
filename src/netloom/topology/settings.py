"""Sysctls that a file asks for, made to agree with themselves and with what is derived.

The kernel sets some along with others: a file that says one says the other too, and what is derived
gives way. Where a file contradicts itself no kernel could obey, so that is a mistake.
"""

from collections.abc import Container, Iterator, Mapping

_PARTS = 5
"""`net`, `ipv4`, `conf`, interface, name."""

_SWAPPED = str.maketrans("./", "/.")
_NO_LINKS = frozenset({"all", "default"})
_FORWARD = "net.ipv4.ip_forward"
_FORWARD_ALL = "net.ipv4.conf.all.forwarding"
_NO_IPV6_ALL = "net.ipv6.conf.all.disable_ipv6"
_NO_IPV6 = "net.ipv6.conf.default.disable_ipv6"


def settings(said: Mapping[str, str]) -> dict[str, str]:
    """Return what a file says, with white space folded, and what the kernel sets along with it."""
    values = {_dotted(key): " ".join(value.split()) for key, value in said.items()}
    if _FORWARD_ALL in values:  # two names of one variable (devinet.c)
        values.setdefault(_FORWARD, values[_FORWARD_ALL])
    if _NO_IPV6_ALL in values:
        values.setdefault(_NO_IPV6, values[_NO_IPV6_ALL])
    return values


def contradictions(said: Mapping[str, str], links: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield keys that cannot have their value in a namespace with these links, and why."""
    for key in said:
        link = link_of(_dotted(key))
        if link and link != "lo" and link not in links:
            yield key, f"no link or network makes an interface `{link}`"
    values = settings(said)
    if _FORWARD_ALL in values and values[_FORWARD] != values[_FORWARD_ALL]:
        key = next(key for key in said if _dotted(key) == _FORWARD_ALL)
        yield key, f"`{_FORWARD_ALL}` and `{_FORWARD}` are one setting, with two values"


def link_of(key: str) -> str:
    """Return the interface whose setting a key is, empty if it is no interface's own."""
    parts = key.split(".")
    if len(parts) != _PARTS or parts[2] not in {"conf", "neigh"} or parts[3] in _NO_LINKS:
        return ""
    return parts[3].replace("/", ".")


def ipv6_off(said: Mapping[str, str], link: str) -> str:
    """Return the setting by which a file takes IPv6 from a link, empty if none does."""
    values = settings(said)
    for which in ("all", "default", link.replace(".", "/")):
        key = f"net.ipv6.conf.{which}.disable_ipv6"
        if values.get(key, "0") != "0":
            return key
    return ""


def _dotted(key: str) -> str:
    """Return a key with dots between its parts; sysctl(8) takes what separates the first two."""
    return key.translate(_SWAPPED) if key.startswith("net/") else key
