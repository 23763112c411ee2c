"""The walk of `test_no_trace.py` over a lab with commands: nothing that was started is left."""

from collections.abc import Callable

import pytest

from tests.cli.host import Warm, on_a_host, write
from tests.cli.test_no_trace import Walk, by_down, by_up, sampled
from tests.cli.witness import differences, look
from tests.kernel.machines import says

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
WALKS = {
    "up": Walk((), ("up", "first.yaml"), "first.yaml"),
    "down": Walk((("up", "first.yaml"),), ("down", "shop"), "first.yaml"),
    "change": Walk((("up", "first.yaml"),), ("up", "second.yaml"), "second.yaml"),
}


@pytest.mark.parametrize("verb", WALKS)
@pytest.mark.parametrize("recover", [by_down, by_up])
@on_a_host
def test_commands_are_ended_after_every_kill(
    verb: str, recover: Callable[[Warm, str], None]
) -> None:
    """Whoever was being started or ended as netloom was killed; every twelfth call."""
    says("nft", "delete", "table", "inet", "filter")
    write("first.yaml", FIRST)
    write("second.yaml", SECOND)
    walk = WALKS[verb]
    with Warm() as netloom:
        netloom("up", "first.yaml")  # the first ever makes /run/netns besides
        if not walk.before:
            netloom("down", "first.yaml")
        calls = netloom.calls(*walk.verb)
        netloom("down", "first.yaml")
        before = look(whole=False)
        assert len(calls) > 20
        every = sampled(12)
        for at in range(1 if recover is by_down else 1 + every // 2, len(calls) + 1, every):
            for words in walk.before:
                netloom(*words)
            about = netloom.kill(at, *walk.verb)
            recover(netloom, walk.then)
            found = differences(before, look(whole=False))
            assert not found, f"{walk.verb}, killed before call {at}: {about}\n{found}"
