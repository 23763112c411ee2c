"""A route with a gateway is added to a running lab whose rules would make the kernel refuse it.

The kernel looks for the gateway of a new route by the rules that are there. A fresh `up` adds
routes before rules, and an edit of a running lab comes to the same.
"""

import pytest

from netloom.engine import front as engine
from netloom.language.parse import parse
from tests.kernel.worlds_made import MACHINE, alone, host, ip

pytestmark = pytest.mark.needs("netns", "veth", "bridge", "ip")

LAB = """
name: loom
links:
  - [a:lan 10.1.0.1/24 fd00:1::1/64, b:lan 10.1.0.2/24 fd00:1::2/64]
  - [a:wan 10.2.0.1/24 fd00:2::1/64, b:wan 10.2.0.2/24 fd00:2::2/64]
namespaces:
  a: {rules: [RULE], routes: [ROUTES]}
  b:
"""

EVERYWHERE = "default via 10.1.0.2 table 77, default via fd00:1::2 table 77"
CASES = {
    "a refusal for one way out": ("oif lan unreachable", ""),
    "a refusal for the gateway": ("to 10.1.0.2 prohibit", ""),
    "a refusal for all that is not marked": ("not fwmark 1 blackhole", ""),
    "a refusal of IPv6": ("to ::/0 unreachable", ""),
    "another table first": ("to ::/0 lookup 77", EVERYWHERE),
    "what the machine sends itself": ("iif lo unreachable", ""),
}
NEW = "10.9.0.0/16 via 10.1.0.2, fd00:9::/64 via fd00:1::2 table 200"


def up(rule: str, *routes: str) -> None:
    """Make the lab with this rule and these routes."""
    text = LAB.replace("RULE", rule).replace("ROUTES", ", ".join(filter(None, routes)))
    engine.up(parse(text), MACHINE)


def facts() -> tuple[object, ...]:
    """Return what `ip` says of routes and rules; carrier comes when the kernel gets round to it."""
    looks = ("-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule")
    return tuple(
        sorted(str({k: v for k, v in each.items() if k != "flags"}) for each in ip(words, "a"))
        for words in looks
    )


@pytest.mark.parametrize("what", CASES)
def test_a_route_is_added_in_spite_of_a_rule_that_hides_its_gateway(what: str) -> None:
    """The rule stands behind it again, as after a fresh `up`; the way back is open, too."""
    rule, before = CASES[what]

    def check() -> None:
        empty = host()
        up(rule, before, NEW)
        fresh = facts()
        up(rule, before)
        alike = facts()

        up(rule, before, NEW)
        assert facts() == fresh
        up(rule, before, NEW.replace("10.1.0.2", "10.2.0.2").replace("fd00:1::2", "fd00:2::2"))
        up(rule, before)
        assert facts() == alike

        engine.down("loom", MACHINE)
        assert host() == empty

    alone(check)
