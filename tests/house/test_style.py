"""Rules of the house that no linter knows: sizes, open ends, broad catches, places, docstrings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.trees import nodes, parsed

ROOT = Path(__file__).parents[2]
SRC = sorted(ROOT.glob("src/**/*.py"))
TESTS = sorted(ROOT.glob("tests/**/test_*.py"))

LONG_FILES: dict[str, str] = {}
"""Files that may have more than 400 lines, each with its reason."""

Function = ast.FunctionDef | ast.AsyncFunctionDef

BROAD = {"Exception", "BaseException"}
OPEN_ENDS = re.compile(r"\b(TODO|FIXME|XXX)\b")
BUILT = {".git", ".venv", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
PLACES = re.compile(  # split, or this file would name what it forbids
    "|".join(
        (
            r"(?<![\w.])/" + r"(work|root)/",
            "/" + r"tmp/(venv|brief)",
            r"/opt/" + r"(wheels|pypi)",
            r"pypi" + r"\.(org|io)",
            r"python" + r"hosted",
            r"(deb|security|ftp)\." + r"debian\.org",
        )
    )
)


def name(path: Path) -> str:
    """Return a path as the repository has it."""
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[Function]:
    """Yield every function of a file, inner ones too."""
    return (node for node in nodes(path) if isinstance(node, Function))


def texts() -> Iterator[tuple[Path, str]]:
    """Yield every text file of the project, without what was built here."""
    for path in sorted(ROOT.rglob("*")):
        if BUILT.isdisjoint(path.relative_to(ROOT).parts) and path.is_file():
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def test_a_file_is_short() -> None:
    """A file has at most 400 lines, unless it is listed above with a reason."""
    sizes = {name(path): len(path.read_text().splitlines()) for path in SRC}
    assert {f: n for f, n in sizes.items() if n > 400 and f not in LONG_FILES} == {}


def test_a_function_fits_on_a_screen() -> None:
    """A function has at most 50 lines, its docstring included."""
    sizes = {
        f"{name(path)}:{f.lineno} {f.name}": (f.end_lineno or f.lineno) - f.lineno + 1
        for path in SRC
        for f in functions(path)
    }

    assert {function: size for function, size in sizes.items() if size > 50} == {}


def test_source_has_no_open_ends() -> None:
    """What is left to do is an issue, not a comment."""
    lines = (
        (f"{name(path)}:{number}", line)
        for path in SRC
        for number, line in enumerate(path.read_text().splitlines(), 1)
    )

    assert {place: line for place, line in lines if OPEN_ENDS.search(line)} == {}


def test_only_the_command_line_catches_everything() -> None:
    """Below `cli` an exception is caught by its own name, or passes."""
    caught = (
        (path, node)
        for path in SRC
        if "cli" not in path.parts
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
    )
    broad = ((path, h) for path, h in caught if h.type is None or BROAD & names_in(h.type))

    assert [f"{name(path)}:{h.lineno}" for path, h in broad] == []


def test_a_question_that_failed_is_not_a_no() -> None:
    """Whoever speaks to the machine asks by `kernel/files.py`: os.path takes any error for a no."""
    asks = re.compile(r"os\.path\.(exists|lexists|isdir|isfile|islink)\(|encoding=\"ascii\"")
    floors = ("kernel", "namespaces", "host")
    found = {
        f"{name(path)}: {hit[0]}"
        for path in SRC
        if path.relative_to(ROOT).parts[2] in floors
        for hit in asks.finditer(path.read_text())
    }

    assert found == set()


def names_in(node: ast.AST) -> set[str]:
    """Return the names that an expression uses."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def test_a_test_says_in_a_sentence_what_it_proves() -> None:
    """Each test has a docstring: the sentence that its name abbreviates."""
    silent = (
        f"{name(path)}:{f.lineno} {f.name}"
        for path in TESTS
        for f in functions(path)
        if f.name.startswith("test_") and not ast.get_docstring(f)
    )

    assert [*silent] == []


def test_no_file_names_a_place_of_one_machine() -> None:
    """A clone works anywhere: no file names a developer's folders or a package registry's host."""
    found = [f"{name(path)}: {hit[0]}" for path, text in texts() for hit in PLACES.finditer(text)]

    assert found == []


def raised(node: ast.AST) -> Iterator[str]:
    """Yield what a function raises itself, as it is written; not in functions within it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(child, ast.Raise) and child.exc:
            yield ast.unparse(child.exc.func if isinstance(child.exc, ast.Call) else child.exc)
        yield from raised(child)


def is_verb(function: Function) -> bool:
    """Whether it is a verb of the command line, whose docstring is its help."""
    return any("verb(" in ast.unparse(each) for each in function.decorator_list)


def public(tree: ast.Module) -> Iterator[Function]:
    """Yield the functions that others may call, and the methods of classes that they may use."""
    classes = [one for one in tree.body if isinstance(one, ast.ClassDef)]
    open_to_all = [one.body for one in classes if not one.name.startswith("_")]
    for body in (tree.body, *open_to_all):
        for one in body:
            if isinstance(one, Function) and not one.name.startswith("_") and not is_verb(one):
                yield one


def test_what_raises_says_so() -> None:
    """The docstring of a public function that raises says `raises`, and best what and when."""
    silent = {
        f"{name(path)}:{function.lineno} {function.name} does not say that it raises": sorted(what)
        for path in SRC
        for function in public(parsed(path))
        if (what := set(raised(function)) - {"NotImplementedError"})
        and not re.search(r"\b[Rr]aises?\b", ast.get_docstring(function) or "")
    }

    assert silent == {}
