"""YAML to text nodes: places, anchors, merge keys, and everything that no file may do to us."""

import time

import pytest
import yaml
from hypothesis import given

from netloom.errors import Mark, Problem, TopologyError
from netloom.language import nodes
from netloom.language.lines import Lines, decode
from netloom.language.nodes import ListNode, Loader, MapNode, Node, TextNode, compose
from netloom.language.topology import Topology
from netloom.language.unparse import unparse
from tests.pure.topologies import topologies

LOADERS: list[Loader] = [yaml.BaseLoader]
if yaml.__with_libyaml__:
    LOADERS.append(yaml.CBaseLoader)

both = pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.__name__)


def plain(node: Node) -> object:
    """Return a tree of nodes as lists, dicts and texts."""
    if isinstance(node, TextNode):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {name: plain(value) for name, (_, value) in node.pairs.items()}


def tree(text: str, loader: Loader = nodes.LOADER) -> object:
    """Return the tree of a text that has no mistakes."""
    node, problems = compose(Lines(text, "f"), loader)
    assert problems == []
    return plain(node)


def wrong(text: str, loader: Loader = nodes.LOADER) -> Problem:
    """Return the first mistake of a text."""
    try:
        _, problems = compose(Lines(text, "f"), loader)
    except TopologyError as error:
        return error.problems[0]
    return problems[0]


@given(topologies())
def test_both_parsers_see_the_same_tree(topology: Topology) -> None:
    """Canonical text means the same to libyaml and to PyYAML's own parser."""
    text = unparse(topology)

    assert tree(text, yaml.BaseLoader) == tree(text)


@both
def test_every_scalar_is_text(loader: Loader) -> None:
    """Nothing becomes a number, a boolean or a date."""
    text = "{a: 010, b: yes, c: 52:54:00:12:34:56, d: 2001-01-01, e: 1.0, on: x}"

    expected = {"a": "010", "b": "yes", "c": "52:54:00:12:34:56", "d": "2001-01-01"}
    assert tree(text, loader) == expected | {"e": "1.0", "on": "x"}


@both
def test_json_is_yaml(loader: Loader) -> None:
    """A file may be JSON, compact or indented."""
    assert tree('{"a":[1,"b"],"c":{"d":null}}', loader) == {"a": ["1", "b"], "c": {"d": "null"}}


@both
def test_only_a_plain_null_is_nothing(loader: Loader) -> None:
    """`~`, `null` and nothing mean nothing; in quotes they are text."""
    node, _ = compose(Lines("[~, null, '~', 'null', ''  ]\n", "f"), loader)

    assert isinstance(node, ListNode)
    assert [nodes.is_nothing(item) for item in node.items] == [True, True, False, False, False]


@both
def test_offsets_are_characters(loader: Loader) -> None:
    """Whatever the width of a character in UTF-8, a node's text stands where it says."""
    text = "é: [🕸, ü]\r\nß: 'x'\n"
    node, _ = compose(Lines(text, "f"), loader)

    assert isinstance(node, MapNode)
    inner = node.pairs["é"][1]
    assert isinstance(inner, ListNode)
    assert [text[item.start : item.end] for item in inner.items] == ["🕸", "ü"]
    assert text[node.pairs["ß"][1].start :].startswith("'x'")


@both
def test_merge_keys_give_what_is_not_said(loader: Loader) -> None:
    """What stands in the mapping wins over `<<`, and an earlier source over a later one."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\nd: {<<: *b}\n"

    merged = tree(text, loader)

    assert isinstance(merged, dict)
    assert merged["c"] == {"x": "0", "y": "1", "z": "2"}
    assert merged["d"] == {"y": "2", "z": "2"}


@both
def test_a_byte_order_mark_is_no_part_of_the_text(loader: Loader) -> None:
    """An editor's BOM is neither a key nor a column."""
    assert tree("\ufeffa: b", loader) == {"a": "b"}
    assert wrong("\ufeffa: b: c", loader).mark == wrong("a: b: c", loader).mark


@both
@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "the file is empty"),
        ("# only a comment\n", (1, 1), "the file is empty"),
        ("a: b\na: c", (2, 1), "`a` is given twice"),
        ("x: {a: 1, b: 2, a: 3}", (1, 17), "`a` is given twice"),
        ("a: !foo b", (1, 4), "tags have no meaning here"),
        ("a: !!int 3", (1, 4), "tags have no meaning here"),
        ("a: b\n---\nc: d", (2, 1), "a second document begins here"),
        ("a: *x", (1, 4), "no anchor `&x` stands before this"),
        ("a: &x [b, *x]", (1, 11), "`*x` stands inside what it stands for"),
        ("a: {<<: b}", (1, 9), "`<<` takes mappings only"),
        ("? [a]\n: b", (1, 3), "a key is one word"),
        ("a: 'b", (1, 4), "this quote is not closed"),
        ("a: [b, c\n", (1, 4), "this is not closed"),
        ("a: {b: c\n", (1, 4), "this is not closed"),
        ("a: [b\nc: d]", (2, 2), "`,` or `]` is missing before this"),
        ("a: b: c", (1, 5), "a second `: ` in one line"),
        ("a: @b", (1, 4), "no word can begin with this character"),
        ("a:\n  b: c\n d: e", (3, 2), "this does not line up with what stands above"),
        ("expect:\n  - * -> db", (2, 6), "`*` and `&` begin the name of an anchor"),
        ("a: \0", (1, 4), "character U+0000 is not allowed in YAML"),
        ("a: b\nc: \x1b[31m", (2, 4), "character U+001B is not allowed in YAML"),
        ("a: \ud800", (1, 4), "character U+D800 is not allowed in YAML"),
        ('a: "\\e[31m"', (1, 4), "this text holds a control character"),
        ("[" * 900, (1, 41), "nested more than 40 deep"),
        ("- " * 1_000 + "a", (1, 81), "nested more than 40 deep"),
    ],
)
def test_a_broken_text_is_told_where_and_why(
    loader: Loader, text: str, place: tuple[int, int], message: str
) -> None:
    """Both parsers lead to the same sentence at the same place."""
    problem = wrong(text, loader)

    assert problem.mark is not None
    assert (problem.message, (problem.mark.line, problem.mark.column)) == (message, place)


@both
def test_deeper_than_the_parser_itself_goes(loader: Loader) -> None:
    """Some versions of libyaml have a limit of their own, and come to it first: they look ahead."""
    assert wrong("[" * 100_000, loader).message in {"nested too deep", "nested more than 40 deep"}


def test_an_address_that_ends_in_colons_needs_quotes() -> None:
    """In a list, libyaml takes `fd00::` for a key; the hint says what to do."""
    problem = wrong("links:\n - [a fd00::, b]")

    assert problem.mark is not None
    assert (problem.mark.line, problem.mark.column, problem.mark.length) == (2, 5, 8)
    assert "quotes" in problem.hint


def test_bytes_that_are_no_utf8_have_a_place() -> None:
    """The line and column of the first bad byte, counted in characters."""
    with pytest.raises(TopologyError) as refused:
        decode("a: é\nb: ü\xff".encode("latin-1"), "f")

    assert (mark := refused.value.problems[0].mark) is not None
    assert (mark.line, mark.column) == (1, 4)


def test_aliases_cannot_multiply_without_end() -> None:
    """A small file that stands for a billion values is refused, at once."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )

    before = time.process_time()
    problem = wrong(bomb)

    assert problem.message.startswith("this makes more than")
    assert time.process_time() - before < 1


def test_a_mark_shows_what_no_terminal_obeys() -> None:
    """Tabs become one column, and control characters are replaced."""
    mark = Lines("\ta: \x1b[31m", "f").mark(5, 6)

    assert (mark.column, mark.text) == (6, " a: \ufffd[31m")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_editors_see_them(end: str) -> None:
    """LF, CR LF and CR end a line."""
    lines = Lines(f"one{end}two{end}", "f")

    assert lines.mark(3 + len(end), 6 + len(end)) == Mark("f", 2, 1, 3, "two")
    assert lines.mark(len(lines.text), len(lines.text)) == Mark("f", 3, 1, 0, "")
