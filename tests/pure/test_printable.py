"""`errors.printable`: names that others chose, as they stand in sentences."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.errors import printable


@given(st.text(st.characters()))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    """Whatever it was, it is one line of what can be printed; what was one is as it was."""
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nginx: worker", "nginx: worker"),
        ("größe-β", "größe-β"),
        ("a\x1b[2Jb\nfake x", r"a\x1b[2Jb\nfake x"),
        ("\r\t\x9b41m", r"\r\t\x9b41m"),
        ("abc\u202egpj.exe", r"abc\u202egpj.exe"),
        (os.fsdecode(b"\xff\xfe.ns"), r"\xff\xfe.ns"),
    ],
)
def test_what_cannot_be_printed_is_shown_as_its_escape(name: str, shown: str) -> None:
    """Escapes, ends of lines, what turns the direction of writing, bytes that are no UTF-8."""
    assert printable(name) == shown
