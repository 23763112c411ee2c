"""The tables of docs/reference.md, made from the code that they describe.

    python -m tests.house.reference     writes the tables anew, and plays the pages' blocks anew

What stands between `<!-- table: NAME -->` and `<!-- end -->` is made here and nowhere else.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from netloom.cli.did_you_mean import SYNONYMS
from netloom.cli.help import text_of
from netloom.cli.verbs import VERBS, command
from netloom.language import keys, scalar_types
from netloom.language.schema_types import Anything, Choice, Key, Many, Mapped, Named, Shape, Word
from netloom.language.topology import INTERNET, POOL
from netloom.values import RESERVED
from tests.house.transcripts import PAGES, ROOT, played

PAGE = ROOT / "docs" / "reference.md"

_TABLE = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rewritten(page: str) -> str:
    """Return a page with its tables as the code has them now."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", page)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = [tuple(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join((lines[0], "|---" * len(cells[0]) + "|", *lines[1:])) + "\n"


# ── commands ──────────────────────────────────────────────────────────────────────────────────────


def _commands() -> str:
    rows = [
        (group, f"[`{name}`](#netloom-{name})", text)
        for group, verbs in VERBS.items()
        for name, (_, text) in verbs.items()
    ]
    return _table(("group", "command", "what it is for"), rows)


def _command(name: str) -> str:
    verb = command(name)
    text = f"    netloom {name} {verb.usage}\n\n{text_of(verb)}\n"
    options = [(f"`{option.words}`", option.says) for option in verb.options]
    return text + ("\n" + _table(("option", "meaning"), options) if options else "")


def _synonyms() -> str:
    words: dict[str, list[str]] = {}
    for theirs, ours in SYNONYMS.items():
        words.setdefault(ours, []).append(f"`{theirs}`")
    return _table(
        ("other tools say", "netloom says"), ((", ".join(v), f"`{k}`") for k, v in words.items())
    )


# ── the topology language ─────────────────────────────────────────────────────────────────────────


def _keys(record: Mapped) -> str:
    now = [key for key in record.keys.values() if not key.later]
    later = [f"`{key.name}`" for key in record.keys.values() if key.later]
    later += [_choices(key) for key in now if isinstance(key.shape, Choice) and key.shape.later]
    text = _table(
        ("key", "value", "what it says"), ((f"`{k.name}`", value(k.shape), k.says) for k in now)
    )
    return text + (f"\nKnown, and not built yet: {', '.join(later)}.\n" if later else "")


def _choices(key: Key) -> str:
    assert isinstance(key.shape, Choice)
    return ", ".join(f"`{key.name}: {word}`" for word in key.shape.later)


def value(shape: Shape) -> str:
    """Return what may be written for a shape, in a few words."""
    match shape:
        case Word():
            return shape.name
        case Choice():
            return " · ".join(f"`{word}`" for word in shape.now)
        case Many():
            return _list(shape)
        case Named():
            return f"{shape.key.name} → {value(shape.value)}"
        case Mapped():
            return f"[{shape.noun}](#{shape.noun})"
        case Anything():
            return "anything"


def _list(shape: Many) -> str:
    one = value(shape.item)
    none = " or `none`" if shape.none else ""
    if shape.most == 1:
        return f"{one}{none}"
    if shape.most and shape.least == shape.most:
        return f"list of {shape.most} {one}"
    return f"list of {one}{none}"


def _words() -> str:
    words = (word for word in vars(scalar_types).values() if isinstance(word, Word))
    rows: dict[tuple[str, str], None] = {}
    for word in words:
        if word.says != word.name and word.read is not str and word not in _UNBUILT:
            rows[word.name, word.says] = None
    return _table(("word", "what it is"), rows)


_UNBUILT = (
    scalar_types.PORT,
    scalar_types.DELAY,
    scalar_types.RATE,
    scalar_types.SHARE,
    scalar_types.INTERFACE,
)


def _reserved() -> str:
    return ", ".join(f"`{word}`" for word in sorted(RESERVED)) + "\n"


def _defaults() -> str:
    rows = (
        ("`pool`", ", ".join(f"`{prefix}`" for prefix in POOL)),
        ("`hosts: {internet: …}`", ", ".join(f"`{address}`" for address in INTERNET)),
    )
    return _table(("key", "where the file does not say it"), rows)


def _file() -> Mapped:
    """Return the record of a text that may stand in a file."""
    shape = keys.NAMESPACE.keys["firewall"].shape
    assert isinstance(shape, Mapped)
    return shape


RECORDS: Mapping[str, Mapped] = {
    "topology": keys.TOPOLOGY,
    "network": keys.NETWORK,
    "namespace": keys.NAMESPACE,
    "host": keys.HOST,
    "membership": keys.MEMBERSHIP,
    "interface": keys.INTERFACE,
    "link": keys.LINK,
    "uplink": keys.UPLINK,
    "run": keys.RUN,
    "file": _file(),
}

TABLES: Mapping[str, Callable[[], str]] = {
    "commands": _commands,
    "synonyms": _synonyms,
    "words": _words,
    "reserved": _reserved,
    "defaults": _defaults,
    **{f"command {name}": partial(_command, name) for verbs in VERBS.values() for name in verbs},
    **{f"keys {name}": partial(_keys, record) for name, record in RECORDS.items()},
}


def main() -> None:
    """Write the tables and what the pages' commands print, as they are now."""
    PAGE.write_text(rewritten(PAGE.read_text()))
    for page in PAGES if len(sys.argv) < 2 else map(Path, sys.argv[1:]):
        play_anew(page)


def play_anew(page: Path) -> None:
    """Write what a page's commands print, as they do now."""
    # The machine that they are typed on has a /tmp of its own.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        page.write_text(played(page.read_text(), Path(folder)))


if __name__ == "__main__":
    main()
