"""`Topology` to text: what was written is read again, in the shortest spelling."""

import json
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netloom.errors import TopologyError
from netloom.language.emit import scalar
from netloom.language.parse import parse, read
from netloom.language.topology import Topology
from netloom.language.unparse import unparse
from tests.pure.topologies import topologies


@given(topologies())
def test_what_was_written_is_read_again(topology: Topology) -> None:
    """`parse` is the inverse of `unparse`."""
    assert parse(unparse(topology)).topology == topology


@given(topologies())
def test_canonical_text_is_its_own_canonical_form(topology: Topology) -> None:
    """Reading and writing again changes nothing."""
    text = unparse(topology)

    assert unparse(parse(text).topology) == text


_WORDS = ("namespaces", "networks", "links", "ends", "mtu", "run", "web", "a:eth0 10.0.0.1/24", "b")
_PLAIN = st.sampled_from(_WORDS) | st.text(max_size=8) | st.integers() | st.floats()
_TREES = st.recursive(
    _PLAIN | st.none() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_WORDS) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=12,
)


def _agree(tree: Mapping[str, object]) -> None:
    text = json.dumps(tree, ensure_ascii=False)
    try:
        said = parse(text).topology
    except TopologyError:
        assert read(tree) is None
    else:
        assert read(tree) == said


@given(topologies())
def test_what_python_says_is_what_its_text_says(topology: Topology) -> None:
    """Values are read without a text as their text is."""
    _agree(yaml.load(unparse(topology), Loader=yaml.BaseLoader))  # noqa: S506 - texts alone


@given(st.dictionaries(st.sampled_from(_WORDS), _TREES, max_size=3))
def test_what_is_wrong_in_python_is_wrong_in_its_text(tree: Mapping[str, object]) -> None:
    """Whatever it is, and the other way round."""
    _agree(tree)


def test_the_order_of_the_file_is_kept() -> None:
    """Derived addresses go in file order."""
    topology = parse("namespaces: [z, a, m]\nnetworks: {y: , b: }").topology

    assert list(parse(unparse(topology)).topology.namespaces or ()) == ["z", "a", "m"]


def test_the_shortest_spelling_is_taken() -> None:
    """Lists of names, single items, text for a mapping; nothing that is the default."""
    text = """\
name: shop
networks:
  lan: {subnet: 10.0.0.0/24}
  dmz: {subnets: [10.1.0.0/24, fd00::/64], mtu: 1400, stp: true}
namespaces:
  web:
    count: 3
    networks: {lan: 10.0.0.5, dmz: }
    interfaces: {lo: {addresses: [10.9.9.9/32, fd00::1/128], up: false}}
    routes: default via r1
  r1: {networks: [lan, dmz], forwarding: true}
  "no":
links:
  - [web, r1]
  - [web:a 10.0.0.1/24, r1:b, {mtu: 1400}]
expect: web -> internet tcp/80 ip4
"""

    assert unparse(parse(text).topology) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "no",
            "null",
            "~",
            "010",
            "1.5",
            "12:30",
            "0x1f",
            "1e3",
            "2001-01-01",
            "",
            "a: b",
            "=",
            "<<",
        ),
        *(
            "a #b",
            "[a",
            "-",
            "- a",
            "a:",
            "x fd00::",
            "é",
            "a, b",
            "'a'",
            "\x07",
            "\U0001f600",
            "---",
        ),
    ],
)
def test_what_somebody_may_misread_is_quoted(text: str) -> None:
    """A quoted text is the same text to every reader."""
    assert scalar(text).startswith('"')
    assert yaml.safe_load(scalar(text)) == text


@pytest.mark.parametrize(
    "text", ["web", "1400", "web:eth0 10.0.0.1/24", "fd00::/64", "a -> b tcp/80"]
)
def test_what_nobody_misreads_is_plain(text: str) -> None:
    """Quotes only where they help."""
    assert scalar(text) == text


def test_an_empty_topology_has_a_text() -> None:
    """`{}`: an empty file would be refused."""
    assert unparse(Topology()) == "{}\n"
    assert parse("{}").topology == Topology()
