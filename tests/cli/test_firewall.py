"""`firewall:` and what is wrong with it: told before anything is touched, with its line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom.kernel import syscalls
from tests.hosts.internet import ask, on_the_internet, says_in, server
from tests.hosts.netloom import netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

SHOP = """\
name: shop
networks: {lan: {subnets: [10.100.0.0/24, "fd00:100::/64"]}}
namespaces:
  web:
    networks: [lan]
    firewall: |
      set closed { type inet_service; elements = { 81, 82 }; }
      chain input {
        type filter hook input priority 0; policy accept;
        tcp dport @closed reject with tcp reset
      }
  db: {networks: [lan]}
"""


@on_the_internet()
def test_rules_of_a_namespace_hold_there_in_both_families() -> None:
    """And nowhere else; `verify` misses them where they are gone, `up` puts them back."""
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        for port, answered in ((80, True), (81, False)):
            with server("web", port):
                assert bool(ask("db", "10.100.0.1", port)) is answered
                assert bool(ask("db", "fd00:100::1", port)) is answered
        assert says("nft", "list", "tables") == ""
        says_in("web", "nft", "flush", "ruleset")
        assert "~ rules web" in netloom("verify", "shop").ended.stdout
        netloom("up", "-q", "shop.yaml").status(0)
        assert "tcp dport @closed" in says_in("web", "nft", "list", "ruleset")
        netloom("down", "-q", "shop").status(0)


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("reject with", "rejekt with", "10:", "rules of `web`: line 4: syntax error"),
        ("@closed reject", "@open reject", "10:", "rules of `web`: line 4: "),
        ("priority 0", "priority low", "9:", "rules of `web`: line 3: "),
    ],
)
@on_the_internet()
def test_a_mistake_in_rules_is_told_with_its_line(
    old: str, new: str, place: str, message: str
) -> None:
    """That of the topology, and that of the text."""
    write("shop.yaml", SHOP.replace(old, new))
    with no_trace():
        said = netloom("up", "shop.yaml").ended
    assert said.returncode == 2
    assert said.stderr.startswith(f"shop.yaml:{place}")
    assert message in said.stderr
    assert said.stderr.endswith("nothing was touched\n")


SAVED = """\
name: shop
networks: {lan: {subnets: [10.100.0.0/24, "fd00:100::/64"]}}
namespaces:
  web:
    networks: [lan]
    firewall: {file: web.nft}
  db:
    networks: [lan]
    iptables: {file: db.v4}
    ip6tables: {file: db.v6}
"""
REJECTS = """\
*filter
-A INPUT -p tcp --dport {port} -j REJECT --reject-with tcp-reset
COMMIT
"""


@pytest.mark.needs("iptables")
@on_the_internet()
def test_rules_stand_in_files_beside_the_topology_and_in_both_families() -> None:
    """Of nft and of iptables; each closes a port of its own, and `db` another in each family."""
    write("shop.yaml", SAVED)
    write("web.nft", SHOP.partition("firewall: |\n")[2].partition("  db:")[0])
    write("db.v4", REJECTS.format(port=82))
    write("db.v6", REJECTS.format(port=81))
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        for asks, address, closed in (
            ("db", "10.100.0.1", {81, 82}),
            ("db", "fd00:100::1", {81, 82}),
            ("web", "10.100.0.2", {82}),
            ("web", "fd00:100::2", {81}),
        ):
            for port in (80, 81, 82):
                with server("db" if asks == "web" else "web", port):
                    assert bool(ask(asks, address, port)) is (port not in closed), (address, port)
        netloom("verify", "shop.yaml").stdout("shop  is as it was applied\n").status(0)
        netloom("down", "-q", "shop").status(0)


IPTABLES = """\
name: shop
namespaces:
  db:
    iptables: |
      *filter
      -A INPUT -p tcp --dport 80 -j ACCEPT
      -A INPUT {rest}
      -A INPUT -j DROP
      COMMIT
"""


@pytest.mark.parametrize(
    ("rest", "said"),
    [("-j NONE", "Chain 'NONE' does not exist"), ("--foo", 'unknown option "--foo"')],
)
@pytest.mark.needs("iptables")
@on_the_internet()
def test_a_mistake_in_iptables_is_told_with_its_line(rest: str, said: str) -> None:
    """That of the topology, and that of the text, in the words of the program."""
    write("shop.yaml", IPTABLES.format(rest=rest))
    with no_trace():
        told = netloom("up", "shop.yaml").ended
    assert told.returncode == 2
    assert told.stderr.startswith(f"shop.yaml:7:7: the rules of `db`: line 3: {said}")
    assert told.stderr.endswith("nothing was touched\n")


@contextmanager
def without_the_library() -> Iterator[None]:
    """Play a machine on which it is not installed: an empty file is in its place."""
    found = {path.resolve() for path in Path("/usr/lib").glob("*/libnftables.so.1")}
    Path("/run/mount/nothing").write_bytes(b"")
    for path in found:
        syscalls.bind("/run/mount/nothing", str(path))
    yield
    for path in found:
        syscalls.unmount(str(path))
    Path("/run/mount/nothing").unlink()


UPLINK = """\
name: shop
networks:
  lan: {subnet: 10.100.0.0/24, uplink: nat}
namespaces:
  web: {networks: [lan]}
"""


@pytest.mark.parametrize(
    ("text", "place"), [(SHOP, "6:15"), (UPLINK, "3:40")], ids=["firewall", "uplink"]
)
@on_the_internet()
def test_without_the_library_of_nftables_the_remedy_is_told(text: str, place: str) -> None:
    """With the place in the topology that needs it; `verify` needs it, too, and `down` does not."""
    write("shop.yaml", text)
    with no_trace():
        with without_the_library():
            said = netloom("up", "shop.yaml").ended
        assert said.returncode == 2
        assert said.stderr.startswith(f"shop.yaml:{place}: no nft library\n")
        assert "apt-get install libnftables1" in said.stderr
        assert said.stderr.endswith("nothing was touched\n")

        netloom("up", "-q", "shop.yaml").status(0)
        with without_the_library():
            netloom("verify", "shop").stderr(
                "no nft library\n"
                "hint: apt-get install libnftables1 (or your distribution's nftables)\n"
                "nothing was touched\n"
            ).status(2)
            netloom("down", "-q", "shop").status(0)
