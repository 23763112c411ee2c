"""`publish:`: exactly the ports that the file says lead inwards, from wherever one asks."""

import subprocess
import sys

import pytest

from tests.hosts.internet import (
    HOST4,
    HOST6,
    MISSED,
    NEAR4,
    NEAR6,
    ask,
    ask_udp,
    connect,
    on_the_internet,
    server,
    sysctl,
)
from tests.hosts.netloom import Warm, write
from tests.hosts.witness import no_trace

SHOP = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces:
  web: {networks: [lan], publish: ["8080:80", "8053:80/udp"]}
  db: {networks: [lan]}
"""
OFFICE = """\
name: office
networks: {floor: {subnets: [10.100.1.0/24, "fd00:100:1::/64"], uplink: nat}}
namespaces: {desk: {networks: [floor]}}
"""


@on_the_internet()
def test_a_published_port_is_reached_from_everywhere() -> None:
    """From the host by all its addresses, its neighbours, other members, and from itself."""
    write("shop.yaml", SHOP)
    with Warm() as netloom, no_trace():
        netloom("up", "shop.yaml")
        with server("web", 80):
            assert ask("host", HOST4, 8080)
            assert ask("host", "127.0.0.1", 8080)
            assert ask("host", HOST6, 8080)
            with pytest.raises(ConnectionRefusedError):
                connect("host", "::1", 8080)
            assert ask("beyond", HOST4, 8080) == NEAR4
            assert ask("beyond", HOST6, 8080) == NEAR6
            assert ask("web", HOST4, 8080)
            assert ask("web", HOST6, 8080)
            assert ask("db", HOST4, 8080)
            assert ask("db", HOST6, 8080)
            assert ask_udp("beyond", HOST4, 8053) == NEAR4
            assert ask_udp("beyond", HOST6, 8053) == NEAR6
            assert ask_udp("host", "127.0.0.1", 8053)
            assert ask("beyond", "10.100.0.2", timeout=MISSED) == ""
            assert ask("beyond", HOST4, 80, timeout=MISSED) == ""
        netloom("down", "shop.yaml")


@on_the_internet()
def test_a_port_published_on_one_address_is_on_no_other() -> None:
    """`127.0.0.1:8080:80` is for the host alone; a member cannot ask for its loopback."""
    write("shop.yaml", SHOP.replace("8080:80", "127.0.0.1:8080:80"))
    with Warm() as netloom:
        netloom("up", "shop.yaml")
        with server("web", 80):
            assert ask("host", "127.0.0.1", 8080)
            assert ask("host", HOST4, 8080, timeout=MISSED) == ""
            assert ask("beyond", HOST4, 8080, timeout=MISSED) == ""


@on_the_internet()
def test_another_lab_reaches_a_published_port_and_no_other() -> None:
    """It is open to everybody; what is not published stays closed between labs."""
    write("shop.yaml", SHOP)
    write("office.yaml", OFFICE)
    with Warm() as netloom:
        netloom("up", "shop.yaml")
        netloom("up", "office.yaml")
        with server("web", 80):
            assert ask("desk", HOST4, 8080) == "10.100.1.2"
            assert ask("desk", "10.100.0.2", timeout=MISSED) == ""


@on_the_internet(ipv6=False)
def test_without_a_way_out_for_ipv6_its_settings_are_not_touched() -> None:
    """No forwarding, no default route; the host itself still reaches the port."""
    write("shop.yaml", SHOP)
    with Warm() as netloom, no_trace():
        netloom("up", "shop.yaml")
        with server("web", 80):
            assert ask("host", HOST6, 8080)
            assert ask("beyond", HOST4, 8080) == NEAR4
            assert ask("beyond", HOST6, 8080, timeout=MISSED) == ""
        assert sysctl("net.ipv6.conf.all.forwarding") == "0"
        netloom("down", "shop.yaml")


LISTEN = """
import socket
sock = socket.create_server(("127.0.0.1", 8080))
print("ready", flush=True)
input()
"""


@on_the_internet()
def test_a_port_that_somebody_listens_on_is_not_published() -> None:
    """Who it is, is told, and nothing is touched."""
    write("shop.yaml", SHOP)
    command = [sys.executable, "-c", LISTEN]
    pipe = subprocess.PIPE
    with (
        Warm() as netloom,
        no_trace(),
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other,
    ):
        assert other.stdout
        assert other.stdout.readline() == "ready\n"

        said = netloom("up", "shop.yaml", status=2)["stderr"]

        other.communicate("\n")
        netloom("up", "shop.yaml")
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as later:
            assert later.stdout
            assert later.stdout.readline() == "ready\n"
            assert netloom("up", "shop.yaml")["stdout"] == "shop  is up; nothing to do\n"
            later.communicate("\n")
        netloom("down", "shop.yaml")
    assert said.startswith("shop.yaml:5:")
    assert "port 8080 of the host is taken: `python" in said
    assert f"(pid {other.pid}) listens on 127.0.0.1:8080" in said
    assert said.endswith("nothing was touched\n")


@on_the_internet()
def test_a_port_that_another_lab_publishes_is_taken() -> None:
    """On an address that both have; on another address it is free."""
    write("shop.yaml", SHOP)
    write("office.yaml", OFFICE.replace("[floor]}", f'[floor], publish: "{HOST4}:8080:80"}}'))
    write("other.yaml", OFFICE.replace("[floor]}", '[floor], publish: "9090:80"}'))
    with Warm() as netloom:
        netloom("up", "shop.yaml")
        said = netloom("up", "office.yaml", status=2)["stderr"]
        assert "port 8080 of the host is taken: the lab `shop` publishes it" in said
        netloom("up", "shop.yaml")
        netloom("up", "other.yaml")
        netloom("down", "shop.yaml")
        netloom("down", "other.yaml")
        netloom("up", "office.yaml")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (SHOP.replace(", uplink: nat", ""), "`web` is on no network with an uplink"),
        (SHOP.replace("db: {", 'db: {publish: "8080:81", '), "taken: `web` publishes it"),
        (SHOP.replace('"8080:80"', '"8080:80", "8080:81"'), "taken: `web` publishes it"),
        (SHOP.replace('"8080:80"', '"80800:80"'), "`80800` is no port number: 1 to 65535"),
        (
            SHOP.replace('[10.100.0.0/24, "fd00:100::/64"]', "10.100.0.0/24").replace(
                '"8080:80"', '"[2001:db8::2]:8080:80"'
            ),
            "`web` has no IPv6 address there to lead to",
        ),
        (SHOP.replace('"8080:80"', '"[::1]:8080:80"'), "nothing leads from ::1"),
    ],
)
@on_the_internet()
def test_ports_that_lead_nowhere_are_refused(file: str, message: str) -> None:
    """With their place, before anything is touched."""
    write("shop.yaml", file)
    with Warm() as netloom, no_trace():
        said = netloom("up", "shop.yaml", status=2)["stderr"]
    assert message in said
    assert said.startswith(("shop.yaml:5:", "shop.yaml:6:"))
    assert said.endswith("nothing was touched\n")


@on_the_internet()
def test_a_range_is_published_and_up_says_what_answers_by_ipv4_alone() -> None:
    """Each port leads to one; a network without IPv6 has nothing that could answer by it."""
    text = SHOP.replace('"8080:80", "8053:80/udp"', '"8000-8002:80-82/TCP", "8053:80/udp"')
    write("shop.yaml", text)
    with Warm() as netloom, no_trace():
        said = netloom("up", "shop.yaml")["stdout"]
        assert " · publishes 8000-8002:80-82, 8053:80/udp\n" in said
        with server("web", 82):
            assert ask("beyond", HOST4, 8002) == NEAR4
            assert ask("host", HOST6, 8002)
        netloom("down", "shop.yaml")
        write("shop.yaml", text.replace(', "fd00:100::/64"', ""))
        said = netloom("up", "shop.yaml")["stdout"]
        assert " · publishes 8000-8002:80-82, 8053:80/udp by IPv4 alone\n" in said
        netloom("down", "shop.yaml")
