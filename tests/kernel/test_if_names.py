"""What is taken as the name of an interface is what the kernel takes: it is the witness."""

from contextlib import suppress

import pytest

from netloom.errors import KernelError
from netloom.kernel import syscalls
from netloom.kernel.netlink import Rtnetlink
from netloom.model.names import altname, short_name
from netloom.namespaces.enter import in_thread
from netloom.values import if_name
from netloom.wire.rtnetlink import dump_links, kind_add, read_links

pytestmark = pytest.mark.needs("netns", "bridge")

ER = "\u0420"  # a Cyrillic letter, in UTF-8 0xD0 0xA0
LETTERS = [*map(chr, (*range(0x20, 0x7F), *range(0xDC, 0xE4), *range(0x41C, 0x424))), "\N{BAT}"]


def is_read(name: str) -> bool:
    """Whether a file may give an interface this name."""
    try:
        return bool(if_name(name))
    except ValueError:
        return False


def taken(names: list[str]) -> dict[str, set[str]]:
    """Return for each name under what names there are interfaces once one was made so."""

    def alone() -> dict[str, set[str]]:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        found: dict[str, set[str]] = {}
        with Rtnetlink() as rt:
            before = {"lo"}
            for name in names:
                with suppress(KernelError):
                    rt.batch([kind_add(name, "bridge")])
                now = {link.name for link in read_links(rt.dump(dump_links()))}
                found[name], before = now - before, now
        return found

    return in_thread(alone)


def test_a_letter_is_of_a_name_where_the_kernel_has_it_so() -> None:
    """A byte of `à` is Latin-1's blank; a `%d` becomes a number, and nobody was told."""
    names = [f"x{letter}y" for letter in LETTERS]
    assert {name for name, made in taken(names).items() if made == {name}} == {
        name for name in names if is_read(name)
    }
    assert taken(["x%d"]) == {"x%d": {"x0"}}
    assert not is_read("x%d")


def test_a_name_that_is_derived_is_one() -> None:
    """Whatever a network or a namespace is called; the whole text is its altname."""
    texts = ["là", ER, ER * 3, "a-very-long-name", "café", f"{ER}a", "a.b as port 0"]
    short = [short_name(text) for text in texts]
    assert taken(short) == {name: {name} for name in short}
    assert [altname(text) for text in texts] == [
        "" if name == text else text for name, text in zip(short, texts, strict=True)
    ]
