"""What the namespaces of a lab see in /etc: `hosts`, `resolv.conf`, and what the file says.

Who has no resolver of his own sees the machine's file, which is of no use where its resolver
listens on the machine's loopback: so a network with a way out gets those that the machine asks
itself.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from operator import itemgetter

from msgspec.structs import replace

from netloom.compile.addressing import Naming
from netloom.compile.expand import Expanded, Member, Segment
from netloom.compile.hosts_file import HostsFiles
from netloom.compile.uplink import Uplinks
from netloom.errors import Path
from netloom.language.topology import TextSpec, Topology
from netloom.model.objects import HOST, File
from netloom.values import Family, blake2b, contains, ip

Files = Mapping[str, File | Mapping[str, File]]
"""What the files are that a topology names; of a folder, all in it by their paths, `/` first."""

_RESOLV_CONF = "resolv.conf"
_FAMILIES: tuple[Family, Family] = (4, 6)


class EtcFolders:
    """Makes the folder of each namespace; mistakes are noted."""

    def __init__(
        self, topology: Topology, naming: Naming, uplinks: Uplinks, files: Files, hostname: str
    ) -> None:
        """Prepare what many namespaces share."""
        self.topology = topology
        self.naming = naming
        self.expanded: Expanded = naming.expanded
        self.uplinks = uplinks
        self.files = files
        self.hosts = HostsFiles(topology, naming, hostname)
        self._digests: dict[tuple[tuple[str, File], ...], str] = {}
        self.outward = {
            port.end.netns for egress in uplinks.egresses for port in egress.segment.ports
        } - {HOST}

    def folder(self, name: str, member: Member) -> dict[str, File]:
        """Return the files of a namespace by their paths below /etc."""
        found = {"hosts": File(self.hosts.text(name, member.spec.hosts))}
        said, resolvers = self._resolvers(name, member)
        if resolvers is not None:
            found[_RESOLV_CONF] = File(resolvers)
        for path, spec in member.spec.etc.items():
            for below, file in contents(spec, self.files):
                found[f"{path}{below}"] = file
        if self._is_written(name):
            file = found.get(_RESOLV_CONF, File())
            text = file.text if said or _RESOLV_CONF in member.spec.etc else ""
            found[_RESOLV_CONF] = replace(file, own=_own(name, text))
        return found

    def digest(self, folder: Mapping[str, File], secret: str) -> str:
        """Return by what a folder is known (`folder_digest`); one that many share is read once."""
        key = tuple(folder.items())
        if key not in self._digests:
            self._digests[key] = folder_digest(folder, secret)
        return self._digests[key]

    def _is_written(self, name: str) -> bool:
        """Whether a program of a namespace may write its resolv.conf: one that asks for an address.

        So where an interface has none, or others are on its segment.
        """
        return any(
            not port.addresses or segment.joined or segment.host_ports
            for segment, port in self.naming.ports.get(name, ())
        )

    def _resolvers(self, name: str, member: Member) -> tuple[bool, str | None]:
        """Return whether the file says it, and the text of resolv.conf, None for the machine's."""
        dns, path = self._dns(name, member)
        if dns:
            servers = [self._address(name, text, (*path, n)) for n, text in enumerate(dns)]
            return True, "".join(f"nameserver {server}\n" for server in servers)
        outside = self.uplinks.outside.resolvers
        return False, outside if dns is None and name in self.outward and outside else None

    def _dns(self, name: str, member: Member) -> tuple[tuple[str, ...] | None, Path]:
        """Return what the file says of its resolvers: its own, else those of its networks."""
        if member.spec.dns is not None:
            return member.spec.dns, (*member.path, "dns")
        for segment, _ in self.naming.ports.get(name, ()):
            if segment.network and segment.network.dns is not None:
                return segment.network.dns, (*segment.path, "dns")
        return None, ()

    def _address(self, viewer: str, text: str, path: Path) -> str:
        """Return the address of a resolver: one that both share, else the only one there is."""
        try:
            address = ip(text)
        except ValueError:
            return self._address_of(viewer, text, path)
        if network := self._network_without(address):
            message = f"no member of network `{network}` has {address}"
            hint = f"the name of a member will do; of somebody else, `hosts: {{NAME: {address}}}`"
            self.expanded.error(path, message, hint)
        return address

    def _network_without(self, address: str) -> str | None:
        """Return the network in whose subnet an address lies that nobody has, else None."""
        if address in self._known:
            return None
        own = (each for each in self.expanded.segments if _is_whole(each))
        found = (s.key for s in own if any(contains(net, address) for net in s.subnets))
        return next(found, None)

    @cached_property
    def _known(self) -> frozenset[str]:
        """All addresses that the file gives to somebody."""
        ports = (port.addresses for segment in self.expanded.segments for port in segment.ports)
        given = (addr.ip for each in (*ports, *self.expanded.loopbacks.values()) for addr in each)
        others = (address for each in self.topology.hosts.values() for address in each)
        return frozenset((*given, *others))

    def _address_of(self, viewer: str, text: str, path: Path) -> str:
        name = text.partition(":")[0]
        for version in _FAMILIES:
            shared = [address for _, _, address in self.naming.shared(viewer, name, version)]
            every = [address for _, address in self.naming.addresses(name, version)]
            if found := shared or every:
                return found[0]
        outside = self.topology.hosts.get(name)
        if outside:
            return outside[0]
        self.expanded.error(path, f"`{text}` is neither an address nor a name here that has one")
        return ""


def _is_whole(segment: Segment) -> bool:
    """Whether all on a network are the lab's: nobody else is on its bridge, or comes by a card."""
    network = segment.network
    return network is not None and not (segment.joined or network.bridge or segment.host_ports)


def contents(spec: TextSpec, files: Files) -> Iterator[tuple[str, File]]:
    """Yield the files that a text stands for: one, or those of a folder with their paths."""
    if not spec.file:
        yield "", File(spec.text if spec.text.endswith("\n") else f"{spec.text}\n")
        return
    found = files.get(spec.file, File())
    if isinstance(found, File):
        yield "", found
    else:
        yield from found.items()


def _own(name: str, said: str) -> str:
    """Return by what a file is known that programs of a namespace may write."""
    return blake2b(f"{name} {said}".encode(), digest_size=12).hexdigest()


def folder_digest(folder: Mapping[str, File], secret: str) -> str:
    """Return by what a folder is known: to all, since links in /etc lead there by that name.

    So where not everybody may read all of it, a text cannot be guessed and tried without `secret`.
    """
    key = b"" if all(file.is_for_all for file in folder.values()) else bytes.fromhex(secret)
    hashed = blake2b(digest_size=12, key=key)
    for path, file in sorted(folder.items(), key=itemgetter(0)):
        text = file.own or file.text
        facts = f"{len(path)} {len(text)} {file.mode} {file.owner} {path}{text}"
        hashed.update(facts.encode(errors="surrogateescape"))
    return hashed.hexdigest()
