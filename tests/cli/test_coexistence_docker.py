"""Labs beside Docker, which drops what is forwarded: exceptions stand in its chain for users."""

import io
import socket
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netloom import netns as find
from tests.cli.test_examples_uplink import script
from tests.hosts.firewalled import (
    DEADLINE,
    OPEN,
    SHOP4,
    SHUT,
    daemon,
    missed,
    on_a_firewalled_host,
    owners,
    planned,
    reaches,
    saved,
    up,
)
from tests.hosts.internet import (
    HOST4,
    HOST6,
    MISSED,
    NEAR4,
    NEAR6,
    WEB4,
    WEB6,
    ask,
    pings,
    says_in,
    server,
)
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran, says

SOCKET = "/run/docker.sock"
SAVES = ("iptables-nft-save", "ip6tables-nft-save")

OFFICE = """\
name: office
networks: {floor: {subnets: [10.100.1.0/24, "fd00:100:1::/64"], uplink: nat}}
namespaces: {desk: {networks: [floor]}}
"""

CONTAINER = """
ip netns add container
ip link add veth7 type veth peer name eth0 netns container
ip link set veth7 master docker0 up
ip -n container link set eth0 up
ip -n container address add 172.17.0.2/16 dev eth0
ip -n container route add default via 172.17.0.1
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
    with daemon(*argv, answers=answers):
        yield


def answers() -> bool:
    """Whether Docker is up: it listens early, and answers when its networks are there."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(DEADLINE)
        try:
            asking.connect(SOCKET)
        except OSError:
            return False
        asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b"200 OK" in asking.recv(4096)


@contextmanager
def container(network: str) -> Iterator[None]:
    """Run a container `shop` on a network of Docker's, with the programs of this machine."""
    with io.BytesIO() as image:
        with tarfile.open(fileobj=image, mode="w") as tar:
            for name in ("bin", "lib", "lib64", "sbin"):
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
                tar.addfile(link)
        Path("image.tar").write_bytes(image.getvalue())
    there = {*groups()}
    says("docker", "import", "image.tar", "empty")
    words = ("--detach", "--name", "shop", "--network", network, "--volume", "/usr:/usr:ro")
    says("docker", "run", *words, "empty", "sleep", "1000")
    try:
        yield
    finally:
        says("docker", "rm", "--force", "shop")
        for path in {*groups()} - there:
            path.rmdir()


def groups() -> Iterator[Path]:
    """Yield the control groups that Docker makes for all containers, and leaves."""
    return Path("/sys/fs/cgroup").glob("**/docker")


def containers_are_as_ever() -> None:
    """Demand that a container gets out, by the host's address, and nothing gets in to it."""
    with server("beyond", 80), server("container", 80):
        assert ask("container", WEB4) == HOST4
        assert ask("beyond", "172.17.0.2", timeout=MISSED) == ""


def gets_out(member: str) -> None:
    """Demand that a member reaches the internet, in both families."""
    with server("beyond", 80):
        assert (ask(member, WEB4), ask(member, WEB6)) == (HOST4, HOST6)


def either_goes_alone(netloom: Warm) -> None:
    """Demand that one lab's end leaves the other's traffic flowing, whichever goes."""
    for goes, stays, member in (("office", "shop", "web"), ("shop", "office", "desk")):
        netloom("down", f"{goes}.yaml")
        netloom("verify", f"{stays}.yaml")
        gets_out(member)
        up(netloom, f"{goes}.yaml")


@pytest.mark.long
@pytest.mark.needs("dockerd", "iptables")
@on_a_firewalled_host("protocols", "services")
def test_docker_comes_and_goes_and_labs_beside_it_stay_on_the_internet() -> None:
    """It starts after a lab and drops what is forwarded: `verify` says so, `up` opens DOCKER-USER.

    This Docker has no such chain for IPv6, where the rules stand in FORWARD. A second lab beside
    it, Docker's stop and its restart leave all as it is, and so does one lab's end the other.
    """
    write("office.yaml", OFFICE)
    says_in("beyond", "ip", "route", "add", "172.17.0.0/16", "via", HOST4)
    with Warm() as netloom:
        up(netloom)
        reaches(OPEN, OPEN)

        with dockerd():
            says("sh", "-ec", CONTAINER)
            before = saved(*SAVES)
            reaches(SHUT, SHUT)
            containers_are_as_ever()
            found = missed(netloom)
            assert {line.partition(":")[0] for line in found} == {"docker", "iptables-nft"}
            assert all(("ip6tables" in line) == ("FORWARD" in line) for line in found)

            up(netloom)
            up(netloom, "office.yaml")

            reaches(OPEN, OPEN)
            netloom("verify", "shop.yaml")
            containers_are_as_ever()
            user = says("iptables-nft", "-S", "DOCKER-USER").splitlines()
            assert user[-1] == "-A DOCKER-USER -j RETURN"
            assert all("netloom:" in line for line in user[1:-1])
            either_goes_alone(netloom)

        netloom("verify", "shop.yaml")
        reaches(OPEN, OPEN)
        either_goes_alone(netloom)

        with dockerd():
            netloom("verify", "shop.yaml")
            netloom("down", "shop.yaml")
            netloom("verify", "office.yaml")
            gets_out("desk")
            netloom("down", "office.yaml")
            assert saved(*SAVES) == before
            containers_are_as_ever()


WEB = """\
name: beside
networks: {lan: {from: "docker:web", range: 172.30.0.128/28, gateway: 172.30.0.1}}
namespaces: {probe: {networks: [lan]}}
"""


@pytest.mark.needs("dockerd", "docker", "iptables")
@on_a_firewalled_host("protocols", "services")
def test_members_are_on_a_network_of_docker_s_with_its_containers() -> None:
    """They reach each other, both get out, and Docker's rules stay; a script names the container's.

    Where Docker knows no such network, that is told.
    """
    write("beside.yaml", WEB)
    with dockerd(), Warm() as netloom:
        refused = netloom("up", "beside.yaml", status=2)["stderr"]
        assert "Docker has no network `web`" in refused
        says("docker", "network", "create", "--subnet", "172.30.0.0/24", "web")
        with container("web"):
            before = saved(*SAVES)
            up(netloom, "beside.yaml")
            assert pings("probe", "172.30.0.2")
            assert pings("probe", WEB4)

            said = script("container", "shop")
            assert "172.30.0.2/24" in said
            assert said.endswith("status 0\n")
            pid = says("docker", "inspect", "-f", "{{.State.Pid}}", "shop").strip()
            shop = find("docker:shop")
            assert shop.ip == "172.30.0.2"
            assert shop.reaches(WEB4)
            assert netloom("wire", "probe:by 10.9.0.1/24", "docker:shop:by 10.9.0.2/24")
            assert find("probe").reaches("docker:shop:by")
            says("ip", "-n", "probe", "link", "del", "by")
            netloom("attach", "shop", pid)
            assert pings("shop", WEB4)
            assert pings("shop", "172.30.0.128")
            netloom("del", "shop")
            netloom("down", "beside.yaml")
            assert saved(*SAVES) == before
            assert says("docker", "ps", "--format", "{{.Names}}") == "shop\n"


LATER = """*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -d {shop} ! -i docker0 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d {loopback} -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {subnet} ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8088 -j DNAT --to-destination {at}:80
COMMIT
*filter
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
-A DOCKER -d {shop} ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
COMMIT
"""
"""What Docker 28 and 29 write, in both families, for a container that publishes its port 80."""

LATER4 = {
    "shop": "172.17.0.2",
    "at": "172.17.0.2",
    "subnet": "172.17.0.0/16",
    "loopback": "127.0.0.0/8",
}
LATER6 = {"shop": "fd00:17::2", "at": "[fd00:17::2]", "subnet": "fd00:17::/64", "loopback": "::1"}

DOCKER0 = f"""
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip address add fd00:17::1/64 dev docker0 nodad
ip link set docker0 up
{CONTAINER}
ip -n container address add fd00:17::2/64 dev eth0 nodad
ip -n container route add default via fd00:17::1
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
"""
"""A bridge as Docker has one, and a container on it."""


def published_as_ever() -> None:
    """Demand that a container is reached by what it publishes, and gets out, in both families."""
    containers_are_as_ever()
    with server("beyond", 80), server("container", 80):
        assert ask("container", WEB6) == HOST6
        assert ask("beyond", HOST4, 8088) == NEAR4
        assert ask("beyond", HOST6, 8088) == NEAR6
        assert ask("beyond", "fd00:17::2", timeout=MISSED) == ""


@pytest.mark.needs("iptables", "iptables-legacy")
@on_a_firewalled_host("protocols", "services")
def test_later_dockers_have_the_chain_in_both_families() -> None:
    """The chains of Docker 28 and 29 lead by DOCKER-USER too, in the flavour that Docker uses.

    Here it is another one for each family, so that both are seen. Their container is as ever.
    """
    tools = ("iptables-nft", "ip6tables-legacy")
    for tool, words in zip(tools, (LATER4, LATER6), strict=True):
        ran(f"{tool}-restore", stdin=LATER.format(**words))
    says("sh", "-ec", DOCKER0)
    says_in("beyond", "ip", "route", "add", "172.17.0.0/16", "via", HOST4)
    says_in("beyond", "ip", "route", "add", "fd00:17::/64", "via", HOST6)
    published_as_ever()
    before = saved(*(f"{tool}-save" for tool in tools))
    with Warm() as netloom:
        found = planned(netloom)
        assert {line.partition(" -w -t ")[0] for line in found} == {
            f"docker: {tool}" for tool in tools
        }
        assert all(" DOCKER-USER " in line for line in found)
        up(netloom)
        reaches(OPEN, OPEN)
        published_as_ever()

        says("iptables-nft", "-F", "DOCKER-USER")
        assert len(missed(netloom)) == sum("ip6tables" not in line for line in found)
        reaches(SHUT, OPEN)
        up(netloom)
        reaches(OPEN, OPEN)

        netloom("down", "shop.yaml")
    assert saved(*(f"{tool}-save" for tool in tools)) == before
    published_as_ever()


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
@on_a_firewalled_host("protocols", "services")
def test_tables_that_mind_their_own_bridges_need_no_exception() -> None:
    """Docker's and libvirt's own tables drop only what concerns their bridges.

    A policy that an older Docker left behind still drops all, and is opened where it is. All are
    left to the letter.
    """
    write("shop.yaml", SHOP4)
    ran("nft", "-f", "-", stdin=BRIDGES)
    with Warm() as netloom:
        assert planned(netloom) == []
        up(netloom)
        reaches(OPEN)
        says("iptables-nft", "-P", "FORWARD", "DROP")
        before = letter()
        assert owners(netloom("verify", "shop.yaml", status=3)["stdout"]) == {"iptables-nft"}
        up(netloom)
        reaches(OPEN)
        netloom("down", "shop.yaml")
        assert letter() == before


def letter() -> list[str]:
    """Return the tables of Docker, of libvirt and of iptables."""
    names = ("docker-bridges", "libvirt_network", "filter")
    return [says("nft", "-s", "list", "table", "ip", name) for name in names]
