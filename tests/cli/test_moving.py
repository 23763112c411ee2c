"""`move` and `undo`: whatever happens on the way, an interface is whole, here or there.

The witness is `ip -j` and sysctl(8), on machines of the tests' own.
"""

import errno
import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_wires import links, names
from tests.hosts.host import wait_carrier
from tests.hosts.machine import on_a_machine, wait_for
from tests.hosts.netloom import Warm, command, netloom
from tests.hosts.programs import MAIN, living, plainly, ran, says

NIC = """
ip link set lo up
ip link add other type veth peer name far
ip link set far addrgenmode none up
ip link set other addrgenmode none up
ip address add 192.0.9.1/24 dev other
ip address add 2001:db8:9::1/64 dev other nodad
ip link add br0 type bridge
ip link add eth9 type veth peer name cable
ip link set cable addrgenmode none up
ip link set eth9 mtu 1400 address 02:00:00:00:00:09 alias lan master br0 addrgenmode none up
ip link property add dev eth9 altname the-card-to-the-office
ip address add 10.3.3.3/24 dev eth9
ip address add 10.3.3.4/24 dev eth9
ip address add 2001:db8::2/64 dev eth9 nodad
ip address add 2001:db8::3/64 dev eth9 nodad
ip route add 10.7.0.0/16 dev eth9 metric 5 mtu 1300
ip route add 10.8.0.0/16 via 10.7.0.1 dev eth9 table 100
ip route add 10.9.0.0/16 nexthop via 10.3.3.7 nexthop via 192.0.9.7
ip route add 10.10.0.0/16 via 192.0.9.7 src 10.3.3.3
ip route add local 10.11.0.0/16 dev eth9
ip -6 route add 2001:db8:7::/48 via 2001:db8::1
ip -6 route add 2001:db8:8::/48 nexthop via 2001:db8::1 nexthop via 2001:db8:9::9
ip neighbour add 10.3.3.1 lladdr 02:00:00:00:00:01 dev eth9 nud permanent
sysctl -qw net.ipv4.conf.eth9.rp_filter=2 net.ipv6.conf.eth9.accept_ra=0
sysctl -qw net.ipv4.neigh.eth9.gc_stale_time=77
"""
"""A card with all that it can lose on the way, and a card beside it that some routes go by, too."""

LOG = Path("/run/netloom/byhand")
MOVE = ("move", "host:eth9", "red:wan")
THERE = "host:eth9 is red:wan  up, 4 addresses, 4 routes\nback: netloom move red:wan host:eth9\n"


def machine() -> None:
    """Have a card, and a namespace to lend it to.

    The kernel adds the local route of an IPv6 address in its own time (addrconf_dad_work).
    """
    says("sh", "-ec", NIC)
    wait_carrier("other", "far", "eth9", "cable")
    names("red")
    wait_for(lambda: local() >= {"2001:db8::2", "2001:db8::3", "2001:db8:9::1"})


def local() -> set[str]:
    """Return which IPv6 addresses are this machine's to those who look up a route."""
    told = json.loads(says("ip", "-j", "-6", "route", "show", "table", "local"))
    return {route["dst"] for route in told}


ASKED = """\
-d address show dev eth9
neighbour show dev eth9 nud permanent
-4 route show table all
-6 route show table all
"""


def here() -> list[str]:
    """Return all that `ip` and /proc/sys tell of the card where it was, a line each."""
    told = [json.loads(says("ip", "-j", *words.split())) for words in ASKED.splitlines()]
    lines = [_line(thing) for things in told for thing in things]
    settings = [
        path for path in Path("/proc/sys/net").glob("*/*/eth9/*") if path.stat().st_mode & 4
    ]
    lines += [f"{path} {path.read_text()}" for path in settings if path.name != "stable_secret"]
    return sorted(lines)


def _line(thing: dict[str, Any]) -> str:
    """Return a thing as `ip` tells it, without what is never the same."""
    for key in ("ifindex", "link_index", "linkinfo", "flags"):
        thing.pop(key, None)
    thing["nexthops"] = sorted(map(str, thing.get("nexthops", [])))
    return json.dumps(thing, sort_keys=True)


def there() -> dict[str, Any]:
    """Return the card in the namespace that it was lent to, if it is there; it must be whole."""
    found = links("red").get("wan", {})
    if found:
        routes = json.loads(says("ip", "-j", "-n", "red", "route", "show", "table", "all"))
        assert {"10.7.0.0/16", "10.8.0.0/16"} <= {route["dst"] for route in routes}
        given = [addr["local"] for addr in found["addr_info"] if addr["scope"] == "global"]
        assert sorted(given) == ["10.3.3.3", "10.3.3.4", "2001:db8::2", "2001:db8::3"]
        assert "UP" in found["flags"]
    return found


def notes() -> list[str]:
    """Return the names of all notes; where there are none, there is no folder for them."""
    found = sorted(path.name for path in LOG.iterdir()) if LOG.is_dir() else []
    assert found or not LOG.parent.exists()
    return found


def unlike(before: list[str]) -> list[str]:
    """Return what is gone and what is new, after the kernel got round to all that it was told."""
    with suppress(TimeoutError):
        wait_for(lambda: here() == before, timeout=5)
    after = here()
    gone, new = (x for x in before if x not in after), (x for x in after if x not in before)
    return [*(f"- {x}" for x in gone), *(f"+ {x}" for x in new)]


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_the_last_move_is_taken_back() -> None:
    """The card has all that it had, its bridge and settings too; then nothing is left."""
    machine()
    before = here()

    moved = netloom(*MOVE).ended
    assert moved.stdout == THERE
    assert notes() == ["000001"]
    assert LOG.stat().st_mode & 0o777 == 0o700
    assert (LOG / "000001").stat().st_mode & 0o777 == 0o600
    assert there()
    netloom("undo").stdout("red:wan is host:eth9  up, 4 addresses, 6 routes\n").status(0)

    assert unlike(before) == []
    assert notes() == []
    netloom("undo").stderr(
        "there is no move to undo; a lab is undone by its name (netloom labs)\n"
    ).status(2)


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_a_move_that_was_killed_is_led_back() -> None:
    """At each call by which it changes something; `undo` knows nothing, or gives all back."""
    machine()
    before = here()
    with Warm() as warm:
        calls = warm.calls(*MOVE)
        warm("undo")
        for at in range(1, len(calls) + 1):
            warm.kill(at, *MOVE)
            noted = LOG.exists() and {path.name for path in LOG.iterdir()}
            if noted == {"000001"}:
                assert there()
            warm("undo", status=0 if noted and noted != {"000001.begun.new"} else 2)
            assert (calls[at - 1], unlike(before)) == (calls[at - 1], [])
            assert notes() == []


@pytest.mark.long
@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_an_undo_that_was_killed_goes_on() -> None:
    """At each of its calls; the next one finishes it."""
    machine()
    before = here()
    with Warm() as warm:
        warm(*MOVE)
        calls = warm.calls("undo")
        for at in range(1, len(calls) + 1):
            warm(*MOVE)
            warm.kill(at, "undo")
            warm("undo", status=0 if LOG.exists() and any(LOG.iterdir()) else 2)
            assert (calls[at - 1], unlike(before)) == (calls[at - 1], [])
            assert notes() == []


TOLD = {1: "has been undone", 2: "nothing was touched"}


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_a_move_that_meets_an_error_is_undone() -> None:
    """Whatever call fails: all is as it was, and told so; or all is there."""
    machine()
    before = here()
    with Warm() as warm:
        calls = warm.calls(*MOVE)
        warm("undo")
        for at, call in enumerate(calls, 1):
            number = errno.ENOBUFS if "rtnetlink" in call else errno.ENOSPC
            ended = warm.refuse(at, number, *MOVE)
            if ended["status"] == 0:
                assert there()
                warm("undo")
            else:
                assert os.strerror(number) in ended["stderr"], (call, ended)
                assert TOLD[ended["status"]] in ended["stderr"], (call, ended)
            assert (call, unlike(before)) == (call, [])
            assert notes() == []


@pytest.mark.long
@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_an_undo_that_meets_an_error_goes_on() -> None:
    """What the machine lacked for a moment is tried again; a disk that fails is told."""
    machine()
    before = here()
    with Warm() as warm:
        warm(*MOVE)
        calls = warm.calls("undo")
        for at, call in enumerate(calls, 1):
            warm(*MOVE)
            ended = warm.refuse(at, errno.ENOBUFS, "undo")
            if ended["status"]:
                assert "No buffer space available" in ended["stderr"], (call, ended)
                warm("undo")
            elif call.startswith("rmdir"):  # an empty folder is left then
                warm("undo", status=2)
            assert (call, unlike(before)) == (call, [])
            assert notes() == []


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_ctrl_c_undoes_a_move() -> None:
    """At each of its calls, until it is done."""
    machine()
    before = here()
    with Warm() as warm:
        calls = warm.calls(*MOVE)
        warm("undo")
        done = next(at for at, call in enumerate(calls, 1) if call.endswith("/000001"))
        for at in range(1, len(calls) + 1):
            ended = warm.interrupt(at, *MOVE)
            if at >= done:
                assert (ended["status"], bool(there())) == (0, True)
                warm("undo")
            else:
                assert ended["status"] == 130
                assert ended["stderr"] == "interrupted; `host:eth9` is back where it was\n"
            assert unlike(before) == []
            assert notes() == []


# ── what others do meanwhile ──────────────────────────────────────────────────────────────


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_a_move_to_a_name_that_goes_meanwhile_is_undone() -> None:
    """The namespace would end with the move, and the card with it."""
    machine()
    before = here()
    with Warm() as warm:
        at = _first(warm, "rtnetlink 20")
        ended = warm.ask(MOVE, follow=True, at=at, meanwhile=["ip", "netns", "del", "red"])

    assert ended["status"] == 1
    assert ended["stderr"] == (
        "`move host:eth9 -> red:wan` was refused: `red` is gone, or another by now "
        "(No such file or directory)\n"
        "  all that was done before it has been undone\n"
    )
    assert (unlike(before), notes()) == ([], [])


def _first(warm: Warm, about: str) -> int:
    """Return the number of the first call of a move that is about something; it is taken back."""
    calls = warm.calls(*MOVE)
    warm("undo", "--move")
    return next(at for at, call in enumerate(calls, 1) if about in call)


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_what_cannot_be_led_back_is_told_with_its_place() -> None:
    """Somebody deletes the card as it has arrived; or takes its name, and `undo` waits for that."""
    machine()
    before = here()
    taken = "ip link add eth9 type veth peer name thief"
    with Warm() as warm:
        at = _first(warm, "rtnetlink 20")
        theirs = ["sh", "-ec", f"{taken}; ip netns del red"]
        ended = warm.ask(MOVE, follow=True, at=at, meanwhile=theirs)
        assert ended["status"] == 1
        assert ended["stderr"] == (
            "`move host:eth9 -> red:wan` was refused: `red` is gone, or another by now "
            "(No such file or directory)\n"
            "  left behind: `host:wan` without the state `up`, address 10.3.3.3/24, "
            "address 10.3.3.4/24, address 2001:db8::2/64, address 2001:db8::3/64, "
            "route 10.7.0.0/16 dev eth9 metric 5 mtu 1300, 5 more (File exists)\n"
            "hint: netloom undo leads it back\n"
        )
        assert warm("undo", status=2)["stderr"] == (
            "`host:wan` cannot be called `eth9`: that name is taken\n"
            "hint: rename that one\n"
            "nothing was touched\n"
        )
        says("ip", "link", "del", "thief")
        names("red")
        warm("undo")
        assert (unlike(before), notes()) == ([], [])

        theirs = ["sh", "-ec", f"ip -n red link del wan; {taken}"]
        ended = warm.ask(MOVE, follow=True, at=at, meanwhile=theirs)
    assert ended["status"] == 1
    assert ended["stderr"].splitlines()[2] == (
        "  left behind: `eth9` is neither in `host` nor in `red` any more"
    )
    assert notes() == []


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_a_card_is_known_whatever_it_and_its_namespace_are_called_by_then() -> None:
    """Another name, another MAC, another alias, another name of the namespace."""
    machine()
    before = here()
    theirs = "ip -n red link set wan down name x address 02:00:00:00:00:77; ip netns attach blue "
    with Warm() as warm, living("ip", "netns", "exec", "red") as pid:
        warm(*MOVE)
        says("sh", "-ec", f"{theirs} {pid}; ip netns del red")
        assert warm("undo")["stdout"] == "red:wan is host:eth9  up, 4 addresses, 6 routes\n"

    changed = [line for line in unlike(before) if '"address": "02:00:00:00:00:' not in line]
    assert (changed, notes()) == ([], [])


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_a_card_that_came_home_by_itself_gets_back_what_it_had() -> None:
    """A network card whose namespace ends returns, bare, under a name of the kernel's."""
    machine()
    before = here()
    with Warm() as warm:
        warm(*MOVE)
        own = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
        says("sh", "-ec", f"ip -n red link set wan netns {own} name dev5; ip netns del red")
        assert warm("undo")["stdout"] == "red:wan is host:eth9  up, 4 addresses, 6 routes\n"

    assert (unlike(before), notes()) == ([], [])


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_namespaces_without_names_are_as_good_as_any() -> None:
    """From one process to another's, and back; what ended with its process is told."""
    machine()
    with Warm() as warm, living("unshare", "-n") as one:
        moved = warm("move", "host:eth9", f"pid:{one}")["stdout"]
        assert moved.startswith(f"host:eth9 is pid:{one}:eth9  up, 4 addresses, 4 routes\n")
        with living("unshare", "-n") as two:
            warm("move", f"pid:{one}:eth9", f"pid:{two}")
            assert "10.3.3.3" in says("nsenter", f"--net=/proc/{two}/ns/net", "ip", "addr")
            undone = warm("undo")["stdout"]
        assert undone == f"pid:{two}:eth9 is pid:{one}:eth9  up, 4 addresses, 4 routes\n"
        assert "10.3.3.3" in says("nsenter", f"--net=/proc/{one}/ns/net", "ip", "addr")
        warm("move", f"pid:{one}:eth9", "red")
    with Warm() as warm:
        lost = warm("undo", status=2)["stderr"]
        assert lost == (
            f"`pid:{one}`, where `pid:{one}:eth9` came from, is no more\nnothing was touched\n"
        )
        assert warm("undo", status=2)["stderr"] == (
            f"`eth9` is neither in `host` nor in `pid:{one}` any more\nnothing was touched\n"
        )
        assert links("red")["eth9"]["addr_info"]


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_a_way_straight_back_leaves_nothing_to_undo() -> None:
    """The command that a move prints is its undo; a card that went on can come back in steps."""
    machine()
    names("blue")
    with Warm() as warm:
        warm(*MOVE)
        warm("move", "red:wan", "host:eth9")
        assert notes() == []
        warm(*MOVE)
        warm("move", "red:wan", "blue")
        listed = warm("undo", "--list")["stdout"]
        first, second = warm("undo")["stdout"], warm("undo")["stdout"]

    assert listed == "2  move red:wan blue:wan\n1  move host:eth9 red:wan\n"
    assert first == "blue:wan is red:wan  up, 4 addresses, 4 routes\n"
    assert second.startswith("red:wan is host:eth9  up, 4 addresses")
    assert notes() == []


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_the_last_ten_moves_are_kept() -> None:
    """As many as states of a lab."""
    machine()
    with Warm() as warm:
        for number in range(6):
            says("ip", "link", "add", f"a{number}", "type", "veth", "peer", "name", f"b{number}")
            warm("move", f"host:a{number}", "red")
            warm("move", f"host:b{number}", "red")

    assert notes() == [f"{number:06}" for number in range(3, 13)]


# ── before anything is touched ────────────────────────────────────────────────────────────


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_an_undo_that_would_harm_others_is_refused() -> None:
    """A name that is taken, a lab that has the card by now, the machine's own way out."""
    machine()
    said = {
        "ip link add eth9 type veth peer name thief": "there is an interface `eth9` in `host` "
        "already\nhint: rename that one, or netloom move red:wan host:NAME\n",
        "ip link del eth9; ip -n red link set wan alias 'netloom:shop port of lan'": "`red:wan` "
        "belongs to lab `shop`, which would be broken\nhint: netloom down shop\n",
    }
    with Warm() as warm:
        warm(*MOVE)
        for theirs, told in said.items():
            says("sh", "-ec", theirs)
            refused = warm("undo", status=2)["stderr"]
            assert refused == f"{told}nothing was touched\n"
            assert notes() == ["000001"]
        says("ip", "-n", "red", "link", "set", "wan", "alias", "lan")
        warm("undo")
        says("ip", "netns", "exec", "red", "true")
        warm("move", "host:far", "red")
        warm("move", "red:far", "host:out")
        says("ip", "link", "set", "out", "up")
        for default in ("0.0.0.0/0", "128.0.0.0/1"):  # as a VPN has it, by halves
            says("ip", "route", "add", default, "dev", "out")
            assert warm("undo", status=2)["stderr"] == (
                "the default route of this machine leads through `host:out`\n"
                "hint: netloom move --force host:out red:far\n"
                "nothing was touched\n"
            )
            says("ip", "route", "del", default)


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_a_move_that_cannot_be_noted_is_refused() -> None:
    """It begins on disk: where there is no room, or somebody else may write, nothing is touched."""
    machine()
    before = here()
    LOG.parent.mkdir()
    says("mount", "-t", "tmpfs", "-o", "mode=755,size=4k,nr_inodes=2", "full", str(LOG.parent))
    full = netloom(*MOVE).ended
    says("umount", str(LOG.parent))
    LOG.mkdir(mode=0o777)
    LOG.chmod(0o777)
    (LOG / "000001.begun").write_text("{}")
    open_to_all = netloom(*MOVE).ended

    assert (full.returncode, open_to_all.returncode) == (2, 2)
    assert full.stderr == (
        "cannot write below /run/netloom/byhand: No space left on device\n"
        "hint: a change begins on disk: make room there\n"
        "nothing was touched\n"
    )
    assert open_to_all.stderr.startswith("cannot trust what netloom remembers: others may ")
    assert unlike(before) == []


UNREADABLE = {
    "": "cannot be read: Expecting value: line 1 column 1 (char 0)\nhint: rm {path}",
    "[]": "cannot be read: Expected `object`, got `array`\nhint: rm {path}",
    '{"version": 7}': "was written by a newer netloom\nhint: undo it with that one, or rm {path}",
}


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_a_note_that_cannot_be_read_is_told() -> None:
    """Cut at any byte it says what to do, and others go on; one of an earlier boot is nobody's."""
    machine()
    with Warm() as warm:
        warm(*MOVE)
        path = LOG / "000001"
        text = path.read_text()
        for text_now, said in UNREADABLE.items():
            path.write_text(text_now)
            told = warm("undo", status=2)["stderr"]
            assert told == f"{path} {said.format(path=path)}\nnothing was touched\n"
        for cut in range(0, len(text), len(text) // 9):
            path.write_text(text[:cut])
            assert "cannot be read" in warm("undo", status=2)["stderr"]
        warm("move", "host:cable", "red")
        warm("undo")
        path.write_text(text.replace('"boot": "', '"boot": "0'))
        warm("undo", status=2)

    assert notes() == []


# ── which undo is meant ───────────────────────────────────────────────────────────────────

LAB = "name: shop\nlinks: [[a, b]]\n"


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_undo_means_the_lab_that_is_here() -> None:
    """Else the last move; `--move` says that it is meant; one that was interrupted comes first."""
    machine()
    Path("/run/here").mkdir()
    os.chdir("/run/here")
    Path("netloom.yaml").write_text(LAB)
    with Warm() as warm:
        warm("up", "-q")
        warm(*MOVE)
        assert warm("undo", "--list")["stdout"] == "1  nothing, 0 namespaces\n"
        assert warm("undo", "--list", "--move")["stdout"] == "1  move host:eth9 red:wan\n"
        assert warm("undo")["stdout"].startswith("- netns a\n")
        assert warm("undo", status=2)["stderr"] == "shop: there is nothing to undo\n"
        assert warm("undo", "--move")["stdout"].startswith("red:wan is host:eth9  up")
        warm.kill(_first(warm, "rtnetlink 20"), *MOVE)
        assert warm("undo", "--list")["stdout"] == "1  move host:eth9 red:wan, interrupted\n"
        assert warm("undo")["stdout"].startswith("red:wan is host:eth9  up")
        nothing = "there is no move to undo; a lab is undone by its name (netloom labs)\n"
        assert warm("undo", "--move", status=2)["stderr"] == nothing


@on_a_machine
@pytest.mark.needs("veth", "bridge")
def test_the_next_move_leads_back_what_was_interrupted() -> None:
    """The same command does what it said; one that leads back by hand has nothing left to do."""
    machine()
    before = here()
    led = (
        "note: an earlier command was interrupted; first, what it left is led back:\n"
        "red:wan is host:eth9  up, 4 addresses, 6 routes\n"
    )
    with Warm() as warm:
        at = _first(warm, "rtnetlink 20")
        warm.kill(at, *MOVE)
        again = warm(*MOVE)
        assert (again["stdout"], again["stderr"].startswith(led)) == (THERE, True)
        assert there()
        warm("undo")
        warm.kill(at, *MOVE)
        assert warm("move", "red:wan", "host:eth9")["stderr"] == led

    assert (unlike(before), notes()) == ([], [])


@on_a_machine
def test_a_plain_user_has_no_moves_of_roots() -> None:
    """What root has noted is root's to undo."""
    says("ip", "link", "add", "eth9", "type", "veth", "peer", "name", "cable")
    names("red")
    netloom("move", "host:eth9", "red")
    done = ran(*plainly(MAIN, "undo"), check=False)

    assert done.returncode == 2
    assert done.stderr == "there is no move to undo; a lab is undone by its name (netloom labs)\n"
    assert notes() == ["000001"]


# ── wires ─────────────────────────────────────────────────────────────────────────────────

WIRE = ("wire", "red:a", "10.0.0.1/24", "blue:b", "10.0.0.2/24")
BARE = {"lo"}


@on_a_machine
@pytest.mark.needs("veth")
def test_a_wire_that_was_killed_is_gone_again() -> None:
    """At each of its calls: `undo`, or the next wire, removes it; and no other of that name."""
    names("red", "blue")
    with Warm() as warm:
        calls = warm.calls(*WIRE)
        says("ip", "-n", "red", "link", "del", "dev", "a")
        done = next(at for at, call in enumerate(calls, 1) if call.startswith("unlink"))
        for at in range(1, done + 1):
            warm.kill(at, *WIRE)
            warm("undo", status=0 if LOG.exists() and "000001.begun" in os.listdir(LOG) else 2)
            assert (set(links("red")), set(links("blue")), notes()) == (BARE, BARE, [])
        warm.kill(done - 1, *WIRE)
        assert warm(*WIRE)["stderr"].endswith(
            "is led back:\nthe wire red:a -- blue:b is gone again\n"
        )
        says("ip", "-n", "red", "link", "del", "dev", "a")
        warm.kill(done - 1, *WIRE)
        says("ip", "-n", "red", "link", "set", "dev", "a", "address", "02:00:00:00:00:01")
        warm("undo")

    assert (set(links("red")), notes()) == ({"lo", "a"}, [])


@on_a_machine
@pytest.mark.needs("veth")
def test_a_wire_that_meets_an_error_is_undone() -> None:
    """Whatever call fails: nothing is left, and told so."""
    names("red", "blue")
    with Warm() as warm:
        calls = warm.calls(*WIRE)
        says("ip", "-n", "red", "link", "del", "dev", "a")
        for at, call in enumerate(calls, 1):
            ended = warm.refuse(at, errno.ENOBUFS, *WIRE)
            if ended["status"] == 0:
                says("ip", "-n", "red", "link", "del", "dev", "a")
                warm("undo", status=2)
            else:
                assert TOLD[ended["status"]] in ended["stderr"], (call, ended)
            assert (call, set(links("red")), notes()) == (call, BARE, [])


# ── whole programs ────────────────────────────────────────────────────────────────────────

CALLS = {
    "sendto": "ENOBUFS",
    "recvfrom": "ENOMEM",
    "setns": "ENOMEM",
    "clone3": "EAGAIN",
    "flock": "EINTR",
    "mkdir": "ENOSPC",
    "fchmod": "EIO",
    "rename": "EIO",
    "unlink": "EIO",
}
"""What a move calls that can fail, and by what; without those of Python's own start."""


def _injected(call: str, how: str, number: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Return how netloom ended whose call of this number failed, or killed it (strace(1))."""
    inject = f"inject={call}:{how}:when={number}"
    return ran("strace", "-f", "-qq", "-o", "calls", "-e", inject, *command(*words), check=False)


@pytest.mark.long
@pytest.mark.needs("strace", "veth")
@pytest.mark.parametrize("how", ["error=ENOBUFS", "signal=KILL"])
@on_a_machine
def test_a_veth_keeps_its_address_and_route_whatever_fails(how: str) -> None:
    """As somebody lost them: `strace -e inject=sendto:error=ENOBUFS:when=8 netloom move …`."""
    names("na", "nb")
    says("sh", "-ec", VETH)
    os.chdir("/run")
    before = ip_of("na", "m0")
    for number in range(1, 40):
        ended = _injected("sendto", how, number, "move", "na:m0", "nb")
        if ended.returncode == 0:
            assert ip_of("nb", "m0") == before
        if ended.returncode in {0, -signal.SIGKILL}:
            netloom("undo")
        assert (number, ip_of("na", "m0")) == (number, before)
        assert not LOG.parent.exists()
    assert "INJECTED" not in Path("calls").read_text()


VETH = """
ip -n na link add m0 type veth peer name m1
ip -n na link set m1 up
ip -n na link set m0 addrgenmode none up
ip -n na address add 10.3.3.3/24 dev m0
ip -n na route add 10.4.0.0/16 via 10.3.3.1
"""


def ip_of(netns: str, name: str) -> list[str]:
    """Return what `ip` tells of addresses and routes of an interface."""
    asked = (("address", "show", "dev", name), ("route", "show", "table", "all", "dev", name))
    told = [json.loads(says("ip", "-n", netns, "-j", *words)) for words in asked]
    things = [thing for things in told for thing in things]
    for thing in things:
        for key in ("link", "link_netnsid"):
            thing.pop(key, None)
    return sorted(map(_line, things))


@pytest.mark.long
@pytest.mark.needs("strace", "veth", "bridge")
@pytest.mark.parametrize("call", CALLS)
@on_a_machine
def test_whatever_call_of_a_move_fails_nothing_is_lost(call: str) -> None:
    """All calls of all threads, those that only look, too; what is said of it is true."""
    machine()
    before = here()
    os.chdir("/run")
    for number in range(1, 99):
        ended = _injected(call, f"error={CALLS[call]}", number, *MOVE)
        assert "Traceback" not in ended.stderr
        if ended.returncode == 0:
            assert there(), (number, ended)
            netloom("undo")
        else:
            assert TOLD[ended.returncode] in ended.stderr, (number, ended)
        assert (number, unlike(before), notes()) == (number, [], [])
        if "INJECTED" not in Path("calls").read_text():
            break
    assert number < 98
