"""An order in which commands can start (`after:`), or a circle that has none."""

from collections.abc import Iterator, Mapping, Sequence


class Circle(ValueError):
    """Commands of which each comes after the next, and the last after the first."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Keep them."""
        super().__init__(*keys)
        self.keys = tuple(keys)


def start_order(after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all of `after`, each behind those that it comes after; raises `Circle`."""
    found: dict[str, None] = {}
    for first in after:
        way: dict[str, Iterator[str]] = {first: iter(after[first])} if first not in found else {}
        while way:
            key, before = next(reversed(way.items()))
            other = next((each for each in before if each not in found), None)
            if other is None:
                del way[key]
                found[key] = None
            elif other in way:
                keys = list(way)
                raise Circle(keys[keys.index(other) :])
            else:
                way[other] = iter(after.get(other, ()))
    return list(found)
