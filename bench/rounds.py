"""Rounds: every subject once in each, the order turned by one, so that drift meets all alike."""

import json
import subprocess
import time
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from bench.subjects import FLOOR, BenchError, Run, Subject


class Sample(NamedTuple):
    """One up and one down; `gone`: until the last port has gone, and `down` has said so."""

    up: Run
    down: Run
    gone: float


class Medians(NamedTuple):
    """The middle of all samples of a subject at one N; seconds, and the largest peak of memory.

    A session has no `wall`; `inside` is what a subject that counts for itself says.
    """

    wall: float | None
    inside: float | None
    gone: float
    peak_kb: int
    phases: dict[str, float]

    @property
    def up(self) -> float:
        """What the subject is judged by: what its user waits for; a session counts for itself."""
        seconds = self.inside if self.wall is None else self.wall
        assert seconds is not None
        return seconds


Table = dict[int, dict[str, list[Sample]]]


def settle() -> None:
    """Wait until the kernel has finished with what the one before has left to it."""
    subprocess.run([FLOOR, "settle"], check=True, timeout=600)


def once(subject: Subject, n: int) -> Sample:
    """Make the star, let a witness count its ports, take it down, and wait for the witness."""
    settle()
    up = subject.up(n)
    with subprocess.Popen(
        [FLOOR, "watch", subject.switch(n)], stdout=subprocess.PIPE, text=True
    ) as witness:
        assert witness.stdout
        seen = json.loads(witness.stdout.readline())["watching"]
        if seen != n:
            msg = f"{subject.name}: {seen} ports of {n}"
            witness.kill()
            raise BenchError(msg)
        start = time.monotonic()
        down = subject.down(n)
        gone = json.loads(witness.communicate(timeout=600)[0])["gone_at"] - start
    return Sample(up, down, max(gone, down.wall or down.inside or 0.0))


def play(subjects: list[Subject], n: int, rounds: int) -> Iterator[tuple[str, Sample]]:
    """Yield the samples of all rounds at one N as they are taken."""
    for turn in range(rounds):
        k = turn % len(subjects)
        for subject in subjects[k:] + subjects[:k]:
            yield subject.name, once(subject, n)


def middle(values: list[float | None]) -> float | None:
    """Return the median, None where nothing was counted."""
    counted = [value for value in values if value is not None]
    return median(counted) if counted else None


def medians(samples: list[Sample]) -> Medians:
    """Return the middle of the samples of one subject at one N."""
    phases = samples[0].up.phases
    return Medians(
        wall=middle([sample.up.wall for sample in samples]),
        inside=middle([sample.up.inside for sample in samples]),
        gone=median(sample.gone for sample in samples),
        peak_kb=max(max(sample.up.peak_kb, sample.down.peak_kb) for sample in samples),
        phases={key: median(sample.up.phases[key] for sample in samples) for key in phases},
    )


def best_floor(found: dict[str, Medians]) -> Medians:
    """Return the best of all ways to the floor: no order of its steps is the fastest at every N."""
    ways = [it for name, it in found.items() if name.startswith("floor")]
    return Medians(
        wall=min(it.up for it in ways),
        inside=min(it.inside or it.up for it in ways),
        gone=min(it.gone for it in ways),
        peak_kb=min(it.peak_kb for it in ways),
        phases={},
    )
