"""The programs that lead out without anything changed on the host: pasta(1), slirp4netns(1).

Each makes a tap in the namespace that plays the host, and speaks for it with sockets of its own on
the host. Both run beside the namespace, not in it, as commands of the lab.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from netloom.language.topology import NetworkSpec, Publish, Topology
from netloom.model.names import TAP
from netloom.model.objects import Command
from netloom.model.pasta_words import pasta_words


def all_by_user(topology: Topology) -> Topology:
    """Return a topology for where nothing may be changed on the host: `nat` is `user` there."""
    networks = {name: _by_user(network) for name, network in topology.networks.items()}
    return replace(topology, networks=networks)


def _by_user(network: NetworkSpec) -> NetworkSpec:
    if network.uplink is None or network.uplink.mode != "nat":
        return network
    return replace(network, uplink=replace(network.uplink, mode="user"))


def hindrances(program: str | None, no_tun: str | None) -> Iterator[tuple[str, str]]:
    """Yield why no program can lead out, and what would help.

    `program` is the path of one, `no_tun` why it could make no tap, each None if there is none.
    """
    if not program:
        yield (
            "no program for user-mode networking is here",
            "apt-get install passt (or slirp4netns)",
        )
    elif no_tun:
        denied = no_tun == os.strerror(errno.EACCES)
        hint = "sudo chmod 666 /dev/net/tun" if denied else "sudo modprobe tun"
        yield f"`{program}` could not open /dev/net/tun: {no_tun}", hint


def user_program(program: str, netns: str, ports: Sequence[Publish], via: Iterable[str]) -> Command:
    """Return the command that leads out of a namespace, and in by some ports of the host."""
    path = f"/run/netns/{netns}"
    if program.endswith("slirp4netns"):
        words = ["--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"]
        return Command(argv=(program, *words, path, TAP), ready="log/received tapfd")
    words = pasta_words(("--netns", path), TAP, [(port, port.port) for port in ports], via)
    return Command(argv=(program, *words), ready="log/Namespace interface: ")
