"""`netloom run`: one command in a network of its own, and what it is given on request."""

import errno
import os
import select
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

import pytest

from netloom.kernel import syscalls
from netloom.kernel.process import process
from tests.hosts.host import on_a_host
from tests.hosts.internet import HOST4, HOST6, WEB4, WEB6, ask_udp, connect, on_the_internet, server
from tests.hosts.listeners import REACH, SOCKETS, listening
from tests.hosts.machine import mount_points, on_a_machine, wait_for
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import plainly, python, ran, says
from tests.hosts.witness import no_trace

MAIN = "from netloom.__main__ import main; main()"


@on_a_machine
@pytest.mark.needs("userns")
def test_nobody_outside_is_asked_for_names() -> None:
    """The sockets of those who look names up are reached without `run`, and not within."""
    with listening(*SOCKETS):
        before = mount_points()
        for argv in (python, plainly):
            assert ran(*argv(REACH, *SOCKETS)).stdout.split() == list(SOCKETS)
            inside = ran(*argv(MAIN, "run", "python3", "-c", REACH, *SOCKETS))
            assert (inside.stdout, inside.stderr) == ("", "")
        assert mount_points() == before


@on_a_machine
def test_a_system_bus_that_leads_to_no_resolver_stays() -> None:
    """A bus has other uses."""
    bus = SOCKETS[-1]
    with listening(bus):
        assert ran(*python(MAIN, "run", "python3", "-c", REACH, bus)).stdout == f"{bus}\n"


@on_a_machine
def test_what_resolv_conf_says_stays_where_it_leads_to_systemd_resolved() -> None:
    """Its file lies beside the socket; nothing else does any more, nor can be laid there."""
    text = "nameserver 127.0.0.53\noptions edns0\n"
    with listening(SOCKETS[1]):
        Path("/run/systemd/resolve/stub-resolv.conf").write_text(text)
        os.unlink("/etc/resolv.conf")
        os.symlink("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")
        script = (
            "cat /etc/resolv.conf; cd /run/systemd/resolve; ls; touch new 2>/dev/null || echo no"
        )

        said = ran(*python(MAIN, "run", "sh", "-c", script)).stdout

    assert said == f"{text}stub-resolv.conf\nno\n"


# ── files in /etc ─────────────────────────────────────────────────────────────────────────


@on_a_machine
@pytest.mark.needs("userns")
def test_resolvers_and_names_are_as_they_were_asked_for() -> None:
    """In files that are laid over the machine's, which nobody else sees and no end leaves."""
    words = ("--dns", "192.0.2.7", "--dns", "2001:DB8::7", "--hosts", "db=192.0.2.2")
    before = mount_points(), sorted(Path("/run").iterdir())
    for argv in (python, plainly):
        done = ran(*argv(MAIN, "run", *words, "cat", "/etc/resolv.conf", "/etc/hosts"))
        assert (done.stdout, done.stderr) == (
            "nameserver 192.0.2.7\nnameserver 2001:db8::7\n192.0.2.2\tdb\n127.0.0.1 localhost\n",
            "",
        )
    assert Path("/etc/resolv.conf").read_text() == "nameserver 192.0.2.53\n"
    assert (mount_points(), sorted(Path("/run").iterdir())) == before


@on_a_machine
def test_a_resolver_is_laid_over_a_link_to_systemd_resolved() -> None:
    """Over the link itself: what it leads to is hidden."""
    with listening(SOCKETS[1]):
        os.unlink("/etc/resolv.conf")
        os.symlink("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")
        said = ran(*python(MAIN, "run", "--dns", "192.0.2.7", "cat", "/etc/resolv.conf")).stdout

    assert said == "nameserver 192.0.2.7\n"


@on_a_machine
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dns", "192.0.2.700"), "`192.0.2.700` is no IP address\n"),
        (("--hosts", "db"), "`db` is no name with its address, such as `db=10.0.0.2`\n"),
        (("--hosts", "d b=10.0.0.2"), "`d b` is no name: "),
        (("--publish", "80"), "`80` is no pair of ports, such as "),
        (("--publish", "0:80"), "`0` is no port number: 1 to 65535\n"),
        (("--uplnk",), "no such option"),
        (("--uplink=no",), "option `--uplink` takes no value"),
    ],
)
def test_what_is_asked_for_wrongly_is_trouble_of_our_own(words: tuple[str, ...], said: str) -> None:
    """Told before anything is made, with the status that no command of a user's should have."""
    done = ran(*python(MAIN, "run", *words, "echo", "on"), check=False)

    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(said), done.stderr


@on_a_machine
def test_a_file_that_is_not_there_is_told() -> None:
    """Nothing can lie over nothing, and without it names would go to another resolver."""
    os.unlink("/etc/resolv.conf")
    done = ran(*python(MAIN, "run", "--dns", "192.0.2.7", "true"), check=False)

    assert done.returncode == 125
    assert done.stderr.startswith("there is no /etc/resolv.conf that another could lie over\n")


# ── the way out ───────────────────────────────────────────────────────────────────────────

ASK = """
import socket, sys
for address in sys.argv[1:]:
    with socket.create_connection((address, 80), 5) as conn:
        print(conn.recv(99).decode())
"""
"""Prints by which address each server sees us, at the first try."""

SERVE = """
import os, socket
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
os.write(1, b"on\\n")
while True:
    with server.accept()[0] as conn:
        conn.sendall(conn.recv(99))
"""
"""Sends back what comes. Of one who speaks first pasta 2023-03 does not tell its client."""


SERVE_UDP = """
import os, socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", 5300))
os.write(1, b"on\\n")
while True:
    said, peer = server.recvfrom(99)
    server.sendto(said + b"!", peer)
"""


def tun_for_all() -> None:
    """Let a plain user make a tap, on this test's machine alone."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a device")
    syscalls.mount("tmpfs", "dev", "/dev/net", data="mode=755")
    os.mknod("/dev/net/tun", stat.S_IFCHR, os.makedev(10, 200))
    Path("/dev/net/tun").chmod(0o666)


def doors() -> dict[str, int]:
    """Return the processes outside that serve a way out on this test's host, by their names."""
    here = os.readlink("/proc/thread-self/ns/net")
    found = {}
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        seen = process(pid)
        if seen and not seen.dead and seen.command.startswith(("netloom-pasta", "pas")):
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/ns/net") == here:
                    found[seen.command.partition(".")[0]] = seen.pid
    return found


def gone(*pids: int) -> None:
    """Wait until processes have ended (pidfd_open(2))."""
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert select.select([fd], [], [], 20)[0]
        os.close(fd)


@contextmanager
def started(argv: list[str]) -> "Iterator[subprocess.Popen[bytes]]":
    """Have a command run, which is killed at the end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, start_new_session=True) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.needs("pasta", "userns")
@pytest.mark.parametrize("argv", [python, plainly])
@on_the_internet()
def test_a_command_gets_out_as_the_host(argv: Callable[..., list[str]]) -> None:
    """With both families, at the first try, as root and as a plain user; by the host's resolver."""
    tun_for_all()
    with server("beyond", 80):
        done = ran(*argv(MAIN, "run", "--uplink", "python3", "-c", ASK, WEB4, WEB6), check=False)
        assert (done.stdout, done.stderr, done.returncode) == (f"{HOST4}\n{HOST6}\n", "", 0)


@pytest.mark.needs("pasta", "userns")
@pytest.mark.parametrize("argv", [python, plainly])
@on_the_internet()
def test_a_published_port_leads_in(argv: Callable[..., list[str]]) -> None:
    """To another of the command's; and both processes outside end when it is killed."""
    tun_for_all()
    words = argv(MAIN, "run", "--publish", "8080:80", "python3", "-c", SERVE)
    with started(words) as running:
        assert running.stdout
        assert running.stdout.readline() == b"on\n"
        for where in ("host", "beyond"):
            with connect(where, HOST4, 8080) as conn:
                conn.sendall(b"served")
                assert conn.recv(99) == b"served"
        outside = doors()
        assert len(outside) == 2
        running.kill()
        gone(*outside.values())


@pytest.mark.needs("pasta", "userns")
@pytest.mark.parametrize("argv", [python, plainly])
@pytest.mark.parametrize("port", [5300, 5353])
@on_the_internet()
def test_a_published_port_of_udp_leads_in(port: int, argv: Callable[..., list[str]]) -> None:
    """Datagrams come in and are answered; the host by 127.0.0.1, and no other port (how-to.md)."""
    tun_for_all()
    words = argv(MAIN, "run", "--publish", f"{port}:5300/udp", "python3", "-c", SERVE_UDP)
    with started(words) as running:
        assert running.stdout
        assert running.stdout.readline() == b"on\n"
        for address in (HOST4, HOST6):
            assert ask_udp("beyond", address, port) == "?!"
        if port == 5300:
            assert ask_udp("host", "127.0.0.1", port) == "?!"
        outside = doors()
        running.kill()
        gone(*outside.values())


JOBS = """
import os, subprocess, sys
print(os.getpid(), os.getppid(), os.getsid(0), os.getpgid(0))
print(subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())],
                     capture_output=True, text=True).stdout)
sys.stdout.flush()
os.close(1)
sys.stdin.read()
sys.exit(7)
"""


@pytest.mark.needs("pasta")
@on_the_internet()
def test_nothing_of_ours_is_around_the_command() -> None:
    """It is who was started, of no other session, without a child, and the status is its own.

    Its output ends when it closes that; without the watcher it lives on, and pasta does not.
    """
    words = python(MAIN, "run", "--uplink", "python3", "-c", JOBS)
    with started(words) as running:
        assert running.stdout
        first, children = running.stdout.read().decode().split("\n", 1)
        own = str(running.pid)
        assert first.split() == [own, str(os.getpid()), own, own]
        assert [line.split()[1] for line in children.splitlines() if line] == ["ps"]
        outside = doors()
        watcher = outside.pop("netloom-pasta")
        assert os.getsid(watcher) != running.pid
        assert {os.readlink(f"/proc/{watcher}/fd/{stream}") for stream in range(3)} == {"/dev/null"}
        os.kill(watcher, signal.SIGKILL)
        gone(watcher, *outside.values())
        running.communicate()
    assert running.returncode == 7


@pytest.mark.needs("pasta")
@on_the_internet()
def test_without_a_way_out_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pasta, no device for taps, a port that is taken, no route: each with what to do."""

    def refused(*words: str) -> str:
        done = ran(*python(MAIN, "run", *words, "echo", "on"), check=False)
        assert (done.returncode, done.stdout) == (125, "")
        return done.stderr

    with socket.create_server(("", 8080)):
        assert refused("--publish", "8080:80") == (
            "cannot publish `8080:80`: Address already in use\n"
        )
    assert refused("--publish", "192.0.2.99:8080:80") == (
        "cannot publish `192.0.2.99:8080:80`: Cannot assign requested address\n"
    )
    monkeypatch.setenv("PATH", "/nonexistent")
    assert refused("--uplink") == (
        "no `pasta` is here, which leads out\nhint: apt-get install passt\n"
    )
    monkeypatch.undo()
    ran("ip", "route", "flush", "default")
    ran("ip", "-6", "route", "flush", "default")
    assert refused("--uplink").startswith("this host has no default route, so no way out\n")
    syscalls.mount("tmpfs", "dev", "/dev/net", data="mode=755")
    assert refused("--uplink") == (
        "cannot open /dev/net/tun: No such file or directory\nhint: modprobe tun\n"
    )
    Path("/dev/net/tun").touch(0o600)
    hint = "hint: have root run `chmod 0666 /dev/net/tun`"
    done = ran(*plainly(MAIN, "run", "--uplink", "echo", "on"), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        125,
        "",
        f"cannot open /dev/net/tun: Permission denied\n{hint}\n",
    )
    gone(*doors().values())


# ── a network of a lab ────────────────────────────────────────────────────────────────────

SHOP = """\
networks: {lan: {subnets: [10.20.0.0/24, "fd00:20::/64"], gateway: web}}
namespaces: {web: {networks: [lan], forwarding: true}, db: {networks: [lan]}}
"""


@on_a_host
def test_a_command_has_a_place_on_a_network_of_a_lab() -> None:
    """An address that nobody has, the lab's names, its gateway; and the lab is as it was."""
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        script = """ping -qc1 -W1 web && ping -6qc1 -W1 fd00:20::2 && ip -o addr show lan
            ip route; echo end; cat"""
        words = python(MAIN, "run", "--network", "shop/lan", "sh", "-c", script)
        with started(words) as first:
            assert first.stdout
            lines = (line.decode() for line in first.stdout)
            said = [*takewhile(lambda line: line != "end\n", lines)]
            assert any("inet 10.20.0.254/24" in line for line in said), said
            assert any("inet6 fd00:20::fe/64" in line for line in said), said
            assert "default via 10.20.0.1 dev lan proto static \n" in said
            other = ended("run", "--network", "shop/lan", "ip", "-br", "addr", "show", "lan").stdout
            assert "10.20.0.253/24" in other
            netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
            refused = ended("down", "shop")
            assert (refused.returncode, "shop.switch:run" in refused.stderr) == (2, True)
        netloom("down", "-q", "shop").status(0)


@pytest.mark.needs("userns")
@on_a_machine
def test_a_plain_user_s_command_has_a_place_on_the_lab_of_that_user() -> None:
    """Which stands in namespaces of that user's own: the command runs there, too."""
    with new_plain_user(shop=SHOP) as plain:
        plain.says("up", "-q", "shop.yaml")
        words = ("run", "--network", "shop/lan", "ping", "-qc1", "-W1", "web")
        assert " 0% packet loss" in plain.says(*words)
        plain.says("down", "-q", "shop")


@pytest.mark.needs("pasta", "userns")
@on_the_internet()
def test_a_plain_user_s_command_is_on_a_lab_s_network_and_on_the_internet() -> None:
    """Beside the members, whose gateway it does not need: its way out is its own."""
    tun_for_all()
    with new_plain_user(shop=SHOP) as plain, server("beyond", 80):
        plain.says("up", "-q", "shop.yaml")
        script = f"ping -qc1 -W1 web >/dev/null && exec python3 -c '{ASK}' {WEB4} {WEB6}"
        words = ("run", "--uplink", "--network", "shop/lan", "sh", "-c", script)
        assert plain.says(*words) == f"{HOST4}\n{HOST6}\n"
        plain.says("down", "-q", "shop")


@on_a_host
def test_a_network_that_is_not_there_is_trouble_of_our_own() -> None:
    """No lab, no such network, no addresses, no network of a lab at all."""
    write("bare.yaml", "networks: {lan: none}\nnamespaces: {a: {networks: [lan]}}\n")
    with no_trace():
        netloom("up", "-q", "bare.yaml").status(0)
        for network, said in (
            ("shop/lan", "the lab `shop` is not up"),
            ("bare/lam", "the lab `bare` has no network `lam`"),
            ("bare/lan", "`bare/lan` has no subnet"),
            ("lan", "`lan` is no network of a lab"),
        ):
            refused = ended("run", "--network", network, "true")
            assert (refused.returncode, refused.stderr.startswith(said)) == (125, True), refused
        netloom("down", "-q", "bare").status(0)


# ── a tunnel ──────────────────────────────────────────────────────────────────────────────

KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
CONF = f"""\
[Interface]
PrivateKey = {KEY}
Address = 10.9.0.2/32
DNS = 10.9.0.53
[Peer]
PublicKey = {KEY}
AllowedIPs = 0.0.0.0/0
Endpoint = 192.0.2.1:51820
"""
STAND_IN = """
import sys
from netloom.host.isolated.command import RunOptions, run_with
from netloom.model.objects import End, Link, Veth
from netloom.wire.rtnetlink import VethPeer, link_add

def birth(tunnel):
    def bear(outside, own):
        far, near = (Link(kind=Veth(peer=End("", name)), mac="", mtu=1420) for name in ("t", "wg0"))
        outside.batch([link_add("tunnel", near, peer=VethPeer("wg0", far, netns_fd=own))])
    return bear

run_with(sys.argv[2:], RunOptions(vpn=sys.argv[1]), birth)
"""
"""`netloom run --vpn` with a veth in the place of WireGuard's link."""

TRY = """
import os, socket, subprocess, sys
os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
def out():
    for address in ("198.51.100.7", "192.0.2.1", "10.9.0.53"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.sendto(b"canary of the tunnel", (address, 53))
            except OSError as error:
                print(error.strerror)
    try:
        socket.getaddrinfo("name.example", 80)
    except OSError:
        pass
def forked():
    sys.stdout.flush()
    if os.fork() == 0:
        out()
        sys.stdout.flush()
        os._exit(0)
    os.wait()
print(open("/etc/resolv.conf").read(), end="")
print(*sorted(os.listdir("/sys/class/net")))
sys.stdin.readline()
try:
    socket.create_connection(("10.9.0.53", 9), 20)  # waits until the other end knows us
except ConnectionRefusedError:
    pass
out(); forked()
subprocess.run(["ip", "link", "set", "wg0", "down"], check=True)
out(); forked()
"""


MLD_REPORT = b"\x8f"
"""What the host itself says by its card when it likes (RFC 3810), behind Ethernet and IPv6."""


def sniffer(link: str) -> socket.socket:
    """Return a socket that hears all frames of a link (packet(7))."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((link, 3))
    sock.settimeout(0)
    return sock


def frames(sock: socket.socket) -> list[bytes]:
    """Return what was heard so far; that the link went down is told in between."""
    found = []
    while True:
        try:
            found.append(sock.recv(1 << 16))
        except BlockingIOError:
            return found
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise


@on_a_host
def test_nothing_passes_by_a_tunnel() -> None:
    """While a command sends, forks, resolves, and its link goes down: all comes out of that link.

    The ear at the host's card hears a canary before and after, and nothing between them.
    """
    write("wg0.conf", CONF)
    words = python(STAND_IN, "wg0.conf", "python3", "-c", TRY)
    with no_trace(), sniffer("eth0") as card, started(words) as running:
        assert running.stdout
        assert running.stdin
        assert running.stdout.readline() == b"nameserver 10.9.0.53\n"
        assert running.stdout.readline() == b"lo wg0\n"
        ran("sh", "-ec", OUTER)
        canary("before")
        with sniffer("tunnel") as tunnel:
            said = running.communicate(b"\n", timeout=30)[0].decode().splitlines()
            through = b"".join(frames(tunnel))
        canary("after")
        wait_for(lambda: "tunnel" not in says("ip", "-o", "link"))  # the kernel takes its time
        heard = [frame for frame in frames(card) if frame[62:63] != MLD_REPORT]

    assert said == ["Network is unreachable"] * 6
    assert b"canary of the tunnel" in through
    assert b"\4name\7example" in through
    assert [frame[42:] for frame in heard] == [b"before", b"after"]


OUTER = """
ip address add 10.9.0.53/32 dev tunnel
ip link set tunnel up
ip route add 10.9.0.2 dev tunnel
"""


def canary(text: str) -> None:
    """Send a datagram by the host's card."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), ("192.0.2.1", 9))


@on_a_host
def test_a_tunnel_that_cannot_be_is_trouble_of_our_own() -> None:
    """No file, mistakes in it, another way out beside it, no program for keys, no WireGuard."""
    write("wg0.conf", CONF)
    write("bad.conf", CONF.replace("DNS = 10.9.0.53", "PostUp = iptables -F"))
    folder = Path("bin")
    folder.mkdir()

    def refused(*words: str, **env: str) -> str:
        done = ran(*python(MAIN, "run", *words, "true"), env=env or None, check=False)
        assert (done.returncode, done.stdout) == (125, "")
        return done.stderr

    with no_trace():
        assert refused("--vpn", "no.conf") == "cannot read `no.conf`: No such file or directory\n"
        assert refused("--vpn", "bad.conf").startswith("bad.conf:4:1: PostUp: not carried out here")
        assert refused("--vpn", "wg0.conf", "--uplink").startswith(
            "with --vpn its link is the only"
        )
        assert refused("--vpn", "wg0.conf", PATH=str(folder.absolute())) == (
            "no `wg` is here, which sets keys\nhint: apt-get install wireguard-tools\n"
        )
        (folder / "wg").symlink_to("/bin/true")
        if not Path("/sys/module/wireguard").exists():
            assert refused("--vpn", "wg0.conf", PATH=str(folder.absolute())) == (
                "this kernel has no WireGuard\nhint: modprobe wireguard\n"
            )
