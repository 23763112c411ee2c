"""What a namespace of a Python program is in: a lab (`live.py`), or the machine (`found.py`)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    import subprocess

    from netloom.api.namespace import Netns
    from netloom.model.objects import Link
    from netloom.namespaces.context import NetnsContext

_P = ParamSpec("_P")
_T = TypeVar("_T")


class NetnsOwner(Protocol):
    """What a namespace is in, and asks about itself and others: a lab, or the machine."""

    timeout: float
    """Seconds that a command may take to become ready."""

    def __getitem__(self, name: str) -> "Netns":
        """Return the namespace of a name."""

    def links_of(self, name: str) -> "Mapping[str, Link]":
        """Return the links of a namespace."""

    def address_of(self, target: str, viewer: "Netns") -> str:
        """Return the address of a namespace, or of its `NS:IF`, for a viewer; else the text."""

    def place_of(self, name: str) -> "NetnsContext":
        """Return a namespace with what is seen in it."""

    def probed(self, name: str, call: Callable[_P, _T], *args: _P.args, **keys: _P.kwargs) -> _T:
        """Return what a call returns that needs the network of a namespace, and leaves nothing."""

    def spawns(self) -> None:
        """Note that a process is about to be started."""

    def start(self, name: str, argv: list[str], **keys: Any) -> "subprocess.Popen[Any]":
        """Start a process in a namespace."""
