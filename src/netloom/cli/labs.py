"""`labs`: those that are up, or were."""

from netloom.cli.grammar import Option, Verb, verb
from netloom.cli.output import answer, from_here, refusals, write
from netloom.engine.remembered import ANOTHERS, Running, labs
from netloom.engine.untouched import untouched
from netloom.errors import quoted
from netloom.host.store.elsewhere import machines_labs
from netloom.host.store.remake import is_path, said_origin
from netloom.render.counted import counted


@verb("labs", Option("--json", key="as_json", says="Print JSON."))
def labs_command(*, as_json: bool) -> None:
    """List the labs that are up."""
    with refusals(), untouched():
        rows = [*labs(), *(Running(lab, ANOTHERS, "", 0) for lab in machines_labs())]
    if as_json:
        import json

        keys = ("lab", "state", "namespaces", "source")
        found = [{key: getattr(row, key) for key in keys} for row in rows]
        write(json.dumps(found, indent=2) + "\n")
        return
    width = max((len(row.lab) for row in rows), default=0)
    for row in rows:
        state = "" if row.state == "up" else f"{row.state}: netloom down {quoted(row.lab)}  "
        place = from_here(row.source) if is_path(row.source) else said_origin(row.source)
        about = f"{counted(row.namespaces, 'namespace')}  {state}{place}".rstrip()
        answer(f"{row.lab:{width}}  {row.state if row.state == ANOTHERS else about}")


COMMANDS: tuple[Verb, ...] = (labs_command,)
"""The verb of this file, to be hung into the command line."""
