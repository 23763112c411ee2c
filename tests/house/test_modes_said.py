"""The rule of modes: what netloom makes has a mode that is said (`kernel/modes.py`)."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.trees import parsed

ROOT = Path(__file__).parents[2]
SRC = sorted(ROOT.glob("src/**/*.py"))

ELSEWHERE = {
    "kernel/modes.py": "it is where modes are said",
    "kernel/libnftables.py": "a pipe, or a file in memory",
    "namespaces/isolate.py": "a file of /proc",
    "api/packet_file.py": "a file that a user names",
    "api/evidence.py": "files that a user asked for",
    "cli/capture.py": "a file that a user names",
    "cli/lab_files.py": "a file that a user names",
    "host/commands/launch.py": "a pipe",
}
"""Modules that make what is not ours to give a mode, each with its reason."""


def makings(tree: ast.AST) -> Iterator[str]:
    """Yield what makes folders and files, by which the umask of whoever called us has its say."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        name = called.rpartition(".")[2]
        words = [*node.args, *(keyword.value for keyword in node.keywords)]
        texts = {word.value for word in words if isinstance(word, ast.Constant)}
        if name in {"makedirs", "touch", "write_text", "write_bytes", "mkfifo", "mknod", "mkdir"}:
            yield f"{node.lineno}: {called}"
        elif name in {"open", "fdopen"} and {t for t in texts if t in WRITING}:
            yield f"{node.lineno}: {called} to write"


WRITING = {mode + kind for mode in ("w", "x", "a", "r+", "w+") for kind in ("", "b")}


def test_what_is_made_has_a_mode_that_is_said() -> None:
    """By `modes.make_dir`, `make_dirs`, `write` or `replace`, where it is made on disk."""
    found = {
        name: lines
        for path in SRC
        if (name := str(path.relative_to(ROOT / "src/netloom"))) not in ELSEWHERE
        and (lines := list(makings(parsed(path))))
    }

    assert found == {}


def test_a_file_that_is_made_otherwise_is_found() -> None:
    """A rule that finds nothing proves nothing: each of these must be caught."""
    wrong = (
        "os.makedirs(path)",
        "Path(path).mkdir(parents=True)",
        "os.mkdir(path, 0o755)",
        "Path(path).write_text('x')",
        "open(path, 'w', encoding='utf-8')",
        "Path(path).open('xb')",
    )

    assert [line for line in wrong if not list(makings(ast.parse(line)))] == []
    assert {name for name in ELSEWHERE if not (ROOT / "src/netloom" / name).exists()} == set()
