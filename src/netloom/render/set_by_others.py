"""What others set in namespaces of a lab, for people: `verify -v`."""

from collections.abc import Iterator

from netloom.model.lab_state import LabState, Others
from netloom.model.objects import is_kept
from netloom.plan.order import route_order, rule_order
from netloom.render.text import protocol_word, route_words, rule_words


def others_lines(snapshot: LabState) -> Iterator[str]:
    """Yield a line for each namespace that others set something in, and one for each thing."""
    for name, netns in sorted(snapshot.netns.items()):
        links = () if is_kept(name, netns) else snapshot.foreign.links.get(name, ())
        found = [*(f"link {link}" for link in links), *_set(snapshot.others.get(name, Others()))]
        if found:
            yield f"set by others in {name}:"
            yield from (f"  {line}" for line in sorted(found))


def _set(others: Others) -> Iterator[str]:
    for link, addrs in others.addrs.items():
        yield from (f"addr {link} {addr}" for addr in addrs)
    for link, altnames in others.altnames.items():
        yield from (f"altname {link} {altname}" for altname in altnames)
    yield from (f"master {link} {master}" for link, master in others.masters.items())
    for route in sorted(others.routes, key=route_order):
        yield f"route {route_words(route)} proto {protocol_word(route.protocol)}"
    for rule in sorted(others.rules, key=rule_order):
        yield f"rule {rule_words(rule)}"
