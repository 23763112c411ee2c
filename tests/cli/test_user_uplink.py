"""`uplink: user`: out by a program, with nothing changed on the host."""

import json
import os
import select
import shutil
import signal
from pathlib import Path

import pytest

from tests.hosts.internet import (
    HOST4,
    HOST6,
    MISSED,
    NEAR4,
    NEAR6,
    WEB4,
    WEB6,
    ask,
    ask_udp,
    download,
    on_the_internet,
    pour,
    says_in,
    server,
    swallow,
    sysctl,
    upload,
)
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

SHOP = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: user}
namespaces: {web: {networks: [lan], publish: ["8080:80"]}, db: {networks: [lan]}}
"""


@pytest.mark.needs("pasta")
@on_the_internet()
def test_members_get_out_and_nothing_is_changed_on_the_host() -> None:
    """TCP and UDP, both families; no forwarding, no rules, no interface of the host's."""
    write("shop.yaml", SHOP)
    with server("beyond", 80), no_trace():
        before = says("ip", "-o", "link"), says("nft", "list", "ruleset")
        netloom("up", "-q", "shop.yaml").status(0)

        assert (says("ip", "-o", "link"), says("nft", "list", "ruleset")) == before
        assert sysctl("net.ipv4.conf.eth0.forwarding") == "0"
        assert ask("db", WEB4) == ask_udp("db", WEB4) == HOST4
        assert ask("db", WEB6) == ask_udp("db", WEB6) == HOST6
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        netloom("up", "shop.yaml").stdout("shop  is up; nothing to do\n").status(0)
        netloom("down", "-q", "shop").status(0)


@pytest.mark.needs("pasta")
@on_the_internet()
def test_what_lies_behind_a_router_of_the_lab_gets_out() -> None:
    """`routing: static` gives the namespace that plays the host the way back, and its own stays."""
    write(
        "shop.yaml",
        """\
routing: static
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: user}
  inner: {subnets: [10.101.0.0/24, "fd00:101::/64"]}
namespaces:
  router: {networks: [lan, inner]}
  web: {networks: [inner]}
""",
    )
    with server("beyond", 80), no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        assert ask("web", WEB4) == HOST4
        assert ask("web", WEB6) == HOST6
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        netloom("up", "shop.yaml").stdout("shop  is up; nothing to do\n").status(0)
        netloom("down", "-q", "shop").status(0)


# Clients speak first here: from others than the loopback, pasta 2023-03 loses what a server says
# before its client does.


@pytest.mark.needs("pasta")
@pytest.mark.parametrize("gateway", [NEAR6, "fe80::1"])
@on_the_internet()
def test_a_published_port_leads_in_and_nothing_else_does(gateway: str) -> None:
    """From the host, a neighbour and a member, in both families; another port from nowhere.

    By IPv6 the host is shown by a link-local address, its own or the gateway's; it is the first to
    ask, since it has been answered by itself, again and again, when `up` had just returned.
    """
    says("ip", "-6", "route", "replace", "default", "via", gateway, "dev", "eth0")
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        with server("web", 80, swallow), server("web", 8081, swallow):
            for where, address in (
                ("host", HOST6),
                ("host", HOST4),
                ("host", "127.0.0.1"),
                ("beyond", HOST4),
                ("beyond", HOST6),
                ("db", HOST4),
                ("db", HOST6),
                ("web", HOST6),
            ):
                assert upload(where, address, 1000, 8080) == 1000, (where, address)
                with pytest.raises(OSError, match="refused"):
                    upload(where, address, 1000, 8081)
            assert upload("db", "10.100.0.2", 1000, 8081) == 1000
        assert len(list(Path(f"/proc/{program_of('shop')}/fd").iterdir())) < 400
        netloom("down", "-q", "shop").status(0)


def supervisor_of(lab: str) -> int:
    """Return the number of the process that keeps the program that leads out of a lab."""
    (note,) = Path(f"/run/netloom/labs/{lab}/run").glob("*/supervisor")
    return int(json.loads(note.read_text())["pid"])


def program_of(lab: str) -> int:
    """Return the number of that program."""
    return int(says("ps", "-o", "pid=", "--ppid", str(supervisor_of(lab))))


@pytest.mark.needs("pasta")
@on_the_internet()
def test_what_goes_round_by_the_program_is_dropped() -> None:
    """A packet from its tap that would leave by its tap again, to whomever it is."""
    write("shop.yaml", SHOP)
    netloom("up", "-q", "shop.yaml").status(0)
    (guard,) = json.loads(
        says_in("shop.out", "nft", "-j", "list", "chain", "inet", "netloom-shop", "guard")
    )["nftables"][2:3]
    assert guard["rule"]["expr"][-1] == {"drop": None}
    assert [each["match"]["right"] for each in guard["rule"]["expr"][:-1]] == ["uplink", "uplink"]


@pytest.mark.needs("pasta")
@on_the_internet()
def test_a_published_port_of_udp_leads_in() -> None:
    """From a neighbour and a member in both families, and from the host by its loopback."""
    write("shop.yaml", SHOP.replace("8080:80", "5353:53/udp"))
    netloom("up", "-q", "shop.yaml").status(0)
    with server("web", 53), server("web", 5354):
        assert ask_udp("beyond", HOST4, 5353) == NEAR4
        assert ask_udp("beyond", HOST6, 5353) == NEAR6
        assert ask_udp("db", HOST4, 5353) == "10.100.0.1"
        assert ask_udp("db", HOST6, 5353) == "fd00:100::1"
        assert ask_udp("host", "127.0.0.1", 5353) == "10.100.0.1"
        for where in ("beyond", "db", "host"):
            assert ask_udp(where, HOST4, 5354, timeout=MISSED) == ""


@pytest.mark.needs("pasta")
@pytest.mark.parametrize("version", [4, 6])
@on_the_internet()
def test_a_port_may_be_published_at_any_address_of_the_host(version: int) -> None:
    """One of two that it has, be it the one that the program takes or not; at no other."""
    says("ip", "address", "add", "192.0.2.7/24", "dev", "eth0")
    says("ip", "address", "add", "2001:db8::7/64", "dev", "eth0", "nodad")
    first, second = (HOST4, "192.0.2.7") if version == 4 else (HOST6, "2001:db8::7")
    for address, other in ((first, second), (second, first)):
        spec = f"{address}:8080:80" if version == 4 else f"[{address}]:8080:80"
        write("shop.yaml", SHOP.replace("8080:80", spec))
        netloom("up", "-q", "shop.yaml").status(0)
        with server("web", 80, swallow):
            for where in ("host", "beyond"):
                assert upload(where, address, 1000, 8080) == 1000, (where, address)
                with pytest.raises(OSError, match="refused"):
                    upload(where, other, 1000, 8080)
        netloom("down", "-q", "shop").status(0)


@on_the_internet()
def test_a_port_at_two_addresses_leads_to_one_member() -> None:
    """The program does not tell them apart, so for two members it is refused, with its place."""
    db = 'db: {networks: [lan], publish: "192.0.2.7:8080:80"}'
    text = SHOP.replace("8080:80", f"{HOST4}:8080:80").replace("db: {networks: [lan]}", db)
    write("shop.yaml", text)
    refused = ended("plan", "shop.yaml")
    assert refused.returncode == 2
    assert refused.stderr.startswith("shop.yaml:4:")
    assert "port 8080 leads to `web` already" in refused.stderr


@pytest.mark.needs("pasta")
@on_the_internet()
def test_a_firewall_that_forwards_nothing_is_in_nobody_s_way() -> None:
    """And a large download arrives whole."""
    says("nft", "add table inet wall")
    says("nft", "add chain inet wall f { type filter hook forward priority 0; policy drop; }")
    write("shop.yaml", SHOP)
    with server("beyond", 80, pour(1_000_000)), no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        assert download("db", WEB4) == 1_000_000
        netloom("down", "-q", "shop").status(0)


@pytest.mark.needs("pasta")
@on_the_internet()
def test_a_program_that_ended_is_told_and_started_again() -> None:
    """`verify` says so, `up` mends it."""
    write("shop.yaml", SHOP)
    with server("beyond", 80, pour(1000)), no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        supervisor = supervisor_of("shop")
        os.kill(program_of("shop"), signal.SIGKILL)
        with os.fdopen(os.pidfd_open(supervisor)) as ends:
            assert select.select([ends], [], [], 30)[0]
        assert "run host shop.out" in ended("verify", "shop").stdout
        netloom("up", "-q", "shop.yaml").status(0)
        assert download("db", WEB4) == 1000
        netloom("down", "-q", "shop").status(0)


@pytest.mark.needs("slirp4netns")
@on_the_internet(ipv6=False)
def test_slirp4netns_does_where_pasta_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads out all the same."""
    folder = Path("programs")
    folder.mkdir()
    for name in ("slirp4netns", "sh", "ping"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder.absolute()))
    write("shop.yaml", SHOP.replace(', publish: ["8080:80"]', ""))
    with server("beyond", 80):
        netloom("up", "-q", "shop.yaml").status(0)
        assert ask("db", WEB4) == HOST4
        netloom("down", "-q", "shop").status(0)


@on_the_internet()
def test_without_a_program_it_is_refused_before_anything_is_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With its place, and what to install."""
    Path("empty").mkdir()
    write("shop.yaml", SHOP)
    with no_trace():
        monkeypatch.setenv("PATH", str(Path("empty").absolute()))
        refused = ended("up", "shop.yaml")
        monkeypatch.undo()
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "shop.yaml:3:60: no program for user-mode networking is here\n"
    ), refused.stderr
    assert "apt-get install passt" in refused.stderr
    assert says_in("beyond", "ip", "-o", "address").count(NEAR4)
