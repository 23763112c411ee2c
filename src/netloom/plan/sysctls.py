"""How sysctls hang together: which the kernel sets along with others, and in what order.

Keys are dotted names; a dot within an interface's name is written `/`, as sysctl(8) does.
"""

from collections.abc import Iterable, Iterator, Mapping

_PARTS = 5
"""`net`, `ipv4`, `conf`, interface, name."""

NO_IPV6 = "net.ipv6.conf.default.disable_ipv6"


NEWBORN = {
    "net.ipv4.ip_forward": "0",
    "net.ipv6.conf.all.forwarding": "0",
    **{
        f"net.ipv4.conf.{which}.{setting}": "0"
        for setting in ("rp_filter", "arp_ignore", "arp_announce", "arp_filter")
        for which in ("all", "default")
    },
}
"""What a new namespace is given where it would inherit otherwise from the initial one, the kernel's
own defaults: so a lab behaves alike on every host. From then on these settings are its own."""


def born(defaults: Mapping[str, str]) -> dict[str, str]:
    """Return what a new namespace must be given, of these defaults of the machine's, to be so."""
    return {key: value for key, value in NEWBORN.items() if defaults.get(key, value) != value}


def is_ipv6_off(sysctls: Mapping[str, str], link: str) -> bool:
    """Whether settings take IPv6 from a link."""
    names = ("all", link.replace(".", "/"))
    return any(sysctls.get(f"net.ipv6.conf.{one}.disable_ipv6", "0") != "0" for one in names)


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
