"""`Topology` to canonical text: defaults are left out, and the shortest spelling is taken.

Written by the table that reads it, so that `parse(unparse(topology)).topology == topology`. Two
topologies mean the same and are spelled the same: no namespaces declared, and an empty set of them.
"""

from collections.abc import Iterator, Mapping
from functools import cache

from msgspec import NODEFAULT, Struct, structs

from netloom.language.emit import Tree, emit
from netloom.language.keys import TOPOLOGY
from netloom.language.schema_types import Key, Many, Mapped, Named, Shape, Word
from netloom.language.topology import Topology


def unparse(topology: Topology) -> str:
    """Return the canonical text of a topology."""
    return emit(dict(_keys(TOPOLOGY, topology)))


def _tree(shape: Shape, value: object) -> Tree:
    match shape:
        case Word():
            return value if isinstance(value, bool) else shape.write(value)
        case Many() if isinstance(value, tuple):
            return _list(shape, value)
        case Named() if isinstance(value, Mapping):
            return _names(shape, value)
        case Mapped() if isinstance(value, Struct):
            return _record(shape, value)
    return str(value)


def _list(shape: Many, value: tuple[object, ...]) -> Tree:
    if not value and shape.none:
        return "none"
    items = [_tree(shape.item, item) for item in value]
    return items[0] if len(items) == 1 and isinstance(items[0], str) else items  # S3


def _names(shape: Named, value: Mapping[str, object]) -> Tree:
    inner = {
        name: _tree(shape.special.get(name, shape.value), each) for name, each in value.items()
    }
    return list(inner) if shape.bare and not any(inner.values()) else inner  # S2


def _record(shape: Mapped, value: Struct) -> Tree:
    keys = dict(_keys(shape, value))
    if shape.trailing and isinstance(listed := keys.pop(shape.items), list):
        return [*listed, keys] if keys else listed
    if list(keys) == [shape.text] and shape.text == shape.items:
        return keys[shape.text]  # S4
    return keys


def _keys(shape: Mapped, value: Struct) -> Iterator[tuple[str, Tree]]:
    """Return the keys that say what of a value is not the default, and the one it cannot lack."""
    defaults = _defaults(type(value))
    written: set[str] = set()
    for key in shape.keys.values():
        if key.later or not key.kept or key.target in written:
            continue
        inner = getattr(value, key.target)
        needed = key.name == shape.needs or inner != defaults[key.target]
        if needed and _holds(key, inner):
            written.add(key.target)
            tree = _tree(key.shape, inner)
            yield key.name, _empty(key.shape) if tree == {} else tree


def _empty(shape: Shape) -> Tree:
    """Return what a key holds that says an empty value: `""`, where a text may stand there."""
    return "" if isinstance(shape, Mapped) and shape.text else {}


def _holds(key: Key, value: object) -> bool:
    """Whether a key can say a value: `subnet` takes one, `subnets` takes any number."""
    limit = key.shape.most if isinstance(key.shape, Many) else 0
    return not limit or not isinstance(value, tuple) or len(value) <= limit


@cache
def _defaults(kind: type[Struct]) -> dict[str, object]:
    return {
        field.name: field.default if field.default_factory is NODEFAULT else field.default_factory()
        for field in structs.fields(kind)
    }
