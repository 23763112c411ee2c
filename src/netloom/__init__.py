"""netloom weaves networks out of Linux network namespaces, and explains them.

The names below are promised; each is imported when it is first used, so `import netloom` is cheap.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netloom.engine.files import load as load
    from netloom.errors import NetloomError as NetloomError
    from netloom.errors import NotReady as NotReady
    from netloom.errors import Problem as Problem
    from netloom.errors import Refused as Refused
    from netloom.errors import TopologyError as TopologyError
    from netloom.errors import Unavailable as Unavailable
    from netloom.lab.building import Network as Network
    from netloom.lab.building import Wire as Wire
    from netloom.lab.expectations import Outcome as Outcome
    from netloom.lab.found import netns as netns
    from netloom.lab.found import observe as observe
    from netloom.lab.live import Lab as Lab
    from netloom.lab.member import Netns as Netns
    from netloom.lab.partitions import Change as Change
    from netloom.lab.probes import Journey as Journey
    from netloom.model.objects import Desired as Desired
    from netloom.model.snapshot import Snapshot as Snapshot
    from netloom.topology.parse import parse as parse
    from netloom.topology.topology import Topology as Topology

_PLACES = {
    "Change": "netloom.lab.partitions",
    "Desired": "netloom.model.objects",
    "Journey": "netloom.lab.probes",
    "Lab": "netloom.lab.live",
    "Netns": "netloom.lab.member",
    "NetloomError": "netloom.errors",
    "Network": "netloom.lab.building",
    "NotReady": "netloom.errors",
    "Outcome": "netloom.lab.expectations",
    "Problem": "netloom.errors",
    "Refused": "netloom.errors",
    "Snapshot": "netloom.model.snapshot",
    "Topology": "netloom.topology.topology",
    "TopologyError": "netloom.errors",
    "Unavailable": "netloom.errors",
    "Wire": "netloom.lab.building",
    "load": "netloom.engine.files",
    "netns": "netloom.lab.found",
    "observe": "netloom.lab.found",
    "parse": "netloom.topology.parse",
}

__all__ = sorted(_PLACES)  # noqa: PLE0605 - it is a list of text; a test freezes it
__version__ = "0.1.0"


if not TYPE_CHECKING:  # where a name that there is not shall be a mistake

    def __getattr__(name: str) -> object:
        """Import a promised name."""
        if name not in _PLACES:
            message = f"module `netloom` has no attribute `{name}`"
            raise AttributeError(message)
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
