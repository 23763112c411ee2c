"""From what people write to what is desired of the kernel: `lower(topology, …) -> Lowered`.

The arrow has four stretches, a module each: `expand` (every single namespace, segment and port),
`allocate` (subnets and addresses), `naming` with `routes`, `static` and `hosts` (names become
addresses), and here the last, with `builder`: ports become links, of the kinds that the kernel has.

Rule 1: pure. The addresses in use, the host's subnets and the salt of the MAC addresses are given.
Rule 2: every mistake is found, and says its place; only when there is none does anything come out.
Rule 3: everything is concrete afterwards (`model/objects.py`, rule 2).

"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.compile.addressing import Naming, check_expects, useless_addresses
from netloom.compile.allocate import HostPrefixes, allocate
from netloom.compile.etc_files import EtcFolders, Files, contents
from netloom.compile.expand import Expanded, Member, expand
from netloom.compile.gateways import Gateways
from netloom.compile.host_part import others_links
from netloom.compile.host_ports import host_ports, join_notes
from netloom.compile.ifnames import HostNames
from netloom.compile.link_builder import LinkBuilder
from netloom.compile.nat import in_words
from netloom.compile.policy import Policy
from netloom.compile.run_commands import command_digest, commands, option, twice
from netloom.compile.run_order import in_order
from netloom.compile.settings import contradictions, settings
from netloom.compile.uplink import Uplinks
from netloom.compile.user_uplink import all_by_user
from netloom.datapath.ways_out import routed_prefixes
from netloom.errors import Path, Problem, TopologyError
from netloom.language.topology import NamespaceSpec, Topology
from netloom.model.facts import Allocations, Joined, Nic, Occupied, UplinkFacts
from netloom.model.firewall import BridgeNeed, ForwardNeed
from netloom.model.marks import ruleset_of
from netloom.model.names import out_of, switch_of
from netloom.model.objects import (
    HOST,
    Command,
    Desired,
    File,
    Link,
    NetnsState,
    Route,
    RouteKey,
    command_key,
)
from netloom.values import blake2b, family

_FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")

SWITCH_SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}


class HostFacts(Struct, frozen=True):
    """What `lower` is told of the machine and of the lab's earlier life.

    `ipv6`: whether the kernel has it; where not, nothing of it is derived or set. `hostname` is
    the machine's own name, for the hosts files. `host` is what others have there. `nics` are the
    interfaces of the host, `borrowed` those that the lab has had as ports.
    """

    held: Allocations = Allocations()
    host: Occupied = Occupied()
    salt: str = ""
    ipv6: bool = True
    hostname: str = ""
    outside: UplinkFacts = UplinkFacts()
    files: Files = field(default_factory=dict)
    joined: Mapping[str, Joined] = field(default_factory=dict)
    nics: Mapping[str, Nic] = field(default_factory=dict)
    borrowed: Mapping[str, Link] = field(default_factory=dict)
    folder: str = ""


class Lowered(Struct, frozen=True):
    """What is desired, and what to remember: derived addresses, and where things were said.

    `places` are those of namespaces and interfaces, `routes` those of routes of `host`; `published`
    tells ports of the host in words.
    """

    desired: Desired
    held: Allocations
    places: Mapping[str, Path] = field(default_factory=dict)
    routes: Mapping[RouteKey, Path] = field(default_factory=dict)
    through: tuple[BridgeNeed | ForwardNeed, ...] = ()
    notes: tuple[str, ...] = ()
    published: tuple[str, ...] = ()


def lower(topology: Topology, facts: HostFacts | None = None) -> Lowered:
    """Return what a topology desires of the kernel; raises `TopologyError` with every mistake."""
    facts = facts or HostFacts()
    if facts.outside.is_apart:
        topology = all_by_user(topology)
    names = HostNames(topology, facts.held.names, facts.host.links)
    expanded = expand(topology, names, facts.joined)
    pool = tuple(block for block in topology.pool if facts.ipv6 or family(block) == 4)
    held = allocate(expanded, pool, facts.held, _prefixes(facts))
    naming = Naming(expanded)
    _check_names(expanded, topology, naming)
    uplinks = Uplinks(topology, expanded, facts.outside, facts.held)
    uplinks.check_published()
    lowering = _Lowering(topology, expanded, naming, facts, uplinks)
    desired = lowering.desired()
    for name, message, hint in others_links(desired.netns[HOST], facts.host):
        place = lowering.builder.places.get(f"{HOST}:{name}", ("namespaces", HOST))
        expanded.error(place, message, hint, at_key=True)
    held = replace(
        held,
        names=names.given,
        exits=uplinks.followed,
        kept_closed=uplinks.kept_closed,
        input_guarded=uplinks.input_guarded,
    )
    check_expects(topology, expanded, naming)
    if expanded.problems:
        raise TopologyError(_unique(expanded.problems))
    places = {name: member.path for name, member in expanded.members.items()}
    return Lowered(
        desired=desired,
        held=held,
        places=places | lowering.builder.places,
        routes=lowering.routes,
        through=(*uplinks.through(), *lowering.builder.across()),
        notes=(*uplinks.notes, *join_notes(expanded), *useless_addresses(expanded)),
        published=tuple(in_words(uplinks.forwards)),
    )


def _prefixes(facts: HostFacts) -> HostPrefixes:
    """Return what the host sees of prefixes, and the machine around it."""
    outside = facts.outside
    routed = routed_prefixes(outside.routes, outside.links)
    return HostPrefixes(
        (*facts.host.subnets, *outside.subnets),
        frozenset((*facts.host.routed, *routed)),
        facts.host.ipv6,
    )


def _unique(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems without those that a `count` repeats."""
    found: dict[tuple[Path, str], Problem] = {}
    for problem in problems:
        found.setdefault((problem.path, problem.message), problem)
    return list(found.values())


def _check_names(expanded: Expanded, topology: Topology, naming: Naming) -> None:
    switch = switch_of(topology.name)
    if switch in expanded.members:
        expanded.error(
            ("namespaces", switch), f"`{switch}` is the name of the lab's own switch namespace"
        )
    for name, member in expanded.members.items():
        links = {port.end.link for _, port in naming.ports.get(name, ())}
        for key, why in contradictions(member.spec.sysctls, links):
            expanded.error((*member.path, "sysctls", key), why, at_key=True)
    for name in topology.networks:
        if name in expanded.members:
            message = f"`{name}` is a namespace and a network: one name, one thing"
            expanded.error(("networks", name), message, at_key=True)


class _Lowering:
    """Gathers what is desired of each namespace; the last stretch."""

    def __init__(
        self,
        topology: Topology,
        expanded: Expanded,
        naming: Naming,
        facts: HostFacts,
        uplinks: Uplinks,
    ) -> None:
        self.uplinks = uplinks
        self.files = facts.files
        self.hostname = facts.hostname
        self.folder = facts.folder
        self.topology = topology
        self.expanded = expanded
        self.naming = naming
        self.secret = facts.held.secret
        self.ipv6 = facts.ipv6
        borrowed = host_ports(expanded, topology.name, facts.nics, facts.borrowed)
        self.builder = LinkBuilder(
            topology.name, expanded, facts.salt, borrowed, host_ipv6=facts.host.ipv6
        )
        self.routes: dict[RouteKey, Path] = {}

    def desired(self) -> Desired:
        """Return everything that is desired."""
        builder = self.builder
        builder.build()
        gateways = Gateways(self.naming, self.links)
        egresses = self.uplinks.egresses
        policy = Policy(self.topology, self.naming, gateways, builder.why_no_ipv6, egresses)
        forwarding, routes = policy.routes()
        self.routes = policy.places
        texts: dict[str, str] = {}
        folders: dict[str, Mapping[str, File]] = {}
        ran: dict[str, Command] = {}
        etc = EtcFolders(self.topology, self.naming, self.uplinks, self.files, self.hostname)
        netns = {HOST: self.host(routes.get(HOST, frozenset()), texts)}
        if (out := out_of(self.topology.name)) in builder.links:
            netns[out] = self.out(out, routes.get(out, frozenset()), texts)
        if command := self.uplinks.user_command():
            ran[command_key(HOST, out)] = command
            netns[HOST] = replace(netns[HOST], commands={out: command_digest(command)})
        if builder.switch in builder.links:
            links = {"lo": builder.lo(builder.switch), **builder.links[builder.switch]}
            netns[builder.switch] = NetnsState(links=links, sysctls=self.possible(SWITCH_SYSCTLS))
        for segment in self.expanded.segments:
            if (
                segment.joined
                and (where := segment.joined.netns) != HOST
                and where in builder.links
            ):
                netns[where] = NetnsState(links=builder.links[where], borrowed=True)
        for name, member in self.expanded.members.items():
            if name == HOST:
                continue
            folder = etc.folder(name, member)
            digest = etc.digest(folder, self.secret)
            folders[digest] = folder
            netns[name] = NetnsState(
                links=self.links(name),
                routes=routes.get(name, frozenset()),
                rules=policy.rules(name),
                sysctls=self.sysctls(member.spec.sysctls, forward=forwarding.get(name)),
                etc=digest,
                rulesets=self.rulesets(member.spec, texts),
                commands=self.commands(name, member, ran),
            )
        ran = in_order(self.expanded, ran)
        ports = (port for segment in self.expanded.segments for port in segment.ports)
        dynamic = tuple(port.end for port in ports if port.dynamic)
        return Desired(netns=netns, folders=folders, texts=texts, commands=ran, dynamic=dynamic)

    def links(self, netns: str) -> dict[str, Link]:
        """Return the links of a namespace of the lab's, `lo` first."""
        return {"lo": self.builder.lo(netns), **self.builder.links[netns]}

    def commands(self, netns: str, member: Member, ran: dict[str, Command]) -> dict[str, str]:
        """Return the commands of a namespace by their digests; the commands are collected."""
        found = {}
        for number in twice(member.spec.run):
            path = (*member.path, "run", number, "name")
            self.expanded.error(path, f"a second command `{member.spec.run[number].name}`")
        if found_option := option(member.spec.run):
            number, hint = found_option
            message = f"`{member.spec.run[number].command[0]}` is no command, but an option of one"
            self.expanded.error((*member.path, "run", number), message, hint)
        for name, command in commands(member.spec.run, self.folder).items():
            found[name] = command_digest(command)
            ran[command_key(netns, name)] = command
        return found

    def rulesets(self, spec: NamespaceSpec, texts: dict[str, str]) -> dict[str, str]:
        """Return the firewall rules of a namespace by their digests; the texts are collected."""
        found = {}
        table = ruleset_of(self.topology.name)
        kinds = ((table, spec.firewall), ("iptables", spec.iptables), ("ip6tables", spec.ip6tables))
        for kind, text in kinds:
            if text is not None:
                whole = "".join(part.text for _, part in contents(text, self.files))
                digest = found[kind] = _digest(whole)
                texts[digest] = whole
        return found

    def out(self, name: str, routes: frozenset[Route], texts: dict[str, str]) -> NetnsState:
        """Return the namespace that plays the host, where a program leads out."""
        rules = self.uplinks.user_rules()
        digest = _digest(rules)
        texts[digest] = rules
        own = self.possible(self.uplinks.user_sysctls())
        sysctls = self.sysctls({}, forward=True) | own
        return NetnsState(
            links={"lo": self.builder.lo(name), **self.builder.links[name]},
            routes=routes,
            sysctls=sysctls,
            rulesets={ruleset_of(self.topology.name): digest},
        )

    def host(self, routes: frozenset[Route], texts: dict[str, str]) -> NetnsState:
        """Return the lab's part of the namespace `host`."""
        rulesets: dict[str, str] = {}
        if rules := self.uplinks.rules():
            name = ruleset_of(self.topology.name)
            texts[rulesets.setdefault(name, _digest(rules))] = rules
        return NetnsState(
            links=self.builder.links[HOST],
            routes=routes,
            sysctls=self.possible(self.builder.sysctls() | self.uplinks.sysctls()),
            rulesets=rulesets,
            claims=self.uplinks.claims(),
        )

    def sysctls(self, spec: Mapping[str, str], *, forward: bool | None) -> dict[str, str]:
        """Return the sysctls of a namespace: what the file says, and what follows from it.

        `forward` None: nobody says whether it forwards, and it is left as it was born, or set.
        """
        derived = {} if forward is None else dict.fromkeys(_FORWARDING, str(int(forward)))
        return self.possible(derived) | settings(spec)

    def possible(self, sysctls: Mapping[str, str]) -> dict[str, str]:
        """Return those sysctls that the kernel has."""
        return {k: v for k, v in sysctls.items() if self.ipv6 or not k.startswith("net.ipv6.")}


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=12).hexdigest()
