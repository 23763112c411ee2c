"""What a namespace and a link are known by while they last, whatever becomes of names and marks.

A namespace has a cookie (SO_NETNS_COOKIE), which is never used again within a boot. A link has an
index in its namespace, and one end of a wire tells the index of the other (IFLA_LINK); when it is
gone, the index may be given again.

Rule: identities of another boot say nothing; the namespace of a machine's start has the same cookie
in each.
"""

from collections.abc import Mapping

from msgspec import Struct, field

Pair = tuple[int, int]
"""The index of a link and that of its far end, 0 where it has none."""


class Identity(Struct, frozen=True):
    """A namespace by its cookie, and the lab's links in it by their indexes."""

    cookie: int
    links: Mapping[str, Pair] = field(default_factory=dict)


Identities = Mapping[str, Identity]
"""The namespaces that a lab has, or has links in, by their names."""
