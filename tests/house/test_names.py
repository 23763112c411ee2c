"""The test of names: who reads one knows which one it is."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src" / "netloom"
FILES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.rglob("*.py"))}


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
