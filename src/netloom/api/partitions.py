"""Parting namespaces of a lab: as if there were no way between them, until it is healed.

Each member of a side gets a table of nftables that drops what comes from the addresses of the other
sides, and what goes to them. So it holds over wires, networks and routers alike, for connections
that are open, too; and who only forwards for others still does.
"""

import errno
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from netloom.errors import KernelError
from netloom.kernel import nft
from netloom.kernel.closing import Closing
from netloom.kernel.nft import Nft
from netloom.values import family
from netloom.wire.nfnetlink import Table

if TYPE_CHECKING:
    from netloom.api.namespace import Netns

_IP = {4: "ip", 6: "ip6"}


class Change(Closing):
    """A change of a lab that can be taken back: at the end of a `with` block, or by `undo`."""

    def __init__(self, back: Callable[[], None]) -> None:
        """Remember what takes it back, twice being no harm."""
        self.undo = back

    def close(self) -> None:
        """Take it back."""
        self.undo()


class Partitions:
    """The partitions of a lab that hold."""

    def __init__(self) -> None:
        """Begin with none."""
        self._numbers = count(1)
        self._held: dict[str, list[Netns]] = {}

    def part(self, sides: Sequence[Sequence["Netns"]]) -> Change:
        """Part the members of each side from those of all others, all or none."""
        table = f"netloom-partition-{next(self._numbers)}"
        done = self._held[table] = []
        with ExitStack() as stack, _Rules() as rules:
            stack.callback(self._heal, table)
            for side in sides:
                others = [ip for far in sides if far is not side for one in far for ip in one.ips]
                for member in side:
                    far = [ip for ip in others if not member.is_beside(ip)]
                    rules.load(member, _table(table, others, far))
                    done.append(member)
            stack.pop_all()
        return Change(partial(self._heal, table))

    def heal(self) -> None:
        """Take all of them back."""
        for table in list(self._held):
            self._heal(table)

    def _heal(self, table: str) -> None:
        for member in self._held.pop(table, ()):
            with suppress(KeyError):  # it is no more in the lab
                member.call(_delete, table)


class _Rules(Closing):
    """Who loads rules into one namespace after another: one library, where that can be."""

    def __init__(self) -> None:
        self._nft: Nft | None = None

    def close(self) -> None:
        if self._nft:
            self._nft.close()

    def load(self, member: "Netns", text: str) -> None:
        if member.lab.context_of(member.name).is_of_another_user:  # calls are made in children
            member.call(_run, text)
            return
        self._nft = self._nft or Nft()
        member.call(self._nft.here)
        self._nft.run(text)


def _run(text: str) -> None:
    with Nft() as library:
        library.run(text)


def _delete(name: str) -> None:
    try:
        nft.delete(Table("inet", name))
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise


def _table(name: str, others: Sequence[str], far: Sequence[str]) -> str:
    """Return a table that drops what comes from the others, and what goes to those far away.

    Who has what goes to an address of its own subnet dropped where it arrives loses it in silence,
    as on a line that is cut. Behind a router addresses may be translated, so there it is dropped
    where it leaves; the kernel tells that to the sender (EPERM).
    """
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority -300; policy accept;\n"
        f"{_drops(where, addresses)}}}\n"
        for hook, where, addresses in (("input", "saddr", others), ("output", "daddr", far))
    )
    return f"table inet {name} {{\n{chains}}}\n"


def _drops(where: str, addresses: Sequence[str]) -> str:
    found = {word: [one for one in addresses if family(one) == n] for n, word in _IP.items()}
    return "".join(
        f"{word} {where} {{ {', '.join(some)} }} drop\n" for word, some in found.items() if some
    )
