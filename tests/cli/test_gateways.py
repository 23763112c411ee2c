"""Gateways that the kernel takes are taken, and what nothing can use is told: on the kernel."""

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

POD = """\
name: v
namespaces:
  pod: {routes: [default via 169.254.1.1 dev eth0, 169.254.1.1 dev eth0 scope link]}
  node: {routes: 10.65.0.5 dev cali0, interfaces: {lo: {addresses: 10.9.0.1/32}}}
links: [[pod:eth0 10.65.0.5/32, node:cali0 169.254.1.1/32]]
"""
SIX = """\
name: v
namespaces:
  pod: {routes: ["default via fd00:9::1", "fd00:9::1 dev eth0"]}
  node: {routes: "fd00:1::5 dev cali0", interfaces: {lo: {addresses: "fd00:7::1/128"}}}
links: [["pod:eth0 fd00:1::5/128", "node:cali0 fd00:9::1/128"]]
"""
ARP = """\
name: v
namespaces:
  pod: {routes: default via 10.0.0.1 dev eth0}
  node:
    interfaces: {lo: {addresses: 10.9.0.1/32}}
    sysctls: {net.ipv4.conf.cali0.proxy_arp: 1}
links: [[pod:eth0 10.0.0.1/24, node:cali0 10.0.0.2/24]]
"""


@pytest.mark.needs("ping")
@pytest.mark.parametrize(
    ("text", "far"), [(POD, "10.9.0.1"), (SIX, "fd00:7::1"), (ARP, "10.9.0.1")]
)
@on_a_host
def test_a_gateway_that_the_kernel_takes_is_taken(text: str, far: str) -> None:
    """By a route of the same file, whichever stands first; one's own address, to ask for all.

    They were refused: "is on no subnet", "is `pod` itself".
    """
    write("v.yaml", text)
    with no_trace():
        netloom("up", "-q", "v.yaml").status(0)
        ran("ip", "netns", "exec", "pod", "ping", "-c1", "-W5", far)
        netloom("up", "v.yaml").stdout("v  is up; nothing to do\n").status(0)
        netloom("verify", "v").stdout("v  is as it was applied\n").status(0)
        says("ip", "-n", "pod", "route", "flush", "table", "main")
        says("ip", "-n", "pod", "-6", "route", "flush", "table", "main")
        assert ended("up", "v.yaml").returncode == 0
        ran("ip", "netns", "exec", "pod", "ping", "-c1", "-W5", far)
        netloom("down", "-q", "v").status(0)


TOLD = {
    "127.99.4.5/16": "127.99.4.5/16 of `a:x` is of the loopback: packets to it and from it cross",
    "225.1.2.3/24": "225.1.2.3/24 of `a:x` is a multicast address, which is nobody's",
}


@pytest.mark.parametrize("address", TOLD)
@on_a_host
def test_an_address_that_is_of_no_use_on_a_wire_is_told(address: str) -> None:
    """By `plan` and `up`; the kernel takes it, and so do we."""
    write("v.yaml", f"name: v\nlinks: [[a:x {address}, b:x]]\n")
    with no_trace():
        for verb in ("plan", "up"):
            told = ended(verb, "v.yaml")
            assert (told.returncode, told.stderr[6:].startswith(TOLD[address])) == (0, True)
        netloom("down", "-q", "v").status(0)


@pytest.mark.parametrize("address", ["ff02::5/64", "::1/128"])
@on_a_host
def test_an_address_that_the_kernel_gives_to_no_wire_is_a_mistake(address: str) -> None:
    """It was told by a step that was refused."""
    write("v.yaml", f'name: v\nlinks: [["a:x {address}", b:x]]\n')
    with no_trace():
        told = ended("up", "v.yaml")
        assert told.returncode == 2
        assert "no address that the kernel gives to a wire's end" in told.stderr
