"""Whose namespaces the names in /run/netns are: by the mark on `lo` inside each."""

import errno

from netloom.errors import KernelError, Unavailable
from netloom.kernel.netlink import Rtnetlink
from netloom.model.owner import lab_of
from netloom.namespaces import registry
from netloom.namespaces.enter import in_thread, setns
from netloom.namespaces.handle import NoSuchNetns, open_name
from netloom.wire.rtnetlink import dump_links, read_links


def marked(lab: str) -> frozenset[str]:
    """Return the names of all namespaces that bear a lab's mark."""
    return frozenset(name for name, owner in owners().items() if owner == lab)


def owners() -> dict[str, str | None]:
    """Return every name in /run/netns with the lab whose namespace it is, None for nobody's."""
    return in_thread(_owners)


def _owners() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in registry.names():
        try:
            handle = open_name(name)
        except (NoSuchNetns, Unavailable):
            found[name] = None
            continue
        with handle:
            try:
                setns(handle)
            except KernelError as error:
                if error.errno != errno.EPERM:
                    raise
                found[name] = ""  # one that may not be entered is somebody else's
                continue
            with Rtnetlink() as rt:
                links = read_links(rt.dump(dump_links()))
        found[name] = next((lab_of(link.alias) for link in links if link.index == 1), None)
    return found
