"""Firewall rules of a lab in a namespace: put in place, seen, foretold.

What is asked is a text, what is there a listing, and nft(8) words it anew. So both are known by the
digest of the listing: what a text will look like is found out by loading it in a nameless namespace
of its own, which also shows whether it is right before anything is touched.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from netloom.kernel import syscalls
from netloom.kernel.nft import Nft, Table
from netloom.netns.enter import aside


def put(text: str) -> None:
    """Put a table in place, in the calling thread's namespace; raises `NftError`."""
    with Nft() as nft:
        nft.run(text)


def remove(ruleset: str) -> None:
    """Take a table away."""
    with Nft() as nft:
        nft.run(f"delete table {ruleset}")


def seen(lab: str, wanted: Iterable[str]) -> dict[str, str]:
    """Return those of our tables that there are, by the digests of their listings."""
    found = {}
    mark = f'comment "netloom:{lab}"'
    with Nft() as nft:
        for name in wanted:
            listing = nft.list_table(_table(name))
            if listing is not None and mark in listing:
                found[name] = _digest(listing)
    return found


def foretold(rulesets: Mapping[str, str]) -> dict[str, str]:
    """Return, for texts by digest, the digests of how they will be listed."""
    return aside(_foretold, rulesets)


def _foretold(rulesets: Mapping[str, str]) -> dict[str, str]:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    found = {}
    with Nft() as nft:
        for digest, text in rulesets.items():
            nft.run(text)
            (table,) = nft.tables()
            found[digest] = _digest(nft.list_table(table) or "")
            nft.run(f"delete table {table}")
    return found


def _table(name: str) -> Table:
    family, _, word = name.partition(" ")
    return Table(family, word)


def _digest(listing: str) -> str:
    return blake2b(listing.encode(), digest_size=12).hexdigest()
