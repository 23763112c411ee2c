"""Waiting until commands are ready, with a deadline and a reason; and starting who waits for that.

A command that comes after others (`after:`) is started here, as soon as all of those are ready. So
who is waited for by nobody (Ctrl-C, a deadline, one that failed) was not started, and is missing:
`verify` tells it, and the next `up` goes on with it.

What a command prints is an event (inotify), and so is its end: the note of its supervisor, or the
supervisor's own end (pidfd). That something listens is none: the kernel tells nobody of a new
listener. So it is asked again after 1 ms, 1.5 ms and so on, up to 50 ms, which costs 0.05 ms each
time; that is no sleep, for any event wakes it.
"""

import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from netloom.errors import Interrupted, NotReady, Unavailable
from netloom.host.commands.not_ready import goal, over, still, why_not_ready, why_not_started
from netloom.host.commands.printed import WIDTH, Reader, unstamped
from netloom.host.commands.processes import RunCommand, Start, alive, log_path, read_run, runs
from netloom.kernel import inotify
from netloom.kernel.files import exists
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.process import age, open_pidfd
from netloom.kernel.procfs import boot_id
from netloom.kernel.sockets import diag_socket, file_at, listeners, unix_listeners
from netloom.model.objects import HOST, command_key
from netloom.model.ready import EXIT, Ready, parse_ready
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name

if TYPE_CHECKING:
    from netloom.host.cancel import Cancel

FIRST = 0.001
LONGEST = 0.05
SLOWER = 1.5
"""Seconds between two questions: the first pause, the longest, and how much longer each is."""

SETTLING = 0.05
"""Seconds for which one without `ready` must run: a wrong name or argument ends it in less."""

_YOUNG = 1.0
"""Seconds from its birth within which a command may just have become its program (execve(2)):
only the birth is noted, and before the program come the mounts."""

Starter = Callable[[list[RunCommand]], bool]
"""Starts commands; false where somebody else is changing the lab just now, and it has to wait."""


def _nobody(commands: list[RunCommand]) -> bool:
    """Start nobody."""
    return not commands


def wait_ready(
    lab: str,
    commands: Sequence[RunCommand],
    timeout: float,
    stop: "Cancel | None" = None,
    start: Starter = _nobody,
) -> None:
    """Return when all are ready; raise `NotReady` for the first that ends before, or for all late.

    `timeout` is in seconds. A command without `ready` is ready when it has run for `SETTLING`, or
    has ended with 0; one that fails while others are waited for is told, too. Those that come after
    others, and were not started yet, `start` starts. Raises `Interrupted` as soon as it is asked to
    `stop`.

    Should: come after `launch.start`.
    Mustn't: end anything: who looks for the reason finds everything as it is.
    """
    began = time.monotonic()
    with _Vigil(lab, commands, stop, start) as vigil:
        missing = vigil.until(began + timeout)
        reasons = [why_not_ready(lab, watch.command, watch.why()) for watch in missing]
        reasons += [why_not_started(command, vigil.ready) for command in vigil.later]
    if reasons:
        raise NotReady("\n".join(reasons), round(time.monotonic() - began, 2))


def listens(wanted: Ready, diag: Rtnetlink, pid: int) -> bool:
    """Whether something listens as `wanted` says (not `log`), where `diag` can be asked for it.

    A path is as the process `pid` sees it.
    """
    if wanted.kind != "unix":
        return any(each.port == wanted.port for each in listeners(diag, wanted.kind))
    found = unix_listeners(diag)
    if any(each.name == wanted.text for each in found):
        return True
    # It may have bound a relative name, or one below a link.
    file = None if wanted.text[0] == "@" else file_at(f"/proc/{pid}/root{wanted.text}")
    return file is not None and any(each.file == file for each in found)


class _Watch:
    """One command that is waited for: when it is asked next, and why it never will be ready."""

    def __init__(self, command: RunCommand, run: Start | None, lab: str) -> None:
        """Have asked for nothing yet; `run` is its last start, None if there was none."""
        self.command = command
        self.wanted: Ready | None = parse_ready(command.ready) if command.ready else None
        self.run = run
        self.diag: Rtnetlink | None = None
        self.log = log_path(lab, command.netns, command.name)
        self.read = run.supervisor.log if run and run.supervisor else 0
        self.kept = b""
        self.reason: str | None = None
        self.again = 0.0
        self.pause = FIRST
        self.settled = time.monotonic() + SETTLING if self._is_young() else 0.0

    @property
    def asks(self) -> bool:
        """Whether it has to be asked for, since no event tells it."""
        return self.wanted is not None and self.wanted.kind not in {"log", EXIT}

    def _is_young(self) -> bool:
        noted = self.run and (self.run.command or self.run.supervisor)
        return bool(noted and age(noted.start) < _YOUNG)

    def is_settling(self, now: float) -> bool:
        """Whether it has yet to become ready, or, without `ready`, to have run long enough."""
        return self.wanted is not None or now < self.settled

    def lets_others_start(self, now: float) -> bool:
        """Whether one that is not ready for good, since it may yet fail, has begun all the same."""
        return self.wanted is None and not self.reason and now >= self.settled

    def is_ready(self, boot: str) -> bool:
        """Whether it is ready for good; else `reason` is told if it never will be.

        One without `ready` that runs can still fail, so it is not.
        """
        if self.run is None:
            self.reason = "was not started"
            return False
        ended = self._ended(
            self.run, boot
        )  # before the look: what was ready before it ended was ready
        if self.wanted is None or self.wanted.kind == EXIT:
            if self.wanted and self.run.ended:  # whatever it left in the background
                ended = over(self.run.ended.status)
            done = ended == over(0)
            self.reason = None if done else ended
            return done
        if self._seen(self.wanted):
            return True
        self.reason = ended and f"{ended} before {goal(self.wanted)}"
        return False

    def why(self) -> str:
        """Return why it is not ready, to follow its name."""
        noted = self.run.supervisor if self.run else None
        return self.reason or still(self.wanted, noted, self.diag)

    def next_look(self, now: float, deadline: float) -> float:
        """Return when it is looked at again if no event comes before that."""
        if self.asks:
            pause, self.pause = self.pause, min(self.pause * SLOWER, LONGEST)
            return now + pause
        return self.settled if self.wanted is None and now < self.settled else deadline

    def _ended(self, run: Start, boot: str) -> str | None:
        """Return how it ended, None while it runs, be it in the background."""
        self.run = run = read_run(run.folder)
        if run.ended and (run.ended.status or run.over):
            return over(run.ended.status)
        if alive(run.supervisor, boot, run.asked):
            return None
        run = read_run(run.folder)  # it may have written its last note in between
        if run.ended:
            return over(run.ended.status)
        return "was lost: its supervisor was killed" if run.supervisor else "was not started"

    def _seen(self, wanted: Ready) -> bool:
        if wanted.kind == "log":
            return self._printed(os.fsencode(wanted.text))
        assert self.diag is not None
        return listens(
            wanted, self.diag, self.run.command.pid if self.run and self.run.command else 0
        )

    def _printed(self, text: bytes) -> bool:
        with suppress(FileNotFoundError), open(self.log, "rb") as file:
            reader = Reader(file.fileno(), self.read)
            longest = len(text) + WIDTH * (text.count(b"\n") + 1)
            while data := reader.read():
                self.read = reader.place
                self.kept = data if reader.missing else self.kept + data
                if text in unstamped(self.kept):
                    return True
                self.kept = self.kept[-longest:]
        return False


class _Vigil:
    """All that is watched, and what wakes it; `later` are those to be started, `ready` who is."""

    def __init__(
        self, lab: str, commands: Sequence[RunCommand], stop: "Cancel | None", start: Starter
    ) -> None:
        self.lab = lab
        self.stop = stop
        self.start = start
        self.boot = boot_id()
        found = _started(lab)
        first = [one for one in commands if not one.after or one.key in found]
        self.later = [one for one in commands if one.after and one.key not in found]
        self.late = False
        self.ready: set[str] = set()
        self.watches = [_Watch(one, found.get(one.key), lab) for one in first]
        self.poll = select.poll()
        self.woken: dict[int, _Watch] = {}
        self.events: dict[int, _Watch] = {}
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        with self.stack:
            self.queue = self.stack.enter_context(inotify.Inotify())
            self.poll.register(self.queue, select.POLLIN)
            if self.stop:
                self.poll.register(self.stop, select.POLLIN)
            for watch in self.watches:
                self._prepare(watch)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def _prepare(self, watch: _Watch) -> None:
        if watch.run is None:
            return
        self.events[self.queue.watch(watch.run.folder, inotify.MOVED_IN)] = watch
        if watch.asks:
            watch.diag = self.stack.enter_context(_diag(watch.command.netns))
        elif watch.wanted and exists(watch.log):
            self.events[self.queue.watch(watch.log, inotify.MODIFIED)] = watch
        # A file for each: only where the end of a supervisor must wake us.
        noted = watch.run.supervisor if watch.wanted else None
        fd = open_pidfd(noted.pid, noted.start) if noted else None
        if fd is not None:
            self.stack.callback(os.close, fd)
            self.poll.register(fd, select.POLLIN)
            self.woken[fd] = watch

    def until(self, deadline: float) -> list[_Watch]:
        """Return who is not ready: the first that never will be, or all at the deadline."""
        waiting = list(self.watches)
        while True:
            if self.stop and self.stop.cancelled:
                raise Interrupted
            now = time.monotonic()
            for watch in [each for each in waiting if each.again <= now]:
                if watch.is_ready(self.boot):
                    waiting.remove(watch)
                    self.ready.add(watch.command.key)
                elif watch.reason:
                    return [watch]
                elif watch.lets_others_start(now):
                    self.ready.add(watch.command.key)
                watch.again = watch.next_look(now, deadline)
            if begun := self._start_later():
                waiting += begun
                continue
            settling = self.later or any(each.is_settling(now) for each in waiting)
            if now >= deadline or not settling:
                return [each for each in waiting if each.wanted]
            again = [each.again for each in waiting]
            self._sleep_until(min([*again, now + LONGEST] if self.late else again), now)

    def _start_later(self) -> list[_Watch]:
        """Start those whose time has come; return them, to be watched."""
        due = [one for one in self.later if self.ready.issuperset(one.after)]
        self.late = bool(due) and not self.start(due)
        if not due or self.late:
            return []
        self.later = [one for one in self.later if not self.ready.issuperset(one.after)]
        found = _started(self.lab)
        begun = [_Watch(one, found.get(one.key), self.lab) for one in due]
        for watch in begun:
            self._prepare(watch)
        return begun

    def _sleep_until(self, when: float, now: float) -> None:
        for fd, _ in self.poll.poll(max(0.0, when - now) * 1000):
            if fd in self.woken:
                self.poll.unregister(fd)
                self.woken.pop(fd).again = 0.0
            else:
                told = self.queue.happened()
                for number, watch in self.events.items():
                    if told is None or number in told:
                        watch.again = 0.0


def _started(lab: str) -> dict[str, Start]:
    """Return the last start of each command, by `NS/NAME`."""
    found = sorted(runs(lab), key=lambda run: run.asked.since)
    return {command_key(*run.key): run for run in found}


def _diag(netns: str) -> Rtnetlink:
    try:
        if netns == HOST:
            return diag_socket()
        with open_name(netns) as handle:
            return enter(handle, diag_socket)
    except OSError as error:
        reason = f"cannot ask what listens in `{netns}`: {error.strerror}"
        raise Unavailable(reason, "modprobe -a tcp_diag udp_diag unix_diag") from error
