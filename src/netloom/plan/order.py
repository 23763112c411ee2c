"""In which order things of a kind are made; they go the other way round."""

from netloom.model.objects import Route, Rule


def route_order(route: Route) -> tuple[bool, bool, int, str, int, int]:
    """Routes straight out of a link first: gateways of others may lie behind them."""
    through = any(hop.via for hop in route.nexthops)
    return through, bool(route.src), route.family, route.dst, route.table, route.metric


def rule_order(rule: Rule) -> tuple[int, int]:
    """Rules by family, then as the kernel asks them."""
    return rule.family, rule.priority
