"""Interfaces of the host as ports of a network: which can be, and what they were before.

A port's frames are the bridge's, so whatever the host has on it itself is cut off: it is refused
where that is anything at all.
"""

from collections.abc import Iterator, Mapping

from netloom.compile.expand import Expanded, Segment
from netloom.errors import quoted
from netloom.language.suggest import did_you_mean
from netloom.model.facts import Nic
from netloom.model.marks import is_port
from netloom.model.objects import Borrowed, Link
from netloom.model.owner import lab_of


def host_ports(
    expanded: Expanded, lab: str, nics: Mapping[str, Nic], known: Mapping[str, Link]
) -> dict[str, Borrowed]:
    """Return the interfaces that become ports, as they were found; mistakes are noted.

    `nics` are those of the host, `known` what is remembered of those that may be ports by now.
    """
    found = {}
    vias = {via for segment in expanded.segments for via in _via(segment)}
    for segment in expanded.segments:
        for name, path in segment.host_ports:
            nic = nics.get(name)
            if nic is None:
                hint = did_you_mean(name, nics)
                expanded.error(path, f"the host has no interface `{name}`", hint, at_key=True)
            elif _is_port(nic, lab, was := known.get(name)):
                found[name] = (was and was.borrowed) or Borrowed(up=nic.up)
            else:
                found[name] = Borrowed(up=nic.up, alias=nic.alias)
                if name in vias:
                    message = f"`{name}` is the way out of a network, and cannot be a port"
                    expanded.error(path, message, "a network leaves by another: `via`", at_key=True)
                for message, hint in hindrances(name, nic):
                    expanded.error(path, message, hint, at_key=True)
    return found


def _is_port(nic: Nic, lab: str, was: Link | None) -> bool:
    """Whether an interface is a port of the lab, by its mark or, that erased, by its bridge."""
    marked = lab_of(nic.alias) == lab and is_port(nic.alias)
    return marked or (was is not None and bool(nic.master) and nic.master == was.master)


def hindrances(name: str, nic: Nic) -> Iterator[tuple[str, str]]:
    """Yield why an interface cannot be borrowed, each with a remedy."""
    if (owner := lab_of(nic.alias)) and not is_port(nic.alias):
        yield f"`{name}` is the lab `{owner}`'s own", "name a network card"
    elif owner:
        yield f"`{name}` is the lab `{owner}`'s", f"netloom down {owner}"
    elif nic.kind == "bridge":
        yield f"`{name}` is a bridge itself", f"a network joins it: `from: {name}`"
    elif name == "lo":
        yield "`lo` cannot be the port of a bridge", "name a network card"
    elif nic.master:
        yield f"`{name}` is a port of `{nic.master}`", f"a network joins it: `from: {nic.master}`"
    elif nic.way_out:
        hint = "put the default route on a bridge first, and join that: `from: br0`"
        yield f"the host's default route leads out of `{name}`, and would be cut off", hint
    elif not nic.mac:
        yield f"`{name}` carries no Ethernet frames, so it cannot be the port of a bridge", ""
    elif nic.routes:
        hint = f"ip route flush dev {quoted(name)}, if nobody needs them"
        yield f"routes lead out of `{name}` ({', '.join(nic.routes)}), and would be cut off", hint
    elif nic.addresses:
        those = ", ".join(nic.addresses)
        hint = f"ip address flush dev {quoted(name)}, if nobody needs it"
        yield f"`{name}` has the address {those}, which would be cut off", hint


def _via(segment: Segment) -> tuple[str, ...]:
    uplink = segment.network.uplink if segment.network else None
    return uplink.via if uplink else ()


def join_notes(expanded: Expanded) -> Iterator[str]:
    """Yield what is as the file says, and may surprise, of segments that are not the lab's."""
    for segment in expanded.segments:
        if segment.joined and segment.joined.way_out:
            bridge = segment.joined.bridge
            yield (
                f"`{bridge}` is the host's own way out: members of `{segment.key}` stand on its "
                f"LAN beside it, as machines of their own"
            )
