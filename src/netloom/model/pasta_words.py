"""What pasta(1) is told: the words of its command line."""

from collections.abc import Iterable, Sequence

from netloom.model.reservation import Published


def pasta_words(
    place: Sequence[str], tap: str, ports: Iterable[tuple[Published, int]], via: Iterable[str] = ()
) -> list[str]:
    """Return what pasta is told: where to, the name of its tap, ports with where each leads.

    `place` are its words for the namespace; who owns that as a plain user names `--userns`, too.
    """
    # As root it would become nobody, who may not enter the namespace.
    words = [] if "--userns" in place else ["--runas", "0"]
    words += ["--config-net", "--foreground", "--no-map-gw"]
    words += [*place, "--ns-ifname", tap, "-T", "none", "-U", "none"]
    for link in via:
        words += ["--interface", link]
    every = list(ports)
    for option, protocol in (("-t", "tcp"), ("-u", "udp")):
        for spec in _specs(every, protocol) or ["none"]:
            words += [option, spec]
    return words


def _specs(ports: Iterable[tuple[Published, int]], protocol: str) -> list[str]:
    """Return the ports of one protocol as pasta takes them."""
    return [
        f"{port.address}/{_pair(port.port, to)}" if port.address else _pair(port.port, to)
        for port, to in ports
        if port.protocol == protocol
    ]


def _pair(port: int, to: int) -> str:
    return f"{port}:{to}" if port != to else str(port)
