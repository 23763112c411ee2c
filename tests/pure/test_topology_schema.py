"""The JSON Schema lets through what the parser reads, and refuses typical mistakes."""

from collections.abc import Iterator

import jsonschema
import pytest
import yaml
from hypothesis import given

from netloom.errors import TopologyError
from netloom.language.keys import TOPOLOGY
from netloom.language.parse import parse
from netloom.language.schema import json_schema
from netloom.language.schema_types import Many, Mapped, Named, Shape
from netloom.language.topology import Topology
from netloom.language.unparse import unparse
from tests.pure.topologies import topologies

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def passes(text: str) -> bool:
    """Whether an editor that reads YAML as usual, with numbers and booleans, is content."""
    return bool(VALIDATOR.is_valid(yaml.safe_load(text)))


def records(shape: Shape) -> Iterator[Mapped]:
    """Return every record below a shape."""
    match shape:
        case Many():
            yield from records(shape.item)
        case Named():
            yield from records(shape.value)
            for special in shape.special.values():
                yield from records(special)
        case Mapped():
            yield shape
            for key in shape.keys.values():
                yield from records(key.shape)


def properties(schema: object) -> Iterator[frozenset[str]]:
    """Return the keys of every mapping of a schema that is closed."""
    if isinstance(schema, dict):
        if schema.get("additionalProperties") is False and "properties" in schema:
            yield frozenset(schema["properties"])
        for inner in schema.values():
            yield from properties(inner)
    if isinstance(schema, list):
        for inner in schema:
            yield from properties(inner)


def test_the_schema_is_a_schema() -> None:
    """Draft 2020-12 says so."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_the_keys_that_the_parser_knows() -> None:
    """Every record that can be reached through what is built, and no other key."""
    told = set(properties(SCHEMA))
    known = {frozenset(record.keys) for record in records(TOPOLOGY) if record.make}
    link_rest = {keys - {"ends"} for keys in known if "ends" in keys}

    assert told == known | link_rest


@given(topologies())
def test_what_the_parser_reads_the_schema_lets_through(topology: Topology) -> None:
    """Also where a usual YAML reader makes numbers and booleans of texts."""
    VALIDATOR.validate(yaml.safe_load(unparse(topology)))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "links: [[red, blue]]",
        "links: [red, blue]",
        "links:\n  - [red:eth0 10.10.0.1/24, blue:eth0 10.10.0.2/24]",
        "links: [{ends: [a, b], mtu: 1400, subnet: none}, [a, b, {mtu: 1400}]]",
        "networks: {a: , b: ~, c: {}, d: none, e: 10.0.0.0/24, f: {subnet: 10.0.0.0/24}}",
        "networks: [lan, dmz]\nnamespaces: red",
        "namespaces: {a: {networks: {lan: [10.0.0.1, fd00::1]}, routes: default via b}}",
        "namespaces: {a: {count: 3, forwarding: yes, sysctls: {net.ipv4.ip_forward: 1}}}",
        "hosts: {internet: 8.8.8.8, vm: [10.0.0.1]}\nrouting: static\nx-any: [1, {a: b}]",
        "expect: web, api -> db tcp/5432",
        "namespaces: {host: {networks: {lan: 10.0.0.1}}}",
    ],
)
def test_valid_files_validate(text: str) -> None:
    """Both the schema and the parser are content."""
    parse(text)
    assert passes(text)


@pytest.mark.parametrize(
    "text",
    [
        "network: {lan: }",
        "version: 3",
        "networks: {lan: {subnt: 10.0.0.0/24}}",
        "networks: {lan: {subnet: 10.0.0.0}}",
        "networks: {lan: {subnet: 10.0.0.0/24, subnets: [10.1.0.0/24]}}",
        "networks: {lan: {delay: 10ms}}",
        "networks: {lan: {driver: ovs}}",
        "networks: {lan: {mtu: 12}}",
        "networks: {lan: {subnets: []}}",
        "networks: {host: }",
        "networks: [all]",
        "namespaces: {a b: }",
        "namespaces: {a: {count: 0}}",
        "namespaces: {a: {count: many}}",
        "namespaces: {a: {forwarding: maybe}}",
        "namespaces: {a: {interfaces: {this-is-too-long: }}}",
        "namespaces: {a: {interfaces: {e: {addresses: 10.0.0.1}}}}",
        "namespaces: {a: {interfaces: {e: {mac: '01:00:00:00:00:00'}}}}",
        "namespaces: {a: {networks: {lan: {vlan: 10}}}}",
        "namespaces: {a: {sysctls: {kernel.panic: 1}}}",
        "namespaces: {host: {rules: iif lo lookup 7}}",
        "links: [[a]]",
        "links: [[a, b, c]]",
        "links: [red]",
        "links: [{mtu: 1400}]",
        "links: [[a, b, {delay: 10ms}]]",
        "links: [[a 10.0.0.1, b]]",
        "expect: [web db]",
        "routing: ospf",
        "- a",
    ],
)
def test_typical_mistakes_do_not_validate(text: str) -> None:
    """Neither the schema nor the parser is content."""
    assert not passes(text)
    with pytest.raises(TopologyError):
        parse(text)


def test_keys_that_are_not_built_yet_say_so() -> None:
    """An editor shows what they will be, and refuses them as the parser does."""
    network = SCHEMA["$defs"]["network"]["anyOf"][0]["properties"]  # type: ignore[index]

    assert network["delay"]["description"].endswith("(not built yet)")
    assert all(key["description"] for key in network.values())
