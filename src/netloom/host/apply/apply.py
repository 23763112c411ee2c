"""Doing: a plan, carried out on this machine by one throwaway thread.

Rule 1: no decisions. What to do is `plan/diff.py`, what becomes of a refusal is the caller's.
Rule 2: whatever a step meets (no memory, a limit, a broken disk) is a refusal of that step, as the
kernel's own are: the caller undoes one as the other.

Should: run after the journal is on disk.
Mustn't: be called twice at once for one lab.
"""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from netloom.errors import FAILURES, KernelError, Refused, Unavailable, failure
from netloom.host import etc
from netloom.host.apply.execute import delete_together, execute, start_together, stop_together
from netloom.host.apply.executor import Executor
from netloom.host.apply.netns_pool import OPEN
from netloom.host.apply.options import Applied, ApplyOptions
from netloom.host.firewall import connections, shared_sysctls
from netloom.namespaces import registry
from netloom.namespaces.enter import visiting
from netloom.namespaces.handle import NoSuchNetns
from netloom.plan import steps
from netloom.plan.steps import Plan, Step
from netloom.render.script import command
from netloom.render.text import line

_AT_ONCE: dict[type[Step], Callable[[Any, Executor], None]] = {
    steps.LinkDel: delete_together,
    steps.RunStart: start_together,
    steps.RunStop: stop_together,
}
"""How neighbouring steps of one kind are carried out at once."""


def _work(plan: Plan, options: ApplyOptions) -> Applied:
    """Carry out all steps; stop at the first refusal unless told to go on."""
    executor = Executor(plan, options)
    done = 0
    try:
        for together in _grouped(plan):
            if options.stopped():
                break
            _execute_or_note(together, executor)
            done += len(together)
            options.progress(done)
            if executor.refused and not options.go_on:
                return Applied(executor.refused)
        executor.flush_or_note()
        executor.settle()
        return Applied(executor.refused, executor.made.identities(executor.pool))
    finally:
        executor.close()


def _execute_or_note(together: tuple[Step, ...], executor: Executor) -> None:
    """Carry out steps, or note that they were refused."""
    first = together[0]
    try:
        if len(together) > 1 or not isinstance(first, steps.LinkDel):
            _AT_ONCE.get(type(first), _execute_each)(together, executor)
        else:
            execute(first, executor)
    except (Unavailable, *FAILURES) as error:
        executor.note(first, _as_kernel_error(error))


def _execute_each(together: tuple[Step, ...], executor: Executor) -> None:
    for step in together:
        execute(step, executor)


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


def apply(plan: Plan, options: ApplyOptions) -> Applied:
    """Carry out a plan; what is refused is at most one step, unless told to go on."""
    applied = _applied(plan, options) if plan else Applied([])
    if applied.refused and not options.go_on:
        return applied
    return replace(applied, refused=[*applied.refused, *_tidied(options)])


def _applied(plan: Plan, options: ApplyOptions) -> Applied:
    """Carry out the steps; where none can be begun, the first is refused, or all if told so."""
    try:
        if any(isinstance(step, steps.NetnsAdd) for step in plan):
            registry.prepare()
        _raise_limit()
        return visiting(_work, plan, options)
    except (Unavailable, *FAILURES) as error:
        if options.preallocator:
            options.preallocator.close()
        cause = _as_kernel_error(error)
        those = plan if options.go_on else plan[:1]
        return Applied([Refused(line(step), cause, asked=command(step)) for step in those])


def _tidied(options: ApplyOptions) -> Iterator[Refused]:
    """Forget and remove what no step names; yield what is left of it."""
    what: list[tuple[str, str, Callable[[], None]]] = [
        ("- /etc/netns", "rmdir /etc/netns", etc.tidy),
        ("- claims", f"rmdir {shared_sysctls.CLAIMS_DIR}", shared_sysctls.tidy),
    ]
    if options.inside:
        those = " ".join(sorted(options.inside))
        forget = partial(connections.forget, options.inside)
        what.insert(0, (f"- connections {those}", f"conntrack -D -s {those}", forget))
    for step, asked, tidy in what:
        try:
            tidy()
        except FAILURES as error:
            yield Refused(step, failure(error), asked=asked)


def _as_kernel_error(error: BaseException) -> KernelError:
    """Return what was behind a refusal; a sentence may have nothing behind it."""
    if not isinstance(error, Unavailable):
        return failure(error)
    if isinstance(error, NoSuchNetns):
        return KernelError(errno.ENOENT, "", error.reason)
    cause = error.__cause__
    number = failure(cause).errno if isinstance(cause, FAILURES) else 0
    return KernelError(number or 0, "", error.reason.removesuffix(f": {os.strerror(number or 0)}"))


def _raise_limit() -> None:
    """Raise the soft limit of open files as far as the hard one allows (getrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and soft < 4 * OPEN:
        with suppress(OSError, ValueError):  # then there are fewer, and a step may say so
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * OPEN), hard))
