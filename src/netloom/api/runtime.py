"""Where the lab of a Python program stands, and all that it has to let go of at its end."""

import os
import subprocess  # noqa: TC003 - what is reaped
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from mmap import mmap
from typing import Any, ParamSpec, TypeVar

from netloom.api.processes.reap import end_all_in, end_residents
from netloom.api.processes.side_process import start_outer_agent, start_watchdog
from netloom.engine.down import down
from netloom.errors import NetloomError, TopologyError, Unavailable
from netloom.host.cancel import deferred_signals
from netloom.host.local import LocalMachine
from netloom.host.rootless.entry import Session
from netloom.host.sandbox import SandboxMachine
from netloom.kernel.closing import Closing
from netloom.model.objects import HOST
from netloom.namespaces.context import (
    NetnsContext,
    netns_context,
    new_context,
    own_context,
    process_context,
)
from netloom.namespaces.enter import setns
from netloom.namespaces.handle import open_name
from netloom.namespaces.references import identity
from netloom.namespaces.userns_session import is_needed, is_used

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Runtime(Closing):
    """The context of a lab, those of its namespaces, and the processes that were started there."""

    def __init__(self, lab: str, *, persistent: bool) -> None:
        """Make a context of the lab's own, or take that that the process is in."""
        self.lab = lab
        self.persistent = persistent
        self._holder = Session() if persistent and is_needed() else None
        if self._holder:
            self.context = process_context(self._holder.find(start=True))
        else:
            self.context = own_context() if persistent else new_context()
        own = SandboxMachine(lab, in_memory=self.context.user < 0)
        self.machine: LocalMachine = LocalMachine() if persistent else own
        self._lock = threading.RLock()
        self._contexts: dict[str, NetnsContext] = {}
        self._entered: set[str] = set()
        self._children: list[subprocess.Popen[Any]] = []
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._outer_agent: subprocess.Popen[bytes] | None = None
        self._program = os.getpid()
        self._spawned = mmap(-1, 1)  # which a process that is forked shares with us
        self._is_ours = False

    def context_of(self, name: str) -> NetnsContext:
        """Return a namespace with what is seen in it, opened when it is first asked for."""
        context = self._contexts.get(name)
        if context is not None:
            return context
        with self._lock, deferred_signals():
            context = self._contexts.get(name)
            if context is None:
                inner = "" if name == HOST else name
                context = self._contexts[name] = netns_context(self.context, inner)
                self._entered.add(name)
            return context

    def probed(self, name: str, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
        """Return what a call returns that needs the network of a namespace, and leaves nothing.

        Should: be used where nobody looks at /sys or /etc: mounts to see them cost a millisecond.
        """
        context = self._contexts.get(name)
        if context or name == HOST:
            return (context or self.context).call(call, *args, **keys)

        def inside() -> _T:
            with open_name(name) as netns:
                setns(netns)
            return call(*args, **keys)

        return self.context.call(inside)

    @contextmanager
    def expecting(self, number: int) -> Iterator[None]:
        """Begin to make namespaces that a change in the block will ask for."""
        machine = self.machine
        if not isinstance(machine, SandboxMachine):
            yield
            return
        machine.expect(number)
        try:
            yield
        finally:
            machine.empty = False  # it is a copy that was told, if that was in a child
            machine.dismiss()

    def changing(self, make: Callable[..., _T], *args: object) -> _T:
        """Return what `make` returns, which changes the lab.

        A lab that stands where others see it becomes ours by the first change that is not refused
        before it begins: until then one of its name is somebody else's.
        """
        try:
            done = self.context.call(make, *args, replacing=self._is_ours)
        except (TopologyError, Unavailable):
            raise
        except NetloomError:
            self._is_ours = True
            raise
        self._is_ours = True
        return done

    def check_whose(self) -> None:
        """Raise `Unavailable` in a process that was forked: no other would know of its change."""
        if os.getpid() != self._program:
            reason = f"a process that was forked may use the lab `{self.lab}`, and not change it"
            raise Unavailable(reason, "change it in the program, or make a lab in the process")

    def forget(self, name: str) -> None:
        """Open a namespace anew when it is asked for next: what is seen in it is another now."""
        with self._lock:
            context = self._contexts.pop(name, None)
            if context is not None:
                context.close()

    @property
    def opened(self) -> list[str]:
        """The namespaces that were asked for, be they open still or not."""
        return sorted(self._entered)

    @property
    def has_spawned(self) -> bool:
        """Whether any process was started there: then a watchdog is there."""
        return bool(self._spawned[0])

    def spawns(self) -> None:
        """Note that a process is about to be started, which must not outlive the lab."""
        with self._lock:
            if not self.persistent and self._watchdog is None:
                self._watchdog = start_watchdog(self.context, self.lab, self._program)
                self._spawned[0] = 1

    def leads_out(self) -> None:
        """Note that the lab asks for a way out: a program outside, which must not outlive it."""
        with self._lock:
            self.spawns()
            if not self.persistent and (
                self._outer_agent is None or self._outer_agent.poll() is not None
            ):
                self._outer_agent = start_outer_agent(self.context)
                self.adopt(self._outer_agent)

    def adopt(self, process: "subprocess.Popen[Any]") -> None:
        """Reap a process with the lab: who has started it need not."""
        self._children.append(process)

    def clear(self, names: Iterable[str]) -> None:
        """End what lives in namespaces that are no more in the lab, and let go of them."""
        with self._lock:
            names = list(names)
            self._entered.difference_update(names)
            gone = [context for name in names if (context := self._contexts.pop(name, None))]
            try:
                if gone and self.has_spawned:
                    self.context.call(end_all_in, {identity(context.net) for context in gone})
            finally:
                for context in gone:
                    context.close()

    def close(self) -> None:
        """End what runs there, and let go of all contexts.

        A process that was forked meanwhile, and comes here too, only lets go.
        """
        with self._lock, ExitStack() as stack:
            for context in (self.context, *self._contexts.values()):
                stack.callback(context.close)
            self._contexts = {}
            if os.getpid() != self._program:
                return
            if self._holder:
                stack.callback(self._tidy, self._holder)
            children, self._children = self._children, []
            for child in children:
                stack.callback(_reap, child)
            if self.persistent:
                for child in children:
                    child.kill()
                if self._is_ours:
                    self.context.call(down, self.lab)
            elif self._spawned[0]:  # here, or by a process that was forked
                with suppress(RuntimeError):  # at a program's very end no thread begins: it does it
                    self.context.call(end_residents, self.lab)
                    if self._watchdog:
                        _reap(self._watchdog)

    def _tidy(self, holder: Session) -> None:
        holder.tidy(used=self.context.call(is_used))


def _reap(child: "subprocess.Popen[Any]") -> None:
    child.kill()  # it has ended, unless ending it went wrong
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def not_open(lab: str) -> Unavailable:
    """Return the refusal of what is asked of a lab before or after its `with` block."""
    return Unavailable(f"the lab `{lab}` is not open", "with Lab() as lab: …")
