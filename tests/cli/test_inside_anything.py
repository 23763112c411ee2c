"""The whole works as root of the machine, of another network namespace, and as a plain user.

The tests of the other files are the first of these: their host is such a machine. Here the same lab
is made by somebody who is further inside.
"""

import shlex
from pathlib import Path

import pytest

from tests.cli.test_no_trace import FIRST
from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, write
from tests.hosts.programs import MAIN, in_own_root, plainly, ran, says
from tests.hosts.witness import no_trace

PINGS = """
$netloom exec a ping -c1 -W2 10.20.0.1 | grep -o '1 received'
$netloom exec a ping -c1 -W2 gw | grep -o '1 received'
ping -c1 -W2 10.20.0.1 | grep -o '1 received'
ping -c1 -W2 10.40.0.2 | grep -o '1 received'
"""
SCRIPT = """
set -e
find /run /etc | grep -vE '^/run/(netns|[.]netloom)$' | sort >/mnt/before
ip -o link >>/mnt/before; ip route show table all >>/mnt/before; sysctl -a -r ^net >>/mnt/before
$netloom up first.yaml | grep -o 'up in'
$netloom up first.yaml
$netloom verify shop
PINGS
$netloom labs
$netloom down -q shop
$netloom labs
find /run /etc | grep -vE '^/run/(netns|[.]netloom)$' | sort >/mnt/after
ip -o link >>/mnt/after; ip route show table all >>/mnt/after; sysctl -a -r ^net >>/mnt/after
diff -u /mnt/before /mnt/after
""".replace("PINGS", PINGS)
SAID = """\
up in
shop  is up; nothing to do
shop  is as it was applied
1 received
1 received
1 received
1 received
shop  2 namespaces  first.yaml
"""


def script(netloom: list[str]) -> str:
    """Return the commands of a whole lab's life, by this netloom."""
    return SCRIPT.replace("$netloom", shlex.join(netloom))


@on_a_host
@pytest.mark.needs("ping")
def test_a_whole_life_as_root_of_the_machine() -> None:
    """Made, used from inside and from the host, taken away."""
    write("first.yaml", FIRST)

    with no_trace():
        assert says("unshare", "--mount", "sh", "-c", tmp(script(command()))) == SAID


def tmp(text: str) -> str:
    """Return a script with a folder of its own to write to, so that many can run at once."""
    return "mount -t tmpfs tmp /mnt\n" + text


@on_a_host
@pytest.mark.needs("ping")
def test_a_whole_life_inside_another_network_namespace() -> None:
    """`nsenter --net=`: the lab's host is that namespace; the machine sees nothing of it."""
    says("ip", "netns", "add", "elsewhere")
    says("ip", "-n", "elsewhere", "link", "set", "lo", "up")
    write("first.yaml", FIRST)
    enter = ("nsenter", "--net=/run/netns/elsewhere")

    with no_trace():
        assert says(*enter, "unshare", "--mount", "sh", "-c", tmp(script(command()))) == SAID


@on_a_host
@pytest.mark.needs("ping")
def test_a_whole_life_inside_ip_netns_exec() -> None:
    """There /run/netns is of the command's own mounts: names live as long as it does."""
    says("ip", "netns", "add", "elsewhere")
    says("ip", "-n", "elsewhere", "link", "set", "lo", "up")
    write("first.yaml", FIRST)

    with no_trace():
        inside = ("ip", "netns", "exec", "elsewhere", "sh", "-c", tmp(script(command())))
        assert says(*inside) == SAID


@on_a_host
@pytest.mark.needs("ping", "userns")
def test_a_whole_life_as_a_plain_user_in_namespaces_of_their_own() -> None:
    """`unshare -Urnm`: no /run to write to, no /etc, and the same lab."""
    write("first.yaml", FIRST)
    Path("/run/here").chmod(0o755)
    netloom = plainly(MAIN)
    prefix = in_own_root(netloom)
    at = prefix.index("-Urnm") + 1
    unshare, python = prefix[:at], netloom[netloom.index("-c") - 1 :]

    with no_trace():
        body = "ip link set lo up\n" + script(python)
        run = ran(*unshare, "sh", "-c", tmp(body), check=False)
    assert (run.stdout, run.returncode) == (SAID, 0), run.stderr


@on_a_host
@pytest.mark.needs("userns")
def test_root_without_a_network_namespace_of_its_own_is_told() -> None:
    """`unshare -Ur` alone: root of nothing that counts; refused before anything is touched."""
    write("first.yaml", FIRST)
    Path("/run/here").chmod(0o755)
    netloom = plainly(MAIN, "up", "first.yaml")
    at = netloom.index("-c") - 1

    with no_trace():
        run = ran(*netloom[:at], "unshare", "-Ur", *netloom[at:], check=False)
    assert (run.returncode, run.stdout) == (2, ""), run
    assert run.stderr.endswith("nothing was touched\n")
    assert "Traceback" not in run.stderr
