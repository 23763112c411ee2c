"""`after:`: a command starts when those that it comes after are ready, and not before."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

SERVER = "import socket, signal; s = socket.create_server(('', 80)); signal.pause()"
SHOP = f"""\
networks: {{lan: {{subnet: 10.20.0.0/24}}}}
namespaces:
  web:
    networks: [lan]
    run:
      - {{name: serve, command: "test -e schema && echo serve >> ran; exec sleep 1001", after: db}}
      - {{name: warm, command: echo warm >> ran, ready: exit, after: [serve, db/migrate]}}
  db:
    networks: [lan]
    run:
      - {{name: migrate, command: "echo migrate >> ran; touch schema", ready: exit, after: pg}}
      - name: pg
        command: |
          echo pg >> ran; exec python3 -c "{SERVER}"
        ready: tcp/80
"""
"""The order of the file is not that of the start."""

RAN = Path("ran")
AS_IT_WAS = "shop  is as it was applied\n"


def order() -> list[str]:
    """Return which commands have run, in their order."""
    return RAN.read_text().split() if RAN.exists() else []


def until_it_waits() -> None:
    """Return when the lab `slow` is made, and nobody changes it any more."""
    while not Path("/run/netloom/labs/slow/record").exists():
        os.sched_yield()
    says("flock", "/run/netloom/labs/slow", "true")


@on_a_host
def test_a_command_starts_when_those_before_it_are_ready() -> None:
    """One of the same namespace, one of another, all of a namespace; twice does nothing."""
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        assert order() == ["pg", "migrate", "serve", "warm"]
        netloom("verify", "shop").stdout(AS_IT_WAS).status(0)
        netloom("up", "shop.yaml").stdout("shop  is up; nothing to do\n").status(0)
        assert len(order()) == 4
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_a_plan_shows_them_in_their_order() -> None:
    """Whatever order the file has."""
    write("shop.yaml", SHOP)

    steps = ended("plan", "shop.yaml").stdout.splitlines()
    planned = [step.split()[3] for step in steps if step.startswith("+ run")]

    assert planned == ["pg:", "migrate:", "serve:", "warm:"]


@on_a_host
def test_what_comes_after_one_that_ended_badly_is_not_started() -> None:
    """Both are told, the lab stays; the next `up` goes on from there."""
    write("shop.yaml", SHOP.replace("touch schema", "test -e mended && touch schema"))
    with no_trace():
        failed = ended("up", "shop.yaml")
        assert failed.returncode == 1
        assert "`migrate` in `db` ended with status 1\n" in failed.stderr
        assert "`serve` in `web` was not started: it comes after `db/migrate`\n" in failed.stderr
        assert failed.stderr.endswith("the lab stays up, as it is\n")
        assert order() == ["pg", "migrate"]
        assert "+ run web serve: " in ended("verify", "shop").stdout
        Path("mended").touch()
        netloom("up", "-q", "shop.yaml").status(0)
        assert order() == ["pg", "migrate", "migrate", "serve", "warm"]
        netloom("verify", "shop").stdout(AS_IT_WAS).status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_what_comes_after_one_that_is_late_is_told_too() -> None:
    """At the deadline both stand there."""
    write(
        "late.yaml",
        "namespaces: {a: {run: [{command: b, after: cat}, {command: cat go, ready: exit}]}}",
    )
    os.mkfifo("go")
    with no_trace():
        late = ended("up", "--timeout", "0.2", "late.yaml")
        assert late.returncode == 1
        assert "`cat` in `a` is running, and has not ended\n" in late.stderr
        assert "`b` in `a` was not started: it comes after `a/cat`\n" in late.stderr
        netloom("down", "-q", "late").status(0)


@on_a_host
def test_only_what_is_missing_is_started_again_and_in_its_order() -> None:
    """A server that was killed, and one after it whose text changed."""
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        (server,) = map(int, says("ip", "netns", "pids", "db").split())
        os.kill(server, signal.SIGKILL)
        while "- run db pg" not in ended("verify", "shop").stdout:
            os.sched_yield()
        write("shop.yaml", SHOP.replace("echo warm", "echo  warm"))
        netloom("up", "-q", "shop.yaml").status(0)
        assert order()[4:] == ["pg", "warm"]
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_another_order_alone_starts_nothing_anew() -> None:
    """What runs already has its turn behind it."""
    write(
        "two.yaml",
        "namespaces: {a: {run: [{name: b, command: sleep 1001}, {command: sleep 1002}]}}\n",
    )
    with no_trace():
        netloom("up", "-q", "two.yaml").status(0)
        before = says("ip", "netns", "pids", "a")
        write("two.yaml", Path("two.yaml").read_text().replace("1002", "1002, after: b"))
        netloom("up", "two.yaml").stdout("two  is up; nothing to do\n").status(0)
        assert says("ip", "netns", "pids", "a") == before
        netloom("down", "-q", "two").status(0)


@on_a_host
def test_undo_keeps_the_order_too() -> None:
    """It starts what a change had ended as `up` would."""
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        write("other.yaml", "name: shop\nnamespaces: {x: }\n")
        says("cp", "other.yaml", "shop.yaml")
        netloom("up", "-q", "shop.yaml").status(0)
        RAN.unlink()
        assert ended("undo", "shop").returncode == 0
        assert order() == ["pg", "migrate", "serve", "warm"]
        netloom("verify", "shop").stdout(AS_IT_WAS).status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_undo_waits_no_longer_than_it_is_told_to() -> None:
    """And says what is not ready; it is undone all the same."""
    write("lab.yaml", "namespaces: {a: {run: {name: slow, command: sleep 1001, ready: exit}}}\n")
    with no_trace():
        assert ended("up", "--timeout", "0.1", "lab.yaml").returncode == 1
        write("lab.yaml", "namespaces: {b: }\n")
        netloom("up", "-q", "lab.yaml").status(0)
        undone = ended("undo", "--timeout", "0.1", "lab")
        assert undone.returncode == 1
        assert "`slow` in `a` is running, and has not ended\n" in undone.stderr
        assert says("ip", "netns", "list").split()[0] == "a"
        netloom("down", "-q", "lab").status(0)


@on_a_host
def test_two_that_wait_at_once_start_it_once() -> None:
    """The second `up` finds nothing to do but to wait, and whoever is quicker starts it."""
    write(
        "slow.yaml",
        "namespaces: {a: {run: [{command: echo it >> ran, after: cat}, "
        "{command: cat go; exit 0, ready: exit}]}}\n",
    )
    os.mkfifo("go")
    with no_trace():
        first = subprocess.Popen(command("up", "-q", "slow.yaml"))
        until_it_waits()
        second = subprocess.Popen(command("up", "-q", "slow.yaml"))
        Path("go").write_text("")
        assert (first.wait(60), second.wait(60)) == (0, 0)
        assert order() == ["it"]
        netloom("down", "-q", "slow").status(0)


@on_a_host
def test_a_lab_that_goes_while_it_is_waited_for_starts_nothing() -> None:
    """`up` says that it was lost, and nothing is left."""
    write(
        "slow.yaml",
        "namespaces: {a: {run: [{command: echo it >> ran, after: cat}, "
        "{command: cat go, ready: exit}]}}\n",
    )
    os.mkfifo("go")
    with no_trace():
        argv = command("up", "-q", "slow.yaml")
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as waiting:
            until_it_waits()
            netloom("down", "-q", "slow").status(0)
            assert waiting.stderr
            assert "`cat` in `a` was not started" in waiting.stderr.read()
        assert waiting.returncode == 1
        assert order() == []


MISTAKES = {
    "a circle": (
        "[{name: b, command: x, after: c}, {name: c, command: x, after: b}]",
        "1:53: a circle",
    ),
    "itself": (
        "{name: b, command: x, after: b}",
        "1:52: a circle, in which nobody starts: `b` after `b`",
    ),
    "its own namespace": ("{name: b, command: x, after: a}", "1:52: a circle"),
    "nobody": ("{name: b, command: x, after: d}", "1:52: `d` is no command here and no namespace"),
    "no such command": ("{name: b, command: x, after: e/x}", "1:52: `e` has no command `x`"),
    "no commands": ("{name: b, command: x, after: e}", "1:52: `e` has no commands"),
}


@pytest.mark.parametrize(("run", "said"), MISTAKES.values(), ids=list(MISTAKES))
@on_a_host
def test_an_order_that_cannot_be_is_a_mistake_in_its_line(run: str, said: str) -> None:
    """With what is wrong, before anything is touched."""
    write("a.yaml", f"namespaces: {{a: {{run: {run}}}, e: }}\n")
    refused = ended("plan", "a.yaml")
    assert (refused.returncode, f"a.yaml:{said}" in refused.stderr) == (2, True), refused.stderr


@on_a_machine
def test_a_plain_user_s_lab_has_its_order_too() -> None:
    """In a lab without root, as in one of root's."""
    with new_plain_user(shop=SHOP) as plain:
        plain.says("up", "-q", "shop.yaml")
        assert (plain.folder / "ran").read_text().split() == ["pg", "migrate", "serve", "warm"]
        assert plain.says("verify", "shop") == AS_IT_WAS
        plain.says("down", "-q", "shop")
