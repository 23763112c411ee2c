"""In which order things of a kind are made; they go the other way round."""

from collections.abc import Iterable, Mapping

from netloom.model.objects import Route, Rule
from netloom.model.start_order import start_order
from netloom.plan.steps import RunStart


def route_order(route: Route) -> tuple[bool, bool, int, str, int, int]:
    """Routes straight out of a link first: gateways of others may lie behind them."""
    through = any(hop.via for hop in route.nexthops)
    return through, bool(route.src), route.family, route.dst, route.table, route.metric


def rule_order(rule: Rule) -> tuple[int, int]:
    """Rules by family, then as the kernel asks them."""
    return rule.family, rule.priority


def run_order(starts: Mapping[str, RunStart]) -> Iterable[RunStart]:
    """Return starts, by `NS/NAME`, in an order in which each comes after those that it follows."""
    if not any(start.command.after for start in starts.values()):
        return starts.values()
    before = {key: [k for k in one.command.after if k in starts] for key, one in starts.items()}
    return [starts[key] for key in start_order(before)]
