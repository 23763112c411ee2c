"""What follows when a verb comes to a lab: the table of `engine/state.py`, on the kernel."""

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from netloom.host.store.rundir import RUN_DIR
from tests.hosts.host import on_a_host
from tests.hosts.netloom import Warm, ended, netloom, write
from tests.hosts.programs import living, python, says
from tests.hosts.witness import no_trace

PAIR = "links: [[red 10.0.0.1/24, blue 10.0.0.2/24]]\n"
OTHER = "name: pair\nnamespaces: [green]\n"
LAB = Path(RUN_DIR) / "labs" / "pair"


def reaches(pid: int, address: str) -> bool:
    """Whether a ping from where a process lives is answered."""
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "ping", "-c1", "-W1", address]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def links_at(pid: int) -> list[str]:
    """Return the names of the interfaces where a process lives."""
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-j", "link"]
    said = subprocess.run(argv, capture_output=True, check=True).stdout
    return [link["ifname"] for link in json.loads(said)]


@pytest.mark.needs("ping")
@pytest.mark.parametrize("verb", ["down", "undo", "up"])
@on_a_host
def test_a_namespace_that_a_process_keeps_loses_its_wires_with_its_name(verb: str) -> None:
    """Whatever takes the names away: nothing passes between the two any more, and it is told."""
    write("pair.yaml", PAIR)
    netloom("up", "-q", "pair.yaml").status(0)
    with ExitStack() as stack:
        pids = [
            stack.enter_context(living("nsenter", f"--net=/run/netns/{name}"))
            for name in ("red", "blue")
        ]
        assert reaches(pids[0], "10.0.0.2")
        if verb == "up":
            write("pair.yaml", OTHER)
        told = ended(verb, "pair.yaml")

        assert told.returncode == 0, told.shown
        for pid, name in zip(pids, ("red", "blue"), strict=True):
            assert f"(pid {pid}) still runs in what was `{name}`, nameless" in told.stderr
        assert not reaches(pids[0], "10.0.0.2")
        assert [links_at(pid) for pid in pids] == [["lo"], ["lo"]]
    ended("down", "pair")


THREADS = """
import os, sys, threading
from netloom.kernel import syscalls
def live(name):
    syscalls.unshare(syscalls.CLONE_FS)
    with open(f"/run/netns/{name}") as netns:
        syscalls.setns(netns.fileno(), syscalls.CLONE_NEWNET)
    there.wait()
    threading.Event().wait()
there = threading.Barrier(3)
for name in ("red", "blue"):
    threading.Thread(target=live, args=(name,), daemon=True).start()
there.wait()
print("there", flush=True)
sys.stdin.read()
os._exit(0)
"""
"""A program with a thread in each namespace, as those in Go are that go from one to another."""


@on_a_host
def test_a_namespace_that_a_thread_keeps_loses_its_wires_too() -> None:
    """Its process lives elsewhere, and is told."""
    write("pair.yaml", PAIR)
    netloom("up", "-q", "pair.yaml").status(0)
    pipe = subprocess.PIPE
    with subprocess.Popen(python(THREADS), stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "there\n"
        told = ended("down", "pair")

        for name in ("red", "blue"):
            assert f"(pid {program.pid}) still runs in what was `{name}`, nameless" in told.stderr
        for task in os.listdir(f"/proc/{program.pid}/task"):
            links = Path(f"/proc/{program.pid}/task/{task}/net/dev").read_text()
            assert "red" not in links
            assert "blue" not in links


@on_a_host
def test_a_namespace_that_is_mounted_elsewhere_loses_its_wires_too() -> None:
    """Under another name, as engines of containers have it; the path is told."""
    write("pair.yaml", PAIR)
    netloom("up", "-q", "pair.yaml").status(0)
    for name in ("red", "blue"):
        Path("/run/mount", name).touch()
        says("mount", "--bind", f"/run/netns/{name}", f"/run/mount/{name}")

    told = ended("down", "pair")

    for name in ("red", "blue"):
        path = f"/run/mount/{name}"
        assert f"note: what was `{name}` lives on, mounted on `{path}`" in told.stderr
        links = json.loads(says("nsenter", f"--net={path}", "ip", "-j", "link"))
        assert [link["ifname"] for link in links] == ["lo"]


@on_a_host
def test_a_wire_of_the_host_whose_far_end_is_lost_is_nothing_to_go_back_to() -> None:
    """Nor are its routes and settings: `undo` after `up` has made it again is no refusal."""
    part = "host: {networks: [lan], routes: [10.9.0.0/24 via red]}"
    text = f"networks: {{lan: {{uplink: nat}}}}\nnamespaces: {{red: {{networks: [lan]}}, {part}}}\n"
    with no_trace():
        write("pair.yaml", text)
        netloom("up", "-q", "pair.yaml").status(0)
        says("ip", "netns", "add", "other")
        says("ip", "-n", "pair.switch", "link", "set", "host.lan", "netns", "other")
        netloom("up", "-q", "pair.yaml").status(0)

        told = ended("undo", "pair")

        assert told.returncode == 0, told.shown
        says("ip", "netns", "del", "other")
        netloom("down", "-q", "pair").status(0)


@pytest.mark.parametrize("note", ["record", "pending", "both"])
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'{"lab":"pair","boot',
        b'{"held":[1]}',
        b'{"lab":"pair","boot":"","version":99}',
        b'{"lab":"pair","boot":"","version":1}',
        b'{"lab":"other","boot":""}',
        b'{"lab":"pair","boot":"","desired":{"netns":{"red":{"links":{"a":{"kind":{"type":"new"}}}}}}}',
    ],
    ids=["empty", "cut", "shaped otherwise", "newer", "older", "of another lab", "with a new kind"],
)
@on_a_host
def test_a_note_that_cannot_be_read_is_a_state_of_its_lab(note: str, text: bytes) -> None:
    """`labs` shows it in its row and the others as ever, `up` says what to do, `down` goes on."""
    with no_trace():
        write("pair.yaml", PAIR)
        write("single.yaml", "namespaces: [one]\n")
        netloom("up", "-q", "pair.yaml").status(0)
        netloom("up", "-q", "single.yaml").status(0)
        for name in ("record", "pending") if note == "both" else (note,):
            (LAB / name).write_bytes(text)

        seen = ended("labs")
        assert seen.returncode == 0, seen.shown
        rows = {line.split()[0]: line for line in seen.stdout.splitlines()}
        assert "unreadable: netloom down pair" in rows["pair"]
        assert "1 namespace  single.yaml" in rows["single"]
        for verb in ("up", "verify", "undo", "plan"):
            told = ended(verb, "pair.yaml" if verb in {"up", "plan"} else "pair")
            assert told.returncode == 2, told.shown
            assert "cannot be read" in told.stderr
            assert "hint: netloom down pair" in told.stderr
            assert told.stderr.endswith("nothing was touched\n")
        netloom("verify", "single").stdout("single  is as it was applied\n").status(0)
        told = ended("down", "pair")
        assert told.returncode == 0, told.shown
        assert not LAB.exists()
        netloom("down", "-q", "single").status(0)


@on_a_host
def test_a_stray_file_among_the_starts_blocks_nobody() -> None:
    """What is no folder of a start below `run/` is passed over, and goes with the lab."""
    with no_trace():
        write("pair.yaml", "namespaces: {red: {run: {command: sleep 600, name: s}}}\n")
        netloom("up", "-q", "pair.yaml").status(0)
        (LAB / "run" / "x").write_text("")
        (LAB / "run" / "y").mkdir()
        (LAB / "run" / "y" / "asked").write_text("{")
        netloom("verify", "pair").stdout("pair  is as it was applied\n").status(0)
        assert ended("labs").returncode == 0
        assert ended("up", "pair.yaml").stdout == "pair  is up; nothing to do\n"
        netloom("down", "-q", "pair").status(0)


@on_a_host
def test_a_change_that_came_to_its_end_is_over_though_its_note_is_left() -> None:
    """Killed between the record and the end of its note, a change need not be finished."""
    write("pair.yaml", PAIR)
    with no_trace(), Warm() as warm:
        for _ in range(2):  # the first makes what stays, such as /run/netns
            calls = warm.calls("up", "-q", "pair.yaml")
            warm("down", "-q", "pair")
        at = next(n for n, call in enumerate(calls, 1) if call == f"unlink {LAB}/pending")
        warm.kill(at, "up", "-q", "pair.yaml")
        assert (LAB / "pending").exists()
        assert (LAB / "record").exists()

        assert ended("labs").stdout == "pair  2 namespaces  pair.yaml\n"
        netloom("verify", "pair").stdout("pair  is as it was applied\n").status(0)
        warm("undo", "pair")
        assert ended("labs").stdout == ""


@on_a_host
def test_a_shared_setting_whose_note_cannot_be_read_is_told() -> None:
    """What was found is lost, so `down` leaves it as it is, says so, and keeps no file."""
    write("pair.yaml", "networks: {lan: {uplink: nat}}\nnamespaces: {red: {networks: [lan]}}\n")
    netloom("up", "-q", "pair.yaml").status(0)
    key = "net.ipv4.conf.eth0.forwarding"
    (Path(RUN_DIR) / "claims" / key).write_text("")

    told = ended("down", "pair")

    assert told.returncode == 0, told.shown
    assert f"note: what `{key}` was before is not known any more" in told.stderr
    assert not Path(RUN_DIR).exists()
    assert Path("/proc/sys/net/ipv4/conf/eth0/forwarding").read_text() == "1\n"


@on_a_host
def test_what_was_killed_before_its_change_was_noted_is_of_nothing() -> None:
    """Whatever comes in between, `down` by the lab's name leaves no note of the host, no folder."""
    write(
        "pair.yaml",
        "networks: {lan: }\nnamespaces: {red: {networks: [lan]}, host: {networks: [lan]}}\n",
    )
    with no_trace(), Warm() as warm:
        calls = warm.calls("up", "-q", "pair.yaml")
        warm("down", "-q", "pair")
        begun = next(n for n, call in enumerate(calls, 1) if call == f"rename {LAB}/pending")
        assert f"rename {RUN_DIR}/host/pair" in calls[:begun]
        for at in range(1, begun + 1):
            told = warm.kill(at, "up", "-q", "pair.yaml")
            for verb in ("undo", "down"):
                warm.ask((verb, "pair"))
            assert not Path(RUN_DIR).exists(), told
