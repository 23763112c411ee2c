"""Real programs that set up the namespace they live in: what they set survives any number of `up`s.

Each lab is brought up twice, changed, verified and taken down, and leaves nothing.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from netloom.namespaces.enter import enter
from netloom.namespaces.handle import open_name
from tests.hosts.host import on_a_host
from tests.hosts.machine import wait_for
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

KEEPALIVED = """\
global_defs {{ vrrp_version 3 }}
vrrp_instance v {{
  interface lan
  state {state}
  priority {priority}
  virtual_router_id 7
  advert_int 0.1
  virtual_ipaddress {{ 10.63.0.100/24 }}
}}
"""
VRRP = """\
networks: {lan: {subnet: 10.63.0.0/24}}
namespaces:
  one:
    networks: [lan]
    run:
      command: exec keepalived -nlD -f $PWD/one.conf -p 1.pid -r 1.vrrp
      ready: log/Sending gratuitous ARP
  two:
    networks: [lan]
    run: {command: exec keepalived -nlD -f $PWD/two.conf -p 2.pid -r 2.vrrp, after: one}
"""


def lives_on(file: str, lab: str, state: Callable[[], object]) -> None:
    """Check that a state is the same after `up`, after a change and after its way back."""
    before = state()
    text = Path(file).read_text()
    netloom("verify", lab).stdout(f"{lab}  is as it was applied\n").status(0)
    netloom("up", file).stdout(f"{lab}  is up; nothing to do\n").status(0)
    assert state() == before
    for changed in (
        text.replace("namespaces:\n", "namespaces:\n  more: {networks: [lan]}\n"),
        text,
    ):
        Path(file).write_text(changed)
        netloom("up", "-q", file).status(0)
        netloom("verify", lab).stdout(f"{lab}  is as it was applied\n").status(0)
        assert state() == before


def seen_in(netns: str, text: str, of: str) -> None:
    """Wait until `ip` tells of something in a namespace."""
    with open_name(netns) as handle:
        enter(handle, lambda: wait_for(lambda: text in says("ip", of)))


def addresses(*names: str) -> list[str]:
    """Return the IPv4 addresses of namespaces."""
    return [says("ip", "-n", name, "-4", "-br", "addr") for name in names]


def way(netns: str, to: str) -> tuple[str, str]:
    """Return the interface and the gateway that lead to an address."""
    found = json.loads(says("ip", "-n", netns, "-j", "route", "get", to))[0]
    return found["dev"], found.get("gateway", "")


@pytest.mark.needs("keepalived")
@on_a_host
def test_a_virtual_address_of_keepalived_stays() -> None:
    """Who is master keeps 10.63.0.100, and answers for it."""
    for name, state, priority in (("one", "MASTER", 200), ("two", "BACKUP", 100)):
        Path(f"{name}.conf").write_text(KEEPALIVED.format(state=state, priority=priority))
    write("vrrp.yaml", VRRP)
    with no_trace():
        netloom("up", "-q", "vrrp.yaml").status(0)
        assert "10.63.0.100/24" in addresses("one")[0]

        lives_on("vrrp.yaml", "vrrp", lambda: addresses("one", "two"))
        netloom("down", "-q", "vrrp").status(0)


OPENVPN = "exec openvpn --dev tun0 --secret key --cipher AES-256-CBC --ping 1"
HALVES = "--redirect-gateway def1 --verb 3"
VPN = f"""\
networks: {{lan: {{subnet: 10.64.7.0/24, gateway: srv}}}}
namespaces:
  srv:
    networks: [lan]
    run: "{OPENVPN} --ifconfig 10.8.0.1 10.8.0.2"
  cl:
    networks: [lan]
    run:
      command: "{OPENVPN} --ifconfig 10.8.0.2 10.8.0.1 --remote 10.64.7.1 {HALVES}"
      ready: log/Initialization Sequence Completed
"""


@pytest.mark.needs("openvpn")
@on_a_host
def test_the_halves_of_the_internet_of_openvpn_stay() -> None:
    """What is sent goes into the tunnel, whatever is changed in the lab; `down` ends both."""
    ran("openvpn", "--genkey", "secret", "key")
    write("vpn.yaml", VPN)
    with no_trace():
        netloom("up", "-q", "vpn.yaml").status(0)
        assert way("cl", "198.51.100.9") == ("tun0", "10.8.0.1")

        lives_on("vpn.yaml", "vpn", lambda: (way("cl", "198.51.100.9"), way("cl", "10.64.7.1")))
        netloom("down", "-q", "vpn").status(0)


WG_QUICK = """
ip -n cl tuntap add wg0 mode tun
ip -n cl addr add 10.9.0.2/32 dev wg0
ip -n cl link set wg0 up
ip -n cl route add default dev wg0 table 51820
ip -n cl rule add not fwmark 51820 table 51820
ip -n cl rule add table main suppress_prefixlength 0
"""


@on_a_host
def test_the_rules_of_wg_quick_stay() -> None:
    """All but its own packets, and what is more specific, goes into the tunnel."""
    write(
        "wg.yaml",
        "networks: {lan: {subnet: 10.64.8.0/24, gateway: gw}}\n"
        "namespaces:\n  gw: {networks: [lan]}\n  cl: {networks: [lan]}\n",
    )
    with no_trace():
        netloom("up", "-q", "wg.yaml").status(0)
        ran("sh", "-ec", WG_QUICK)
        assert way("cl", "198.51.100.9") == ("wg0", "")

        lives_on("wg.yaml", "wg", lambda: (says("ip", "-n", "cl", "rule"), way("cl", "192.0.2.1")))
        netloom("down", "wg").stdout(
            "wg  down: 2 namespaces, 1 network, 2 wires; the host is as it was\n"
        ).stderr("note: gone with the lab `wg`, made by somebody in it: cl:wg0\n").status(0)


ZEBRA = """\
hostname {name}
interface lan
 ip address 10.5.0.{number}/24
interface lo
 ip address 192.0.2.{number}/32
"""
STATIC = "ip route 192.0.2.{other}/32 10.5.0.{other}\n"
FRR = "install -d -o frr -g frr /run/frr /run/frr/$NETLOOM_NAME && exec /usr/lib/frr"
NAMED = "-N $NETLOOM_NAME -f $PWD/$NETLOOM_NAME"
ROUTERS = f"""\
networks: {{lan: {{subnet: 10.5.0.0/24}}}}
namespaces:
  r:
    count: 2
    forwarding: true
    networks: {{lan: dynamic}}
    run:
      - {{name: zebra, command: '{FRR}/zebra {NAMED}.zebra', ready: tcp/2601}}
      - {{name: static, command: '{FRR}/staticd {NAMED}.static', after: zebra}}
"""


@pytest.mark.needs("frr")
@on_a_host
def test_frr_owns_all_addresses() -> None:
    """The file gives none: zebra does, those of `lo` too, and the routes of staticd stay."""
    for number, other in ((1, 2), (2, 1)):
        Path(f"r{number}.zebra").write_text(ZEBRA.format(name=f"r{number}", number=number))
        Path(f"r{number}.static").write_text(STATIC.format(other=other))
    write("frr.yaml", ROUTERS)
    with no_trace():
        netloom("up", "-q", "frr.yaml").status(0)
        seen_in("r1", "192.0.2.2 ", "route")
        seen_in("r2", "192.0.2.1 ", "route")

        lives_on(
            "frr.yaml",
            "frr",
            lambda: (addresses("r1", "r2"), way("r1", "192.0.2.2"), way("r2", "192.0.2.1")),
        )
        ran("ip", "netns", "exec", "r1", "ping", "-c1", "-W2", "-I", "192.0.2.1", "192.0.2.2")
        netloom("down", "-q", "frr").status(0)
        shutil.rmtree("/run/frr")


FIGHT = """\
namespaces:
  a:
    routes: default via 10.0.0.2
    run: "while ip route replace default via 10.0.0.99; do ip route show >/dev/null; done"
  b:
links: [[a:e0 10.0.0.1/24, b:e0 10.0.0.2/24]]
"""


@on_a_host
def test_who_fights_for_a_route_of_the_file_is_told_and_hinders_nothing() -> None:
    """Each `up` puts the file's back, in vain, and ends well; `verify` tells the other's."""
    write("fight.yaml", FIGHT)
    with no_trace():
        netloom("up", "-q", "fight.yaml").status(0)
        seen_in("a", "via 10.0.0.99", "route")
        for _ in range(3):
            assert ended("up", "fight.yaml").returncode == 0
        seen_in("a", "via 10.0.0.99", "route")
        told = ended("verify", "fight")
        assert "(was via 10.0.0.99 dev e0 proto boot)" in told.stdout, told.shown
        netloom("down", "-q", "fight").status(0)
