"""What netloom did not make survives: names that look like ours, and things inside of ours."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.machine import wait_for
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import differences, look, no_trace

LAB = """\
networks:
  lan: {subnet: 10.20.0.0/24}
namespaces:
  web: {networks: [lan]}
  db:
  host: {networks: [lan]}
links:
  - [web, db]
"""
OTHER = """\
networks:
  lan2: {subnet: 10.21.0.0/24}
namespaces:
  b: {networks: [lan2]}
  host: {networks: [lan2]}
"""
LOOKALIKES = """
ip netns add webb
ip netns add shop
ip netns add shop.switch2
ip -n webb link set lo up alias netloom:shopp/webb
ip link add lan0 type veth peer name lan1
ip link set lan0 alias netloom
ip link add shop type bridge
ip link add nl-lan type veth peer name web
ip address add 10.99.0.1/24 dev web
ip route add 10.98.0.0/16 dev eth0 table 99
ip rule add from 10.98.0.0/16 lookup 99
mkdir -p /etc/netns/webb /etc/netns/db /run/netloomish
echo 192.0.2.1 mine >/etc/netns/webb/hosts
echo nameserver 192.0.2.1 >/etc/netns/db/resolv.conf
nft add table inet netloom-shop
"""


@on_a_host
def test_what_looks_like_ours_and_is_not_survives() -> None:
    """Namespaces, links, a bridge, routes, files and a firewall's table with names like ours."""
    ran("sh", "-c", LOOKALIKES)
    write("shop.yaml", LAB)

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_a_namespace_of_somebody_else_s_is_refused_before_anything_is_touched() -> None:
    """Its name is taken; the place in the file is shown."""
    says("ip", "netns", "add", "web")
    write("shop.yaml", LAB)

    with no_trace():
        netloom("up", "shop.yaml").stderr(
            "shop.yaml:4:3: a namespace `web` exists, and is not this lab's\n"
            "  4 |   web: {networks: [lan]}\n"
            "    |   ^^^ choose another name\n"
            "nothing was touched\n"
        ).status(2)


@on_a_host
def test_an_interface_of_somebody_else_s_is_refused_before_anything_is_touched() -> None:
    """Where the file gives its name; the host's part of a network gets another by itself."""
    says("ip", "link", "add", "lan", "type", "bridge")
    write("shop.yaml", LAB)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        assert "10.20.0.2/24" in says("ip", "-br", "address", "show", "lan.shop")
        netloom("down", "-q", "shop").status(0)
    given = "host: {networks: {lan: {interface: lan}}}"
    write("shop.yaml", LAB.replace("host: {networks: [lan]}", given))

    with no_trace():
        status, said, talk = ended("up", "shop.yaml")
    assert (status, said) == (2, "")
    assert "an interface `host:lan` exists, and is not this lab's" in talk


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("gone")])
@on_a_host
def test_a_stale_name_of_somebody_else_s_is_refused_with_the_way_out(
    make: Callable[[Path], None],
) -> None:
    """A file in /run/netns without a namespace: not ours to remove, but the hint says how."""
    Path("/run/netns").mkdir()
    make(Path("/run/netns/web"))
    write("shop.yaml", LAB)

    with no_trace():
        status, said, talk = ended("up", "shop.yaml")
    assert (status, said) == (2, "")
    assert "`web` is a file in /run/netns without a namespace" in talk
    assert "netloom del web" in talk

    netloom("del", "web").status(0)
    netloom("up", "-q", "shop.yaml").status(0)


@on_a_host
def test_a_name_of_ours_that_lost_its_namespace_is_made_again() -> None:
    """As where /run outlives a container: the file alone is there. No verb leaves it there."""
    write("shop.yaml", LAB)
    for verb in (["up", "shop.yaml"], ["undo", "shop"], ["down", "shop"]):
        with no_trace():
            netloom("up", "-q", "shop.yaml").status(0)
            for name in says("ip", "netns").split("\n"):
                if name:
                    says("umount", f"/run/netns/{name.split()[0]}")
            assert "+ netns web" in ended("verify", "shop").stdout

            assert ended(*verb).returncode == 0
            if verb[0] == "up":
                netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
                netloom("down", "-q", "shop").status(0)


@on_a_host
def test_what_somebody_put_in_the_place_of_our_name_survives() -> None:
    """It is no file of ours: `up` refuses it by its place, `down` leaves it."""
    write("shop.yaml", LAB)
    netloom("up", "-q", "shop.yaml").status(0)
    says("ip", "netns", "del", "web")
    link = Path("/run/netns/web")
    link.symlink_to("elsewhere")

    assert ended("up", "shop.yaml").returncode == 2
    netloom("down", "-q", "shop").status(0)

    assert os.readlink(link) == "elsewhere"


@on_a_host
def test_a_namespace_made_again_under_our_name_survives() -> None:
    """The name is the same, the namespace is not: `verify` says so, `down` leaves it alone."""
    write("shop.yaml", LAB)
    netloom("up", "-q", "shop.yaml").status(0)
    says("ip", "netns", "del", "web")
    says("ip", "netns", "add", "web")
    says("ip", "-n", "web", "link", "set", "lo", "up")

    status, said, _ = ended("verify", "shop")
    assert status == 3
    assert "+ netns web\n" in said
    assert ended("up", "shop.yaml").returncode == 2
    theirs = Path("/run/netns/web").stat().st_ino
    netloom("down", "-q", "shop").status(0)

    assert Path("/run/netns/web").stat().st_ino == theirs
    assert says("ip", "netns", "list") == "web\n"
    assert "LOOPBACK,UP" in says("ip", "-n", "web", "link", "show", "lo")


@on_a_host
def test_somebody_s_interface_in_our_namespace_stops_down() -> None:
    """It would die with the namespace: it is listed, and only `--force` goes on."""
    write("shop.yaml", LAB)
    before = look()
    netloom("up", "-q", "shop.yaml").status(0)
    says("ip", "link", "add", "mine", "type", "veth", "peer", "name", "theirs")
    says("ip", "link", "set", "mine", "netns", "web")

    with no_trace():
        netloom("down", "shop").stderr(
            "not netloom's, and would be lost with the lab `shop`: web:mine\n"
            "hint: move it out, or netloom down --force shop\n"
            "nothing was touched\n"
        ).status(2)
    netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
    netloom("down", "-q", "--force", "shop").status(0)

    wait_for(lambda: "theirs" not in says("ip", "link"))
    assert differences(before, look()) == ""


@pytest.mark.parametrize("verb", [("up", "shop.yaml"), ("undo", "shop")])
@on_a_host
def test_what_somebody_put_into_a_namespace_that_goes_is_not_taken_along(
    verb: tuple[str, str],
) -> None:
    """Whatever verb drops it: it is told, and nothing is touched."""
    write("shop.yaml", "namespaces: [web]\n")
    netloom("up", "-q", "shop.yaml").status(0)
    write("shop.yaml", "namespaces: [web, db]\n")
    netloom("up", "-q", "shop.yaml").status(0)
    says("ip", "link", "add", "mine", "type", "veth", "peer", "name", "theirs")
    says("ip", "link", "set", "mine", "netns", "db")
    write("shop.yaml", "namespaces: [web]\n")

    netloom(*verb).stderr(
        "not netloom's, and would be lost with its namespace: db:mine\n"
        "hint: move it out, or netloom down --force shop\n"
        "nothing was touched\n"
    ).status(2)
    assert "mine" in says("ip", "-n", "db", "link")


@on_a_host
def test_a_lab_that_joined_a_network_is_not_cut_off_where_its_notes_are_lost() -> None:
    """By its port in there, as anybody's."""
    write("a.yaml", "networks: {lan: {subnet: 10.1.0.0/24}}\nnamespaces: {x: {networks: [lan]}}\n")
    b = "networks: {l: {from: a/lan}}\nnamespaces: {y: {networks: {l: 10.1.0.9}}}\n"
    netloom("up", "-q", "a.yaml").status(0)
    netloom("up", "-q", str(write("b.yaml", b))).status(0)
    Path("/run/netloom/labs/b/record").write_text("")
    write("a.yaml", "namespaces: [x]\n")

    told = ended("up", "a.yaml")

    assert told.returncode == 2, told.shown
    assert "would be lost with its namespace: a.switch:y.l" in told.stderr


@on_a_host
def test_what_was_moved_out_again_lets_down_go_on() -> None:
    """The hint is a way: nothing of anybody's is lost."""
    says("ip", "netns", "add", "elsewhere")
    write("shop.yaml", LAB)
    netloom("up", "-q", "shop.yaml").status(0)
    says("ip", "link", "add", "mine", "type", "veth", "peer", "name", "theirs")
    says("ip", "link", "set", "mine", "netns", "web")
    assert ended("down", "shop").returncode == 2
    says("ip", "-n", "web", "link", "set", "mine", "name", "mine2", "netns", "elsewhere")

    netloom("down", "-q", "shop").status(0)
    assert "mine2" in says("ip", "-n", "elsewhere", "link")


@on_a_host
def test_a_lab_is_taken_down_by_its_marks_when_the_state_is_lost() -> None:
    """The kernel's objects bear the marks, and so does /etc/netns."""
    write("shop.yaml", LAB)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        says("rm", "-rf", "/run/netloom")

        netloom("down", "shop").stdout(
            "shop  down: 2 namespaces, 1 network, 3 wires; the host is as it was\n"
        ).status(0)


@on_a_host
def test_up_takes_over_a_lab_whose_state_is_lost() -> None:
    """What bears the mark is ours: it is found as it shall be, and remembered again."""
    write("shop.yaml", LAB)
    netloom("up", "-q", "shop.yaml").status(0)
    says("rm", "-rf", "/run/netloom")

    netloom("up", "-q", "shop.yaml").status(0)
    netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)


@on_a_host
def test_a_hosts_file_of_the_user_s_survives_and_is_told() -> None:
    """In /etc/netns/NAME it wins; it stays after `down`, and `up` twice still does nothing."""
    folder = Path("/etc/netns/web")
    folder.mkdir(parents=True)
    (folder / "hosts").write_text("192.0.2.1 mine\n")
    (folder / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    write("shop.yaml", LAB)

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        told = ended("verify", "shop")
        assert told.returncode == 3
        assert "/etc/netns/web/hosts is somebody else's" in told.stderr
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("exec", "web", "cat", "/etc/hosts").stdout("192.0.2.1 mine\n").status(0)
        netloom("down", "-q", "shop").status(0)


@pytest.mark.parametrize("made", ["/etc/netns", "/etc/netns/web"])
@on_a_host
def test_a_folder_of_the_user_s_stays_even_when_it_is_empty(made: str) -> None:
    """Empty before, empty after."""
    Path(made).mkdir(parents=True)
    write("shop.yaml", LAB)

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        assert "db" in ended("exec", "web", "cat", "/etc/hosts").stdout
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_another_lab_s_things_are_foreign_too() -> None:
    """One lab's `down` leaves the other as it is, with the host in both."""
    write("shop.yaml", LAB)
    write("b.yaml", OTHER)
    netloom("up", "-q", "b.yaml").status(0)

    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("verify", "b").stdout("b  is as it was applied\n").status(0)
        netloom("down", "-q", "shop").status(0)
