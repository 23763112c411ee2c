"""A DHCP client in a lab: a real one, of a real server, and what it writes is its namespace's."""

import errno
import subprocess
from pathlib import Path

import pytest

import netloom as api
from tests.hosts.host import on_a_host
from tests.hosts.netloom import Warm, command, ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

HOSTS = "nameserver 192.0.2.53\n"
LEASED = "nameserver 10.77.0.1\n"
OTHER = "nameserver 10.77.0.9\n"
DHCP = """\
networks: {lan: {subnet: 10.77.0.0/24}}
namespaces:
  srv:
    networks: {lan: 10.77.0.1}
    run:
      command: >-
        exec dnsmasq -d -C /dev/null --user=root --port=0 --interface=lan --leasefile-ro
        --dhcp-range=10.77.0.100,10.77.0.150 --dhcp-option=6,10.77.0.1
      ready: udp/67
  cl: {networks: {lan: none}}
  cl2: {networks: {lan: none}}
"""
SCRIPT = """\
#!/bin/sh
case $1 in bound|renew)
  ip address replace $ip/$mask dev $interface
  for one in $dns; do echo nameserver $one; done >/etc/resolv.conf
esac
"""


def resolv_conf(name: str) -> str:
    """Return what is seen there."""
    return ended("exec", name, "cat", "/etc/resolv.conf").stdout


def leased(*exec_in: str) -> None:
    """Have udhcpc get a lease in a namespace, write it down, and end."""
    write("script", SCRIPT).chmod(0o755)
    ran(*exec_in, "udhcpc", "-f", "-q", "-n", "-i", "lan", "-s", f"{Path.cwd()}/script")


@on_a_host
@pytest.mark.needs("udhcpc")
def test_what_a_dhcp_client_writes_is_seen_in_its_namespace_alone() -> None:
    """Not by the host, whose file it overwrote for good, nor by another member, nor another lab.

    It stays through any `up`, also one that changes what the namespace's hosts file says, and who
    runs by then goes on writing it; it is no drift, and goes with the lab.
    """
    write("d.yaml", DHCP)
    with no_trace():
        netloom("up", "-q", "d.yaml").status(0)
        assert resolv_conf("cl") == resolv_conf("cl2") == HOSTS
        leased("ip", "netns", "exec", "cl")
        assert [resolv_conf(name) for name in ("cl", "cl2", "srv")] == [LEASED, HOSTS, HOSTS]
        assert Path("/etc/resolv.conf").read_text() == HOSTS
        says("ip", "-n", "cl", "address", "flush", "dev", "lan")
        later = command(
            "exec", "cl", "sh", "-c", f"echo; read go; printf '{OTHER}' >/etc/resolv.conf"
        )
        pipe = subprocess.PIPE
        client = subprocess.Popen(later, stdin=pipe, stdout=pipe, text=True)
        assert client.stdout
        assert client.stdout.readline() == "\n"

        netloom("verify", "d").stdout("d  is as it was applied\n").status(0)
        netloom("up", "d.yaml").stdout("d  is up; nothing to do\n").status(0)
        write("d.yaml", f"{DHCP}  more: {{networks: [lan]}}\n")
        netloom("up", "-q", "d.yaml").status(0)
        assert ended("exec", "cl", "getent", "hosts", "more").returncode == 0
        assert [resolv_conf(name) for name in ("cl", "cl2", "more")] == [LEASED, HOSTS, HOSTS]
        client.communicate("go\n")
        assert resolv_conf("cl") == OTHER
        assert ended("undo", "d").returncode == 0
        assert resolv_conf("cl") == OTHER

        netloom("down", "-q", "d").status(0)
        netloom("up", "-q", "d.yaml").status(0)
        assert resolv_conf("cl") == HOSTS
        netloom("down", "-q", "d").status(0)


@on_a_host
@pytest.mark.needs("udhcpc")
def test_a_client_that_lives_with_the_lab_keeps_what_it_got() -> None:
    """As a command of it: address and resolver stay through any number of ups, and are no drift."""
    write("script", SCRIPT).chmod(0o755)
    run = f"{{command: exec udhcpc -f -i lan -s {Path.cwd()}/script, ready: log/obtained}}"
    write(
        "d.yaml",
        DHCP.replace("cl: {networks: {lan: none}}", f"cl: {{networks: {{lan: none}}, run: {run}}}"),
    )
    with no_trace():
        netloom("up", "-q", "d.yaml").status(0)
        for _ in range(2):
            assert resolv_conf("cl") == LEASED
            assert "inet 10.77.0.1" in says("ip", "-n", "cl", "address", "show", "lan")
            netloom("verify", "d").stdout("d  is as it was applied\n").status(0)
            netloom("up", "d.yaml").stdout("d  is up; nothing to do\n").status(0)
        assert Path("/etc/resolv.conf").read_text() == HOSTS
        netloom("down", "-q", "d").status(0)


@on_a_host
def test_what_the_file_says_of_resolvers_is_where_it_begins() -> None:
    """Each has a file of its own; another word in the topology is a new beginning."""
    text = "networks: {lan: {dns: 192.0.2.9}}\nnamespaces: {a: &a {networks: {lan: none}}, b: *a}\n"
    write("d.yaml", text)
    begins = "nameserver 192.0.2.9\n"
    netloom("up", "-q", "d.yaml").status(0)
    netloom("exec", "a", "sh", "-c", f"printf '{OTHER}' >>/etc/resolv.conf").status(0)
    assert [resolv_conf(name) for name in "ab"] == [begins + OTHER, begins]
    write("d.yaml", text.replace("192.0.2.9", "192.0.2.8"))
    netloom("up", "-q", "d.yaml").status(0)
    assert [resolv_conf(name) for name in "ab"] == ["nameserver 192.0.2.8\n"] * 2


@on_a_host
def test_the_hosts_file_is_read_only_where_a_namespace_has_none_of_its_own() -> None:
    """Whoever writes it, a VPN's script say: in a lab, in a namespace made by hand, in a program.

    What the host writes there is seen all the same, and `netns exec` is as `ip` has it.
    """
    write("d.yaml", "links: [[a, b]]\n")
    netloom("up", "-q", "d.yaml").status(0)
    says("ip", "netns", "add", "hand")
    write_it = f"printf '{OTHER}' >/etc/resolv.conf"
    with no_trace():
        for name in ("a", "hand"):
            seen = ended("exec", name, "sh", "-c", write_it)
            assert (seen.returncode, "Read-only file system" in seen.stderr) == (2, True)
        with api.Lab() as lab, pytest.raises(OSError, match="Read-only"):
            lab.netns("a").call(Path("/etc/resolv.conf").write_text, OTHER)
    Path("/etc/resolv.conf").write_text(LEASED)
    assert resolv_conf("a") == LEASED
    netloom("netns", "exec", "a", "sh", "-c", write_it).status(0)
    assert Path("/etc/resolv.conf").read_text() == OTHER


@on_a_host
def test_who_renames_a_file_over_it_is_refused_and_the_hosts_stays() -> None:
    """As dhclient-script(8) does: nothing can take the place of what something is mounted on."""
    write("d.yaml", "networks: {lan: }\nnamespaces: {a: {networks: {lan: none}}}\n")
    netloom("up", "-q", "d.yaml").status(0)
    script = "echo nameserver 192.0.2.1 >/etc/r.new; mv -f /etc/r.new /etc/resolv.conf"
    seen = ended("exec", "a", "sh", "-c", script)
    assert (seen.returncode, "Device or resource busy" in seen.stderr) == (1, True)
    assert Path("/etc/resolv.conf").read_text() == resolv_conf("a") == HOSTS


@on_a_host
def test_an_up_that_is_refused_or_killed_leaves_nothing_of_such_a_file() -> None:
    """At any of its calls; a file that is half there is no lab's."""
    write("d.yaml", "networks: {lan: }\nnamespaces: {a: {networks: {lan: none}}}\n")
    with Warm() as warm, no_trace():
        calls = warm.calls("up", "d.yaml")
        warm("down", "d.yaml")
        places = [at for at, call in enumerate(calls, 1) if "/own" in call]
        assert places
        for at in places:
            warm.kill(at, "up", "d.yaml")
            assert warm.ask(["down", "d.yaml"])["status"] in {0, 2}
            warm.refuse(at, errno.ENOSPC, "up", "d.yaml")
            assert warm.ask(["down", "d.yaml"])["status"] in {0, 2}
