"""`enable` and `disable`: which labs start at boot, since named namespaces end with a reboot."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from netloom.cli.grammar import Argument, Verb, verb
from netloom.cli.output import REFUSED, Stop, answer, refusals, tell
from netloom.engine.origin import called
from netloom.engine.topology_file import DEFAULT_FILE, load
from netloom.errors import Unavailable, printable, quoted
from netloom.host import systemd
from netloom.host.cancel import deferred_signals
from netloom.language.suggest import did_you_mean


def _enabled(before: Sequence[str], incomplete: str) -> list[str]:  # noqa: ARG001 - a completion
    """Return the labs that start at boot."""
    return [name for name in _by_lab() if name.startswith(incomplete)]


@verb("enable", Argument("file", "[FILE]", default=DEFAULT_FILE, is_file=True))
def enable_command(file: str) -> None:
    """Have the lab of FILE started at boot, by systemd; the file is checked first."""
    from netloom.engine.draft import plan

    with refusals():
        source = load(file)
        systemd.check_may_write()  # the check of its rules would ask for other rights
        path = os.path.normpath(Path(file).absolute())
        _refuse_namesake(source.topology.name, path)
        plan(source)
        with deferred_signals(deadly=True):
            told = systemd.enable(path, _own_words())
    name = source.topology.name
    if not told.changed:
        answer(f"{name}  starts at boot already")
        return
    answer(f"{name}  will be started at boot: {systemd.unit_of(path)}")
    if told.note:
        tell(f"note: {told.note}: the link in {systemd.WANTS} is made by hand")
        return
    answer(f"now   systemctl start {shlex.quote(systemd.unit_of(path))}")


def _refuse_namesake(name: str, path: str) -> None:
    """Raise `Unavailable` where another file starts at boot whose lab is called alike."""
    others = [other for other in _by_lab().get(name, []) if other != path]
    if others:
        reason = f"the lab `{name}` of {printable(others[0])} starts at boot"
        other = f"netloom disable {quoted(others[0])}"
        raise Unavailable(reason, f"another `name:` in this one has both; {other} ends that")


def _own_words() -> list[str]:
    """Return the words that run this netloom from anywhere."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "netloom" and os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "netloom"]


@verb("disable", Argument("lab", complete=_enabled))
def disable_command(lab: str) -> None:
    """Have LAB, a name or a FILE, started at boot no more; it stays up if it is."""
    with refusals():
        path = _path(lab)
        with deferred_signals(deadly=True):
            told = systemd.disable(path)
        if not told.changed:
            message = f"`{printable(lab)}` does not start at boot"
            raise Stop(message, REFUSED)
    answer(f"{lab}  will not be started at boot")
    if told.note:
        tell(f"note: {told.note}: the link in {systemd.WANTS} is removed by hand")


def _path(lab: str) -> str:
    """Return the enabled file that LAB means."""
    if "/" in lab or lab.endswith((".yaml", ".yml", ".json")):
        return os.path.normpath(Path(lab).absolute())
    found = _by_lab()
    paths = found.get(lab, [])
    if len(paths) > 1:
        message = f"several files make a lab `{lab}`: {', '.join(paths)}\nhint: name the file"
        raise Stop(message, REFUSED)
    if not paths:
        hint = did_you_mean(lab, found)
        known = ", ".join(f"`{name}`" for name in found) or "none"
        message = f"no lab `{printable(lab)}` starts at boot" + (
            f": {hint}" if hint else f"; these do: {known}"
        )
        raise Stop(message, REFUSED)
    return paths[0]


def _by_lab() -> dict[str, list[str]]:
    """Return the files that start at boot by the name of the lab that each makes."""
    found: dict[str, list[str]] = {}
    for path in systemd.enabled():
        found.setdefault(called(path), []).append(path)
    return found


COMMANDS: tuple[Verb, ...] = (enable_command, disable_command)
"""The verbs of this file, to be hung into the command line."""
