"""Any life of a lab, on the kernel: what `tests/pure/test_transaction.py` shows on a fake machine.

Verbs in any order, each perhaps killed at any call that changes something, beside another lab that
comes and goes. Never is the other changed; and whatever was left, `down` leaves nothing.
"""

import os
import random

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import Warm, write
from tests.hosts.witness import differences, look

PAIR = "name: lab\nlinks: [[red 10.0.0.1/24, blue 10.0.0.2/24]]\n"
TRIO = """\
name: lab
networks: {lan: {subnet: 10.1.0.0/24, uplink: nat}}
namespaces:
  red: {networks: [lan], run: {command: sleep 600, name: s}}
  blue: {networks: [lan], sysctls: {net.ipv4.tcp_ecn: 1}}
  green:
links: [[red 10.0.0.1/24, blue 10.0.0.2/24], [green 10.2.0.1/24, host 10.2.0.2/24]]
"""
OTHER = "name: other\nnetworks: {wan: {uplink: nat}}\nnamespaces: {web: {networks: [wan]}}\n"
ACTS = [
    *(("up", "-q", "--replace", name) for name in ("pair.yaml", "trio.yaml", "other.yaml")),
    ("undo", "lab"),
    ("down", "lab"),
    ("down", "other"),
]
COMES_TO = {"up": {0}, "down": {2}, "undo": {0, 2}}
"""The status of `verify` after a verb that has come to its end: as applied, or no lab."""
LIVES = 200 if os.environ.get("NETLOOM_WALK") == "whole" else 10
PARTS = 5
ACTS_OF_A_LIFE = 6


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.needs("nft")
@on_a_host
def test_whatever_becomes_of_a_lab_another_is_as_it_was(part: int) -> None:
    """And at the end of each life the machine is as before it."""
    for name, text in (("pair", PAIR), ("trio", TRIO), ("other", OTHER)):
        write(f"{name}.yaml", text)
    with Warm() as warm:
        live(warm, chance(0), kills=False)  # makes what stays, such as /run/netns
        for seed in range(part, LIVES, PARTS):
            before = look()
            told = live(warm, chance(seed), kills=True)
            assert differences(before, look()) == "", (seed, told)


def chance(seed: int) -> random.Random:
    """Return what draws the same life for the same number."""
    return random.Random(seed)  # noqa: S311 - nothing is secret


def live(warm: Warm, draw: random.Random, *, kills: bool) -> list[str]:
    """Live a life, and end it; return what became of it, act by act."""
    told: list[str] = []
    for _ in range(ACTS_OF_A_LIFE):
        act = draw.choice(ACTS)
        at = draw.randrange(1, 60) if kills and draw.random() < 0.6 else 0
        about_other = "other" in act[-1]
        before = warm.ask(("verify", "lab" if about_other else "other"))["status"]
        answer = warm.ask(act, follow=True, at=at) if at else warm.ask(act)
        told.append(f"{act} at {at}: {answer['status']} {answer['stderr']}")
        assert answer["status"] in {0, -9} or (act[0] != "up" and answer["status"] == 2), told
        after = warm.ask(("verify", "lab" if about_other else "other"))["status"]
        assert after == before, told
        if answer["status"] == 0:
            own = warm.ask(("verify", "other" if about_other else "lab"))
            assert own["status"] in COMES_TO[act[0]], (told, own)
    for name in ("lab", "other"):
        answer = warm.ask(("down", name))
        assert answer["status"] in {0, 2}, (told, answer)
    return told
