"""`Topology` to text: what was written is read again, in the shortest spelling."""

import pytest
import yaml
from hypothesis import given

from netloom.topology.emit import scalar
from netloom.topology.parse import parse
from netloom.topology.topology import Topology
from netloom.topology.unparse import unparse
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
