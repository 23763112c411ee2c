"""Which lab the namespace is of that we are in, by the mark of its `lo`."""

from netloom.errors import Unavailable, printable
from netloom.kernel.netlink import Rtnetlink
from netloom.model.owner import lab_of
from netloom.wire.alias import get_alias, read_alias


def lab_here() -> str | None:
    """Return the lab whose mark the namespace of the calling thread bears, None for nobody's."""
    return lab_of(_mark_here())


def _mark_here() -> str:
    with Rtnetlink() as route:
        return read_alias(route.ask(get_alias("lo")))


def check_outside() -> None:
    """Raise `Unavailable` where the calling thread is inside a namespace of a lab.

    As a `host` that would be taken for what the lab has there, and for anybody's.
    """
    mark = _mark_here()
    if lab := lab_of(mark):
        name = printable(mark.partition("/")[2])
        reason = f"this is inside `{name}` of the lab `{printable(lab)}`, not where labs are made"
        raise Unavailable(reason, "leave it first: `exit`, or run netloom outside")
