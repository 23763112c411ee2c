"""What a lab is made of, in words: `2 namespaces, 1 network, 1 wire`."""

from netloom.model.names import out_of, switch_of
from netloom.model.objects import (
    Desired,
    End,
    NetnsState,
    is_kept,
)
from netloom.render.counted import counted


def unwritten(lab: str, desired: Desired) -> set[str]:
    """Return the namespaces of a lab that nobody wrote down."""
    kept = (name for name, one in desired.netns.items() if is_kept(name, one))
    return {*kept, switch_of(lab), out_of(lab)}


def contents(lab: str, desired: Desired) -> str:
    """Return what a lab is made of: `2 namespaces, 1 network, 1 wire`."""
    own = unwritten(lab, desired)
    namespaces = sum(name not in own for name in desired.netns)
    bridges = trunks = ends = 0
    for netns in desired.netns.values():
        for link in netns.links.values():
            bridges += link.kind.takes_ports
            if link.peer and link.master and _is_port(link.peer, desired):
                trunks += 1
            elif link.peer:
                ends += 1
    networks, wires = bridges - trunks // 2, ends // 2
    parts = [
        counted(namespaces, "namespace"),
        counted(networks, "network") if networks else "",
        counted(wires, "wire") if wires else "",
    ]
    return ", ".join(part for part in parts if part)


def _is_port(end: End, desired: Desired) -> bool:
    """Whether an end of a wire, if it is there, is the port of a bridge."""
    link = desired.netns.get(end.netns, NetnsState()).links.get(end.link)
    return bool(link and link.master)
