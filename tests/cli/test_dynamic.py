"""Programs that give interfaces their addresses: a lease outlives every `up`, and is waited for."""

from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

pytestmark = pytest.mark.needs("udhcpc")

SERVER = (
    "exec dnsmasq -d -C /dev/null --user=root --port=0 --bind-interfaces --interface=lan "
    "--dhcp-range=10.77.0.100,10.77.0.150,1h --dhcp-leasefile=/dev/null"
)
LAB = f"""\
networks: {{lan: {{subnet: 10.77.0.0/24}}}}
namespaces:
  srv: {{networks: {{lan: 10.77.0.1}}, run: "{SERVER}"}}
  pc: {{networks: {{lan: dynamic}}, run: "exec udhcpc -f -i lan -s {{script}}"}}
"""
SCRIPT = """\
#!/bin/sh
[ -n "$ip" ] || exit 0
ip addr replace $ip/$mask dev $interface
[ -z "$router" ] || ip route replace default via ${router%% *} dev $interface
"""


def lab() -> str:
    """Write a DHCP server and its client, and what the client sets by; return the file's name."""
    script = Path("script").absolute()
    script.write_text(SCRIPT)
    script.chmod(0o755)
    return str(write("dhcp.yaml", LAB.replace("{script}", str(script))))


@on_a_host
def test_a_lease_is_waited_for_and_outlives_every_up() -> None:
    """When `up` is done the client has its address and its route; a change takes neither."""
    file = lab()
    with no_trace():
        netloom("up", "-q", file).status(0)
        leased, way = says("ip", "-n", "pc", "-4", "addr"), says("ip", "-n", "pc", "route")
        assert "10.77.0.1" in leased
        assert "default via 10.77.0.1 dev lan" in way

        netloom("verify", "dhcp").stdout("dhcp  is as it was applied\n").status(0)
        netloom("up", file).stdout("dhcp  is up; nothing to do\n").status(0)
        write("dhcp.yaml", Path("dhcp.yaml").read_text() + "  more: {networks: [lan]}\n")
        netloom("up", "-q", file).status(0)
        netloom("verify", "dhcp").stdout("dhcp  is as it was applied\n").status(0)

        assert says("ip", "-n", "pc", "-4", "addr") == leased
        assert says("ip", "-n", "pc", "route") == way
        assert "pc" not in says("ip", "netns", "exec", "srv", "cat", "/etc/netns/srv/hosts")
        netloom("down", "-q", "dhcp").status(0)


@on_a_host
def test_an_address_that_never_comes_is_told_and_the_lab_stays() -> None:
    """No server: `up` ends with 1 at the deadline, and `verify` says what is missing."""
    file = lab()
    text = Path("dhcp.yaml").read_text()
    write("dhcp.yaml", "\n".join(line for line in text.splitlines() if "srv" not in line))

    told = ended("up", "--timeout", "0.3", file)

    assert told.returncode == 1, told.shown
    assert "`pc:lan` has no address: nothing in `pc` has given it one" in told.stderr
    assert "stays up" in told.stderr
    seen = ended("verify", "dhcp")
    assert (seen.returncode, "`pc:lan` has no address" in seen.stderr) == (3, True), seen.shown
    says("ip", "-n", "pc", "addr", "add", "10.77.0.9/24", "dev", "lan")
    netloom("verify", "dhcp").stdout("dhcp  is as it was applied\n").status(0)
    says("ip", "netns", "del", "pc")
    assert "+ netns pc" in ended("verify", "dhcp").stdout
    netloom("down", "-q", "dhcp").status(0)


@pytest.mark.parametrize("word", ["dhcp", "auto"])
@on_a_host
def test_other_tools_words_for_it_are_told_the_word(word: str) -> None:
    """At a network and at a wire."""
    write("l.yaml", f"namespaces: {{a: {{networks: {{lan: {word}}}}}}}\nnetworks: [lan]\n")
    told = ended("plan", "l.yaml")
    assert (told.returncode, told.stdout) == (2, "")
    assert f"`{word}` is no address\n" in told.stderr
    assert "write `dynamic`, and have a client in `run`" in told.stderr
    write("l.yaml", f"links: [[a {word}, b]]\n")
    assert "write `dynamic`" in ended("plan", "l.yaml").stderr


@on_a_host
def test_dynamic_stands_alone() -> None:
    """An address beside it would be the file's."""
    write("l.yaml", "namespaces: {a: {networks: {lan: [dynamic, 10.0.0.1]}}}\nnetworks: [lan]\n")

    told = ended("plan", "l.yaml")

    assert told.returncode == 2
    assert "l.yaml:1:34: `dynamic` stands alone" in told.stderr
