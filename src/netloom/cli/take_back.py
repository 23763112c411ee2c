"""`undo`: back to before the last change of a lab, or the last move by hand."""

from netloom.cli.grammar import Option, UsageError, Verb, verb
from netloom.cli.lab_names import LAB, lab_meant
from netloom.cli.output import REFUSED, Stop, answer, refusals, tell
from netloom.cli.wait_option import WAIT
from netloom.cli.wires import begun, list_moves, undo_last
from netloom.engine.origin import lab_name
from netloom.engine.topology_file import DEFAULT_FILE
from netloom.engine.untouched import untouched
from netloom.host.local import LocalMachine
from netloom.render.counted import counted
from netloom.render.text import plan_text


@verb(
    "undo",
    LAB,
    Option("--move", key="moves", says="The last move, whatever lab is here."),
    Option("--list", key="listed", says="List the states to go back to."),
    WAIT,
)
def undo_command(lab: str, *, moves: bool, listed: bool, timeout: float) -> None:
    """Go back to before netloom's last change: of a lab, or where none is here, the last move."""
    if moves and lab:
        message = "LAB and --move exclude each other"
        raise UsageError(message)
    with refusals():
        if moves or (not lab and _is_of_a_move()):
            _undo_move(listed=listed)
            return
        with untouched():
            name = lab_meant(lab)
        if listed:
            from netloom.engine.remembered import pasts

            for past in pasts(name):
                answer(f"{past.number}  {past.command}, {counted(past.namespaces, 'namespace')}")
            return
        from netloom.engine.undo import undo

        report = undo(name, timeout=timeout, waiting=tell)
    if report is None:
        message = f"{name}: there is nothing to undo"
        raise Stop(message, REFUSED)
    answer(plan_text(report.plan))
    for note in report.notes:
        tell(f"note: {note}")


def _is_of_a_move() -> bool:
    """Whether `undo` without a word means a move: no lab is here, or one was interrupted."""
    return lab_name(f"./{DEFAULT_FILE}", LocalMachine()) is None or begun()


def _undo_move(*, listed: bool) -> None:
    if listed:
        list_moves()
    elif not undo_last():
        message = "there is no move to undo; a lab is undone by its name (netloom labs)"
        raise Stop(message, REFUSED)


COMMANDS: tuple[Verb, ...] = (undo_command,)
"""The verb of this file, to be hung into the command line."""
