"""Settings that only the kernel can judge are tried before anything is touched."""

import os
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

LAB = "name: v\nlinks: [[a:eth1.100, b]]\nnamespaces:\n  b:\n  a:\n    sysctls:\n"
MISTAKES = {
    "net.ipv4.nosuch: 1": "7:7: no namespace here has a setting `net.ipv4.nosuch`",
    "net.core.rmem_max: 4096": "7:7: `net.core.rmem_max` is the machine's: a namespace has none",
    "net.ipv4.tcp_congestion_control: nosuch": "7:40: the kernel takes no `nosuch` for `net.ipv4.",
    "net.ipv4.conf.eth2.100.rp_filter: 1": "7:7: no link or network makes an interface `eth2.100`; "
    "with `/` for its dots it is `net.ipv4.conf.eth2/100.rp_filter`",
    "net.ipv4.conf.eth1.100.nosuch: 1": "7:7: no namespace here has a setting `net.ipv4.conf.eth1/",
}


@pytest.mark.parametrize("line", MISTAKES)
@on_a_host
def test_a_setting_that_the_kernel_refuses_is_a_mistake_in_its_line(line: str) -> None:
    """By `plan`, too, as root and as a plain user; it was told by a step that was refused."""
    told = f"v.yaml:{MISTAKES[line]}"
    text = f"{LAB}      {line}\n"
    write("v.yaml", text)
    with new_plain_user(v=text) as plain, no_trace():
        for verb in ("plan", "up"):
            seen = ended(verb, "v.yaml")
            assert (seen.returncode, seen.stderr[: len(told)]) == (2, told)
            plains = plain(verb, "v.yaml")
            assert (plains.returncode, plains.stderr[: len(told)]) == (2, told)


@on_a_host
def test_a_setting_of_an_interface_with_a_dot_is_known_by_the_interface() -> None:
    """No setting of one has a dot in its own name, so it is told where that of the link ends."""
    write("v.yaml", f"{LAB}      net.ipv4.conf.eth1.100.rp_filter: 2\n")
    with no_trace():
        netloom("up", "-q", "v.yaml").status(0)
        file = Path("/proc/sys/net/ipv4/conf/eth1.100/rp_filter")
        netloom("exec", "a", "cat", str(file)).stdout("2\n").status(0)
        netloom("verify", "v").stdout("v  is as it was applied\n").status(0)
        netloom("down", "-q", "v").status(0)


@on_a_host
def test_every_setting_that_an_interface_has_can_be_said() -> None:
    """Written as the kernel tells it, one by one: nothing that a link takes is refused before."""
    says("ip", "link", "add", "probe", "type", "veth", "peer", "name", "other")
    settings = {
        f"net.{version}.{kind}.eth1.100.{file.name}": file.read_text().split("\n")[0]
        for version in ("ipv4", "ipv6")
        for kind in ("conf", "neigh")
        for file in Path("/proc/sys/net", version, kind, "probe").iterdir()
        if os.access(file, os.W_OK) and file.name != "stable_secret"
    }
    assert len(settings) > 90
    said = "".join(f"      {key}: {value!r}\n" for key, value in settings.items() if value)
    write("v.yaml", LAB + said)
    seen = ended("plan", "v.yaml")
    assert (seen.returncode, seen.stderr) == (0, "")
