"""`down` and `verify`: a lab that is there, taken away or looked at."""

from collections.abc import Iterable

from netloom.cli.contents import contents
from netloom.cli.grammar import Option, Verb, verb
from netloom.cli.lab_names import JSON, LAB, QUIET, is_down, lab_meant, not_up, print_plan
from netloom.cli.output import NO, Stop, answer, from_here, refusals, tell
from netloom.engine.dependents import dependents_first
from netloom.engine.report import Report
from netloom.engine.state import known
from netloom.engine.topology_file import DEFAULT_FILE
from netloom.engine.untouched import untouched
from netloom.host.local import LocalMachine
from netloom.host.store.lablock import tidy
from netloom.host.store.remake import up_command


@verb(
    "down",
    LAB,
    Option("--all", key="every", says="Take every lab down."),
    Option("--force", says="Also what others put into the lab's namespaces."),
    QUIET,
)
def down_command(lab: str, *, every: bool, force: bool, quiet: bool) -> None:
    """Take a lab down, and leave nothing."""
    from netloom.engine.down import down as take_down

    with refusals(), untouched():
        try:
            names = _every() if every else [lab_meant(lab)]
        finally:  # where there is no lab, too, a kill between two mkdirs may have left the first
            tidy()
    troubles = []
    for name in names:
        try:
            with refusals(), untouched():
                report = None if is_down() else take_down(name, force=force)
        except Stop as stop:
            if not every:
                raise
            troubles.append(stop)
            continue
        if not quiet:
            _tell_down(name, report)
    if troubles:
        message = "\n".join(stop.message for stop in troubles)
        raise Stop(message, max(stop.status for stop in troubles))


def _every() -> list[str]:
    return [] if is_down() else dependents_first(LocalMachine())


def _tell_down(name: str, report: Report | None) -> None:
    if report is None:
        answer(not_up(name))
        return
    whole = "" if report.left else "; the host is as it was"
    answer(f"{name}  down: {contents(name, report.desired)}{whole}")
    for note in report.notes:
        tell(f"note: {note}")


def _up_command(lab: str) -> str:
    """Return the command that makes a lab again."""
    record = known(LocalMachine().journal(lab)).record
    if record is None:
        return "netloom up"
    return up_command(record, from_here(record.source)).removesuffix(f" {DEFAULT_FILE}")


@verb(
    "verify",
    LAB,
    JSON,
    Option("-v", "--verbose", says="Also what others set in the lab's namespaces."),
)
def verify_command(lab: str, *, as_json: bool, verbose: bool) -> None:
    """Ask whether it is still what was applied."""
    from netloom.engine.verify import moved, verify
    from netloom.engine.verify import shared as shared_with

    with refusals(), untouched():
        name = lab_meant(lab)
        found = None if is_down() else verify(name, others=verbose and not as_json)
        elsewhere = moved(name) if found else None
        shared = [*found.hidden, *shared_with(name)] if found else []
        bare = LocalMachine().uncovered(name) if found and found.plan else ()
    if found is None:
        raise Stop(not_up(name), NO)
    steps = found.plan
    if as_json:
        print_plan(steps)
    elif steps:
        from netloom.render.text import plan_text

        answer(plan_text(steps))
    as_applied = not (steps or elsewhere or shared)
    _answer_all(() if as_applied else found.others)
    why = [elsewhere, *shared] if elsewhere else shared
    for note in (*bare, *(why if steps else ()), *found.notes):
        tell(f"note: {note}")
    if steps:
        message = f"{name}  is not as it was applied; `{_up_command(name)}` would do the above"
        raise Stop(message, NO)
    if elsewhere:
        shared = [f"{elsewhere}; `{_up_command(name)}` follows", *shared]
    if shared:
        raise Stop("\n".join(shared), NO)
    if not as_json:
        answer(f"{name}  is as it was applied")
        _answer_all(found.others)


def _answer_all(lines: Iterable[str]) -> None:
    for line in lines:
        answer(line)


COMMANDS: tuple[Verb, ...] = (down_command, verify_command)
"""The verbs of this file, to be hung into the command line."""
