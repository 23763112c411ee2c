"""Parting namespaces of a lab: as if there were no way between them, until it is healed.

Each member of a side gets a table of nftables that drops what comes from the addresses of the other
sides, and what goes to them. So it holds over wires, networks and routers alike, for connections
that are open, too; and who only forwards for others still does.
"""

from collections.abc import Iterable, Sequence
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Self

from netloom.kernel.nft import Nft
from netloom.values import family

if TYPE_CHECKING:
    from netloom.lab.live import Lab
    from netloom.lab.member import Netns

_IP = {4: "ip", 6: "ip6"}


class Change:
    """A change of a lab that can be taken back: at the end of a `with` block, or by `undo`."""

    def __init__(self, lab: "Lab", table: str, members: Sequence["Netns"]) -> None:
        """Remember where the tables stand."""
        self._lab = lab
        self._table = table
        self._members = members

    def __enter__(self) -> Self:
        """Return itself; the change holds already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take it back."""
        self.undo()

    def undo(self) -> None:
        """Take it back; twice is no harm."""
        members, self._members = self._members, ()
        for member in members:
            if member.name in self._lab:
                member.call(_run, f"table inet {self._table}\ndelete table inet {self._table}\n")


class Partitions:
    """The partitions of a lab that hold."""

    def __init__(self) -> None:
        """Begin with none."""
        self._numbers = count(1)
        self._open: list[Change] = []

    def part(self, lab: "Lab", sides: Sequence[Sequence["Netns"]]) -> Change:
        """Part the members of each side from those of all others."""
        table = f"netloom-partition-{next(self._numbers)}"
        done: list[Netns] = []
        change = Change(lab, table, done)
        self._open.append(change)
        for side in sides:
            others = [ip for other in sides if other is not side for one in other for ip in one.ips]
            for member in side:
                done.append(member)
                member.call(_run, _table(table, others))
        return change

    def heal(self) -> None:
        """Take all of them back."""
        while self._open:
            self._open.pop().undo()


def _run(text: str) -> None:
    with Nft() as nft:
        nft.run(text)


def _table(name: str, others: Iterable[str]) -> str:
    """Return a table that drops what comes from some addresses, and what goes to them."""
    by_family: dict[int, list[str]] = {4: [], 6: []}
    for address in others:
        by_family[family(address)].append(address)
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority -300; policy accept;\n"
        + "".join(
            f"{_IP[version]} {where} {{ {', '.join(found)} }} drop\n"
            for version, found in by_family.items()
            if found
        )
        + "}\n"
        for hook, where in (("input", "saddr"), ("output", "daddr"))
    )
    return f"table inet {name} {{\n{chains}}}\n"
