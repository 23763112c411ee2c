"""The programs that lead out without anything changed on the host: pasta(1), slirp4netns(1).

Each makes a tap in the namespace that plays the host, and speaks for it with sockets of its own on
the host. Both run beside the namespace, not in it, as commands of the lab.
"""

from collections.abc import Iterable, Sequence

from netloom.model.objects import Command
from netloom.topology.expand import TAP
from netloom.topology.topology import Publish


def user_program(program: str, netns: str, ports: Sequence[Publish], via: Iterable[str]) -> Command:
    """Return the command that leads out of a namespace, and in by some ports of the host."""
    path = f"/run/netns/{netns}"
    if program.endswith("slirp4netns"):
        words = ["--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"]
        return Command(argv=(program, *words, path, TAP), ready="log/received tapfd")
    # As root it would become nobody, who may not enter the namespace.
    words = ["--runas", "0", "--config-net", "--foreground", "--no-map-gw"]
    words += ["--netns", path, "--ns-ifname", TAP, "-T", "none", "-U", "none"]
    for link in via:
        words += ["--interface", link]
    for option, protocol in (("-t", "tcp"), ("-u", "udp")):
        for spec in _ports(ports, protocol) or ["none"]:
            words += [option, spec]
    return Command(argv=(program, *words), ready="log/Namespace interface: ")


def _ports(ports: Iterable[Publish], protocol: str) -> list[str]:
    """Return the ports of one protocol as pasta takes them."""
    return [
        f"{port.address}/{port.port}" if port.address else str(port.port)
        for port in ports
        if port.protocol == protocol
    ]
