"""`expect`: each flow speaks of names that there are."""

from netloom.compile.addressing import Naming
from netloom.compile.expand import Expanded
from netloom.language.suggest import did_you_mean
from netloom.language.topology import Topology

_ALWAYS = ("host", "internet", "all")


def check_expects(topology: Topology, expanded: Expanded, naming: Naming) -> None:
    """Note every name in an expectation that nobody bears."""
    known = (*expanded.members, *expanded.groups, *topology.networks, *topology.hosts, *_ALWAYS)
    names = set(known)
    for number, flow in enumerate(topology.expect):
        for name in (*flow.sources, *flow.destinations):
            plain = name.partition(":")[0]
            if plain not in names and not naming.known(plain):
                hint = did_you_mean(plain, known)
                expanded.error(("expect", number), f"nobody here is called `{plain}`", hint)
