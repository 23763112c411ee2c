"""A namespace while it is being changed: what goes along when something of it goes.

`simulate.py` carries out steps on it; what a single namespace loses with a link, with an address,
or with IPv6 is here, and so are the steps that concern its routes, rules and sysctls alone.
"""

from msgspec.structs import replace

from netloom.model.firewall import FirewallException  # noqa: TC001 - what a scratch holds
from netloom.model.objects import HOST, Link, Loopback, NetnsState, Nexthop, Route, Rule
from netloom.plan import steps
from netloom.plan.steps import Step
from netloom.plan.sysctls import NO_IPV6, link_of, rewritten
from netloom.values import contains, family

IPV6_MIN_MTU = 1280


class Illegal(ValueError):
    """A step that the kernel would refuse in this state."""

    def __init__(self, step: Step, reason: str) -> None:
        """Keep the step and the reason."""
        self.step = step
        self.reason = reason
        super().__init__(f"{step}: {reason}")


class MutableNetns:
    """A namespace that can be changed: `NetnsState`, field by field."""

    __slots__ = (
        "borrowed",
        "claims",
        "commands",
        "etc",
        "exceptions",
        "links",
        "routes",
        "rules",
        "rulesets",
        "sysctls",
    )

    def __init__(self, netns: NetnsState) -> None:
        """Copy what will be changed."""
        self.links: dict[str, Link] = dict(netns.links)
        self.routes: set[Route] = set(netns.routes)
        self.rules: set[Rule] = set(netns.rules)
        self.sysctls: dict[str, str] = dict(netns.sysctls)
        self.etc = netns.etc
        self.rulesets: dict[str, str] = dict(netns.rulesets)
        self.claims: dict[str, str] = dict(netns.claims)
        self.exceptions: set[FirewallException] = set(netns.exceptions)
        self.commands: dict[str, str] = dict(netns.commands)
        self.borrowed = netns.borrowed

    def frozen(self) -> NetnsState:
        """Return the namespace as it is now."""
        return NetnsState(
            links=self.links,
            routes=frozenset(self.routes),
            rules=frozenset(self.rules),
            sysctls=self.sysctls,
            etc=self.etc,
            rulesets=self.rulesets,
            claims=self.claims,
            commands=self.commands,
            exceptions=frozenset(self.exceptions),
            borrowed=self.borrowed,
        )

    @property
    def ipv6(self) -> bool:
        """Whether links made here begin with IPv6."""
        return self.sysctls.get(NO_IPV6, "0") == "0"

    def drop_routes(self, dev: str, gone: Link) -> None:
        """Drop the routes of a link that is `gone`, those with other ways out too.

        Its IPv4 addresses take along those that have one as their source (fib_sync_down_addr).
        """
        lost = {addr.ip for addr in gone.addrs if family(addr.ip) == 4}
        if any(route.src in lost for route in self.routes):  # to look for each would be quadratic
            lost -= {addr.ip for link in self.links.values() for addr in link.addrs}
        self.routes = {
            route
            for route in self.routes
            if route.src not in lost and all(hop.dev != dev for hop in route.nexthops)
        }

    def drop_routes_of(self, dev: str, version: int, step: Step) -> None:
        """Drop the routes of one IP version out of a link that stays and can carry them no more.

        Raises `Illegal` for one that has other ways, too.
        """
        for route in [route for route in self.routes if route.family == version]:
            devs = {hop.dev for hop in route.nexthops}
            if devs == {dev}:
                self.routes.discard(route)
            elif dev in devs:
                raise Illegal(step, f"a route to {route.dst} has other ways, and must go first")

    def drop_ipv6(self, name: str, step: Step) -> None:
        """Drop the IPv6 addresses of a link and its IPv6 routes."""
        link = self.links[name]
        kept = tuple(addr for addr in link.addrs if family(addr.ip) == 4)
        self.links[name] = replace(link, addrs=kept)
        self.drop_routes_of(name, 6, step)
        if isinstance(link.kind, Loopback):  # where IPv6 routes that lead nowhere lead to
            self.routes = {route for route in self.routes if route.nexthops or route.family == 4}

    def cross_ipv6_mtu(self, name: str, before: int, step: steps.LinkSet) -> None:
        """Take IPv6 from a link, or give it back, where its MTU crosses 1280 bytes."""
        now = self.links[name].mtu
        if now < IPV6_MIN_MTU <= before:
            self.drop_ipv6(name, step)
            self.links[name] = replace(self.links[name], ipv6_ll=False)
            for key in [key for key in self.sysctls if link_of(key) == name]:
                if key.startswith("net.ipv6."):  # its settings go with it (addrconf_ifdown)
                    del self.sysctls[key]
        elif before < IPV6_MIN_MTU <= now:
            self.links[name] = replace(self.links[name], ipv6_ll=self.ipv6)

    def why_unreachable(self, route: Route, *, ours: bool) -> str | None:
        """Return why the kernel refuses a route: link down, gateway not on it, alien source.

        None where it takes it. A namespace that is not `ours` may have the source all the same.
        """
        for hop in route.nexthops:
            link = self.links.get(hop.dev)
            if link is None or not link.up:
                return f"`{hop.dev}` is not there or not up"
            if hop.via and not hop.onlink and not self.is_on_link(hop, link, route.table):
                return f"the gateway {hop.via} is not on `{hop.dev}`"
        own = (addr.ip for link in self.links.values() for addr in link.addrs)
        if ours and route.src and not route.src.startswith("127.") and route.src not in own:
            return f"the source {route.src} is no address of the namespace"
        return None

    def is_on_link(self, hop: Nexthop, link: Link, table: int) -> bool:
        """Whether a gateway is a neighbour: by an address of the link, or by a route to it."""
        via = hop.via
        if via.startswith("fe80:") or any(contains(addr.subnet, via) for addr in link.addrs):
            return True  # as nearly all are, so not every route is looked at for every other
        from netloom.datapath.connected import connected
        from netloom.datapath.fib import BASE_RULES, Fib, gateway_dev

        fib = Fib([*connected(self.links), *self.routes], BASE_RULES)
        return gateway_dev(fib, via, hop.dev, table) == hop.dev

    # what steps do in one namespace

    def route_add(self, step: steps.RouteAdd) -> None:
        """Add a route; raises `Illegal` where one has its key, or it leads nowhere."""
        if any(route.key == step.route.key for route in self.routes):
            raise Illegal(step, "a route with this destination, table and metric exists")
        if reason := self.why_unreachable(step.route, ours=step.netns != HOST):
            raise Illegal(step, reason)
        self.routes.add(step.route)

    def route_replace(self, step: steps.RouteReplace) -> None:
        """Put a route in the place of one; raises `Illegal` where it leads nowhere."""
        if reason := self.why_unreachable(step.route, ours=step.netns != HOST):
            raise Illegal(step, reason)
        self.routes = {route for route in self.routes if route.key != step.route.key}
        self.routes.add(step.route)

    def route_del(self, step: steps.RouteDel) -> None:
        """Delete a route; raises `Illegal` where it is not there."""
        if step.route not in self.routes:
            raise Illegal(step, "no such route")
        self.routes.discard(step.route)

    def rule_add(self, step: steps.RuleAdd) -> None:
        """Add a rule; raises `Illegal` where it is there."""
        if step.rule in self.rules:
            raise Illegal(step, "the rule exists")
        self.rules.add(step.rule)

    def rule_del(self, step: steps.RuleDel) -> None:
        """Delete a rule; raises `Illegal` where it is not there."""
        if step.rule not in self.rules:
            raise Illegal(step, "no such rule")
        self.rules.discard(step.rule)

    def sysctl_set(self, step: steps.SysctlSet) -> None:
        """Set a sysctl, with those that the kernel sets along, and what it takes away."""
        for key in list(rewritten(step.key, self.sysctls)):
            self.sysctls[key] = step.value
        self.sysctls[step.key] = step.value
        if step.key.endswith(".disable_ipv6") and step.value != "0":
            for name in list(self.links):
                if ".conf.all." in step.key or link_of(step.key) == name:
                    self.drop_ipv6(name, step)
            if not self.ipv6:
                for name, link in self.links.items():
                    self.links[name] = replace(link, ipv6_ll=False)
