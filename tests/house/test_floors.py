"""The test of the floors: a module imports its own room and lower floors, never up or sideways."""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from tests.house.trees import parsed

SRC = Path(__file__).parents[2] / "src"
MODULES = sorted(SRC.rglob("*.py"))

FLOORS = (
    {"values", "errors"},
    {"model"},
    {"datapath", "language"},
    {"compile", "plan", "diagnose", "wire"},  # none of them imports another
    {"render"},
    {"kernel"},  # from here up the system is touched
    {"namespaces"},
    {"host"},
    {"engine"},
    {"api", "testing"},
    {"__init__"},  # the promised names, and the version
    {"cli", "web", "pytest_plugin"},
    {"__main__"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

FLOORS_OF_HOST = (
    {"notes"},
    {"cancel", "outer_client", "sources", "store", "sysctl", "systemd"},
    {"commands", "etc", "firewall", "limits", "wait_address", "wait_uplink"},
    {"apply", "observe"},
    {"byhand", "machine", "rootless"},
    {"isolated", "local"},
    {"sandbox"},
)
"""The rooms and single modules of `host`: as in the house, none imports from beside or above."""
FLOOR_IN_HOST = {room: floor for floor, rooms in enumerate(FLOORS_OF_HOST) for room in rooms}

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
    "os": {"strerror"},
    "socket": {"AF_INET", "AF_INET6", "inet_ntop", "inet_pton"},
}
ITS_OWN = {
    ("values", f"_socket.{name}") for name in ("AF_INET", "AF_INET6", "inet_ntop", "inet_pton")
}
"""What one room alone may have, with its reason there."""
LAZY_ROOMS = {
    *("language", "plan", "render", "kernel", "namespaces", "host", "engine", "api", "cli"),
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


def wrong_doors_in_host(room: str, tree: ast.AST) -> Iterator[str]:
    """Yield what a room of `host` imports from another that does not lie below it."""
    for line, name in imports(tree):
        package, _, inner = name.partition(".host.")
        target = inner.partition(".")[0]
        if package == "netloom" and target != room and FLOOR_IN_HOST[target] >= FLOOR_IN_HOST[room]:
            yield f"{line}: host.{room} imports host.{target}"


def circle(graph: Mapping[str, Collection[str]]) -> list[str]:
    """Return the modules of circles of imports, and those that lead to them; none where none is."""
    left = {name: set(graph[name]) & graph.keys() for name in graph}
    while ends := {name for name, wanted in left.items() if not wanted}:
        left = {name: wanted - ends for name, wanted in left.items() if name not in ends}
    return sorted(left)


def imported_modules(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Return which modules each one imports, anywhere in it and for whatever (`TYPE_CHECKING`)."""
    found = {}
    for name, text in texts.items():
        wanted = {target for _, target in imports(ast.parse(text))}
        wanted |= {target.rpartition(".")[0] for target in wanted}
        found[name] = (wanted & texts.keys()) - {name}
    return found


def impurities(room: str, tree: ast.AST) -> Iterator[str]:
    """Yield what of the system is used: allowed from `kernel` upwards only."""
    for line, name in imports(tree):
        package, _, inner = name.partition(".")
        if inner in PURE_OF_THEM.get(package, ()) or (room, name) in ITS_OWN:
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
    found += impurities(room, tree) if FLOOR_OF[room] < FLOOR_OF["kernel"] else ()
    found += inner_imports(tree) if room not in LAZY_ROOMS else ()
    return found


def test_a_module_imports_only_its_own_room_and_lower_floors() -> None:
    """Purity follows from position: what lies below the line cannot reach the system."""
    found = []
    for module in MODULES:
        path = module.relative_to(SRC / "netloom")
        room = path.parts[0].removesuffix(".py")
        found += [f"{path}:{wrong}" for wrong in wrongs(room, parsed(module))]

    assert found == []


def test_host_has_floors_of_its_own() -> None:
    """What acts stands on what looks and remembers; the machine, which has both, on all of them."""
    found = []
    for module in MODULES:
        path = module.relative_to(SRC / "netloom")
        if path.parts[0] == "host" and path.name != "__init__.py":
            room = path.parts[1].removesuffix(".py")
            tree = parsed(module)
            found += [f"{path}:{wrong}" for wrong in wrong_doors_in_host(room, tree)]

    assert found == []


def test_no_modules_import_each_other() -> None:
    """No circle, however long, nor one that only a type checker goes round."""
    texts = {
        ".".join(module.relative_to(SRC).with_suffix("").parts): module.read_text()
        for module in MODULES
    }

    assert circle(imported_modules(texts)) == []


def test_a_planted_circle_is_found() -> None:
    """Of three modules, one of them for a type, one in a function."""
    texts = {
        "netloom.a": "from netloom.b import B",
        "netloom.b": "if TYPE_CHECKING:\n    from netloom import c",
        "netloom.c": "def f():\n    from netloom.a import A",
        "netloom.d": "from netloom.a import A",
    }

    assert circle(imported_modules(texts)) == ["netloom.a", "netloom.b", "netloom.c", "netloom.d"]
    del texts["netloom.c"]
    assert circle(imported_modules(texts)) == []


def test_a_planted_door_in_host_is_found() -> None:
    """To the side, and upwards."""
    for text in ("from netloom.host.apply import made", "import netloom.host.local"):
        assert list(wrong_doors_in_host("observe", ast.parse(text)))


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("plan", "from netloom.wire.attributes import pack"),
        ("model", "import netloom.kernel.netlink"),
        ("render", "from netloom import lab"),
        ("host", "from . import apply"),
        ("language", "import time"),
        ("language", "import os\nos.environ"),
        ("wire", "from socket import socket"),
        ("wire", "from _socket import inet_pton"),
        ("plan", "open('/etc/hosts')"),
        ("model", "def f():\n    import json"),
        ("host", "def f():\n    from netloom import lab"),
    ],
)
def test_a_planted_wrong_is_found(room: str, text: str) -> None:
    """A rule that finds nothing proves nothing: each of these must be caught."""
    assert wrongs(room, ast.parse(text))
