"""The topology language as a JSON Schema (draft 2020-12), for editors.

Made from `keys.py` alone: what the reader knows, the schema knows. It lets through a little more
than the reader does (names are not looked up, numbers inside words not checked), and never less,
with one exception: a key given as nothing beside its twin (`subnet: ~` beside `subnets`).
"""

from collections.abc import Mapping

from netloom.language.keys import TOPOLOGY
from netloom.language.schema_types import Anything, Choice, Key, Many, Mapped, Named, Shape, Word

Schema = dict[str, object]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> Schema:
    """Return the JSON Schema of a topology file."""
    writer = _Writer()
    body = writer.record_body(TOPOLOGY)
    head: Schema = {"$schema": DIALECT, "title": "netloom topology"}
    return {**head, **body, "$defs": writer.defs}


class _Writer:
    """Writes shapes as schemas; records are written once, under `$defs`."""

    def __init__(self) -> None:
        self.defs: dict[str, Schema] = {}
        self._names: dict[int, str] = {}

    def of(self, shape: Shape) -> Schema:
        """Return the schema of a shape."""
        match shape:
            case Word():
                return _word(shape)
            case Choice():
                return {"enum": list(shape.now)}
            case Many():
                return self._many(shape)
            case Named():
                return self._named(shape)
            case Mapped():
                return self._record(shape)
            case Anything():
                return {}

    def _many(self, shape: Many) -> Schema:
        item = self.of(shape.item)
        items: Schema = {"type": "array", "items": item}
        least = max(shape.least, 1 if shape.none else 0)
        items |= {"minItems": least} if least else {}
        items |= {"maxItems": shape.most} if shape.most else {}
        single = [item] if shape.least <= 1 else []  # S3
        none: list[Schema] = [{"const": "none"}] if shape.none else []
        return {"anyOf": [*none, *single, items]}

    def _named(self, shape: Named) -> Schema:
        names = _word(shape.key)
        mapping: Schema = {
            "type": "object",
            "properties": {name: self._value(inner) for name, inner in shape.special.items()},
            "propertyNames": {key: names[key] for key in ("pattern", "not") if key in names},
            "additionalProperties": self._value(shape.value),
        }
        if not shape.bare:
            return mapping
        return {
            "anyOf": [mapping, {"type": "array", "items": names, "uniqueItems": True}, names]
        }  # S2

    def _value(self, shape: Shape) -> Schema:
        """Return the schema of a value of a mapping: nothing, where nothing means the defaults."""
        return _or_nothing(self.of(shape)) if isinstance(shape, Mapped) else self.of(shape)

    def _record(self, shape: Mapped) -> Schema:
        name = self._names.setdefault(id(shape), self._fresh(shape.noun))
        if name not in self.defs:
            self.defs[name] = {}  # taken, while its own keys are written
            self.defs[name] = self._spellings(shape)
        return {"$ref": f"#/$defs/{name}"}

    def _fresh(self, noun: str) -> str:
        return noun if noun not in self._names.values() else f"{noun}-{len(self._names)}"

    def _spellings(self, shape: Mapped) -> Schema:
        spellings: list[Schema] = [self.record_body(shape)]
        others = [shape.keys[name] for name in dict.fromkeys((shape.text, shape.items)) if name]
        spellings += [self.of(key.shape) for key in others if not key.later]  # S4
        if shape.trailing:
            spellings.append(self._trailing(shape))
        return spellings[0] if len(spellings) == 1 else {"anyOf": spellings}

    def _trailing(self, shape: Mapped) -> Schema:
        """Return the schema of `[A, B, {…}]`."""
        listed = shape.keys[shape.items].shape
        if not isinstance(listed, Many):
            return {}
        rest = {name: key for name, key in shape.keys.items() if name != shape.items}
        first = [self.of(listed.item)] * listed.most
        last = {**self._object(rest), "additionalProperties": False}
        return {
            "type": "array",
            "prefixItems": [*first, last],
            "items": False,
            "minItems": len(first) + 1,
        }

    def record_body(self, shape: Mapped) -> Schema:
        """Return the schema of a record written as a mapping."""
        body: Schema = {"description": shape.says, **self._object(shape.keys)}
        body["additionalProperties"] = False
        if shape.extensions:
            body["patternProperties"] = {"^x-": {}}
        if shape.needs:
            body["required"] = [shape.needs]
        return body

    def _object(self, keys: Mapping[str, Key]) -> Schema:
        twins: dict[str, list[str]] = {}
        for key in keys.values():
            twins.setdefault(key.target, []).append(key.name)
        both: list[Schema] = [{"required": names} for names in twins.values() if len(names) > 1]
        body: Schema = {
            "type": "object",
            "properties": {name: self._key(key) for name, key in keys.items()},
        }
        return {**body, "not": {"anyOf": both}} if both else body

    def _key(self, key: Key) -> Schema:
        if key.later:
            return {"description": f"{key.says} (not built yet)", "not": {}}
        return {"description": key.says, **_or_nothing(self.of(key.shape))}


def _or_nothing(schema: Schema) -> Schema:
    """Return a schema that lets null through too: nothing means the defaults."""
    nothing: Schema = {"type": "null"}
    spellings = schema.get("anyOf")
    if isinstance(spellings, list) and len(schema) == 1:
        return {"anyOf": [nothing, *spellings]}
    return {"anyOf": [nothing, schema]}


def _word(word: Word) -> Schema:
    schema: Schema = {"type": ["string", *word.typed] if word.typed else "string"}
    if word.pattern:
        schema["pattern"] = word.pattern
    if word.bounds:
        schema["minimum"], schema["maximum"] = word.bounds
    if word.but:
        schema["not"] = {"enum": list(word.but)}
    return {**schema, "description": word.says}
