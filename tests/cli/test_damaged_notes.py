"""What netloom remembers, damaged: an answer each time, never a wait, never a second loss."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from netloom.host.store.rundir import RUN_DIR
from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

RUN = Path(RUN_DIR)
LAB = RUN / "labs" / "pair"
KEY = "net.ipv4.conf.eth0.forwarding"
PAIR = """\
networks: {lan: {uplink: nat}}
namespaces: {red: {networks: [lan]}}
"""
RUNNING = """\
namespaces: {red: {run: {command: sleep 600, name: s}}}
"""
ROUTED = """\
networks: {n%(lab)s: {subnet: 10.7%(n)d.0.0/24}}
namespaces:
  r%(lab)s: {networks: [n%(lab)s]}
  host: {networks: [n%(lab)s], routes: [blackhole 10.99.%(n)d.0/24]}
"""

Damage = Callable[[Path], None]


def up(name: str, text: str) -> None:
    """Have a lab."""
    write(f"{name}.yaml", text)
    netloom("up", "-q", f"{name}.yaml").status(0)


def remove(path: Path) -> None:
    """Remove what stands at a path."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fifo(path: Path) -> None:
    """Put a FIFO there: to read it would be to wait for whoever writes."""
    remove(path)
    os.mkfifo(path)


def folder(path: Path) -> None:
    """Put a folder there, with something in it."""
    remove(path)
    (path / "in").mkdir(parents=True)


def link(path: Path) -> None:
    """Put a link there, that leads to something of somebody else's."""
    remove(path)
    path.symlink_to("/etc/hosts")


def deep(path: Path) -> None:
    """Put a file there that no reader gets to the bottom of."""
    path.write_text('{"lab":"pair","boot":"","x":' + "[" * 100_000)


def file(path: Path) -> None:
    """Put a file there."""
    remove(path)
    path.write_text("")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("record", fifo),
        ("record", folder),
        ("record", deep),
        ("pending", link),
        ("undo", file),
        ("../../host/pair", fifo),
        ("../../host/pair", folder),
    ],
)
@on_a_host
def test_what_is_no_note_of_a_lab_is_told_and_goes_with_it(name: str, damage: Damage) -> None:
    """Whatever stands in its place: nothing waits for it, `labs` has a row, `down` is whole."""
    with no_trace():
        up("single", "namespaces: [one]\n")
        up("pair", PAIR)
        damage(LAB / name)  # there are no commands: what nobody remembers nobody ends

        assert "unreadable: netloom down pair" in ended("labs").stdout
        for words in (["up", "pair.yaml"], ["verify", "pair"]):
            told = ended(*words)
            assert told.returncode == 2, told.shown
            assert "hint: netloom down pair" in told.stderr
        netloom("verify", "single").stdout("single  is as it was applied\n").status(0)
        assert ended("down", "pair").returncode == 0
        netloom("down", "-q", "single").status(0)


@pytest.mark.parametrize("name", ["logs", "files"])
@on_a_host
def test_what_a_link_in_a_lab_s_folder_leads_to_is_not_the_lab_s(name: str) -> None:
    """Somebody put the logs on a disk: what is there stays, with all that is below it."""
    theirs = Path("theirs").absolute()
    up("pair", PAIR)
    (LAB / name).mkdir(exist_ok=True)
    shutil.copytree(LAB / name, theirs)
    (theirs / "thesis").mkdir()
    (theirs / "thesis" / "chapter").write_text("precious")
    there = sorted(theirs.rglob("*"))
    remove(LAB / name)
    (LAB / name).symlink_to(theirs)

    for words in (["up", "pair.yaml"], ["undo", "pair"], ["down", "pair"]):
        ended(*words)

    assert sorted(theirs.rglob("*")) == there
    assert not LAB.exists()


@on_a_host
def test_what_is_beside_a_lab_s_notes_goes_with_it() -> None:
    """Half written, or nobody's: it keeps no lab from going."""
    strays = {"record.new": fifo, "pending.new": folder, "undo/x": folder, "undo/y": link}
    with no_trace():
        up("pair", RUNNING)
        (LAB / "run" / "x").mkdir()
        for name, damage in {**strays, "run/x/asked": fifo, "files/x": link}.items():
            damage(LAB / name)

        netloom("verify", "pair").stdout("pair  is as it was applied\n").status(0)
        netloom("down", "-q", "pair").status(0)


@pytest.mark.parametrize("damage", [fifo, folder])
@on_a_host
def test_what_is_no_note_of_a_shared_setting_blocks_nobody(damage: Damage) -> None:
    """It is told by every verb until a lab that goes takes it along."""
    with no_trace():
        up("pair", PAIR)
        damage(RUN / "claims" / "x")

        for words in (["verify", "pair"], ["down", "pair"]):
            told = ended(*words)
            assert told.returncode == 0, told.shown
            assert "note: what `x` was before is not known any more" in told.stderr


@on_a_host
def test_up_tells_of_a_shared_setting_whose_note_is_lost() -> None:
    """It holds the setting anew, and takes for found what another lab may have set: it says so."""
    up("pair", PAIR)
    (RUN / "claims" / KEY).write_text('{"key":')

    told = ended("up", "pair.yaml")

    assert told.returncode == 0, told.shown
    assert f"note: what `{KEY}` was before is not known any more" in told.stderr
    netloom("verify", "pair").stdout("pair  is as it was applied\n").status(0)
    ended("down", "pair")


@on_a_host
def test_down_does_not_say_that_the_host_is_as_it_was_where_nobody_knows() -> None:
    """A setting stays as it is, so it is told, and no more is said than is true."""
    up("pair", PAIR)
    (RUN / "claims" / KEY).write_text("")

    told = ended("down", "pair")

    assert told.returncode == 0, told.shown
    assert told.stdout == "pair  down: 1 namespace, 1 network, 2 wires\n"


@on_a_host
def test_a_claim_of_an_earlier_boot_is_no_trace() -> None:
    """Where /run is on a disk it is there yet, and holds nothing any more."""
    with no_trace():
        up("pair", PAIR)
        claims = RUN / "claims"
        (claims / "net.x").write_text('{"key":"net.x","boot":"then","found":"0","value":"1"}')
        netloom("down", "-q", "pair").status(0)


@on_a_host
def test_swapped_notes_of_the_host_lead_neither_lab_astray() -> None:
    """A note says whose it is: the other's subnet is in nobody's way."""
    with no_trace():
        up("a", ROUTED % {"lab": "a", "n": 1})
        up("b", ROUTED % {"lab": "b", "n": 2})
        host = RUN / "host"
        (host / "a").rename(host / "t")
        (host / "b").rename(host / "a")
        (host / "t").rename(host / "b")

        for lab in ("a", "b"):
            netloom("up", f"{lab}.yaml").stdout(f"{lab}  is up; nothing to do\n").status(0)
        for lab in ("a", "b"):
            netloom("down", "-q", lab).status(0)


@on_a_host
def test_an_earlier_state_that_cannot_be_read_is_told_with_the_way_on() -> None:
    """Which file it is, and that the one before it can be gone back to without it."""
    with no_trace():
        up("pair", "namespaces: [red]\n")
        up("pair", "namespaces: [red, blue]\n")
        (LAB / "undo" / "000002").write_text("{")

        told = ended("undo", "pair")

        assert told.returncode == 2, told.shown
        assert f"hint: rm {LAB}/undo/000002: undo goes to the state before" in told.stderr
        (LAB / "undo" / "000002").unlink()
        assert ended("undo", "pair").returncode == 0


@on_a_host
def test_what_is_no_text_among_the_labs_blocks_nobody() -> None:
    """It is no lab's: no verb is about it."""
    up("pair", "namespaces: [red]\n")
    os.mkdir(os.fsencode(RUN / "labs") + b"/\xff")

    netloom("labs").stdout("pair  1 namespace  pair.yaml\n").status(0)
    assert ended("down", "--all").returncode == 0
    assert not LAB.exists()


@on_a_host
def test_what_an_older_netloom_noted_of_the_host_counts() -> None:
    """It did not say whose it is; nobody else gets the port."""
    up("pair", PAIR.replace("]}", "], publish: 8080:80}"))
    note = RUN / "host" / "pair"
    older = json.loads(note.read_text())
    del older["lab"]
    note.write_text(json.dumps(older))
    write(
        "other.yaml",
        "networks: {l: {uplink: nat}}\nnamespaces: {o: {networks: [l], publish: 8080:1}}",
    )

    told = ended("up", "other.yaml")

    assert told.returncode == 2, told.shown
    assert "port 8080 of the host is taken: the lab `pair` publishes it" in told.stderr
    netloom("down", "-q", "pair").status(0)


@pytest.mark.needs("strace")
@on_a_host
def test_a_note_that_cannot_be_read_for_a_moment_is_not_lost() -> None:
    """Out of memory, or of open files: nothing is touched, and the next `down` is whole.

    By its marks alone a lab would leave a route of the host.
    """
    with no_trace():
        up("a", ROUTED % {"lab": "a", "n": 1})
        trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", f"{RUN}/labs/a/record"]
        told = ran(*trace, "-e", "inject=openat:error=ENOMEM", *command("down", "a"), check=False)

        assert told.returncode == 2, told
        assert "nothing was touched" in told.stderr
        assert says("ip", "route", "show", "type", "blackhole") != ""
        netloom("down", "-q", "a").status(0)


@pytest.mark.needs("strace")
@on_a_host
def test_where_it_cannot_be_noted_that_a_change_is_undone_no_more_is_told_than_that() -> None:
    """No room for the last note, nor for the one on the way back: all is as it was but for a note.

    The next verb leads back again, or on.
    """
    with no_trace():
        up("pair", PAIR)
        write("pair.yaml", PAIR.replace("]}}", "]}, blue: {networks: [lan]}}"))
        trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", f"{LAB}/record.new"]
        argv = [*trace, "-e", "inject=openat:error=ENOSPC", *command("up", "pair.yaml")]

        told = ran(*argv, check=False)

        assert told.returncode == 1, told
        assert "all that was done before it has been undone" in told.stderr
        assert "note: that it is undone could not be noted" in told.stderr
        assert "blue" not in says("ip", "netns").split()
        netloom("up", "-q", "pair.yaml").status(0)
        netloom("verify", "pair").stdout("pair  is as it was applied\n").status(0)
        netloom("down", "-q", "pair").status(0)
