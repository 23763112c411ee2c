"""What the verbs of labs share: how FILE and LAB are read, and a plan as JSON."""

from collections.abc import Sequence

from netloom.cli.grammar import Argument, Option
from netloom.cli.output import REFUSED, Stop, write
from netloom.engine.origin import lab_name
from netloom.engine.topology_file import DEFAULT_FILE
from netloom.errors import printable
from netloom.host.local import LocalMachine
from netloom.host.store.elsewhere import owner_of_lab, refused, whose
from netloom.namespaces.userns_session import is_needed
from netloom.plan.steps import Plan

FILE = Argument("file", "[FILE]", default=DEFAULT_FILE, is_file=True)
QUIET = Option("-q", "--quiet", says="Say nothing but errors.")
JSON = Option("--json", key="as_json", says="Print JSON.")


def _labs(before: Sequence[str], incomplete: str) -> list[str]:  # noqa: ARG001 - a completion
    """Return the labs that a word may become."""
    return [name for name in own_labs() if name.startswith(incomplete)]


LAB = Argument("lab", "[LAB]", default="", complete=_labs)


def lab_meant(text: str) -> str:
    """Return the lab that LAB means; raises `Stop` for a name or a file that nobody knows."""
    machine = LocalMachine()
    name = lab_name(text or f"./{DEFAULT_FILE}", machine)
    if name is None:
        from netloom.namespaces.lab_here import check_outside

        check_outside()  # `down` is what many type first in `netloom shell`
        what = f"no file `{printable(text)}`" if text else f"no {DEFAULT_FILE} here"
        message = f"{what}, and no lab that was made from one (netloom labs)"
        raise Stop(message, REFUSED)
    if name == text:
        remembered = own_labs()
        if name not in remembered and (is_needed() or not machine.marked(name)):
            if user := owner_of_lab(name):
                raise refused(name, user)
            raise Stop(_unknown(name, remembered), REFUSED)
    return name


def own_labs() -> list[str]:
    """Return the labs that are ours: those on the machine are none of a plain user's."""
    return [] if is_needed() else LocalMachine().labs()


def not_up(name: str) -> str:
    """Return that a lab of ours is not up, and who else has one of its name."""
    user = owner_of_lab(name)
    return f"{name} is not up" + (f" (one of that name is {whose(user)})" if user else "")


def _unknown(name: str, remembered: list[str]) -> str:
    from netloom.language.suggest import did_you_mean

    if name == "-":
        return "a text has no path: say the lab that was made from it by its name (netloom labs)"
    hint = did_you_mean(name, remembered)
    return f"no lab `{printable(name)}`" + (f": {hint}" if hint else "") + " (netloom labs)"


def is_down() -> bool:
    """Whether nothing need be looked for: a plain user without namespaces has made no lab."""
    return is_needed()


def print_plan(steps: Plan) -> None:
    """Print the steps of a plan."""
    import msgspec

    from netloom.host.notes import encode

    told = encode({"version": 1, "steps": steps})
    try:
        text = msgspec.json.format(told)
    except msgspec.DecodeError:  # a name in it is no text
        import json

        text = json.dumps(json.loads(told), indent=2).encode()
    write(text.decode() + "\n")
