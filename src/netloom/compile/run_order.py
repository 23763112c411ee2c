"""The order of a lab's commands (`after:`): who starts when others are ready.

A bare name is first a command of the same namespace, then a namespace (or a `count` of them), which
means all its commands; `NS/NAME` is one command of a namespace, or of each of a `count`.
"""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from netloom.compile.expand import Expanded
from netloom.errors import Path
from netloom.language.suggest import did_you_mean
from netloom.model.objects import HOST, Command, command_key
from netloom.model.start_order import Circle, start_order

Keys = tuple[str, ...]
"""Commands, each as `NS/NAME`."""


def in_order(expanded: Expanded, ran: Mapping[str, Command]) -> dict[str, Command]:
    """Return the commands of a lab (`ran`), each with those that it comes after; note mistakes."""
    order = _Order(expanded, ran)
    after = {key: order.before(key) for key in order.places}
    order.refuse_circles(after)
    return {key: replace(one, after=after.get(key, ())) for key, one in ran.items()}


class _Order:
    """Who is called how, and where each command stands that comes after others."""

    def __init__(self, expanded: Expanded, ran: Mapping[str, Command]) -> None:
        self.expanded = expanded
        self.commands: dict[str, list[str]] = {name: [] for name in expanded.members}
        for key in ran:
            netns, _, name = key.partition("/")
            self.commands.setdefault(netns, []).append(name)
        self.places = dict(self._ordered())

    def _ordered(self) -> Iterator[tuple[str, tuple[Path, Keys]]]:
        """Yield each command that comes after others: its place, and what is written there."""
        for netns, member in self.expanded.members.items():
            for number, (name, run) in enumerate(
                zip(self.commands[netns], member.spec.run, strict=False)
            ):
                if run.after:
                    path = (*member.path, "run", number, "after")
                    yield command_key(netns, name), (path, run.after)

    def before(self, key: str) -> Keys:
        """Return the commands that one comes after; what is nobody's name is a mistake."""
        path, words = self.places[key]
        found: dict[str, None] = {}
        for number, word in enumerate(words):
            try:
                found |= dict.fromkeys(self.meant(key.partition("/")[0], word))
            except ValueError as error:
                self.expanded.error((*path, number), str(error))
        return tuple(found)

    def meant(self, netns: str, word: str) -> Iterator[str]:
        """Yield the commands that a word means in a namespace; raises `ValueError` for none."""
        where, slash, name = word.partition("/")
        if not slash and word in self.commands[netns]:
            yield command_key(netns, word)
            return
        for each in self.members(where, (*self.commands[netns], *self.commands)):
            if name and name not in self.commands[each]:
                hint = did_you_mean(name, self.commands[each])
                msg = f"`{each}` has no command `{name}`" + (f": {hint}" if hint else "")
                raise ValueError(msg)
            if not self.commands[each]:
                msg = f"`{each}` has no commands"
                raise ValueError(msg)
            for one in [name] if name else self.commands[each]:
                yield command_key(each, one)

    def members(self, name: str, known: Keys) -> Keys:
        """Return the namespaces of a name, which is one's or a `count`'s; raises `ValueError`."""
        if name in self.expanded.groups:
            return self.expanded.groups[name]
        if name in self.expanded.members and name != HOST:
            return (name,)
        hint = did_you_mean(name, known)
        msg = f"`{name}` is no command here and no namespace" + (f": {hint}" if hint else "")
        raise ValueError(msg)

    def refuse_circles(self, after: dict[str, Keys]) -> None:
        """Note each circle, at the first place that closes it."""
        left = dict(after)
        while circle := _circle(left):
            first = next(key for key in self.places if key in circle)
            at = circle.index(first)
            turned = [*circle[at:], *circle[:at], first]
            told = " after ".join(f"`{_short(key, first)}`" for key in turned)
            self.expanded.error(self.places[first][0], f"a circle, in which nobody starts: {told}")
            left[first] = ()


def _circle(after: Mapping[str, Keys]) -> Keys | None:
    try:
        start_order(after)
    except Circle as circle:
        return circle.keys
    return None


def _short(key: str, beside: str) -> str:
    """Return a command as it would be written beside another."""
    netns, _, name = key.partition("/")
    return name if beside.startswith(f"{netns}/") else key
