"""Why a command is not ready: how it ended, or what it does instead, and its last lines."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from netloom.errors import KernelError
from netloom.host.commands.processes import RunCommand, tail
from netloom.kernel.process import descendants, processes
from netloom.kernel.sockets import listeners, sockets_of, unix_listeners
from netloom.model.ready import EXIT, Ready

if TYPE_CHECKING:
    from netloom.host.commands.wait_ready import Watch

_SHOWN = 10
"""Lines of a log that are shown."""

_KINDS = ("tcp", "udp")
_SIGNALLED = "was ended by signal {}"


def over(status: int) -> str:
    """Return how a command ended."""
    return _SIGNALLED.format(-status) if status < 0 else f"ended with status {status}"


def goal(wanted: Ready) -> str:
    """Return what did not happen, to follow `before`."""
    if wanted.kind == "log":
        return f"it printed `{wanted.text}`"
    return f"anything listened on {wanted}"


def why_not_ready(lab: str, watch: "Watch") -> str:
    """Return why a command is not ready, and its last lines."""
    command = watch.command
    why = watch.reason or _still(watch)
    lines = [f"`{command.name}` in `{command.netns}` {why}"]
    if last := tail(lab, command.netns, command.name, _SHOWN):
        lines += [f"  the end of {watch.log}:", *(f"    {line}" for line in last)]
    else:
        lines.append("  it has printed nothing")
    return "\n".join(lines)


def why_not_started(command: RunCommand, ready: Collection[str]) -> str:
    """Return why a command was not started that comes after others."""
    missing = ", ".join(f"`{key}`" for key in command.after if key not in ready)
    why = f"it comes after {missing}" if missing else "another netloom is changing the lab"
    return f"`{command.name}` in `{command.netns}` was not started: {why}"


def _still(watch: "Watch") -> str:
    """Return what one that runs does in place of what it was to do."""
    wanted = watch.wanted
    if wanted and wanted.kind == EXIT:
        return "is running, and has not ended"
    if wanted is None or wanted.kind == "log":
        return f"is running, but has not printed `{wanted.text if wanted else ''}`"
    instead = ", ".join(sorted(set(_instead(watch)))) or "nothing"
    return f"is running, but nothing listens on {wanted}; it listens on {instead}"


def _instead(watch: "Watch") -> Iterator[str]:
    """Yield what the command and all that it forked listen on."""
    noted = watch.run.supervisor if watch.run else None
    if noted is None or watch.diag is None:
        return
    own = set[int]().union(*(sockets_of(pid) for pid in descendants(processes(), {noted.pid})))
    with suppress(KernelError):
        for kind in _KINDS:
            for each in listeners(watch.diag, kind):
                if each.inode in own:
                    address = f"[{each.address}]" if ":" in each.address else each.address
                    yield f"{kind}/{each.port} ({address}:{each.port})"
        for bound in unix_listeners(watch.diag):
            if bound.inode in own:
                yield f"unix/{bound.name}"
