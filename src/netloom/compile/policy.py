"""The routes and rules of a lab: those written, and those that gateways and `routing:` mean.

What is written comes first, and what is derived gives way to it. Who is led through forwards.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec.structs import replace

from netloom.compile.addressing import Naming
from netloom.compile.expand import Segment
from netloom.compile.gateways import Gateways
from netloom.compile.nat import Egress
from netloom.compile.route_words import parse_routes, parse_rule
from netloom.compile.static_routes import static_routes
from netloom.errors import Path
from netloom.language.topology import Topology
from netloom.model.marks import HOST_PROTOCOL
from netloom.model.objects import HOST, End, Route, RouteKey, Rule
from netloom.values import family

_FIRST_RULE = 32765
"""The priority that the kernel gives to the first rule added without one; the next get one less."""


class Policy:
    """Finds the routes and rules of every namespace; mistakes are noted.

    `why_no_ipv6` tells of a link why it has no IPv6, None where it has. `places` are where in the
    file each route of the namespace `host` was said.
    """

    def __init__(
        self,
        topology: Topology,
        naming: Naming,
        gateways: Gateways,
        why_no_ipv6: Callable[[End], str | None],
        egresses: Iterable[Egress] = (),
    ) -> None:
        """Keep what the routes speak of."""
        self.egresses = tuple(egresses)
        self.topology = topology
        self.naming = naming
        self.gateways = gateways
        self.expanded = naming.expanded
        self.why_no_ipv6 = why_no_ipv6
        self.places: dict[RouteKey, Path] = {}

    def routes(self) -> tuple[dict[str, bool], dict[str, frozenset[Route]]]:
        """Return who forwards, and the routes of every namespace."""
        forwarding = {
            name: member.spec.forwarding for name, member in self.expanded.members.items()
        }
        forwards = {name: value for name, value in forwarding.items() if value is not None}
        routes: dict[str, dict[RouteKey, Route]] = {}
        for name, text, path, own in self.texts(self.derived(forwarding)):
            mine = routes.setdefault(name, {})
            for route in self.parsed(name, text, path):
                if own and mine.get(route.key, route) != route:
                    self.expanded.error(
                        path, f"a second route to {route.dst}, with the same metric"
                    )
                if own or route.key not in mine:
                    mine[route.key] = route
                    if name == HOST:
                        self.places[route.key] = path
                self.note_forwarding(name, route, forwards)
        return forwards, {name: frozenset(found.values()) for name, found in routes.items()}

    def derived(self, forwarding: Mapping[str, bool | None]) -> dict[str, list[str]]:
        """Return the routes that `routing: static` means; the host's in families that lead out."""
        if self.topology.routing != "static":
            return {}
        found = static_routes(self.naming, forwarding, self.egresses)
        out = {version for egress in self.egresses for version in egress.families}
        if HOST in found and not forwarding.get(HOST):
            found[HOST] = [text for text in found[HOST] if family(text.partition("/")[0]) in out]
        return found

    def parsed(self, name: str, text: str, path: Path) -> Iterator[Route]:
        """Yield the routes that a text means in a namespace."""
        try:
            found = parse_routes(text, name, self.naming, self.gateways.dev)
        except ValueError as error:
            self.expanded.error(path, str(error))
            return
        for route in found:
            for hop in route.nexthops:
                off = self.why_no_ipv6(End(name, hop.dev)) if route.family == 6 else None
                if off:
                    self.expanded.error(
                        path, f"an IPv6 route leads out of `{name}:{hop.dev}`, {off}"
                    )
            yield replace(route, protocol=HOST_PROTOCOL) if name == HOST else route

    def texts(self, derived: Mapping[str, list[str]]) -> Iterator[tuple[str, str, Path, bool]]:
        """Yield namespace, text, place, and whether it was written: `routes:` first."""
        for name, member in self.expanded.members.items():
            for number, text in enumerate(member.spec.routes):
                yield name, text, (*member.path, "routes", number), True
        for segment in self.expanded.segments:
            if segment.network and segment.network.gateway:
                yield from self.gateway_texts(segment, segment.network.gateway)
        for egress in self.egresses:
            if egress.segment.network and not egress.segment.network.gateway:
                for address in egress.gateways():
                    yield from self.gateway_texts(egress.segment, address)
        for name, texts in derived.items():
            for text in texts:
                yield name, text, ("routing",), False

    def gateway_texts(
        self, segment: Segment, gateway: str
    ) -> Iterator[tuple[str, str, Path, bool]]:
        """Yield the default routes that a network's gateway means: one for each other member."""
        path: Path = (*segment.path, "gateway")
        name = gateway.partition(":")[0]
        known = name == HOST or self.naming.known(name)
        if known and not any(p.end.netns == name for p in segment.ports):
            hint = f"say `{name}: {{networks: [{segment.key}]}}` under `namespaces`"
            self.expanded.error(path, f"`{gateway}` is not on network `{segment.key}`", hint)
            return
        bearers = (p for p in segment.ports if gateway in (addr.ip for addr in p.addresses))
        owners = {name, *(port.end.netns for port in bearers)}
        ends = {p.end.netns: p.end for p in segment.ports}
        via = str(ends[name]) if name in ends else gateway
        for port in segment.ports:
            if port.end.netns not in {*owners, HOST} and port.addresses and port.up:
                yield port.end.netns, f"default via {via}", path, False

    def note_forwarding(self, name: str, route: Route, forwards: dict[str, bool]) -> None:
        """Let a namespace that a route leads through forward, unless the file says otherwise."""
        for hop in route.nexthops:
            owner = self.naming.owner(name, hop.via) if hop.via else None
            if owner and owner != HOST:
                forwards.setdefault(owner, True)

    def rules(self, name: str) -> frozenset[Rule]:
        """Return the rules of a namespace; those without a priority get the kernel's choice."""
        member = self.expanded.members[name]
        rules = set()
        for number, text in enumerate(member.spec.rules):
            try:
                rules.add(parse_rule(text, _FIRST_RULE - number))
            except ValueError as error:
                self.expanded.error((*member.path, "rules", number), str(error))
        return frozenset(rules)
