"""Whatever stands in a file: a Source or a TopologyError, and every mistake has a place."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from netloom.errors import TopologyError, printable
from netloom.language.parse import Source, parse
from netloom.language.suggest import did_you_mean
from netloom.language.unparse import unparse
from tests.pure.topologies import topologies

PIECES = st.sampled_from(
    (
        *(
            "networks",
            "namespaces",
            "links",
            "hosts",
            "expect",
            "subnet",
            "subnets",
            "ends",
            "host",
        ),
        *(
            "lan",
            "web",
            "none",
            "all",
            "10.0.0.0/24",
            "fd00::",
            "tcp/80",
            "->",
            "<<",
            "x-a",
            "count",
        ),
        *(
            ": ",
            ":",
            ", ",
            "\n",
            "\n  ",
            "\n    ",
            "\n- ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "&a ",
            "*a",
            "!t ",
        ),
        *(
            "'",
            '"',
            "|\n ",
            "#",
            "\t",
            "\r\n",
            "~",
            "\\",
            "\x00",
            "\ufeff",
            "\x85",
            "\u2028",
            "é",
            "% ",
        ),
    )
)


def outcome(text: str | bytes) -> Source | TopologyError:
    """Return what a text leads to."""
    try:
        return parse(text, file="f")
    except TopologyError as error:
        return error


def check(text: str | bytes) -> None:
    """Assert the law for one text."""
    result = outcome(text)
    if isinstance(result, Source):
        return
    assert result.problems
    places = []
    for problem in result.problems:
        assert problem.mark is not None
        assert 1 <= problem.mark.column <= len(problem.mark.text) + 1
        assert problem.mark.column + problem.mark.length <= len(problem.mark.text) + 1
        assert str(problem).replace("\n", "").isprintable()
        places.append((problem.mark.line, problem.mark.column))
    assert places == sorted(set(places))


@given(st.text())
def test_any_text(text: str) -> None:
    """Characters of all kinds."""
    check(text)


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    """Bytes of all kinds."""
    check(data)


@settings(max_examples=6 * settings().max_examples)  # they are small
@given(st.lists(PIECES, max_size=40).map("".join))
@example("links: [[a, b], &a [*a]]")
@example("? \n: \n")
@example("- \x85- a")
def test_pieces_of_the_language(text: str) -> None:
    """What looks like a topology, in any order."""
    check(text)


@given(topologies(), st.data())
def test_a_valid_file_that_was_damaged(topology: object, data: st.DataObject) -> None:
    """A valid text with something cut out and something else put in."""
    text = unparse(topology)  # type: ignore[arg-type]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    check(text[:start] + data.draw(PIECES) + text[end:])


@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=5))
def test_a_suggestion_is_one_of_the_candidates(word: str, candidates: list[str]) -> None:
    """Or there is none; it is told so that it stays on its line."""
    shown = map(printable, candidates)
    assert did_you_mean(word, candidates) in {"", *(f"did you mean `{c}`?" for c in shown)}


def test_a_suggestion_is_what_was_meant() -> None:
    """Letters dropped, added, swapped, in another case."""
    for typo in ("subnt", "subnett", "sbunet", "Subnet"):
        assert did_you_mean(typo, ["range", "subnet", "mtu"]) == "did you mean `subnet`?"
    assert did_you_mean("gateway", ["range", "subnet", "mtu"]) == ""
