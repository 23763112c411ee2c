"""No trace, ever: killed at every system call that changes something, then `down`: as before.

The walk runs each verb once to learn its calls, and then once for each of them with a SIGKILL in
its place (see `warm.py`). Afterwards `down` must leave the machine as it was, by the witness's
list; and `up` must lead to what is asked for, whatever the kill left.
"""

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran
from tests.hosts.witness import Look, differences, look, no_trace

FIRST = """\
name: shop
networks:
  lan: {subnet: 10.20.0.0/24, gateway: gw}
namespaces:
  gw: {networks: {lan: 10.20.0.1}, forwarding: true}
  a: {networks: [lan], sysctls: {net.ipv4.ip_default_ttl: 99}}
  host: {networks: {lan: 10.20.0.200}}
links:
  - [host:wire 10.40.0.1/24, a:wire 10.40.0.2/24]
  - [a, gw]
"""
"""A network with a gateway, a member `host`, wires, a sysctl, hosts files, addresses of IPv6."""

SECOND = """\
name: shop
networks:
  lan: {subnet: 10.20.0.0/24, gateway: gw}
  dmz: {subnet: 10.21.0.0/24}
namespaces:
  gw: {networks: {lan: {addresses: 10.20.0.77, mtu: 1400}}, rules: from 10.9.0.0/16 lookup 100}
  c: {networks: [dmz]}
  host: {networks: {lan: 10.20.0.201}}
links:
  - [host:wire 10.40.0.1/24, c:wire 10.40.0.2/24]
"""
"""Another: a network more, another namespace, a wire less, a wire to somewhere else."""

PARTS = 8
"""Into how many tests a walk is cut, so that several workers can share it."""

PART = pytest.mark.parametrize(
    "part",
    [pytest.param(part, marks=pytest.mark.long if part % 4 else ()) for part in range(PARTS)],
)
"""Every fourth call is a kill in `make test`, the others are in `make long`."""


def sampled(every: int) -> int:
    """Return how many calls a walk goes on by; NETLOOM_WALK=whole takes each (`make walk`)."""
    return 1 if os.environ.get("NETLOOM_WALK") == "whole" else every


class Walk(NamedTuple):
    """A verb to be killed: what is there before it, and how it is typed."""

    before: tuple[tuple[str, ...], ...]
    verb: tuple[str, ...]
    then: str


WALKS = {
    "up": Walk((), ("up", "first.yaml"), "first.yaml"),
    "down": Walk((("up", "first.yaml"),), ("down", "shop"), "first.yaml"),
    "change": Walk((("up", "first.yaml"),), ("up", "--replace", "second.yaml"), "second.yaml"),
}
"""What is killed: each verb of a lab that has a first and a second shape."""
UP, DOWN, CHANGE = WALKS.values()
UNDO = Walk(
    (("up", "first.yaml"), ("up", "--replace", "second.yaml")), ("undo", "shop"), "second.yaml"
)


def walk(walk_: Walk, part: int, recover: Callable[[Warm, str], None], *, every: int = 1) -> None:
    """Kill a verb at this part of its calls, recover each time, and compare each time."""
    every = sampled(every)
    write("first.yaml", FIRST)
    write("second.yaml", SECOND)
    with Warm() as netloom:
        whole, before = look(), look(whole=False)
        forget_names()
        for words in walk_.before:
            netloom(*words)
        calls = netloom.calls(*walk_.verb)
        netloom.ask(("down", "shop"))
        for at in range(1 + part * every, len(calls) + 1, PARTS * every):
            forget_names()
            for words in walk_.before:
                netloom(*words)
            about = netloom.kill(at, *walk_.verb)
            recover(netloom, walk_.then)
            _compare(before, f"{' '.join(walk_.verb)}, killed before call {at}: {about}")
        assert differences(whole, look()) == ""
        assert len(calls) > PARTS


def walk_lab(netloom: Warm, walk_: Walk, recover: Callable[[Warm, str], None], every: int) -> None:
    """Kill a verb at each of its calls (a sample, unless it is `make walk`), recover, compare.

    The two ways to recover begin at different calls, so that their samples complete each other.
    """
    every = sampled(every)
    netloom("up", walk_.then)  # the first ever makes /run/netns besides
    netloom("down", walk_.then)
    for words in walk_.before:
        netloom(*words)
    calls = netloom.calls(*walk_.verb)
    netloom("down", walk_.then)
    before = look(whole=False)
    assert len(calls) > 10
    for at in range(1 if recover is by_down else 1 + every // 2, len(calls) + 1, every):
        for words in walk_.before:
            netloom(*words)
        about = netloom.kill(at, *walk_.verb)
        recover(netloom, walk_.then)
        _compare(before, f"{' '.join(walk_.verb)}, killed before call {at}: {about}")


def forget_names() -> None:
    """Take /run/netns away, which only the first namespace since the boot has to make."""
    ran("umount", "/run/netns", check=False)
    ran("rmdir", "/run/netns", check=False)


def _compare(before: Look, what: str) -> None:
    found = differences(before, look(whole=False))
    assert not found, f"{what}\n{found}"


def wait_for_the_lock() -> None:
    """Wait until nobody changes the lab: what a killed program forked ends a moment after it."""
    with suppress(FileNotFoundError):
        folder = os.open("/run/netloom/labs/shop", os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
        finally:
            os.close(folder)


def by_down(netloom: Warm, file: str) -> None:  # noqa: ARG001 - the shape of a way back
    """Take the lab down, whatever there is of it, be it nothing."""
    wait_for_the_lock()
    answer = netloom.ask(("down", "shop"))
    assert answer["status"] in {0, 2}, answer


def by_up(netloom: Warm, file: str) -> None:
    """Make the lab so, whatever there is of it, and whose; then take it down."""
    wait_for_the_lock()
    netloom("up", "--replace", file)
    netloom("verify", file)
    netloom("down", file)


@PART
@on_a_host
def test_down_cleans_up_after_an_up_that_was_killed_anywhere(part: int) -> None:
    """The state before, whichever of its calls `up` did not come to."""
    walk(UP, part, by_down)


@PART
@on_a_host
def test_up_converges_after_an_up_that_was_killed_anywhere(part: int) -> None:
    """The same lab, whichever of its calls the first `up` did not come to."""
    walk(UP, part, by_up)


@PART
@on_a_host
def test_down_cleans_up_after_a_down_that_was_killed_anywhere(part: int) -> None:
    """A second `down` finishes what the first began."""
    walk(DOWN, part, by_down)


@PART
@on_a_host
def test_up_converges_after_a_down_that_was_killed_anywhere(part: int) -> None:
    """What is left of a lab is completed to a whole one."""
    walk(DOWN, part, by_up)


@PART
@on_a_host
def test_down_cleans_up_after_a_change_that_was_killed_anywhere(part: int) -> None:
    """Neither the old lab nor the new one is left."""
    walk(CHANGE, part, by_down)


@PART
@on_a_host
def test_up_converges_after_a_change_that_was_killed_anywhere(part: int) -> None:
    """The new lab, and nothing of the old one; every other call."""
    walk(CHANGE, part, by_up, every=2)


@PART
@on_a_host
def test_down_cleans_up_after_an_undo_that_was_killed_anywhere(part: int) -> None:
    """Going back, too, can be interrupted; every other call."""
    walk(UNDO, part, by_down, every=2)


@on_a_host
def test_down_leaves_nothing_of_a_lab() -> None:
    """The plain case, and the proof that the witness sees a lab at all."""
    write("first.yaml", FIRST)
    with Warm() as netloom, no_trace() as before:
        netloom("up", "first.yaml")
        found = differences(before, look())
        assert found.count("left: ") > 50
        assert "gone: " not in found
        netloom("down", "first.yaml")


@PART
@on_a_host
def test_ctrl_c_anywhere_in_an_up_is_undone(part: int) -> None:
    """Status 130 and nothing left; or it came too late, and the lab is up. Every other call."""
    write("first.yaml", FIRST)
    with Warm() as netloom:
        before = look(whole=False)
        calls = netloom.calls("up", "first.yaml")
        netloom("down", "first.yaml")
        statuses = set()
        for at in range(1 + 2 * part, len(calls) + 1, 2 * PARTS):
            answer = netloom.interrupt(at, "up", "first.yaml")
            what = f"interrupted at call {at}: {calls[at - 1]}: {answer['stderr']}"
            if answer["status"] == 0:
                netloom("verify", "first.yaml")
                assert "interrupted" not in netloom("labs")["stdout"]
                netloom("down", "first.yaml")
            else:
                assert answer["status"] == 130, answer
            statuses.add(answer["status"])
            _compare(before, what)
        assert 130 in statuses
