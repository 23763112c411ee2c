"""What a value of a topology file can look like: the closed union that `keys.py` is written in.

    Word      text with a meaning: `1400`, `10.0.0.1/24`, an END
    Choice    one of a few words
    Many      a list; one item may stand alone; `none` may mean "none, on purpose"
    Named     names to values; a list of names is names to nothing
    Record    a fixed set of keys; text or a list may stand for one of them
    Anything  not looked at

`decoder.py` reads by these shapes, `unparse.py` writes by them, `schema.py` tells them to editors.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct, field


class Word(Struct, frozen=True, kw_only=True):
    """A text: how to read and write it, a pattern that all it can be matches, and what it is.

    `typed` names the JSON types besides text that a YAML reader may make of it.
    """

    name: str
    says: str
    read: Callable[[str], object]
    write: Callable[[object], str] = str
    pattern: str = ""
    typed: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    """Texts that match the pattern and are refused all the same."""
    bounds: tuple[int, int] | None = None


class Choice(Struct, frozen=True, kw_only=True):
    """One of the words `now`; those of `later` are known and not built yet."""

    now: tuple[str, ...]
    later: tuple[str, ...] = ()


class Many(Struct, frozen=True, kw_only=True):
    """A list. `none` alone makes it empty on purpose; `[]` is then refused as ambiguous."""

    item: "Word | Mapped"
    none: bool = False
    least: int = 0
    most: int = 0
    """Most items; 0: any number."""
    instead: str = ""
    """What to write where there are too many or too few."""


class Named(Struct, frozen=True, kw_only=True):
    """Names to values. `special` names have a shape of their own."""

    key: Word
    value: "Shape"
    bare: bool = True
    """Whether a list of names, or one name, may stand for names to nothing."""
    special: Mapping[str, "Mapped"] = field(default_factory=dict)


class Mapped(Struct, frozen=True, kw_only=True):
    """A fixed set of keys. `make` builds the value; without it the record is not built yet."""

    noun: str
    says: str
    keys: Mapping[str, "Key"]
    make: type[Struct] | None = None
    text: str = ""
    """The key that a text stands for; empty: no text may stand here."""
    items: str = ""
    """The key that a list stands for."""
    needs: str = ""
    """The key that must be there."""
    trailing: bool = False
    """Whether a list may end in a mapping with the other keys: `[A, B, {mtu: 1400}]`."""
    extensions: bool = False
    """Whether `x-…` keys may hold anything."""


class Anything(Struct, frozen=True):
    """A value that nobody looks at."""


class Key(Struct, frozen=True):
    """One key of a record. `later`: known, not built yet; `field`: what the value calls it."""

    name: str
    shape: "Shape"
    says: str
    later: bool = False
    field: str = ""
    hint: str = ""
    """Why it is not there yet, or what to write in place of a word that it does not know."""
    kept: bool = True
    """Whether the value has a field for it; what can only say the default needs none."""

    @property
    def target(self) -> str:
        """Return the field of the record's value that this key fills."""
        return self.field or self.name


Shape: TypeAlias = Word | Choice | Many | Named | Mapped | Anything


def keyed(*keys: Key) -> dict[str, Key]:
    """Return keys by their names, in their order."""
    return {key.name: key for key in keys}
