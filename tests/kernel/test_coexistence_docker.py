"""Exceptions where Docker drops what is forwarded: in DOCKER-USER, which is there for that."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.kernel.coexistence import (
    DEADLINE,
    NONE,
    OPEN,
    closed,
    daemon,
    forwarding,
    lacking,
    on_a_walled_host,
    opened,
    passes,
    reached,
    saved,
    tools,
)
from tests.kernel.machines import ran, says

SOCKET = "/run/dockerd.sock"
SAVES = ("iptables-nft-save", "ip6tables-nft-save")
SHUT = NONE._replace(resolver=True, private=True)
"""Docker does not guard the host itself."""

CONTAINER = """
ip netns add container
ip link add veth7 type veth peer name eth0 netns container
ip link set veth7 master docker0 up
ip -n container link set eth0 up
ip -n container address add 172.17.0.2/16 dev eth0
ip -n container route add default via 172.17.0.1
ip -n net route add 172.17.0.0/16 via 192.0.2.2
"""
"""Docker's own traffic."""


@contextmanager
def dockerd() -> Iterator[None]:
    """Run Docker's daemon, with all that it keeps on this machine."""
    argv = (
        *("dockerd", "--host", f"unix://{SOCKET}", "--storage-driver", "vfs"),
        *("--data-root", "/run/docker-data", "--exec-root", "/run/docker-exec"),
        *("--pidfile", "/run/dockerd.pid", "--ip6tables", "--experimental"),
    )
    with daemon(*argv, up=answers):
        yield


def answers() -> bool:
    """Whether Docker is up: it listens early, and answers when its networks are there."""
    with socket.socket(socket.AF_UNIX) as ask:
        ask.settimeout(DEADLINE)
        try:
            ask.connect(SOCKET)
        except OSError:
            return False
        ask.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b"200 OK" in ask.recv(4096)


def rules() -> str:
    """Return the rules of the table that Docker drops in."""
    return says("iptables-nft-save", "-t", "filter")


@pytest.mark.needs("dockerd", "iptables")
@on_a_walled_host("protocols", "services")
def test_docker_lets_a_lab_through_by_its_chain_for_users() -> None:
    """Docker found no forwarding and drops it for others: a rule in DOCKER-USER lets a lab pass.

    This Docker has no such chain for IPv6, where the rule stands at the end of FORWARD. A restart
    of Docker leaves exceptions where they are.
    """
    with dockerd():
        forwarding()
        says("sh", "-ec", CONTAINER)
        before = [saved(program) for program in SAVES]
        assert reached(4, 6) == [SHUT, SHUT]

        found = opened()

        assert tools(found) == {("iptables-nft", "DOCKER-USER"), ("iptables-nft", "FORWARD")}
        assert {p.chain for p in found if p.flow.family == 4} == {"DOCKER-USER"}
        assert reached(4, 6) == [OPEN, OPEN]
        assert passes("container", "net", "192.0.2.1", 9)
        assert not passes("net", "container", "172.17.0.2", 9)
        user = [line for line in rules().splitlines() if line.startswith("-A DOCKER-USER")]
        assert user[-1] == "-A DOCKER-USER -j RETURN"
        assert all("netloom:my.lab" in line for line in user[:-1])

        closed()

        assert [saved(program) for program in SAVES] == before
        opened()
    with dockerd():
        assert lacking() == ()
        assert reached(4) == [OPEN]
        closed()
        assert [saved(program) for program in SAVES] == before


LATER = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-INTERNAL - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
COMMIT
"""
"""What Docker 28 and 29 write, in both families."""


@pytest.mark.parametrize("flavour", ["nft", "legacy"])
@pytest.mark.needs("iptables", "iptables-legacy")
@on_a_walled_host("protocols", "services")
def test_later_dockers_have_the_chain_in_both_families(flavour: str) -> None:
    """The chains of Docker 28 and 29 lead by DOCKER-USER too, in the flavour that Docker uses."""
    forwarding()
    saves = [f"{word}-{flavour}-save" for word in ("iptables", "ip6tables")]
    for word in ("iptables", "ip6tables"):
        ran(f"{word}-{flavour}-restore", stdin=LATER)
    before = [saved(program) for program in saves]
    assert reached(4, 6) == [SHUT, SHUT]

    assert tools(opened()) == {(f"iptables-{flavour}", "DOCKER-USER")}

    assert reached(4, 6) == [OPEN, OPEN]
    assert lacking() == ()
    closed()
    assert [saved(program) for program in saves] == before


BRIDGES = """
table ip docker-bridges {
  map forward-in {
    type ifname : verdict
    elements = { "docker0" : jump forward-in-docker0 }
  }
  map forward-out {
    type ifname : verdict
    elements = { "docker0" : jump forward-out-docker0 }
  }
  chain filter-FORWARD {
    type filter hook forward priority filter; policy accept;
    oifname vmap @forward-in
    iifname vmap @forward-out
  }
  chain forward-in-docker0 {
    ct state established,related accept
    iifname "docker0" accept comment "ICC"
    drop comment "UNPUBLISHED PORT DROP"
  }
  chain forward-out-docker0 {
    accept comment "OUTGOING"
  }
}
table ip libvirt_network {
  chain forward {
    type filter hook forward priority filter; policy accept;
    jump guest_input
    jump guest_output
  }
  chain guest_input {
    oifname "virbr0" ip daddr 192.168.122.0/24 ct state established,related accept
    oifname "virbr0" reject
  }
  chain guest_output {
    iifname "virbr0" ip saddr 192.168.122.0/24 accept
    iifname "virbr0" reject
  }
}
"""
"""What Docker 29 and libvirt 10.4 write where they speak to nftables themselves."""


@pytest.mark.needs("iptables")
@on_a_walled_host("protocols", "services")
def test_tables_that_mind_their_own_bridges_need_no_exception() -> None:
    """Docker's and libvirt's own tables drop only what concerns their bridges.

    A policy that an older Docker left behind still drops all, and is opened where it is.
    """
    forwarding()
    ran("nft", "-f", "-", stdin=BRIDGES)
    assert opened() == ()
    assert reached(4) == [OPEN._replace(inwards=True)]

    says("iptables-nft", "-P", "FORWARD", "DROP")

    assert reached(4) == [SHUT]
    assert tools(opened()) == {("iptables-nft", "FORWARD")}
    assert reached(4) == [OPEN]
