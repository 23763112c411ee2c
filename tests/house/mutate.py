"""Turn one line of the pure floors, and see whether the tests without a kernel notice it.

    python -m tests.house.mutate [--seed N] [--count N] [--list] [TEST ...]

Five kinds, as many of each: a comparison turned, a condition negated, a number one more or one
less, `and` and `or` swapped, True and False swapped. Which ones are tried is drawn by lot: each has
a number, made of the seed, the text of its function, and where in it it stands; the lowest are
tried. So a seed finds the same ones again, also when files were moved or others changed.

Each is tried in a copy of the project by `pytest -x`. One by which the tests take ten times as long
counts as found. A line is printed for each, and at the end the share that was found.
"""

import argparse
import ast
import copy
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.house.test_floors import FLOOR_OF
from tests.house.test_style import ROOT

TESTS = ("tests/pure", "tests/wire")
COPIED = ("src", "tests", "examples", "docs", "pyproject.toml", "README.md")
PATIENCE = 10
KINDS = ("comparison", "condition", "number", "and/or", "truth")

TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.In: ast.NotIn,
    ast.Is: ast.IsNot,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
}
TURNED |= {value: key for key, value in TURNED.items()}


class Mutant(NamedTuple):
    """One change of one expression: drawn by `lot`, at `start` to `end` of the bytes of a file."""

    lot: str
    path: Path
    line: int
    kind: str
    start: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        """Return place, kind and code, on one line."""
        return f"{self.path}:{self.line}  {self.kind}  {self.before}  →  {self.after}"


# ── what can be mutated ───────────────────────────────────────────────────────────────────────────


def mutants(path: Path, seed: int) -> Iterator[Mutant]:
    """Yield every mutation of a file, each with the number that it draws."""
    data = (ROOT / path).read_bytes()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for unit in _units(ast.parse(data).body):
        text = ast.unparse(unit)
        for number, (node, kind, after) in enumerate(_mutations(unit)):
            lot = hashlib.sha256(f"{seed} {number} {kind} {text}".encode()).hexdigest()
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            before = " ".join(data[start:end].decode().split())
            yield Mutant(lot, path, node.lineno, kind, start, end, before, after)


def _units(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield functions, methods, heads of classes, and what stands outside of them."""
    for stmt in body:
        if isinstance(stmt, ast.ClassDef):
            head = copy.copy(stmt)
            head.body = []
            yield head
            yield from _units(stmt.body)
        else:
            yield stmt


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all within it that has a place, and has an effect at run time."""
    yield node
    for child in _children(node):
        yield from _parts(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr):  # has places only since Python 3.12
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.keyword) and child.arg == "strict":
                continue  # of zip: an assertion
            if isinstance(child, ast.AST):
                yield child


def _mutations(unit: ast.stmt) -> Iterator[tuple[ast.expr, str, str]]:
    """Yield expressions, with the kind of the mutation, and what is put in their places."""
    for node in _parts(unit):
        match node:
            case ast.Compare(ops=[op]):
                turned = copy.copy(node)
                turned.ops = [TURNED[type(op)]()]
                yield node, "comparison", f"({ast.unparse(turned)})"
            case ast.BoolOp():
                swapped = copy.copy(node)
                swapped.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
                yield node, "and/or", f"({ast.unparse(swapped)})"
            case ast.Constant(value=bool()):
                yield node, "truth", str(not node.value)
            case ast.Constant(value=int(value)):
                yield node, "number", str(value + 1)
                yield node, "number", str(value - 1)
        yield from _negated(node)


def _negated(node: ast.AST) -> Iterator[tuple[ast.expr, str, str]]:
    conditions: list[ast.expr] = []
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            conditions = [node.test]
        case ast.comprehension():
            conditions = node.ifs
        case ast.match_case(guard=ast.expr() as guard):
            conditions = [guard]
    for condition in conditions:
        if not isinstance(condition, ast.Compare):  # that would be the comparison turned
            yield condition, "condition", f"(not ({ast.unparse(condition)}))"


def drawn(seed: int, count: int) -> list[Mutant]:
    """Return the mutations that the seed draws, in the order of their places."""
    package = ROOT / "src" / "netloom"
    found: list[Mutant] = []
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if FLOOR_OF[room] < FLOOR_OF["kernel"]:
            found += mutants(path.relative_to(ROOT), seed)
    found.sort()
    chosen: list[Mutant] = []
    for kind in KINDS:
        able = (mutant for mutant in found if mutant.kind == kind and _compiles(mutant))
        chosen += islice(able, count // len(KINDS))
    return sorted(chosen, key=lambda mutant: (mutant.path, mutant.start))


def mutated(data: bytes, mutant: Mutant) -> bytes:
    """Return a file with a mutation in its place."""
    return data[: mutant.start] + mutant.after.encode() + data[mutant.end :]


def _compiles(mutant: Mutant) -> bool:
    try:
        compile(mutated((ROOT / mutant.path).read_bytes(), mutant), "", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


# ── trying them ───────────────────────────────────────────────────────────────────────────────────


def passed(folder: Path, tests: list[str], seconds: float | None = None) -> bool:
    """Whether the tests pass in a copy of the project, within some seconds."""
    env = {"HYPOTHESIS_PROFILE": "quick", **os.environ, "PYTHONPATH": str(folder / "src")}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)
    try:
        run = subprocess.run(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return run.returncode == 0


def copied(folder: Path) -> None:
    """Copy the project, as far as its tests look at it."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder)


def survives(folder: Path, mutant: Mutant, tests: list[str], seconds: float) -> bool:
    """Whether the tests pass with a mutation in its place."""
    path = folder / mutant.path
    data = path.read_bytes()
    path.write_bytes(mutated(data, mutant))
    try:
        return passed(folder, tests, seconds)
    finally:
        path.write_bytes(data)


def found(folder: Path, chosen: list[Mutant], tests: list[str]) -> int:
    """Try mutations one by one, print what becomes of each, and return how many are found."""
    began = time.monotonic()
    if not passed(folder, tests):
        sys.exit("the tests fail without any mutation")
    seconds = PATIENCE * (time.monotonic() - began)
    number = 0
    for mutant in chosen:
        survived = survives(folder, mutant, tests, seconds)
        number += not survived
        print("SURVIVED" if survived else "found   ", mutant, flush=True)
    if not passed(folder, tests):  # then what failed was not what was mutated
        sys.exit("the tests fail without any mutation, which they did not before")
    return number


def main() -> None:
    """Try the mutations that a seed draws, and print the share that the tests find."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--list", action="store_true", help="print what is drawn, try nothing")
    parser.add_argument("tests", nargs="*", default=TESTS)
    said = parser.parse_args()
    chosen = drawn(said.seed, said.count)
    if said.list:
        print(*chosen, sep="\n")
        return
    with tempfile.TemporaryDirectory(prefix="mutate-") as place:
        copied(Path(place))
        number = found(Path(place), chosen, said.tests)
    print(f"{number} of {len(chosen)} found, by seed {said.seed}")


if __name__ == "__main__":
    main()
