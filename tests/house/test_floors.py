"""The test of the floors: a module imports its own room and lower floors, never up or sideways."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
MODULES = sorted(SRC.rglob("*.py"))

FLOORS = (
    {"values", "errors"},
    {"model"},
    {"topology", "plan", "diagnose", "wire"},  # four rooms, no doors between them
    {"render"},
    {"kernel"},  # from here up the system is touched
    {"namespaces"},
    {"host"},
    {"engine"},
    {"lab", "testing"},
    {"__init__"},  # the promised names, and the version
    {"cli", "web", "pytest_plugin"},
    {"__main__"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

IMPURE = {
    *(
        "_socket",
        "asyncio",
        "ctypes",
        "datetime",
        "fcntl",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
    ),
    *("shutil", "signal", "socket", "subprocess", "tempfile", "threading", "time", "uuid"),
}
PURE_OF_THEM = {
    "_socket": {"AF_INET", "AF_INET6", "inet_ntop", "inet_pton"},
    "os": {"strerror"},
    "socket": {"AF_INET", "AF_INET6", "inet_ntop", "inet_pton"},
}
LAZY_ROOMS = {
    *("topology", "plan", "render", "kernel", "host", "engine", "lab", "cli"),
    *("pytest_plugin", "__init__", "__main__"),
}
"""Where what few commands need is imported where it is used: start-up is measured."""


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and dotted name of everything that is imported, a dot first if relative."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def wrong_doors(room: str, tree: ast.AST) -> Iterator[str]:
    """Yield imports from the own floor's other rooms, and from above."""
    for line, name in imports(tree):
        package, _, inner = name.partition(".")
        target = inner.partition(".")[0]
        target = target if target in FLOOR_OF else "__init__"
        if not package:
            yield f"{line}: relative import of {name}"
        elif package == "netloom" and target != room and FLOOR_OF[target] >= FLOOR_OF[room]:
            yield f"{line}: {room} imports {target}"


def impurities(tree: ast.AST) -> Iterator[str]:
    """Yield what of the system is used: allowed from `kernel` upwards only."""
    for line, name in imports(tree):
        package, _, inner = name.partition(".")
        if inner in PURE_OF_THEM.get(package, ()):
            continue
        if package in IMPURE and (inner or package not in PURE_OF_THEM):
            yield f"{line}: {name} below the purity line"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=attr) if module in PURE_OF_THEM:
                if attr not in PURE_OF_THEM[module]:
                    yield f"{node.lineno}: {module}.{attr} below the purity line"
            case ast.Call(func=ast.Name(id="open" | "print" | "input" as builtin)):
                yield f"{node.lineno}: {builtin}() below the purity line"


def inner_imports(tree: ast.AST) -> Iterator[str]:
    """Yield imports inside of functions: dependencies stand at the head of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (f"{line}: {name} imported in a function" for line, name in imports(node))


def wrongs(room: str, tree: ast.AST) -> list[str]:
    """Return all that the rules of the house forbid to a module of this room."""
    found = list(wrong_doors(room, tree))
    found += impurities(tree) if FLOOR_OF[room] < FLOOR_OF["kernel"] else ()
    found += inner_imports(tree) if room not in LAZY_ROOMS else ()
    return found


def test_a_module_imports_only_its_own_room_and_lower_floors() -> None:
    """Purity follows from position: what lies below the line cannot reach the system."""
    found = []
    for module in MODULES:
        path = module.relative_to(SRC / "netloom")
        room = path.parts[0].removesuffix(".py")
        found += [f"{path}:{wrong}" for wrong in wrongs(room, ast.parse(module.read_text()))]

    assert found == []


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("plan", "from netloom.wire.attributes import pack"),
        ("model", "import netloom.kernel.netlink"),
        ("render", "from netloom import lab"),
        ("host", "from . import apply"),
        ("topology", "import time"),
        ("topology", "import os\nos.environ"),
        ("wire", "from socket import socket"),
        ("plan", "open('/etc/hosts')"),
        ("wire", "def f():\n    import json"),
        ("host", "def f():\n    from netloom import lab"),
    ],
)
def test_a_planted_wrong_is_found(room: str, text: str) -> None:
    """A rule that finds nothing proves nothing: each of these must be caught."""
    assert wrongs(room, ast.parse(text))
