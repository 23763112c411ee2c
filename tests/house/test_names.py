"""The test of names: who reads one knows which one it is."""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "netloom"
FILES = {str(path.relative_to(SRC)): path.read_text() for path in sorted(SRC.rglob("*.py"))}

BASES = ("src", "tests", "bench", "tools", "examples")
SPOKEN_OF = re.compile(r"`([\w/]+\.py)`")
FEIGNED = {"wire/neighs.py"}
"""Files that are no more than an example of a new one (docs/adding-a-step.md)."""


def modules(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each module's own name, and its file; a package has that of its folder."""
    for file in files:
        if (stem := Path(file).stem) != "__init__":
            yield stem, file


def classes(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each public class of a module, and the file that it is in."""
    for file, text in files.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, file


def twice(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the names that several files have, each with these."""
    found = defaultdict(list)
    for name, file in named:
        found[name].append(file)
    return {name: files for name, files in found.items() if len(files) > 1}


def unfound(files: Mapping[str, str], there: Collection[str]) -> Iterator[str]:
    """Yield each file of ours that a text speaks of and that is not there."""
    for file, text in files.items():
        for spoken in SPOKEN_OF.findall(text):
            if not any(f"/{path}".endswith(f"/{spoken}") for path in there):
                yield f"{file}: {spoken}"


def test_no_two_modules_share_a_name() -> None:
    """`registry.py` is one file, wherever it is spoken of."""
    assert twice(modules(FILES)) == {}


def test_no_two_public_classes_share_a_name() -> None:
    """`Answer` in an annotation is one thing, without a look at the imports."""
    assert twice(classes(FILES)) == {}


def test_a_name_that_is_there_twice_is_found() -> None:
    """A rule that finds nothing proves nothing."""
    files = {"model/links.py": "class Link: ...", "wire/links.py": "class Link: ..."}
    both = ["model/links.py", "wire/links.py"]

    assert twice(modules(files)) == {"links": both}
    assert twice(classes(files)) == {"Link": both}


def test_a_file_that_is_spoken_of_is_there() -> None:
    """Who follows a word of a docstring, or of a page, arrives."""
    pages = {page.name: page.read_text() for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
    there = {str(path.relative_to(ROOT)) for base in BASES for path in ROOT.glob(f"{base}/**/*.py")}

    assert list(unfound(FILES | pages, there | FEIGNED)) == []
    assert list(unfound({"a.py": "see `b.py`, c.py and `d/e.py`"}, {"d/e.py"})) == ["a.py: b.py"]
