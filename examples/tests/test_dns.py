"""Two resolvers, and what a client hears of names when the first of them is cut off.

In place of: dns.sh, beside this file.
"""

import os
import time

import pytest

from netloom import Lab

pytestmark = pytest.mark.netloom("dns.yaml")

FIRST, SECOND = "192.0.2.1", "192.0.2.2"
SILENCE = "add table t; add chain t in { type filter hook input priority 0; policy drop; }"


def resolve(lab: Lab) -> str:
    """Return what the C library answers in the client; it waits a second for each resolver."""
    env = {**os.environ, "RES_OPTIONS": "timeout:1 attempts:1"}
    command = ["getent", "ahostsv4", "shop.example"]
    done = lab["client"].run(command, env=env, text=True, capture_output=True)
    return done.stdout.partition(" ")[0]


def test_the_first_is_asked_and_then_the_second(lab: Lab) -> None:
    """Names resolve as long as one of them is there; the first is asked again when it is back."""
    assert resolve(lab) == FIRST
    with lab.partition("client", "first"):
        assert resolve(lab) == SECOND
        with lab.partition("client", "second"):
            assert resolve(lab) == ""
    assert resolve(lab) == FIRST


def test_a_silent_resolver_costs_its_timeout(lab: Lab) -> None:
    """One that hears nothing any more is waited for, with each name anew."""
    lab["first"].run(["nft", SILENCE], check=True)
    for _ in range(2):
        began = time.monotonic()
        assert resolve(lab) == SECOND
        assert 1 <= time.monotonic() - began < 5
