"""What lies around the namespace `host`: its interfaces, and the ways that lead out of it."""

from collections.abc import Iterable
from contextlib import suppress

from netloom.host import sysctl
from netloom.host.claims import claims
from netloom.kernel.netlink import Rtnetlink
from netloom.model.marks import lab_of
from netloom.model.objects import MAIN_TABLE, Route
from netloom.topology.uplink import Exit, Outside
from netloom.values import Family
from netloom.wire.rtnetlink import SeenLink, dump_links, dump_routes, read_links, read_routes

_RTPROT_RA = 9  # linux/rtnetlink.h
_RESOLV_CONFS = (
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
)
"""The machine's own file, and those behind the resolvers that may run on its loopback."""

_DEFAULTS: dict[str, Family] = {"0.0.0.0/0": 4, "::/0": 6}


def outside(lab: str) -> Outside:
    """Return the interfaces of the host that are not the lab's, and its default routes."""
    with Rtnetlink() as rt:
        links = read_links(rt.dump(dump_links()))
        names = {link.index: link.name for link in links}
        routes = read_routes(rt.dump(dump_routes()), names, protocols=None)
    others = [link for link in links if lab_of(link.alias) != lab]
    return Outside(
        links={link.name: _is_up(link) for link in others},
        resolvers=resolvers(),
        of_labs=frozenset(link.name for link in others if lab_of(link.alias)),
        exits=tuple(_exits(routes)),
    )


def resolvers() -> str:
    """Return a resolv.conf that is of use in another namespace, empty if none is to be had.

    A resolver on the machine's loopback (systemd-resolved, dnsmasq) is out of reach there: what it
    asks itself stands in a file of its own. resolv.conf(5)
    """
    for path in _RESOLV_CONFS:
        with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split("#")[0].split() for line in file]
            servers = [words[1] for words in lines if words[:1] == ["nameserver"] and words[1:]]
            useful = [server for server in servers if not _is_here(server)]
            if useful:
                others = [words for words in lines if words[:1] in (["search"], ["options"])]
                said = [*(["nameserver", server] for server in useful), *others]
                return "".join(f"{' '.join(words)}\n" for words in said)
    return ""


def _is_here(server: str) -> bool:
    return server.startswith("127.") or server == "::1" or "%" in server


def _is_up(link: SeenLink) -> bool:
    return link.up and link.carrier


def _exits(routes: Iterable[Route]) -> Iterable[Exit]:
    """Yield the ways out by the best default route of each family."""
    defaults = [r for r in routes if r.dst in _DEFAULTS and r.table == MAIN_TABLE and r.nexthops]
    for dst, version in _DEFAULTS.items():
        mine = [route for route in defaults if route.dst == dst and route.type == "unicast"]
        least = min((route.metric for route in mine), default=0)
        for link in dict.fromkeys(
            hop.dev for route in mine if route.metric == least for hop in route.nexthops
        ):
            ra = any(r.protocol == _RTPROT_RA for r in mine if link in _devs(r))
            yield Exit(link, version, forwarding=_forwards(link, version), ra=ra)


def _devs(route: Route) -> set[str]:
    return {hop.dev for hop in route.nexthops}


def _forwards(link: str, version: Family) -> bool:
    """Whether an interface forwards without any lab."""
    which = link.replace(".", "/") if version == 4 else "all"
    key = f"net.ipv{version}.conf.{which}.forwarding"
    claim = claims().get(key)
    return (claim.found if claim else sysctl.read((key,)).get(key)) == "1"
