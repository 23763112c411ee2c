"""What a command is ready by: the words of `ready:`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.model.ready import PORT_MAX, Kind, Ready, parse_ready

_KINDS: tuple[Kind, ...] = ("tcp", "udp")
TEXTS = st.text(st.characters(exclude_characters="\0"), min_size=1)
PORTS = st.tuples(st.sampled_from(_KINDS), st.integers(1, PORT_MAX)).map(
    lambda drawn: Ready(drawn[0], port=drawn[1])
)
LOGS = TEXTS.map(lambda text: Ready("log", text=text))
PATHS = st.tuples(st.sampled_from("/@"), TEXTS).map(
    lambda drawn: Ready("unix", text="".join(drawn))
)


@given(PORTS | LOGS | PATHS)
def test_what_is_written_is_read_again(wanted: Ready) -> None:
    """Writing and reading lead back to the same value."""
    assert parse_ready(str(wanted)) == wanted


def test_a_colon_is_read_too() -> None:
    """`tcp:80` is `tcp/80`, as elsewhere in the language."""
    assert parse_ready("tcp:80") == Ready("tcp", port=80)


@pytest.mark.parametrize(
    "text",
    [
        *("", "80", "tcp", "tcp/", "tcp/0", "tcp/65536", "tcp/-1", "tcp/\uff18", "sctp/80", "icmp"),
        *("unix/", "unix/@", "unix/run/x", "log/", "log", "unix//a\0b", "log:x"),
    ],
)
def test_other_words_are_refused(text: str) -> None:
    """What cannot be waited for is refused with a sentence."""
    with pytest.raises(ValueError, match="`"):
        parse_ready(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, the answer is a value or a `ValueError`."""
    try:
        found = parse_ready(text)
    except ValueError:
        return
    assert parse_ready(str(found)) == found
