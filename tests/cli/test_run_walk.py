"""The walk of `test_no_trace.py` over a lab with commands: nothing that was started is left."""

from collections.abc import Callable

import pytest

from tests.cli.test_no_trace import WALKS, by_down, by_up, walk_lab
from tests.hosts.host import on_a_host
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import says

FIRST = """\
name: shop
namespaces:
  a: {run: ["(setsid sleep 1001 &); exec sleep 1002", {name: two, command: exec sleep 1003}]}
  b: {run: exec sleep 1004}
"""
SECOND = """\
name: shop
namespaces:
  a: {run: ["(setsid sleep 1001 &); exec sleep 1002", {name: two, command: exec sleep 1005}]}
  c: {run: exec sleep 1004}
"""
ONE = "b: {run: exec sleep 1004}"
TWO = (
    "b: {run: [{command: exec sleep 1004, after: set}, {name: set, command: exit 0, ready: exit}]}"
)
"""What starts one after the other, in the place of what starts at once."""


@pytest.mark.parametrize("verb", WALKS)
@pytest.mark.parametrize("recover", [by_down, by_up])
@on_a_host
def test_commands_are_ended_after_every_kill(
    verb: str, recover: Callable[[Warm, str], None]
) -> None:
    """Whoever was being started or ended as netloom was killed, or while it waited for them.

    Every twelfth call.
    """
    says("nft", "delete", "table", "inet", "filter")
    write("first.yaml", FIRST.replace(ONE, TWO))
    write("second.yaml", SECOND)
    with Warm() as netloom:
        walk_lab(netloom, WALKS[verb], recover, every=12)
