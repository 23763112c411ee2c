"""Doing: a plan, carried out on this machine by one throwaway thread.

Rule 1: no decisions. What to do is `plan/diff.py`, what becomes of a refusal is the caller's.

Should: run after the journal is on disk.
Mustn't: be called twice at once for one lab.
"""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from netloom.errors import KernelError, Refused, Unavailable
from netloom.host import etc
from netloom.host.carry import carry, delete_together, start_together, stop_together
from netloom.host.machine import Orders
from netloom.host.rooms import OPEN
from netloom.host.walls import claims, flows
from netloom.host.worker import Worker
from netloom.namespaces import names as registry
from netloom.namespaces.enter import roam
from netloom.namespaces.handle import NoSuchNetns
from netloom.plan import steps
from netloom.plan.steps import Plan, Step
from netloom.render.shell import command
from netloom.render.text import line

_AT_ONCE: dict[type[Step], Callable[[Any, Worker], None]] = {
    steps.LinkDel: delete_together,
    steps.RunStart: start_together,
    steps.RunStop: stop_together,
}
"""How neighbouring steps of one kind are carried out at once."""


def _work(plan: Plan, orders: Orders) -> list[Refused]:
    """Carry out all steps; stop at the first refusal unless told to go on."""
    worker = Worker(plan, orders)
    done = 0
    try:
        for together in _grouped(plan):
            if orders.stopped():
                break
            _carry_or_note(together, worker)
            done += len(together)
            orders.progress(done)
            if worker.refused and not orders.go_on:
                return worker.refused
        worker.flush_or_note()
        worker.settle()
        return worker.refused
    finally:
        worker.close()


def _carry_or_note(together: tuple[Step, ...], worker: Worker) -> None:
    """Carry out steps, or note that they were refused."""
    first = together[0]
    try:
        if len(together) > 1 or not isinstance(first, steps.LinkDel):
            _AT_ONCE.get(type(first), _carry_each)(together, worker)
        else:
            carry(first, worker)
    except KernelError as error:
        worker.note(first, error)
    except Unavailable as error:
        worker.note(first, _as_kernel_error(error))


def _carry_each(together: tuple[Step, ...], worker: Worker) -> None:
    for step in together:
        carry(step, worker)


def _grouped(plan: Plan) -> Iterator[tuple[Step, ...]]:
    """Yield the steps, neighbours that are carried out at once taken together."""
    for (kind, _), group in groupby(plan, key=_company):
        if kind in _AT_ONCE:
            yield tuple(group)
        else:
            yield from ((step,) for step in group)


def _company(step: Step) -> tuple[type[Step], str]:
    """Return what steps must have in common; links are deleted together in one namespace."""
    kind = type(step)
    return kind, step.end.netns if isinstance(step, steps.LinkDel) else ""


def apply(plan: Plan, orders: Orders) -> list[Refused]:
    """Carry out a plan; return what was refused, at most one unless told to go on."""
    first = next((step for step in plan if isinstance(step, steps.NetnsAdd)), None)
    if first:
        try:
            registry.prepare()
        except Unavailable as error:
            if orders.nursery:
                orders.nursery.close()
            return [Refused(line(first), _as_kernel_error(error), asked=command(first))]
    _raise_limit()
    refused = roam(_work, plan, orders)
    if orders.inside:
        flows.forget(orders.inside)
    etc.tidy()
    claims.tidy()
    return refused


def _as_kernel_error(error: Unavailable) -> KernelError:
    """Return what was behind a refusal; with none behind it, it was a name that is taken."""
    cause = error.__cause__
    if isinstance(error, NoSuchNetns):
        return KernelError(errno.ENOENT, "", error.reason)
    number = cause.errno if isinstance(cause, OSError) and cause.errno else errno.EEXIST
    return KernelError(number, "", error.reason.removesuffix(f": {os.strerror(number)}"))


def _raise_limit() -> None:
    """Raise the soft limit of open files as far as the hard one allows (getrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and soft < 4 * OPEN:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * OPEN), hard))
