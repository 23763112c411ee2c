"""Of many namespaces none is a reason to look at all others again."""

from typing import NoReturn

from netloom.compile.addressing import Naming
from netloom.compile.expand import expand
from netloom.compile.hosts_file import HostsFiles
from netloom.language.parse import parse
from netloom.model.objects import Bridge, Link, NetnsState
from netloom.plan.mutable import MutableNetns

LAN = """
networks: {lan: {subnet: 10.1.0.0/16}}
namespaces: {n: {count: 3, networks: [lan]}, own: {networks: [lan], hosts: {x: 192.0.2.1}}}
"""


class Unread(dict[str, Link]):
    """Links that nobody may look through."""

    def values(self) -> NoReturn:
        """Fail."""
        msg = "every link was looked at"
        raise AssertionError(msg)


def test_who_hears_the_same_has_the_same_text() -> None:
    """Not a copy, of as many lines as there are namespaces."""
    topology = parse(LAN).topology
    hosts = HostsFiles(topology, Naming(expand(topology)), "box")
    assert hosts.text("n1", {}) is hosts.text("n2", {})
    assert hosts.text("own", {"x": ("192.0.2.1",)}) != hosts.text("n1", {})


def test_a_port_goes_and_no_other_is_looked_at() -> None:
    """Whether its addresses are another's, too, is asked only where a route has them as source."""
    ports = {f"p{number}": Link(Bridge(), f"02:00:00:00:00:0{number}", 1500) for number in range(3)}
    switch = MutableNetns(NetnsState(links=ports))
    switch.links = Unread(switch.links)
    gone = switch.links.pop("p1")
    switch.drop_routes("p1", gone)
    assert set(switch.links) == {"p0", "p2"}
