"""The verbs in their groups, and where each is; its code is imported when it is called."""

from netloom.cli.grammar import Verb

VERBS: dict[str, dict[str, tuple[str, str]]] = {
    "Labs": {
        "up": ("netloom.cli.lab_up", "make it so; twice does nothing"),
        "down": ("netloom.cli.lab_down", "take a lab down, and leave nothing"),
        "plan": ("netloom.cli.lab_up", "what would `up` change?"),
        "verify": ("netloom.cli.lab_down", "is it still what was applied?"),
        "undo": ("netloom.cli.take_back", "back to before netloom's last change"),
        "labs": ("netloom.cli.labs", "the labs that are up"),
        "logs": ("netloom.cli.logs", "what the commands of a namespace printed"),
        "enable": ("netloom.cli.enable", "start a lab at boot"),
        "disable": ("netloom.cli.enable", "start it no more"),
    },
    "Look": {
        "ls": ("netloom.cli.byhand", "all names of namespaces, and whose they are"),
        "identify": ("netloom.cli.who", "which names has a namespace, and whose is it?"),
        "pids": ("netloom.cli.who", "who lives in a namespace, or holds it?"),
        "capture": ("netloom.cli.capture", "packets of many interfaces in one pcapng"),
    },
    "Explain": {
        "doctor": ("netloom.cli.doctor", "may labs be made without root, and if not, why?"),
    },
    "Enter": {
        "exec": ("netloom.cli.inside", "run a command in a namespace"),
        "shell": ("netloom.cli.inside", "a shell in a namespace"),
        "run": ("netloom.cli.inside", "run a command in a throw-away namespace"),
    },
    "Wires": {
        "wire": ("netloom.cli.wires", "make a wire between two namespaces"),
        "move": ("netloom.cli.wires", "move an interface, with all it has"),
    },
    "By hand": {
        "add": ("netloom.cli.byhand", "make namespaces, with `lo` up"),
        "attach": ("netloom.cli.byhand", "give a process's namespace a name"),
        "del": ("netloom.cli.byhand", "delete namespaces, and stale names"),
        "netns": ("netloom.cli.byhand", "word for word what `ip netns` does"),
    },
    "Other": {
        "init": ("netloom.cli.lab_files", "write a commented starter file"),
        "schema": ("netloom.cli.lab_files", "the JSON Schema of topology files"),
        "completion": ("netloom.cli.completion", "a completion script for bash, zsh or fish"),
    },
}
"""Group, verb, the module that has it in its COMMANDS, and one line of help."""

_ALSO = {"connect": "netloom.cli.wires"}
"""Other words for a verb, which the help does not show."""

MODULES = {verb: place for group in VERBS.values() for verb, (place, _) in group.items()} | _ALSO
"""Where each verb is."""


def command(name: str) -> Verb:
    """Return a verb, imported."""
    found: tuple[Verb, ...] = __import__(MODULES[name], fromlist=["COMMANDS"]).COMMANDS
    return next(verb for verb in found if verb.name == name)
