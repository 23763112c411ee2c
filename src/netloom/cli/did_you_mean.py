"""What was perhaps meant by a verb: a slip of the fingers, or another tool's word for it."""

from collections.abc import Iterable

from netloom.language.suggest import did_you_mean

SYNONYMS = {
    "deploy": "up",
    "apply": "up",
    "start": "up",
    "create": "up",
    "destroy": "down",
    "stop": "down",
    "delete": "down",
    "rm": "del",
    "remove": "del",
    "diff": "plan",
    "drift": "verify",
    "status": "verify",
    "rollback": "undo",
    "ps": "ls",
    "list": "ls",
    "enter": "shell",
    "sh": "shell",
    "isolate": "run",
}
"""The neighbours' words, and ours."""


def meant(word: str, verbs: Iterable[str]) -> str:
    """Return `did you mean …?` for a verb that there is not, empty if nothing is like it."""
    known = list(verbs)
    synonym = SYNONYMS.get(word, "")
    return f"did you mean `{synonym}`?" if synonym in known else did_you_mean(word, known)
