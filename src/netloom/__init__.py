"""netloom makes networks out of Linux network namespaces, and takes them away without a trace.

The names below are promised; each is imported when it is first used, so `import netloom` is cheap.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netloom.api.attach import netns as netns
    from netloom.api.attach import observe as observe
    from netloom.api.builder import Network as Network
    from netloom.api.builder import Wire as Wire
    from netloom.api.expectations import Outcome as Outcome
    from netloom.api.lab import Lab as Lab
    from netloom.api.namespace import Netns as Netns
    from netloom.api.partitions import Change as Change
    from netloom.api.probes import Journey as Journey
    from netloom.engine.topology_file import load as load
    from netloom.errors import NetloomError as NetloomError
    from netloom.errors import NotReady as NotReady
    from netloom.errors import Problem as Problem
    from netloom.errors import Refused as Refused
    from netloom.errors import TopologyError as TopologyError
    from netloom.errors import Unavailable as Unavailable
    from netloom.language.parse import parse as parse
    from netloom.language.topology import Topology as Topology
    from netloom.model.lab_state import LabState as LabState
    from netloom.model.objects import Desired as Desired

_PLACES = {
    "Change": "netloom.api.partitions",
    "Desired": "netloom.model.objects",
    "Journey": "netloom.api.probes",
    "Lab": "netloom.api.lab",
    "Netns": "netloom.api.namespace",
    "NetloomError": "netloom.errors",
    "Network": "netloom.api.builder",
    "NotReady": "netloom.errors",
    "Outcome": "netloom.api.expectations",
    "Problem": "netloom.errors",
    "Refused": "netloom.errors",
    "LabState": "netloom.model.lab_state",
    "Topology": "netloom.language.topology",
    "TopologyError": "netloom.errors",
    "Unavailable": "netloom.errors",
    "Wire": "netloom.api.builder",
    "load": "netloom.engine.topology_file",
    "netns": "netloom.api.attach",
    "observe": "netloom.api.attach",
    "parse": "netloom.language.parse",
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
