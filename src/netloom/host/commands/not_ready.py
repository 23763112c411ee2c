"""Why a command is not ready: how it ended, or what it does instead, and its last lines."""

from collections.abc import Collection, Iterator
from contextlib import suppress

from netloom.errors import KernelError
from netloom.host.commands.processes import ProcessNote, RunCommand, log_path, tail
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.process import descendants, processes
from netloom.kernel.sockets import listeners, sockets_of, unix_listeners
from netloom.model.ready import EXIT, Ready

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


def why_not_ready(lab: str, command: RunCommand, why: str) -> str:
    """Return why a command is not ready, and its last lines."""
    lines = [f"`{command.name}` in `{command.netns}` {why}"]
    if last := tail(lab, command.netns, command.name, _SHOWN):
        log = log_path(lab, command.netns, command.name)
        lines += [f"  the end of {log}:", *(f"    {line}" for line in last)]
    else:
        lines.append("  it has printed nothing")
    return "\n".join(lines)


def why_not_started(command: RunCommand, ready: Collection[str]) -> str:
    """Return why a command was not started that comes after others."""
    missing = ", ".join(f"`{key}`" for key in command.after if key not in ready)
    why = f"it comes after {missing}" if missing else "another netloom is changing the lab"
    return f"`{command.name}` in `{command.netns}` was not started: {why}"


def still(wanted: Ready | None, supervisor: ProcessNote | None, diag: Rtnetlink | None) -> str:
    """Return what one that runs does in place of what it was to do."""
    if wanted and wanted.kind == EXIT:
        return "is running, and has not ended"
    if wanted is None or wanted.kind == "log":
        return f"is running, but has not printed `{wanted.text if wanted else ''}`"
    instead = ", ".join(sorted(set(_instead(supervisor, diag)))) or "nothing"
    return f"is running, but nothing listens on {wanted}; it listens on {instead}"


def _instead(supervisor: ProcessNote | None, diag: Rtnetlink | None) -> Iterator[str]:
    """Yield what a command and all that it forked listen on."""
    if supervisor is None or diag is None:
        return
    those = descendants(processes(), {supervisor.pid})
    own = set[int]().union(*(sockets_of(pid) for pid in those))
    with suppress(KernelError):
        for kind in _KINDS:
            for each in listeners(diag, kind):
                if each.inode in own:
                    address = f"[{each.address}]" if ":" in each.address else each.address
                    yield f"{kind}/{each.port} ({address}:{each.port})"
        for bound in unix_listeners(diag):
            if bound.inode in own:
                yield f"unix/{bound.name}"
