"""Python's values as the words of a topology file: one language, one validator.

A keyword is the file's key (`-` becomes `_`, and `from` is `from_`), a text is the file's text. So
what is said in Python is read as if it were written down as JSON, which is YAML; and where it is
wrong, it is.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias, Union

from msgspec.structs import replace

from netloom.errors import Problem, TopologyError
from netloom.language.parse import parse_part, read
from netloom.language.topology import NamespaceSpec, NetworkSpec, Topology, WireSpec
from netloom.model.objects import HOST

Words: TypeAlias = Union[
    str,
    int,
    float,
    bool,
    "os.PathLike[str]",
    Sequence["Words"],
    Mapping[str, "Words"],
    None,
]
"""What a key of a topology may be given: the file's text, a number, a list, a mapping."""


def network_of(name: str, keys: Mapping[str, Words]) -> NetworkSpec:
    """Return the network that some keys say; raises `TopologyError` with every mistake."""
    return _read({"networks": {name: _said(keys)}}).networks[name]


def namespaces_of(names: Sequence[str], keys: Mapping[str, Words]) -> dict[str, NamespaceSpec]:
    """Return the namespaces that some keys say, alike; raises `TopologyError`.

    Raises `TypeError` for no name at all.
    """
    if not names:
        msg = "netns() takes one name or several"
        raise TypeError(msg)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TopologyError(
            [Problem(f"`{name}` is given twice", ("namespaces", name)) for name in twice]
        )
    said = _said(keys)
    return dict(_read({"namespaces": dict.fromkeys(names, said)}).namespaces or {})


def wire_of(ends: tuple[str, str], keys: Mapping[str, Words]) -> WireSpec:
    """Return the wire that some words say; raises `TopologyError`."""
    return _read({"links": [{"ends": list(ends), **_said(keys)}]}).links[0]


def with_namespaces(topology: Topology, more: Mapping[str, NamespaceSpec]) -> Topology:
    """Return a topology with more namespaces; none of that name is there yet."""
    for name in more:
        _check_free(topology, name, "namespaces")
    return replace(topology, namespaces={**_specs(topology), **more})


def with_network(topology: Topology, name: str, network: NetworkSpec) -> Topology:
    """Return a topology with one network more; nothing of that name is there yet."""
    _check_free(topology, name, "networks")
    return replace(topology, networks={**topology.networks, name: network})


def with_wire(topology: Topology, wire: WireSpec) -> Topology:
    """Return a topology with one wire more; it may be the word that brings its namespaces along."""
    if topology.namespaces is None:
        known = _namespaces(topology)
        for end in wire.ends:
            if end.netns not in known:
                _check_free(topology, end.netns, "links")
    return replace(topology, links=(*topology.links, wire))


def without_namespace(topology: Topology, name: str) -> Topology:
    """Return a topology without a namespace, or a `count` group, and its wires.

    Raises `KeyError` where there is none, and for one of a `count`.
    """
    left = dict(_specs(topology))
    if left.pop(name, None) is None:
        group = name.rstrip("0123456789")
        many = group in left and left[group].count is not None
        why = f"is one of `{group}`: one of a `count` cannot be removed alone"
        msg = f"`{name}` {why}" if many else f"no namespace `{name}` in the lab `{topology.name}`"
        raise KeyError(msg)
    links = (wire for wire in topology.links if name not in {end.netns for end in wire.ends})
    return replace(topology, namespaces=left, links=tuple(links))


def without_network(topology: Topology, name: str) -> Topology:
    """Return a topology without a network; raises `KeyError`."""
    left = dict(topology.networks)
    if left.pop(name, None) is None:
        msg = f"no network `{name}` in the lab `{topology.name}`"
        raise KeyError(msg)
    return replace(topology, networks=left)


def without_wire(topology: Topology, wire: WireSpec) -> Topology:
    """Return a topology without a wire; raises `KeyError`."""
    if wire not in topology.links:
        msg = f"no wire between {' and '.join(end.netns for end in wire.ends)}, or no more"
        raise KeyError(msg)
    at = topology.links.index(wire)
    return replace(topology, links=(*topology.links[:at], *topology.links[at + 1 :]))


def _check_free(topology: Topology, name: str, key: str) -> None:
    if name in topology.networks or name in _namespaces(topology):
        raise TopologyError([Problem(f"`{name}` is in the lab already", (key, name))])
    if name in topology.hosts:
        raise TopologyError([Problem(f"`{name}` is outside of the lab (`hosts`)", (key, name))])


def _namespaces(topology: Topology) -> Collection[str]:
    """Return the namespaces that a topology says: by name, or else by its wires."""
    if topology.namespaces is not None:
        return topology.namespaces
    ends = (end.netns for wire in topology.links for end in wire.ends)
    return dict.fromkeys(name for name in ends if name != HOST)


def _specs(topology: Topology) -> Mapping[str, NamespaceSpec]:
    """Return what is said of each namespace, of those that wires alone name nothing."""
    return topology.namespaces or dict.fromkeys(_namespaces(topology), NamespaceSpec())


def _said(keys: Mapping[str, Words]) -> dict[str, Words]:
    """Return the keys that something is said by, as the file spells them."""
    return {
        key.removesuffix("_").replace("_", "-"): value
        for key, value in keys.items()
        if value is not None
    }


def _path(value: object) -> str:
    """Return what a path is as a text; raises `TypeError` for what is none."""
    if isinstance(value, os.PathLike) and isinstance(text := os.fspath(value), str):
        return text
    msg = f"{type(value).__name__} has no word in a topology: {value!r:.50}"
    raise TypeError(msg)


def _read(tree: Mapping[str, Words]) -> Topology:
    topology = read(tree)
    if topology is not None:
        return topology
    text = json.dumps(tree, ensure_ascii=False, default=_path)
    try:
        return parse_part(text)
    except TopologyError as error:
        # The place in a text that nobody has written tells nobody anything.
        plain = [Problem(p.message, p.path, p.hint, at_key=p.at_key) for p in error.problems]
        raise TopologyError(plain) from None
