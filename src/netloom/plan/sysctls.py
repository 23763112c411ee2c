"""How sysctls hang together: which the kernel sets along with others, and in what order.

Keys are dotted names; a dot within an interface's name is written `/`, as sysctl(8) does.
"""

from collections.abc import Iterable, Iterator, Mapping

_PARTS = 5
"""`net`, `ipv4`, `conf`, interface, name."""

NO_IPV6 = "net.ipv6.conf.default.disable_ipv6"


def link_of(key: str) -> str | None:
    """Return the interface that a sysctl belongs to, None if to none, `all` or `default`."""
    parts = key.split(".")
    if (
        len(parts) != _PARTS
        or parts[2] not in {"conf", "neigh"}
        or parts[3] in {"all", "default", "lo"}
    ):
        return None
    return parts[3].replace("/", ".")


def default_of(key: str) -> str:
    """Return the sysctl that a link's own begins with: that of `default`; others are their own."""
    link = link_of(key)
    return key.replace(f".{link.replace('.', '/')}.", ".default.", 1) if link else key


def rewritten(key: str, known: Iterable[str]) -> Iterator[str]:
    """Yield the keys of `known` that the kernel sets along with `key` (devinet.c, addrconf.c)."""
    parts = key.split(".")
    if key == "net.ipv4.ip_forward":
        parts = ["net", "ipv4", "conf", "all", "forwarding"]
    if len(parts) != _PARTS or parts[2:4] != ["conf", "all"]:
        return
    if parts[4] not in {"forwarding", "disable_ipv6"}:
        return
    start, end = f"net.{parts[1]}.conf.", f".{parts[4]}"
    forward = start == "net.ipv4.conf." and end == ".forwarding"
    for other in known:
        if (other.startswith(start) and other.endswith(end)) or (
            forward and other == "net.ipv4.ip_forward"
        ):
            yield other


def to_set(want: Mapping[str, str], known: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what to write, in order, so that all of `want` holds in the end where `known` held."""
    values = dict(known)
    todo = []
    for key in sorted(want, key=lambda key: (_breadth(key), key)):
        if values.get(key) == want[key]:
            continue
        todo.append((key, want[key]))
        for other in list(rewritten(key, values)):
            values[other] = want[key]
        for other in rewritten(key, want):
            values[other] = want[key]
        values[key] = want[key]
    return todo


def outcome(want: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return what a newborn namespace has once `want` is written, rewritten ones included."""
    values = dict(defaults)
    for key, value in to_set(want, defaults):
        for other in list(rewritten(key, values)):
            values[other] = value
        values[key] = value
    return values


def _breadth(key: str) -> int:
    if key == "net.ipv4.ip_forward":
        return 0
    if ".conf.all." in key:
        return 1
    return 3 if link_of(key) else 2
