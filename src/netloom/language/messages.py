"""How mistakes are told: what a thing, a value and a node are called in a sentence."""

from netloom.errors import Path
from netloom.language.nodes import ListNode, MapNode, Node, is_nothing
from netloom.language.schema_types import Many

_LONGEST = 300
"""Longest sentence, in characters; what quotes more of a text loses its middle."""


def title(path: Path) -> str:
    """Return how a thing of a topology is called in a sentence: ``network `lan` ``."""
    found = "this link" if path[:1] == ("links",) else f"`{path[-1]}`" if path else "the file"
    match path:
        case ("networks", net):
            found = f"network `{net}`"
        case ("namespaces", ns):
            found = f"namespace `{ns}`"
        case ("namespaces", ns, "networks", net):
            found = f"network `{net}` of namespace `{ns}`"
        case ("namespaces", ns, "interfaces", link):
            found = f"interface `{ns}:{link}`"
        case ("namespaces", ns, "run", int()):
            found = f"a command of `{ns}`"
    return found


def called(path: Path) -> str:
    """Return how a value is called in a sentence: by its key, or as an entry of it."""
    match path:
        case (*_, str(key), int()):
            return f"an entry of `{key}`"
        case (*_, last):
            return f"`{last}`"
    return "the file"


def kind(node: Node) -> str:
    """Return what a node is, in a word."""
    match node:
        case ListNode():
            return "a list"
        case MapNode():
            return "a mapping"
    return "nothing" if is_nothing(node) else "a text"


def amount(shape: Many, given: int, what: str = "") -> str:
    """Return how many items a list takes, and how many there are; `what` is said behind these."""
    if shape.least == shape.most:
        wanted = str(shape.least)
    elif shape.most:
        wanted = f"at most {shape.most}"
    else:
        wanted = f"at least {shape.least}"
    return f"takes {wanted}{what}, and here {'is' if given == 1 else 'are'} {given}"


def quoting(node: Node) -> str:
    """Return a hint where a mapping was meant as a text: `[fd00::, b]`, `- a: b`."""
    if isinstance(node, MapNode) and len(node.pairs) == 1:
        return "a text with a `:` at its end, or with `: ` inside, needs quotes"
    return ""


def parted(sentence: str) -> tuple[str, str]:
    """Return what is wrong and the hint of a sentence that ends in `: write …` or so."""
    for beginning in ("write ", "did you mean "):
        wrong, found, rest = sentence.partition(f": {beginning}")
        if found:
            return wrong, f"{beginning}{rest}"
    return sentence, ""


def clipped(text: str) -> str:
    """Return a sentence without what a terminal would obey, and without endless quotations."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)
