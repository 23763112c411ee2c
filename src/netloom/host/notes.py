"""Notes as JSON, with names of any bytes in them.

Names and aliases of interfaces are bytes to the kernel. Those that are no text are lone surrogates
in Python (os.fsdecode), for which `json` of Python has a form, and msgspec has none.
"""

from typing import TypeVar

import msgspec

_Kind = TypeVar("_Kind")

_LONE = b"\\udc"
"""How a byte that is no text begins, as JSON; a text may have that, too."""


def encode(note: object) -> bytes:
    """Return a note as JSON."""
    try:
        return msgspec.json.encode(note)
    except UnicodeEncodeError:
        import json

        return json.dumps(msgspec.to_builtins(note, str_keys=True)).encode()


def decode(data: bytes, kind: type[_Kind]) -> _Kind:
    """Return the note of a kind that some bytes are; raises `msgspec.DecodeError`."""
    if _LONE not in data:
        return msgspec.json.decode(data, type=kind)
    import json

    try:
        said = json.loads(data)
    except ValueError as error:
        raise msgspec.DecodeError(str(error)) from error
    return msgspec.convert(said, kind, str_keys=True)
