"""Doing: a plan, carried out on this machine by one throwaway thread.

Rule 1: no decisions. What to do is `plan/diff.py`, what becomes of a refusal is the caller's.

Should: run after the journal is on disk.
Mustn't: be called twice at once for one lab.
"""

import errno
import os
import resource

from netloom.errors import KernelError, Refused, Unavailable
from netloom.host import claims, etc
from netloom.host.carry import carry, delete_together
from netloom.host.machine import Orders
from netloom.host.rooms import OPEN
from netloom.host.worker import Worker
from netloom.netns import names as registry
from netloom.netns.enter import aside
from netloom.plan import steps
from netloom.plan.steps import Plan, Step
from netloom.render.shell import command
from netloom.render.text import line


def _work(plan: Plan, orders: Orders) -> list[Refused]:
    """Carry out all steps; stop at the first refusal unless told to go on."""
    worker = Worker(plan, orders)
    try:
        for done, step in enumerate(_grouped(plan)):
            if orders.stopped():
                break
            orders.progress(done)
            _carry_or_note(step, worker)
            if worker.refused and not orders.go_on:
                return worker.refused
        worker.flush_or_note()
        orders.progress(len(plan))
        return worker.refused
    finally:
        worker.close()


def _carry_or_note(step: Step | tuple[steps.LinkDel, ...], worker: Worker) -> None:
    """Carry out a step, or note that it was refused."""
    try:
        if isinstance(step, tuple):
            delete_together(step, worker)
        else:
            carry(step, worker)
    except KernelError as error:
        worker.note(step[0] if isinstance(step, tuple) else step, error)
    except Unavailable as error:
        worker.note(step[0] if isinstance(step, tuple) else step, _as_kernel_error(error))


def _grouped(plan: Plan) -> list[Step | tuple[steps.LinkDel, ...]]:
    """Return the steps, neighbouring deletions of links of one namespace taken together."""
    found: list[Step | tuple[steps.LinkDel, ...]] = []
    run: list[steps.LinkDel] = []
    for step in (*plan, None):
        if isinstance(step, steps.LinkDel) and (not run or run[0].end.netns == step.end.netns):
            run.append(step)
            continue
        if run:
            found.append(run[0] if len(run) == 1 else tuple(run))
        run = [step] if isinstance(step, steps.LinkDel) else []
        if step is not None and not run:
            found.append(step)
    return found


def apply(plan: Plan, orders: Orders) -> list[Refused]:
    """Carry out a plan; return what was refused, at most one unless told to go on."""
    first = next((step for step in plan if isinstance(step, steps.NetnsAdd)), None)
    if first:
        try:
            registry.prepare()
        except Unavailable as error:
            return [Refused(line(first), _as_kernel_error(error), asked=command(first))]
    _raise_limit()
    refused = aside(_work, plan, orders)
    etc.tidy()
    claims.tidy()
    return refused


def _as_kernel_error(error: Unavailable) -> KernelError:
    """Return what was behind a refusal; with none behind it, it was a name that is taken."""
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) and cause.errno else errno.EEXIST
    return KernelError(number, "", error.reason.removesuffix(f": {os.strerror(number)}"))


def _raise_limit() -> None:
    """Raise the soft limit of open files as far as the hard one allows (getrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and soft < 4 * OPEN:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * OPEN), hard))
