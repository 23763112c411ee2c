"""What is told of a refusal: the step, the kernel's answer, what became of the rest, what to do."""

import errno

import pytest

from netloom.errors import KernelError, NotReady, Refused
from netloom.language.messages import clipped

BUSY = KernelError(errno.EBUSY, "")
UNDONE = "has been undone"


@pytest.mark.parametrize(
    ("undone", "left", "said"),
    [
        (True, (), "\n  all that was done before it has been undone"),
        (False, (), ""),
        (False, ("netns a", "netns b"), "\n  left behind: netns a\n  left behind: netns b"),
    ],
)
def test_only_what_is_undone_is_said_to_be(undone: bool, left: tuple[str, ...], said: str) -> None:  # noqa: FBT001
    """Who does not know says neither, and who left something names it."""
    refused = Refused("+ netns a", BUSY, remedy="netloom down x", undone=undone, left=left)

    assert str(refused) == (
        f"`+ netns a` was refused: Device or resource busy{said}\nhint: netloom down x"
    )


def test_how_long_was_waited_has_no_more_digits_than_matter() -> None:
    """Seconds, as they are asked for."""
    assert str(NotReady("it sleeps", 29.9717)) == "not ready after 29.97 s: it sleeps"
    assert str(NotReady("it sleeps", 30)) == "not ready after 30 s: it sleeps"


def test_a_sentence_is_what_a_terminal_only_shows() -> None:
    """Escapes of a file that is quoted do not reach it, and none is endless."""
    assert clipped("no `\x1b[2J` here") == "no `\ufffd[2J` here"
    assert clipped("no `é 網` here") == "no `é 網` here"
    assert " … " in clipped("x" * 9999)
    assert len(clipped("x" * 9999)) < 999
