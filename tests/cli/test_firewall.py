"""`firewall:` and what is wrong with it: told before anything is touched, with its line."""

from pathlib import Path

import pytest

from netloom.kernel import syscalls
from tests.cli.host import netloom, no_trace, write
from tests.cli.internet import ask, command, on_the_internet, server
from tests.kernel.machines import says

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
        command("web", "nft", "flush", "ruleset")
        assert "~ rules web" in netloom("verify", "shop").ended.stdout
        netloom("up", "-q", "shop.yaml").status(0)
        assert "tcp dport @closed" in command("web", "nft", "list", "ruleset")
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


@on_the_internet()
def test_without_the_library_of_nftables_the_remedy_is_told() -> None:
    """A machine on which it is not installed: an empty file in its place."""
    for path in Path("/usr/lib").glob("*/libnftables.so.1"):
        Path("/run/mount/nothing").write_bytes(b"")
        syscalls.bind("/run/mount/nothing", str(path))
    write("shop.yaml", SHOP)
    with no_trace():
        said = netloom("up", "shop.yaml").ended
    assert said.returncode == 2
    assert "libnftables" in said.stderr
    assert "apt-get install libnftables1" in said.stderr
