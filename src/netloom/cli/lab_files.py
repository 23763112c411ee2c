"""`init` and `schema`: what helps to write a topology file."""

from netloom.cli.grammar import Verb, verb
from netloom.cli.lab_names import FILE
from netloom.cli.output import REFUSED, TRIED, Stop, answer, write
from netloom.engine.topology_file import DEFAULT_FILE, default_name, like_a_name, stem_of
from netloom.errors import Unavailable, printable, quoted
from netloom.host.cancel import deferred_signals


@verb("schema")
def schema_command() -> None:
    """Print the JSON Schema of topology files."""
    import json

    from netloom.language.schema import json_schema

    write(json.dumps(json_schema(), indent=2) + "\n")


_STARTER = """\
# {name}: two namespaces and the wire between them.
# Make it so: `netloom up`. See what that would do: `netloom plan`. Leave no trace: `netloom down`.
{said}links:
  - [red:eth0 10.10.0.1/24, blue:eth0 10.10.0.2/24]

# A network of three on a switch would be:
# networks:
#   lan: {{subnet: 10.20.0.0/24}}
# namespaces:
#   n: {{count: 3, networks: [lan]}}
"""


def _starter(file: str) -> str:
    """Return the text of a new file, which says a name where the file's own is none."""
    try:
        name, said = default_name(file), ""
    except Unavailable:
        name = like_a_name(stem_of(file))
        said = f"name: {name}\n"
    return _STARTER.format(name=name, said=said)


@verb("init", FILE)
def init_command(file: str) -> None:
    """Write a commented starter file."""
    try:
        with deferred_signals(deadly=True), open(file, "x", encoding="utf-8") as out:
            out.write(_starter(file))
    except FileExistsError:
        message = f"`{printable(file)}` exists; nothing was touched"
        raise Stop(message, REFUSED) from None
    except OSError as error:
        message = f"cannot write `{printable(file)}`: {error.strerror}"
        raise Stop(message, TRIED) from error
    up = "netloom up" if file == DEFAULT_FILE else f"netloom up {quoted(file)}"
    answer(f"wrote {printable(file)}; `{up}` makes it so")


COMMANDS: tuple[Verb, ...] = (init_command, schema_command)
"""The verbs of this file, to be hung into the command line."""
