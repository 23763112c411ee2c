"""Any error is a refusal: what is said after it is true, and nothing is left of what was undone.

The walk has each call that a verb makes fail once, between its first word and its end, with each
errno that might be its answer, and judges what was said by what there is. Python's own start, and
what it imports, are over by then (`faults.py`).
"""

import errno
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from tests.cli import test_no_trace, test_run_walk, test_uplink_walk
from tests.cli.test_no_trace import CHANGE, DOWN, UNDO, UP, Walk, sampled
from tests.cli.test_uplink_walk import everything
from tests.hosts.faults import NOT_TRIED
from tests.hosts.host import on_a_host
from tests.hosts.internet import on_the_internet
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran, says
from tests.hosts.warm import LISTENING
from tests.hosts.witness import Look, _links, _names, differences

ERRNOS = {
    number: os.strerror(number)
    for number in (
        *(errno.ENOMEM, errno.ENOBUFS, errno.EIO, errno.EPERM),
        *(errno.EMFILE, errno.ENOSPC, errno.EINTR),
    )
}
MEMORY = frozenset({"mmap", "munmap", "mprotect", "mremap", "madvise", "brk"})
"""Calls of which the kernel refuses none but for want of memory."""

VERBS = {"up": UP, "change": CHANGE, "undo": UNDO, "down": DOWN}


class Files(Protocol):
    """The two shapes of a lab."""

    FIRST: str
    SECOND: str


class Try(NamedTuple):
    """A call of a kind that shall fail: which, counted from 1, and how."""

    call: str
    at: int
    number: int


class Faults(Warm):
    """A netloom in which calls fail."""

    def __init__(self) -> None:
        """Start it on the calling thread's machine."""
        super().__init__("tests.hosts.faults")

    def seen(self, *argv: str) -> dict[str, int]:
        """Run netloom, and return how often it called what."""
        answer = self.ask(argv, follow=True)
        assert answer["status"] == 0, answer
        return dict(answer["seen"])

    def fail(self, one: Try, *argv: str) -> dict[str, Any]:
        """Run netloom, with a call that fails; return how it ended."""
        keys = {"call": one.call, "at": one.at, "errno": one.number}
        return self.ask(argv, check=False, follow=True, **keys)


# ── what there is ─────────────────────────────────────────────────────────────────────────────────

CHANGING = (
    (r"(ip: )\d+: ", r"\1N: "),
    (r"@if\d+|\bif\d+\b", "@ifN"),
    (r"link-netnsid \d+|promiscuity \d+|\[[\d.:]+\]", ""),
    (r"namespace \d+|net:\[\d+\]", "namespace"),
    (r"process: \d+", "process"),
    (r"/run/[0-9a-f]{16}\b", "/run/MARK"),
    # Notes have what was drawn at random, and the time; what they say, `verify` tells.
    (r"(file: /run/netloom/(labs|claims|host)/\S+ \S+) .*", r"\1"),
)
"""What differs between two labs that are the same: numbers that the kernel gives, and notes."""

IN_ITS_OWN_TIME = re.compile(r" table 255 .* pref medium$")
"""The local routes of IPv6 addresses: they follow the carrier when the kernel gets round to it."""

NOTES = "/run/netloom/labs/"
LEFT_LOG = re.compile(rf"left: file: {NOTES}\S+/logs\b")


def state() -> Look:
    """Return what there is, rules and settings included, and what is in the namespaces."""
    inside = (_links(name, "nsenter", f"--net=/run/netns/{name}") for name in _names())
    lines = [*everything(), *(line for found in inside for line in found)]
    for pattern, constant in CHANGING:
        lines = [re.sub(pattern, constant, line) for line in lines]
    lines = [line for line in lines if not IN_ITS_OWN_TIME.search(line)]
    times = Counter(line for line in lines if not line.endswith(LISTENING))
    return frozenset(f"{line} ×{n}" if n > 1 else line for line, n in times.items())


def settled(goal: Look) -> Look:
    """Return what there is, as soon as it is this: the kernel does some things afterwards."""
    looks = (state() for _ in range(9))
    return next((now for now in looks if now == goal), None) or state()


class States(NamedTuple):
    """What there is without a lab, before a verb, and after it."""

    base: Look
    before: Look
    after: Look


# ── judging ───────────────────────────────────────────────────────────────────────────────────────


UNDONE = "has been undone", "nothing was touched"
"""What is said with status 1, and with 2."""

BROKE = "netloom was ended by libnftables; a change that had begun is unfinished"
"""Then the next command leads back, as after a kill."""


def says_done(answer: dict[str, Any]) -> bool:
    """Whether a verb says that it has done what it was asked for."""
    words = ("on standard output", "the lab stays up")
    has_not_told = answer["status"] == 1 and any(word in answer["stderr"] for word in words)
    return answer["status"] == 0 or has_not_told


def ended(answer: dict[str, Any], states: States) -> Look:
    """Return what there is if what a verb says is true."""
    return states.after if says_done(answer) else states.before


def judged(
    netloom: Faults, walk: Walk, answer: dict[str, Any], states: States, now: Look
) -> Iterator[str]:
    """Yield what is not true of what was said, or not as it shall be."""
    status, said = answer["status"], answer["stdout"] + answer["stderr"]
    for word in ("Traceback", "has a bug", "not whole", "Exception ignored"):
        if word in said:
            yield f"it says {word}"
    if answer["hangs"]:
        yield "it hangs"
    if says_done(answer):
        yield from _not_done(netloom, walk, states.after, now)
    elif status == 1 and (walk is DOWN or BROKE in said):
        if not any(words in said for words in ("left behind", BROKE)):
            yield "status 1 without a word of what is left"
    elif status in {1, 2}:
        if UNDONE[status - 1] not in said:
            yield f"status {status} without a word of what became of it"
        if found := _unlike(states.before, now):
            yield f"status {status}, but\n{found}"
    else:
        yield f"status {status}"


def _unlike(before: Look, now: Look) -> str:
    """Return what is not as it was; the log of a command stays, to be read, though it is undone."""
    found = differences(before, now).splitlines()
    return "\n".join(line for line in found if not LEFT_LOG.match(line))


def _not_done(netloom: Faults, walk: Walk, after: Look, now: Look) -> Iterator[str]:
    found = [line for line in differences(after, now).splitlines() if NOTES not in line]
    if found or (walk is DOWN and after != now):
        yield "it is not done:\n" + differences(after, now)
    elif walk is not DOWN:
        for words in (("verify", "shop"), ("labs",)):
            answer = netloom.ask(words)
            if answer["status"] or "interrupted" in answer["stdout"]:
                yield f"it is not done: {words}: {answer}"


# ── walking ───────────────────────────────────────────────────────────────────────────────────────

WHOLE = sampled(2) == 1
PARTS = 8 if WHOLE else 1
"""Into how many tests a walk is cut, so that several workers can share it; a sample is small."""

EACH = pytest.mark.parametrize("verb", VERBS)
PART = pytest.mark.parametrize("part", range(PARTS))


def walk(verb: str, part: int, files: Files, sample: int, each: int = 1) -> None:
    """Have calls of a verb fail, as many as a sample has, and judge each time.

    The whole walk takes every one, or one of `each` where a whole one would take days.
    """
    write("first.yaml", files.FIRST)
    write("second.yaml", files.SECOND)
    walk_, wrong = VERBS[verb], list[str]()
    with Faults() as netloom:
        states, every_try = explore(netloom, walk_)
        mine = every_try[part :: PARTS * each] if WHOLE else every_try[:sample]
        for one, found in tried(netloom, walk_, states, mine):
            wrong += [f"{one} {ERRNOS[one.number]}: {what}" for what in found]
    assert not wrong, "\n".join(wrong)


def tried(
    netloom: Faults, walk_: Walk, states: States, every_try: Sequence[Try]
) -> Iterator[tuple[Try, list[str]]]:
    """Yield for each try what was wrong; who was led back to the beginning begins there again."""
    is_back = False
    for one in every_try:
        if not is_back:
            begin(netloom, walk_)
        answer = netloom.fail(one, *walk_.verb)
        now = settled(ended(answer, states))
        found = [f"{each}: {answer}" for each in judged(netloom, walk_, answer, states, now)]
        is_back = now == states.before and any(words in answer["stderr"] for words in UNDONE)
        left = "" if is_back else taken_down(netloom, states)
        yield one, [*found, *([left] if left else [])]
        if left:
            return
    left = taken_down(netloom, states)
    assert not left, left


def taken_down(netloom: Faults, states: States) -> str:
    """Take down what there is, and return what is left of it."""
    answer = netloom.ask(("down", "shop"))
    if answer["status"] not in {0, 2}:  # 2: there is no lab any more
        return f"`down` ends with {answer}"
    left = differences(states.base, state())
    return f"`down` leaves\n{left}" if left else ""


def explore(netloom: Faults, walk_: Walk) -> tuple[States, list[Try]]:
    """Return what there is around a verb, and all that may fail in it."""
    netloom("up", "first.yaml")  # the first ever makes /run/netns besides
    netloom("down", "shop")
    base = state()
    begin(netloom, walk_)
    before = state()
    every_try = tries(netloom.seen(*walk_.verb))
    states = States(base, before, state())
    netloom.ask(("down", "shop"))
    assert differences(base, state()) == ""
    return states, every_try


def begin(netloom: Faults, walk_: Walk) -> None:
    """Lead to where a walk begins."""
    for words in walk_.before:
        netloom(*words)


def tries(seen: dict[str, int]) -> list[Try]:
    """Return all that is to be tried of the calls that a verb makes, any first part of it mixed."""
    found = [
        Try(call, at, number)
        for call, times in sorted(seen.items())
        for at in range(1, times + 1)
        for number in ERRNOS
        if call not in NOT_TRIED.split() and (call not in MEMORY or number == errno.ENOMEM)
    ]
    stride = next(n for n in count(round(len(found) * 0.618)) if gcd(n, len(found)) == 1)
    return [found[at * stride % len(found)] for at in range(len(found))]


@EACH
@PART
@on_a_host
def test_any_error_in_a_verb_is_told_as_it_is(verb: str, part: int) -> None:
    """Done, undone, or nothing touched; and what is said is true. Seven of 4,000 and more."""
    walk(verb, part, test_no_trace, 7)


@pytest.mark.parametrize(
    ("call", "number", "words"),
    [
        ("mmap", errno.ENOMEM, "a thread ended before its first step"),
        ("chmod", errno.EIO, "Input/output error"),
    ],
)
@on_a_host
def test_each_call_of_a_kind_is_told_as_it_is(call: str, number: int, words: str) -> None:
    """CPython waits for ever for a thread without memory; a folder has its mode, or is not."""
    write("first.yaml", test_no_trace.FIRST)
    said = ""
    with Faults() as netloom:
        states, every_try = explore(netloom, UP)
        for one in (one for one in every_try if (one.call, one.number) == (call, number)):
            answer = netloom.fail(one, *UP.verb)
            found = list(judged(netloom, UP, answer, states, settled(ended(answer, states))))
            assert not found, (one, found, answer)
            said += answer["stderr"]
            netloom.ask(("down", "shop"))
    assert said.count(words) > 1


@pytest.mark.long
@EACH
@PART
@on_the_internet()
def test_any_error_in_a_lab_with_a_way_out_is_told_as_it_is(verb: str, part: int) -> None:
    """Rules of a firewall and shared settings included."""
    walk(verb, part, test_uplink_walk, 14, each=50)


@pytest.mark.long
@EACH
@PART
@on_a_host
def test_any_error_in_a_lab_with_commands_is_told_as_it_is(verb: str, part: int) -> None:
    """Whoever was started is ended, or there."""
    says("nft", "delete", "table", "inet", "filter")
    walk(verb, part, test_run_walk, 14, each=200)


# ── a disk that is full ───────────────────────────────────────────────────────────────────────────

UPLINK = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces:
  db: {networks: [lan]}
  web: {networks: [lan], publish: "8080:80"}
"""
STEPS = {"nr_inodes": [str(n) for n in range(2, 60)], "size": [f"{k}k" for k in range(4, 100, 4)]}


@pytest.mark.parametrize("what", ["nr_inodes", pytest.param("size", marks=pytest.mark.long)])
@on_the_internet()
def test_a_lab_with_a_way_out_leaves_nothing_where_run_is_full(what: str) -> None:
    """From no room at all to just enough, rules and shared settings of the host included."""
    says("mount", "-t", "tmpfs", "-o", "mode=755", "work", "/mnt")
    os.chdir("/mnt")
    write("first.yaml", UPLINK)
    statuses: list[int] = []
    with Warm() as warm:
        for room in STEPS[what]:
            says("mount", "-t", "tmpfs", "-o", f"mode=755,{what}={room}", "run", "/run")
            Path("/run/netns").mkdir()
            before = everything()
            answer = warm.ask(["up", "first.yaml"])
            statuses.append(answer["status"])
            if answer["status"] == 0:
                warm("down", "first.yaml")
            else:
                assert "No space left on device" in answer["stderr"]
                told = {1: "has been undone", 2: "nothing was touched"}[answer["status"]]
                assert told in answer["stderr"], answer
            assert differences(before, everything()) == "", (room, answer)
            ran("umount", "-l", "/run/netns", check=False)
            says("umount", "-l", "/run")
            if answer["status"] == 0:
                break
    assert statuses[-1] == 0
    assert set(statuses) == {2, 1, 0}
